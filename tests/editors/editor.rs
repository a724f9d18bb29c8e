//! What a user of an editor does and sees, whichever editor it is.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test fails instead of hanging.
pub const GUARD: Duration = Duration::from_secs(60);
/// How often one looks whether it has come.
const LOOK: Duration = Duration::from_millis(50);

/// The client has nothing for this; why.
#[derive(Debug)]
pub struct Lack(pub String);

/// What an operation yields. What fails panics.
pub type Offered<T> = Result<T, Lack>;

/// A question that the user was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub message: String,
    pub titles: Vec<String>,
}

/// An editor with one file open and the server attached to it. Positions are given by a text that stands there: the
/// last place that has it.
pub trait Editor {
    /// Opens the file and attaches the server.
    fn open(&mut self, file: &Path) -> Offered<()>;
    /// The text of the buffer, saved or not.
    fn text(&mut self) -> String;
    /// Goes to a text.
    fn go(&mut self, to: &str);
    /// Types at the end of the last line.
    fn type_at_end(&mut self, text: &str);
    /// What the menu of code actions offers here.
    fn actions(&mut self) -> Offered<Vec<String>>;
    /// Picks a code action here.
    fn act(&mut self, title: &str) -> Offered<()>;
    /// Selects a text and picks a code action for it.
    fn act_on(&mut self, text: &str, title: &str) -> Offered<()>;
    /// Runs the code lens of this title.
    fn lens(&mut self, title: &str) -> Offered<()>;
    /// Has the server execute a command without arguments.
    fn execute(&mut self, command: &str) -> Offered<()>;
    /// Has the server execute a command with the document as its argument.
    fn execute_here(&mut self, command: &str, file: &Path) -> Offered<()>;
    /// What the user answers from now on when asked; `None`: they walk away from the question.
    fn answer(&mut self, title: Option<&str>) -> Offered<()>;
    /// Whether the client answers nothing at all when the user walks away.
    fn leaves_unanswered(&mut self) -> bool {
        false
    }
    /// What the user was asked so far.
    fn questions(&mut self) -> Vec<Question>;
    /// What is or was shown as progress.
    fn progress(&mut self) -> Offered<Vec<String>>;
    /// Cancels what is in progress, where it is shown.
    fn cancel_progress(&mut self) -> Offered<()>;
    /// Types this at the end of the buffer and completes it to the first that has `part`.
    fn complete(&mut self, typed: &str, part: &str) -> Offered<()>;
    /// The diagnostics of the buffer.
    fn diagnostics(&mut self) -> Offered<Vec<String>>;
    /// Whether edits of the server are refused from now on.
    fn refuse(&mut self, refuses: bool) -> Offered<()>;
    /// Leaves the editor.
    fn quit(&mut self);
    /// What may explain a failure.
    fn trouble(&mut self) -> String;
}

/// Waits until `ready` yields something.
#[track_caller]
pub fn wait<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(start.elapsed() < GUARD, "waited too long for {what}");
        thread::sleep(LOOK);
    }
}

/// Waits until the text of the buffer is as wanted.
#[track_caller]
pub fn until(editor: &mut dyn Editor, what: &str, wanted: impl Fn(&str) -> bool) -> String {
    let start = Instant::now();
    loop {
        let text = editor.text();
        if wanted(&text) {
            return text;
        }
        assert!(start.elapsed() < GUARD, "waited too long for {what}; the buffer:\n{text}");
        thread::sleep(LOOK);
    }
}
