//! Measures the store with a million messages: start-up, lists, history, search, and how fast many writers
//! append.
//!
//! `cargo bench --bench sessions` measures; it takes some minutes to make the messages, and some gigabytes
//! of disk. `-- --quick`, or any run that is not `cargo bench`, goes through everything once with few
//! messages to see that it works. `ORG_AGENT_BENCH_MESSAGES` says how many messages. Nothing here passes or
//! fails because of a time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement that fails stops")]

#[path = "../turn/table.rs"]
#[allow(dead_code, reason = "the other benchmark uses all of it")]
mod table;

mod appends;
mod fill;
mod plain;
mod search;
mod words;

use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use org_agent::ids::{SessionId, TurnId};
use org_agent::prompt;
use org_agent::request::Sessions;
use org_agent::store::Store;

use table::{Samples, Table, Unit};

/// How much is measured.
struct Effort {
    messages: usize,
    rounds: usize,
    searches: usize,
    slices: usize,
}

const FULL: Effort = Effort { messages: 1_000_000, rounds: 50, searches: 5, slices: 40 };

const QUICK: Effort = Effort { messages: 2_000, rounds: 1, searches: 1, slices: 1 };

/// How many messages an editor shows when it opens a session.
const LAST: u32 = 200;

fn main() {
    let said = |word: &str| std::env::args().any(|argument| argument == word);
    let quick = said("--quick") || !said("--bench");
    let mut effort = if quick { QUICK } else { FULL };
    if let Ok(messages) = std::env::var("ORG_AGENT_BENCH_MESSAGES") {
        effort.messages = messages.parse().expect("ORG_AGENT_BENCH_MESSAGES is a number");
    }
    let mut out = std::io::stdout().lock();
    if quick || cfg!(debug_assertions) {
        writeln!(out, "once through, to see that it works: these are no measurements\n").unwrap();
    }
    // On the disk of the build, which is a real one more often than the temporary directory is.
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (store, copy) = (home.path().join("store"), home.path().join("plain.db"));
    let filled = fill::fill(&store, effort.messages);
    let [copied, indexed] = plain::copy(&copy, &store.join("agent.db"));
    let size = |path: &Path| fs::metadata(path).unwrap().len() >> 20;
    writeln!(
        out,
        "{} messages from {} events: {} MiB, made in {:.1} s\nthe messages in plain SQLite: {} MiB, \
         copied in {:.1} s, indexed in {:.1} s\n",
        filled.messages,
        filled.events,
        size(&store.join("agent.db")),
        filled.took.as_secs_f64(),
        size(&copy),
        copied.as_secs_f64(),
        indexed.as_secs_f64()
    )
    .unwrap();
    let mut table = Table::default();
    start(&effort, &store, &copy, &mut table);
    read(&effort, &store, &copy, &filled.longest, &mut table);
    search::compare(&Store::open(&store, |_| ()).unwrap(), &plain::open(&copy), effort.searches, &mut table);
    let name = format!("after {} messages", filled.messages);
    appends::measure(&name, &store, &copy, effort.slices, &mut table);
    let (new, empty) = (home.path().join("new"), home.path().join("empty.db"));
    drop(plain::create(&empty));
    appends::measure("in a new file", &new, &empty, effort.slices, &mut table);
    write!(out, "{table}").unwrap();
}

/// Takes a time per round for each side, in turns, so that a busy moment of the machine meets both.
fn compare(rounds: usize, mut ours: impl FnMut(), mut bare: impl FnMut()) -> [Samples; 2] {
    let mut samples: [Samples; 2] = Default::default();
    for run in 0..=rounds {
        let begun = Instant::now();
        ours();
        let between = Instant::now();
        bare();
        // The first is warm-up.
        if run > 0 {
            samples[0].time(between - begun);
            samples[1].time(between.elapsed());
        }
    }
    samples
}

/// From nothing to a store that answers. Closing is not part of it.
fn start(effort: &Effort, store: &Path, copy: &Path, table: &mut Table) {
    let mut samples: [Samples; 2] = Default::default();
    for run in 0..=effort.rounds {
        let begun = Instant::now();
        let open = Store::open(store, |_| ()).unwrap();
        let ours = begun.elapsed();
        drop(open);
        let begun = Instant::now();
        let open = plain::start(copy);
        let bare = begun.elapsed();
        drop(open);
        // The first is warm-up.
        if run > 0 {
            samples[0].time(ours);
            samples[1].time(bare);
        }
    }
    let [ours, bare] = samples;
    table.row("start-up", Unit::Time, &ours).target("< 50 ms").against("plain SQLite", &bare);
    table.row("  plain SQLite: open, and read one row", Unit::Time, &bare);
}

/// What an editor and a turn read.
fn read(effort: &Effort, store: &Path, copy: &Path, longest: &SessionId, table: &mut Table) {
    let store = Store::open(store, |_| ()).unwrap();
    let plain = plain::open(copy);
    for count in [50, 500] {
        let [ours, bare] = compare(
            effort.rounds,
            || drop(black_box(store.sessions(&Sessions::default(), Some(count), None).unwrap())),
            || assert!(plain::sessions(&plain, count) > 0),
        );
        table
            .row(&format!("session list, first {count}"), Unit::Time, &ours)
            .target("< 5 ms")
            .against("plain SQLite", &bare);
        table.row("  plain SQLite", Unit::Time, &bare);
    }

    // With few messages, even the longest session has no more.
    let page = || black_box(store.last_messages(longest, Some(LAST), None).unwrap());
    let count = page()["items"].as_array().unwrap().len();
    let [ours, bare] = compare(
        effort.rounds,
        || assert_eq!(page()["items"].as_array().unwrap().len(), count),
        || assert_eq!(plain::last(&plain, longest.as_str(), LAST), count),
    );
    table
        .row(&format!("the last {LAST} messages of the longest session"), Unit::Time, &ours)
        .target("< 1 ms")
        .against("plain SQLite", &bare);
    table.row("  plain SQLite", Unit::Time, &bare);

    let turn = TurnId::random().unwrap();
    let limit = u32::try_from(prompt::MESSAGES).unwrap();
    let [ours, bare] = compare(
        effort.rounds,
        || assert!(!black_box(store.history(longest, &turn, limit).unwrap()).is_empty()),
        || assert_eq!(plain::last(&plain, longest.as_str(), limit), prompt::MESSAGES),
    );
    table
        .row(&format!("history for a prompt, {limit} messages"), Unit::Time, &ours)
        .target("")
        .against("plain SQLite", &bare);
    table.row("  plain SQLite: as many messages", Unit::Time, &bare);
}
