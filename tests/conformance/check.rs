//! The checker, rule by rule: the transcript is as it should be, and each change of it breaks one rule.

use std::io::Write;
use std::process::{Command, Stdio};

use org_agent::conformance::rules::Rule;
use serde_json::{Value, json};

const TRANSCRIPT: &str = include_str!("../../docs/transcript.jsonl");

/// What `org-agent conformance check` says of a record: its result, and the exit status.
pub fn checked(record: &[u8]) -> (Value, i32) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_org-agent"))
        .args(["conformance", "check", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let record = record.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(&record));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    (serde_json::from_slice(&output.stdout).unwrap(), output.status.code().unwrap())
}

/// The lines of the transcript.
pub fn transcript() -> Vec<Value> {
    TRANSCRIPT.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn text(lines: &[Value]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

/// The place of the `nth` message, from 0, that has `method`, and whose parameters `fits` likes.
#[track_caller]
fn find(lines: &[Value], method: &str, fits: impl Fn(&Value) -> bool, nth: usize) -> usize {
    let mut all = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line["message"]["method"] == method && fits(&line["message"]["params"]));
    all.nth(nth).unwrap_or_else(|| panic!("no {method}")).0
}

/// The place of the answer to the request at `at`.
fn answer(lines: &[Value], at: usize) -> usize {
    let id = &lines[at]["message"]["id"];
    let other = &lines[at]["direction"];
    let place = lines.iter().skip(at).position(|line| {
        line["message"].get("method").is_none() && line["message"]["id"] == *id && line["direction"] != *other
    });
    at + place.unwrap()
}

/// The transcript with a change breaks `rule`, first of all.
#[track_caller]
fn breaks(rule: Rule, side: &str, change: impl FnOnce(&mut Vec<Value>)) {
    let mut lines = transcript();
    change(&mut lines);
    let (found, status) = checked(&text(&lines));
    assert_eq!(status, 1, "{rule:?} is kept");
    let fault = &found["faults"][0];
    assert_eq!((&fault["rule"], &fault["side"]), (&json!(rule.name()), &json!(side)), "{found:#}");
    assert_eq!(fault["section"], rule.section());
}

const CLIENT: &str = "the client";
const SERVER: &str = "the server";

fn any(_: &Value) -> bool {
    true
}

fn insert(params: &Value) -> bool {
    params["action"]["target"] == "emacs"
}

fn shell(params: &Value) -> bool {
    params["action"]["target"] == "shell"
}

#[test]
fn the_transcript_breaks_no_rule_and_has_something_of_each() {
    let (found, status) = checked(TRANSCRIPT.as_bytes());
    assert_eq!((status, &found["faults"]), (0, &json!([])));
    assert_eq!(found["plain"], false);
    assert_eq!(found["untried"], json!([]), "nothing in the transcript is about these");
}

#[test]
fn a_line_that_is_no_message_is_named() {
    for (line, what) in [
        (&b"nonsense"[..], "it is no JSON object"),
        (b"{\"direction\":\"in\"", "it is no such JSON object: EOF while parsing an object, at column 17"),
        (b"{}", "direction is missing: in, to the client, or out"),
        (
            b"{\"direction\":\"up\"}",
            "it is no such JSON object: unknown variant `up`, expected `in` or `out`, at column 17",
        ),
        (b"{\"direction\":\"in\"}", "it has neither a message nor a kind"),
        (b"{\"direction\":\"in\",\"message\":1}", "its message is none of JSON-RPC: it is no object"),
        (b"{\"direction\":\"in\",\"message\":{}}", "its message is none of JSON-RPC: jsonrpc is not \"2.0\""),
        (b"{\"direction\":\"in\",\"kind\":\"request\"}", "a request has a method"),
        (b"{\"direction\":\"in\",\"kind\":\"result\"}", "a result has a number"),
        (b"{\"org-agent-traffic\":1}", "it begins a record in the middle of one"),
        (b"{\"org-agent-traffic\":2}", "records of version 2 are not known here, only 1"),
        (
            b"{\"direction\":\"in\xff\"}",
            "it is no such JSON object: invalid unicode code point, at column 17",
        ),
    ] {
        let mut record = TRANSCRIPT.as_bytes().to_vec();
        record.extend_from_slice(line);
        record.push(b'\n');
        let (found, status) = checked(&record);
        assert_eq!(status, 1, "{found:#}");
        let number = TRANSCRIPT.lines().count() + 1;
        let expected = json!([{"line": number, "rule": "message", "what": what, "section": "frames"}]);
        assert_eq!(found["faults"], expected);
    }
}

#[test]
fn a_file_that_is_not_there_is_an_error_and_a_plain_answer_names_the_line() {
    let run = |file: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_org-agent"));
        let output = command.args(["conformance", "check", file]).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr), output.status.code().unwrap())
    };
    let (_, error, status) = run("/no/such/file");
    assert!(
        error.contains("/no/such/file could not be read") && error.contains("hint: ") && status == 1,
        "{error}"
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.jsonl");
    std::fs::write(&file, "nonsense\u{1b}[31m\n").unwrap();
    let file = file.to_str().unwrap();
    let expected = format!(
        "{file}:1: [message] it is no JSON object (docs/protocol.md#frames)\n\
         {file}: 0 messages, 0 turns, 0 actions: one thing is wrong\n"
    );
    let (said, _, status) = run(file);
    assert!(said.starts_with(&expected) && status == 1, "{said}");
}

#[test]
fn shape() {
    breaks(Rule::Shape, CLIENT, |lines| {
        let at = find(lines, "orgAgent/event", any, 0);
        lines[at]["message"]["params"]["level"] = json!(65);
    });
    breaks(Rule::Shape, SERVER, |lines| {
        let at = find(lines, "orgAgent/turn", any, 0);
        lines[at]["message"]["params"]["state"] = json!("dancing");
    });
    breaks(Rule::Shape, SERVER, |lines| {
        let at = find(lines, "orgAgent/event", any, 0);
        let at = answer(lines, at);
        lines[at]["message"]["result"].as_object_mut().unwrap().remove("lamport");
    });
    breaks(Rule::Shape, CLIENT, |lines| {
        let at = find(lines, "orgAgent/actuate", any, 0);
        let at = answer(lines, at);
        lines[at]["message"]["result"] = json!({"accepted": "yes"});
    });
}

#[test]
fn answers() {
    for side in [SERVER, CLIENT] {
        breaks(Rule::Answer, side, |lines| {
            let method = if side == SERVER { "orgAgent/event" } else { "orgAgent/actuate" };
            let at = find(lines, method, any, 0);
            let at = answer(lines, at);
            lines.insert(at, lines[at].clone());
        });
    }
    breaks(Rule::Answer, CLIENT, |lines| {
        let at = find(lines, "orgAgent/event", any, 0);
        let mut other = lines[at].clone();
        other["message"]["method"] = json!("orgAgent/sessions/list");
        other["message"]["params"] = json!({});
        lines.insert(at + 1, other);
    });
}

#[test]
fn life_cycle() {
    breaks(Rule::Life, CLIENT, |lines| {
        let at = find(lines, "initialize", any, 0);
        let answer = lines.remove(answer(lines, at));
        let event = find(lines, "orgAgent/event", any, 0);
        lines.insert(event + 1, answer);
    });
    breaks(Rule::Life, CLIENT, |lines| {
        let at = find(lines, "exit", any, 0);
        lines.insert(at, json!({"direction": "out", "message": {"jsonrpc": "2.0", "id": 99, "method": "orgAgent/capabilities"}}));
    });
    breaks(Rule::Life, SERVER, |lines| {
        let at = find(lines, "initialize", any, 0);
        let state = lines.remove(find(lines, "orgAgent/turn", any, 0));
        lines.insert(at + 1, state);
    });
}

#[test]
fn errors() {
    for change in [("code", json!(-32000)), ("data", Value::Null), ("message", json!(""))] {
        breaks(Rule::Error, SERVER, |lines| {
            let at = lines.iter().position(|line| line["message"].get("error").is_some()).unwrap();
            lines[at]["message"]["error"][change.0] = change.1;
        });
    }
}

#[test]
fn answer_first() {
    breaks(Rule::First, SERVER, |lines| {
        let at = find(lines, "orgAgent/event", any, 0);
        let answer = lines.remove(answer(lines, at));
        lines.insert(find(lines, "orgAgent/turn", any, 1), answer);
    });
}

#[test]
fn seq() {
    for seq in [1, 2, 9] {
        breaks(Rule::Seq, SERVER, |lines| {
            let at = find(lines, "orgAgent/delta", any, 0);
            lines[at]["message"]["params"]["seq"] = json!(seq);
        });
    }
}

#[test]
fn one_end() {
    breaks(Rule::End, SERVER, |lines| {
        let at = find(lines, "orgAgent/turn", |params| params["state"] == "done", 0);
        let mut more = lines[at].clone();
        more["message"]["params"]["seq"] = json!(more["message"]["params"]["seq"].as_u64().unwrap() + 1);
        lines.insert(at + 1, more);
    });
}

#[test]
fn begin() {
    breaks(Rule::Begin, SERVER, |lines| {
        let at = find(lines, "orgAgent/turn", any, 0);
        lines[at]["message"]["params"]["state"] = json!("thinking");
    });
    breaks(Rule::Begin, SERVER, |lines| {
        let at = find(lines, "orgAgent/turn", any, 1);
        lines[at]["message"]["params"]["state"] = json!("accepted");
    });
}

#[test]
fn attempts() {
    breaks(Rule::Attempt, SERVER, |lines| {
        let at = find(lines, "orgAgent/actuate", |params| insert(params) && params["attempt"] == 2, 0);
        lines[at]["message"]["params"]["attempt"] = json!(1);
    });
    breaks(Rule::Attempt, SERVER, |lines| {
        let at = find(lines, "orgAgent/thought", any, 0);
        lines[at]["message"]["params"]["attempt"] = json!(0);
    });
}

#[test]
fn texts() {
    breaks(Rule::Text, SERVER, |lines| {
        let at = find(lines, "orgAgent/actuate", insert, 0);
        lines[at]["message"]["params"]["action"]["payload"]["text"] = json!("Something else.");
    });
    breaks(Rule::Text, SERVER, |lines| {
        let at = find(lines, "orgAgent/delta", any, 0);
        lines[at]["message"]["params"]["text"] = json!("Hallo");
    });
}

#[test]
fn retractions() {
    // What was shown is not taken back: the numbers are right all the same.
    breaks(Rule::Retract, SERVER, |lines| {
        let at = find(lines, "orgAgent/retract", any, 0);
        let params = &lines[at]["message"]["params"];
        let state = json!({"turnId": params["turnId"], "seq": params["seq"], "state": "thinking",
            "sessionId": "00000000-0000-4000-8000-000000000009"});
        lines[at]["message"]["method"] = json!("orgAgent/turn");
        lines[at]["message"]["params"] = state;
    });
    breaks(Rule::Retract, SERVER, |lines| {
        let at = find(lines, "orgAgent/retract", any, 0);
        let (turn, seq) =
            (lines[at]["message"]["params"]["turnId"].clone(), &lines[at]["message"]["params"]["seq"]);
        let delta = json!({"turnId": turn, "attempt": 1, "seq": seq.as_u64().unwrap() + 1, "text": "x"});
        lines.insert(
            at + 1,
            json!({"direction": "in", "message":
            {"jsonrpc": "2.0", "method": "orgAgent/delta", "params": delta}}),
        );
    });
}

#[test]
fn wanted() {
    for (announced, value) in [
        ("streaming", json!(false)),
        ("reasoning", json!(false)),
        ("actuators", json!(["shell", "replaceRegion"])),
    ] {
        breaks(Rule::Wanted, SERVER, |lines| {
            let at = find(lines, "initialize", any, 0);
            lines[at]["message"]["params"]["capabilities"]["experimental"]["orgAgent"][announced] = value;
        });
    }
}

#[test]
fn actions() {
    breaks(Rule::Action, SERVER, |lines| {
        let first = find(lines, "orgAgent/actuate", insert, 0);
        let id = lines[first]["message"]["params"]["actuationId"].clone();
        let at = find(lines, "orgAgent/actuate", shell, 0);
        lines[at]["message"]["params"]["actuationId"] = id;
    });
    // A command that is sent again, once its turn is there again.
    breaks(Rule::Action, SERVER, |lines| {
        let at = find(lines, "orgAgent/actuate", shell, 0);
        let mut again = lines[at].clone();
        again["message"]["id"] = json!("oa-again");
        let seq = |line: &Value| line["message"]["params"]["seq"].as_u64().unwrap();
        again["message"]["params"]["seq"] = json!(seq(&again) + 1);
        lines.insert(at + 1, again);
    });
}

#[test]
fn tokens() {
    breaks(Rule::Token, SERVER, |lines| {
        let at = find(lines, "orgAgent/decide", |params| params["choice"] == "run", 0);
        let at = answer(lines, at);
        lines[at]["message"]["result"]["token"] = Value::Null;
    });
    breaks(Rule::Token, SERVER, |lines| {
        let at = find(lines, "orgAgent/actuate", shell, 0);
        lines[at]["message"]["params"]["decision"] = json!("allow");
    });
}

#[test]
fn methods() {
    breaks(Rule::Method, CLIENT, |lines| {
        let at = find(lines, "orgAgent/sessions/list", any, 0);
        lines[at]["message"]["method"] = json!("orgAgent/teapot");
    });
}

#[test]
fn acknowledgements() {
    breaks(Rule::Ack, CLIENT, |lines| {
        // Of the last server, which is left in order.
        let at = lines.iter().rposition(|line| line["message"]["method"] == "orgAgent/actuate").unwrap();
        let at = answer(lines, at);
        lines.remove(at);
    });
    for late in [true, false] {
        breaks(Rule::Ack, CLIENT, |lines| {
            let at = find(lines, "orgAgent/actuate", any, 0);
            lines[at]["t"] = json!(1.0);
            let answer = answer(lines, at);
            if late {
                lines[answer]["t"] = json!(31.5);
            } else {
                lines.remove(answer);
                lines[answer]["t"] = json!(31.5);
            }
        });
    }
}

#[test]
fn reports() {
    breaks(Rule::Report, CLIENT, |lines| {
        // The last insert of the last server, which then cannot end.
        let at = lines.iter().rposition(|line| line["message"]["method"] == "orgAgent/actuated").unwrap();
        let answer = answer(lines, at);
        lines.remove(answer);
        lines.remove(at);
        let end = lines.iter().rposition(|line| line["message"]["params"]["state"] == "done").unwrap();
        lines.remove(end);
    });
}

#[test]
fn outcomes() {
    breaks(Rule::Outcome, CLIENT, |lines| {
        let at = find(lines, "orgAgent/actuated", any, 0);
        lines[at]["message"]["params"]["actuationId"] = json!("no-such-action");
    });
    breaks(Rule::Outcome, CLIENT, |lines| {
        let at = find(lines, "orgAgent/decide", any, 0);
        lines[at]["message"]["params"]["actuationId"] = json!("no-such-action");
    });
    breaks(Rule::Outcome, CLIENT, |lines| {
        let at = find(lines, "orgAgent/actuated", any, 0);
        let mut other = lines[at].clone();
        other["message"]["id"] = json!(99);
        other["message"]["params"]["status"] = json!("failed");
        lines.insert(at + 1, other);
    });
}

#[test]
fn decisions() {
    breaks(Rule::Decide, CLIENT, |lines| {
        let at = find(lines, "orgAgent/decide", |params| params["choice"] == "run", 0);
        let answer = answer(lines, at);
        lines.remove(answer);
        lines.remove(at);
    });
    breaks(Rule::Decide, CLIENT, |lines| {
        let at = find(lines, "orgAgent/decide", |params| params["choice"] == "deny", 0);
        let action = lines[at]["message"]["params"]["actuationId"].clone();
        let at = answer(lines, at);
        lines.insert(
            at + 1,
            json!({"direction": "out", "message": {"jsonrpc": "2.0", "id": 99,
            "method": "orgAgent/actuated", "params": {"actuationId": action, "status": "done"}}}),
        );
    });
}

#[test]
fn tokens_that_come_back() {
    for token in [Value::Null, json!("guessed")] {
        breaks(Rule::Return, CLIENT, |lines| {
            let at = find(lines, "orgAgent/actuated", |params| params["exitCode"] == 0, 0);
            lines[at]["message"]["params"]["token"] = token;
        });
    }
}

#[test]
fn client_ids() {
    breaks(Rule::ClientId, CLIENT, |lines| {
        let at = find(lines, "orgAgent/event", any, 1);
        lines[at]["message"]["params"]["clientId"] = json!("m-1");
    });
}

#[test]
fn output() {
    breaks(Rule::Output, CLIENT, |lines| {
        let at = find(lines, "orgAgent/output", any, 0);
        lines[at]["message"]["params"]["seq"] = json!(2);
    });
    breaks(Rule::Output, CLIENT, |lines| {
        let at = find(lines, "orgAgent/output", any, 0);
        let mut late = lines[at].clone();
        late["message"]["params"]["seq"] = json!(2);
        lines.insert(find(lines, "orgAgent/actuated", |params| params["exitCode"] == 0, 0) + 1, late);
    });
}
