//! Durable appends: many writers, each of which waits until its event is on the disk before it appends the
//! next.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use org_agent::ids::SessionId;
use org_agent::record::Record;
use org_agent::store::Store;

use rusqlite::Connection;

use crate::fill::{self, Turns};
use crate::plain;
use crate::table::{Samples, Table, Unit};
use crate::words::Dice;

/// How many write at the same time, each in a session of its own.
const WRITERS: usize = 32;

/// So many events are one sample of the rate.
const SLICE: usize = WRITERS * 16;

/// Both sides, in the store in `dir` and in the plain file at `path`, in turns.
pub fn measure(name: &str, dir: &Path, path: &Path, slices: usize, table: &mut Table) {
    let mut rates = Samples::default();
    let mut bare = Samples::default();
    let mut stores = Stores::open(dir);
    let mut plain = Plain::open(path);
    for slice in 0..=slices {
        let stored = stores.slice();
        let compared = plain.slice();
        // The first is warm-up.
        if slice == 0 {
            stores.times = Times::default();
            continue;
        }
        rates.push(rate(stored));
        bare.push(rate(compared));
    }
    let times = &stores.times;
    let samples = |times: &[Duration]| {
        let mut samples = Samples::default();
        times.iter().for_each(|time| samples.time(*time));
        samples
    };
    table
        .row(&format!("events a second, {WRITERS} writers, durable, {name}"), Unit::Count, &rates)
        .target("≥ 5000")
        .against("plain SQLite", &bare);
    table.row(&format!("  plain SQLite, {WRITERS} rows a commit, {name}"), Unit::Count, &bare);
    table.row("  from append to durable", Unit::Time, &samples(&times.wait));
    table.row("  append, on the caller's thread", Unit::Time, &samples(&times.call));
    table.row("  CPU of the store's thread per event", Unit::Time, &samples(&times.cpu));
    table.row("  events in a transaction", Unit::Count, &times.group);
}

fn rate(took: Duration) -> u64 {
    (SLICE as f64 / took.as_secs_f64()) as u64
}

/// Kept as they come: to sort them is not part of what is measured.
#[derive(Default)]
struct Times {
    wait: Vec<Duration>,
    call: Vec<Duration>,
    cpu: Vec<Duration>,
    group: Samples,
}

/// The store and its writers.
struct Stores {
    store: Store,
    hear: Receiver<u64>,
    turns: Turns,
    writers: Vec<(SessionId, VecDeque<Record>)>,
    times: Times,
}

impl Stores {
    fn open(dir: &Path) -> Self {
        let (mut store, hear) = fill::open(dir);
        let mut dice = Dice::new(0x0a99_e7d5);
        let writers: Vec<_> = (0..WRITERS).map(|_| (SessionId(dice.id()), VecDeque::new())).collect();
        for (session, _) in &writers {
            fill::begin(&mut store, session);
        }
        Self { store, hear, turns: Turns::new(0x0a99_e7d6), writers, times: Times::default() }
    }

    /// Appends [`SLICE`] events and waits for the last of them.
    fn slice(&mut self) -> Duration {
        for (_, records) in &mut self.writers {
            while records.len() < SLICE / WRITERS * 4 {
                records.extend(self.turns.turn().0);
            }
        }
        let (spent, transactions) = (processor(), self.store.transactions());
        let begun = Instant::now();
        let mut left = SLICE;
        // In the order of their tickets.
        let mut waiting: VecDeque<(u64, usize, Instant)> = VecDeque::new();
        let mut ready: Vec<usize> = (0..WRITERS).collect();
        loop {
            for writer in ready.drain(..) {
                if left == 0 {
                    break;
                }
                left -= 1;
                let (session, records) = &mut self.writers[writer];
                let record = records.pop_front().unwrap();
                let asked = Instant::now();
                let ticket = self.store.append(session, &record).unwrap().ticket;
                self.times.call.push(asked.elapsed());
                waiting.push_back((ticket, writer, asked));
            }
            if waiting.is_empty() {
                break;
            }
            let durable = self.hear.recv().unwrap();
            while waiting.front().is_some_and(|(ticket, ..)| *ticket <= durable) {
                let (_, writer, asked) = waiting.pop_front().unwrap();
                self.times.wait.push(asked.elapsed());
                ready.push(writer);
            }
        }
        let took = begun.elapsed();
        self.times.cpu.push((processor() - spent) / SLICE as u32);
        self.times.group.push(SLICE as u64 / (self.store.transactions() - transactions).max(1));
        took
    }
}

/// The plain file, and the same kind of events.
struct Plain {
    db: Connection,
    turns: Turns,
    sessions: Vec<String>,
}

impl Plain {
    fn open(path: &Path) -> Self {
        let mut dice = Dice::new(0x0a99_e7d5);
        let sessions = (0..WRITERS).map(|_| dice.id()).collect();
        Self { db: plain::open(path), turns: Turns::new(0x0a99_e7d6), sessions }
    }

    /// As many events, one of each writer in a transaction: more cannot wait at a time.
    fn slice(&mut self) -> Duration {
        let mut bodies = Vec::new();
        while bodies.len() < SLICE {
            bodies.extend(self.turns.turn().0.iter().map(|record| serde_json::to_string(record).unwrap()));
        }
        let begun = Instant::now();
        for group in bodies[..SLICE].chunks(WRITERS) {
            let transaction = self.db.transaction().unwrap();
            for (session, body) in self.sessions.iter().zip(group) {
                transaction
                    .prepare_cached("INSERT INTO events (session, body) VALUES (?1, ?2)")
                    .unwrap()
                    .execute([session, body])
                    .unwrap();
            }
            transaction.commit().unwrap();
        }
        begun.elapsed()
    }
}

/// The time that the store's thread has had a processor.
fn processor() -> Duration {
    let threads = fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path());
    let store =
        |path: &PathBuf| fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim_end() == "store");
    threads
        .filter(store)
        .map(|path| {
            let times = fs::read_to_string(path.join("schedstat")).unwrap();
            Duration::from_nanos(times.split(' ').next().unwrap().parse().unwrap())
        })
        .sum()
}
