//! `docs/transcript.jsonl`: what passes in sessions that have all that the document speaks of.
//!
//! Written with ORG_AGENT_WRITE_TRANSCRIPT=1. Identifiers, hashes, tokens, times and the home are others each time, and
//! are replaced by the same ones; where deltas are cut is not compared.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use org_agent::conformance::check::check;
use org_agent::conformance::message::{Side, written};
use regex::Regex;
use serde_json::{Value, json};

use super::schema::Checker;
use super::tour::{actuation, all, command, insert, variables};
use crate::common::client::Client;
use crate::common::fake_model::{FakeModel, Gate, Reply};

const FILE: &str = "docs/transcript.jsonl";
const WRITE: &str = "ORG_AGENT_WRITE_TRANSCRIPT";

/// A message from the chat buffer; the answer.
fn say(client: &mut Client, id: &str, text: &str, directory: &Path) -> Value {
    let params = json!({"sensor": "chat-message", "clientId": id, "buffer": "*org-agent-chat*", "text": text,
        "directory": directory});
    client.request("orgAgent/event", &params)
}

fn turn_of(receipt: &Value) -> &str {
    receipt["turnId"].as_str().unwrap()
}

/// The sessions; what passed in each.
fn play(home: &Path) -> Vec<Vec<(Side, Value)>> {
    let directory = &std::fs::canonicalize(home).unwrap();
    let mut model = FakeModel::start();
    let url = model.base_url();
    let mut client = Client::start_in(home, &variables(&url));
    client.record = Some(Vec::new());
    client.initialize_as(&all());

    // A plain turn.
    let thought = json!({"choices": [{"index": 0, "delta": {"reasoning_content": "A greeting."}}]});
    model.push(Reply::stream().event(&thought).text(&insert("Hello, *Ada*.")).finish("stop").done());
    let said = say(&mut client, "m-1", "Hello", directory);
    client.turn(turn_of(&said));

    // A reply that is rejected, and repaired.
    let gate = Gate::new();
    let spoilt = Reply::stream().text(&insert("This goes away.")).wait(&gate).text(" Anything else?");
    model.push(spoilt.finish("stop").done());
    model.reply_with(&insert("This stays."));
    let said = say(&mut client, "m-2", "Say it again", directory);
    client.wait_for(|message| {
        message["method"] == "orgAgent/delta" && message["params"]["turnId"] == said["turnId"]
    });
    gate.open();
    client.turn(turn_of(&said));

    // A command that is approved, and run by the client.
    model.reply_with(&command("make clock"));
    let said = say(&mut client, "m-3", "How late is it?", directory);
    let asked = actuation(&mut client);
    let decide = json!({"actuationId": asked["actuationId"], "choice": "run"});
    let decided = client.request("orgAgent/decide", &decide);
    client.wait_for(|message| message["params"]["state"] == "acting");
    let noon = "Mon Jun  1 12:00:00 UTC 2026\n";
    let piece = json!({"actuationId": asked["actuationId"], "seq": 1, "stream": "stdout", "text": noon});
    client.notify("orgAgent/output", &piece);
    model.reply_with(&insert("It is noon."));
    let done = json!({"actuationId": asked["actuationId"], "token": decided["token"], "status": "done", "exitCode": 0,
        "stdout": noon, "stderr": "", "sandboxed": true});
    client.request("orgAgent/actuated", &done);
    client.turn(turn_of(&said));

    // One that is denied.
    model.reply_with(&command("rm -r notes"));
    let said = say(&mut client, "m-4", "Tidy up", directory);
    let asked = actuation(&mut client);
    model.reply_with(&insert("As you like."));
    let deny = json!({"actuationId": asked["actuationId"], "choice": "deny", "message": "Not the notes."});
    client.request("orgAgent/decide", &deny);
    client.turn(turn_of(&said));

    // The same message again.
    let again = say(&mut client, "m-4", "Tidy up", directory);
    assert_eq!(again["duplicate"], true);

    // A turn that is cancelled while the model thinks.
    let gate = Gate::new();
    model.push(Reply::stream().wait(&gate).text(&insert("Too late.")).finish("stop").done());
    let said = say(&mut client, "m-5", "Think long", directory);
    client.wait_for(|message| message["params"]["state"] == "thinking");
    model.take_request_blocking();
    client.request("orgAgent/cancel", &json!({"turnId": said["turnId"]}));
    client.turn(turn_of(&said));
    gate.open();

    // What there is, and what there is not.
    client.request("orgAgent/sessions/list", &json!({"limit": 1}));
    client.request(
        "orgAgent/sessions/messages",
        &json!({"sessionId": said["sessionId"], "last": true, "limit": 1}),
    );
    let nowhere = json!({"sessionId": "00000000-0000-4000-8000-000000000000"});
    client.try_request("orgAgent/sessions/get", &nowhere).unwrap_err();

    // An insert that is not reported before the server dies.
    model.reply_with(&insert("You may not have seen this."));
    let last = say(&mut client, "m-6", "Once more", directory);
    actuation(&mut client);
    let first = client.record.clone().unwrap();
    client.kill();

    // The next server knows.
    let mut client = Client::start_in(home, &variables(&url));
    client.record = Some(Vec::new());
    client.initialize_as(&all());
    let resume = json!({"sessionId": last["sessionId"], "applied": applied(&first)});
    let resumed = client.request("orgAgent/sessions/resume", &resume);
    let lacking = &resumed["actuations"][0];
    client.request("orgAgent/actuated", &json!({"actuationId": lacking["actuationId"], "status": "done"}));
    let second = leave(client);

    // A client that runs no commands.
    let mut client = Client::start_in(home, &variables(&url));
    client.record = Some(Vec::new());
    client.initialize_as(&json!({"version": 1, "actuators": ["insertAtEnd"], "streaming": false}));
    model.reply_with(&command("make"));
    let said = say(&mut client, "m-7", "Make it", directory);
    let asked = actuation(&mut client);
    model.reply_with(&insert("There was nothing to make."));
    let decide = json!({"actuationId": asked["actuationId"], "choice": "run"});
    client.request("orgAgent/decide", &decide);
    client.turn(turn_of(&said));
    let third = leave(client);
    model.take_requests();
    vec![first, second, third]
}

/// The inserts that were reported.
fn applied(passed: &[(Side, Value)]) -> Vec<&Value> {
    let reported = passed.iter().filter(|(_, message)| message["method"] == "orgAgent/actuated");
    reported
        .map(|(_, message)| &message["params"])
        .filter(|it| it.get("exitCode").is_none())
        .map(|it| &it["actuationId"])
        .collect()
}

fn leave(mut client: Client) -> Vec<(Side, Value)> {
    client.request("shutdown", &Value::Null);
    client.notify("exit", &Value::Null);
    client.ended();
    client.record.take().unwrap()
}

/// The text with the same identifiers each time.
fn tame(text: &str, home: &Path) -> String {
    let text = text.replace(std::fs::canonicalize(home).unwrap().to_str().unwrap(), "/home/ada/notes");
    let ids = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{64}|[0-9a-f]{32}";
    let mut known: HashMap<String, String> = HashMap::new();
    let text = Regex::new(ids).unwrap().replace_all(&text, |found: &regex::Captures<'_>| {
        let count = known.len() + 1;
        let same = known.entry(found[0].to_owned()).or_insert_with(|| match found[0].len() {
            36 => format!("00000000-0000-4000-8000-{count:012x}"),
            length => format!("{count:0length$x}"),
        });
        same.clone()
    });
    let times = Regex::new(r#""(createdAt|updatedAt|deliveredAt)":[0-9]+"#).unwrap();
    let text = times.replace_all(&text, r#""$1":1780315200000"#);
    let took = Regex::new(r#""(begunMs|firstMs|totalMs)":[0-9]+"#).unwrap();
    took.replace_all(&text, r#""$1":1"#).into_owned()
}

/// What is compared: for each message its names, and the values of those that say what happens; of deltas only that
/// there are some. Which of two messages that do not wait for each other comes first is left open.
fn shape(text: &str) -> BTreeMap<String, usize> {
    fn names(value: &Value) -> String {
        match value {
            Value::Object(object) => {
                let part = |(name, value): (&String, &Value)| match (name.as_str(), value) {
                    (
                        "state" | "status" | "decision" | "method" | "code" | "duplicate" | "kind"
                        | "direction",
                        value,
                    ) => {
                        format!("{name}={value}")
                    }
                    // What can be confined differs between machines.
                    ("sandbox" | "confined" | "latency", _) => name.clone(),
                    _ => format!("{name}{}", names(value)),
                };
                let mut parts: Vec<String> = object.iter().map(part).collect();
                parts.sort();
                format!("{{{}}}", parts.join(","))
            }
            Value::Array(items) => format!("[{}]", items.iter().map(names).collect::<Vec<_>>().join(",")),
            _ => String::new(),
        }
    }
    let mut shapes = BTreeMap::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let count = shapes.entry(names(&value)).or_insert(0);
        if value["message"]["method"] != "orgAgent/delta" || *count == 0 {
            *count += 1;
        }
    }
    shapes
}

#[test]
fn the_transcript_is_what_passes() {
    let home = tempfile::tempdir().unwrap();
    let sessions = play(home.path());
    let mut checker = Checker::new();
    let mut lines = Vec::new();
    for passed in &sessions {
        checker.check(passed);
        lines.extend(passed.iter().map(|(from, message)| written(*from, message)));
        if lines.len() == passed.len() {
            lines.push(json!({"direction": "in", "kind": "died"}).to_string());
        }
    }
    let text = tame(&(lines.join("\n") + "\n"), home.path());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let (kept, made) = (shape(&kept), shape(&text));
    let differs: Vec<_> = kept.iter().filter(|it| !made.contains_key(it.0)).collect();
    let new: Vec<_> = made.iter().filter(|it| !kept.contains_key(it.0)).collect();
    assert!(
        kept == made,
        "{FILE} is not what passes: run `make transcript`, which runs this test with {WRITE}=1, and look at what \
         changed\nonly there: {differs:#?}\nonly now: {new:#?}"
    );
}

#[test]
fn the_transcript_is_as_the_schema_and_the_rules_say() {
    let text = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)).unwrap();
    let checked = check(&mut text.as_slice()).unwrap();
    assert_eq!(checked.faults, []);
    assert!(checked.messages > 90 && checked.turns > 6, "{checked:?}");
    let mut checker = Checker::new();
    let mut passed = Vec::new();
    for line in String::from_utf8(text).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let from = if line["direction"] == "in" { Side::Server } else { Side::Client };
        match line.get("message") {
            Some(message) if message["method"] == "initialize" => {
                checker.check(&std::mem::take(&mut passed));
                passed.push((from, message.clone()));
            }
            Some(message) => passed.push((from, message.clone())),
            None => {}
        }
    }
    checker.check(&passed);
}
