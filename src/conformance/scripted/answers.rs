//! What the scripted server answers.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::play::{Part, Play, Played, Turn, body_hash, keep};
use super::scenes;
use crate::action::CHAT_BUFFER;
use crate::chosen::Limit;
use crate::error::{Code, Error, Result as Checked};
use crate::ids::{SessionId, TurnId, hex, token};
use crate::lsp::wire::convert::{Introduction, read};
use crate::lsp::wire::*;
use crate::sandbox;
use crate::warrant::{Place, Warrant, Warrants};

/// The answer to a request: its result, or its error as JSON.
type Answer = Result<Value, Value>;

impl Play<'_> {
    /// The answer to a request of the client.
    pub(super) fn answer(&mut self, method: &str, body: &Value) -> Answer {
        let answer = match method {
            "initialize" => self.initialize(body),
            "shutdown" => Ok(Value::Null),
            EVENT => return self.event(body),
            CANCEL => of::<CancelParams>(body).map(|params| {
                let waits =
                    self.parts.iter().any(|it| matches!(it, Part::Scene(_, t) if t.id == params.turn_id));
                let cancelled = waits || scenes::can_cancel(self.scene);
                if cancelled {
                    self.cancelled.insert(params.turn_id);
                }
                json!({ "cancelled": cancelled })
            }),
            DECIDE => self.decide(body),
            ACTUATED => of::<ActuatedParams>(body).map(|params| {
                let mut all = self.reports.remove(&params.actuation_id).unwrap_or_default();
                // More than that say nothing more.
                if all.len() < 10 {
                    all.push(body.clone());
                }
                keep(&mut self.reports, params.actuation_id, all);
                json!({})
            }),
            RESUME => self.resume(body),
            LIST | MESSAGES | ACTIONS | CHECKPOINTS | VARIANTS | UNTRUSTED | MODELS => Ok(empty_list()),
            SEARCH => Ok(json!({"items": [], "complete": true, "nextCursor": null})),
            SKILLS => Ok(json!({"items": [], "nextCursor": null, "problems": []})),
            CAPABILITIES => {
                Ok(json!({"items": [], "nextCursor": null, "sensors": [CHAT_MESSAGE], "actions": [],
                                      "sandbox": sandbox_terms(), "confined": sandbox::confined().is_ok()}))
            }
            GET | RENAME | ARCHIVE | LABEL | PAUSE | COMPLETE | CONTEXT | CHECKPOINT | READ | SELECT => {
                Ok(session(body["sessionId"].as_str().unwrap_or_default()))
            }
            CREATE => SessionId::random()
                .map(|id| session(&id.0))
                .map_err(|error| Error::internal("no randomness").because(error)),
            RELOAD | TRUST => {
                Ok(json!({"skills": 0, "problems": [], "directory": body["directory"], "untrusted": []}))
            }
            _ if METHODS.contains(&method) => Err(Error::new(
                Code::NotFound,
                format!("{method}: the scripted server has nothing that this could be about"),
            )
            .hint("send a message instead: see org-agent conformance serve --help")),
            _ => {
                let data = json!({"code": "bad_request", "hint": "initialize lists the methods"});
                return Err(json!({"code": -32601, "message": "no such method", "data": data}));
            }
        };
        answer.map_err(|error| failed(&error))
    }

    /// A notification of the client.
    pub(super) fn told(&mut self, method: &str, body: &Value) {
        if method == OUTPUT
            && let Ok(params) = of::<OutputParams>(body)
        {
            let mut text = self.outputs.remove(&params.actuation_id).unwrap_or_default();
            if text.len() < 4096 {
                text.push_str(&params.text);
            }
            keep(&mut self.outputs, params.actuation_id, text);
        }
    }

    fn initialize(&mut self, body: &Value) -> Checked<Value> {
        let introduction = Introduction::from_wire(&body.to_string())?;
        self.announced = introduction.announced.unwrap_or_default();
        Ok(json!({
            "capabilities": {"experimental": {"orgAgent": Offer::to_wire()}},
            "serverInfo": {"name": "org-agent conformance", "version": env!("CARGO_PKG_VERSION")},
        }))
    }

    /// A message of the user. What follows from it comes once it was answered: see [`Play::answered`].
    fn event(&mut self, body: &Value) -> Answer {
        let params = of::<EventParams>(body).and_then(|params| params.clone().from_wire().map(|_| params));
        let params = params.map_err(|error| failed(&error))?;
        let hash = body_hash(&params.text, params.context.as_ref());
        let id = params.client_id.clone();
        let times = self.came.get(&id).copied().unwrap_or_default() + 1;
        keep(&mut self.came, id.clone(), times);
        if let Some((before, answer)) = self.said.get(&id) {
            if *before != hash {
                let error = Error::new(Code::Conflict, "clientId: it was that of another message");
                return Err(failed(&error.hint("give each message a clientId of its own")));
            }
            let mut answer = answer.clone();
            answer["duplicate"] = true.into();
            return Ok(answer);
        }
        if self.is_full() {
            let error = Error::new(Code::Overloaded, "too many messages wait");
            return Err(failed(&error.hint("send it again when a turn is over")));
        }
        let rewrite = params.sensor == REWRITE;
        // Sent again after an error, it is as any other.
        let scene = match self.scene_of(&params.text) {
            "error" | "conflict" if times > 1 => "plain",
            _ if rewrite => "plain",
            scene => scene,
        };
        let buffer = params.buffer.unwrap_or_else(|| CHAT_BUFFER.to_owned());
        let made = (SessionId::random(), TurnId::random());
        let (Ok(session), Ok(turn)) = made else {
            return Err(failed(&Error::internal("no randomness")));
        };
        let session = params
            .session_id
            .unwrap_or_else(|| self.sessions.entry(buffer.clone()).or_insert(session.0).clone());
        if self.sessions.len() > 1_000 {
            self.sessions.clear();
        }
        keep(&mut self.sessions, buffer.clone(), session.clone());
        let turn = Turn { id: turn.0, session, buffer, client_id: id.clone(), seq: 0, attempt: 1 };
        let refused = match scene {
            "error" => Some(
                Error::new(Code::Overloaded, "the queue is full, as the scene wants it")
                    .hint("wait a moment, then send it again"),
            ),
            "conflict" => Some(
                Error::new(Code::Conflict, "another server holds the session, as the scene wants it")
                    .hint("go on in the editor that has it, or close that"),
            ),
            _ => None,
        };
        let answer = json!({"eventId": hex(&Sha256::digest(format!("{id} {hash}"))), "sessionId": turn.session,
            "turnId": turn.id, "lamport": self.count + 1, "duplicate": scene == "duplicate"});
        self.parts.push_back(Part::Scene(scene, turn));
        if let Some(error) = refused {
            return Err(failed(&error));
        }
        keep(&mut self.said, id, (hash, answer.clone()));
        Ok(answer)
    }

    /// What follows the answer to a request at once.
    pub(super) fn answered(&mut self, method: &str, answer: &Value) -> Played {
        if method != EVENT || answer.get("error").is_some() {
            return Ok(());
        }
        let turn = answer["result"]["turnId"].as_str().unwrap_or_default();
        let Some(at) =
            self.parts.iter().position(|it| matches!(it, Part::Scene(_, t) if t.id == turn && t.seq == 0))
        else {
            return Ok(());
        };
        let Some(Part::Scene(scene, mut turn)) = self.parts.remove(at) else { return Ok(()) };
        let told = self.state(&mut turn, "accepted", None);
        self.parts.insert(at, Part::Scene(scene, turn));
        told
    }

    fn decide(&mut self, body: &Value) -> Checked<Value> {
        let params = of::<DecideParams>(body)?;
        let (id, choice) = (params.actuation_id.clone(), params.choice);
        let decide = params.clone().from_wire()?;
        let Some(command) = self.commands.get(&id).cloned() else {
            return Err(Error::new(Code::NotFound, "actuationId: no such command"));
        };
        if self.decisions.contains_key(&id) {
            return Err(Error::new(Code::Conflict, "it was decided already"));
        }
        keep(&mut self.decisions, id, body.clone());
        if choice == Choice::Deny {
            return Ok(json!({"decision": "deny", "token": null, "steps": null, "rule": "the user said no"}));
        }
        let text = decide.command.unwrap_or(command);
        let token = if decide.unconfined { fresh_token()? } else { self.issue(&text, decide.network)? };
        Ok(json!({"decision": "allow", "token": token, "steps": null, "rule": "the user said yes"}))
    }

    /// A token for which `org-agent sandbox` runs `text`.
    pub(super) fn issue(&self, text: &str, network: bool) -> Checked<String> {
        let place = Place::of(&self.options.directory)?;
        let warrant = Warrant {
            text: text.to_owned(),
            steps: None,
            unasked: false,
            directory: place.clone(),
            cwd: place,
            network,
            read_only: false,
            confined: sandbox::confined().is_ok(),
            environment: Warrant::environment(),
        };
        let token = fresh_token()?;
        Warrants::new(&self.options.data).issue(&token, &warrant)?;
        Ok(token)
    }

    fn resume(&mut self, body: &Value) -> Checked<Value> {
        let params = of::<ResumeParams>(body)?;
        let resume = params.clone().from_wire()?;
        let session = params.session_id;
        // The same each time, so that the next process knows it again.
        let mark = identifier(&format!("lacking {session}"));
        let applied = resume.applied.iter().any(|it| it.0 == mark);
        let again = !self.resumed.insert(session.clone());
        if self.resumed.len() > 1_000 {
            self.resumed.clear();
        }
        let mut lacking = Vec::new();
        let mut events = Vec::new();
        if applied {
            self.scene = "resume";
            self.grades.begin("resume");
            self.check("`applied` names what the buffer has", "orgagentsessionsresume", true, String::new);
        } else {
            let turn = Turn {
                id: identifier(&format!("turn {session}")),
                session: session.clone(),
                buffer: CHAT_BUFFER.to_owned(),
                client_id: String::new(),
                seq: 0,
                attempt: 1,
            };
            events.push(json!({"turnId": turn.id, "mark": identifier(&format!("event {session}"))}));
            lacking.push(scenes::insert_params(&turn, &mark, 0, scenes::LACKING));
            if !again {
                self.parts.push_back(Part::Resume(mark));
            }
        }
        Ok(
            json!({"sessionId": session, "actuations": lacking, "missing": [], "interrupted": [], "resumed": [],
                  "live": [], "events": events}),
        )
    }
}

fn of<T: serde::de::DeserializeOwned>(body: &Value) -> Checked<T> {
    read(&body.to_string())
}

fn fresh_token() -> Checked<String> {
    token().map_err(|error| Error::internal("no randomness").because(error))
}

/// An identifier in the shape of others, the same for the same name.
fn identifier(name: &str) -> String {
    let hash = hex(&Sha256::digest(name));
    format!("{}-{}-4{}-8{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..32])
}

/// What the sandbox permits here.
pub(super) fn sandbox_terms() -> String {
    sandbox::terms(sandbox::confined().err().as_deref(), Limit::default())
}

fn failed(error: &Error) -> Value {
    let error = tower_lsp_server::jsonrpc::Error::from(error.clone());
    json!({"code": error.code.code(), "message": error.message, "data": error.data})
}

fn empty_list() -> Value {
    json!({"items": [], "nextCursor": null})
}

fn session(id: &str) -> Value {
    json!({"id": id, "title": "Conformance", "status": "active", "archived": false, "buffer": CHAT_BUFFER, "group": null,
        "tags": [], "messages": 0, "unread": 0, "forkedFrom": null, "imported": null, "model": null,
        "tokens": {"prompt": null, "completion": null, "cached": null, "reasoning": null, "estimated": false},
        "cost": null, "createdAt": 0, "updatedAt": 0, "user": "User",
        "context": {"entities": [], "intents": [], "values": {}}})
}
