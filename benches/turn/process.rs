//! What the kernel of the operating system says about a process: CPU, memory, wake-ups. Linux only.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

/// What a process has done so far, by its threads.
pub struct Work(BTreeMap<String, Spent>);

/// What was spent.
#[derive(Clone, Copy, Default)]
pub struct Spent {
    /// On a processor.
    pub cpu: Duration,
    /// How often it began to wait, and so how often it was woken.
    pub switches: u64,
}

/// Memory in bytes.
pub struct Memory {
    pub resident: u64,
    pub peak: u64,
    /// Of what is resident, that which is no page of a file.
    pub own: u64,
}

/// What the threads of a process have done so far.
pub fn work(pid: u32) -> Work {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let path = entry.unwrap().path();
        // A thread may end between the two.
        let Ok(status) = fs::read_to_string(path.join("status")) else { continue };
        let Ok(schedule) = fs::read_to_string(path.join("schedstat")) else { continue };
        let spent =
            Spent { cpu: on_processor(&schedule), switches: field(&status, "voluntary_ctxt_switches") };
        threads.insert(path.file_name().unwrap().to_string_lossy().into_owned(), spent);
    }
    Work(threads)
}

impl Work {
    /// What was done since `before`. The last work of a thread that ended meanwhile is missing.
    pub fn since(&self, before: &Self) -> Spent {
        let mut sum = Spent::default();
        for (thread, spent) in &self.0 {
            let earlier = before.0.get(thread).copied().unwrap_or_default();
            sum.cpu += spent.cpu - earlier.cpu;
            sum.switches += spent.switches - earlier.switches;
        }
        sum
    }
}

/// The time that the calling thread was on a processor.
pub fn own_cpu() -> Duration {
    // The count is brought up to date when the thread leaves the processor.
    thread::sleep(Duration::from_millis(1));
    on_processor(&fs::read_to_string("/proc/thread-self/schedstat").unwrap())
}

/// The memory of a process.
pub fn memory(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    // In units of 1,024 bytes, whatever is written there.
    let bytes = |name| field(&status, name) * 1024;
    Memory { resident: bytes("VmRSS"), peak: bytes("VmHWM"), own: bytes("RssAnon") }
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The first number counts nanoseconds.
fn on_processor(schedule: &str) -> Duration {
    Duration::from_nanos(schedule.split(' ').next().unwrap().parse().unwrap())
}
