//! What a server owes: turns that are numbered and end once, previews that are true, actions that stand for themselves.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Action, Life, Rule, Side, Target, Turn, Watch, hash, key, named, shorten};
use crate::lsp::wire;

impl Watch {
    /// A request of the server; the action that it is about.
    pub(super) fn server_asks(&mut self, method: &str, body: &Value) -> String {
        let id = key(body["actuationId"].as_str().unwrap_or_default());
        match method {
            wire::ACTUATE => {
                self.in_turn(method, body);
                self.action(&id, body);
            }
            wire::ABORT => {
                let known = self.actions.get(&id).is_some() || !self.whole || self.actions.forgot;
                self.judge(Rule::Action, Side::Server, known, || {
                    format!("{} is to be stopped, and was never sent", shorten(&id))
                });
            }
            _ => {}
        }
        id
    }

    /// A notification of the server.
    pub(super) fn server_says(&mut self, method: &str, body: &Value) {
        match method {
            wire::TURN | wire::DELTA | wire::RETRACT | wire::THOUGHT => self.in_turn(method, body),
            _ => {}
        }
        let wanted = self.wants.as_ref().and_then(|wants| match method {
            wire::DELTA | wire::RETRACT => Some(wants.streaming),
            wire::THOUGHT => Some(wants.reasoning),
            wire::STEP => Some(wants.steps),
            _ => None,
        });
        if let Some(wanted) = wanted {
            self.judge(Rule::Wanted, Side::Server, wanted, || {
                format!("{} comes to a client that wants none", named(method))
            });
        }
        let id = key(body["turnId"].as_str().unwrap_or_default());
        let attempt = body["attempt"].as_u64().unwrap_or_default();
        match method {
            wire::TURN => self.state(&id, body["state"].as_str().unwrap_or_default()),
            wire::DELTA => self.delta(&id, attempt, body["text"].as_str().unwrap_or_default()),
            wire::RETRACT => {
                if let Some(turn) = self.turns.get_mut(&id) {
                    turn.retracted = attempt;
                    turn.shown = 0;
                }
            }
            _ => {}
        }
    }

    /// The server's answer.
    pub(super) fn server_answers(&mut self, method: &str, about: &str, body: &Value) {
        let named = |field: &str| body[field].as_str().map(key);
        match method {
            "initialize" => {
                if self.life == Life::Asked {
                    self.life = Life::Ready;
                }
                self.offers(body);
            }
            wire::EVENT => {
                if let Some(turn) = named("turnId") {
                    self.begins(&turn, body["duplicate"] == true);
                }
            }
            wire::REGENERATE => {
                if let Some(turn) = named("turnId") {
                    self.begins(&turn, false);
                }
            }
            wire::RESUME => {
                for params in body["actuations"].as_array().into_iter().flatten() {
                    let id = key(params["actuationId"].as_str().unwrap_or_default());
                    self.action(&id, params);
                }
                for turn in body["resumed"].as_array().into_iter().flatten() {
                    if let Some(turn) = turn["turnId"].as_str() {
                        self.begins(&key(turn), false);
                    }
                }
            }
            wire::DECIDE => {
                let allowed = body["decision"] == "allow";
                let token = body["token"].as_str().map(key);
                let runs = self.wants.as_ref().is_none_or(|wants| wants.shell);
                let good = allowed == token.is_some() || !runs;
                if let Some(action) = self.actions.get_mut(about)
                    && allowed
                    && runs
                {
                    action.may = true;
                    action.token = token;
                }
                self.judge(Rule::Token, Side::Server, good, || {
                    format!("{} may {}run", shorten(about), if allowed { "" } else { "not " })
                        + if allowed { ", and has no token" } else { ", and has a token" }
                });
            }
            _ => {}
        }
    }

    /// What starts the turn `id` was answered.
    fn begins(&mut self, id: &str, duplicate: bool) {
        let seen = self.turns.get(id).map(|turn| turn.seq);
        let early = seen.is_some_and(|seq| seq > 0) && !duplicate;
        self.judge(Rule::First, Side::Server, !early, || {
            format!("the turn {} spoke before it was named", shorten(id))
        });
        if seen.is_none() {
            self.turns_seen += 1;
            self.turns.put(id.to_owned(), Turn { whole: !duplicate, ..Turn::default() });
        }
    }

    /// A message of a turn: its number, and that of the model call.
    fn in_turn(&mut self, method: &str, body: &Value) {
        let id = key(body["turnId"].as_str().unwrap_or_default());
        if self.turns.get(&id).is_none() {
            // One that waited when its server died, or that began before the record.
            self.turns_seen += 1;
            self.turns.put(id.clone(), Turn::default());
        }
        let streaming = self.wants.as_ref().is_none_or(|wants| wants.streaming);
        let Some(turn) = self.turns.get_mut(&id) else { return };
        let over = turn.over;
        let (before, whole, model) = (turn.seq, turn.whole, turn.attempt);
        let (shown, retracted) = (turn.shown, turn.retracted);
        let seq = body["seq"].as_u64();
        let attempt = body["attempt"].as_u64();
        turn.seq = seq.unwrap_or(before).max(before);
        turn.attempt = attempt.unwrap_or(model).max(model);
        if attempt.is_some_and(|attempt| attempt > shown) {
            turn.shown = 0;
        }
        let place = format!("{} of the turn {}", named(method), shorten(&id));
        self.judge(Rule::End, Side::Server, !over, || format!("{place} comes after its end"));
        if let Some(seq) = seq {
            let good = match (before, whole) {
                (0, true) => seq == 1,
                (0, false) => seq > 0,
                _ if streaming => seq == before + 1,
                _ => seq > before,
            };
            self.judge(Rule::Seq, Side::Server, good, || format!("{place} has seq {seq} after {before}"));
        }
        if let Some(attempt) = attempt {
            let least = if method == wire::ACTUATE { model } else { model.max(1) };
            self.judge(Rule::Attempt, Side::Server, attempt >= least, || {
                format!("{place} is of attempt {attempt} after {model}")
            });
            let forgotten = shown > 0 && attempt > shown;
            self.judge(Rule::Retract, Side::Server, !forgotten, || {
                format!("{place} is of attempt {attempt}, and what attempt {shown} showed was not taken back")
            });
            let back =
                [wire::DELTA, wire::RETRACT].contains(&method) && attempt == retracted && retracted > 0;
            self.judge(Rule::Retract, Side::Server, !back, || {
                format!("{place} is of attempt {attempt}, which was taken back")
            });
        }
        if method == wire::TURN && whole {
            let accepted = body["state"] == "accepted";
            self.judge(Rule::Begin, Side::Server, accepted == (before == 0), || {
                let state = shorten(body["state"].as_str().unwrap_or_default());
                if accepted {
                    format!("{place} is accepted again")
                } else {
                    format!("{place} begins as {state}")
                }
            });
        }
    }

    fn state(&mut self, id: &str, state: &str) {
        if let Some(turn) = self.turns.get_mut(id)
            && ["done", "failed", "cancelled"].contains(&state)
        {
            turn.over = true;
        }
    }

    fn delta(&mut self, id: &str, attempt: u64, text: &str) {
        let texts = self.detail.texts;
        let Some(turn) = self.turns.get_mut(id) else { return };
        if turn.shown != attempt {
            turn.shown = attempt;
            turn.text = Sha256::new();
            turn.characters = 0;
        }
        if texts {
            turn.text.update(text);
        } else {
            turn.characters = turn.characters.saturating_add(length(text).unwrap_or_default());
        }
    }

    /// An action that was sent, or that a client that came back lacks.
    fn action(&mut self, id: &str, body: &Value) {
        let action = &body["action"];
        let target = match (action["target"].as_str(), action["payload"]["action"].as_str()) {
            (Some("shell"), _) => Target::Shell,
            (_, Some("replace-region")) => Target::Replace,
            _ => Target::Insert,
        };
        let now = hash(&[action.to_string().as_bytes()]);
        let allowed = body["decision"] == "allow";
        let token = body["token"].as_str().map(key);
        if let Some(wants) = &self.wants {
            let wanted = match target {
                Target::Insert => wants.inserts,
                Target::Replace => wants.replaces,
                // Of a client that runs none the user is asked, and the server runs it.
                Target::Shell => true,
            };
            self.judge(Rule::Wanted, Side::Server, wanted, || {
                format!("{} comes to a client that cannot carry it out", shorten(id))
            });
        }
        let runs = self.wants.as_ref().is_none_or(|wants| wants.shell);
        if target == Target::Shell && body["host"].is_null() && runs {
            self.judge(Rule::Token, Side::Server, allowed == token.is_some(), || {
                format!(
                    "the command {} is {}allowed, and the token says otherwise",
                    shorten(id),
                    if allowed { "" } else { "not " }
                )
            });
        }
        self.previewed(body, target);
        let before = self.actions.get(id).map(|action| action.hash);
        let good = before.is_none_or(|before| before == now && target == Target::Insert);
        self.judge(Rule::Action, Side::Server, good, || {
            let how = if before == Some(now) { "is sent twice" } else { "was another action before" };
            format!("{} {how}", shorten(id))
        });
        if before.is_none() {
            self.actions_seen += 1;
            let turn = key(body["turnId"].as_str().unwrap_or_default());
            // A new text for a region is the user's to take, at any time.
            let may = target == Target::Insert || (target == Target::Shell && allowed && runs);
            let action =
                Action { target, hash: now, turn, token, may, accepted: true, reported: None, outputs: 0 };
            self.actions.put(id.to_owned(), action);
        }
    }

    /// Whether what was shown of the text of an insert is that text.
    fn previewed(&mut self, body: &Value, target: Target) {
        let id = key(body["turnId"].as_str().unwrap_or_default());
        let texts = self.detail.texts;
        // What `resume` lists may come before the rest of its preview: the message that follows is looked at.
        if body["seq"] == 0 {
            return;
        }
        let (Some(turn), Target::Insert) = (self.turns.get_mut(&id), target) else { return };
        let shown = turn.shown > 0 && Some(turn.shown) == body["attempt"].as_u64() && turn.whole;
        let shown_text: [u8; 32] = turn.text.clone().finalize().into();
        let characters = turn.characters;
        turn.shown = 0;
        let Some(text) = body["action"]["payload"]["text"].as_str().filter(|_| shown) else { return };
        let good = if texts {
            shown_text == <[u8; 32]>::from(Sha256::digest(text.as_bytes()))
        } else {
            length(text).is_none_or(|length| length == characters)
        };
        self.judge(Rule::Text, Side::Server, good, || {
            format!("what was shown of the turn {} is not the text of its action", shorten(&id))
        });
    }
}

/// The length that a record without texts has in the place of one.
fn length(text: &str) -> Option<u64> {
    text.strip_prefix('[')?.strip_suffix(" characters]")?.parse().ok()
}
