//! What a token is good for: exactly what was permitted, once, and only as long as it still holds.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::fake_model::FakeModel;
use crate::scene::Scene;
use crate::{command, insert, variables};

/// A workspace with a file.
fn workspace() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("notes.org"), "* Notes\n").unwrap();
    directory
}

/// Has a command proposed in answer to a message about `directory`; its turn and actuation.
fn propose(scene: &mut Scene, cmd: &str, directory: &Path) -> (String, Value) {
    scene.model.reply_with(&command(cmd));
    let params = json!({"sensor": "chat-message", "clientId": cmd, "text": cmd, "directory": directory});
    let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
    let actuation = scene.wait(&turn, "run ");
    scene.asked();
    (turn, actuation)
}

fn finish(scene: &mut Scene, turn: &str, actuation: &Value, token: &Value) {
    scene.model.reply_with(&insert("Done."));
    scene.report(actuation, &json!({"status": "done", "token": token, "exitCode": 0})).unwrap();
    assert_eq!(scene.end(turn).last().unwrap(), "done");
    scene.asked();
}

/// What runs what `token` is good for, from elsewhere and with another environment.
fn sandbox(scene: &Scene, token: &Value) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_org-agent"));
    command
        .args(["sandbox", "--token", token.as_str().unwrap()])
        .env("ORG_AGENT_HOME", scene.client.home())
        .env("LC_TEST", "of the client")
        .current_dir("/");
    command
}

fn run(scene: &Scene, token: &Value) -> Output {
    sandbox(scene, token).output().unwrap()
}

fn ran(output: &Output, stdout: &str) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!((text(&output.stdout), text(&output.stderr)), (stdout.to_owned(), String::new()));
}

fn refused(output: &Output, why: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{text}");
    assert!(text.starts_with("org-agent: ") && text.contains(why), "{text}");
    assert!(output.stdout.is_empty());
}

#[test]
fn what_is_allowed_runs_by_its_token_once() {
    let (mut scene, directory) = (Scene::new(), workspace());
    let (turn, actuation) = propose(&mut scene, "cat notes.org | wc -l", directory.path());
    assert_eq!(actuation["decision"], "allow", "{actuation}");
    let real = directory.path().canonicalize().unwrap();
    assert_eq!((&actuation["confined"], &actuation["directory"]), (&json!(true), &json!(real)));
    let token = &actuation["token"];
    ran(&run(&scene, token), "1\n");
    refused(&run(&scene, token), "the token lets nothing run");
    finish(&mut scene, &turn, &actuation, token);
    assert_eq!(std::fs::read_dir(scene.client.home().join("warrants")).unwrap().count(), 0);
    scene.finish();
}

#[test]
fn what_is_approved_runs_with_its_own_environment_and_the_network_only_if_the_user_says_so() {
    let (mut scene, directory) = (Scene::new(), workspace());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for network in [false, true] {
        let connect = format!("bash -c 'echo > /dev/tcp/127.0.0.1/{port}' 2> errors && echo reached");
        let cmd = format!("pwd; echo \\\"$LC_TEST$OPENAI_API_KEY|\\\"; {connect} # {network}");
        let (turn, actuation) = propose(&mut scene, &cmd, directory.path());
        assert_eq!(actuation["decision"], "ask", "{actuation}");
        refused(&run(&scene, &json!("guessed")), "unknown");
        let decided = scene.decide(&actuation, &json!({"choice": "run", "network": network})).unwrap();
        let output = run(&scene, &decided["token"]);
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let real = directory.path().canonicalize().unwrap();
        let reached = if network { "reached\n" } else { "" };
        assert_eq!(stdout, format!("{}\n|\n{reached}", real.display()), "{output:?}");
        finish(&mut scene, &turn, &actuation, &decided["token"]);
    }
    scene.finish();
}

#[test]
fn secrets_are_hidden_from_what_runs_by_a_token_wherever_they_are() {
    // Not in /tmp, which is hidden as a whole.
    let home = tempfile::tempdir_in("/var/tmp").unwrap();
    let keys = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::write(keys.path().join("ring"), "planted-secret").unwrap();
    std::fs::write(home.path().join("planted"), "planted-secret").unwrap();
    let model = FakeModel::start();
    let mut scene = {
        let client = Client::new_in(home.path(), &variables(&model.base_url(), &[]));
        Scene::of(model, client)
    };
    let directory = workspace();
    let (home, keys) = (home.path().display(), keys.path().display());
    let tries =
        format!("ls {keys}; cat {keys}/ring; ls {home}; cat {home}/planted; cat {home}/key; echo $GNUPGHOME");
    let (turn, actuation) = propose(&mut scene, &tries, directory.path());
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    let output = sandbox(&scene, &decided["token"]).env("GNUPGHOME", keys.to_string()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "\n", "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("org-agent: ") && errors.lines().count() >= 4, "{errors}");
    finish(&mut scene, &turn, &actuation, &decided["token"]);
    scene.finish();
}

#[test]
fn a_token_is_void_once_its_command_was_reported_or_its_turn_was_cancelled() {
    let (mut scene, directory) = (Scene::new(), workspace());
    let (turn, actuation) = propose(&mut scene, "touch made", directory.path());
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    finish(&mut scene, &turn, &actuation, &decided["token"]);
    refused(&run(&scene, &decided["token"]), "its turn is over");

    let (turn, actuation) = propose(&mut scene, "touch made # again", directory.path());
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    scene.request("orgAgent/cancel", &json!({"turnId": turn})).unwrap();
    assert_eq!(scene.end(&turn).last().unwrap(), "cancelled");
    refused(&run(&scene, &decided["token"]), "its turn is over");
    assert!(!directory.path().join("made").exists());
}

#[test]
fn what_changed_since_is_not_run() {
    // A path that was inside leads out now.
    let (mut scene, directory) = (Scene::new(), workspace());
    let (_, actuation) = propose(&mut scene, "cat notes.org", directory.path());
    assert_eq!(actuation["decision"], "allow");
    let notes = directory.path().join("notes.org");
    std::fs::remove_file(&notes).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &notes).unwrap();
    refused(&run(&scene, &actuation["token"]), "not allowed unasked any more");

    // The directory is another one.
    let (mut scene, directory) = (Scene::new(), workspace());
    let place = directory.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let (_, actuation) = propose(&mut scene, "touch made", &place);
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    std::fs::rename(&place, directory.path().join("old")).unwrap();
    std::os::unix::fs::symlink("old", &place).unwrap();
    refused(&run(&scene, &decided["token"]), "not that directory any more");
    assert!(!directory.path().join("old/made").exists());

    // The user has denied such commands.
    let (mut scene, directory) = (Scene::new(), workspace());
    let (_, actuation) = propose(&mut scene, "touch made", directory.path());
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    let rule = "[[shell.rules]]\npattern = [\"touch\", \"<any>...\"]\ndecision = \"deny\"\n";
    std::fs::write(scene.client.home().join("config.toml"), rule).unwrap();
    refused(&run(&scene, &decided["token"]), "it is denied now");
    assert!(!directory.path().join("made").exists());
}

#[test]
fn on_another_machine_a_token_lets_nothing_run_here() {
    let (mut scene, directory) = (Scene::new(), workspace());
    scene.model.reply_with(&command("cat notes.org"));
    let params = json!({"sensor": "chat-message", "clientId": "m", "text": "m", "directory": directory.path(),
        "host": "ssh:box"});
    let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
    let actuation = scene.wait(&turn, "run ");
    scene.asked();
    assert_eq!((&actuation["decision"], &actuation["confined"]), (&json!("ask"), &json!(false)));
    assert_eq!(actuation["host"], "ssh:box");
    assert!(actuation["sandbox"].as_str().unwrap().contains("it would run on ssh:box"), "{actuation}");
    assert!(actuation.get("always").is_none());
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    refused(&run(&scene, &decided["token"]), "unknown");
    finish(&mut scene, &turn, &actuation, &decided["token"]);
    scene.finish();
}

#[test]
fn of_another_machine_only_the_text_is_judged() {
    let mut scene = Scene::new();
    let at = |directory: Option<&str>, cwd: &str, cmd: &str| {
        let said = format!("{directory:?} {cwd} {cmd}");
        let mut params = json!({"sensor": "chat-message", "clientId": said, "text": said, "host": "ssh:box"});
        if let Some(directory) = directory {
            params["directory"] = directory.into();
        }
        (params, format!(r#"(:type :request :target :shell :payload (:cmd "{cmd}" :cwd "{cwd}"))"#))
    };
    // Whatever is here, says nothing about what is there.
    for (directory, cwd, cmd, shown) in [
        (None, "", "make", "~"),
        (None, "src", "rm -rf build", "~/src"),
        (Some("~/notes"), "", "rm -rf build/x", "~/notes"),
        (Some("/nonexistent"), "a", "rm -rf b", "/nonexistent/a"),
        (Some("/nonexistent"), "/etc", "cat hosts", "/etc"),
    ] {
        let (params, reply) = at(directory, cwd, cmd);
        scene.model.reply_with(&reply);
        let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
        let actuation = scene.wait(&turn, "run ");
        scene.asked();
        assert_eq!(
            (&actuation["directory"], &actuation["host"], &actuation["decision"]),
            (&json!(shown), &json!("ssh:box"), &json!("ask"))
        );
        assert!(!actuation["rule"].as_str().unwrap().contains("there is no "), "{actuation}");
        finish(&mut scene, &turn, &actuation, &Value::Null);
    }
    for (directory, cmd) in
        [(Some("/nonexistent"), "rm -rf /srv/x"), (None, "rm -rf ../x"), (None, "rm -rf ~")]
    {
        let (params, reply) = at(directory, "", cmd);
        scene.model.reply_with(&reply);
        scene.model.reply_with(&insert("No."));
        let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
        let story = scene.end(&turn);
        assert!(!story.iter().any(|line| line.starts_with("run ")), "{cmd}: {story:?}");
        scene.asked();
        scene.asked();
    }
    let (params, _) = at(Some("notes"), "", "make");
    assert_eq!(scene.request("orgAgent/event", &params).unwrap_err()["data"]["code"], "bad_request");
    scene.finish();
}

/// What was logged about an action: its approvals, and its outcome.
fn logged(scene: &mut Scene, actuation: &Value) -> (Vec<Value>, Value) {
    let why = scene.request("orgAgent/why", &json!({"actuationId": actuation["actuationId"]})).unwrap();
    let of = |kind: &str, key: &str| -> Vec<Value> {
        let events = why["events"].as_array().unwrap().iter();
        events.filter(|event| event["type"] == kind).map(|event| event[key].clone()).collect()
    };
    let outcome = of("chat.action.executed", "outcome").pop();
    (of("chat.action.permitted", "approved"), outcome.unwrap_or_default())
}

#[test]
fn a_token_is_void_as_soon_as_its_command_was_reported_or_denied() {
    let (mut scene, directory) = (Scene::new(), workspace());
    let (turn, first) = propose(&mut scene, "touch made", directory.path());
    let decided = scene.decide(&first, &json!({"choice": "run"})).unwrap();
    scene.model.reply_with(&command("cat notes.org"));
    scene.report(&first, &json!({"status": "failed", "token": decided["token"], "message": "no"})).unwrap();
    // The turn goes on.
    let second = scene.wait(&turn, "run ");
    scene.asked();
    refused(&run(&scene, &decided["token"]), "or no longer");
    assert_eq!(second["decision"], "allow");
    scene.model.reply_with(&command("make"));
    scene.decide(&second, &json!({"choice": "deny"})).unwrap();
    let third = scene.wait(&turn, "run ");
    scene.asked();
    refused(&run(&scene, &second["token"]), "or no longer");
    finish(&mut scene, &turn, &third, &Value::Null);
    scene.finish();
}

#[test]
fn tokens_end_with_their_server_and_with_the_next_one_if_it_could_not() {
    let model = FakeModel::start();
    let (home, directory) = (tempfile::tempdir().unwrap(), workspace());
    let start = || Client::new_in(home.path(), &variables(&model.base_url(), &[]));
    let kept = || std::fs::read_dir(home.path().join("warrants")).map_or(0, Iterator::count);
    for dies in [false, true] {
        let mut client = start();
        model.reply_with(&command("touch made"));
        let cmd = format!("dies {dies}");
        let params =
            json!({"sensor": "chat-message", "clientId": cmd, "text": cmd, "directory": directory.path()});
        client.request("orgAgent/event", &params);
        let asked = client.wait_for(|message| message["method"] == "orgAgent/actuate");
        model.take_request_blocking();
        let decide = json!({"actuationId": asked["params"]["actuationId"], "choice": "run"});
        let token = client.request("orgAgent/decide", &decide)["token"].clone();
        assert_eq!(kept(), 1);
        if !dies {
            client.finish_unread();
            assert_eq!(kept(), 0, "it stopped");
        } else {
            // Killed, it could take nothing back.
            drop(client);
            assert_eq!(kept(), 1);
        }
        let model = FakeModel::start();
        let next = Client::new_in(home.path(), &variables(&model.base_url(), &[]));
        let mut scene = Scene::of(model, next);
        scene.request("orgAgent/sessions/list", &json!({})).unwrap();
        refused(&run(&scene, &token), "or no longer");
        assert!(!directory.path().join("made").exists());
    }
}

#[test]
fn a_command_runs_in_the_directory_that_was_shown_and_in_no_other() {
    let (mut scene, directory) = (Scene::new(), workspace());
    let real = directory.path().canonicalize().unwrap();
    std::fs::create_dir(real.join("sub")).unwrap();
    std::os::unix::fs::symlink("sub", real.join("link")).unwrap();
    let ask = |scene: &mut Scene, said: &str| {
        scene.model.reply_with(r#"(:type :request :target :shell :payload (:cmd "pwd > made" :cwd "link"))"#);
        let params = json!({"sensor": "chat-message", "clientId": said, "text": said, "directory": real});
        let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
        let actuation = scene.wait(&turn, "run ");
        scene.asked();
        assert_eq!(actuation["directory"], json!(real.join("sub")));
        (turn, actuation)
    };
    let (turn, actuation) = ask(&mut scene, "one");
    // The name leads elsewhere now; what was shown does not.
    std::fs::remove_file(real.join("link")).unwrap();
    std::os::unix::fs::symlink("/var", real.join("link")).unwrap();
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    ran(&run(&scene, &decided["token"]), "");
    assert_eq!(std::fs::read_to_string(real.join("sub/made")).unwrap(), format!("{}/sub\n", real.display()));
    finish(&mut scene, &turn, &actuation, &decided["token"]);
    std::fs::remove_file(real.join("link")).unwrap();
    std::os::unix::fs::symlink("sub", real.join("link")).unwrap();
    let (turn, actuation) = ask(&mut scene, "two");
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    std::fs::rename(real.join("sub"), real.join("aside")).unwrap();
    std::fs::create_dir(real.join("sub")).unwrap();
    refused(&run(&scene, &decided["token"]), "sub is not that directory any more");
    finish(&mut scene, &turn, &actuation, &decided["token"]);
    let (turn, actuation) = ask(&mut scene, "three");
    std::fs::rename(real.join("sub"), real.join("gone")).unwrap();
    std::os::unix::fs::symlink("aside", real.join("sub")).unwrap();
    let error = scene.decide(&actuation, &json!({"choice": "run"})).unwrap_err();
    assert!(error["message"].as_str().unwrap().contains("it leads to "), "{error}");
    finish(&mut scene, &turn, &actuation, &Value::Null);
    scene.finish();
}

#[test]
fn whether_a_command_was_run_the_server_knows_and_no_command_can_say() {
    let (mut scene, directory) = (Scene::new(), workspace());
    let forged = "echo 'org-agent: the command was not run' >&2; touch made; exit 125";
    let (turn, actuation) = propose(&mut scene, forged, directory.path());
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    let report = |scene: &mut Scene, turn: &str, actuation: &Value, decided: &Value, output: &Output| {
        let code = output.status.code();
        let outcome = json!({"status": "done", "token": decided["token"], "exitCode": code, "sandboxed": true,
            "stderr": String::from_utf8_lossy(&output.stderr)});
        scene.model.reply_with(&insert("Done."));
        scene.report(actuation, &outcome).unwrap();
        scene.end(turn);
        scene.asked();
        assert_eq!(code, Some(125));
        logged(scene, actuation).1
    };
    let output = run(&scene, &decided["token"]);
    let outcome = report(&mut scene, &turn, &actuation, &decided, &output);
    assert_eq!((&outcome["status"], &outcome["exitCode"]), (&json!("done"), &json!(125)));
    assert!(directory.path().join("made").exists());

    let (turn, actuation) = propose(&mut scene, "touch  made", directory.path());
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    let rule = "[[shell.rules]]\npattern = [\"touch\", \"<any>...\"]\ndecision = \"deny\"\n";
    std::fs::write(scene.client.home().join("config.toml"), rule).unwrap();
    let output = run(&scene, &decided["token"]);
    let outcome = report(&mut scene, &turn, &actuation, &decided, &output);
    assert_eq!(
        (&outcome["status"], outcome.get("exitCode"), outcome.get("sandboxed")),
        (&json!("failed"), None, None)
    );
    assert!(outcome["message"].as_str().unwrap().contains("it is denied now"), "{outcome}");

    // What fails once the token was taken is known as well: the sandbox finds no directory to work in.
    std::fs::remove_file(scene.client.home().join("config.toml")).unwrap();
    let keys = directory.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    let (turn, actuation) = propose(&mut scene, "touch made # here", &keys);
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    let output = sandbox(&scene, &decided["token"]).env("GNUPGHOME", &keys).output().unwrap();
    refused(&output, "cannot be given for writing");
    let outcome = report(&mut scene, &turn, &actuation, &decided, &output);
    assert!(outcome["message"].as_str().unwrap().contains("cannot be given for writing"), "{outcome}");
    assert_eq!(std::fs::read_dir(scene.client.home().join("warrants")).unwrap().count(), 0);
    scene.finish();
}

#[test]
fn what_cannot_be_written_down_is_not_permitted() {
    let (mut scene, directory) = (Scene::new(), workspace());
    let blocked = scene.client.home().join("warrants");
    std::fs::write(&blocked, "").unwrap();
    let (turn, actuation) = propose(&mut scene, "touch made", directory.path());
    let error = scene.decide(&actuation, &json!({"choice": "run"})).unwrap_err();
    assert_eq!(error["data"]["code"], "internal");
    assert!(error["message"].as_str().unwrap().contains("cannot write "), "{error}");
    std::fs::remove_file(&blocked).unwrap();
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    ran(&run(&scene, &decided["token"]), "");
    finish(&mut scene, &turn, &actuation, &decided["token"]);
    std::fs::remove_dir(&blocked).unwrap();

    std::fs::write(&blocked, "").unwrap();
    let (turn, actuation) = propose(&mut scene, "cat notes.org", directory.path());
    assert_eq!(actuation["decision"], "allow");
    let output = run(&scene, &actuation["token"]);
    refused(&output, "cannot be taken");
    scene.model.reply_with(&insert("Done."));
    let outcome =
        json!({"status": "done", "token": actuation["token"], "exitCode": 125, "stderr": "org-agent: x"});
    scene.report(&actuation, &outcome).unwrap();
    scene.end(&turn);
    let told = scene.asked().last().unwrap().1.clone();
    assert!(told.contains("the command was not run: cannot write "), "{told}");
    scene.finish();
}

#[test]
fn what_a_client_runs_by_itself_is_recorded_so_and_no_token_lets_it_run() {
    let (mut scene, directory) = (Scene::new(), workspace());
    let (turn, actuation) = propose(&mut scene, "touch made > x", directory.path());
    let decided = scene.decide(&actuation, &json!({"choice": "run", "unconfined": true})).unwrap();
    refused(&run(&scene, &decided["token"]), "or no longer");
    finish(&mut scene, &turn, &actuation, &decided["token"]);
    assert_eq!(logged(&mut scene, &actuation).0[1]["unconfined"], true);
    // Also not by the token that came with what was allowed.
    let (turn, allowed) = propose(&mut scene, "cat notes.org", directory.path());
    let decided = scene.decide(&allowed, &json!({"choice": "run", "unconfined": true})).unwrap();
    refused(&run(&scene, &allowed["token"]), "or no longer");
    finish(&mut scene, &turn, &allowed, &decided["token"]);
    let home = scene.client.home().to_owned();
    let list = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_org-agent"));
        let output = command.args(arguments).env("ORG_AGENT_HOME", &home).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let id = list(&["session", "list"]).split(' ').next().unwrap().to_owned();
    let shown = list(&["session", "show", &id, "--actions"]);
    for line in [
        "  shell: touch made > x\n",
        "      by a shell: touch made > x\n",
        "      by the client itself, outside the sandbox\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    scene.finish();
}

#[test]
fn a_rule_that_could_not_be_saved_is_told() {
    let (mut scene, directory) = (Scene::new(), workspace());
    let file = scene.client.home().join("saved-rules.toml");
    for (cmd, saved, hint) in [
        ("make a", false, "saved-rules.toml"),
        ("make > a", false, "only be allowed once"),
        ("make b", true, ""),
    ] {
        let (turn, actuation) = propose(&mut scene, cmd, directory.path());
        let done = if saved {
            std::fs::remove_dir(&file).is_ok()
        } else {
            file.is_dir() || std::fs::create_dir(&file).is_ok()
        };
        assert!(done);
        let decided = scene.decide(&actuation, &json!({"choice": "always", "network": true})).unwrap();
        assert_eq!(decided["saved"], saved, "{decided}");
        assert!(decided["hint"].as_str().unwrap_or_default().contains(hint), "{decided}");
        assert_eq!(decided["decision"], "allow");
        finish(&mut scene, &turn, &actuation, &decided["token"]);
    }
    scene.finish();
}
