//! What a client owes: decisions before commands, every action reported once, with its token.

use serde_json::Value;

use super::{OFFERED, Rule, Side, Target, Wants, Watch, hash, is_ours, key, named, shorten};
use crate::lsp::wire::{self, Announcement};

/// What the Emacs package records in the place of a token.
const LEFT_OUT: &str = "[left out]";

impl Watch {
    /// A request of the client; the action that it is about.
    pub(super) fn client_asks(&mut self, method: &str, body: &Value) -> String {
        self.only_offered(method);
        match method {
            "initialize" => {
                let ours = body.pointer("/capabilities/experimental/orgAgent");
                let ours = ours.filter(|ours| !ours.is_null());
                let announced: Option<Announcement> =
                    ours.map(|ours| serde_json::from_value(ours.clone()).unwrap_or_default());
                self.ours |= announced.is_some();
                // Where texts are left out, the names of what it can do are.
                self.wants = self.detail.texts.then(|| Wants::of(announced));
            }
            wire::EVENT => self.message_is_new(body),
            wire::DECIDE => return self.action_of(method, body),
            wire::ACTUATED => self.reported(body),
            wire::RESUME => {
                for id in body["applied"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    if let Some(action) = self.actions.get_mut(&key(id)) {
                        action.reported.get_or_insert_with(|| "done".into());
                    }
                }
            }
            _ => {}
        }
        String::new()
    }

    /// A notification of the client.
    pub(super) fn client_says(&mut self, method: &str, body: &Value) {
        self.only_offered(method);
        if method == wire::OUTPUT {
            let id = self.action_of(method, body);
            let Some(action) = self.actions.get_mut(&id) else { return };
            let seq = body["seq"].as_u64().unwrap_or_default();
            let (before, over, may) = (action.outputs, action.reported.is_some(), action.may);
            action.outputs = seq;
            self.judge(Rule::Output, Side::Client, seq == before + 1 && !over, || {
                if over {
                    format!("output of {} comes after its outcome", shorten(&id))
                } else {
                    format!("output of {} has seq {seq} after {before}", shorten(&id))
                }
            });
            self.judge(Rule::Decide, Side::Client, may, || {
                format!("{} writes output, and nobody decided that it may run", shorten(&id))
            });
        }
    }

    /// The client's answer to a request about the action `about`.
    pub(super) fn client_answers(&mut self, method: &str, about: &str, body: &Value) {
        if method == wire::ACTUATE
            && let Some(action) = self.actions.get_mut(about)
        {
            action.accepted = body["accepted"] != false;
        }
    }

    fn only_offered(&mut self, method: &str) {
        self.ours |= is_ours(method);
        let Some(offered) = &self.offered else { return };
        if is_ours(method) {
            let good = offered.contains(method) || offered.len() >= OFFERED;
            self.judge(Rule::Method, Side::Client, good, || {
                format!("{} is none of the methods that the server announced", named(method))
            });
        }
    }

    fn message_is_new(&mut self, body: &Value) {
        let (Some(id), Some(text), true) =
            (body["clientId"].as_str(), body["text"].as_str(), self.detail.texts)
        else {
            return;
        };
        let context = if body["context"].is_null() { String::new() } else { body["context"].to_string() };
        let now = hash(&[text.as_bytes(), context.as_bytes()]);
        let id = key(id);
        let other = self.said.get(&id).is_some_and(|before| *before != now);
        self.judge(Rule::ClientId, Side::Client, !other, || {
            format!("the clientId {} was that of another message", shorten(&id))
        });
        if self.said.get(&id).is_none() {
            self.said.put(id, now);
        }
    }

    /// The action that is spoken of.
    fn action_of(&mut self, method: &str, body: &Value) -> String {
        let id = key(body["actuationId"].as_str().unwrap_or_default());
        let known = self.actions.get(&id).is_some() || !self.whole || self.actions.forgot;
        self.judge(Rule::Outcome, Side::Client, known, || {
            format!("{} names {}, which the server never sent", named(method), shorten(&id))
        });
        id
    }

    fn reported(&mut self, body: &Value) {
        let id = self.action_of(wire::ACTUATED, body);
        let Some(action) = self.actions.get_mut(&id) else { return };
        let status = body["status"].as_str().unwrap_or_default();
        let before = action.reported.clone();
        action.reported.get_or_insert_with(|| shorten(status));
        let ran = action.target == Target::Shell && (status == "done" || body["exitCode"].is_i64());
        let (may, token) = (action.may, action.token.clone());
        let same = before.as_deref().is_none_or(|before| before == status);
        self.judge(Rule::Report, Side::Client, true, String::new);
        self.judge(Rule::Outcome, Side::Client, same, || {
            format!("{} is {} now, and was {}", shorten(&id), shorten(status), before.unwrap_or_default())
        });
        if ran {
            self.judge(Rule::Decide, Side::Client, may, || {
                format!("{} ran, and nobody decided that it may", shorten(&id))
            });
        }
        if let (true, Some(token)) = (ran, token) {
            let given = body["token"].as_str().unwrap_or_default();
            let good = key(given) == token || given == LEFT_OUT || token == LEFT_OUT;
            self.judge(Rule::Return, Side::Client, good, || {
                format!("the outcome of {} comes without the token that was given for it", shorten(&id))
            });
        }
    }

    /// The methods that the server announced.
    pub(super) fn offers(&mut self, body: &Value) {
        let methods = body.pointer("/capabilities/experimental/orgAgent/methods");
        let methods = methods.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        self.offered = self.detail.texts.then(|| methods.take(OFFERED).map(key).collect());
    }
}
