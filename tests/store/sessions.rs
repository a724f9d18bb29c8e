//! What is done with sessions: status, labels, checkpoints, copies, deletion, and what a check finds.

use org_agent::request::{Change, Search};
use org_agent::sessions;
use org_agent::store::Fork;
use org_agent::transcript;

use super::*;

/// A turn that says `question` and answers it.
pub(crate) fn turn(name: &str, question: &str, answer: &str) -> Vec<Record> {
    let act = format!("act-{name}");
    vec![
        sent(name, question),
        started(name),
        proposed(&act, name, insert(answer)),
        permitted(&act, Decision::Allow),
        executed(&act, Status::Done),
        ended(name, EndState::Done),
    ]
}

fn export(home: &Home, session: &str) -> String {
    transcript::write(&sessions::export(&home.store, &session.into()).unwrap())
}

pub(crate) fn contents(home: &Home, session: &str) -> Vec<String> {
    let list = home.store.messages(&session.into(), None, None).unwrap();
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["content"].as_str().unwrap().to_owned()).collect()
}

fn change(home: &mut Home, session: &str, change: &Change) {
    let records = sessions::changed(&home.store, &session.into(), change).unwrap();
    if !records.is_empty() {
        home.append(session, &records);
    }
}

fn fork(home: &mut Home, from: &str, fork: &Fork, to: &str) {
    let first = [created("b")];
    let appended = home.store.fork(&from.into(), fork, &to.into(), &first).unwrap();
    home.wait(appended.last().unwrap().ticket);
}

/// The views made anew are the live ones, and nothing is found.
#[track_caller]
pub(crate) fn sound(home: &Home) {
    let live = views(&home.raw());
    home.store.rebuild_views().unwrap();
    assert_eq!(views(&home.raw()), live);
    assert_eq!(home.store.verify_all().unwrap(), []);
}

#[test]
fn a_status_follows_from_what_happened() {
    let mut home = Home::new();
    let status = |home: &Home| home.store.session(&"s".into()).unwrap()["status"].clone();
    home.append("s", &[created("b")]);
    assert_eq!(status(&home), "active");
    home.append("s", &[sent("t", "q")]);
    assert_eq!(status(&home), "running");
    home.append("s", &[started("t"), ended("t", EndState::Failed)]);
    assert_eq!(status(&home), "failed");
    change(&mut home, "s", &Change::Complete);
    assert_eq!(status(&home), "completed");
    change(&mut home, "s", &Change::Pause(true));
    assert_eq!(status(&home), "paused");
    home.append("s", &[sent("u", "q")]);
    assert_eq!(status(&home), "paused");
    change(&mut home, "s", &Change::Pause(false));
    assert_eq!(status(&home), "running");
    home.append("s", &[ended("u", EndState::Cancelled)]);
    assert_eq!(status(&home), "active");
    change(&mut home, "s", &Change::Archive(true));
    assert_eq!(
        (status(&home), &home.store.session(&"s".into()).unwrap()["archived"]),
        (json!("active"), &json!(true))
    );
    assert_eq!(home.store.newest_active("b").unwrap(), []);
    let which = |status: &str| Sessions { status: Some(status.into()), ..Sessions::default() };
    let list = |status| ids(&home.store.sessions(&which(status), None, None).unwrap()).len();
    assert_eq!((list("active"), list("archived")), (0, 1));
    // Once more changes nothing.
    assert_eq!(sessions::changed(&home.store, &"s".into(), &Change::Archive(true)).unwrap(), []);
    sound(&home);
}

#[test]
fn labels_context_and_receipts_are_kept() {
    let mut home = Home::new();
    home.append("s", &[created("b")]);
    home.append("s", &turn("t", "See [[file:a.org]] and b.org", "Seen."));
    change(
        &mut home,
        "s",
        &Change::Label { group: Some(Some("work".into())), tags: Some(vec!["a".into(), "b".into()]) },
    );
    change(&mut home, "s", &Change::Label { group: None, tags: Some(vec!["b".into()]) });
    let values = json!({"k": [1, 2]}).as_object().unwrap().clone();
    change(&mut home, "s", &Change::Context { values, merge: false });
    let session = home.store.session(&"s".into()).unwrap();
    assert_eq!((&session["group"], &session["tags"]), (&json!("work"), &json!(["b"])));
    assert_eq!(session["context"]["values"], json!({"k": [1, 2]}));
    let names: Vec<_> =
        session["context"]["entities"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(json!(names), json!(["file:a.org", "b.org"]));
    for (which, count) in [
        (Sessions { group: Some("work".into()), ..Sessions::default() }, 1),
        (Sessions { tag: Some("b".into()), ..Sessions::default() }, 1),
        (Sessions { tag: Some("a".into()), ..Sessions::default() }, 0),
    ] {
        assert_eq!(ids(&home.store.sessions(&which, None, None).unwrap()).len(), count, "{which:?}");
    }
    assert_eq!(session["unread"], 1);
    home.append("s", &[Record::MessageDelivered { actuation: "act-t".into() }]);
    let last = home.store.last_messages(&"s".into(), Some(1), None).unwrap();
    assert!(last["items"][0]["deliveredAt"].is_i64(), "{last}");
    change(&mut home, "s", &Change::Read(last["items"][0]["id"].as_str().unwrap().into()));
    assert_eq!(home.store.session(&"s".into()).unwrap()["unread"], 0);
    for bad in ["", " \n", "two\nlines", &"x".repeat(201)] {
        let error = sessions::changed(&home.store, &"s".into(), &Change::Rename(bad.into())).unwrap_err();
        assert_eq!(error.code, Code::BadRequest);
    }
    sound(&home);
}

#[test]
fn a_value_that_is_wrong_already_stands_in_the_way_of_no_other() {
    let mut home = Home::new();
    home.append("s", &[created("b")]);
    let map = |value: Value| value.as_object().unwrap().clone();
    // As a newer program may have it.
    home.append("s", &[Record::SessionContext { values: map(json!({"orgAgent.sandbox": "newer", "a": 1})) }]);
    let values = |home: &Home| home.store.session(&"s".into()).unwrap()["context"]["values"].clone();
    let merge = |values: Value| Change::Context { values: map(values), merge: true };
    change(&mut home, "s", &merge(json!({"a": 2, "orgAgent.persona": null})));
    assert_eq!(values(&home), json!({"orgAgent.sandbox": "newer", "a": 2}));
    for bad in [
        merge(json!({"orgAgent.sandbox": "off"})),
        merge(json!({"orgAgent.persona": ""})),
        Change::Context { values: map(json!({"orgAgent.sandbox": null})), merge: false },
    ] {
        assert_eq!(sessions::changed(&home.store, &"s".into(), &bad).unwrap_err().code, Code::BadRequest);
    }
    change(&mut home, "s", &merge(json!({"orgAgent.sandbox": null})));
    assert_eq!(values(&home), json!({"a": 2}));
    sound(&home);
}

#[test]
fn a_session_goes_back_to_a_checkpoint_and_forward_again() {
    let mut home = Home::new();
    home.append("s", &[created("b")]);
    home.append("s", &turn("t", "one", "alpha"));
    change(&mut home, "s", &Change::Checkpoint("start".into()));
    home.append("s", &turn("u", "two", "beta"));
    let all = contents(&home, "s");
    change(&mut home, "s", &Change::Restore("start".into()));
    assert_eq!(contents(&home, "s"), ["one", "alpha"]);
    assert_eq!(home.store.session(&"s".into()).unwrap()["messages"], 2);
    let history = |home: &Home| home.store.history(&"s".into(), &"".into(), 50).unwrap().len();
    assert_eq!(history(&home), 2);
    let found = |home: &Home, text: &str| {
        let search = Search { text: text.into(), ..Search::default() };
        home.store.search(&search, None).unwrap()["items"].as_array().unwrap().len()
    };
    assert_eq!((found(&home, "alpha"), found(&home, "beta")), (1, 0));
    home.append("s", &turn("v", "three", "gamma"));
    assert_eq!(contents(&home, "s"), ["one", "alpha", "three", "gamma"]);
    change(&mut home, "s", &Change::Checkpoint("other".into()));
    change(&mut home, "s", &Change::Restore("before going back to start".into()));
    assert_eq!(contents(&home, "s"), all);
    assert_eq!((found(&home, "beta"), found(&home, "gamma"), history(&home)), (1, 0, 4));
    change(&mut home, "s", &Change::Restore("other".into()));
    assert_eq!(contents(&home, "s"), ["one", "alpha", "three", "gamma"]);
    let error = sessions::changed(&home.store, &"s".into(), &Change::Restore("none".into())).unwrap_err();
    assert!(error.hint.contains("start"), "{error}");
    sound(&home);
}

#[test]
fn a_copy_is_the_same_and_stands_alone() {
    let mut home = Home::new();
    home.append("s", &[created("b")]);
    home.append("s", &turn("t", "one", "alpha"));
    home.append("s", &turn("u", "two", "beta"));
    home.append("s", &[sent("w", "three"), started("w")]);
    // Nobody has reported yet that this is in the buffer.
    home.append(
        "s",
        &[
            sent("v", "four"),
            started("v"),
            proposed("act-v", "v", insert("delta")),
            permitted("act-v", Decision::Allow),
        ],
    );
    home.append("s", &[ended("v", EndState::Failed)]);
    let whole = export(&home, "s");
    fork(&mut home, "s", &Fork::default(), "f");
    // What is under way is not copied; what is, stands for the same in buffers.
    let copied = export(&home, "f").replace("OA_SESSION: f", "OA_SESSION: s");
    let under_way = whole.find("* USER\n:PROPERTIES:\n:OA_EVENT: ").map(|_| "three\n").unwrap();
    let at = whole.find(under_way).unwrap();
    let begin = whole[..at].rfind("* USER").unwrap();
    assert_eq!(copied, format!("{}{}", &whole[..begin], &whole[at + under_way.len()..]));
    assert_eq!(home.store.pending_inserts(&"s".into()).unwrap().len(), 1);
    assert_eq!(home.store.pending_inserts(&"f".into()).unwrap(), []);
    assert_eq!(home.store.session(&"f".into()).unwrap()["forkedFrom"], "s");
    let history = |home: &Home, id: &str| home.store.history(&id.into(), &"".into(), 50).unwrap();
    let mut without = history(&home, "s");
    without.remove(4);
    assert_eq!(history(&home, "f"), without);
    // At a message of the user: it waits for an answer.
    let list = home.store.messages(&"s".into(), None, None).unwrap();
    let second = list["items"][2]["id"].as_str().unwrap();
    fork(&mut home, "s", &Fork { at: Some(second.into()), ..Fork::default() }, "g");
    assert_eq!(contents(&home, "g"), ["one", "alpha", "two"]);
    let interrupted = home.store.interrupted_turns(&"g".into()).unwrap();
    assert_eq!((interrupted.len(), interrupted[0].text.as_str()), (1, "two"));
    // With other words, by what stands for them in the buffer.
    let edits = [("act-t".to_owned(), "* omega \"q\"".to_owned()), (second.to_owned(), "zwei".to_owned())];
    fork(&mut home, "s", &Fork { at: Some("act-u".into()), edits: edits.into() }, "h");
    assert_eq!(contents(&home, "h"), ["one", "* omega \"q\"", "zwei", "beta"]);
    let HistoryItem::Assistant { sexp } = &history(&home, "h")[1] else { panic!() };
    let mut reading = org_agent::sexp::recogniser::Recogniser::new("b");
    assert!(reading.feed(sexp.as_bytes()).is_ok() && reading.finish().is_ok(), "{sexp}");
    let unknown = Fork { at: None, edits: [("nobody".to_owned(), String::new())].into() };
    let error = home.store.fork(&"s".into(), &unknown, &"i".into(), &[]).unwrap_err();
    assert_eq!(error.code, Code::BadRequest);
    // A copy of a copy; and what it was made from goes.
    fork(&mut home, "h", &Fork::default(), "j");
    assert_eq!(export(&home, "j").replace("SESSION: j", "SESSION: h"), export(&home, "h"));
    let before = [export(&home, "f"), export(&home, "j")];
    for id in ["s", "h"] {
        let ticket = home.store.delete(&id.into(), "user").unwrap().ticket;
        home.wait(ticket);
    }
    assert_eq!([export(&home, "f"), export(&home, "j")], before);
    sound(&home);
}

#[test]
fn forks_replays_gaps_and_strangers_are_found() {
    let mut home = Home::new();
    home.append("s", &[created("b"), sent("t", "q"), started("t")]);
    home.append("r", &[created("b"), sent("u", "q")]);
    let other = Home::new();
    let mut other = other;
    // Another key signs soundly, but it is nobody's here.
    other.append("s", &[created("b"), sent("t", "q"), started("t"), ended("t", EndState::Done)]);
    other.append("x", &[created("b")]);
    let db = home.raw();
    db.execute_batch("DROP TRIGGER log_no_update; DROP TRIGGER log_no_delete; DROP TRIGGER log_no_replace")
        .unwrap();
    db.execute("ATTACH ?1 AS there", [other.dir.path().join("agent.db").to_str().unwrap()]).unwrap();
    let columns = "id, session, seq, prev, lamport, author, type, version, time, body, signature";
    let find = |home: &Home| {
        let findings = home.store.verify_all().unwrap();
        findings
            .iter()
            .map(|finding| format!("{}: {}", finding.place, finding.problem))
            .collect::<Vec<_>>()
            .join("\n")
    };
    for (damage, repair, problem) in [
        (
            format!("INSERT INTO log ({columns}) SELECT {columns} FROM there.log WHERE session = 'x'"),
            "DELETE FROM log WHERE session = 'x'",
            "its signer is not known",
        ),
        (
            // An end of another chain behind this one's.
            format!("INSERT INTO log ({columns}) SELECT {columns} FROM there.log WHERE session = 's' AND seq = 4"),
            "DELETE FROM log WHERE session = 's' AND seq = 4",
            "it does not name the event before it",
        ),
        (
            // Its own event once more, in another session.
            format!(
                "INSERT INTO log ({columns}) SELECT 'x', 'r', 3, prev, lamport, author, type, version, time, body, signature
                 FROM main.log WHERE session = 's' AND seq = 3"
            ),
            "DELETE FROM log WHERE id = 'x'",
            "its id is not the hash of its content",
        ),
        (
            // The same place twice.
            format!(
                "INSERT INTO log ({columns}) SELECT 'y', session, 4, prev, lamport, author, type, version, time, body, signature
                 FROM main.log WHERE session = 's' AND seq = 3"
            ),
            "DELETE FROM log WHERE id = 'y'",
            "the chain forks here",
        ),
        (
            "CREATE TEMP TABLE gone AS SELECT * FROM log WHERE session = 's' AND seq = 2; DELETE FROM log WHERE session = 's' AND seq = 2"
                .to_owned(),
            "INSERT INTO log SELECT * FROM temp.gone",
            "an event before it is missing",
        ),
        (
            "UPDATE blobs SET text = 'x' WHERE sha256 = (SELECT min(sha256) FROM blobs)".to_owned(),
            "",
            "",
        ),
    ] {
        if problem.is_empty() {
            continue;
        }
        db.execute_batch(&damage).unwrap();
        let found = find(&home);
        assert!(found.contains(problem), "{damage}\n{found}");
        db.execute_batch(repair).unwrap();
        assert_eq!(find(&home), "", "{repair}");
    }
    // A key that was ours before.
    db.execute_batch(&format!(
        "INSERT INTO log ({columns}) SELECT {columns} FROM there.log WHERE session = 'x'"
    ))
    .unwrap();
    std::fs::write(home.dir.path().join("authors"), format!("# an earlier key\n{}\n", other.store.author()))
        .unwrap();
    assert_eq!(home.store.verify(&"x".into()).unwrap(), []);
    // A text of a prompt that was touched, and one that is gone.
    let hash = home.store.blob("what was said");
    let prompt = Record::Prompted {
        turn: "t".into(),
        attempt: 1,
        model: "m".into(),
        messages: vec![MessageRef { role: "user".into(), sha256: hash }],
        tokens: None,
        parameters: Value::Null,
        persona: None,
    };
    home.append("s", &[prompt]);
    assert_eq!(home.store.verify(&"s".into()).unwrap(), []);
    db.execute("UPDATE blobs SET text = 'what was sa1d'", []).unwrap();
    assert!(find(&home).contains("is not what its hash says"));
    db.execute("DELETE FROM blobs", []).unwrap();
    assert!(home.store.verify(&"s".into()).unwrap()[0].problem.contains("is missing"));
}

#[test]
fn views_come_back_from_a_snapshot_and_what_was_logged_since() {
    let mut home = Home::new();
    home.append("s", &[created("b")]);
    home.append("s", &turn("t", "one", "alpha"));
    let file = home.dir.path().join("views.db");
    home.store.snapshot(&file).unwrap();
    assert_eq!(home.store.snapshot(&file).unwrap_err().code, Code::Conflict);
    home.append("s", &turn("u", "two", "beta"));
    home.append("r", &[created("b")]);
    let live = views(&home.raw());
    home.raw().execute_batch("DELETE FROM chat_actions; UPDATE chat_messages SET content = 'x'").unwrap();
    assert!(!home.store.verify_all().unwrap().is_empty());
    home.store.restore_views(&file).unwrap();
    assert_eq!(views(&home.raw()), live);
    sound(&home);
    // What was deleted since does not come back with it.
    let ticket = home.store.delete(&"s".into(), "user").unwrap().ticket;
    home.wait(ticket);
    home.store.restore_views(&file).unwrap();
    assert_eq!(home.store.session(&"s".into()).unwrap_err().code, Code::NotFound);
    sound(&home);
    // Another log's is refused, and so is what is none.
    let mut other = Home::new();
    other.append("s", &[created("b"), created("b")]);
    assert_eq!(other.store.restore_views(&file).unwrap_err().code, Code::BadRequest);
    std::fs::write(&file, "no database").unwrap();
    assert!(other.store.restore_views(&file).is_err());
    sound(&other);
}

#[test]
fn what_another_program_logged_is_folded_at_the_next_start() {
    let mut home = Home::new();
    home.append("s", &[created("b")]);
    home.append("s", &turn("t", "one", "alpha"));
    let live = views(&home.raw());
    // As if the views had stopped before.
    home.raw()
        .execute_batch(
            "INSERT INTO message_words (message_words) VALUES ('delete-all'); DELETE FROM turn_events; DELETE FROM client_messages; DELETE FROM chat_actions;
             DELETE FROM chat_messages; DELETE FROM turns; DELETE FROM session_contexts; UPDATE folded SET position = 1;
             UPDATE chat_sessions SET messages = 0, unread = 0, bytes = 0, ended = '', updated_at = created_at",
        )
        .unwrap();
    let bytes: i64 = home
        .raw()
        .query_row("SELECT length(body) FROM log WHERE position = 1", [], |row| row.get(0))
        .unwrap();
    home.raw().execute("UPDATE chat_sessions SET bytes = ?1", [bytes]).unwrap();
    let home = home.reopen();
    assert_eq!(views(&home.raw()), live);
    sound(&home);
}

#[test]
fn an_event_that_was_moved_in_the_file_is_found() {
    let mut home = Home::new();
    home.append("s", &[created("b"), sent("t", "one"), sent("u", "two")]);
    let db = home.raw();
    db.execute_batch(
        "DROP TRIGGER log_no_update; UPDATE log SET position = -1 WHERE position = 2;
         UPDATE log SET position = 2 WHERE position = 3; UPDATE log SET position = 3 WHERE position = -1",
    )
    .unwrap();
    let findings = home.store.verify(&"s".into()).unwrap();
    assert!(findings.iter().any(|finding| finding.problem.contains("stands before")), "{findings:?}");
}

#[test]
fn the_list_by_last_change_has_each_session_once_and_keeps_to_its_times() {
    let mut home = Home::new();
    for n in 0..7 {
        home.append(&format!("s{n}"), &[created("b")]);
    }
    // The first that was made is the last in which something happens.
    for n in [3, 0] {
        change(&mut home, &format!("s{n}"), &Change::Rename("again".into()));
    }
    change(&mut home, "s5", &Change::Archive(true));
    let list = |which: &Sessions, limit, cursor: Option<&str>| home.store.sessions(which, limit, cursor);
    let recent = Sessions { recent: true, ..Sessions::default() };
    let all = list(&recent, None, None).unwrap();
    assert_eq!(ids(&all), ["s5", "s0", "s3", "s6", "s4", "s2", "s1"]);
    // Page by page the same, and the same without what was put away.
    for (which, expected) in [
        (recent.clone(), vec!["s5", "s0", "s3", "s6", "s4", "s2", "s1"]),
        (Sessions { archived: Some(false), ..recent.clone() }, vec!["s0", "s3", "s6", "s4", "s2", "s1"]),
    ] {
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = list(&which, Some(2), cursor.as_deref()).unwrap();
            assert!(ids(&page).len() <= 2);
            found.extend(ids(&page).iter().map(ToString::to_string));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        assert_eq!(found, expected);
    }
    let time = |n: usize| all["items"][n]["updatedAt"].as_u64().unwrap();
    let times = Sessions { since: Some(time(3)), until: Some(time(1)), ..recent.clone() };
    assert_eq!(ids(&list(&times, None, None).unwrap()), ["s3", "s6"]);
    assert_eq!(ids(&list(&Sessions { recent: false, ..times }, None, None).unwrap()), ["s6", "s3"]);
    for (title, expected) in [
        ("AGAIN", vec!["s0", "s3"]),
        ("gai ag", vec!["s0", "s3"]),
        ("again no", vec![]),
        ("a%n", vec![]),
        ("a a a a a a a again 9", vec!["s0", "s3"]),
    ] {
        let titled = Sessions { title: Some(title.into()), ..recent.clone() };
        assert_eq!(ids(&list(&titled, None, None).unwrap()), expected, "{title}");
    }
    let never = Sessions { since: Some(u64::MAX), ..recent.clone() };
    assert_eq!(ids(&list(&never, None, None).unwrap()), [""; 0]);
    // A cursor of one way is none of the other.
    for (which, cursors) in [
        (&recent, &["s1", "u", "u1", "u.", "u1.", "u.1", "u1.2.3", "u-1.2", "u1.+2", "1.2", ""][..]),
        (&Sessions::default(), &["u1.2", "s1.2"]),
    ] {
        for cursor in cursors {
            assert_eq!(list(which, None, Some(cursor)).unwrap_err().code, Code::BadRequest, "{cursor}");
        }
    }
    sound(&home);
}
