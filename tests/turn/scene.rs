//! A server, its client and its model; what came for each turn, and what holds for every turn.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::client::Client;
use crate::fake_model::FakeModel;
use crate::{messages, variables};

pub struct Scene {
    pub model: FakeModel,
    pub client: Client,
    answers: HashMap<u64, Value>,
    /// What came for each turn, and how much of it was looked at.
    told: HashMap<String, (Vec<Value>, usize)>,
    /// What came for no turn, and the steps that no client has a part in.
    pub others: Vec<Value>,
}

impl Scene {
    pub fn new() -> Self {
        let model = FakeModel::start();
        let client = Client::new(&variables(&model.base_url(), &[]));
        Self::of(model, client)
    }

    pub fn of(model: FakeModel, client: Client) -> Self {
        Self { model, client, answers: HashMap::new(), told: HashMap::new(), others: Vec::new() }
    }

    fn pump(&mut self) {
        let message = self.client.next().unwrap_or_else(|| panic!("the server left\n{}", self.client.log()));
        if message.get("method").is_none() {
            self.answers.insert(message["id"].as_u64().unwrap(), message);
        } else if message["method"] == "orgAgent/step" {
            // It has no number, so it is no part of a turn's story.
            self.others.push(message);
        } else if let Some(turn) = message["params"]["turnId"].as_str() {
            self.told.entry(turn.to_owned()).or_default().0.push(message);
        } else {
            self.others.push(message);
        }
    }

    pub fn request(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        let id = self.client.ask(method, params);
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return answer
                    .get("error")
                    .map_or_else(|| Ok(answer["result"].clone()), |no| Err(no.clone()));
            }
            self.pump();
        }
    }

    /// Sends a message to the chat buffer; its turn.
    pub fn say(&mut self, text: &str) -> String {
        let params = json!({"sensor": "chat-message", "clientId": text, "text": text});
        self.event(&params)["turnId"].as_str().unwrap().to_owned()
    }

    /// Sends an event; the answer, which comes before anything about its turn.
    pub fn event(&mut self, params: &Value) -> Value {
        let receipt = self.request("orgAgent/event", params).unwrap();
        let turn = receipt["turnId"].as_str().unwrap();
        let early = self.told.get(turn).filter(|_| receipt["duplicate"] == false);
        assert!(early.is_none(), "before the answer: {early:?}");
        receipt
    }

    /// Waits for a message about `turn` whose line begins so; its parameters.
    pub fn wait(&mut self, turn: &str, line: &str) -> Value {
        loop {
            let message = self.next_of(turn);
            let told = show(&message);
            assert!(told.starts_with(line) || !is_end(&told), "waiting for {line}: {:#?}", self.story(turn));
            if told.starts_with(line) {
                return message["params"].clone();
            }
        }
    }

    fn next_of(&mut self, turn: &str) -> Value {
        loop {
            if let Some((messages, looked_at)) = self.told.get_mut(turn)
                && let Some(message) = messages.get(*looked_at)
            {
                *looked_at += 1;
                return message.clone();
            }
            self.pump();
        }
    }

    /// Waits for the end of a turn, carrying out its inserts on the way; everything it told, in lines.
    #[track_caller]
    pub fn end(&mut self, turn: &str) -> Vec<String> {
        loop {
            let message = self.next_of(turn);
            let line = show(&message);
            if line.starts_with("insert ") {
                self.report(&message["params"], &json!({"status": "done"})).unwrap();
            }
            if is_end(&line) {
                return self.story(turn);
            }
        }
    }

    pub fn report(&mut self, actuation: &Value, outcome: &Value) -> Result<Value, Value> {
        let mut params = outcome.clone();
        params["actuationId"] = actuation["actuationId"].clone();
        self.request("orgAgent/actuated", &params)
    }

    pub fn decide(&mut self, actuation: &Value, decision: &Value) -> Result<Value, Value> {
        let mut params = decision.clone();
        params["actuationId"] = actuation["actuationId"].clone();
        self.request("orgAgent/decide", &params)
    }

    /// All messages about a turn so far.
    pub fn told(&self, turn: &str) -> &[Value] {
        &self.told[turn].0
    }

    /// What a turn told so far, its deltas joined. Checks what holds for every turn: numbers without a gap,
    /// nothing after the end, deltas that make up the text, and at the end nothing shown that was neither kept nor
    /// taken back.
    #[track_caller]
    pub fn story(&self, turn: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut shown: Option<(Value, String)> = None;
        for (at, message) in self.told(turn).iter().enumerate() {
            let params = &message["params"];
            assert_eq!(params["seq"], at + 1, "{message}");
            let line = show(message);
            assert!(!lines.last().is_some_and(|last| is_end(last)), "after the end: {line}");
            match message["method"].as_str().unwrap() {
                "orgAgent/delta" => {
                    let text = params["text"].as_str().unwrap();
                    assert!(!text.is_empty(), "{message}");
                    let (attempt, all) =
                        shown.get_or_insert_with(|| (params["attempt"].clone(), String::new()));
                    assert_eq!(*attempt, params["attempt"]);
                    all.push_str(text);
                    if let Some(last) = lines.last_mut().filter(|last| last.starts_with("delta ")) {
                        last.push_str(text);
                        continue;
                    }
                }
                "orgAgent/retract" => {
                    assert_eq!(shown.take().map(|(attempt, _)| attempt).as_ref(), Some(&params["attempt"]));
                }
                "orgAgent/actuate" => {
                    if let Some((attempt, text)) = shown.take() {
                        assert_eq!(attempt, params["attempt"]);
                        assert_eq!(params["action"]["payload"]["text"], *text);
                    }
                }
                _ => {}
            }
            lines.push(line);
        }
        if lines.last().is_some_and(|last| is_end(last)) {
            assert!(shown.is_none(), "shown and left: {shown:?}");
        }
        lines
    }

    /// The messages of the next request but the first, with what every request has checked.
    #[track_caller]
    pub fn asked(&self) -> Vec<(String, String)> {
        messages(&self.model.take_request_blocking())
    }

    /// Leaves as a client should. Every request and every message must have been taken.
    #[track_caller]
    pub fn finish(mut self) {
        assert_eq!(self.others, [] as [Value; 0], "for no turn");
        self.model.assert_all_checked();
        let unread = self.client.finish_unread();
        assert!(unread.is_empty(), "{unread:?}");
        for (turn, (messages, looked_at)) in &self.told {
            assert_eq!(messages.len(), *looked_at, "left of {turn}: {messages:#?}");
        }
    }
}

fn is_end(line: &str) -> bool {
    let state = line.split(": ").next().unwrap_or_default();
    matches!(state, "done" | "cancelled" | "failed")
}

/// A message of a turn as a line.
fn show(message: &Value) -> String {
    let params = &message["params"];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match message["method"].as_str().unwrap() {
        "orgAgent/turn" => match params["reason"].as_str() {
            Some(reason) => format!("{}: {reason}", word(&params["state"])),
            None => word(&params["state"]),
        },
        "orgAgent/delta" => format!("delta {}", word(&params["text"])),
        "orgAgent/retract" => "retract".to_owned(),
        "orgAgent/actuate" if params["action"]["target"] == "shell" => {
            format!("run {}", word(&params["action"]["payload"]["cmd"]))
        }
        "orgAgent/actuate" => format!("insert {}", word(&params["action"]["payload"]["text"])),
        other => panic!("{other}"),
    }
}
