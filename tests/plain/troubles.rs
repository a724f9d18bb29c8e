//! Edits that are refused, servers that die, files that are closed, models that fail: nothing is lost, and the user is
//! told.

use serde_json::{Value, json};

use crate::editor::{OnEdit, Units};
use crate::fake_model::{Gate, Reply};
use crate::{Scene, command, insert};

const URI: &str = "file:///tmp/chät.org";

/// A scene whose turn waits for its model, with the prompt sent.
fn sent() -> (Scene, Gate) {
    let mut scene = Scene::new(Units::Utf16, true);
    let gate = Gate::new();
    scene.model.push(held(&gate, "Grüße."));
    scene.editor.open(URI, "org", "* USER\nGrüß mich.\n");
    scene.editor.send(URI);
    scene.editor.until_text(URI, "OA_EVENT");
    (scene, gate)
}

fn held(gate: &Gate, text: &str) -> Reply {
    Reply::stream().wait(gate).pieces(&insert(text), 7).finish("stop").usage(1, 1).done()
}

#[test]
fn a_refused_edit_is_kept_until_it_is_asked_for() {
    for (on_edit, by) in [(OnEdit::Refuse, "command"), (OnEdit::Error, "action"), (OnEdit::Refuse, "send")] {
        let (mut scene, gate) = sent();
        scene.editor.on_edit = on_edit;
        gate.open();
        scene
            .editor
            .until("it is said", |editor| editor.messages.iter().any(|it| it.contains("org-agent.apply")));
        scene.model.take_request_blocking();
        assert_eq!(scene.editor.edits.iter().filter(|edit| !edit.0).count(), 3);
        assert!(!scene.editor.text(URI).contains("Grüße."));
        scene.editor.on_edit = OnEdit::Apply;
        match by {
            "command" => drop(scene.editor.command("org-agent.apply", &Value::Null)),
            "action" => {
                let here = scene.editor.place_of(URI, "Grüß");
                let action = scene.editor.actions(URI, &here)["Insert the answer of org-agent"].clone();
                scene.editor.carry_out(&action);
            }
            // Any command will do: some editors take edits only after one.
            _ => drop(scene.editor.command("org-agent.send", &json!([{"uri": URI}]))),
        }
        scene.editor.until("it is put in", |editor| editor.text(URI).ends_with("Grüße.\n* USER\n"));
        scene.is_export(URI);
        scene.editor.command("org-agent.apply", &Value::Null);
        scene.editor.until("nothing waits", |editor| {
            editor.messages.iter().any(|it| it.contains("no answer that waits"))
        });
        scene.finish();
    }
}

#[test]
fn an_edit_that_is_made_and_not_answered_for_is_seen() {
    let (mut scene, gate) = sent();
    scene.editor.on_edit = OnEdit::Silent;
    gate.open();
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    scene.is_export(URI);
    scene.finish();
}

#[test]
fn an_edit_that_the_editor_only_says_it_made_is_made_again() {
    let (mut scene, gate) = sent();
    scene.editor.on_edit = OnEdit::Pretend;
    scene.editor.types_first = Some((URI.to_owned(), ":PROPERTIES:".to_owned(), "# typed\n".to_owned()));
    gate.open();
    scene.editor.until("it is put in", |editor| editor.text(URI).ends_with("Grüße.\n* USER\n"));
    scene.model.take_request_blocking();
    scene.editor.until_ended(1);
    let made: Vec<bool> = scene.editor.edits.iter().map(|edit| edit.0).collect();
    assert!(made.contains(&false), "{made:?}");
    assert_eq!(scene.editor.text(URI).matches("Grüße.").count(), 1);
    assert!(scene.editor.text(URI).contains("# typed\n"));
    scene.finish();
}

#[test]
fn a_reply_to_a_closed_document_is_put_in_when_it_is_opened() {
    for other in [false, true] {
        let (mut scene, gate) = sent();
        let text = scene.editor.close(URI);
        gate.open();
        scene.model.take_request_blocking();
        // It may have another name by then.
        let uri = if other { "file:///tmp/renamed.org" } else { URI };
        scene.editor.open(uri, "org", &text);
        scene.editor.until_ended(1);
        scene.is_export(uri);
        assert_eq!(scene.editor.text(uri).matches("Grüße.").count(), 1);
        scene.finish();
    }
}

#[test]
fn another_text_of_the_same_name_gets_nothing_unasked() {
    let mut scene = Scene::new(Units::Utf16, true);
    scene.model.reply_with(&insert("Of the other."));
    let other = "file:///tmp/other.org";
    scene.editor.open(other, "org", "* USER\nOther.\n");
    scene.editor.send(other);
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    let other = scene.editor.close(other);
    // Text of no chat, and that of another one.
    for (ended, text) in [(1, "* Notes\nmine\n"), (2, other.as_str())] {
        let gate = Gate::new();
        scene.model.push(held(&gate, "Secret."));
        scene.editor.open(URI, "org", "* USER\nGrüß mich.\n");
        scene.editor.send(URI);
        scene.editor.until_text(URI, "OA_EVENT");
        scene.model.take_request_blocking();
        scene.editor.close(URI);
        scene.editor.messages.clear();
        scene.editor.open(URI, "org", text);
        gate.open();
        scene.editor.until("it is kept", |editor| {
            editor.messages.iter().any(|it| it.contains("nothing in this file is of its chat"))
        });
        scene.editor.until_ended(ended + 1);
        assert_eq!(scene.editor.text(URI), text);
        if ended == 1 {
            // Whoever asks for it gets it.
            scene.editor.command("org-agent.apply", &json!([{"uri": URI}]));
            scene.editor.until_text(URI, "Secret.");
        } else {
            scene.editor.command("org-agent.apply", &json!([{"uri": URI}]));
            scene.editor.command("org-agent.send", &json!([{"uri": URI}]));
            scene.editor.until("it is looked at", |editor| {
                editor.messages.iter().any(|it| it.starts_with("Nothing to send"))
            });
            assert_eq!(scene.editor.text(URI), text);
        }
        scene.editor.close(URI);
    }
    scene.finish();
}

#[test]
fn a_document_is_closed_while_an_edit_is_under_way() {
    let (mut scene, gate) = sent();
    scene.editor.on_edit = OnEdit::Ignore;
    gate.open();
    scene.editor.until("the edit is asked for", |editor| editor.edits.len() == 2);
    scene.editor.on_edit = OnEdit::Apply;
    let text = scene.editor.close(URI);
    scene.editor.open(URI, "org", &text);
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    scene.is_export(URI);
    scene.finish();
}

#[test]
fn a_reply_survives_the_server() {
    let (mut scene, gate) = sent();
    scene.editor.on_edit = OnEdit::Ignore;
    gate.open();
    scene.editor.until("the edit is asked for", |editor| editor.edits.len() == 2);
    scene.model.take_request_blocking();
    let text = scene.editor.text(URI).to_owned();
    let mut scene = scene.restart();
    scene.editor.open(URI, "org", &text);
    scene.editor.until("it is put in", |editor| editor.text(URI).ends_with("Grüße.\n* USER\n"));
    scene.is_export(URI);
    // And then the chat goes on.
    scene.model.reply_with(&insert("Gern."));
    scene.editor.append(URI, "Danke.\n");
    scene.editor.send(URI);
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    scene.is_export(URI);
    scene.finish();
}

#[test]
fn a_reply_that_is_in_the_file_is_not_put_in_again() {
    let (mut scene, gate) = sent();
    scene.editor.on_edit = OnEdit::Silent;
    gate.open();
    scene.editor.until_text(URI, "Grüße.");
    let text = scene.editor.text(URI).to_owned();
    scene.model.take_request_blocking();
    let mut scene = scene.restart();
    scene.editor.open(URI, "org", &text);
    scene.model.reply_with(&insert("Gern."));
    scene.editor.append(URI, "Danke.\n");
    scene.editor.send(URI);
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    assert_eq!(scene.editor.text(URI).matches("Grüße.").count(), 1);
    scene.is_export(URI);
    scene.finish();
}

#[test]
fn an_interrupted_turn_is_shown_and_sent_again() {
    let (scene, gate) = sent();
    scene.model.take_request_blocking();
    let text = scene.editor.text(URI).to_owned();
    let mut scene = scene.restart();
    gate.open();
    scene.editor.open(URI, "org", &text);
    scene
        .editor
        .until("it is shown", |editor| editor.diagnostics.get(URI).is_some_and(|it| *it != json!([])));
    let shown = scene.editor.diagnostics[URI].clone();
    assert_eq!((&shown[0]["source"], &shown[0]["severity"]), (&json!("org-agent"), &json!(1)));
    let line = text[..text.find("* USER").unwrap()].matches('\n').count();
    assert_eq!(shown[0]["range"]["start"]["line"], line);
    assert_eq!(scene.editor.lenses(URI), [(line as u64, "Send again".to_owned())]);
    scene.model.reply_with(&insert("Grüße."));
    let here = scene.editor.place_of(URI, "Grüß");
    let action = scene.editor.actions(URI, &here)["Send again"].clone();
    scene.editor.carry_out(&action);
    scene.editor.until_ended(1);
    assert_eq!(scene.asked(), ["Grüß mich."]);
    assert_eq!(scene.editor.diagnostics[URI], json!([]));
    scene.is_export(URI);
    scene.finish();
}

#[test]
fn a_prompt_that_was_not_marked_is_marked_after_a_restart() {
    let mut scene = Scene::new(Units::Utf16, true);
    scene.editor.open(URI, "org", "* USER\nerste\n");
    scene.model.reply_with(&insert("Eins."));
    scene.editor.send(URI);
    scene.editor.until_ended(1);
    scene.editor.append(URI, "zweite\n");
    let gate = Gate::new();
    scene.model.push(held(&gate, "Zwei."));
    scene.editor.on_edit = OnEdit::Ignore;
    scene.editor.send(URI);
    gate.open();
    scene.model.take_request_blocking();
    scene.model.take_request_blocking();
    // The text is permitted when the kernel says that it acts.
    scene.editor.until("it acts", |editor| {
        editor.progress.iter().filter(|params| params["value"]["message"] == "acts").count() == 2
    });
    let text = scene.editor.text(URI).to_owned();
    assert!(text.ends_with("* USER\nzweite\n"), "{text}");
    let mut scene = scene.restart();
    scene.editor.open(URI, "org", &text);
    scene.editor.until("it is put in", |editor| editor.text(URI).ends_with("Zwei.\n* USER\n"));
    assert_eq!(scene.editor.text(URI).matches("zweite").count(), 1);
    scene.is_export(URI);
    scene.finish();
}

#[test]
fn an_interrupted_prompt_that_was_not_marked_is_marked() {
    let mut scene = Scene::new(Units::Utf16, true);
    scene.editor.open(URI, "org", "* USER\nerste\n");
    scene.model.reply_with(&insert("Eins."));
    scene.editor.send(URI);
    scene.editor.until_ended(1);
    scene.editor.append(URI, "zweite\n");
    let gate = Gate::new();
    scene.model.push(held(&gate, "Zwei."));
    scene.editor.on_edit = OnEdit::Ignore;
    scene.editor.send(URI);
    scene.model.take_request_blocking();
    scene.model.take_request_blocking();
    // What the server asks to be marked, it has written down.
    scene.editor.until("the mark is asked for", |editor| editor.edits.len() == 3);
    let text = scene.editor.text(URI).to_owned();
    let mut scene = scene.restart();
    gate.open();
    scene.editor.open(URI, "org", &text);
    scene
        .editor
        .until("it is shown", |editor| editor.diagnostics.get(URI).is_some_and(|it| *it != json!([])));
    scene.model.reply_with(&insert("Zwei."));
    scene.editor.command("org-agent.retry", &Value::Null);
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    scene.is_export(URI);
    scene.finish();
}

#[test]
fn a_session_of_another_machine_is_said_to_be_one() {
    let mut scene = Scene::new(Units::Utf16, true);
    scene.editor.open(URI, "org", ":PROPERTIES:\n:OA_SESSION: elsewhere\n:END:\n* USER\nHi.\n");
    scene.editor.send(URI);
    scene.editor.until("it is said", |editor| {
        editor.messages.iter().any(|it| it.contains("take the OA_SESSION out"))
    });
    scene.editor.set(URI, "* USER\nHi.\n");
    scene.model.reply_with(&insert("Hello."));
    scene.editor.send(URI);
    // What was not sent has an end, too.
    scene.editor.until("it is answered", |editor| editor.text(URI).contains("Hello."));
    scene.model.take_request_blocking();
    scene.is_export(URI);
    scene.finish();
}

#[test]
fn the_user_undoes_the_mark() {
    let (mut scene, gate) = sent();
    scene.editor.set(URI, "* USER\nGrüß mich.\n");
    gate.open();
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    scene.is_export(URI);
    // What was put in and undone again stays away.
    let text = scene.editor.text(URI).to_owned();
    let (before, _) = text.split_once("** ASSISTANT").unwrap();
    scene.editor.set(URI, before);
    scene.model.reply_with(&insert("Gern."));
    scene.editor.append(URI, "* USER\nDanke.\n");
    scene.editor.send(URI);
    scene.editor.until_ended(2);
    scene.model.take_request_blocking();
    assert!(!scene.editor.text(URI).contains("Grüße."), "{}", scene.editor.text(URI));
    scene.finish();
}

#[test]
fn the_user_deletes_the_prompt() {
    let (mut scene, gate) = sent();
    scene.editor.set(URI, "Nothing is left.\n");
    gate.open();
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    let text = scene.editor.text(URI);
    assert!(text.contains("Nothing is left.\n* USER\n:PROPERTIES:\n:OA_EVENT: "), "{text}");
    assert!(
        text.contains(":END:\nGrüß mich.\n** ASSISTANT\n") && text.ends_with("Grüße.\n* USER\n"),
        "{text}"
    );
    scene.finish();
}

#[test]
fn a_model_that_fails_is_shown_and_asked_again() {
    let mut scene = Scene::new(Units::Utf16, true);
    scene.model.otherwise(401, "no");
    scene.editor.open(URI, "org", "Notes.\n* USER\nGrüß mich.\n");
    scene.editor.send(URI);
    scene.editor.until_ended(1);
    scene
        .editor
        .until("it is shown", |editor| editor.diagnostics.get(URI).is_some_and(|it| *it != json!([])));
    assert_eq!(scene.editor.progress.last().unwrap()["value"]["message"], "failed");
    let text = scene.editor.text(URI).to_owned();
    assert!(text.contains("*System Error:*"), "{text}");
    assert!(scene.editor.lenses(URI).iter().any(|lens| lens.1 == "Send again"));
    assert!(!scene.model.take_requests().is_empty());

    scene.model.reply_with(&insert("Grüße."));
    scene.editor.command("org-agent.retry", &Value::Null);
    scene.editor.until_ended(2);
    assert_eq!(scene.asked(), ["Grüß mich."]);
    assert_eq!(scene.editor.diagnostics[URI], json!([]));
    assert!(scene.editor.text(URI).contains("Grüße."), "{}", scene.editor.text(URI));
    scene.is_export_behind(URI, "Notes.\n");
    scene.editor.command("org-agent.retry", &Value::Null);
    scene
        .editor
        .until("nothing failed", |editor| editor.messages.iter().any(|it| it == "No prompt here failed."));
    scene.finish();
}

#[test]
fn what_makes_no_sense_does_no_harm() {
    let mut scene = Scene::new(Units::Utf16, true);
    for method in [
        "textDocument/didOpen",
        "textDocument/didChange",
        "textDocument/didClose",
        "window/workDoneProgress/cancel",
    ] {
        for params in
            [Value::Null, json!([]), json!({}), json!({"textDocument": {"uri": 5}}), json!({"token": {}})]
        {
            scene.editor.client.notify(method, &params);
        }
    }
    let change = json!([{"text": "* USER\nx\n"}]);
    let document = json!({"uri": URI, "version": 7});
    scene
        .editor
        .client
        .notify("textDocument/didChange", &json!({"textDocument": document, "contentChanges": change}));
    for method in [
        "textDocument/codeAction",
        "textDocument/codeLens",
        "textDocument/completion",
        "workspace/executeCommand",
    ] {
        for params in [Value::Null, json!([]), json!({}), json!({"textDocument": "x"})] {
            let error = scene.editor.request(method, &params).unwrap_err();
            assert_eq!(
                (&error["code"], &error["data"]["code"]),
                (&json!(-32602), &json!("bad_request")),
                "{method}"
            );
        }
        if method != "workspace/executeCommand" {
            let answer = scene.editor.request(method, &json!({"textDocument": {"uri": "file:///not/open"}}));
            assert_eq!(answer, Ok(json!([])), "{method}");
        }
    }
    let error = scene.editor.request("workspace/executeCommand", &json!({"command": "rm"})).unwrap_err();
    assert_eq!(error["data"]["code"], "bad_request");
    for command in ["send", "cancel", "apply", "retry", "why", "open"] {
        let command = format!("org-agent.{command}");
        for arguments in [
            Value::Null,
            json!({}),
            json!(["x"]),
            json!([{"uri": "file:///not/open", "range": 7, "turnId": []}]),
        ] {
            scene.editor.command(&command, &arguments);
        }
    }
    scene.editor.client.send(&json!({"jsonrpc": "2.0", "id": "oa-plain-99", "result": {"applied": true}}));
    // A position behind everything is the end.
    scene.editor.open(URI, "org", "no heading");
    let far = json!({"line": 4_000_000_000_u32, "character": 4_000_000_000_u32});
    let range = json!({"start": far, "end": {"line": 0, "character": 0}});
    assert!(scene.editor.actions(URI, &range).contains_key("Ask about this"));
    // What is neither Org nor Markdown is left alone.
    scene.editor.open("file:///a.rs", "rust", "* USER\nx\n");
    scene.editor.send("file:///a.rs");
    scene
        .editor
        .until("it is said", |editor| editor.messages.iter().any(|it| it.contains("this is neither")));
    assert_eq!(scene.editor.lenses("file:///a.rs"), []);
    assert_eq!(scene.editor.edits.len(), 0);
    scene.finish();
}

#[test]
fn a_file_too_many_is_said_to_be_one() {
    let mut scene = Scene::new(Units::Utf8, true);
    for number in 0..=256 {
        scene.editor.open(&format!("file:///tmp/{number}.org"), "org", "* USER\nx\n");
    }
    let [last, first] = ["file:///tmp/256.org", "file:///tmp/0.org"];
    scene.editor.send(last);
    scene
        .editor
        .until("it is said", |editor| editor.messages.iter().any(|it| it.contains("at most 256 files")));
    scene.editor.close(first);
    scene.editor.close(last);
    scene.editor.open(last, "org", "* USER\nx\n");
    assert_eq!(scene.editor.lenses(last).len(), 1);
    scene.finish();
}

#[test]
fn lenses_of_a_large_file_are_few() {
    let mut scene = Scene::new(Units::Utf8, true);
    scene.editor.open(URI, "org", &"* USER\nx\n".repeat(2000));
    let lenses = scene.editor.lenses(URI);
    assert_eq!(lenses.len(), 256);
    assert_eq!(lenses[255].0, 3998);
    scene.finish();
}

#[test]
fn a_shutdown_in_the_middle_loses_nothing() {
    let (scene, gate) = sent();
    scene.model.take_request_blocking();
    let text = scene.editor.text(URI).to_owned();
    let Scene { home, work, model, editor } = scene;
    editor.finish();
    let editor = crate::begin(home.path(), &model, Units::Utf16, true);
    let mut scene = Scene { home, work, model, editor };
    gate.open();
    scene.editor.open(URI, "org", &text);
    scene
        .editor
        .until("it is shown", |editor| editor.diagnostics.get(URI).is_some_and(|it| *it != json!([])));
    scene.model.reply_with(&insert("Grüße."));
    scene.editor.command("org-agent.retry", &json!([]));
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    scene.is_export(URI);
    scene.finish();
}

#[test]
fn a_question_goes_when_its_turn_does() {
    let mut scene = Scene::new(Units::Utf16, true);
    scene.model.reply_with(&command("touch x"));
    scene.editor.on_ask.push_back(crate::editor::OnAsk::Keep);
    scene.editor.open(URI, "org", "* USER\nRun it.\n");
    scene.editor.send(URI);
    scene.editor.until("it is asked", |editor| !editor.asked.is_empty());
    scene.editor.command("org-agent.cancel", &Value::Null);
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    scene.editor.until("it is taken back", |editor| !editor.strange.is_empty());
    assert_eq!(scene.editor.strange[0]["method"], "$/cancelRequest");
    scene.editor.strange.clear();
    scene.finish();
}
