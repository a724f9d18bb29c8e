//! Measures the verifier against other ways to read the same replies: lexpr with the same check, `serde_json` on
//! the equivalent JSON, and, where `sbcl` is installed, `read-from-string` and the same check in Lisp.
//!
//! All of them read the same inputs in turns, in one run, so the ratios hold on a busy machine, too.
//! `cargo bench --bench verifier` measures; `-- --quick`, or any run that is not `cargo bench`, goes through
//! everything once to see that it works. Nothing here passes or fails because of a time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement that fails stops")]

mod input;
mod json;
mod lisp;
mod sbcl;
#[path = "../turn/table.rs"]
#[allow(dead_code, reason = "the other benchmark uses all of it")]
mod table;

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use org_agent::action::{Action, CHAT_BUFFER};
use org_agent::sexp::recogniser::Recogniser;
use org_agent::verify::Reading;

use input::Input;
use sbcl::Sbcl;
use table::{Samples, Table, Unit};

/// The bytes of a token, for replies that are read as they come.
const TOKEN: usize = 4;

/// How much is measured.
struct Effort {
    rounds: usize,
    /// About how long one sample takes.
    sample: Duration,
}

fn main() {
    let said = |word: &str| std::env::args().any(|argument| argument == word);
    let quick = said("--quick") || !said("--bench");
    let effort = if quick {
        Effort { rounds: 1, sample: Duration::ZERO }
    } else {
        Effort { rounds: 40, sample: Duration::from_millis(4) }
    };
    let mut out = std::io::stdout().lock();
    if quick || cfg!(debug_assertions) {
        writeln!(out, "once through, to see that it works: these are no measurements\n").unwrap();
    }
    let mut sbcl = Sbcl::start();
    if sbcl.is_none() {
        writeln!(out, "sbcl is not installed, so it is not measured: apt-get install sbcl\n").unwrap();
    }
    let mut table = Table::default();
    for input in input::all() {
        whole(&input, &effort, sbcl.as_mut(), &mut table);
    }
    chunks(&effort, &mut table);
    write!(out, "{table}").unwrap();
}

/// A whole reply, by each reader.
fn whole(input: &Input, effort: &Effort, mut sbcl: Option<&mut Sbcl>, table: &mut Table) {
    let reply = input.reply.as_str();
    let action = read(reply);
    assert_eq!(lisp::read(reply, CHAT_BUFFER).as_ref(), Ok(&action), "{}", input.name);
    assert_eq!(json::read(&input.json, CHAT_BUFFER).as_ref(), Some(&action), "{}", input.name);
    let path = input.write();
    let count = count(effort, || drop(black_box(read(black_box(reply)))));
    let [mut ours, mut contract, mut typed, mut value, mut lexpr, mut original]: [Samples; 6] =
        Default::default();
    for round in 0..=effort.rounds {
        let times = [
            time(count, || drop(black_box(read(black_box(reply))))),
            time(count, || drop(black_box(typed_json(black_box(&input.json))))),
            time(count, || drop(black_box(any_json(black_box(&input.json))))),
            time(count.div_ceil(4), || drop(black_box(lisp::read(black_box(reply), CHAT_BUFFER)))),
            time(count.div_ceil(4), || drop(black_box(read_all(black_box(reply))))),
        ];
        let baseline = sbcl.as_mut().map(|sbcl| sbcl.read(&path, count.div_ceil(20)));
        // The first is warm-up.
        if round == 0 && effort.rounds > 1 {
            continue;
        }
        for (samples, time) in
            [&mut ours, &mut typed, &mut value, &mut lexpr, &mut contract].into_iter().zip(times)
        {
            samples.time(time);
        }
        baseline.into_iter().for_each(|time| original.time(time));
    }
    let name = input.name;
    table.row(&format!("{name}: ours"), Unit::Time, &ours);
    let against = |row: &mut table::Row| {
        row.against("ours", &ours);
    };
    against(table.row(&format!("{name}: serde_json into a struct"), Unit::Time, &typed));
    against(table.row(&format!("{name}: serde_json into any value"), Unit::Time, &value));
    against(table.row(&format!("{name}: lexpr and the same check"), Unit::Time, &lexpr));
    if sbcl.is_some() {
        against(
            table
                .row(&format!("{name}: SBCL: read-from-string and the same check"), Unit::Time, &original)
                .target("> 20 × ours"),
        );
    }
    against(table.row(&format!("{name}: ours and the Org contract"), Unit::Time, &contract));
}

/// A reply of 20 KB as it comes from a model: token by token.
fn chunks(effort: &Effort, table: &mut Table) {
    let reply = input::of_text(20_000, "").reply;
    let chunks = u32::try_from(reply.len().div_ceil(TOKEN)).unwrap();
    let (mut recogniser, mut reading) = (Samples::default(), Samples::default());
    for round in 0..=effort.rounds {
        let bare = time(1, || {
            let mut bare = Recogniser::new(CHAT_BUFFER);
            for chunk in reply.as_bytes().chunks(TOKEN) {
                bare.feed(chunk).unwrap();
            }
            drop(black_box(bare.finish().unwrap()));
        });
        let whole = time(1, || {
            let mut whole = Reading::new(CHAT_BUFFER, 2);
            for chunk in reply.as_bytes().chunks(TOKEN) {
                whole.feed(chunk).unwrap();
                black_box(whole.take_preview());
            }
            drop(black_box(whole.finish().unwrap()));
        });
        if round > 0 || effort.rounds == 1 {
            recogniser.time(bare / chunks);
            reading.time(whole / chunks);
        }
    }
    table.row("20 KB in chunks of 4 bytes, a chunk", Unit::Time, &recogniser).target("< 50 ns");
    table.row("the same with the Org contract and previews", Unit::Time, &reading);
}

fn read(reply: &str) -> Action {
    let mut recogniser = Recogniser::new(CHAT_BUFFER);
    recogniser.feed(reply.as_bytes()).unwrap();
    recogniser.finish().unwrap()
}

fn read_all(reply: &str) -> Action {
    let mut reading = Reading::new(CHAT_BUFFER, 2);
    reading.feed(reply.as_bytes()).unwrap();
    reading.finish().unwrap().action.action().clone()
}

fn typed_json(text: &str) -> json::Reply {
    serde_json::from_str(text).unwrap()
}

fn any_json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

/// How often `f` runs in a sample.
fn count(effort: &Effort, f: impl Fn()) -> u32 {
    f();
    let once = time(1, f).max(Duration::from_nanos(1));
    u32::try_from(effort.sample.as_nanos() / once.as_nanos()).unwrap().max(1)
}

/// How long `f` takes, by the mean of `count` times.
fn time(count: u32, f: impl Fn()) -> Duration {
    let begun = Instant::now();
    (0..count).for_each(|_| f());
    begun.elapsed() / count
}
