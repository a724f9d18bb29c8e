//! What a user does with an agent, one thing after the other: each is played in a client that was just started.

mod sessions;

use serde_json::Value;

use crate::client::{Client, More, Offered, last, text, wait};
use crate::fake_model::{Gate, Reply, Request};
use crate::stage::Stage;

/// A client with the stage it stands on.
pub struct Play<'a> {
    pub client: &'a mut dyn Client,
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
pub const FEATURES: [Feature; 32] = [
    feature("starts, says who it is, and ends with the client", starts),
    feature("an answer streams in, with umlauts, 庭 and 🌱", streams),
    feature("Org is shown as Markdown", markdown),
    feature("a long answer in many pieces is whole", long),
    feature("a second message while an answer comes waits for it", queued),
    feature("what was shown and then rejected is taken back in words", retracted),
    feature("the failure of a model is said", failure),
    feature("a command is asked about, and run", run),
    feature("a command is denied", deny),
    feature("a command is denied, and the turn with it", deny_all),
    feature("a command is allowed from now on", always),
    feature("a command that only reads runs unasked", reads),
    feature("a command runs in a terminal of the client", terminal),
    feature("cancel while the model speaks", cancel),
    feature("cancel while a command is asked about", cancel_asked),
    feature("cancel while a command runs", cancel_running),
    feature("a session is resumed by a new agent", sessions::resume),
    feature("a session is loaded by a new agent, with all that was said", sessions::load),
    feature("an agent is killed while the model speaks, and the session goes on", sessions::killed),
    feature("sessions are listed", sessions::list),
    feature("a session is closed, and opened again", sessions::close),
    feature("a session is deleted", sessions::delete),
    feature("skills are commands: `/`", sessions::slash),
    feature("another model is chosen", sessions::model),
    feature("a mode is chosen, and stays with the session", sessions::mode),
    feature("a persona is chosen, and speaks", sessions::persona),
    feature("a stricter sandbox is chosen, and holds", sessions::sandbox),
    feature("tokens are counted", sessions::usage),
    feature("an embedded text goes along", sessions::embedded),
    feature("a file goes along as it is in the editor, unsaved", sessions::unsaved),
    feature("`_orgAgent/why`", sessions::why),
    feature("`_orgAgent/fork`", sessions::fork),
];

const QUESTION: &str = "Wann gieße ich die Tomaten 🍅?";
const ANSWER: &str = "Jeden zweiten Tag 💧, früh am Morgen, im ganzen 庭.";

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

/// A reply that says `first`, waits, and says `then`.
fn halting(first: &str, gate: &Gate, then: &str) -> Reply {
    let whole = insert(&format!("{first}{then}"));
    let (begin, rest) = whole.split_at(whole.find(then).unwrap());
    Reply::stream().text(begin).wait(gate).text(rest).finish("stop").usage(7, 11).done()
}

fn stopped(turn: &Value) -> &str {
    turn["result"]["stopReason"].as_str().unwrap_or_else(|| panic!("the turn failed: {turn}"))
}

impl Play<'_> {
    fn send(&mut self, session: &str, message: &str) -> Offered<()> {
        self.client.prompt(session, message, More::default())
    }

    fn request(&mut self) -> Request {
        self.stage.model.take_request_blocking()
    }

    /// The last message of the next request to the model.
    fn told(&mut self) -> String {
        self.request().messages().last().unwrap().1.clone()
    }

    /// All messages of the next request to the model.
    fn told_all(&mut self) -> String {
        self.request().messages().into_iter().map(|(role, text)| format!("{role}: {text}\n")).collect()
    }

    /// Waits until this stands in the answer.
    #[track_caller]
    fn shown(&mut self, part: &str) {
        let client = &mut *self.client;
        wait(&format!("{part:?} to be shown"), || {
            text(client.said(), "agent_message_chunk").contains(part).then_some(())
        });
    }

    /// Waits for the end of the turn; why it ended.
    #[track_caller]
    fn ends(&mut self) -> String {
        stopped(&self.client.turn()).to_owned()
    }

    /// All that the agent said so far.
    fn answers(&mut self) -> String {
        text(self.client.said(), "agent_message_chunk")
    }

    /// Asks the question in a new session, and gets the answer.
    fn talk(&mut self) -> Offered<String> {
        let session = self.client.new_session();
        self.stage.model.reply_with(&insert(ANSWER));
        self.send(&session, QUESTION)?;
        assert_eq!(self.ends(), "end_turn");
        self.shown(ANSWER);
        assert!(self.told().contains(QUESTION));
        Ok(session)
    }

    /// Another message and its answer in a session; all that the model was told.
    fn talk_on(&mut self, session: &str) -> Offered<String> {
        self.stage.model.reply_with(&insert("Auch nicht 🚿."));
        self.send(session, "Und bei Regen 🌧?")?;
        assert_eq!(self.ends(), "end_turn");
        self.shown("Auch nicht 🚿.");
        Ok(self.told_all())
    }

    fn questions(&mut self) -> Vec<Value> {
        self.client.said().iter().filter(|one| one.get("question").is_some()).cloned().collect()
    }

    /// What became of the tool call that was begun last.
    fn call(&mut self) -> Value {
        let said = self.client.said();
        let mut call = last(said, "tool_call").expect("a tool call").clone();
        for one in said {
            let update = &one["update"];
            if update["sessionUpdate"] == "tool_call_update" && update["toolCallId"] == call["toolCallId"] {
                for (name, value) in update.as_object().unwrap().iter().filter(|(_, value)| !value.is_null())
                {
                    call[name] = value.clone();
                }
            }
        }
        call
    }

    fn restart(&mut self) {
        let stage = self.stage;
        self.client.end();
        wait("the end of the agent", || (!stage.runs()).then_some(()));
        self.client.start();
    }
}

fn starts(play: &mut Play<'_>) -> Offered<()> {
    play.talk()?;
    let ready = play.client.ready();
    assert_eq!(ready["protocolVersion"], 1, "{ready}");
    let can = &ready["agentCapabilities"];
    assert_eq!(can["loadSession"], true, "{ready}");
    assert_eq!(can["promptCapabilities"]["embeddedContext"], true, "{ready}");
    assert_ne!(can["promptCapabilities"]["image"], true, "{ready}");
    assert!(play.stage.started() > 0);
    play.restart();
    Ok(())
}

fn streams(play: &mut Play<'_>) -> Offered<()> {
    let session = play.client.new_session();
    let gate = Gate::new();
    play.stage.model.push(halting(
        "Jeden zweiten Tag 💧.\\n\\nIm ganzen 庭:\\n",
        &gate,
        "früh am Morgen 🌱.",
    ));
    play.send(&session, QUESTION)?;
    assert!(play.told().contains(QUESTION));
    play.shown("Jeden zweiten Tag 💧.");
    assert!(!play.answers().contains("früh"));
    gate.open();
    assert_eq!(play.ends(), "end_turn");
    play.shown("früh am Morgen 🌱.");
    let answer = play.answers();
    assert_eq!(answer.matches("Jeden zweiten Tag").count(), 1, "{answer}");
    assert!(!text(play.client.said(), "user_message_chunk").contains("庭"));
    Ok(())
}

fn markdown(play: &mut Play<'_>) -> Offered<()> {
    let session = play.client.new_session();
    let org = "*Jeden* /zweiten/ Tag 💧, siehe [[https://example.org/gärten][Gärten]]:\\n\\n#+begin_src sh\\necho ä\\n#+end_src";
    play.stage.model.reply_with(&insert(org));
    play.send(&session, QUESTION)?;
    assert_eq!(play.ends(), "end_turn");
    let markdown =
        "**Jeden** _zweiten_ Tag 💧, siehe [Gärten](https://example.org/gärten):\n\n```sh\necho ä\n```";
    play.shown("```sh");
    let answer = play.answers();
    assert_eq!(answer.trim_end(), markdown);
    play.told();
    Ok(())
}

fn long(play: &mut Play<'_>) -> Offered<()> {
    let session = play.client.new_session();
    let lines: Vec<String> =
        (1..=4_000).map(|line| format!("Beet {line}: Möhren 🥕, Erbsen und 庭.")).collect();
    play.stage.model.push(Reply::complete(&insert(&lines.join("\\n")), 400));
    play.send(&session, QUESTION)?;
    assert_eq!(play.ends(), "end_turn");
    play.shown("Beet 4000:");
    let answer = play.answers();
    assert_eq!(answer.trim_end(), lines.join("\n"));
    play.told();
    Ok(())
}

fn queued(play: &mut Play<'_>) -> Offered<()> {
    let session = play.client.new_session();
    let gate = Gate::new();
    play.stage.model.push(halting("Jeden zweiten Tag 💧.\\n\\nUnd\\n", &gate, "früh."));
    play.send(&session, QUESTION)?;
    play.told();
    play.shown("Jeden zweiten Tag 💧.");
    play.stage.model.reply_with(&insert("Auch nicht 🚿."));
    play.send(&session, "Und bei Regen 🌧?")?;
    gate.open();
    assert_eq!(play.ends(), "end_turn");
    play.shown("Auch nicht 🚿.");
    let told = play.told_all();
    assert!(told.contains("früh.") && told.contains("Regen"), "{told}");
    let answer = play.answers();
    assert!(answer.find("früh.") < answer.find("Auch nicht"), "{answer}");
    Ok(())
}

fn retracted(play: &mut Play<'_>) -> Offered<()> {
    let session = play.client.new_session();
    let gate = Gate::new();
    // After the string a key has to come.
    let whole = insert("Gar nicht 🌵.\\n\\nNie.\\n");
    let (begin, _) = whole.split_at(whole.rfind('"').unwrap());
    play.stage.model.push(Reply::stream().text(begin).wait(&gate).text("\" \"oops").stall());
    play.stage.model.reply_with(&insert(ANSWER));
    play.send(&session, QUESTION)?;
    play.told();
    play.shown("Gar nicht 🌵.");
    gate.open();
    assert_eq!(play.ends(), "end_turn");
    play.shown(ANSWER);
    let answer = play.answers();
    let (wrong, taken, right) =
        (answer.find("Gar nicht 🌵."), answer.find("taken back"), answer.find(ANSWER));
    assert!(wrong < taken && taken < right, "{answer}");
    play.told();
    Ok(())
}

fn failure(play: &mut Play<'_>) -> Offered<()> {
    let session = play.client.new_session();
    play.stage.model.push(Reply::page(401, "application/json", r#"{"error":{"message":"no such key 🔑"}}"#));
    play.send(&session, QUESTION)?;
    let turn = play.client.turn();
    let said = format!("{turn}{}", play.answers());
    assert!(said.contains("401"), "{said}");
    play.told();
    // The session goes on.
    play.talk_on(&session)?;
    Ok(())
}

const COPY: &str = "cp Notizen.org Kopie.org";

/// Sends what is answered with a command, and then with words; what the model was told of the command.
fn asked(play: &mut Play<'_>, kind: &'static str) -> Offered<String> {
    play.client.answers(Some(kind))?;
    play.stage.write("Notizen.org", "für die Kopie\n");
    let session = play.client.new_session();
    play.stage.model.reply_with(&command(COPY));
    play.stage.model.reply_with(&insert(ANSWER));
    play.send(&session, QUESTION)?;
    assert_eq!(play.ends(), "end_turn");
    play.shown(ANSWER);
    play.told();
    let told = play.told();
    let ends = play
        .client
        .said()
        .iter()
        .filter(|one| ["completed", "failed"].iter().any(|end| one["update"]["status"] == *end));
    assert_eq!(ends.count(), 1, "a command ends once: {:?}", play.client.said());
    let questions = play.questions();
    assert_eq!(questions.len(), 1, "{questions:?}");
    assert!(questions[0]["call"].to_string().contains(COPY), "{questions:?}");
    Ok(told)
}

fn run(play: &mut Play<'_>) -> Offered<()> {
    let told = asked(play, "allow_once")?;
    assert_eq!(play.stage.read("Kopie.org").as_deref(), Some("für die Kopie\n"), "{told}");
    let call = play.call();
    assert_eq!((&call["status"], &call["kind"]), (&"completed".into(), &"execute".into()), "{call}");
    assert!(call["title"].as_str().unwrap().contains(COPY), "{call}");
    Ok(())
}

fn deny(play: &mut Play<'_>) -> Offered<()> {
    let told = asked(play, "reject_once")?;
    assert!(told.contains("denied"), "{told}");
    assert_eq!(play.stage.read("Kopie.org"), None);
    assert_eq!(play.call()["status"], "failed");
    Ok(())
}

fn deny_all(play: &mut Play<'_>) -> Offered<()> {
    play.client.answers(Some("reject_always"))?;
    play.stage.write("Notizen.org", "für die Kopie\n");
    let session = play.client.new_session();
    play.stage.model.reply_with(&command(COPY));
    play.send(&session, QUESTION)?;
    assert_eq!(play.ends(), "cancelled");
    play.told();
    assert_eq!(play.stage.read("Kopie.org"), None);
    play.talk_on(&session)?;
    Ok(())
}

fn always(play: &mut Play<'_>) -> Offered<()> {
    asked(play, "allow_always")?;
    let session = play.client.new_session();
    std::fs::remove_file(play.stage.garden().join("Kopie.org")).unwrap();
    play.stage.model.reply_with(&command(COPY));
    play.stage.model.reply_with(&insert("Noch einmal 🌱."));
    play.send(&session, QUESTION)?;
    assert_eq!(play.ends(), "end_turn");
    play.shown("Noch einmal 🌱.");
    play.told();
    play.told();
    assert_eq!(play.stage.read("Kopie.org").as_deref(), Some("für die Kopie\n"));
    assert_eq!(play.questions().len(), 1);
    Ok(())
}

fn reads(play: &mut Play<'_>) -> Offered<()> {
    play.stage.write("Notizen.org", "Möhren, 庭 🥕\n");
    let session = play.client.new_session();
    play.stage.model.reply_with(&command("cat Notizen.org"));
    play.stage.model.reply_with(&insert(ANSWER));
    play.send(&session, QUESTION)?;
    assert_eq!(play.ends(), "end_turn");
    play.shown(ANSWER);
    play.told();
    assert!(play.told().contains("Möhren, 庭 🥕"));
    assert_eq!(play.questions().len(), 0);
    let call = play.call();
    assert_eq!(call["status"], "completed", "{call}");
    assert!(call["content"].to_string().contains("Möhren, 庭 🥕"), "{call}");
    Ok(())
}

fn terminal(play: &mut Play<'_>) -> Offered<()> {
    play.client.answers(Some("allow_once"))?;
    play.stage.write("Notizen.org", "Möhren, 庭 🥕\n");
    let session = play.client.new_session();
    play.client.set_option(&session, "commands", "terminal")?;
    play.stage.model.reply_with(&command("cat Notizen.org; exit 3"));
    play.stage.model.reply_with(&insert(ANSWER));
    play.send(&session, QUESTION)?;
    assert_eq!(play.ends(), "end_turn");
    play.shown(ANSWER);
    play.told();
    let told = play.told();
    assert!(told.contains("Möhren, 庭 🥕") && told.contains('3'), "{told}");
    let said = play.client.said();
    let of = |name: &str| said.iter().filter(|one| one.get(name).is_some()).count();
    assert_eq!((of("terminal"), of("released")), (1, 1), "{said:?}");
    Ok(())
}

fn cancel(play: &mut Play<'_>) -> Offered<()> {
    let session = play.client.new_session();
    play.stage.model.push(halting("Jeden zweiten Tag 💧.\\n\\nUnd\\n", &Gate::new(), "früh."));
    play.send(&session, QUESTION)?;
    let request = play.request();
    play.shown("Jeden zweiten Tag 💧.");
    play.client.cancel(&session)?;
    // The model is left.
    request.closed_blocking();
    assert_eq!(play.ends(), "cancelled");
    let told = play.talk_on(&session)?;
    assert!(!told.contains("Jeden zweiten Tag"), "{told}");
    Ok(())
}

fn cancel_asked(play: &mut Play<'_>) -> Offered<()> {
    play.client.answers(None)?;
    play.stage.write("Notizen.org", "für die Kopie\n");
    let session = play.client.new_session();
    play.stage.model.reply_with(&command(COPY));
    play.send(&session, QUESTION)?;
    play.told();
    wait("a question", || play.questions().pop());
    play.client.cancel(&session)?;
    assert_eq!(play.ends(), "cancelled");
    assert_eq!(play.stage.read("Kopie.org"), None);
    play.talk_on(&session)?;
    Ok(())
}

fn cancel_running(play: &mut Play<'_>) -> Offered<()> {
    play.client.answers(Some("allow_once"))?;
    let session = play.client.new_session();
    play.stage.model.reply_with(&command("touch da; sleep 3600; touch dort"));
    play.send(&session, QUESTION)?;
    play.told();
    wait("the command to run", || {
        // The question is answered when it is heard.
        play.client.said();
        play.stage.read("da")
    });
    play.client.cancel(&session)?;
    assert_eq!(play.ends(), "cancelled");
    play.talk_on(&session)?;
    assert_eq!(play.stage.read("dort"), None);
    assert_eq!(play.call()["status"], "failed");
    Ok(())
}
