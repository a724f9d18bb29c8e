//! What needs time, which a test cannot wait for: the plain path with a kernel's queue at its other side and a clock of
//! the test's own.

use std::time::Duration;

use futures::FutureExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::lsp::framing::{Found, Framing};
use crate::outgoing::{Actuation, Address};
use crate::request::Receipt;

const URI: &str = "file:///tmp/a.org";

struct Bench {
    plain: Plain,
    events: mpsc::Receiver<Event>,
    told: Vec<Value>,
}

impl Bench {
    /// A prompt that is sent and marked, and its answer, which the editor was asked to put in.
    fn new() -> Self {
        let (kernel, events) = Handle::new();
        let features = Features { versions: true, ..Features::default() };
        let mut bench = Self { plain: Plain::new(kernel, features), events, told: Vec::new() };
        let text = "* USER\nHi.\n";
        bench.call(
            None,
            "textDocument/didOpen",
            &json!({"textDocument": {"uri": URI, "languageId": "org", "version": 1, "text": text}}),
        );
        bench.call(Some(1), "workspace/executeCommand", &json!({"command": "org-agent.send"}));
        // Commands of files are the server's to run.
        assert!(matches!(bench.event(), Some(Event::Runs(false))));
        let Some(Event::Chat(message, reply)) = bench.event() else { panic!("no message") };
        assert_eq!(message.text, "Hi.");
        let receipt = Receipt {
            event: "e".into(),
            session: "s".into(),
            turn: "t".into(),
            lamport: 1,
            duplicate: false,
            edited: Vec::new(),
        };
        reply.send(Ok(receipt));
        bench.run();
        bench.apply();
        let address =
            Address { actuation: "act".into(), turn: "t".into(), session: "s".into(), attempt: 1, seq: 1 };
        let permit = crate::policy::judge(crate::verify::system_error("broken", None), None, None);
        let actuation = Actuation::new(address, permit, None);
        assert!(bench.plain.takes(&Outgoing::Actuate(Box::new(actuation)), true));
        bench
    }

    fn call(&mut self, id: Option<i64>, method: &str, params: &Value) {
        assert!(self.plain.call(id.map(Id::Number).as_ref(), method, &params.to_string()), "{method}");
    }

    fn event(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    fn run(&mut self) {
        for started in self.plain.take_started() {
            if let Some(done) = started.now_or_never() {
                self.plain.done(done);
            }
        }
    }

    /// What was written since, but answers.
    fn written(&mut self) -> Vec<Value> {
        let mut bytes = Vec::new();
        self.plain.out.write(&mut bytes, Instant::now() + Duration::from_secs(3600));
        let mut written = Vec::new();
        Framing::new().push(&bytes, |found| {
            let Found::Body(body) = found else { panic!("no frame") };
            written.push(serde_json::from_slice::<Value>(&body).unwrap());
        });
        self.told.extend(written.iter().filter(|message| message["method"] == "window/showMessage").cloned());
        written
    }

    /// The edit that was asked for: its identifier, and what the document is then.
    fn asked(&mut self) -> (String, String) {
        let written = self.written();
        let edit = written.iter().rev().find(|message| message["method"] == "workspace/applyEdit");
        let edit = edit.unwrap_or_else(|| panic!("no edit: {written:?}"));
        let document = &self.plain.documents[URI].document;
        let changes = &edit["params"]["edit"]["documentChanges"][0]["edits"];
        let mut text = document.text().unwrap();
        for change in changes.as_array().unwrap().iter().rev() {
            let range = document.bytes(serde_json::from_value(change["range"].clone()).unwrap()).unwrap();
            text.replace_range(range, change["newText"].as_str().unwrap());
        }
        (edit["id"].as_str().unwrap().to_owned(), text)
    }

    fn change(&mut self, text: &str) {
        let version = self.plain.documents[URI].document.version() + 1;
        let params =
            json!({"textDocument": {"uri": URI, "version": version}, "contentChanges": [{"text": text}]});
        self.call(None, "textDocument/didChange", &params);
    }

    fn apply(&mut self) {
        let (id, text) = self.asked();
        self.change(&text);
        assert!(self.plain.answer(&id, Ok(r#"{"applied":true}"#)));
    }

    /// The actions that the kernel was told are in the file.
    fn reported(&mut self) -> Vec<String> {
        let mut reported = Vec::new();
        while let Some(event) = self.event() {
            if let Event::Actuated(actuated, _) = event {
                reported.push(actuated.actuation.0);
            }
        }
        reported
    }
}

#[test]
fn an_edit_without_an_answer_is_kept_and_seen_if_it_was_made() {
    // Never made: the user asks for it.
    let mut bench = Bench::new();
    let (late, _) = bench.asked();
    bench.plain.expire(Instant::now() + Duration::from_secs(31));
    bench.written();
    assert!(bench.told.last().unwrap()["params"]["message"].as_str().unwrap().contains("org-agent.apply"));
    assert_eq!(bench.reported(), [] as [String; 0]);
    // An answer that comes now is one to nothing.
    assert!(bench.plain.answer(&late, Ok(r#"{"applied":true}"#)));
    assert_eq!(bench.reported(), [] as [String; 0]);
    bench.call(Some(2), "workspace/executeCommand", &json!({"command": "org-agent.apply"}));
    bench.apply();
    assert_eq!(bench.reported(), ["act"]);

    // Made, and never said: it is in the document.
    let mut bench = Bench::new();
    let (_, text) = bench.asked();
    bench.plain.expire(Instant::now() + Duration::from_secs(31));
    bench.change(&text);
    assert_eq!(bench.reported(), ["act"]);
}

#[test]
fn the_next_edit_waits_until_the_last_one_is_seen_but_not_for_ever() {
    let mut bench = Bench::new();
    let (id, _) = bench.asked();
    assert!(bench.plain.answer(&id, Ok(r#"{"applied":true}"#)));
    assert_eq!(bench.reported(), ["act"]);
    let key = *bench.plain.turns.keys().next().unwrap();
    bench.plain.reply(key, "second".into(), "More.".to_owned(), Instant::now());
    assert_eq!(bench.written(), [] as [Value; 0]);
    assert!(bench.plain.deadline().is_some());
    bench.plain.expire(Instant::now() + Duration::from_secs(4));
    bench.apply();
    assert_eq!(bench.reported(), ["second"]);
}

#[test]
fn a_question_that_nobody_answers_means_no() {
    let mut bench = Bench::new();
    bench.plain.ask("window/showMessageRequest", &json!({}), Asked::Approval("cmd".into()), Instant::now());
    bench.plain.expire(Instant::now() + Duration::from_secs(1));
    let mut decided = None;
    while let Some(event) = bench.event() {
        if let Event::Decide(decide, _) = event {
            decided = Some(decide);
        }
    }
    let decided = decided.unwrap();
    assert_eq!((decided.actuation.as_str(), decided.choice), ("cmd", Choice::Deny));
}

#[test]
fn documents_are_bounded() {
    let (kernel, _events) = Handle::new();
    let mut plain = Plain::new(kernel, Features::default());
    let mut open = |uri: &str, text: &str| {
        let document = json!({"uri": uri, "languageId": "org", "version": 1, "text": text});
        plain.call(None, "textDocument/didOpen", &json!({"textDocument": document}).to_string());
        plain.documents.len()
    };
    for number in 0..300 {
        assert_eq!(open(&format!("file:///{number}.org"), "x"), (number + 1).min(256));
    }
    let (kernel, _events) = Handle::new();
    let mut plain = Plain::new(kernel, Features::default());
    let text = "x".repeat(15 << 20);
    for number in 0..10 {
        let document = json!({"uri": number.to_string(), "languageId": "org", "version": 1, "text": text});
        plain.call(None, "textDocument/didOpen", &json!({"textDocument": document}).to_string());
    }
    assert_eq!(plain.documents.len(), 8);
}
