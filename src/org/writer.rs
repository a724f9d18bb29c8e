//! Where everything is written: through the guard, into what is ready or still held back.
//!
//! It knows no syntax. A place that was written can be changed as long as it is held back.

use super::guard::{Guard, Mode};
use super::report::{Change, Report};

/// A replacement of held text.
#[derive(Debug)]
struct Patch {
    at: usize,
    length: usize,
    with: String,
}

/// The output of a stream.
#[derive(Debug)]
pub(super) struct Writer {
    held: String,
    /// Bytes that were written before what is held.
    gone: usize,
    patches: Vec<Patch>,
    pub(super) guard: Guard,
    pub(super) report: Report,
}

impl Writer {
    pub(super) const fn new() -> Self {
        Self { held: String::new(), gone: 0, patches: Vec::new(), guard: Guard::new(), report: Report::new() }
    }

    pub(super) fn put(&mut self, text: &str, mode: Mode) {
        self.guard.put(text, mode, &mut self.held, &mut self.report);
    }

    pub(super) fn put_char(&mut self, c: char, mode: Mode) {
        self.put(c.encode_utf8(&mut [0; 4]), mode);
    }

    /// Ends the line of output.
    pub(super) fn newline(&mut self) {
        self.put("\n", Mode::Code);
    }

    /// Writes a whole line of our own.
    pub(super) fn line(&mut self, text: &str) {
        self.put(text, Mode::Code);
        self.newline();
    }

    /// The end of all that was written, in bytes from the beginning; for [`Writer::patch`].
    pub(super) fn end(&self) -> usize {
        self.gone + self.held.len() + self.guard.pending()
    }

    /// What was written from place `at` on, which must still be held.
    pub(super) fn since(&self, at: usize) -> &str {
        self.held.get(at.saturating_sub(self.gone)..).unwrap_or_default()
    }

    /// Whether the guard would put a blank between `text` and `next`.
    pub(super) fn would_part(&self, text: &str, next: u8) -> bool {
        let mut guard = self.guard.clone();
        guard.put(text, Mode::Text, &mut String::new(), &mut Report::new());
        guard.last_before(next) == Some(b' ')
    }

    /// Replaces the `length` bytes at `at`, which must still be held, by `with`.
    pub(super) fn patch(&mut self, at: usize, length: usize, with: impl Into<String>) {
        self.patches.push(Patch { at: at - self.gone, length, with: with.into() });
    }

    /// Moves everything written to `out`.
    pub(super) fn flush(&mut self, out: &mut String) {
        if self.patches.is_empty() {
            out.push_str(&self.held);
        } else {
            self.patches.sort_by_key(|patch| patch.at);
            let mut from = 0;
            for patch in self.patches.drain(..) {
                out.push_str(&self.held[from..patch.at]);
                out.push_str(&patch.with);
                from = patch.at + patch.length;
            }
            out.push_str(&self.held[from..]);
        }
        self.gone += self.held.len();
        self.held.clear();
    }

    /// Ends the output.
    pub(super) fn finish(mut self, out: &mut String) -> Vec<Change> {
        self.guard.settle(&mut self.held, &mut self.report);
        self.flush(out);
        self.report.into_changes()
    }
}
