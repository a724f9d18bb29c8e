//! What a server finds that another one left behind, one case at a time. The built-in responder's `run:` waits for
//! the user, so a turn with it is under way for as long as a test wants.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use org_agent::store::Store;
use serde_json::{Value, json};

use crate::client::Client;

const ENV: [(&str, &str); 1] = [("ORG_AGENT_MODEL", "offline")];
const BUFFER: &str = "*notes*";

fn server(home: &Path) -> Client {
    Client::new_in(home, &ENV)
}

/// Sends a message; its session and turn.
fn say(client: &mut Client, text: &str) -> (String, String) {
    let receipt = client.chat(BUFFER, text, text);
    let word = |name: &str| receipt[name].as_str().unwrap().to_owned();
    (word("sessionId"), word("turnId"))
}

fn resume(client: &mut Client, session: &str, applied: &[&str], turns: &[&str]) -> Value {
    let params = json!({"sessionId": session, "applied": applied, "turns": turns});
    client.request("orgAgent/sessions/resume", &params)
}

/// Waits for a command that the user is asked about.
fn asked(client: &mut Client, turn: &str) -> Value {
    client.wait_for(|message| message["method"] == "orgAgent/actuate" && message["params"]["turnId"] == turn)
        ["params"]
        .clone()
}

/// Waits for the end of a turn: its text and its last state.
fn answer(client: &mut Client, turn: &str) -> (Option<String>, Value) {
    let messages = client.turn(turn);
    let text = messages.iter().find_map(|message| message["params"]["action"]["payload"]["text"].as_str());
    (text.map(str::to_owned), messages.last().unwrap()["params"]["state"].clone())
}

fn actions(client: &mut Client, session: &str) -> Vec<Value> {
    let list = client.request("orgAgent/sessions/actions", &json!({"sessionId": session}));
    list["items"].as_array().unwrap().clone()
}

#[track_caller]
fn sound(home: &Path) {
    assert_eq!(Store::open(home, |_| {}).unwrap().verify_all().unwrap(), []);
}

#[test]
fn queued_turns_run_and_a_started_one_is_interrupted_until_it_is_resumed() {
    let home = tempfile::tempdir().unwrap();
    let mut client = server(home.path());
    let (session, first) = say(&mut client, "run: true");
    let (_, second) = say(&mut client, "echo: two");
    let (_, third) = say(&mut client, "echo: three");
    let command = asked(&mut client, &first);
    client.kill();

    let mut client = server(home.path());
    // The same message again is the same event.
    let again = client.chat(BUFFER, "echo: three", "echo: three");
    assert_eq!((&again["duplicate"], &again["turnId"]), (&json!(true), &json!(third)));
    let found = resume(&mut client, &session, &[], &[]);
    let cut: Vec<&Value> =
        found["interrupted"].as_array().unwrap().iter().map(|item| &item["turnId"]).collect();
    assert_eq!(cut, [&json!(first)]);
    assert_eq!((&found["resumed"], &found["actuations"]), (&json!([]), &json!([])));
    assert_eq!(answer(&mut client, &second), (Some("two".into()), json!("done")));
    assert_eq!(answer(&mut client, &third), (Some("three".into()), json!("done")));
    let status = |actions: &[Value]| actions[0]["status"].clone();
    assert_eq!(status(&actions(&mut client, &session)), "unknown");
    let why = client.request("orgAgent/why", &json!({"turnId": first}));
    assert_eq!((&why["state"], &why["reason"]), (&json!("failed"), &json!("interrupted")));
    // Nothing decides about the old command any more.
    let decision = json!({"actuationId": command["actuationId"], "choice": "run"});
    let error = client.try_request("orgAgent/decide", &decision).unwrap_err();
    assert_eq!(error["data"]["code"], "not_found", "{error}");

    // Both resume it at once: it runs again once, as a new turn, and answers its own message.
    let params = json!({"sessionId": session, "turns": [first]});
    let ids = [0, 1].map(|_| client.ask("orgAgent/sessions/resume", &params));
    let [one, two] = ids.map(|id| client.answer(id).unwrap());
    assert_eq!(one["resumed"][0]["from"], first);
    assert_eq!(two["resumed"], json!([]));
    let fourth = one["resumed"][0]["turnId"].as_str().unwrap().to_owned();
    assert_eq!((&one["live"], &one["interrupted"]), (&json!([fourth]), &json!([])));
    let new = asked(&mut client, &fourth);
    assert_ne!(new["actuationId"], command["actuationId"]);
    assert_eq!(new["action"]["payload"]["cmd"], "true");
    let done = json!({"actuationId": new["actuationId"], "status": "done", "exitCode": 0});
    client.request("orgAgent/actuated", &done);
    let (text, state) = answer(&mut client, &fourth);
    assert_eq!((text.unwrap().contains("exit code 0"), state), (true, json!("done")));
    let why = client.request("orgAgent/why", &json!({"turnId": fourth}));
    assert_eq!(why["resumes"], first);
    client.finish();
    sound(home.path());
}

#[test]
fn a_command_of_a_dead_server_is_unknown_until_its_outcome_is_reported() {
    let home = tempfile::tempdir().unwrap();
    for late in [false, true] {
        let mut client = server(home.path());
        let text = format!("run: true {late}");
        let (session, turn) = say(&mut client, &text);
        let id = asked(&mut client, &turn)["actuationId"].clone();
        let decided = client.request("orgAgent/decide", &json!({"actuationId": id, "choice": "run"}));
        client.kill();

        let mut client = server(home.path());
        if late {
            let report = json!({"actuationId": id, "token": decided["token"], "status": "done", "exitCode": 7,
                "stdout": "seven"});
            for _ in 0..2 {
                assert_eq!(client.request("orgAgent/actuated", &report), json!({}));
            }
        }
        let found = resume(&mut client, &session, &[], &[&turn]);
        assert_eq!(found["resumed"][0]["from"], turn, "{found}");
        let new = found["resumed"][0]["turnId"].as_str().unwrap().to_owned();
        let (text, state) = answer(&mut client, &new);
        let (wanted, status) =
            if late { ("exit code 7", "done") } else { ("The outcome is unknown", "unknown") };
        assert!(text.as_ref().unwrap().contains(wanted), "{text:?}");
        assert_eq!(state, "done");
        let all = actions(&mut client, &session);
        let action = all.iter().find(|action| action["id"] == id).unwrap();
        assert_eq!(action["status"], status);
        // The result stands in the conversation once.
        let messages = client.request("orgAgent/sessions/messages", &json!({"sessionId": session}));
        let of_command = |message: &&Value| {
            message["metadata"]["actuation"] == id && message["metadata"]["kind"] == "command-result"
        };
        let results: Vec<&Value> = messages["items"].as_array().unwrap().iter().filter(of_command).collect();
        assert_eq!(results.len(), 1, "{results:?}");
        assert_eq!(results[0]["metadata"]["status"], status);
        client.finish();
    }
    sound(home.path());
}

#[test]
fn a_permitted_text_is_offered_until_it_is_reported_and_its_turn_not_run_again() {
    let home = tempfile::tempdir().unwrap();
    // How the client makes it known that it has the text.
    for way in ["reports", "resumes"] {
        let mut client = server(home.path());
        let (session, turn) = say(&mut client, &format!("echo: {way}"));
        let sent = asked(&mut client, &turn);
        let id = sent["actuationId"].as_str().unwrap();
        client.kill();

        let mut client = server(home.path());
        for _ in 0..2 {
            let found = resume(&mut client, &session, &[], &[&turn]);
            assert_eq!((&found["interrupted"], &found["resumed"]), (&json!([]), &json!([])));
            let again = &found["actuations"][0];
            assert_eq!(found["actuations"].as_array().unwrap().len(), 1);
            for same in ["actuationId", "turnId", "sessionId", "attempt", "action", "sexp", "decision"] {
                assert_eq!(again[same], sent[same], "{same}");
            }
        }
        if way == "reports" {
            for _ in 0..2 {
                client.request("orgAgent/actuated", &json!({"actuationId": id, "status": "done"}));
            }
        } else {
            assert_eq!(resume(&mut client, &session, &[id], &[])["actuations"], json!([]));
        }
        assert_eq!(resume(&mut client, &session, &[], &[])["actuations"], json!([]));
        assert_eq!(actions(&mut client, &session).last().unwrap()["status"], "done");
        client.finish();
    }
    sound(home.path());
}

#[test]
fn a_session_belongs_to_one_server_until_that_is_dead() {
    let home = tempfile::tempdir().unwrap();
    let mut first = server(home.path());
    let (session, started) = say(&mut first, "run: true");
    let (_, queued) = say(&mut first, "echo: queued");
    asked(&mut first, &started);

    let mut second = server(home.path());
    let (own, turn) = say(&mut second, "echo: second");
    assert_ne!(own, session);
    assert_eq!(answer(&mut second, &turn), (Some("second".into()), json!("done")));
    let params = json!({"sessionId": session, "sensor": "chat-message", "clientId": "x", "text": "x"});
    for method in ["orgAgent/event", "orgAgent/sessions/resume"] {
        let error = second.try_request(method, &params).unwrap_err();
        assert_eq!(error["data"]["code"], "conflict", "{error}");
        // By the title that it was given, which is what was said first.
        assert_eq!(error["message"], "session \"run: true\" is open in another server", "{error}");
    }

    first.kill();
    // At once, with what the dead one left.
    let found = resume(&mut second, &session, &[], &[]);
    assert_eq!(found["interrupted"][0]["turnId"], started, "{found}");
    assert_eq!(found["live"], json!([queued]));
    assert_eq!(answer(&mut second, &queued), (Some("queued".into()), json!("done")));
    // It holds both now; the newest is the one that a message without a session goes to.
    for at in 0..5 {
        let (to, turn) = say(&mut second, &format!("echo: {at}"));
        assert_eq!(to, own);
        answer(&mut second, &turn);
    }
    second.finish();
    sound(home.path());
}

#[test]
fn a_home_survives_the_death_of_its_first_server() {
    for step in 0..30 {
        let home = tempfile::tempdir().unwrap();
        // A home may also be half made by hand, or by a death between the creation and the first write.
        if step % 3 == 1 {
            std::fs::write(home.path().join("key"), "").unwrap();
            std::fs::write(home.path().join("agent.db"), "").unwrap();
        }
        let mut client = Client::start_in(home.path(), &ENV);
        client.ask("initialize", &json!({"processId": null, "capabilities": {}}));
        sleep(Duration::from_micros(step * 800));
        client.kill();

        let mut client = server(home.path());
        let (_, turn) = say(&mut client, "echo: alive");
        assert_eq!(answer(&mut client, &turn), (Some("alive".into()), json!("done")));
        client.finish();
        sound(home.path());
        let files = std::fs::read_dir(home.path()).unwrap();
        let files: BTreeSet<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(files, ["agent.db", "key", "leases"].map(str::to_owned).into());
    }
}
