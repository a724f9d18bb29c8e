//! A server under measurement: the real binary, an editor of a kind, and a model server that waits at the
//! moments that are measured.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::fake_model::{FakeModel, Gate, Reply};
use crate::{TOKEN, TOKENS, process};

/// How long everything may settle before a moment is measured.
const CALM: Duration = Duration::from_millis(3);

/// The server, initialized.
pub struct Server {
    client: Client,
    model: FakeModel,
    turns: usize,
    /// How long it took from the start of the process to the answer to `initialize`.
    pub start: Duration,
    /// How long to the first answer that needs the store, which opens meanwhile.
    pub ready: Duration,
}

/// The moments of a turn.
pub struct Turn {
    /// From the event to its answer.
    pub ack: Duration,
    /// From the model's first byte to the first delta.
    pub first: Duration,
    /// From the model's last byte to the actuation.
    pub last: Duration,
}

/// What a burst cost.
pub struct Burst {
    /// Of the server's threads together.
    pub cpu: Duration,
    /// From the model's first byte to the actuation.
    pub wall: Duration,
}

impl Server {
    /// Starts a server with this home.
    pub fn start(home: &Path) -> Self {
        let model = FakeModel::start();
        let url = model.base_url();
        let env = [("OPENAI_BASE_URL", url.as_str()), ("ORG_AGENT_MODEL", "x"), ("OPENAI_API_KEY", "x")];
        let begun = Instant::now();
        let mut client = Client::new_in(home, &env);
        let start = begun.elapsed();
        client.request("orgAgent/sessions/list", &json!({"limit": 1}));
        Self { client, model, turns: 0, start, ready: begun.elapsed() }
    }

    pub fn pid(&self) -> u32 {
        self.client.pid()
    }

    /// Leaves as an editor does.
    pub fn finish(self) {
        self.client.finish();
    }

    /// One turn with a short answer.
    pub fn turn(&mut self) -> Turn {
        let (first, last) = (Gate::new(), Gate::new());
        self.model.push(
            Reply::stream()
                .burst()
                .wait(&first)
                .text("(:type :response :payload (:text \"A first line.\nAnd ")
                .wait(&last)
                .text("a second one.\"))")
                .finish("stop")
                .usage(7, 11)
                .done(),
        );
        let (receipt, ack) = self.ask();
        let begun = self.open(&first);
        self.client.wait_for(|message| message["method"] == "orgAgent/delta");
        let first = begun.elapsed();
        let begun = self.open(&last);
        let actuation = self.client.wait_for(is_actuation);
        let last = begun.elapsed();
        self.end(&receipt, &actuation);
        Turn { ack, first, last }
    }

    /// One turn whose answer is [`TOKENS`] tokens, in one write or each in its own.
    pub fn burst(&mut self, at_once: bool) -> Burst {
        let gate = Gate::new();
        self.model.push(burst(at_once, &gate));
        let (receipt, _) = self.ask();
        let before = process::work(self.pid());
        let begun = self.open(&gate);
        let actuation = self.client.wait_for(is_actuation);
        let wall = begun.elapsed();
        // Threads are counted when they leave the processor.
        thread::sleep(CALM);
        let cpu = process::work(self.pid()).since(&before).cpu;
        self.end(&receipt, &actuation);
        Burst { cpu, wall }
    }

    /// Sends a message and waits until the model was asked; the answer, and how long that took.
    fn ask(&mut self) -> (Value, Duration) {
        self.turns += 1;
        let begun = Instant::now();
        let name = format!("{}-{}", self.client.pid(), self.turns);
        let receipt = self.client.chat("*org-agent-chat*", &name, "How are you?");
        let time = begun.elapsed();
        drop(self.model.take_request_blocking());
        (receipt, time)
    }

    /// Lets the model go on, once everything is quiet; the moment.
    fn open(&self, gate: &Gate) -> Instant {
        thread::sleep(CALM);
        let now = Instant::now();
        gate.open();
        now
    }

    /// Reports the insert as done, and sees the turn to its end.
    fn end(&mut self, receipt: &Value, actuation: &Value) {
        let done = json!({"actuationId": actuation["params"]["actuationId"], "status": "done"});
        self.client.request("orgAgent/actuated", &done);
        self.client.turn(receipt["turnId"].as_str().unwrap());
    }
}

fn is_actuation(message: &Value) -> bool {
    message["method"] == "orgAgent/actuate"
}

/// A reply of [`TOKENS`] tokens that waits for `gate`.
pub fn burst(at_once: bool, gate: &Gate) -> Reply {
    let reply = Reply::stream().wait(gate).pieces(&reply_of_tokens(), TOKEN);
    let reply = reply.finish("stop").usage(7, TOKENS as u64).done();
    if at_once { reply.burst() } else { reply }
}

/// A reply of exactly [`TOKENS`] tokens: prose in lines, as models write it.
fn reply_of_tokens() -> String {
    const LINE: &str =
        "Some words of an answer, with /emphasis/ and a [[https://example.org][link]] in it.\n";
    let (head, tail) = ("(:type :response :payload (:text \"", "\"))");
    let room = TOKENS * TOKEN - head.len() - tail.len();
    let text: String = LINE.chars().cycle().take(room).collect();
    format!("{head}{text}{tail}")
}
