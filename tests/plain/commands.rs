//! Commands of a shell, and how they are asked about; cancelling; what else can be asked for.

use std::fs;

use serde_json::{Value, json};

use crate::editor::{Editor, OnAsk, Units, announced};
use crate::fake_model::{Gate, Reply};
use crate::{Scene, command, insert, labels};

const URI: &str = "file:///tmp/chat.org";

/// A turn in which a command is proposed and the user answers so; what the model is told then.
fn ask(answer: OnAsk) -> (Scene, String, String) {
    let mut scene = Scene::new(Units::Utf16, true);
    let uri = format!("file://{}/chat.org", scene.work.path().display());
    scene.model.reply_with(&command("printf %s grün >&2"));
    scene.model.reply_with(&insert("So be it."));
    scene.editor.on_ask.push_back(answer);
    scene.editor.open(&uri, "org", "* USER\nRun it.\n");
    scene.editor.send(&uri);
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    let told = scene.asked().last().unwrap().clone();
    (scene, uri, told)
}

#[test]
fn a_command_is_asked_about_and_run_by_the_server() {
    let (scene, uri, told) = ask(OnAsk::Choose("Run"));
    assert!(told.starts_with("[command result]\nexit code: 0\n") && told.contains("grün"), "{told}");
    let asked = &scene.editor.asked[0];
    let message = asked["message"].as_str().unwrap();
    assert!(
        message.ends_with("\n\n| printf %s grün >&2")
            && message.contains("\ndirectory: /")
            && message.contains("\nsandbox: "),
        "{message}"
    );
    assert!(message.contains("\nasked because of: "), "{message}");
    assert_eq!(asked["type"], 2);
    let titles: Vec<&Value> = asked["actions"].as_array().unwrap().iter().map(|it| &it["title"]).collect();
    assert_eq!(titles[..2], ["Deny", "Run"]);
    let text = scene.editor.text(&uri);
    let block = text.find("#+begin_src sh\nprintf %s grün >&2\n#+end_src\n").unwrap();
    assert!(text.find("Run it.").unwrap() < block && block < text.find("** ASSISTANT").unwrap(), "{text}");
    scene.finish();
}

#[test]
fn the_server_runs_what_a_file_asked_for_also_after_a_call_of_its_own_methods() {
    let mut scene = Scene::new(Units::Utf16, true);
    scene.editor.request("orgAgent/sessions/list", &json!({})).unwrap();
    scene.model.reply_with(&command("printf %s grün >&2"));
    scene.model.reply_with(&insert("So be it."));
    scene.editor.on_ask.push_back(OnAsk::Choose("Run"));
    let uri = format!("file://{}/chat.org", scene.work.path().display());
    scene.editor.open(&uri, "org", "* USER\nRun it.\n");
    scene.editor.send(&uri);
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    let told = scene.asked().last().unwrap().clone();
    assert!(told.starts_with("[command result]\nexit code: 0\n"), "{told}");
    scene.finish();
}

#[test]
fn what_is_too_long_to_be_shown_is_not_run() {
    let mut scene = Scene::new(Units::Utf16, true);
    scene.model.reply_with(&command(&format!("printf %s {} >&2", "x".repeat(4000))));
    scene.model.reply_with(&insert("So be it."));
    let uri = format!("file://{}/chat.org", scene.work.path().display());
    scene.editor.open(&uri, "org", "* USER\nRun it.\n");
    scene.editor.send(&uri);
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    let told = scene.asked().last().unwrap().clone();
    assert!(told.starts_with("[command denied]\n") && told.contains("too long to be shown"), "{told}");
    assert!(scene.editor.asked.is_empty(), "{:?}", scene.editor.asked);
    assert!(
        scene.editor.messages.iter().any(|it| it.contains("It is not run.")),
        "{:?}",
        scene.editor.messages
    );
    scene.finish();
}

#[test]
fn all_that_is_not_yes_is_no() {
    for answer in [OnAsk::Choose("Deny"), OnAsk::Choose("Perhaps"), OnAsk::Dismiss, OnAsk::Error] {
        let failed = matches!(answer, OnAsk::Error);
        let (scene, _, told) = ask(answer);
        assert!(told.starts_with("[command denied]\n"), "{told}");
        let said = scene.editor.messages.iter().any(|message| message.contains("did not ask you"));
        assert_eq!(said, failed, "{:?}", scene.editor.messages);
        scene.finish();
    }
}

#[test]
fn always_is_remembered() {
    let mut scene = Scene::new(Units::Utf16, true);
    for answer in ["One.", "Two."] {
        scene.model.reply_with(&command("uname -s"));
        scene.model.reply_with(&insert(answer));
    }
    scene.editor.on_ask.push_back(OnAsk::Choose("Always"));
    scene.editor.open(URI, "org", "* USER\nRun it.\n");
    scene.editor.send(URI);
    scene.editor.until_ended(1);
    let asked = scene.editor.asked.len();
    scene.editor.append(URI, "Again.\n");
    scene.editor.send(URI);
    scene.editor.until_ended(2);
    assert!(asked <= 1 && scene.editor.asked.len() == asked, "{:?}", scene.editor.asked);
    for _ in 0..4 {
        scene.model.take_request_blocking();
    }
    scene.finish();
}

/// A scene whose turn waits for its model.
fn waiting() -> (Scene, Gate) {
    let mut scene = Scene::new(Units::Utf16, true);
    let gate = Gate::new();
    scene
        .model
        .push(Reply::stream().wait(&gate).pieces(&insert("Late."), 7).finish("stop").usage(1, 1).done());
    scene.editor.open(URI, "org", "* USER\nTell me.\n");
    (scene, gate)
}

/// Waits until the prompt is sent and marked, and the model was asked.
fn is_sent(scene: &mut Scene) {
    scene.editor.until_text(URI, "OA_EVENT");
    scene.model.take_request_blocking();
}

fn is_cancelled(mut scene: Scene, gate: &Gate) {
    scene.editor.until_ended(1);
    assert_eq!(scene.editor.progress.last().unwrap()["value"]["message"], "cancelled");
    gate.open();
    scene.editor.until("there is a place to type", |editor| editor.text(URI).ends_with("Tell me.\n* USER\n"));
    scene.is_export(URI);
    assert_eq!(scene.editor.ended(), 1);
    scene.finish();
}

#[test]
fn a_turn_is_cancelled_where_its_progress_is_shown() {
    let (mut scene, gate) = waiting();
    scene.editor.send(URI);
    scene.editor.until("it begins", |editor| !editor.progress.is_empty());
    let begun = scene.editor.progress[0].clone();
    assert_eq!((&begun["value"]["kind"], &begun["value"]["cancellable"]), (&json!("begin"), &json!(true)));
    is_sent(&mut scene);
    scene.editor.client.notify("window/workDoneProgress/cancel", &json!({"token": begun["token"]}));
    is_cancelled(scene, &gate);
}

#[test]
fn a_turn_is_cancelled_by_a_command_or_an_action() {
    for arguments in [Value::Null, json!([{"uri": URI}])] {
        let (mut scene, gate) = waiting();
        scene.editor.send(URI);
        is_sent(&mut scene);
        scene.editor.command("org-agent.cancel", &arguments);
        is_cancelled(scene, &gate);
    }
    let (mut scene, gate) = waiting();
    scene.editor.send(URI);
    is_sent(&mut scene);
    let here = scene.editor.place_of(URI, "Tell");
    let action = scene.editor.actions(URI, &here)["Cancel org-agent"].clone();
    scene.editor.carry_out(&action);
    is_cancelled(scene, &gate);
}

#[test]
fn who_gives_a_token_waits_for_the_end_and_can_cancel() {
    let (mut scene, gate) = waiting();
    let params = json!({"command": "org-agent.send", "arguments": [{"uri": URI}], "workDoneToken": "mine"});
    let id = scene.editor.client.ask("workspace/executeCommand", &params);
    is_sent(&mut scene);
    assert!(scene.editor.progress.iter().all(|params| params["token"] == "mine"), "{}", scene.editor.state());
    scene.editor.client.notify("$/cancelRequest", &json!({"id": id}));
    assert_eq!(scene.editor.answer(id).unwrap_err()["code"], -32800);
    is_cancelled(scene, &gate);

    let (mut scene, gate) = waiting();
    let id = scene.editor.client.ask("workspace/executeCommand", &params);
    is_sent(&mut scene);
    gate.open();
    assert_eq!(scene.editor.answer(id), Ok(Value::Null));
    assert_eq!(scene.editor.ended(), 1);
    scene.is_export(URI);
    scene.finish();
}

#[test]
fn an_editor_without_progress_or_literal_actions_gets_neither() {
    let mut scene = Scene::new(Units::Utf16, true);
    let mut client = crate::client::Client::start_in(scene.home.path(), &[("ORG_AGENT_MODEL", "offline")]);
    client.acknowledge = false;
    let mut capabilities = announced(Units::Utf16, true);
    capabilities["window"] = Value::Null;
    capabilities["textDocument"] = Value::Null;
    capabilities["workspace"]["codeLens"] = json!(7);
    client.request("initialize", &json!({"capabilities": capabilities}));
    scene.editor.finish();
    scene.editor = Editor::of(client, Units::Utf16, true);
    scene.editor.open(URI, "org", "* USER\nHi.\n");
    let here = scene.editor.place_of(URI, "Hi");
    let action = scene.editor.actions(URI, &here)["Send to org-agent"].clone();
    assert_eq!(action["command"], "org-agent.send");
    scene.editor.carry_out(&action);
    scene.editor.until("it is answered", |editor| editor.text(URI).ends_with("* USER\n"));
    assert_eq!((scene.editor.progress.len(), scene.editor.refreshed), (0, 0));
    scene.editor.finish();
}

#[test]
fn actions_that_are_asked_for_by_kind_are_others() {
    let mut scene = Scene::new(Units::Utf16, true);
    scene.editor.open(URI, "org", "* USER\nHi.\n");
    let range = scene.editor.place_of(URI, "Hi");
    for (only, some) in
        [(json!(["source.fixAll"]), false), (json!([]), true), (json!([""]), true), (json!(5), true)]
    {
        let context = json!({"diagnostics": [], "only": only});
        let params = json!({"textDocument": {"uri": URI}, "range": range, "context": context});
        let actions = scene.editor.request("textDocument/codeAction", &params).unwrap();
        assert_eq!(!actions.as_array().unwrap().is_empty(), some, "{only}");
    }
    scene.finish();
}

#[test]
fn links_are_opened_by_the_editor_if_they_are_links() {
    let mut scene = Scene::new(Units::Utf16, true);
    scene.editor.open(URI, "org", "Ä [[https://example.org/x][words]] and file:///etc/passwd\n");
    let here = scene.editor.place_of(URI, "example");
    let action = scene.editor.actions(URI, &here)["Open https://example.org/x"].clone();
    scene.editor.carry_out(&action);
    scene.editor.until("the editor was asked", |editor| !editor.opened.is_empty());
    assert_eq!(scene.editor.opened[0], json!({"uri": "https://example.org/x", "external": true}));
    // This one opens none: then the user is told the link.
    scene
        .editor
        .until("it is told", |editor| editor.messages.iter().any(|it| it.contains("https://example.org/x")));
    for url in [
        json!("file:///etc/passwd"),
        json!("javascript:alert(1)"),
        json!("https://a b"),
        json!(7),
        Value::Null,
    ] {
        scene.editor.command("org-agent.open", &json!([{"url": url}]));
    }
    scene.editor.until("all are refused", |editor| editor.messages.len() == 6);
    assert_eq!(scene.editor.opened.len(), 1);
    scene.finish();
}

#[test]
fn skills_and_context_complete() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("data.csv"), "a,ü\n1,2\n").unwrap();
    let uri = format!("file://{}/chat.org", directory.path().display());
    let other = "file:///elsewhere/other.md";
    let mut scene = Scene::new(Units::Utf8, true);
    let plan = "---\nname: plan\ndescription: Makes plans.\n---\nPlan it.\n";
    fs::create_dir_all(scene.home.path().join("skills/plan")).unwrap();
    fs::write(scene.home.path().join("skills/plan/SKILL.md"), plan).unwrap();
    scene.editor.request("orgAgent/skills/reload", &json!({})).unwrap();
    scene.editor.open(other, "markdown", "Open and not saved: ö\n");
    scene.editor.open(&uri, "org", "* Notes\n@no /no\n* USER\n  /\n");
    let items = scene.editor.completions(&uri, "  /");
    assert!(labels(&items).iter().all(|label| label.starts_with('/')), "{items:?}");
    let plan = items.iter().find(|item| item["label"] == "/plan").unwrap();
    assert_eq!(plan["detail"], "Makes plans.");
    assert_eq!(
        plan["textEdit"]["range"],
        json!({"start": {"line": 3, "character": 2}, "end": {"line": 3, "character": 3}})
    );
    for mark in ["@no", "/no"] {
        assert_eq!(scene.editor.completions(&uri, mark), [] as [Value; 0], "{mark}");
    }
    scene.editor.set(&uri, "* USER\nCompare @data.csv and @other.md, not a@data.csv. @d\n");
    assert_eq!(scene.editor.completions(&uri, "not a@data.csv"), [] as [Value; 0]);
    let items = scene.editor.completions(&uri, ". @d");
    assert!(labels(&items).contains(&"@data.csv") && labels(&items).contains(&"@other.md"), "{items:?}");
    assert!(!labels(&items).contains(&"@chat.org"), "{items:?}");

    scene.model.reply_with(&insert("Compared."));
    scene.editor.send(&uri);
    scene.editor.until_ended(1);
    let asked = scene.asked().concat();
    assert!(asked.contains("a,ü\n1,2") && asked.contains("Open and not saved: ö"), "{asked}");

    // A session can be named as well.
    let text = scene.editor.text(&uri).to_owned();
    let session = text.split_once("OA_SESSION: ").unwrap().1.split_whitespace().next().unwrap().to_owned();
    scene.editor.set(other, "# USER\nGo on with @\n");
    let items = scene.editor.completions(other, "with @");
    let named = format!("@session:{session}");
    assert!(labels(&items).contains(&named.as_str()), "{items:?}");
    scene.editor.set(other, &format!("# USER\nGo on with {named}.\n"));
    scene.model.reply_with(&insert("Gone on."));
    scene.editor.send(other);
    scene.editor.until_ended(2);
    let asked = scene.asked().concat();
    assert!(asked.contains("Compared.") && asked.contains("** ASSISTANT"), "{asked}");
    scene.finish();
}

#[test]
fn what_is_behind_a_turn_is_shown() {
    let mut scene = Scene::new(Units::Utf16, true);
    scene.editor.open(URI, "org", "* USER\nHi.\n");
    scene.editor.command("org-agent.why", &Value::Null);
    scene.editor.until("there is nothing yet", |editor| editor.messages.len() == 1);
    scene.model.reply_with(&insert("Hello."));
    scene.editor.send(URI);
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    scene.editor.command("org-agent.why", &json!([{"uri": URI}]));
    scene.editor.until("it is shown", |editor| editor.messages.len() == 2);
    assert!(scene.editor.messages[1].contains("fake-model"), "{:?}", scene.editor.messages);
    scene.finish();
}
