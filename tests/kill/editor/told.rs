//! What the editor is told, and what it makes of it.

use serde_json::{Value, json};

use super::{Editor, Life, Wait};
use crate::memory::{Insert, Receipt};

impl Editor {
    pub(super) fn take(&mut self, life: &mut Life, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            None => self.answered(life, message),
            Some("orgAgent/turn") => {
                let turn = self.next_of_turn(life, params);
                let state = params["state"].as_str().unwrap();
                if ["done", "failed", "cancelled"].contains(&state) {
                    self.ends.insert(turn, state.to_owned());
                }
            }
            Some("orgAgent/delta") => {
                let turn = self.next_of_turn(life, params);
                let attempt = params["attempt"].as_u64().unwrap();
                let text = params["text"].as_str().unwrap();
                life.deltas.entry((turn, attempt)).or_default().push_str(text);
            }
            Some("orgAgent/retract") => {
                let turn = self.next_of_turn(life, params);
                life.deltas.remove(&(turn, params["attempt"].as_u64().unwrap()));
            }
            Some("orgAgent/actuate") => {
                let turn = self.next_of_turn(life, params);
                if params["action"]["target"] == "shell" {
                    self.command(life, params);
                } else {
                    let shown = life.deltas.remove(&(turn, params["attempt"].as_u64().unwrap()));
                    assert_eq!(shown.as_deref(), params["action"]["payload"]["text"].as_str());
                    self.insert(life, params);
                }
            }
            Some("orgAgent/abort") => {}
            Some(_) => panic!("{message}"),
        }
    }

    /// The turn that a message belongs to, which has not ended and whose messages come in order.
    fn next_of_turn(&self, life: &mut Life, params: &Value) -> String {
        let turn = params["turnId"].as_str().unwrap().to_owned();
        assert!(!self.ends.contains_key(&turn), "after the end of its turn: {params}");
        let seq = life.seqs.entry(turn.clone()).or_default();
        *seq += 1;
        assert_eq!(params["seq"], *seq, "{params}");
        turn
    }

    fn insert(&mut self, life: &mut Life, params: &Value) {
        let id = params["actuationId"].as_str().unwrap().to_owned();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let text = word(&params["action"]["payload"]["text"]);
        let insert = self.inserts.entry(id.clone()).or_insert_with(|| Insert {
            session: word(&params["sessionId"]),
            turn: word(&params["turnId"]),
            text: text.clone(),
            delivered: 0,
            settled: false,
        });
        insert.delivered += 1;
        assert_eq!(insert.text, text, "one actuation, two texts");
        // Without a buffer for it, it waits at the server until its session is resumed.
        if let Some(page) = self.files.of(params["sessionId"].as_str().unwrap()) {
            page.apply(&id);
            self.report_some_time(life, &id);
        }
    }

    fn command(&mut self, life: &mut Life, params: &Value) {
        let id = params["actuationId"].as_str().unwrap().to_owned();
        let command = self.commands.entry(id.clone()).or_default();
        command.cmd = params["action"]["payload"]["cmd"].as_str().unwrap().to_owned();
        command.turn = params["turnId"].as_str().unwrap().to_owned();
        command.sent += 1;
        command.client = self.counts.clients;
        let mut decision = json!({"actuationId": id, "choice": "run"});
        match self.rng.below(10) {
            0..=5 => {}
            6 => decision["choice"] = "deny".into(),
            7 => decision["command"] = format!("{} edited", command.cmd).into(),
            8 => return self.report(life, &id),
            // The user has not looked yet.
            _ if !life.calm => return,
            _ => {}
        }
        life.ask("orgAgent/decide", &decision, Wait::Decide(id));
    }

    fn answered(&mut self, life: &mut Life, message: &Value) {
        let Some(wait) = life.waits.remove(&message["id"].as_u64().unwrap()) else {
            // Of the start.
            return;
        };
        let result = &message["result"];
        if let Some(error) = message.get("error") {
            // The turn was cancelled meanwhile.
            let late = matches!(wait, Wait::Decide(_)) && error["data"]["code"] == "conflict";
            assert!(late, "{message}");
            return;
        }
        match wait {
            Wait::Event(at) => self.acknowledged(life, at, result),
            Wait::Report(id) => {
                if let Some(insert) = self.inserts.get_mut(&id) {
                    insert.settled = true;
                }
                if let Some(command) = self.commands.get_mut(&id) {
                    command.settled = true;
                }
            }
            Wait::Decide(id) if result["decision"] == "allow" => {
                self.commands.get_mut(&id).unwrap().ran = Some(result["token"].clone());
                self.report_some_time(life, &id);
            }
            Wait::Decide(_) | Wait::Cancel => {}
            Wait::Resume => self.resumed(life, result),
            Wait::Sessions => {
                assert_eq!(result["nextCursor"], Value::Null, "too many sessions for one list");
                for session in result["items"].as_array().unwrap() {
                    let word = |name: &str| session[name].as_str().unwrap();
                    self.files.page(word("buffer")).session = Some(word("id").to_owned());
                }
            }
            Wait::Record(session) => self.complete(&session, result),
        }
    }

    fn acknowledged(&mut self, life: &mut Life, at: usize, result: &Value) {
        let word = |name: &str| result[name].as_str().unwrap().to_owned();
        let receipt = Receipt { event: word("eventId"), session: word("sessionId"), turn: word("turnId") };
        let message = &mut self.messages[at];
        assert_eq!(*message.receipt.get_or_insert_with(|| receipt.clone()), receipt, "{result}");
        // Requests are answered side by side: the answer that says `duplicate` may overtake the one that does not.
        message.taken += u32::from(result["duplicate"] == false);
        assert!(message.taken < 2, "taken twice: {result}");
        assert!(result["duplicate"] == false || message.sent > 1, "sent once, called a duplicate: {result}");
        let session = self.sessions.entry(message.buffer.clone()).or_insert_with(|| receipt.session.clone());
        assert_eq!(*session, receipt.session, "a second session for {}", message.buffer);
        let page = self.files.page(&message.buffer);
        page.input.retain(|number| *number != at);
        page.prompt(&receipt.event);
        if page.session.is_none() {
            // A session that an earlier client began may have more for this one.
            page.session = Some(receipt.session.clone());
            self.resume(life, &receipt.session);
        }
    }

    fn resumed(&mut self, life: &mut Life, result: &Value) {
        let list = |name: &str| result[name].as_array().unwrap().clone();
        for actuation in list("actuations") {
            self.insert(life, &actuation);
        }
        for turn in list("interrupted") {
            let turn = turn["turnId"].as_str().unwrap().to_owned();
            self.told.insert(turn.clone());
            self.interrupted.insert(turn);
        }
        for turn in list("resumed") {
            let from = turn["from"].as_str().unwrap().to_owned();
            self.told.remove(&from);
            self.interrupted.insert(from);
        }
        // All turns that were acknowledged before this answer are in it, unless they are over.
        let live = list("live");
        for receipt in self.messages.iter().filter_map(|message| message.receipt.as_ref()) {
            if receipt.session == result["sessionId"].as_str().unwrap()
                && !live.contains(&json!(receipt.turn))
            {
                self.over.insert(receipt.turn.clone());
            }
        }
        life.left += list("live").len() + list("actuations").len();
    }

    /// Completes a file from the record: prompts and replies that were acknowledged or reported, and that no client
    /// had saved.
    fn complete(&mut self, session: &str, result: &Value) {
        assert_eq!(result["nextCursor"], Value::Null, "too many messages for one list");
        let page = self.files.of(session).unwrap();
        for message in result["items"].as_array().unwrap() {
            let metadata = &message["metadata"];
            // A note for the log is no text for a file.
            let text = metadata["module"] == "emacs"
                || (metadata["module"] == "chat" && metadata["action"] != "log");
            match metadata["kind"].as_str() {
                Some("user") => page.prompt(message["id"].as_str().unwrap()),
                Some("action") if text => {
                    let new = page.apply(metadata["actuation"].as_str().unwrap());
                    self.counts.from_the_record += u64::from(new);
                }
                _ => {}
            }
        }
    }
}
