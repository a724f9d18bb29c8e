//! Whether a buffer still says what was said in it, by the hashes that its client sends along.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::*;

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The mark of a turn's reply.
fn reply(client: &mut Client, sent: &Sent) -> String {
    let items = all(client, "messages", &json!({"sessionId": sent.session}));
    let item =
        items.iter().find(|item| item["metadata"]["turn"] == *sent.turn && item["role"] == "assistant");
    word(&item.unwrap()["metadata"]["actuation"])
}

/// What a message with these texts by their marks is answered with.
fn edited(client: &mut Client, session: &str, texts: &[(&str, &str)]) -> Option<Vec<String>> {
    let hashes: Map<String, Value> =
        texts.iter().map(|(mark, text)| ((*mark).to_owned(), hash(text).into())).collect();
    let (sent, answer) = sent(client, session, "echo: next", &json!({"turnHashes": hashes}));
    client.turn(&sent.turn);
    answer.get("edited").map(|edited| edited.as_array().unwrap().iter().map(word).collect())
}

#[test]
fn what_a_buffer_shows_otherwise_is_named_and_nothing_else() {
    let home = home();
    let mut client = server(home.path());
    let one = say(&mut client, "", "echo: Grüße\n\n日本");
    let two = say(&mut client, &one.session, "echo: two\n\n\n");
    let (first, second) = (reply(&mut client, &one), reply(&mut client, &two));
    let id = &one.session;
    let text = word(&all(&mut client, "messages", &json!({"sessionId": id}))[1]["content"]);
    // As they stand in the buffer: with the last line break, or without it.
    for end in ["", "\n"] {
        let shown = [
            (one.event.as_str(), format!("echo: Grüße\n\n日本{end}")),
            (&first, format!("{text}{end}")),
            (&two.event, format!("echo: two{end}")),
            (&second, format!("two{end}")),
        ];
        let shown: Vec<(&str, &str)> = shown.iter().map(|(mark, text)| (*mark, text.as_str())).collect();
        assert_eq!(edited(&mut client, id, &shown), None);
    }
    assert_eq!(edited(&mut client, id, &[]), None);
    // What is not known here says nothing: neither do marks of another session.
    let other = client.request("orgAgent/sessions/create", &json!({}));
    let other = say(&mut client, &word(&other["id"]), "echo: other");
    let unknown = [
        ("nothing", "x"),
        (other.event.as_str(), "x"),
        (&one.turn, "x"),
        (id, "x"),
        ("", "x"),
        ("' OR 1=1", "x"),
    ];
    assert_eq!(edited(&mut client, id, &unknown), None);
    // A changed prompt, a changed reply, one that lost a line break inside, and one that is empty.
    assert_eq!(
        edited(&mut client, id, &[(&one.event, "echo: Grüße\n日本"), (&first, &text)]),
        Some(vec![one.event.clone()])
    );
    assert_eq!(edited(&mut client, id, &[(&second, "two!"), ("nothing", "x")]), Some(vec![second.clone()]));
    // The oldest first.
    let both = vec![two.event.clone(), second.clone()];
    assert_eq!(edited(&mut client, id, &[(&second, ""), (&two.event, "echo: two ")]), Some(both));
    // It is said to whoever sends it; what is recorded stays what was said.
    assert_eq!(texts(&mut client, id)[..4], ["echo: Grüße\n\n日本", &text, "echo: two\n\n\n", "two"]);
    client.finish_unread();
    sound(home.path());
}

#[test]
fn the_model_is_shown_what_was_said_until_the_buffer_is_made_a_session() {
    let (home, model) = (home(), FakeModel::start());
    let mut client = asking(&model, home.path());
    let (one, _) = asked((&mut client, &model), "", "What is 2+2?", "Five.");
    let mark = reply(&mut client, &one);
    model.reply_with(&insert("Sure."));
    let (two, answer) =
        sent(&mut client, &one.session, "Sure?", &json!({"turnHashes": {mark.as_str(): hash("Four.")}}));
    assert_eq!(answer["edited"], json!([mark]));
    client.turn(&two.turn);
    let shown = model.take_request_blocking().messages();
    assert!(shown.iter().any(|(_, text)| text.contains("Five.")), "{shown:?}");
    assert!(!shown.iter().any(|(_, text)| text.contains("Four.")), "{shown:?}");

    let copy = of(&mut client, "fork", &one.session, &json!({"edits": {mark.as_str(): "Four."}}));
    let copy = word(&copy["id"]);
    // There it stands as the buffer shows it, under the same mark.
    model.reply_with(&insert("Yes."));
    let (three, answer) =
        sent(&mut client, &copy, "Sure?", &json!({"turnHashes": {mark.as_str(): hash("Four.")}}));
    assert_eq!(answer.get("edited"), None);
    client.turn(&three.turn);
    let shown = model.take_request_blocking().messages();
    assert!(shown.contains(&("assistant".to_owned(), insert("Four."))), "{shown:?}");
    assert!(!shown.iter().any(|(_, text)| text.contains("Five.")), "{shown:?}");
    client.finish_unread();
    sound(home.path());
}
