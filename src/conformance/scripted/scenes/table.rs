//! The scenes as a table: their names, what is played, and what only the author of a client can see.

/// A scene.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Its name, which starts it.
    pub name: &'static str,
    /// What is played.
    pub plays: &'static str,
    /// How it starts, for who has not played it.
    pub start: &'static str,
    /// Whether a message starts it.
    pub by_message: bool,
    /// What only the author can see.
    pub look: &'static [&'static str],
}

const ONCE: &str = "the reply stands in the buffer once, as the text that was sent, and nothing else does";

const fn scene(name: &'static str, plays: &'static str, look: &'static [&'static str]) -> Scene {
    Scene { name, plays, start: "send its name as a message", by_message: true, look }
}

/// All scenes, in the order in which they come by themselves.
pub const SCENES: [Scene; 19] = [
    scene(
        "plain",
        "a streamed reply, cut inside characters, escaped and not",
        &["while it streams, the text is marked as not verified", ONCE],
    ),
    scene(
        "retract",
        "a first attempt that is taken back, and a second one",
        &["nothing of the first attempt is left", ONCE],
    ),
    scene("twice", "an insert that is delivered twice", &[ONCE]),
    scene(
        "stale",
        "messages of a turn that were seen already, a stale end among them",
        &["the text that is shown meanwhile has no piece twice", ONCE],
    ),
    scene("late", "deltas, a retraction and another end after the end of a turn", &[ONCE]),
    scene("unknown", "a notification, a request and fields that no client knows", &[ONCE]),
    scene("nothing", "a turn that is done and has no text", &["nothing of what was shown is left"]),
    scene(
        "failed",
        "a System Error, then a turn that failed",
        &["the System Error stands in the buffer once", "that the turn failed can be seen"],
    ),
    scene("long", "a long reply", &["the editor can be used while it comes", ONCE]),
    scene(
        "error",
        "a message that is refused for now, with a hint",
        &["the user sees the message and the hint", "what they wrote is not lost"],
    ),
    scene(
        "conflict",
        "a message that is refused for good",
        &["the user sees the message and the hint", "what they wrote is not lost"],
    ),
    scene("duplicate", "a message that the server has already, whose turn goes on", &[ONCE]),
    scene("run", "a command that may run unasked", &["the command can be seen, and what came of it", ONCE]),
    scene(
        "shell",
        "a command that the user is asked about: approve it",
        &["the question shows the command, its directory and what confines it", ONCE],
    ),
    scene("deny", "a command that the user is asked about: deny it", &["the command does not run", ONCE]),
    scene("abort", "a command that is stopped, as its turn is cancelled", &["the command does not run on"]),
    scene(
        "cancel",
        "a reply that comes slowly: cancel it",
        &["nothing of what was shown is left", "that the turn was cancelled can be seen"],
    ),
    scene(
        "all",
        "what one turn can have: a retraction, a command, stale and unknown messages, a text twice",
        &[ONCE],
    ),
    Scene {
        name: "resume",
        plays: "a reply that a client that came back lacks",
        start: "have the client come back to a session: restart it, or the server, with a chat open",
        by_message: false,
        look: &["the reply that was lacking stands in the buffer once, also after the next restart"],
    },
];
