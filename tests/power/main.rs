//! The power fails under the real server: nothing acknowledged is lost, nothing happens twice.
//!
//! A small library is preloaded into the server and writes down what reaches the disk and when (`shim.c`). From
//! that trace, disks are made as a power failure could have left them (`disk.rs`), and each is checked against what
//! the server had acknowledged by then. A control does the same on a disk that lies about `fsync`: there the check
//! has to find losses.
//!
//! `ORG_AGENT_POWER_SECONDS` says for how long disks are made (20 if unset), `ORG_AGENT_POWER_SEED` repeats the choices
//! of an earlier run; how the server's threads interleave remains its own. With `ORG_AGENT_POWER_KEEP` a disk with something
//! wrong is kept. Docs: docs/durability.md.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]
#![allow(clippy::print_stdout, reason = "the counts are what a reader wants to see")]

mod check;
#[path = "../common/client.rs"]
mod client;
mod disk;
mod ledger;
#[path = "../kill/rng.rs"]
mod rng;
mod shim;
mod trace;
mod workload;

use std::collections::HashSet;
use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use check::Verdict;
use disk::{Disk, Fate};
use ledger::Ledger;
use org_agent::store::Store;
use rng::Rng;
use shim::Shim;
use trace::{Op, Trace};
use workload::Workload;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

fn seed() -> u64 {
    let seed = variable("ORG_AGENT_POWER_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) ^ now.as_secs()
    });
    println!("ORG_AGENT_POWER_SEED={seed}");
    seed
}

/// What a run of the server left: the trace, and what was acknowledged when.
struct Run {
    workload: Workload,
    trace: Trace,
    ledger: Ledger,
    lies: bool,
}

impl Run {
    /// Servers, each with so many messages, killed or not.
    fn new(seed: u64, lies: bool, lives: &[(usize, bool)]) -> Self {
        let play = |again: u64| {
            let shim = Shim::new(lies);
            let mut workload = Workload::new(seed.wrapping_add(again));
            for (count, kill) in lives {
                workload.live(&shim, *count, *kill);
            }
            Trace::read(&shim.trace()).map(|trace| (shim, workload, trace))
        };
        let (shim, workload, trace) = (0..5).find_map(play).expect("a whole trace in five");
        let ledger = Ledger::read(&trace, &workload);
        // The shim saw everything: what it wrote down makes what is there.
        let (made, there) = (Disk::after(&trace, trace.records.len()).everything(), disk::read(&shim.home()));
        let names = |image: &disk::Image| image.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&made), names(&there), "the shim missed a name");
        for (path, content) in &there {
            assert!(made[path] == *content, "the shim missed a change of {path}");
        }
        Self { workload, trace, ledger, lies }
    }

    /// After how many records the power fails: near an answer, near an fsync, at the beginning of a server,
    /// among its writes, or anywhere.
    fn cut(&self, rng: &mut Rng) -> usize {
        let all = self.trace.records.len() as u64;
        let near = |place: Option<&usize>, rng: &mut Rng| {
            place.map_or(0, |place| (*place as u64 + rng.below(4)).saturating_sub(1))
        };
        let cut = match rng.below(20) {
            0..=6 => {
                let answers: Vec<usize> = (self.ledger.receipts.iter().map(|(at, _)| *at))
                    .chain(self.ledger.reports.iter().map(|(at, _)| *at))
                    .collect();
                near(rng.pick(&answers), rng)
            }
            7..=12 => near(rng.pick(&self.trace.places(Op::Sync)), rng),
            13 => rng.below(all.min(300)),
            14 => near(rng.pick(&self.trace.places(Op::Begin)), rng) + rng.below(60),
            15..=16 => rng.below(all),
            _ => near(rng.pick(&self.trace.places(Op::Write)), rng),
        };
        cut.min(all) as usize
    }

    /// Draws a cut and what survives of it, and checks that. A disk with something wrong is kept.
    fn crash(&self, seed: u64, fate: &mut Fate) -> Verdict {
        let mut rng = Rng(seed);
        let cut = self.cut(&mut rng);
        let image = Disk::after(&self.trace, cut).crash(&mut rng, fate);
        let dir = tempfile::tempdir().unwrap();
        let books = (&self.ledger, &self.workload);
        let check = AssertUnwindSafe(|| check::check(&image, dir.path(), cut, books, &mut rng));
        let verdict = catch_unwind(check).unwrap_or_else(|_| Verdict {
            problems: vec!["the server did not do what it should; see above".to_owned()],
            ..Verdict::default()
        });
        let lists = [&verdict.lost, &verdict.twice, &verdict.problems];
        let wrong = lists.iter().any(|list| !list.is_empty());
        if wrong && !self.lies && std::env::var_os("ORG_AGENT_POWER_KEEP").is_some() {
            let kept = dir.path().join("image");
            std::fs::create_dir(&kept).unwrap();
            disk::write(&image, &kept);
            println!("cut after record {cut}, image kept in {}", dir.keep().display());
        }
        verdict
    }
}

/// What was found on many disks.
#[derive(Default)]
struct Sum {
    images: u64,
    acknowledged: usize,
    lost: usize,
    twice: usize,
    fate: Fate,
    problems: Vec<String>,
}

impl Sum {
    fn add(&mut self, image: u64, verdict: Verdict, fate: Fate) {
        self.images += 1;
        self.acknowledged += verdict.acknowledged;
        self.lost += verdict.lost.len();
        self.twice += verdict.twice.len();
        self.fate.whole += fate.whole;
        self.fate.torn += fate.torn;
        self.fate.dropped += fate.dropped;
        for (kind, found) in [("lost", verdict.lost), ("twice", verdict.twice), ("wrong", verdict.problems)] {
            let found = found.into_iter().map(|what| format!("image {image}: {kind}: {what}"));
            self.problems.extend(found.take(20));
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images, acknowledged, lost, twice, fate, .. } = self;
        writeln!(f, "acknowledged {acknowledged}, lost {lost}, twice {twice}")?;
        let Fate { whole, torn, dropped } = fate;
        write!(
            f,
            "{images} crash images; of what was not durable {whole} whole, {torn} torn, {dropped} dropped"
        )
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_fails() {
    let seconds = variable("ORG_AGENT_POWER_SECONDS").unwrap_or(20);
    let seed = seed();
    let end = Instant::now() + Duration::from_secs(seconds);
    let sum = Mutex::new(Sum::default());
    let next = AtomicU64::new(0);
    let mut runs = 0;
    while runs == 0 || Instant::now() < end {
        let run = Run::new(seed ^ runs, false, &[(90, true), (40, false), (60, true), (30, false)]);
        runs += 1;
        for (what, at) in [("answers", run.ledger.receipts.len()), ("reports", run.ledger.reports.len())] {
            assert!(at >= 150, "only {at} {what} in the trace");
        }
        // A longer test makes a trace anew from time to time.
        let until = end.min(Instant::now() + Duration::from_secs(60));
        let work = || {
            let mut first = true;
            while first || Instant::now() < until {
                first = false;
                let image = next.fetch_add(1, Ordering::Relaxed);
                let mut fate = Fate::default();
                let verdict = run.crash(seed.wrapping_add(image * 0x9e37), &mut fate);
                sum.lock().unwrap().add(image, verdict, fate);
            }
        };
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(4);
        thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    }
    let mut sum = sum.into_inner().unwrap();
    println!("{sum}; {runs} traces");
    sum.problems.truncate(40);
    assert!(sum.problems.is_empty(), "{:#?}", sum.problems);
    // A run on a busy machine makes few disks, and few prove little.
    let at_stake = sum.acknowledged > 0 && sum.fate.torn > 0 && sum.fate.dropped > 0;
    assert!(at_stake || sum.images < 10, "nothing was at stake: {sum}");
}

/// Before anything is acknowledged only this matters: that the next server can start.
#[test]
fn a_home_survives_a_power_failure_at_its_first_start() {
    let seed = seed();
    let run = Run::new(seed, false, &[(1, false)]);
    let first = run.ledger.receipts[0].0 as u64;
    let mut rng = Rng(seed);
    for _ in 0..60 {
        let cut = rng.below(first) as usize;
        let image = Disk::after(&run.trace, cut).crash(&mut rng, &mut Fate::default());
        let dir = tempfile::tempdir().unwrap();
        disk::write(&image, dir.path());
        let findings = Store::open(dir.path(), |_| {}).and_then(|store| store.verify_all());
        assert!(findings.as_ref().is_ok_and(Vec::is_empty), "cut after record {cut}: {findings:?}");
    }
}

/// A file can have its size without its data. Nothing was signed with such a key.
#[test]
fn a_key_whose_data_did_not_reach_the_disk_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("key"), [0; 65]).unwrap();
    Store::open(dir.path(), |_| {}).unwrap();
}

/// The control: if `fsync` makes nothing durable, the same check finds that acknowledged messages are lost.
#[test]
fn a_disk_that_lies_is_found_out() {
    let seed = seed();
    let run = Run::new(seed, true, &[(40, false)]);
    let distinct: HashSet<&str> =
        run.ledger.receipts.iter().map(|(_, receipt)| receipt.event.as_str()).collect();
    assert_eq!(distinct.len(), 40);
    let (mut acknowledged, mut lost) = (0, 0);
    for image in 0..12 {
        let verdict = run.crash(seed.wrapping_add(image), &mut Fate::default());
        acknowledged += verdict.acknowledged;
        lost += verdict.lost.len();
    }
    println!("on a disk that lies: acknowledged {acknowledged}, lost {lost}");
    assert!(lost > 0, "the check finds no loss where nothing is durable");
}
