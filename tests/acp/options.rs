//! Modes and options of a session.

use std::fs;

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
    fs::write(place.home.path().join("config.toml"), config).unwrap();
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

/// Chooses an option; all options afterwards.
fn choose(client: &mut Client, session: &str, option: &str, value: &str) -> Value {
    let params = json!({"sessionId": session, "configId": option, "value": value});
    client.request("session/set_config_option", &params)["configOptions"].clone()
}

#[test]
fn a_persona_is_chosen_and_stays_with_the_session() {
    let (place, model) = (Place::new(), FakeModel::start());
    let skills = place.home.path().join("skills");
    fs::create_dir_all(&skills).unwrap();
    fs::write(
        skills.join("pirate.org"),
        ":PROPERTIES:\n:ID: pirate-1\n:END:\n#+TITLE: SKILL: Pirate\n#+DEPENDS_ON: identity\n\
         #+DESCRIPTION: Speaks as a pirate.\n\n#+begin_src lisp\n(defun assistant-name () \"Anne Bonny\")\n\
         (defun persona () (format nil \"You are ~a, a pirate.\" (assistant-name)))\n\
         (defskill :pirate :capabilities '(:persona))\n#+end_src\n",
    )
    .unwrap();
    fs::write(
        skills.join("none.org"),
        "#+TITLE: SKILL: None\n#+begin_src lisp\n(defskill :none)\n#+end_src\n",
    )
    .unwrap();
    let mut client = place.client(&model);
    let answer = client.request("session/new", &json!({"cwd": place.cwd(), "mcpServers": []}));
    let session = answer["sessionId"].as_str().unwrap().to_owned();
    let persona = option(&answer["configOptions"], "persona");
    assert_eq!((&persona["currentValue"], &persona["category"]), (&json!("identity"), &json!("_persona")));
    let names: Vec<&str> =
        persona["options"].as_array().unwrap().iter().map(|one| one["value"].as_str().unwrap()).collect();
    assert_eq!(names, ["identity", "pirate"], "{persona}");
    let system = |model: &FakeModel| model.take_request_blocking().messages()[0].1.clone();
    model.reply_with(&insert("Good day."));
    client.turn(&session, "Hello");
    assert!(system(&model).contains("You are Passepartout"), "the usual one speaks");

    let options = choose(&mut client, &session, "persona", "pirate");
    assert_eq!(option(&options, "persona")["currentValue"], "pirate");
    model.reply_with(&insert("Ahoy."));
    client.turn(&session, "Hello");
    let told = system(&model);
    assert!(told.starts_with("You are Anne Bonny, a pirate.") && !told.contains("Passepartout"), "{told}");
    // Another session does not speak so.
    let other = client.session(&place.cwd());
    model.reply_with(&insert("Good day."));
    client.turn(&other, "Hello");
    assert!(system(&model).contains("You are Passepartout"));
    for name in ["none", "chat", "nobody", ""] {
        let params = json!({"sessionId": session, "configId": "persona", "value": name});
        client.refused("session/set_config_option", &params);
    }
    assert!(client.finish().success());

    // It stays, also if there is no such skill any more: that is said, and the usual one speaks.
    fs::remove_file(skills.join("pirate.org")).unwrap();
    let mut client = place.client(&model);
    let params = json!({"sessionId": session, "cwd": place.cwd(), "mcpServers": []});
    let options = client.request("session/resume", &params)["configOptions"].clone();
    assert_eq!(option(&options, "persona")["currentValue"], "pirate");
    assert!(option(&options, "persona").to_string().contains("Not there"), "{options}");
    model.reply_with(&insert("Good day."));
    client.turn(&session, "Hello");
    assert!(system(&model).contains("You are Passepartout"));
    let options = choose(&mut client, &session, "persona", "identity");
    assert!(!option(&options, "persona").to_string().contains("pirate"), "{options}");
}

#[test]
fn a_stricter_sandbox_is_chosen_and_holds() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    // Two that are chosen at once do not undo each other.
    for (number, (option, value)) in [("sandbox", "read-only"), ("mode", "talk")].into_iter().enumerate() {
        let params = json!({"sessionId": session, "configId": option, "value": value});
        client.send(
            &json!({"jsonrpc": "2.0", "id": format!("o{number}"), "method": "session/set_config_option",
            "params": params}),
        );
    }
    client.until(|message| message["id"] == "o0");
    let options =
        client.until(|message| message["id"] == "o1").pop().unwrap()["result"]["configOptions"].clone();
    assert_eq!(option(&options, "sandbox")["currentValue"], "read-only", "{options}");
    assert_eq!(option(&options, "sandbox")["category"], "_sandbox");
    assert_eq!(option(&options, "mode")["currentValue"], "talk", "{options}");
    assert!(client.finish().success());
    let mut client = place.client(&model);
    let params = json!({"sessionId": session, "cwd": place.cwd(), "mcpServers": []});
    let options = client.request("session/resume", &params)["configOptions"].clone();
    assert_eq!(option(&options, "sandbox")["currentValue"], "read-only", "{options}");
    assert_eq!(option(&options, "mode")["currentValue"], "talk", "{options}");
    choose(&mut client, &session, "mode", "ask");

    let run = |client: &mut Client, cmd: &str| {
        model.reply_with(&command(cmd));
        let id = client.prompt(&session, "Do it");
        let question = client.asked("session/request_permission").pop().unwrap();
        model.take_request_blocking();
        model.reply_with(&insert("Done."));
        client.choose(&question, "run");
        let messages = client.answered(id);
        model.take_request_blocking();
        let output = updates(&messages, "tool_call_update").pop().unwrap()["rawOutput"].clone();
        (question["params"]["toolCall"]["rawInput"]["sandbox"].as_str().unwrap().to_owned(), output)
    };
    let (terms, output) = run(&mut client, "touch $TMPDIR/x && touch never");
    assert!(terms.contains("write nothing but temporary files"), "{terms}");
    assert_eq!((&output["exitCode"], &output["sandboxed"]), (&json!(1), &json!(true)), "{output}");
    assert!(output["stderr"].as_str().unwrap().contains("never"), "{output}");
    assert!(!place.cwd().join("never").exists());
    let options = choose(&mut client, &session, "sandbox", "configured");
    assert_eq!(option(&options, "sandbox")["currentValue"], "configured", "{options}");
    let (terms, output) = run(&mut client, "touch made");
    assert!(terms.contains("only in the session's directory"), "{terms}");
    assert_eq!(output["exitCode"], 0, "{output}");
    assert!(place.cwd().join("made").exists());
    let params = json!({"sessionId": session, "configId": "sandbox", "value": "none"});
    client.refused("session/set_config_option", &params);
}
