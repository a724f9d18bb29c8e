//! SBCL in a process of its own, which is asked to read a reply many times.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A running SBCL.
pub struct Sbcl {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Sbcl {
    /// Starts one, if it is installed.
    pub fn start() -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/verifier/sbcl.lisp");
        let mut child = Command::new("sbcl")
            .args(["--noinform", "--no-sysinit", "--no-userinit", "--disable-debugger", "--load", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let input = child.stdin.take()?;
        let output = BufReader::new(child.stdout.take()?);
        Some(Self { child, input, output })
    }

    /// Reads the reply in the file at `path` so many times; the mean time of one, with what the collection of
    /// garbage and, once, the way to the process and back take.
    pub fn read(&mut self, path: &Path, count: u32) -> Duration {
        // The first time, the file is read.
        self.ask(path, 1);
        let begun = Instant::now();
        self.ask(path, count);
        begun.elapsed() / count
    }

    fn ask(&mut self, path: &Path, count: u32) {
        writeln!(self.input, "({:?} {count})", path.to_str().unwrap()).unwrap();
        self.input.flush().unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n", "SBCL failed");
    }
}

impl Drop for Sbcl {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
