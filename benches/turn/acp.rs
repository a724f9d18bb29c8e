//! The same moments over the Agent Client Protocol.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::acp_client::{Client, environment, is_update};
use crate::fake_model::{FakeModel, Gate, Reply};
use crate::server::burst;
use crate::table::{Samples, Table, Unit};
use crate::{Effort, TOKENS, baseline, directory, process};

/// How long everything may settle before a moment is measured.
const CALM: Duration = Duration::from_millis(3);

/// A server, with a session.
struct Server {
    client: Client,
    model: FakeModel,
    session: String,
    /// From the start of the process to the answer to `initialize`, and to the first session.
    start: Duration,
    ready: Duration,
}

impl Server {
    fn start(home: &Path) -> Self {
        let model = FakeModel::start();
        let env = environment(&model);
        let begun = Instant::now();
        let mut client = Client::start(home, &env);
        client.initialize(&json!({}));
        let start = begun.elapsed();
        let answer = client.request("session/new", &json!({"cwd": home, "mcpServers": []}));
        let ready = begun.elapsed();
        client.until(|message| is_update(message, "available_commands_update"));
        let session = answer["sessionId"].as_str().unwrap().to_owned();
        Self { client, model, session, start, ready }
    }

    /// A turn whose reply is `reply`, once `gate` opens: until its first text, and the CPU until it is over.
    fn turn(&mut self, reply: Reply, gate: &Gate) -> (Duration, Duration) {
        self.model.push(reply);
        let id = self.client.prompt(&self.session, "How are you?");
        drop(self.model.take_request_blocking());
        thread::sleep(CALM);
        let before = process::work(self.client.pid());
        let begun = Instant::now();
        gate.open();
        self.client.until(|message| is_update(message, "agent_message_chunk"));
        let first = begun.elapsed();
        self.client.answered(id);
        // Threads are counted when they leave the processor.
        thread::sleep(CALM);
        (first, process::work(self.client.pid()).since(&before).cpu)
    }

    fn short(&mut self) -> (Duration, Duration) {
        let gate = Gate::new();
        let reply = Reply::stream()
            .burst()
            .wait(&gate)
            .text("(:type :response :payload (:text \"A first line.\nAnd ")
            .text("a second one.\"))")
            .finish("stop")
            .usage(7, 11)
            .done();
        self.turn(reply, &gate)
    }
}

/// Measures all of it.
pub fn measure(effort: &Effort, table: &mut Table) {
    let [mut start, mut ready, mut first, mut bare]: [Samples; 4] = Default::default();
    for run in 0..=effort.starts {
        let home = directory();
        let server = Server::start(home.path());
        let process = baseline::spawn();
        if run > 0 {
            start.time(server.start);
            ready.time(server.ready);
            bare.time(process);
        }
        server.client.finish();
    }
    let home = directory();
    let mut server = Server::start(home.path());
    for run in 0..effort.turns + effort.turns.min(20) {
        let (text, _) = server.short();
        if run >= effort.turns.min(20) {
            first.time(text);
        }
    }
    server.client.finish();
    table
        .row("ACP: start-up to `initialize` reply, first start ever", Unit::Time, &start)
        .target("< 12 ms")
        .peers("goose 105 ms, codex 148 ms")
        .against("starting /bin/true", &bare);
    table.row("ACP: start-up to the first session (durable), first start ever", Unit::Time, &ready);
    table
        .row("ACP: first byte of the model to first text", Unit::Time, &first)
        .target("< 2 ms")
        .peers("goose 6 ms, codex 38 ms");
    tokens(effort, table);
}

fn tokens(effort: &Effort, table: &mut Table) {
    let [mut cpu, mut bare]: [[Samples; 2]; 2] = Default::default();
    for _ in 0..effort.servers {
        let home = directory();
        let mut server = Server::start(home.path());
        for run in 0..=effort.bursts {
            for (way, at_once) in [true, false].into_iter().enumerate() {
                let gate = Gate::new();
                let (_, spent) = server.turn(burst(at_once, &gate), &gate);
                let reference = baseline::read_burst(at_once);
                if run > 0 {
                    cpu[way].time(spent / TOKENS as u32);
                    bare[way].time(reference / TOKENS as u32);
                }
            }
        }
        server.client.finish();
    }
    for (way, name) in ["in one write", "one write each"].into_iter().enumerate() {
        table
            .row(&format!("ACP: CPU per token, 5,000 tokens {name}"), Unit::Time, &cpu[way])
            .target("< 5 µs")
            .peers("codex 26 µs, goose 40 µs")
            .against("bare loop", &bare[way]);
    }
}
