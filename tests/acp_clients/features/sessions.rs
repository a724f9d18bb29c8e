//! What is done with sessions, and what is chosen for them and goes along with their messages.

use std::fs;

use serde_json::json;

use super::*;

pub(super) fn resume(play: &mut Play<'_>) -> Offered<()> {
    let session = play.talk()?;
    play.restart();
    play.client.resume(&session)?;
    let told = play.talk_on(&session)?;
    assert!(told.contains(QUESTION) && told.contains(ANSWER), "{told}");
    let answer = play.answers();
    assert!(!answer.contains(ANSWER), "what was said is not said again: {answer}");
    Ok(())
}

pub(super) fn load(play: &mut Play<'_>) -> Offered<()> {
    asked(play, "allow_once")?;
    let session = play.client.list()?[0]["sessionId"].as_str().unwrap().to_owned();
    play.restart();
    play.client.load(&session)?;
    let said = play.client.said().to_vec();
    assert_eq!(text(&said, "user_message_chunk"), QUESTION);
    assert_eq!(text(&said, "agent_message_chunk").trim_end(), ANSWER);
    let call = play.call();
    assert_eq!((&call["status"], &call["kind"]), (&"completed".into(), &"execute".into()), "{call}");
    let order: Vec<&str> = said.iter().filter_map(|one| one["update"]["sessionUpdate"].as_str()).collect();
    let at = |kind: &str| order.iter().position(|one| *one == kind);
    assert!(
        at("user_message_chunk") < at("tool_call") && at("tool_call") < at("agent_message_chunk"),
        "{order:?}"
    );
    let told = play.talk_on(&session)?;
    assert!(told.contains(QUESTION) && told.contains(ANSWER), "{told}");
    Ok(())
}

pub(super) fn killed(play: &mut Play<'_>) -> Offered<()> {
    let session = play.client.new_session();
    play.stage.model.push(halting("Jeden zweiten Tag 💧.\\n\\nUnd\\n", &Gate::new(), "früh."));
    play.send(&session, QUESTION)?;
    let request = play.request();
    play.shown("Jeden zweiten Tag 💧.");
    play.stage.kill();
    request.closed_blocking();
    play.restart();
    play.client.resume(&session)?;
    let told = play.talk_on(&session)?;
    assert!(!told.contains("Jeden zweiten Tag"), "{told}");
    Ok(())
}

pub(super) fn list(play: &mut Play<'_>) -> Offered<()> {
    let session = play.talk()?;
    let listed = play.client.list()?;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["sessionId"], *session);
    assert_eq!(listed[0]["cwd"], play.stage.garden().to_str().unwrap());
    assert!(listed[0]["title"].as_str().unwrap().contains("Tomaten"), "{listed:?}");
    assert!(listed[0]["updatedAt"].as_str().unwrap().starts_with("20"), "{listed:?}");
    Ok(())
}

pub(super) fn close(play: &mut Play<'_>) -> Offered<()> {
    let session = play.talk()?;
    play.client.close(&session)?;
    play.client.resume(&session)?;
    let told = play.talk_on(&session)?;
    assert!(told.contains(ANSWER), "{told}");
    Ok(())
}

pub(super) fn delete(play: &mut Play<'_>) -> Offered<()> {
    let session = play.talk()?;
    play.client.delete(&session)?;
    assert_eq!(play.client.list()?.len(), 0);
    Ok(())
}

pub(super) fn slash(play: &mut Play<'_>) -> Offered<()> {
    let folder = play.stage.agent_home().join("skills/compost");
    fs::create_dir_all(&folder).unwrap();
    let skill = "---\nname: compost\ndescription: Was auf den Kompost darf 🍂\n---\nEierschalen dürfen.\n";
    fs::write(folder.join("SKILL.md"), skill).unwrap();
    // An agent that is there from its start on.
    play.restart();
    let session = play.client.new_session();
    play.stage.model.reply_with(&insert(ANSWER));
    play.send(&session, "/compost Äpfel 🍏?")?;
    assert_eq!(play.ends(), "end_turn");
    let told = play.told_all();
    assert!(told.contains("Eierschalen dürfen.") && told.contains("Äpfel 🍏?"), "{told}");
    let client = &mut *play.client;
    let commands = wait("the commands", || last(client.said(), "available_commands_update").cloned());
    let commands = commands["availableCommands"].as_array().unwrap();
    let compost = commands.iter().find(|command| command["name"] == "compost").expect("the skill");
    assert!(compost["description"].as_str().unwrap().contains("Kompost darf 🍂"), "{compost}");
    Ok(())
}

pub(super) fn model(play: &mut Play<'_>) -> Offered<()> {
    let session = play.client.new_session();
    play.client.set_option(&session, "model", "klein")?;
    play.stage.model.reply_with(&insert(ANSWER));
    play.send(&session, QUESTION)?;
    assert_eq!(play.ends(), "end_turn");
    assert_eq!(play.request().body["model"], "fake-klein");
    Ok(())
}

pub(super) fn mode(play: &mut Play<'_>) -> Offered<()> {
    let session = play.client.new_session();
    play.client.set_mode(&session, "talk")?;
    play.restart();
    play.client.resume(&session)?;
    play.stage.write("Notizen.org", "für die Kopie\n");
    play.stage.model.reply_with(&command(COPY));
    play.stage.model.reply_with(&insert(ANSWER));
    play.send(&session, QUESTION)?;
    assert_eq!(play.ends(), "end_turn");
    play.shown(ANSWER);
    play.told();
    let told = play.told();
    assert!(told.contains("denied") && told.contains("no command runs"), "{told}");
    assert_eq!(play.questions().len(), 0);
    assert_eq!(play.stage.read("Kopie.org"), None);
    Ok(())
}

pub(super) fn persona(play: &mut Play<'_>) -> Offered<()> {
    let skills = play.stage.agent_home().join("skills");
    fs::create_dir_all(&skills).unwrap();
    let note = "#+TITLE: SKILL: Gärtner\n#+DEPENDS_ON: identity\n\n#+begin_src lisp\n\
                (defun persona () \"Du bist ein Gärtner 🌱.\")\n\
                (defskill :gardener :capabilities '(:persona))\n#+end_src\n";
    fs::write(skills.join("gardener.org"), note).unwrap();
    let session = play.client.new_session();
    play.client.set_option(&session, "persona", "gardener")?;
    play.stage.model.reply_with(&insert(ANSWER));
    play.send(&session, QUESTION)?;
    assert_eq!(play.ends(), "end_turn");
    let told = play.told_all();
    assert!(told.starts_with("system: Du bist ein Gärtner 🌱."), "{told}");
    Ok(())
}

pub(super) fn sandbox(play: &mut Play<'_>) -> Offered<()> {
    play.client.answers(Some("allow_once"))?;
    play.stage.write("Notizen.org", "für die Kopie\n");
    let session = play.client.new_session();
    play.client.set_option(&session, "sandbox", "read-only")?;
    play.stage.model.reply_with(&command(COPY));
    play.stage.model.reply_with(&insert(ANSWER));
    play.send(&session, QUESTION)?;
    assert_eq!(play.ends(), "end_turn");
    play.shown(ANSWER);
    play.told();
    let told = play.told();
    assert!(told.contains("Kopie.org"), "{told}");
    assert_eq!(play.call()["status"], "failed");
    assert_eq!(play.stage.read("Kopie.org"), None);
    Ok(())
}

pub(super) fn usage(play: &mut Play<'_>) -> Offered<()> {
    play.talk()?;
    let client = &mut *play.client;
    let usage = wait("the tokens", || last(client.said(), "usage_update").cloned());
    assert_eq!(usage["size"], 64_000, "{usage}");
    assert!(usage["used"].as_u64().unwrap() > 0, "{usage}");
    Ok(())
}

pub(super) fn embedded(play: &mut Play<'_>) -> Offered<()> {
    let session = play.client.new_session();
    let uri = "file:///G%C3%A4rten/M%C3%B6hren.txt".to_owned();
    let more = More { embedded: vec![(uri, "Sie mögen Sand 🏖.".to_owned())], ..More::default() };
    play.client.prompt(&session, QUESTION, more)?;
    play.stage.model.reply_with(&insert(ANSWER));
    let told = play.told_all();
    assert!(told.contains("Sie mögen Sand 🏖.") && told.contains("Möhren.txt"), "{told}");
    assert_eq!(play.ends(), "end_turn");
    Ok(())
}

pub(super) fn unsaved(play: &mut Play<'_>) -> Offered<()> {
    let session = play.client.new_session();
    let file = play.stage.write("Moehren.txt", "Sie mögen Lehm.\n");
    play.client.unsaved(&file, "Sie mögen Sand 🏖.\n")?;
    let uri = format!("file://{}", file.to_str().unwrap().replace('ä', "%C3%A4"));
    let more = More { linked: vec![("Moehren.txt".to_owned(), uri)], ..More::default() };
    play.stage.model.reply_with(&insert(ANSWER));
    play.client.prompt(&session, QUESTION, more)?;
    let told = play.told_all();
    assert!(told.contains("Sie mögen Sand 🏖.") && !told.contains("Lehm"), "{told}");
    assert_eq!(play.ends(), "end_turn");
    Ok(())
}

pub(super) fn why(play: &mut Play<'_>) -> Offered<()> {
    asked(play, "allow_once")?;
    let call = play.call()["toolCallId"].clone();
    let why = play.client.extension("orgAgent/why", json!({"toolCallId": call}))?;
    assert!(why.to_string().contains(COPY), "{why}");
    Ok(())
}

pub(super) fn fork(play: &mut Play<'_>) -> Offered<()> {
    let session = play.talk()?;
    let copy = play.client.extension("orgAgent/fork", json!({"sessionId": session}))?;
    let copy = copy["sessionId"].as_str().unwrap().to_owned();
    assert_ne!(copy, session);
    play.client.resume(&copy)?;
    let told = play.talk_on(&copy)?;
    assert!(told.contains(QUESTION) && told.contains(ANSWER), "{told}");
    Ok(())
}
