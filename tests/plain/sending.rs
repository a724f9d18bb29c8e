//! What is sent, with and without arguments, and what the file is afterwards.

use serde_json::{Value, json};

use crate::editor::{Editor, Units};
use crate::fake_model::{Gate, Reply};
use crate::{Scene, insert};

const ORG: &str = "file:///tmp/Gr%C3%BC%C3%9Fe.org";
const MARKDOWN: &str = "file:///tmp/notes.md";

const PROMPT: &str = "* USER\nWas heißt „𝄞“?\n";

#[test]
fn a_prompt_is_sent_and_the_file_is_the_export() {
    for (units, versions) in [(Units::Utf8, true), (Units::Utf16, true), (Units::Utf16, false)] {
        let mut scene = Scene::new(units, versions);
        scene.model.reply_with(&insert("Ein 𝄞 ist ein *Schlüssel*."));
        scene.editor.open(ORG, "org", PROMPT);
        scene.editor.send(ORG);
        scene.editor.until_ended(1);
        assert_eq!(scene.asked(), ["Was heißt „𝄞“?"]);
        let text = scene.editor.text(ORG).to_owned();
        let (drawer, rest) = text.split_at(text.find("* USER").unwrap());
        assert!(drawer.starts_with(":PROPERTIES:\n:OA_SESSION: ") && drawer.ends_with("\n:END:\n"), "{text}");
        assert!(rest.starts_with("* USER\n:PROPERTIES:\n:OA_EVENT: "), "{text}");
        assert!(rest.contains("\n:END:\nWas heißt „𝄞“?\n** ASSISTANT\n:PROPERTIES:\n:OA_ACT: "), "{text}");
        assert!(rest.ends_with("\n:END:\nEin 𝄞 ist ein *Schlüssel*.\n* USER\n"), "{text}");
        scene.is_export(ORG);
        // One edit marks the prompt, one puts the answer in.
        assert_eq!(scene.editor.edits.len(), 2);

        // The next one goes on with the same session.
        scene.model.reply_with(&insert("Gern."));
        scene.editor.append(ORG, "Danke 🙂\n");
        assert_eq!(scene.editor.command("org-agent.send", &Value::Null), Value::Null);
        scene.editor.until_ended(2);
        assert_eq!(scene.asked().last().unwrap(), "Danke 🙂");
        scene.is_export(ORG);
        scene.finish();
    }
}

#[test]
fn a_command_without_arguments_means_where_the_user_is() {
    for arguments in [json!([]), Value::Null, json!([null]), json!([{}])] {
        let mut scene = Scene::new(Units::Utf16, true);
        scene.model.reply_with(&insert("One."));
        scene.editor.open(MARKDOWN, "markdown", "# USER\nfirst\n# USER\nsecond\n");
        // Where the user is, an editor tells by what it asks for.
        let here = scene.editor.place_of(MARKDOWN, "first");
        assert!(scene.editor.actions(MARKDOWN, &here).contains_key("Send to org-agent"));
        scene.editor.command("org-agent.send", &arguments);
        scene.editor.until_ended(1);
        assert_eq!(scene.asked(), ["first"]);
        let text = scene.editor.text(MARKDOWN);
        assert!(text.starts_with("<!-- OA_SESSION: "), "{text}");
        assert!(text.contains("\n# USER\n<!-- OA_EVENT: "), "{text}");
        assert!(text.contains(" -->\nfirst\n## ASSISTANT\n<!-- OA_ACT: "), "{text}");
        assert!(text.ends_with(" -->\nOne.\n# USER\nsecond\n"), "{text}");
        scene.finish();
    }
    // Without arguments members may be missing at all.
    let mut scene = Scene::new(Units::Utf16, true);
    scene.model.reply_with(&insert("One."));
    scene.editor.open(ORG, "org", PROMPT);
    scene.editor.request("workspace/executeCommand", &json!({"command": "org-agent.send"})).unwrap();
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    scene.finish();
}

#[test]
fn markdown_gets_markdown() {
    let mut scene = Scene::new(Units::Utf16, true);
    scene
        .model
        .reply_with(&insert("*bold* and [[https://example.org][a link]]\\n#+begin_src sh\\nls\\n#+end_src"));
    scene.editor.open(MARKDOWN, "markdown", "---\ntitle: x\n---\n# USER\nShow me.\n");
    scene.editor.send(MARKDOWN);
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    let text = scene.editor.text(MARKDOWN);
    assert!(text.starts_with("---\ntitle: x\n---\n<!-- OA_SESSION: "), "{text}");
    assert!(text.contains("**bold** and [a link](https://example.org)"), "{text}");
    assert!(text.contains("```sh\nls\n```"), "{text}");
    scene.finish();
}

#[test]
fn a_selection_is_asked_about() {
    let mut scene = Scene::new(Units::Utf8, true);
    scene.model.reply_with(&insert("It is a verse."));
    scene.editor.open(ORG, "org", "* Notes\nÜber allen Gipfeln\nist Ruh\n");
    let selected = scene.editor.range_of(ORG, "Über allen Gipfeln\nist");
    let actions = scene.editor.actions(ORG, &selected);
    // Some editors have always something selected.
    assert!(actions.contains_key("Send to org-agent"), "{actions:?}");
    scene.editor.carry_out(&actions["Ask about this"]);
    scene.editor.until_ended(1);
    let asked = scene.asked().concat();
    assert!(asked.contains("Explain this.") && asked.contains("Über allen Gipfeln\nist\n"), "{asked}");
    let text = scene.editor.text(ORG);
    assert!(text.contains("* Notes\nÜber allen Gipfeln\nist Ruh\n* USER\n:PROPERTIES:"), "{text}");
    scene.is_export_behind(ORG, "* Notes\nÜber allen Gipfeln\nist Ruh\n");

    // The open prompt says what is asked about it.
    scene.model.reply_with(&insert("Goethe."));
    scene.editor.append(ORG, "Who wrote this?\n");
    let selected = scene.editor.range_of(ORG, "ist Ruh");
    scene.editor.command("org-agent.send", &json!([{"uri": ORG, "range": selected}]));
    scene.editor.until_ended(2);
    let asked = scene.asked();
    assert!(asked.last().unwrap().contains("Who wrote this?"), "{asked:?}");
    assert!(asked.last().unwrap().contains("ist Ruh"), "{asked:?}");
    scene.finish();
}

#[test]
fn notes_and_free_text_are_sent() {
    let mut scene = Scene::new(Units::Utf16, true);
    scene.model.reply_with(&insert("A list."));
    scene.editor.open(ORG, "org", "* Shopping\n- Äpfel\n- Brot\n* Other\nno\n");
    let here = scene.editor.place_of(ORG, "Äpfel");
    scene.editor.command("org-agent.send", &json!([{"uri": ORG, "range": here}]));
    scene.editor.until_ended(1);
    let asked = scene.asked().concat();
    assert!(asked.contains("About: Shopping") && asked.contains("- Äpfel\n- Brot"), "{asked}");
    assert!(!asked.contains("Other"), "{asked}");
    let text = scene.editor.text(ORG);
    assert!(text.contains("* Other\nno\n* USER\n"), "{text}");

    scene.model.reply_with(&insert("Hello."));
    let free = "file:///tmp/free.md";
    scene.editor.open(free, "markdown", "Grüß dich.\n");
    scene.editor.send(free);
    scene.editor.until_ended(2);
    assert_eq!(scene.asked().last().unwrap(), "Grüß dich.");
    let text = scene.editor.text(free);
    assert!(
        text.starts_with("<!-- OA_SESSION: ") && text.contains("-->\nGrüß dich.\n## ASSISTANT\n"),
        "{text}"
    );
    scene.finish();
}

#[test]
fn what_the_user_writes_meanwhile_stays() {
    let mut scene = Scene::new(Units::Utf16, true);
    let gate = Gate::new();
    scene
        .model
        .push(Reply::stream().wait(&gate).pieces(&insert("Yes."), 7).finish("stop").usage(1, 1).done());
    scene.editor.open(ORG, "org", "#+title: x\n* USER\nIs it so?\n* Notes\nkept\n");
    scene.editor.send(ORG);
    scene.editor.until_text(ORG, "OA_EVENT");
    assert_eq!(scene.editor.lenses(ORG).iter().map(|lens| lens.1.as_str()).collect::<Vec<_>>(), ["Cancel"]);
    // Above, below, and before the edit is looked at.
    scene.editor.type_behind(ORG, "#+title: x\n", "😀 above\n");
    scene.editor.append(ORG, "below\n");
    scene.editor.types_first = Some((ORG.to_owned(), ":PROPERTIES:".to_owned(), "# on the way\n".to_owned()));
    gate.open();
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    let text = scene.editor.text(ORG);
    assert!(text.contains("\n😀 above\n") && text.starts_with("# on the way\n"), "{text}");
    assert!(text.contains(":END:\nIs it so?\n** ASSISTANT\n"), "{text}");
    assert!(text.contains(":END:\nYes.\n* Notes\nkept\nbelow\n"), "{text}");
    // The edit for the older version was refused and computed again.
    let applied: Vec<bool> = scene.editor.edits.iter().map(|edit| edit.0).collect();
    assert_eq!(applied, [true, false, true]);
    scene.finish();
}

#[test]
fn two_files_at_once() {
    let mut scene = Scene::new(Units::Utf16, true);
    let gate = Gate::new();
    for answer in ["Eins.", "Zwei."] {
        let reply = Reply::stream().wait(&gate).pieces(&insert(answer), 7).finish("stop").usage(1, 1).done();
        scene.model.push(reply);
    }
    let other = "file:///tmp/other.org";
    scene.editor.open(ORG, "org", "* USER\nerste Frage\n");
    scene.editor.open(other, "org", "* USER\nzweite Frage\n");
    scene.editor.send(ORG);
    let first = scene.model.take_request_blocking();
    scene.editor.send(other);
    let second = scene.model.take_request_blocking();
    assert!(
        first.body.to_string().contains("erste Frage") && second.body.to_string().contains("zweite Frage")
    );
    gate.open();
    scene.editor.until_ended(2);
    assert!(scene.editor.text(ORG).contains("Eins.") && !scene.editor.text(ORG).contains("Zwei."));
    assert!(scene.editor.text(other).contains("Zwei.") && !scene.editor.text(other).contains("Eins."));
    scene.is_export(ORG);
    scene.is_export(other);
    scene.finish();
}

#[test]
fn several_prompts_of_a_file_are_answered_where_they_stand() {
    let mut scene = Scene::new(Units::Utf8, true);
    let gate = Gate::new();
    scene.model.push(Reply::stream().wait(&gate).pieces(&insert("A1"), 7).finish("stop").usage(1, 1).done());
    scene.model.reply_with(&insert("A2"));
    scene.editor.open(ORG, "org", "* USER\nQ1\n* USER\nQ2\n");
    for mark in ["Q1", "Q2", "Q1"] {
        let here = scene.editor.place_of(ORG, mark);
        scene.editor.command("org-agent.send", &json!([{"uri": ORG, "range": here}]));
    }
    gate.open();
    scene.editor.until_ended(2);
    let prompts: Vec<String> = (0..2).map(|_| scene.asked().last().unwrap().clone()).collect();
    assert_eq!(prompts, ["Q1", "Q2"]);
    scene.is_export(ORG);
    scene.finish();
}

#[test]
fn an_untitled_document_is_a_chat_too() {
    let mut scene = Scene::new(Units::Utf16, true);
    let uri = "untitled:Untitled-1";
    scene.model.reply_with(&insert("Hi."));
    scene.editor.open(uri, "org", "* USER\nHi?\n");
    scene.editor.send(uri);
    scene.editor.until_ended(1);
    scene.model.take_request_blocking();
    scene.is_export(uri);
    // Another one of the same name is another chat.
    scene.editor.close(uri);
    scene.model.reply_with(&insert("Hello."));
    scene.editor.open(uri, "org", "* USER\nHello?\n");
    scene.editor.send(uri);
    scene.editor.until_ended(2);
    assert_eq!(scene.asked(), ["Hello?"]);
    scene.finish();
}

#[test]
fn an_editor_that_announces_itself_sees_nothing_of_it() {
    let home = tempfile::tempdir().unwrap();
    let mut client = crate::client::Client::start_in(home.path(), &[("ORG_AGENT_MODEL", "offline")]);
    let result = client.initialize();
    let names: Vec<&String> = result["capabilities"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["experimental"]);
    let error = client.try_request("workspace/executeCommand", &json!({"command": "org-agent.send"}));
    assert_eq!(error.unwrap_err()["code"], -32601);
    client.finish();

    // A plain editor may use the methods of this protocol, and is then told like others.
    let mut editor = Editor::start(home.path(), &[("ORG_AGENT_MODEL", "offline")], Units::Utf16, true);
    let params = json!({"sensor": "chat-message", "clientId": "a", "text": "Hi"});
    let turn = editor.request("orgAgent/event", &params).unwrap()["turnId"].clone();
    editor.until("it is told", |editor| {
        editor
            .strange
            .iter()
            .any(|message| message["method"] == "orgAgent/actuate" && message["params"]["turnId"] == turn)
    });
    editor.strange.clear();
    editor.finish();
}
