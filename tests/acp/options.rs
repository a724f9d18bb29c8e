//! Modes and options of a session.

use serde_json::{Value, json};

use crate::client::{Client, Place, environment, is_update, said, updates};
use crate::fake_model::FakeModel;
use crate::{command, insert};

fn option<'a>(options: &'a Value, id: &str) -> &'a Value {
    options.as_array().unwrap().iter().find(|option| option["id"] == id).unwrap_or(&Value::Null)
}

#[test]
fn no_command_runs_where_there_is_only_talk() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    client.request("session/set_mode", &json!({"sessionId": session, "modeId": "talk"}));
    let messages = client.until(|message| is_update(message, "config_option_update"));
    let options = &messages.last().unwrap()["params"]["update"]["configOptions"];
    assert_eq!(option(options, "mode")["currentValue"], "talk");
    // One that is asked about, and one that would run unasked.
    for cmd in ["touch never", "ls"] {
        model.reply_with(&command(cmd));
        model.reply_with(&insert("Then not."));
        let messages = client.turn(&session, "Do it");
        assert_eq!(updates(&messages, "tool_call_update").pop().unwrap()["status"], "failed", "{cmd}");
        assert_eq!(said(&messages), "Then not.", "{cmd}");
        model.take_request_blocking();
        let told = model.take_request_blocking().messages().pop().unwrap().1;
        assert!(told.contains("the user chose that no command runs"), "{told}");
    }
    assert!(!place.cwd().join("never").exists());
    let params = json!({"sessionId": session, "configId": "mode", "value": "ask"});
    let id = client.ask("session/set_config_option", &params);
    let messages = client.answered(id);
    assert_eq!(updates(&messages, "current_mode_update")[0]["currentModeId"], "ask");
    let options = &messages.last().unwrap()["result"]["configOptions"];
    assert_eq!(option(options, "mode")["currentValue"], "ask");
    model.reply_with(&command("touch never"));
    client.prompt(&session, "Do it");
    client.asked("session/request_permission");
    model.take_request_blocking();
}

#[test]
fn the_model_is_chosen_for_the_session_and_its_context_is_told() {
    let (place, model) = (Place::new(), FakeModel::start());
    let config = format!(
        "[[models]]\nname = \"one\"\nmodel = \"m-one\"\nbase_url = \"{0}\"\n\n\
         [[models]]\nname = \"two\"\nmodel = \"m-two\"\nbase_url = \"{0}\"\ncontext_tokens = 4096\n",
        model.base_url()
    );
    std::fs::write(place.home.path().join("config.toml"), config).unwrap();
    let mut client = Client::start(place.home.path(), &[]);
    client.initialize(&json!({}));
    let answer = client.request("session/new", &json!({"cwd": place.cwd(), "mcpServers": []}));
    let models = option(&answer["configOptions"], "model");
    assert_eq!(models["currentValue"], "one", "{answer}");
    assert!(option(&answer["configOptions"], "commands").is_null(), "it has no terminals");
    let session = answer["sessionId"].as_str().unwrap().to_owned();
    let params = json!({"sessionId": session, "configId": "model", "value": "two"});
    let answer = client.request("session/set_config_option", &params);
    assert_eq!(option(&answer["configOptions"], "model")["currentValue"], "two");
    model.reply_with(&insert("Two."));
    let messages = client.turn(&session, "Hello");
    assert_eq!(model.take_request_blocking().body["model"], "m-two");
    let usage = updates(&messages, "usage_update");
    assert_eq!((&usage[0]["used"], &usage[0]["size"]), (&json!(18), &json!(4096)), "{messages:?}");
    for (option, value) in [("model", "none"), ("mode", "none"), ("commands", "terminal"), ("none", "x")] {
        let params = json!({"sessionId": session, "configId": option, "value": value});
        client.refused("session/set_config_option", &params);
    }
    client.refused("session/set_mode", &json!({"sessionId": session, "modeId": "none"}));
}

#[test]
fn servers_of_tools_are_said_to_be_ignored() {
    let (place, model) = (Place::new(), FakeModel::start());
    for (capabilities, kind) in
        [(json!({}), "agent_message_chunk"), (json!({"session": {"notices": {}}}), "notice")]
    {
        let mut client = Client::start(place.home.path(), &environment(&model));
        client.initialize(&capabilities);
        let server = json!({"name": "files", "command": "/bin/true", "args": [], "env": []});
        client.ask("session/new", &json!({"cwd": place.cwd(), "mcpServers": [server]}));
        let messages = client.until(|message| is_update(message, kind));
        assert!(messages.last().unwrap().to_string().contains("no MCP servers"), "{messages:?}");
    }
}
