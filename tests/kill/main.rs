//! `kill -9` of the real server, over and over, and of its client: nothing acknowledged is lost, nothing happens twice.
//!
//! `ORG_AGENT_KILL_SECONDS` says for how long (60 if unset; the last quarter is for the server with which all
//! comes to its end), `ORG_AGENT_KILL_SEED` repeats the choices of an earlier run; the moments at which the server is hit
//! remain its own. Docs: docs/durability.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]
#![allow(clippy::print_stdout, reason = "the counts are what a reader wants to see")]

#[path = "../common/client.rs"]
mod client;
mod editor;
mod file;
mod ledger;
mod memory;
mod restart;
mod rng;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use editor::Editor;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_happens_twice() {
    let seconds = variable("ORG_AGENT_KILL_SECONDS").unwrap_or(60);
    let seed = variable("ORG_AGENT_KILL_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) ^ now.as_secs()
    });
    println!("ORG_AGENT_KILL_SEED={seed}");
    let home = tempfile::tempdir().unwrap();
    let mut editor = Editor::new(home.path(), seed);
    let end = Instant::now() + Duration::from_secs(seconds - seconds / 4);
    while Instant::now() < end {
        editor.live();
    }
    editor.settle();
    let verdict = ledger::check(home.path(), &editor);
    println!("{verdict}");
    assert!(verdict.problems.is_empty(), "{:#?}", verdict.problems);
    // A run in which little happened proves nothing.
    let counts = &editor.counts;
    assert!(counts.at_once > 16 || seconds < 30, "too few sessions at once: {counts:?}");
    for (what, count) in counts.moments() {
        assert!(count > 0 || seconds < 30, "never killed {what}: {counts:?}");
    }
}
