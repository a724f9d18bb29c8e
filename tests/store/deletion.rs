//! What is left of a session that was deleted: one signed event, and no word.

use org_agent::ids::hex;
use org_agent::request::Search;

use super::sessions::{contents, sound, turn};
use super::*;

#[test]
fn what_is_deleted_is_gone_and_a_signed_word_of_it_stays() {
    let mut home = Home::new();
    let secret = "Xylophonist";
    let both = home.store.blob("said in both");
    let own = home.store.blob(&format!("prompt with {secret}"));
    let prompted = |turn: &str, hashes: &[&String]| Record::Prompted {
        turn: turn.into(),
        attempt: 1,
        model: "m".into(),
        messages: hashes
            .iter()
            .map(|hash| MessageRef { role: "user".into(), sha256: (*hash).clone() })
            .collect(),
        tokens: None,
        parameters: Value::Null,
        persona: None,
    };
    home.append("s", &[created("b")]);
    home.append("s", &turn("t", &format!("who is the {secret}"), "nobody"));
    home.append("s", &[sent("p", "p"), prompted("p", &[&both, &own])]);
    home.append("other", &[created("b"), sent("q", "q"), prompted("q", &[&both])]);
    let db = home.raw();
    let error = db.execute("DELETE FROM log WHERE session = 's'", []).unwrap_err().to_string();
    assert!(error.contains("append-only"), "{error}");
    let events = home.store.delete(&"s".into(), "user").unwrap();
    home.wait(events.ticket);
    let count = |sql: &str| -> i64 { db.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(count("SELECT count(*) FROM log WHERE session = 's'"), 1);
    assert_eq!(count("SELECT count(*) FROM blobs"), 1);
    for view in ["chat_sessions", "turns", "chat_messages", "chat_actions", "client_messages", "turn_events"]
    {
        assert!(!views(&db).iter().any(|row| row.starts_with(view) && row.contains("\"s\"")), "{view}");
    }
    assert_eq!(home.store.session(&"s".into()).unwrap_err().code, Code::NotFound);
    assert_eq!(home.store.verify_all().unwrap(), []);
    // Not even this can be taken back, nor can the other session.
    for statement in ["DELETE FROM log WHERE session = 's'", "DELETE FROM log WHERE session = 'other'"] {
        assert!(db.execute(statement, []).is_err(), "{statement}");
    }
    // The identifier may come back, behind what was deleted; and go again.
    home.append("s", &[created("b")]);
    home.append("s", &turn("t", "again", "yes"));
    assert_eq!(contents(&home, "s"), ["again", "yes"]);
    sound(&home);
    let ticket = home.store.delete(&"s".into(), "retention").unwrap().ticket;
    home.wait(ticket);
    assert_eq!(count("SELECT count(*) FROM log WHERE session = 's'"), 1);
    sound(&home);
    // Written anew, the file has its words nowhere.
    drop(db);
    home.store.compact().unwrap();
    let home = home.reopen();
    let Home { store, dir, .. } = home;
    drop(store);
    for file in std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path()) {
        let bytes = if file.is_file() { std::fs::read(&file).unwrap() } else { Vec::new() };
        for word in [secret.as_bytes(), secret.to_lowercase().as_bytes(), hex(b"nobody").as_bytes()] {
            let found = bytes.windows(word.len()).any(|part| part == word);
            assert!(!found, "{} in {}", String::from_utf8_lossy(word), file.display());
        }
    }
}

#[test]
fn a_long_message_that_is_deleted_leaves_the_index() {
    let mut home = Home::new();
    home.append(
        "s",
        &[
            created("b"),
            sent("t", &"x ".repeat(524_000)),
            started("t"),
            Record::Dispatched {
                turn: "t".into(),
                skill: Some("chat".into()),
                triggered: Vec::new(),
                notes: Vec::new(),
            },
            ended("t", EndState::Cancelled),
        ],
    );
    home.append("r", &[created("b")]);
    home.append("r", &turn("u", "hello there", "good day"));
    let ticket = home.store.delete(&"s".into(), "user").unwrap().ticket;
    home.wait(ticket);
    // Before anything is made anew.
    assert_eq!(home.store.verify_all().unwrap(), []);
    sound(&home);
}

#[test]
fn a_long_session_that_is_deleted_leaves_no_trace_in_a_file_that_is_written_anew() {
    let mut home = Home::new();
    home.append("s", &[created("b")]);
    home.append("r", &[created("b")]);
    home.append("r", &turn("kept", "something else", "that stays"));
    let mut records = Vec::new();
    for number in 0..2_100 {
        let name = format!("t{number}");
        records.extend([sent(&name, "a Quokka and a Numbat"), started(&name), ended(&name, EndState::Done)]);
    }
    home.append("s", &records);
    let ticket = home.store.delete(&"s".into(), "user").unwrap().ticket;
    home.wait(ticket);
    assert_eq!(home.store.verify_all().unwrap(), []);
    home.append("r", &turn("next", "one more", "turn"));
    home.store.compact().unwrap();
    for file in ["agent.db", "agent.db-wal"] {
        let bytes = std::fs::read(home.dir.path().join(file)).unwrap_or_default().to_ascii_lowercase();
        for word in ["quokka", "numbat"] {
            assert!(!bytes.windows(word.len()).any(|part| part == word.as_bytes()), "{word} in {file}");
        }
    }
    let search = |text: &str| Search { text: text.into(), ..Search::default() };
    let hits =
        |text: &str| home.store.search(&search(text), None).unwrap()["items"].as_array().unwrap().len();
    assert_eq!((hits("quokka"), hits("stays"), hits("turn")), (0, 1, 1));
    sound(&home);
}

#[test]
fn whoever_makes_a_deleted_session_anew_goes_on_where_its_chain_ends() {
    let mut home = Home::new();
    home.append("s", &[created("b")]);
    let ticket = home.store.delete(&"s".into(), "user").unwrap().ticket;
    home.wait(ticket);
    // Another process does so first.
    let (mut there, hear) = open(home.dir.path());
    there.append_all(&"s".into(), &[created("b"), sent("t", "q")]).unwrap();
    hear.recv().unwrap().unwrap();
    home.store.forget(&"s".into());
    home.append("s", &[ended("t", EndState::Done)]);
    assert_eq!(home.store.verify_all().unwrap(), []);
}

#[test]
fn what_a_killed_server_had_not_forgotten_the_next_one_forgets() {
    let mut home = Home::new();
    home.append("s", &[created("b")]);
    let Home { store, dir, .. } = home;
    drop(store);
    // The file as such a server leaves it: what was deleted is still in a segment of the index, and it says so.
    let db = raw(dir.path());
    db.execute_batch(
        "INSERT INTO message_words (rowid, content, facets) VALUES (7, 'quokkaword', '');
         INSERT INTO message_words (message_words, rowid, content, facets) VALUES ('delete', 7, 'quokkaword', '');
         UPDATE erasure SET pending = 1;",
    )
    .unwrap();
    drop(db);
    let there = || {
        let bytes = std::fs::read(dir.path().join("agent.db")).unwrap();
        bytes.windows(10).any(|part| part == b"quokkaword")
    };
    assert!(there());
    drop(open(dir.path()));
    assert!(!there());
    let pending: i64 =
        raw(dir.path()).query_row("SELECT pending FROM erasure", [], |row| row.get(0)).unwrap();
    assert_eq!(pending, 0);
}
