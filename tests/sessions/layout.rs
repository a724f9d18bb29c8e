//! The transcript of a session is what stands in its buffer: a client that follows the layout writes the same bytes.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::client::Client;
use crate::*;

/// A buffer: turns in their order, each with its prompt's text and what stands below it.
#[derive(Default)]
struct Buffer {
    session: String,
    level: usize,
    turns: Vec<String>,
    places: HashMap<String, usize>,
}

impl Buffer {
    fn new(level: usize) -> Self {
        Self { level, ..Self::default() }
    }

    fn drawer(key: &str, value: &str) -> String {
        format!(":PROPERTIES:\n:{key}: {value}\n:END:\n")
    }

    fn line(text: &str) -> String {
        format!("{}\n", text.trim_end_matches('\n'))
    }

    /// A message was acknowledged.
    fn prompt(&mut self, receipt: &Value, text: &str) {
        self.session = word(&receipt["sessionId"]);
        self.places.insert(word(&receipt["turnId"]), self.turns.len());
        let (stars, drawer) = ("*".repeat(self.level), Self::drawer("OA_EVENT", &word(&receipt["eventId"])));
        self.turns.push(format!("{stars} USER\n{drawer}{}", Self::line(text)));
    }

    /// A text is to be inserted: below its own prompt.
    fn insert(&mut self, params: &Value) {
        let payload = &params["action"]["payload"];
        let (stars, drawer) =
            ("*".repeat(self.level + 1), Self::drawer("OA_ACT", &word(&params["actuationId"])));
        let at = self.places[&word(&params["turnId"])];
        self.turns[at]
            .push_str(&format!("{stars} ASSISTANT\n{drawer}{}", Self::line(&word(&payload["text"]))));
    }

    fn text(&self) -> String {
        Self::drawer("OA_SESSION", &self.session) + &self.turns.concat()
    }

    fn send(&mut self, client: &mut Client, text: &str) -> Sent {
        let more = json!({"level": self.level});
        let (sent, receipt) = sent(client, &self.session, text, &more);
        self.prompt(&receipt, text);
        sent
    }

    /// Waits for a turn's end and applies what comes.
    fn end(&mut self, client: &mut Client, sent: &Sent) {
        for message in client.turn(&sent.turn) {
            if message["method"] == "orgAgent/actuate" && message["params"]["action"]["target"] != "shell" {
                self.insert(&message["params"]);
            }
        }
    }

    fn say(&mut self, client: &mut Client, text: &str) -> Sent {
        let sent = self.send(client, text);
        self.end(client, &sent);
        sent
    }
}

/// Decides about the command of a turn and reports it.
fn run(client: &mut Client, turn: &str, choice: &str) {
    let id = command(client, turn)["actuationId"].clone();
    let decided = client.request("orgAgent/decide", &json!({"actuationId": id, "choice": choice}));
    if decided["decision"] == "allow" {
        let report =
            json!({"actuationId": id, "token": decided["token"], "status": "done", "stdout": "out\n* x\n"});
        client.request("orgAgent/actuated", &report);
    }
}

#[test]
fn the_export_of_an_unedited_session_equals_the_buffer() {
    let home = home();
    let mut client = server(home.path());
    let mut buffer = Buffer::new(1);
    buffer.say(&mut client, "echo: Grüße, 日本 🦀 e\u{301}");
    buffer.say(&mut client, "  \n\nechoes\n\n\n");
    buffer.say(&mut client, "\n** a heading\n:PROPERTIES:\n:OA_EVENT: x\n:END:\n#+begin_src sh\n* in code\n");
    buffer.say(&mut client, "echo: one\ntwo\r\nthree\ttab");
    // Commands and their outcomes are in no buffer.
    for choice in ["run", "deny"] {
        let sent = buffer.send(&mut client, &format!("run: true {choice}"));
        run(&mut client, &sent.turn, choice);
        buffer.end(&mut client, &sent);
    }
    // A turn that is cancelled has a prompt and no reply.
    let cancelled = buffer.send(&mut client, "run: false");
    command(&mut client, &cancelled.turn);
    client.request("orgAgent/cancel", &json!({"turnId": cancelled.turn}));
    buffer.end(&mut client, &cancelled);
    // Two at once, behind one that waits: each reply stands below its own prompt.
    let first = buffer.send(&mut client, "run: true");
    let (second, third) =
        (buffer.send(&mut client, "echo: second"), buffer.send(&mut client, "echo: third\n"));
    run(&mut client, &first.turn, "run");
    for sent in [&first, &second, &third] {
        buffer.end(&mut client, sent);
    }
    assert_eq!(org(&mut client, &buffer.session), buffer.text());
    client.kill();
    let mut client = server(home.path());
    assert_eq!(org(&mut client, &buffer.session), buffer.text());
    buffer.say(&mut client, "echo: after a restart");
    assert_eq!(org(&mut client, &buffer.session), buffer.text());
    client.finish_unread();
    sound(home.path());
}

#[test]
fn a_system_error_stands_where_the_reply_would_and_what_the_client_refused_does_not() {
    let (home, model) = (home(), FakeModel::start());
    let mut client = asking(&model, home.path());
    let mut buffer = Buffer::new(2);
    for _ in 0..3 {
        model.reply_with("no list");
    }
    buffer.say(&mut client, "Fail.");
    for _ in 0..3 {
        model.take_request_blocking();
    }
    assert!(buffer.text().contains("System Error"), "{}", buffer.text());
    // Headings of a reply stand below its own.
    model.reply_with(&insert("* Top\\n\\n\\n- [[https://gnu.org][GNU]]\\n\\n"));
    buffer.say(&mut client, "Headings.");
    model.take_request_blocking();
    model.reply_with(&insert("Refused."));
    let refused = buffer.send(&mut client, "Refuse.");
    client.acknowledge = false;
    let asked = client.wait_for(|message| message["method"] == "orgAgent/actuate");
    client.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"accepted": false}}));
    client.acknowledge = true;
    assert_eq!(client.turn(&refused.turn).last().unwrap()["params"]["state"], "failed");
    model.take_request_blocking();
    let text = org(&mut client, &buffer.session);
    // At level two there is a root above, with the session's title.
    assert_eq!(text, format!("* Fail.\n{}", buffer.text()));
    client.finish_unread();
    sound(home.path());
}

#[test]
fn the_export_of_an_import_is_the_same_text() {
    let (home, other) = (home(), home());
    let mut client = server(home.path());
    let mut buffer = Buffer::new(1);
    buffer.say(&mut client, "echo: Grüße, 日本 🦀\n\n\n");
    let cancelled = buffer.send(&mut client, "run: false");
    command(&mut client, &cancelled.turn);
    client.request("orgAgent/cancel", &json!({"turnId": cancelled.turn}));
    buffer.end(&mut client, &cancelled);
    buffer.say(&mut client, "** a heading\n* another\n\ttext");
    let text = org(&mut client, &buffer.session);
    client.finish_unread();

    let mut client = server(other.path());
    let items = client.request("orgAgent/sessions/import", &json!({"org": text, "name": "chat.org"}));
    assert_eq!(items["items"].as_array().unwrap().len(), 1);
    let item = &items["items"][0];
    assert_eq!((&item["id"], &item["imported"]), (&json!(buffer.session), &json!("chat.org")));
    assert_eq!(org(&mut client, &buffer.session), text);
    // It is gone on with under the same layout.
    buffer.say(&mut client, "echo: on");
    assert_eq!(org(&mut client, &buffer.session), buffer.text());
    // Of one that is here a copy is made, with another session and the same text.
    let again = client.request("orgAgent/sessions/import", &json!({"org": text}));
    let copy = word(&again["items"][0]["id"]);
    assert_ne!(copy, buffer.session);
    assert_eq!(org(&mut client, &copy), text.replace(&buffer.session, &copy));
    client.finish_unread();
    sound(other.path());
}

#[test]
fn a_title_comes_back_as_it_was() {
    let (home, other) = (home(), home());
    let long = "word ".repeat(40);
    let titles = [
        "# Plan =x=",
        "\"Quoted\" [[https://gnu.org][GNU]]",
        "TODO A :tag:",
        "*",
        "USER",
        long.trim(),
        "日本 — ü",
    ];
    let mut texts = Vec::new();
    let mut client = server(home.path());
    for title in titles {
        let made = client.request("orgAgent/sessions/create", &json!({"title": title}));
        let mut buffer = Buffer { session: word(&made["id"]), ..Buffer::new(2) };
        buffer.say(&mut client, "echo: one");
        let text = org(&mut client, &buffer.session);
        assert_eq!(text, format!("* {title}\n{}", buffer.text()));
        texts.push(text);
    }
    client.finish_unread();
    let mut client = server(other.path());
    for (title, text) in titles.iter().zip(&texts) {
        let items = client.request("orgAgent/sessions/import", &json!({"org": text}));
        assert_eq!(items["items"][0]["title"], *title);
        assert_eq!(org(&mut client, &word(&items["items"][0]["id"])), *text);
    }
    client.finish_unread();
    sound(other.path());
}
