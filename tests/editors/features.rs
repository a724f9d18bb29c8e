//! What the whole chat is, one thing after the other: each is played in an editor that was just started.

use std::path::PathBuf;

use crate::editor::{Editor, Lack, Offered, Question, until, wait};
use crate::fake_model::{Gate, Reply};
use crate::stage::Stage;

/// An editor with the stage it stands on.
pub struct Play<'a> {
    pub editor: &'a mut dyn Editor,
    pub stage: &'a Stage,
}

/// A row of the table, and what shows that it works.
pub struct Feature {
    pub name: &'static str,
    pub play: fn(&mut Play<'_>) -> Offered<()>,
}

const fn feature(name: &'static str, play: fn(&mut Play<'_>) -> Offered<()>) -> Feature {
    Feature { name, play }
}

/// The rows of the table.
pub const FEATURES: [Feature; 24] = [
    feature("starts, stays, and ends with the editor", starts),
    feature("send: code action", send_by_action),
    feature("send: code lens", send_by_lens),
    feature("send: command without arguments", send_by_command),
    feature("send: command with arguments", send_by_command_here),
    feature("ask about a selection", ask_about),
    feature("ordinary notes as they are", notes),
    feature("the reply in its place, among emoji and umlauts", place),
    feature("what is typed during the turn stays", typing),
    feature("a chat of two turns", two_turns),
    feature("progress is shown", progress),
    feature("cancel: code action", cancel_by_action),
    feature("cancel: command", cancel_by_command),
    feature("cancel: at the progress", cancel_by_progress),
    feature("a command is asked about, and run", run),
    feature("a command is denied", deny),
    feature("no answer means no", dismiss),
    feature("an edit that was refused is put in later", refused),
    feature("completion of skills: `/`", complete_skill),
    feature("completion of context: `@`", complete_context),
    feature("a failure is a diagnostic", diagnostic),
    feature("send again", again),
    feature("Markdown", markdown),
    feature("Markdown: a command is asked about, and run", markdown_run),
];

/// Letters of two, three and four bytes, and one of several characters, before what is looked at.
const TOP: &str = "#+title: Gärten – 庭 🌱\n\nEin Absatz „davor“, 🙂👩‍🌾 und e\u{301}.\n";
const QUESTION: &str = "Wann gieße ich die Tomaten 🍅?";
const ANSWER: &str = "Jeden zweiten Tag 💧, früh am Morgen.";

const SEND: &str = "Send to org-agent";
const ASK: &str = "Ask about this";
const CANCEL: &str = "Cancel org-agent";
const INSERT: &str = "Insert the answer of org-agent";
const AGAIN: &str = "Send again";

/// An insert as a model writes it; `text` needs no escapes.
fn insert(text: &str) -> String {
    format!(
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "*org-agent-chat*" :text "{text}"))"#
    )
}

/// A command as a model writes it.
fn command(words: &str) -> String {
    format!(r#"(:type :request :target :shell :payload (:cmd "{words}") :explanation "Für später.")"#)
}

/// A reply that says half of `text` and waits.
fn half(text: &str, gate: &Gate) -> Reply {
    let whole = insert(text);
    let middle = whole.char_indices().nth(whole.chars().count() - 12).unwrap().0;
    let (begin, rest) = whole.split_at(middle);
    Reply::stream().text(begin).wait(gate).text(rest).finish("stop").done()
}

/// The text with every identifier made the same.
fn plain(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let mut line = line.to_owned();
        for name in ["OA_SESSION: ", "OA_EVENT: ", "OA_ACT: "] {
            if let Some(at) = line.find(name) {
                let from = at + name.len();
                let to = line[from..].find(' ').map_or(line.len(), |length| from + length);
                assert!(to - from > 8, "an identifier: {line}");
                line.replace_range(from..to, "…");
            }
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// A file of one turn with this answer, as it is to be; `rest` stands behind the answer.
fn answered(top: &str, question: &str, answer: &str, rest: &str) -> String {
    format!(
        ":PROPERTIES:\n:OA_SESSION: …\n:END:\n{top}* USER\n:PROPERTIES:\n:OA_EVENT: …\n:END:\n{question}\n\
         ** ASSISTANT\n:PROPERTIES:\n:OA_ACT: …\n:END:\n{answer}\n{rest}"
    )
}

impl Play<'_> {
    /// Opens a file with this text.
    fn open(&mut self, name: &str, text: &str) -> Offered<PathBuf> {
        let file = self.stage.write(name, text);
        self.editor.open(&file)?;
        Ok(file)
    }

    /// Opens the notes with the question as the open prompt.
    fn ask(&mut self) -> Offered<PathBuf> {
        self.open("Notizen.org", &format!("{TOP}* USER\n{QUESTION}\n"))
    }

    /// The last message of the next request to the model.
    fn told(&mut self) -> String {
        let request = self.stage.model.take_request_blocking();
        request.messages().last().unwrap().1.clone()
    }

    /// Waits until the answer stands there, and is all that changed.
    fn answered(&mut self) {
        let expected = answered(TOP, QUESTION, ANSWER, "* USER\n");
        self.becomes(&expected);
    }

    /// Waits until the text is this one, identifiers aside.
    fn becomes(&mut self, expected: &str) {
        let same = |text: &str| plain(text).trim_end() == expected.trim_end();
        let text = until(self.editor, &format!("the text to be:\n{expected}\n"), same);
        assert_eq!(plain(&text).trim_end(), expected.trim_end());
    }

    /// Sends the question in the shortest way that the client has.
    fn send(&mut self) -> Offered<()> {
        self.editor.go(QUESTION);
        self.editor.act(SEND)
    }

    /// Waits for a question to the user.
    fn question(&mut self) -> Question {
        let editor = &mut *self.editor;
        wait("a question to the user", || editor.questions().pop())
    }

    fn runs_on(&mut self) {
        assert!(self.stage.runs(), "the server has ended");
    }
}

fn starts(play: &mut Play<'_>) -> Offered<()> {
    play.ask()?;
    play.editor.go(QUESTION);
    let offered = play.editor.actions()?;
    assert!(offered.iter().any(|title| title == SEND), "{offered:?}");
    play.runs_on();
    play.editor.quit();
    let stage = play.stage;
    wait("the end of the server", || (!stage.runs()).then_some(()));
    Ok(())
}

fn send_by_action(play: &mut Play<'_>) -> Offered<()> {
    play.ask()?;
    play.stage.model.reply_with(&insert(ANSWER));
    play.editor.go(QUESTION);
    play.editor.act(SEND)?;
    play.answered();
    assert!(play.told().contains(QUESTION));
    Ok(())
}

fn send_by_lens(play: &mut Play<'_>) -> Offered<()> {
    play.ask()?;
    play.stage.model.reply_with(&insert(ANSWER));
    if let Err(lack) = play.editor.lens(SEND) {
        return forget(play, lack);
    }
    play.answered();
    assert!(play.told().contains(QUESTION));
    Ok(())
}

fn send_by_command(play: &mut Play<'_>) -> Offered<()> {
    play.ask()?;
    play.stage.model.reply_with(&insert(ANSWER));
    play.editor.go(QUESTION);
    if let Err(lack) = play.editor.execute("org-agent.send") {
        return forget(play, lack);
    }
    play.answered();
    assert!(play.told().contains(QUESTION));
    Ok(())
}

fn send_by_command_here(play: &mut Play<'_>) -> Offered<()> {
    let file = play.ask()?;
    play.stage.model.reply_with(&insert(ANSWER));
    if let Err(lack) = play.editor.execute_here("org-agent.send", &file) {
        return forget(play, lack);
    }
    play.answered();
    assert!(play.told().contains(QUESTION));
    Ok(())
}

/// A reply that was scripted for what the client lacks is not asked for.
fn forget(play: &Play<'_>, lack: Lack) -> Offered<()> {
    play.stage.model.forget();
    Err(lack)
}

fn ask_about(play: &mut Play<'_>) -> Offered<()> {
    play.open(
        "Notizen.org",
        &format!("{TOP}* Beete 🌻\nDie Möhren brauchen lockeren Boden.\n* USER\nWarum?\n"),
    )?;
    play.stage.model.reply_with(&insert(ANSWER));
    if let Err(lack) = play.editor.act_on("Möhren brauchen", ASK) {
        return forget(play, lack);
    }
    let top = format!("{TOP}* Beete 🌻\nDie Möhren brauchen lockeren Boden.\n");
    play.becomes(&answered(&top, "Warum?", ANSWER, "* USER\n"));
    let messages = play.stage.model.take_request_blocking().messages();
    let all: String =
        messages.iter().filter(|(role, _)| role == "user").map(|(_, text)| text.as_str()).collect();
    assert!(all.contains("Möhren brauchen") && all.contains("Warum?"), "{messages:?}");
    Ok(())
}

fn notes(play: &mut Play<'_>) -> Offered<()> {
    let text = format!("{TOP}* Beete 🌻\nDie Möhren brauchen lockeren Boden.\n");
    play.open("Notizen.org", &text)?;
    play.stage.model.reply_with(&insert(ANSWER));
    play.editor.go("Möhren");
    play.editor.act(SEND)?;
    let after = until(play.editor, "the answer", |text| text.contains(ANSWER));
    assert!(after.contains(&text), "what was there stays as it was:\n{after}");
    let messages = play.stage.model.take_request_blocking().messages();
    assert!(messages.iter().any(|(_, text)| text.contains("lockeren Boden")), "{messages:?}");
    Ok(())
}

fn place(play: &mut Play<'_>) -> Offered<()> {
    // Behind the prompt stands more, and the prompt's last letters are outside the first plane.
    let rest = "* Anhang 🧺\nÄpfel 🍏\n";
    play.open("Notizen.org", &format!("{TOP}* USER\n🍅🍅 {QUESTION} 🍅\n{rest}"))?;
    play.stage.model.reply_with(&insert(ANSWER));
    play.editor.go(QUESTION);
    play.editor.act(SEND)?;
    let question = format!("🍅🍅 {QUESTION} 🍅");
    play.becomes(&answered(TOP, &question, ANSWER, &format!("{rest}* USER\n")));
    assert!(play.told().contains(&question));
    Ok(())
}

fn typing(play: &mut Play<'_>) -> Offered<()> {
    let rest = "* Anhang 🧺\nÄpfel 🍏";
    play.open("Notizen.org", &format!("{TOP}* USER\n{QUESTION}\n{rest}\n"))?;
    let gate = Gate::new();
    play.stage.model.push(half(ANSWER, &gate));
    play.send()?;
    assert!(play.told().contains(QUESTION));
    play.editor.type_at_end(" und Birnen 🍐\n- Quitten");
    gate.open();
    // The user goes on while the answer is put in.
    for _ in 0..20 {
        play.editor.type_at_end("🍏x");
    }
    // Where the end is, changes when the place for the next prompt is put there; nothing else does.
    let expected = answered(TOP, QUESTION, ANSWER, &format!("{rest} und Birnen 🍐\n- Quitten\n* USER\n"));
    let text = until(play.editor, "all that was typed, and the answer", |text| {
        text.matches("🍏x").count() == 20 && plain(&text.replace("🍏x", "")).trim_end() == expected.trim_end()
    });
    assert!(text.contains("- Quitten"));
    Ok(())
}

fn two_turns(play: &mut Play<'_>) -> Offered<()> {
    play.ask()?;
    play.stage.model.reply_with(&insert(ANSWER));
    play.send()?;
    play.answered();
    play.told();
    play.stage.model.reply_with(&insert("Auch nicht 🚿."));
    play.editor.type_at_end("\nUnd bei Regen 🌧?");
    play.editor.go("Und bei Regen");
    play.editor.act(SEND)?;
    let text = until(play.editor, "the second answer", |text| text.contains("Auch nicht 🚿."));
    let (first, second) = (text.find(ANSWER).unwrap(), text.find("Auch nicht").unwrap());
    assert!(first < second && text.matches("OA_ACT").count() == 2, "{text}");
    let request = play.stage.model.take_request_blocking().messages();
    // The first turn goes along: it is one session.
    assert!(request.iter().any(|(role, text)| role == "assistant" && text.contains(ANSWER)), "{request:?}");
    Ok(())
}

fn progress(play: &mut Play<'_>) -> Offered<()> {
    play.ask()?;
    let gate = Gate::new();
    play.stage.model.push(half(ANSWER, &gate));
    play.send()?;
    play.told();
    let editor = &mut *play.editor;
    let mut lack = None;
    wait("progress to be shown", || match editor.progress() {
        Ok(shown) => shown.iter().any(|text| text.contains("org-agent")).then_some(()),
        Err(why) => {
            lack = Some(why);
            Some(())
        }
    });
    gate.open();
    play.answered();
    lack.map_or(Ok(()), Err)
}

/// Sends, cancels in this way while the model speaks, and sees that nothing comes.
fn cancel(play: &mut Play<'_>, by: fn(&mut dyn Editor) -> Offered<()>) -> Offered<()> {
    play.ask()?;
    play.stage.model.push(half(ANSWER, &Gate::new()));
    play.send()?;
    let request = play.stage.model.take_request_blocking();
    by(play.editor)?;
    // The model is left.
    request.closed_blocking();
    play.stage.model.reply_with(&insert("Danach 🍂."));
    // What was typed can be sent again, or the next thing be said.
    play.editor.type_at_end("\n* USER\nUnd danach?");
    play.editor.go("Und danach?");
    play.editor.act(SEND)?;
    let text = until(play.editor, "the answer to the next prompt", |text| text.contains("Danach 🍂."));
    assert!(!text.contains(ANSWER) && text.matches("OA_ACT").count() == 1, "{text}");
    play.told();
    Ok(())
}

fn cancel_by_action(play: &mut Play<'_>) -> Offered<()> {
    cancel(play, |editor| {
        editor.go(QUESTION);
        editor.act(CANCEL)
    })
}

fn cancel_by_command(play: &mut Play<'_>) -> Offered<()> {
    cancel(play, |editor| editor.execute("org-agent.cancel"))
}

fn cancel_by_progress(play: &mut Play<'_>) -> Offered<()> {
    cancel(play, |editor| editor.cancel_progress())
}

const COPY: &str = "cp Notizen.org Kopie.org";

/// Sends what is answered with a command, and then with words; what the model was told of the command.
fn asked(play: &mut Play<'_>, answer: Option<&str>) -> Offered<String> {
    play.stage.write("Notizen.org", "für die Kopie\n");
    play.open("Chat.org", &format!("{TOP}* USER\n{QUESTION}\n"))?;
    play.editor.answer(answer)?;
    play.stage.model.reply_with(&command(COPY));
    play.stage.model.reply_with(&insert(ANSWER));
    play.send()?;
    play.told();
    let told = play.told();
    until(play.editor, "the answer", |text| text.contains(ANSWER));
    Ok(told)
}

fn run(play: &mut Play<'_>) -> Offered<()> {
    let told = asked(play, Some("Run"))?;
    let question = play.question();
    assert!(question.message.contains(COPY), "{question:?}");
    assert!(
        ["Run", "Deny"].iter().all(|title| question.titles.iter().any(|one| one == title)),
        "{question:?}"
    );
    assert_eq!(copied(play).as_deref(), Some("für die Kopie\n"), "{told}");
    let text = play.editor.text();
    let (block, answer) = (text.find("#+begin_src sh").unwrap(), text.find(ANSWER).unwrap());
    assert!(block < answer && text.contains(COPY), "{text}");
    Ok(())
}

fn copied(play: &Play<'_>) -> Option<String> {
    std::fs::read_to_string(play.stage.garden().join("Kopie.org")).ok()
}

fn deny(play: &mut Play<'_>) -> Offered<()> {
    let told = asked(play, Some("Deny"))?;
    assert!(play.question().message.contains(COPY));
    assert!(told.contains("denied"), "{told}");
    assert_eq!(copied(play), None);
    Ok(())
}

fn dismiss(play: &mut Play<'_>) -> Offered<()> {
    if play.editor.leaves_unanswered() {
        return leave(play);
    }
    let told = asked(play, None)?;
    assert!(told.contains("denied"), "{told}");
    assert_eq!(copied(play), None);
    Ok(())
}

/// The client never answers a question that the user leaves: nothing is run, and the turn can be cancelled.
fn leave(play: &mut Play<'_>) -> Offered<()> {
    play.stage.write("Notizen.org", "für die Kopie\n");
    play.open("Chat.org", &format!("{TOP}* USER\n{QUESTION}\n"))?;
    play.editor.answer(None)?;
    play.stage.model.reply_with(&command(COPY));
    play.send()?;
    play.told();
    play.question();
    play.editor.execute("org-agent.cancel")?;
    play.stage.model.reply_with(&insert(ANSWER));
    play.editor.type_at_end("\n* USER\nUnd danach?");
    play.editor.go("Und danach?");
    play.editor.act(SEND)?;
    until(play.editor, "the answer to the next prompt", |text| text.contains(ANSWER));
    play.told();
    assert_eq!(copied(play), None);
    Ok(())
}

fn refused(play: &mut Play<'_>) -> Offered<()> {
    play.ask()?;
    let gate = Gate::new();
    play.stage.model.push(half(ANSWER, &gate));
    play.send()?;
    play.told();
    until(play.editor, "the prompt to be marked", |text| text.contains("OA_EVENT"));
    let refuses = play.editor.refuse(true);
    gate.open();
    if let Err(lack) = refuses {
        play.answered();
        return Err(lack);
    }
    let stage = play.stage;
    wait("word of the refusal", || stage.trouble().contains("window/showMessage").then_some(()));
    assert!(!play.editor.text().contains(ANSWER));
    play.editor.refuse(false)?;
    play.editor.go(QUESTION);
    play.editor.act(INSERT)?;
    play.answered();
    Ok(())
}

fn complete_skill(play: &mut Play<'_>) -> Offered<()> {
    let folder = play.stage.agent_home().join("skills/compost");
    std::fs::create_dir_all(&folder).unwrap();
    let skill = "---\nname: compost\ndescription: Was auf den Kompost darf 🍂\n---\nEierschalen dürfen.\n";
    std::fs::write(folder.join("SKILL.md"), skill).unwrap();
    play.open("Notizen.org", &format!("{TOP}* USER\n "))?;
    play.editor.complete("/comp", "compost")?;
    let text = until(play.editor, "the name of the skill", |text| text.contains("/compost"));
    assert!(text.contains("* USER\n /compost") && !text.contains("//"), "{text}");
    Ok(())
}

fn complete_context(play: &mut Play<'_>) -> Offered<()> {
    play.stage.write("Möhren.txt", "Sie mögen Sand 🏖.\n");
    play.open("Notizen.org", &format!("{TOP}* USER\nWas steht in 🥕 "))?;
    play.editor.complete("@M", "Möhren")?;
    let text = until(play.editor, "the name of the file", |text| text.contains("Möhren.txt"));
    assert!(text.contains("Was steht in 🥕 @"), "{text}");
    play.stage.model.reply_with(&insert(ANSWER));
    play.editor.go("Was steht");
    play.editor.act(SEND)?;
    until(play.editor, "the answer", |text| text.contains(ANSWER));
    let messages = play.stage.model.take_request_blocking().messages();
    assert!(messages.iter().any(|(_, text)| text.contains("Sie mögen Sand 🏖.")), "{messages:?}");
    Ok(())
}

/// Sends what the model's server refuses to answer.
fn fail(play: &mut Play<'_>) -> Offered<()> {
    play.ask()?;
    play.stage.model.push(Reply::page(401, "application/json", r#"{"error":{"message":"no such key 🔑"}}"#));
    play.send()?;
    play.told();
    Ok(())
}

fn diagnostic(play: &mut Play<'_>) -> Offered<()> {
    fail(play)?;
    let editor = &mut *play.editor;
    wait("a diagnostic", || match editor.diagnostics() {
        Ok(found) => found.iter().any(|text| text.contains("401")).then_some(Ok(())),
        Err(lack) => Some(Err(lack)),
    })
}

fn again(play: &mut Play<'_>) -> Offered<()> {
    fail(play)?;
    play.stage.model.reply_with(&insert(ANSWER));
    let editor = &mut *play.editor;
    wait("the offer to send again", || {
        editor.go(QUESTION);
        match editor.actions() {
            Ok(titles) => titles.iter().any(|title| title == AGAIN).then_some(Ok(())),
            Err(lack) => Some(Err(lack)),
        }
    })?;
    play.editor.act(AGAIN)?;
    until(play.editor, "the answer", |text| text.contains(ANSWER));
    assert!(play.told().contains(QUESTION));
    Ok(())
}

fn markdown(play: &mut Play<'_>) -> Offered<()> {
    let top = "Ein Absatz „davor“, 🙂👩‍🌾.\n\n";
    play.open("Notizen.md", &format!("{top}# USER\n{QUESTION}\n"))?;
    play.stage.model.reply_with(&insert("**Jeden** zweiten Tag 💧:\\n\\n```sh\\necho ä\\n```"));
    play.send()?;
    play.becomes(&format!(
        "<!-- OA_SESSION: … -->\n{top}# USER\n<!-- OA_EVENT: … -->\n{QUESTION}\n## ASSISTANT\n<!-- OA_ACT: … -->\n\
         **Jeden** zweiten Tag 💧:\n\n```sh\necho ä\n```\n# USER\n"
    ));
    assert!(play.told().contains(QUESTION));
    Ok(())
}

fn markdown_run(play: &mut Play<'_>) -> Offered<()> {
    play.stage.write("Notizen.org", "für die Kopie\n");
    play.open("Chat.md", &format!("# USER\n{QUESTION}\n"))?;
    play.editor.answer(Some("Run"))?;
    play.stage.model.reply_with(&command(COPY));
    play.stage.model.reply_with(&insert(ANSWER));
    play.send()?;
    play.told();
    play.told();
    let text = until(play.editor, "the answer", |text| text.contains(ANSWER));
    assert_eq!(copied(play).as_deref(), Some("für die Kopie\n"));
    let (block, answer) = (text.find("```sh").unwrap(), text.find(ANSWER).unwrap());
    assert!(block < answer && text.contains(COPY), "{text}");
    Ok(())
}
