//! Commands in a terminal of the client: what runs there is what was permitted, by its token.

use std::process::Command;

use serde_json::{Value, json};

use crate::client::{Client, Place, environment, said, stop_reason, updates};
use crate::fake_model::FakeModel;
use crate::{command, insert};

/// A client that has terminals, in a session whose commands run there.
fn client(place: &Place, model: &FakeModel) -> (Client, String) {
    let mut client = Client::start(place.home.path(), &environment(model));
    client.initialize(&json!({"terminal": true}));
    let session = client.session(&place.cwd());
    let params = json!({"sessionId": session, "configId": "commands", "value": "terminal"});
    client.request("session/set_config_option", &params);
    (client, session)
}

/// The request for a terminal, once the command was allowed.
fn create(client: &mut Client) -> Value {
    let question = client.asked("session/request_permission").pop().unwrap();
    client.choose(&question, "run");
    client.asked("terminal/create").pop().unwrap()
}

#[test]
fn a_command_runs_in_a_terminal_by_its_token() {
    let (place, model) = (Place::new(), FakeModel::start());
    let (mut client, session) = client(&place, &model);
    model.reply_with(&command("touch made; echo done; exit 3"));
    model.reply_with(&insert("It says done."));
    let id = client.prompt(&session, "Do it");
    let create = create(&mut client);
    let params = &create["params"];
    assert_eq!(params["cwd"], json!(place.cwd()));
    let arguments: Vec<&str> =
        params["args"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(&arguments[..2], ["sandbox", "--token"]);
    // As an editor does it.
    let variables = params["env"].as_array().unwrap().iter();
    let output = Command::new(params["command"].as_str().unwrap())
        .args(&arguments)
        .envs(variables.map(|it| (it["name"].as_str().unwrap(), it["value"].as_str().unwrap())))
        .current_dir(params["cwd"].as_str().unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((text.as_str(), output.status.code()), ("done\n", Some(3)));
    client.answer(&create, &json!({"terminalId": "t-1"}));
    let exit = client.asked("terminal/wait_for_exit").pop().unwrap();
    assert_eq!(exit["params"]["terminalId"], "t-1");
    client.answer(&exit, &json!({"exitCode": 3}));
    let said_there = client.asked("terminal/output").pop().unwrap();
    client.answer(&said_there, &json!({"output": text, "truncated": false}));
    let mut messages = client.asked("terminal/release");
    messages.extend(client.answered(id));
    let ending = updates(&messages, "tool_call_update").pop().unwrap();
    assert_eq!(ending["status"], "failed");
    assert_eq!(ending["content"][0], json!({"type": "terminal", "terminalId": "t-1"}));
    assert_eq!(said(&messages), "It says done.");
    assert!(place.cwd().join("made").exists());
    model.take_request_blocking();
    let told = model.take_request_blocking().messages().pop().unwrap().1;
    assert!(told.contains("done"), "{told}");
}

#[test]
fn without_a_terminal_the_command_failed() {
    let (place, model) = (Place::new(), FakeModel::start());
    let (mut client, session) = client(&place, &model);
    model.reply_with(&command("touch never"));
    model.reply_with(&insert("A pity."));
    let id = client.prompt(&session, "Do it");
    let create = create(&mut client);
    client.send(
        &json!({"jsonrpc": "2.0", "id": create["id"], "error": {"code": -32603, "message": "none left"}}),
    );
    let messages = client.answered(id);
    assert_eq!(said(&messages), "A pity.");
    model.take_request_blocking();
    let told = model.take_request_blocking().messages().pop().unwrap().1;
    assert!(told.contains("none left"), "{told}");
}

#[test]
fn a_terminal_that_comes_too_late_is_given_back() {
    let (place, model) = (Place::new(), FakeModel::start());
    let (mut client, session) = client(&place, &model);
    model.reply_with(&command("sleep 600"));
    let id = client.prompt(&session, "Do it");
    let create = create(&mut client);
    client.notify("session/cancel", &json!({"sessionId": session}));
    assert_eq!(stop_reason(&client.answered(id)), "cancelled");
    client.answer(&create, &json!({"terminalId": "t-1"}));
    assert_eq!(client.asked("terminal/kill").pop().unwrap()["params"]["terminalId"], "t-1");
    client.asked("terminal/release");
    model.take_request_blocking();
}

#[test]
fn what_runs_in_a_terminal_is_killed_with_its_turn() {
    let (place, model) = (Place::new(), FakeModel::start());
    let (mut client, session) = client(&place, &model);
    model.reply_with(&command("sleep 600"));
    let id = client.prompt(&session, "Do it");
    let create = create(&mut client);
    client.answer(&create, &json!({"terminalId": "t-1"}));
    client.asked("terminal/wait_for_exit");
    client.notify("session/cancel", &json!({"sessionId": session}));
    client.asked("terminal/kill");
    client.asked("terminal/release");
    assert_eq!(stop_reason(&client.answered(id)), "cancelled");
    model.take_request_blocking();
}
