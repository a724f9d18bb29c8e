//! What a user of a client does and sees, whichever client it is.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before a test fails instead of hanging.
pub const GUARD: Duration = Duration::from_secs(60);
/// How often one looks whether it has come.
const LOOK: Duration = Duration::from_millis(20);

/// The client has nothing for this; why.
#[derive(Debug)]
pub struct Lack(pub String);

/// What an operation yields. What fails panics.
pub type Offered<T> = Result<T, Lack>;

/// What of a message is not its text.
#[derive(Clone, Debug, Default)]
pub struct More {
    /// Names and contents.
    pub embedded: Vec<(String, String)>,
    /// Names and addresses.
    pub linked: Vec<(String, String)>,
}

/// A client with the agent that it started.
///
/// What the client hands on is a list that grows, of objects with `update` (and its `session`), `question` (with its
/// `call` and `options`), or `terminal`, `released` and `read`: what the agent had the client do.
pub trait Client {
    /// What the agent said of itself.
    fn ready(&mut self) -> Value;
    /// Makes a session in the folder of the notes.
    fn new_session(&mut self) -> String;
    /// Opens a session, with what was said in it.
    fn load(&mut self, session: &str) -> Offered<()>;
    /// Opens a session, without what was said in it.
    fn resume(&mut self, session: &str) -> Offered<()>;
    /// The sessions of the folder.
    fn list(&mut self) -> Offered<Vec<Value>>;
    /// Closes a session.
    fn close(&mut self, session: &str) -> Offered<()>;
    /// Deletes a session.
    fn delete(&mut self, session: &str) -> Offered<()>;
    /// What kind of option the user picks from now on when asked; `None`: they leave the question open.
    fn answers(&mut self, kind: Option<&'static str>) -> Offered<()>;
    /// Sends a message, and does not wait for what becomes of it.
    fn prompt(&mut self, session: &str, text: &str, more: More) -> Offered<()>;
    /// Waits for the end of the turn: `result` or `error` as on the wire.
    fn turn(&mut self) -> Value;
    /// Cancels the turn.
    fn cancel(&mut self, session: &str) -> Offered<()>;
    /// Chooses a mode.
    fn set_mode(&mut self, session: &str, mode: &str) -> Offered<()>;
    /// Chooses a value of an option.
    fn set_option(&mut self, session: &str, option: &str, value: &str) -> Offered<()>;
    /// Calls a method that is not of the protocol, named without its underscore.
    fn extension(&mut self, method: &str, params: Value) -> Offered<Value>;
    /// Has a file open in which this was typed and not saved.
    fn unsaved(&mut self, file: &Path, text: &str) -> Offered<()>;
    /// All that the client handed on.
    fn said(&mut self) -> &[Value];
    /// Ends, and with it the agent.
    fn end(&mut self);
    /// Starts anew after the end.
    fn start(&mut self);
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

/// The text of the updates of a kind, put together.
pub fn text(said: &[Value], kind: &str) -> String {
    let updates = said.iter().map(|one| &one["update"]).filter(|update| update["sessionUpdate"] == kind);
    updates.filter_map(|update| update["content"]["text"].as_str()).collect()
}

/// The last update of a kind.
pub fn last<'a>(said: &'a [Value], kind: &str) -> Option<&'a Value> {
    said.iter().map(|one| &one["update"]).rfind(|update| update["sessionUpdate"] == kind)
}
