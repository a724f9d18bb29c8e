//! The scenes: keys, and what they bring onto the screen.

use crate::face::Face;
use crate::fake_model::{FakeModel, Gate, Reply};

pub const NOTES: &str =
    "#+title: Garden\n\n* Beds\n** Tomatoes\nWater them every other day.\n** Beans\nThey climb.\n";

pub const PROGRAM: &str = "\
def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


print([fib(n) for n in range(20)])
";

/// An insert as a model writes it; `text` needs no escapes.
fn insert(text: &str) -> String {
    format!(
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "*org-agent-chat*" :text "{text}"))"#
    )
}

/// A command as a model writes it.
fn command(words: &str, why: &str) -> String {
    format!(r#"(:type :request :target :shell :payload (:cmd "{words}") :explanation "{why}")"#)
}

/// The input area of the chat is there, and the server with it.
fn ready(face: &mut dyn Face) {
    face.until("* USER");
}

/// A question and its answer: what streams is not in the buffer yet; then it is, and one undo takes it away.
pub fn chat(face: &mut dyn Face, model: &FakeModel) {
    let gate = Gate::new();
    let whole = insert(
        "Every other day, in the morning. A glance at the soil tells more:\n\n- dry a finger deep: water\n- moist: wait a day",
    );
    let (begin, rest) = whole.split_at(whole.len() / 2 + 40);
    model.push(Reply::stream().text(begin).wait(&gate).text(rest).finish("stop").usage(812, 61).done());
    ready(face);
    face.type_text("When do I water the tomatoes?");
    face.press("C-c C-c");
    let shown = face.until("A glance at the");
    assert!(shown.contains("not verified"), "{shown}");
    // While it streams, the next message can be written.
    face.type_text("And the be");
    face.picture("streaming");
    gate.open();
    let shown = face.until("moist: wait a day");
    let shown = if shown.contains("not verified") {
        face.until_it("the verified reply", |shown| !shown.contains("not verified"))
    } else {
        shown
    };
    assert!(shown.contains("** ASSISTANT") && shown.contains("And the be"), "{shown}");
    face.type_text("ans?");
    face.until("And the beans?");
    let request = model.take_request_blocking();
    assert!(request.messages().last().unwrap().1.ends_with("When do I water the tomatoes?"));
    face.picture("chat");
    // The user's own words are undone first, then the reply as one step.
    face.press("C-/ C-/");
    face.until_it("the reply to be undone", |shown| !shown.contains("wait a day"));
}

/// A command that changes something is asked about; the answer is the user's.
pub fn approval(face: &mut dyn Face, model: &FakeModel) {
    model.push(Reply::complete(&command("cp notes.org notes.bak", "A copy, in case."), 5));
    model.push(Reply::complete(&insert("There is a copy now: =notes.bak=."), 5));
    ready(face);
    face.type_text("Keep a copy of my notes.");
    face.press("C-c C-c");
    // Word by word, so that a blank in a name is seen.
    let shown = face.until("  notes.bak");
    assert!(shown.contains("A copy, in case."), "{shown}");
    face.picture("approval");
    // A key that comes before one can have read the question decides nothing.
    face.linger();
    face.press("C-c C-y");
    let shown = face.until("There is a copy now");
    // What was done stays above the reply, and unfolds at the place of its line.
    assert!(shown.contains(":COMMAND: cp notes.org notes.bak … exit 0"), "{shown}");
    assert!(shown.find(":COMMAND:") < shown.find("** ASSISTANT"), "{shown}");
    face.press("C-r");
    face.type_text("** ASS");
    face.press("RET TAB");
    let shown = face.until("[fold] [why]");
    assert!(shown.contains("The model said: A copy, in case."), "{shown}");
    face.picture("drawer");
    face.press("TAB");
    face.until("[show] [why]");
    model.take_request_blocking();
    let told = model.take_request_blocking().messages();
    let (_, told) = told.iter().rev().find(|(role, _)| role == "user").unwrap();
    assert!(told.contains("exit") || told.contains("status"), "{told}");
}

/// Two chats, and the list that has both; one is opened from it.
pub fn sessions(face: &mut dyn Face, model: &FakeModel) {
    ready(face);
    for (said, heard) in
        [("When do I water the tomatoes?", "Every other day."), ("How high do beans climb?", "Two metres.")]
    {
        model.push(Reply::stream().text(&insert(heard)).finish("stop").usage(640, 22).done());
        face.type_text(said);
        face.press("C-c C-c");
        face.until(heard);
        model.take_request_blocking();
        face.press("C-u");
        face.command("org-agent-chat");
        face.until_it("an empty chat", |shown| !shown.contains(heard));
    }
    face.press("C-x 1");
    face.command("org-agent-sessions");
    let shown = face.until("How high do beans climb?");
    assert!(shown.contains("When do I water") && shown.contains("fake-model"), "{shown}");
    face.picture("sessions");
    // The newest stands first, and the other one below it.
    face.press("M-<");
    face.press("n RET");
    let shown = face.until("Every other day.");
    assert!(!shown.contains("Two metres."), "{shown}");
}

/// A function is rewritten in its place: shown, compared, accepted, and undone in one step.
pub fn rewriting(face: &mut dyn Face, model: &FakeModel) {
    let new =
        "def fib(n):\\n    a, b = 0, 1\\n    for _ in range(n):\\n        a, b = b, a + b\\n    return a\\n";
    model.push(Reply::complete(&format!("(:type :response :payload (:text \"{new}\"))"), 5));
    ready(face);
    face.press("C-x C-f");
    face.type_text("fib.py");
    face.press("RET");
    face.until("print([fib(n)");
    face.press("C-SPC C-n C-n C-n C-n");
    face.command("org-agent-rewrite");
    face.until("Rewrite:");
    face.type_text("Without recursion");
    face.press("RET");
    face.until("    return a");
    let messages = model.take_request_blocking().messages();
    assert!(messages.last().unwrap().1.contains("Without recursion"), "{messages:?}");
    face.command("org-agent-rewrite-diff");
    let shown = face.until("+    for _ in range(n):");
    assert!(shown.contains("-    return fib(n - 1) + fib(n - 2)"), "{shown}");
    face.picture("rewrite");
    // As the difference says.
    face.press("C-c C-c");
    face.until_it("the new text alone", |shown| shown.contains("    return a") && !shown.contains("n - 2"));
    face.press("C-/");
    face.until("return fib(n - 1) + fib(n - 2)");
}
