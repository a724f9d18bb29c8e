//! `docs/protocol.md` against the wire types and against what a real server sends: neither may have a
//! method, a field, a state or an error code that the other lacks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod common {
    pub mod client;
}

use std::collections::{BTreeMap, BTreeSet};

use common::client::Client;
use org_agent::error::{Code, Error};
use org_agent::lsp::wire;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::{Serialize, forward_to_deserialize_any};
use serde_json::{Value, json};

const DOC: &str = include_str!("../docs/protocol.md");

/// A table of the document and the example under it.
#[derive(Debug, Default)]
struct Part {
    /// Whether each field is optional, by its name.
    fields: BTreeMap<String, bool>,
    example: Option<Value>,
}

/// The sections of the document by method, and their parts by name: `Params`, `Result`, `Item`.
fn sections() -> BTreeMap<&'static str, BTreeMap<&'static str, Part>> {
    let mut sections = BTreeMap::<_, BTreeMap<_, Part>>::new();
    for section in DOC.split("\n### `").skip(1) {
        let section = section.split("\n## ").next().unwrap();
        let (method, text) = section.split_once('`').unwrap();
        let parts = sections.entry(method).or_default();
        let mut part = None;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            match line.split([',', ' ']).next().unwrap() {
                name @ ("Params" | "Result" | "Item") => part = Some(parts.entry(name).or_default()),
                "```json" => {
                    let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
                    let example = serde_json::from_str(&block.join("\n")).expect(method);
                    part.as_mut().expect(method).example = Some(example);
                }
                _ if line.starts_with("| `") => {
                    let name = line[3..].split('`').next().unwrap();
                    let field = name.trim_end_matches('?');
                    part.as_mut().expect(method).fields.insert(field.to_owned(), field != name);
                }
                _ => {}
            }
        }
    }
    sections
}

/// The values of the first column of the table whose head begins with `head`.
fn column(head: &str) -> Vec<(&'static str, Vec<&'static str>)> {
    let table = DOC.split(head).nth(1).expect(head);
    table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`'));
            (cells.next().unwrap(), cells.collect())
        })
        .collect()
}

/// Learns the names of a struct's fields from its `Deserialize`.
struct Names<'a>(&'a mut Option<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = Some(fields);
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn fields_of<T: DeserializeOwned>() -> BTreeSet<String> {
    let mut fields = None;
    drop(T::deserialize(Names(&mut fields)));
    fields.expect("a struct").iter().map(|name| (*name).to_owned()).collect()
}

/// What the document says about one type. `sent`: by the server, so that what may be absent is what it leaves
/// out; otherwise it is what a client may leave out.
fn check<T: DeserializeOwned + Serialize>(
    sections: &mut BTreeMap<&str, BTreeMap<&str, Part>>,
    method: &str,
    name: &str,
    sent: bool,
) {
    let place = format!("{method}, {name}");
    let part = sections.get_mut(method).and_then(|parts| parts.remove(name));
    let part = part.unwrap_or_else(|| panic!("the document lacks {place}"));
    assert_eq!(part.fields.keys().cloned().collect::<BTreeSet<_>>(), fields_of::<T>(), "{place}");
    let example = part.example.unwrap_or_else(|| panic!("{place} has no example"));
    let again = serde_json::to_value(serde_json::from_value::<T>(example.clone()).expect(&place)).unwrap();
    for (field, optional) in &part.fields {
        let Some(value) = example.get(field) else {
            assert!(optional, "{place}: the example lacks {field}");
            continue;
        };
        assert_eq!(&again[field], value, "{place}: {field} is not kept");
        let mut without = example.clone();
        without.as_object_mut().unwrap().remove(field);
        let absent = match serde_json::from_value::<T>(without) {
            Ok(value) => !sent || serde_json::to_value(value).unwrap().get(field).is_none(),
            Err(_) => false,
        };
        assert_eq!(absent, *optional, "{place}: whether {field} may be absent");
    }
    assert!(example.as_object().unwrap().keys().all(|key| part.fields.contains_key(key)), "{place}");
}

/// What a server sends that has no type: each value must have the documented fields and no other.
fn check_sent(part: &Part, place: &str, value: &Value) {
    let object = value.as_object().unwrap_or_else(|| panic!("{place}: {value}"));
    for (field, optional) in &part.fields {
        assert!(*optional || object.contains_key(field), "{place} lacks {field}: {value}");
    }
    for field in object.keys() {
        assert!(part.fields.contains_key(field), "{place} has {field}, and the document does not");
    }
}

#[test]
fn the_document_and_the_types_are_in_step() {
    let mut doc = sections();
    let documented: BTreeSet<&str> = doc.keys().copied().collect();
    let known: BTreeSet<&str> = wire::METHODS
        .into_iter()
        .chain([
            wire::TURN,
            wire::DELTA,
            wire::RETRACT,
            wire::THOUGHT,
            wire::STEP,
            wire::ACTUATE,
            wire::ABORT,
            wire::SKILLS_CHANGED,
            wire::SESSIONS_CHANGED,
        ])
        .chain(["initialize"])
        .collect();
    assert_eq!(documented, known);
    let doc = &mut doc;
    check::<wire::Announcement>(doc, "initialize", "Params", false);
    check::<wire::Offer>(doc, "initialize", "Result", true);
    check::<wire::EventParams>(doc, wire::EVENT, "Params", false);
    check::<wire::EventResult>(doc, wire::EVENT, "Result", true);
    check::<wire::DryRunParams>(doc, wire::DRY_RUN, "Params", false);
    check::<wire::CancelParams>(doc, wire::CANCEL, "Params", false);
    check::<wire::CancelResult>(doc, wire::CANCEL, "Result", true);
    check::<wire::DecideParams>(doc, wire::DECIDE, "Params", false);
    check::<wire::DecideResult>(doc, wire::DECIDE, "Result", true);
    check::<wire::OutputParams>(doc, wire::OUTPUT, "Params", false);
    check::<wire::ActuatedParams>(doc, wire::ACTUATED, "Params", false);
    check::<wire::ActuatedResult>(doc, wire::ACTUATED, "Result", true);
    check::<wire::WhyParams>(doc, wire::WHY, "Params", false);
    check::<wire::ListParams>(doc, wire::LIST, "Params", false);
    check::<wire::GetParams>(doc, wire::GET, "Params", false);
    check::<wire::MessagesParams>(doc, wire::MESSAGES, "Params", false);
    check::<wire::ItemsParams>(doc, wire::ACTIONS, "Params", false);
    check::<wire::ResumeParams>(doc, wire::RESUME, "Params", false);
    check::<wire::ResumeResult>(doc, wire::RESUME, "Result", true);
    check::<wire::CreateParams>(doc, wire::CREATE, "Params", false);
    check::<wire::RenameParams>(doc, wire::RENAME, "Params", false);
    check::<wire::ArchiveParams>(doc, wire::ARCHIVE, "Params", false);
    check::<wire::LabelParams>(doc, wire::LABEL, "Params", false);
    check::<wire::PauseParams>(doc, wire::PAUSE, "Params", false);
    check::<wire::GetParams>(doc, wire::COMPLETE, "Params", false);
    check::<wire::ContextParams>(doc, wire::CONTEXT, "Params", false);
    check::<wire::CheckpointParams>(doc, wire::CHECKPOINT, "Params", false);
    check::<wire::ItemsParams>(doc, wire::CHECKPOINTS, "Params", false);
    check::<wire::CheckpointParams>(doc, wire::RESTORE, "Params", false);
    check::<wire::AnswersParams>(doc, wire::REGENERATE, "Params", false);
    check::<wire::AnswersParams>(doc, wire::VARIANTS, "Params", false);
    check::<wire::ChooseParams>(doc, wire::CHOOSE, "Params", false);
    check::<wire::ReadParams>(doc, wire::READ, "Params", false);
    check::<wire::GetParams>(doc, wire::DELETE, "Params", false);
    check::<wire::ForkParams>(doc, wire::FORK, "Params", false);
    check::<wire::SearchParams>(doc, wire::SEARCH, "Params", false);
    check::<wire::GetParams>(doc, wire::EXPORT, "Params", false);
    check::<wire::ImportParams>(doc, wire::IMPORT, "Params", false);
    check::<wire::SessionsChangedParams>(doc, wire::SESSIONS_CHANGED, "Params", true);
    check::<wire::TurnParams>(doc, wire::TURN, "Params", true);
    check::<wire::DeltaParams>(doc, wire::DELTA, "Params", true);
    check::<wire::RetractParams>(doc, wire::RETRACT, "Params", true);
    check::<wire::ThoughtParams>(doc, wire::THOUGHT, "Params", true);
    check::<wire::StepParams>(doc, wire::STEP, "Params", true);
    check::<wire::ModelsParams>(doc, wire::MODELS, "Params", false);
    check::<wire::SelectParams>(doc, wire::SELECT, "Params", false);
    check::<wire::ActuateParams>(doc, wire::ACTUATE, "Params", true);
    check::<wire::ActuateResult>(doc, wire::ACTUATE, "Result", true);
    check::<wire::AbortParams>(doc, wire::ABORT, "Params", true);
    check::<wire::SkillsParams>(doc, wire::SKILLS, "Params", false);
    check::<wire::SkillParams>(doc, wire::SKILL, "Params", false);
    check::<wire::ReloadParams>(doc, wire::RELOAD, "Params", false);
    check::<wire::ShelfParams>(doc, wire::RELOAD, "Result", true);
    check::<wire::ShelfParams>(doc, wire::SKILLS_CHANGED, "Params", true);
    check::<wire::CapabilitiesParams>(doc, wire::CAPABILITIES, "Params", false);
    check::<wire::UntrustedParams>(doc, wire::UNTRUSTED, "Params", false);
    check::<wire::TrustParams>(doc, wire::TRUST, "Params", false);
    check::<wire::ShelfParams>(doc, wire::TRUST, "Result", true);
    // What is left are views, which have no type.
    let left: Vec<(&str, &str)> =
        doc.iter().flat_map(|(method, parts)| parts.keys().map(|part| (*method, *part))).collect();
    let views = [
        (wire::CAPABILITIES, "Item"),
        (wire::DRY_RUN, "Result"),
        (wire::MODELS, "Item"),
        (wire::ACTIONS, "Item"),
        (wire::CHECKPOINTS, "Item"),
        (wire::DELETE, "Result"),
        (wire::EXPORT, "Result"),
        (wire::GET, "Result"),
        (wire::LIST, "Item"),
        (wire::MESSAGES, "Item"),
        (wire::REGENERATE, "Result"),
        (wire::SEARCH, "Item"),
        (wire::VARIANTS, "Item"),
        (wire::SKILLS, "Item"),
        (wire::SKILL, "Result"),
        (wire::UNTRUSTED, "Item"),
        (wire::WHY, "Result"),
    ];
    assert_eq!(left, views);
}

#[test]
fn states_and_errors_are_documented() {
    let states: Vec<&str> = column("| state |").into_iter().map(|(state, _)| state).collect();
    for state in &states {
        serde_json::from_value::<wire::TurnStateName>(json!(state)).unwrap();
    }
    let error = serde_json::from_value::<wire::TurnStateName>(json!("x")).unwrap_err().to_string();
    let known = error.matches('`').count() / 2 - 1;
    assert_eq!(states.len(), known, "{error}");

    let codes = column("| `code` |");
    for (code, cells) in &codes {
        let code: Code = serde_json::from_value(json!(code)).unwrap();
        let error = tower_lsp_server::jsonrpc::Error::from(Error::new(code, "x"));
        assert_eq!(error.code.code().to_string(), cells[0], "{code:?}");
    }
    let error = serde_json::from_value::<Code>(json!("x")).unwrap_err().to_string();
    assert_eq!(codes.len(), error.matches('`').count() / 2 - 1, "{error}");
}

#[test]
fn the_frames_of_the_whole_turn_have_the_documented_shapes() {
    let doc = sections();
    let text = DOC.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let mut asked = BTreeMap::new();
    for line in text.lines() {
        let message: Value = serde_json::from_str(&line[2..]).expect(line);
        let id = message.get("id").map(ToString::to_string);
        match (message["method"].as_str(), id) {
            (Some(method), id) => {
                if let Some(id) = id {
                    asked.insert(id, method.to_owned());
                }
                if method.starts_with("orgAgent/") {
                    check_sent(&doc[method]["Params"], line, &message["params"]);
                }
            }
            (None, id) => {
                let method = asked.remove(&id.unwrap()).expect("an answer to a request");
                if method.starts_with("orgAgent/") {
                    check_sent(&doc[method.as_str()]["Result"], line, &message["result"]);
                }
            }
        }
    }
    assert!(asked.is_empty(), "not answered: {asked:?}");
}

#[test]
fn a_real_server_sends_what_is_documented() {
    let doc = sections();
    let part = |method: &str, name: &str| &doc[method][name];
    let mut client = Client::start(&[]);
    let result = client.initialize();
    let offer = &result["capabilities"]["experimental"]["orgAgent"];
    check_sent(part("initialize", "Result"), "initialize", offer);
    assert_eq!(offer["methods"], json!(wire::METHODS.to_vec()));

    for format in ["json", "org"] {
        let shown = client.request(wire::DRY_RUN, &json!({"text": "run: true", "format": format}));
        check_sent(part(wire::DRY_RUN, "Result"), wire::DRY_RUN, &shown);
        assert_eq!(shown.get("org").is_some(), format == "org", "{shown}");
    }
    let receipt = client.chat("notes.org", "1", "run: true");
    check_sent(part(wire::EVENT, "Result"), wire::EVENT, &receipt);
    let question = client.wait_for(|message| message["method"] == wire::ACTUATE);
    let params = question["params"].clone();
    check_sent(part(wire::ACTUATE, "Params"), wire::ACTUATE, &params);
    let decide = json!({"actuationId": params["actuationId"], "choice": "run"});
    let decided = client.request(wire::DECIDE, &decide);
    check_sent(part(wire::DECIDE, "Result"), wire::DECIDE, &decided);
    client.notify(
        wire::OUTPUT,
        &json!({"actuationId": params["actuationId"], "seq": 1, "stream": "stderr", "text": "x"}),
    );
    let done = json!({"actuationId": params["actuationId"], "token": decided["token"], "status": "done", "exitCode": 0});
    check_sent(part(wire::ACTUATED, "Result"), wire::ACTUATED, &client.request(wire::ACTUATED, &done));
    let turn = receipt["turnId"].as_str().unwrap();
    let messages = client.turn(turn);
    let mut methods = BTreeSet::new();
    for message in &messages {
        let method = message["method"].as_str().unwrap();
        check_sent(part(method, "Params"), method, &message["params"]);
        methods.insert(method);
    }
    assert_eq!(methods, BTreeSet::from([wire::TURN, wire::DELTA, wire::ACTUATE]));

    let session = json!({"sessionId": receipt["sessionId"]});
    for (method, params) in [(wire::LIST, &json!({})), (wire::MESSAGES, &session), (wire::ACTIONS, &session)]
    {
        let list = client.request(method, params);
        assert_eq!(list.as_object().unwrap().keys().collect::<Vec<_>>(), ["items", "nextCursor"], "{method}");
        let items = list["items"].as_array().unwrap();
        assert!(!items.is_empty(), "{method}");
        items.iter().for_each(|item| check_sent(part(method, "Item"), method, item));
    }
    check_sent(part(wire::GET, "Result"), wire::GET, &client.request(wire::GET, &session));
    check_sent(part(wire::RESUME, "Result"), wire::RESUME, &client.request(wire::RESUME, &session));
    for mut what in [json!({"turnId": turn}), json!({"actuationId": params["actuationId"]})] {
        for format in ["json", "org"] {
            what["format"] = format.into();
            let why = client.request(wire::WHY, &what);
            check_sent(part(wire::WHY, "Result"), wire::WHY, &why);
            assert_eq!(why.get("org").is_some(), format == "org", "{why}");
        }
    }
    let list = client.request(wire::MODELS, &session);
    let items = list["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["selected"]), (1, &json!(true)), "{list}");
    items.iter().for_each(|item| check_sent(part(wire::MODELS, "Item"), wire::MODELS, item));
    let list = client.request(wire::SKILLS, &json!({}));
    for item in list["items"].as_array().unwrap() {
        check_sent(part(wire::SKILLS, "Item"), wire::SKILLS, item);
        let skill = client.request(wire::SKILL, &json!({"name": item["name"]}));
        check_sent(part(wire::SKILL, "Result"), wire::SKILL, &skill);
    }
    assert!(list["items"].as_array().unwrap().len() > 2, "{list}");
    let reloaded = client.request(wire::RELOAD, &json!({}));
    check_sent(part(wire::RELOAD, "Result"), wire::RELOAD, &reloaded);
    let capabilities = client.request(wire::CAPABILITIES, &json!({"limit": 100}));
    let items = capabilities["items"].as_array().unwrap();
    items.iter().for_each(|item| check_sent(part(wire::CAPABILITIES, "Item"), wire::CAPABILITIES, item));
    assert!(items.iter().any(|item| item["name"] == "explain-region"), "{capabilities}");
    assert!(capabilities["actions"].as_array().unwrap().iter().any(|action| action["name"] == "shell"));
    let project = tempfile::tempdir().unwrap();
    let skills = project.path().join(".agents/skills/lint");
    std::fs::create_dir_all(&skills).unwrap();
    std::fs::write(skills.join("SKILL.md"), "---\nname: lint\ndescription: Lints.\n---\nLint.\n").unwrap();
    let directory = json!({"directory": project.path()});
    let untrusted = client.request(wire::UNTRUSTED, &directory);
    let item = &untrusted["items"][0];
    check_sent(part(wire::UNTRUSTED, "Item"), wire::UNTRUSTED, item);
    let trust = json!({"directory": project.path(), "file": item["file"], "sha256": item["sha256"]});
    let trusted = client.request(wire::TRUST, &trust);
    check_sent(part(wire::TRUST, "Result"), wire::TRUST, &trusted);
    let told = client.wait_for(|message| message["method"] == wire::SKILLS_CHANGED);
    check_sent(part(wire::SKILLS_CHANGED, "Params"), wire::SKILLS_CHANGED, &told["params"]);
    let cancelled = client.request(wire::CANCEL, &json!({"turnId": turn}));
    check_sent(part(wire::CANCEL, "Result"), wire::CANCEL, &cancelled);
    client.finish();
}

#[test]
fn what_is_done_with_sessions_is_answered_as_documented() {
    let doc = sections();
    let mut client = Client::new(&[("ORG_AGENT_MODEL", "offline")]);
    let made = client.request(wire::CREATE, &json!({"title": "One", "group": "g", "tags": ["a"]}));
    let id = made["id"].clone();
    let said = json!({"sensor": "chat-message", "clientId": "1", "sessionId": id, "text": "echo: one"});
    let said = client.request(wire::EVENT, &said);
    check_sent(&doc[wire::EVENT]["Result"], wire::EVENT, &said);
    client.turn(said["turnId"].as_str().unwrap());
    let edited = json!({"sensor": "chat-message", "clientId": "2", "sessionId": id, "text": "echo: two",
        "turnHashes": {said["eventId"].as_str().unwrap(): "0".repeat(64)}});
    let edited = client.request(wire::EVENT, &edited);
    check_sent(&doc[wire::EVENT]["Result"], wire::EVENT, &edited);
    assert_eq!(edited["edited"], json!([said["eventId"]]));
    client.turn(edited["turnId"].as_str().unwrap());

    let whole = json!({"sessionId": id});
    let again = client.request(wire::REGENERATE, &whole);
    check_sent(&doc[wire::REGENERATE]["Result"], wire::REGENERATE, &again);
    client.turn(again["turnId"].as_str().unwrap());
    let variants = client.request(wire::VARIANTS, &whole);
    assert_eq!((&variants["items"][1]["turnId"], &variants["last"]), (&again["turnId"], &json!(true)));
    for item in variants["items"].as_array().unwrap() {
        check_sent(&doc[wire::VARIANTS]["Item"], wire::VARIANTS, item);
    }

    // What answers with a session.
    let session = |value: &Value, method: &str| check_sent(&doc[wire::GET]["Result"], method, value);
    session(&made, wire::CREATE);
    for (method, params) in [
        (wire::RENAME, json!({"title": "Two"})),
        (wire::ARCHIVE, json!({})),
        (wire::LABEL, json!({"tags": []})),
        (wire::PAUSE, json!({"paused": true})),
        (wire::COMPLETE, json!({})),
        (wire::CONTEXT, json!({"values": {"a": 1}})),
        (wire::CHECKPOINT, json!({"name": "c"})),
        (wire::RESTORE, json!({"name": "c"})),
        (wire::CHOOSE, json!({"turnId": edited["turnId"]})),
        (wire::READ, json!({"messageId": said["eventId"]})),
        (wire::FORK, json!({"messageId": said["eventId"]})),
    ] {
        let mut params = params;
        params["sessionId"] = id.clone();
        session(&client.request(method, &params), method);
    }
    let whole = json!({"sessionId": id});
    for (method, params) in [(wire::CHECKPOINTS, &whole), (wire::SEARCH, &json!({"query": "echo"}))] {
        let list = client.request(method, params);
        let items = list["items"].as_array().unwrap();
        assert!(!items.is_empty(), "{method}");
        items.iter().for_each(|item| check_sent(&doc[method]["Item"], method, item));
        let names: Vec<&str> = list.as_object().unwrap().keys().map(String::as_str).collect();
        match method {
            wire::SEARCH => assert_eq!(names, ["items", "complete", "nextCursor"]),
            _ => assert_eq!(names, ["items", "nextCursor"]),
        }
    }
    check_sent(&doc[wire::EXPORT]["Result"], wire::EXPORT, &client.request(wire::EXPORT, &whole));
    let deleted = client.request(wire::DELETE, &whole);
    check_sent(&doc[wire::DELETE]["Result"], wire::DELETE, &deleted);
    let imported = client.request(wire::IMPORT, &json!({"org": deleted["org"]}));
    session(&imported["items"][0], wire::IMPORT);
    assert_eq!(imported.as_object().unwrap().keys().collect::<Vec<_>>(), ["items"]);

    // Every change was told, by a documented type.
    let text = DOC.split("### `orgAgent/sessions/changed`").nth(1).unwrap();
    let mut told = BTreeSet::new();
    for message in client.finish_unread() {
        if message["method"] == wire::SESSIONS_CHANGED {
            check_sent(&doc[wire::SESSIONS_CHANGED]["Params"], "changed", &message["params"]);
            for change in message["params"]["changes"].as_array().unwrap() {
                let change = change.as_str().unwrap();
                let name = change.strip_prefix("chat.session.").unwrap_or(change);
                assert!(text.contains(&format!("`{name}`")), "{change}");
                told.insert(change.to_owned());
            }
        }
    }
    assert_eq!(told.len(), 14, "{told:?}");
}

#[test]
fn the_statuses_of_sessions_are_documented() {
    let mut documented: Vec<&str> = column("| `status` |").into_iter().map(|(status, _)| status).collect();
    documented.sort_unstable();
    assert_eq!(documented, ["active", "completed", "failed", "paused", "running"]);
    let params =
        |status: &str| serde_json::from_value::<wire::ListParams>(json!({"status": status})).unwrap();
    for status in documented.into_iter().chain(["archived"]) {
        assert!(params(status).from_wire().is_ok(), "{status}");
    }
    let error = params("x").from_wire().unwrap_err();
    assert_eq!(error.hint.matches(", ").count() + 1, 6, "{}", error.hint);
}
