//! Measures the real binary, driven as an editor drives it, against a model server on this machine.
//!
//! `cargo bench` measures and prints one table; `-- --quick`, or any run that is not `cargo bench`, goes
//! through everything once to see that it works. Nothing here passes or fails because of a time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement that fails stops")]

#[path = "../../tests/common/client.rs"]
mod client;
#[path = "../../tests/common/fake_model.rs"]
mod fake_model;

#[path = "../../tests/acp/client.rs"]
mod acp_client;

mod acp;
mod baseline;
mod process;
mod server;
mod table;

use std::io::Write;
use std::time::Duration;

use tempfile::TempDir;

use server::Server;
use table::{Samples, Table, Unit};

/// How many tokens are a burst, and how many bytes a token.
const TOKENS: usize = 5_000;
const TOKEN: usize = 4;

/// How much is measured.
struct Effort {
    starts: usize,
    turns: usize,
    servers: usize,
    bursts: usize,
    history: usize,
    idle: Duration,
}

const FULL: Effort =
    Effort { starts: 40, turns: 200, servers: 5, bursts: 4, history: 50, idle: Duration::from_secs(5) };

const QUICK: Effort =
    Effort { starts: 1, turns: 2, servers: 1, bursts: 1, history: 2, idle: Duration::from_millis(100) };

fn main() {
    let said = |word: &str| std::env::args().any(|argument| argument == word);
    let quick = said("--quick") || !said("--bench");
    let effort = if quick { QUICK } else { FULL };
    let mut out = std::io::stdout().lock();
    if quick || cfg!(debug_assertions) {
        writeln!(out, "once through, to see that it works: these are no measurements\n").unwrap();
    }
    let mut table = Table::default();
    start_up(&effort, &mut table);
    turns(&effort, &mut table);
    bursts(&effort, &mut table);
    acp::measure(&effort, &mut table);
    idle(&effort, &mut table);
    write!(out, "{table}").unwrap();
}

/// A home on the disk of the build, which is a real one more often than the temporary directory is. Nothing is summarised: it would
/// be a second call of the model in the middle of what is measured.
fn directory() -> TempDir {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(home.path().join("config.toml"), "[sessions]\nsummarise = false\n").unwrap();
    home
}

/// From the start of the process to the answer to `initialize`.
fn start_up(effort: &Effort, table: &mut Table) {
    // Of a home with history, and of an empty one: to the answer, and to the first answer from the store.
    let mut times: [[Samples; 2]; 2] = Default::default();
    let mut bare = Samples::default();
    let home = directory();
    let mut server = Server::start(home.path());
    for _ in 0..effort.history {
        server.turn();
    }
    server.finish();
    for run in 0..=effort.starts {
        let new = directory();
        // In turns, so that a busy moment of the machine meets all of them.
        for (home, [start, ready]) in [&home, &new].into_iter().zip(&mut times) {
            let server = Server::start(home.path());
            // The first is warm-up.
            if run > 0 {
                start.time(server.start);
                ready.time(server.ready);
            }
            server.finish();
        }
        let process = baseline::spawn();
        if run > 0 {
            bare.time(process);
        }
    }
    let [[start, ready], [first_start, first_ready]] = &times;
    table
        .row("start-up to `initialize` reply, home with history", Unit::Time, start)
        .target("< 10 ms")
        .peers("lsp-ai 22 to 31 ms, goose 105 ms, codex 148 ms")
        .against("starting /bin/true", &bare);
    table
        .row("start-up to `initialize` reply, first start ever", Unit::Time, first_start)
        .target("< 10 ms")
        .against("starting /bin/true", &bare);
    table.row("start-up to the store's first answer, home with history", Unit::Time, ready);
    table.row("start-up to the store's first answer, first start ever", Unit::Time, first_ready);
    table.row("starting /bin/true, to its end", Unit::Time, &bare);
}

/// The moments of a turn.
fn turns(effort: &Effort, table: &mut Table) {
    let (mut ack, mut first, mut last) = (Samples::default(), Samples::default(), Samples::default());
    let mut disk = Samples::default();
    let home = directory();
    let mut server = Server::start(home.path());
    let mut file = baseline::Log::new(home.path());
    for run in 0..effort.turns + effort.turns.min(20) {
        let turn = server.turn();
        let bare = file.append();
        if run >= effort.turns.min(20) {
            ack.time(turn.ack);
            first.time(turn.first);
            last.time(turn.last);
            disk.time(bare);
        }
    }
    server.finish();
    table.row("event to durable answer", Unit::Time, &ack).against("4 KiB appended and synced", &disk);
    table
        .row("first byte of the model to first delta", Unit::Time, &first)
        .target("< 2 ms")
        .peers("goose 4 to 6 ms, lsp-ai 6.4 ms, codex 34 ms");
    table
        .row("last byte of the model to actuation (durable)", Unit::Time, &last)
        .against("4 KiB appended and synced", &disk);
    table.row("4 KiB appended and synced, same disk", Unit::Time, &disk);
}

/// Many tokens at once, and the memory that all of it takes.
fn bursts(effort: &Effort, table: &mut Table) {
    let mut memory: [Samples; 6] = Default::default();
    // By how the tokens are sent: all in one write, or each in its own.
    let mut cpu: [Samples; 2] = Default::default();
    let mut wall: [Samples; 2] = Default::default();
    let mut bare: [Samples; 2] = Default::default();
    for _ in 0..effort.servers {
        let home = directory();
        let mut server = Server::start(home.path());
        let at_first = process::memory(server.pid());
        memory[0].push(at_first.resident);
        memory[5].push(at_first.own);
        server.turn();
        memory[1].push(process::memory(server.pid()).resident);
        for run in 0..=effort.bursts {
            for (way, at_once) in [true, false].into_iter().enumerate() {
                let burst = server.burst(at_once);
                let reference = baseline::read_burst(at_once);
                if run > 0 {
                    cpu[way].time(burst.cpu / TOKENS as u32);
                    wall[way].time(burst.wall / TOKENS as u32);
                    bare[way].time(reference / TOKENS as u32);
                }
            }
        }
        let at_last = process::memory(server.pid());
        memory[2].push(at_last.resident);
        memory[3].push(at_last.peak);
        memory[4].push(at_last.own);
        server.finish();
    }
    for (way, name) in ["in one write", "one write each"].into_iter().enumerate() {
        table
            .row(&format!("CPU per token, 5,000 tokens {name}"), Unit::Time, &cpu[way])
            .target("< 5 µs")
            .peers("codex 26 µs, goose 40 µs")
            .against("bare loop", &bare[way]);
        table.row(&format!("time per token to actuation, {name}"), Unit::Time, &wall[way]);
        table.row(&format!("bare loop over the same stream, {name}"), Unit::Time, &bare[way]);
    }
    table
        .row("resident memory at rest, after `initialize`", Unit::Bytes, &memory[0])
        .target("< 15 MB")
        .peers("lsp-ai 8 MB, goose 58 MB, codex 59 MB");
    table.row("resident memory at rest, after one turn", Unit::Bytes, &memory[1]).target("< 15 MB");
    table.row("resident memory at rest, after bursts of 5,000 tokens", Unit::Bytes, &memory[2]);
    table.row("resident memory, peak", Unit::Bytes, &memory[3]);
    table.row("of that not the program's file: after `initialize`", Unit::Bytes, &memory[5]);
    table.row("of that not the program's file: after bursts", Unit::Bytes, &memory[4]);
}

/// What the server does while nothing is to be done.
fn idle(effort: &Effort, table: &mut Table) {
    for (name, turn) in [("after `initialize`", false), ("after a turn", true)] {
        let (mut cpu, mut wakeups) = (Samples::default(), Samples::default());
        for _ in 0..effort.servers.min(3) {
            let home = directory();
            let mut server = Server::start(home.path());
            if turn {
                server.turn();
            }
            // What a turn leaves behind is part of the turn.
            std::thread::sleep(effort.idle / 2);
            let before = process::work(server.pid());
            std::thread::sleep(effort.idle);
            let spent = process::work(server.pid()).since(&before);
            cpu.time(spent.cpu);
            wakeups.push(spent.switches);
            server.finish();
        }
        let seconds = effort.idle.as_secs();
        table.row(&format!("CPU in {seconds} s of idling, {name}"), Unit::Time, &cpu).target("0");
        table.row(&format!("wake-ups in {seconds} s of idling, {name}"), Unit::Count, &wakeups).target("0");
    }
}
