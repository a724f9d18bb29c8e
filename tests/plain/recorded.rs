//! What passes between a plain editor and the server, as `org-agent conformance check` sees it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use org_agent::conformance::message::{Side, written};
use serde_json::{Value, json};

use crate::client::Client;
use crate::editor::{Editor, OnAsk, Units, announced};
use crate::fake_model::FakeModel;
use crate::{command, insert};

fn checked(lines: &[String], arguments: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_org-agent"))
        .args(["conformance", "check"])
        .args(arguments)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let record = lines.join("\n");
    let writer = std::thread::spawn(move || stdin.write_all(record.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output
}

fn faults(lines: &[String]) -> (Value, Option<i32>) {
    let output = checked(lines, &["--json"]);
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.code())
}

/// A chat in which the user is asked about two commands, and leaves while the second question is open.
fn chat() -> Vec<(Side, Value)> {
    let (home, mut model) = (tempfile::tempdir().unwrap(), FakeModel::start());
    let url = model.base_url();
    let env = [("OPENAI_BASE_URL", url.as_str()), ("OPENAI_API_KEY", "x"), ("ORG_AGENT_MODEL", "fake-model")];
    let mut client = Client::start_in(home.path(), &env);
    client.acknowledge = false;
    client.record = Some(Vec::new());
    let params = json!({"processId": null, "capabilities": announced(Units::Utf16, true)});
    client.request("initialize", &params);
    client.notify("initialized", &json!({}));
    let mut editor = Editor::of(client, Units::Utf16, true);
    let uri = format!("file://{}/chat.org", home.path().display());
    for reply in [command("touch a"), insert("So be it."), command("touch b")] {
        model.reply_with(&reply);
    }
    editor.on_ask.extend([OnAsk::Choose("Run"), OnAsk::Keep]);
    editor.open(&uri, "org", "* USER\nRun it.\n");
    editor.send(&uri);
    editor.until_ended(1);
    editor.append(&uri, "And again.\n");
    editor.send(&uri);
    editor.until("the second question", |editor| editor.asked.len() == 2);
    editor.request("shutdown", &Value::Null).unwrap();
    editor.client.notify("exit", &Value::Null);
    let record = editor.client.record.take().unwrap();
    assert!(editor.client.ended().success());
    assert_eq!(model.take_requests().len(), 3);
    record
}

#[test]
fn a_record_of_a_plain_editor_is_known_as_one_and_has_no_faults() {
    let record = chat();
    let lines: Vec<String> = record.iter().map(|(side, message)| written(*side, message)).collect();
    let (found, status) = faults(&lines);
    assert_eq!((&found["faults"], &found["plain"], status), (&json!([]), &json!(true), Some(0)), "{found:#}");
    let words = checked(&lines, &[]);
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(words.contains("nothing is wrong") && words.contains("It is of a plain editor"), "{words}");

    // People take their time, and may never answer.
    let slow: Vec<String> = record
        .iter()
        .enumerate()
        .map(|(at, (side, message))| {
            let mut line: Value = serde_json::from_str(&written(*side, message)).unwrap();
            line["t"] = (at * 100).into();
            line.to_string()
        })
        .collect();
    let (found, status) = faults(&slow);
    assert_eq!((&found["faults"], status), (&json!([]), Some(0)), "{found:#}");
}

#[test]
fn what_a_plain_editor_does_wrong_is_said() {
    let record = chat();
    let question = |(side, message): &(Side, Value)| {
        *side == Side::Server && message["method"] == "window/showMessageRequest"
    };
    let id = record.iter().find(|it| question(it)).unwrap().1["id"].clone();
    let answer = record.iter().position(|(side, message)| *side == Side::Client && message["id"] == id);
    let mut lines: Vec<String> = record.iter().map(|(side, message)| written(*side, message)).collect();
    let twice = lines[answer.unwrap()].clone();
    lines.insert(answer.unwrap(), twice);
    let (found, status) = faults(&lines);
    let fault = &found["faults"][0];
    assert_eq!((&fault["rule"], &fault["side"], status), (&json!("answer"), &json!("the client"), Some(1)));
    assert_eq!(found["faults"].as_array().unwrap().len(), 1, "{found:#}");
}
