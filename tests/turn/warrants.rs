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
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let keys = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(keys.path().join("ring"), "planted-secret").unwrap();
    std::fs::write(home.path().join("planted"), "planted-secret").unwrap();
    let model = FakeModel::start();
    let mut scene = {
        let client = Client::new_in(home.path(), &variables(&model.base_url(), &[]));
        Scene::of(model, client)
    };
    let directory = workspace();
    let (home, keys) = (home.path().display(), keys.path().display());
    let tries = format!("ls {keys}; cat {keys}/ring; ls {home}; cat {home}/planted; cat {home}/key; echo $GNUPGHOME");
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
    let alone = json!({"sensor": "chat-message", "clientId": "n", "text": "n", "host": "ssh:box"});
    let error = scene.request("orgAgent/event", &alone).unwrap_err();
    assert_eq!(error["data"]["code"], "bad_request");
    scene.finish();
}
