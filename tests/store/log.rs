//! The log cannot be changed unseen, and the views always follow from it.

use super::*;

#[test]
fn chains_go_on_where_they_were() {
    let mut home = Home::new();
    let first = home.append("s", &[created("b")]);
    home.append("other", &[created("b"), created("b")]);
    let mut home = home.reopen();
    let next = home.store.append(&"s".into(), &created("b")).unwrap();
    assert_eq!((next.seq, next.lamport, next.ticket), (2, 4, 1));
    home.wait(1);
    // Another process takes the session over, then it comes back.
    let (mut there, reports) = open(home.dir.path());
    home.store.forget(&"s".into());
    assert_eq!(there.append(&"s".into(), &created("b")).unwrap().seq, 3);
    reports.recv().unwrap().unwrap();
    assert_eq!(home.store.append(&"s".into(), &created("b")).unwrap().seq, 4);
    home.wait(2);
    assert_eq!(home.store.verify_all().unwrap(), []);
    let chain: Vec<String> = home
        .raw()
        .prepare("SELECT prev FROM log WHERE session = 's' ORDER BY seq")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(std::result::Result::unwrap)
        .collect();
    assert_eq!((chain[0].as_str(), chain[1].as_str(), chain.len()), ("", first[0].as_str(), 4));
}

#[test]
fn the_database_itself_keeps_the_log_append_only() {
    let mut home = Home::new();
    home.append("s", &[created("b"), sent("t", "q")]);
    let db = home.raw();
    for (statement, what) in [
        ("UPDATE log SET body = '{}'", "no event is ever changed"),
        ("UPDATE log SET position = 9 WHERE position = 1", "no event is ever changed"),
        ("UPDATE OR REPLACE log SET seq = 2 WHERE seq = 1", "no event is ever changed"),
        ("DELETE FROM log", "no event is ever deleted"),
        ("DELETE FROM log WHERE seq = 2", "no event is ever deleted"),
        (
            "REPLACE INTO log SELECT position, 'x', 'x', 1, '', 1, '', '', 1, 1, '', '' FROM log",
            "already taken",
        ),
        ("REPLACE INTO log SELECT NULL, id, 'x', 1, '', 1, '', '', 1, 1, '', '' FROM log", "already taken"),
        (
            "REPLACE INTO log SELECT NULL, 'x', session, seq, '', 1, '', '', 1, 1, '', '' FROM log",
            "already taken",
        ),
        ("INSERT INTO log SELECT NULL, id, 'x', 1, '', 1, '', '', 1, 1, '', '' FROM log", "already taken"),
        (
            "INSERT INTO log VALUES (NULL, 'x', 'x', 'one', '', 1, '', '', 1, 1, '', '')",
            "cannot store TEXT value",
        ),
        (
            "INSERT INTO client_messages SELECT author, client_id, '', '', '', '', 0 FROM client_messages",
            "UNIQUE constraint failed: client_messages.author, client_messages.client_id",
        ),
    ] {
        let error = db.execute(statement, []).unwrap_err().to_string();
        assert!(error.contains(what), "{statement}: {error}");
    }
    assert_eq!(home.store.verify_all().unwrap(), []);
}

#[test]
fn any_changed_byte_of_a_stored_event_is_found() {
    let mut home = Home::new();
    home.append("s", &[created("b"), sent("t", "q")]);
    let db = home.raw();
    db.execute_batch("PRAGMA synchronous = OFF; DROP TRIGGER log_no_update").unwrap();
    let texts = ["id", "session", "prev", "author", "type", "body", "signature"];
    let mut changes = 0;
    let mut check = |column: &str, old: &dyn rusqlite::ToSql, new: &dyn rusqlite::ToSql| {
        let statement = format!("UPDATE log SET {column} = ?1 WHERE position = 2");
        assert_eq!(db.execute(&statement, [new]).unwrap(), 1);
        // Under its new name a session has to be looked for.
        let findings = home.store.verify(&"s".into()).unwrap();
        let found = if column == "session" { findings.is_empty() } else { !findings.is_empty() };
        assert!(found, "{column}: {findings:?}");
        if column == "session" {
            assert!(!home.store.verify_all().unwrap().is_empty());
        }
        db.execute(&statement, [old]).unwrap();
        changes += 1;
    };
    for column in texts {
        let old: String = db
            .query_row(&format!("SELECT {column} FROM log WHERE position = 2"), [], |row| row.get(0))
            .unwrap();
        for at in 0..old.len() {
            let mut new = old.clone().into_bytes();
            new[at] ^= 1;
            check(column, &old, &String::from_utf8(new).unwrap());
        }
    }
    for column in ["seq", "lamport", "version", "time"] {
        let old: i64 = db
            .query_row(&format!("SELECT {column} FROM log WHERE position = 2"), [], |row| row.get(0))
            .unwrap();
        for bit in 0..64 {
            check(column, &old, &(old ^ (1 << bit)));
        }
    }
    assert!(changes > 600, "{changes}");
    assert_eq!(home.store.verify_all().unwrap(), []);
    // Text that is none is found, too, and so are a gap and a view that was tampered with.
    for (damage, repair) in [
        (
            "UPDATE log SET body = CAST(x'ff' || body AS TEXT) WHERE position = 1",
            "UPDATE log SET body = CAST(substr(CAST(body AS BLOB), 2) AS TEXT) WHERE position = 1",
        ),
        ("UPDATE log SET seq = 3 WHERE position = 2", "UPDATE log SET seq = 2 WHERE position = 2"),
        ("UPDATE chat_messages SET content = 'p'", "UPDATE chat_messages SET content = 'q'"),
        ("UPDATE turns SET reason = ''", "UPDATE turns SET reason = NULL"),
    ] {
        db.execute(damage, []).unwrap();
        assert!(!home.store.verify_all().unwrap().is_empty(), "{damage}");
        db.execute(repair, []).unwrap();
        assert_eq!(home.store.verify_all().unwrap(), [], "{repair}");
    }
}

#[test]
fn migrations_go_down_and_up_and_keep_the_log() {
    let mut home = Home::new();
    home.append("s", &[created("b"), sent("t", "q"), proposed("a", "t", shell("ls"))]);
    home.append("s", &[permitted("a", Decision::Allow), executed("a", Status::Done)]);
    let Home { store, dir, .. } = home;
    drop(store);
    let path = dir.path().join("agent.db");
    let mut db = raw(dir.path());
    let before = views(&db);
    assert!(before.len() > 8);
    let tables = |db: &Connection| -> Vec<String> {
        let mut query =
            db.prepare("SELECT name FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(std::result::Result::unwrap).collect()
    };
    let all_tables = tables(&db);
    for version in (1..LATEST).rev() {
        migrate(&mut db, &path, version).unwrap();
        assert_ne!(tables(&db), all_tables);
        migrate(&mut db, &path, LATEST).unwrap();
        assert_eq!(tables(&db), all_tables);
        assert_eq!(views(&db), before, "down to {version} and up");
    }
    let backup = dir.path().join(format!("agent.db.bak-{LATEST}"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&backup).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(views(&Connection::open(&backup).unwrap()), before);
    let names = |dir: &Path| -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    drop(db);
    assert_eq!(
        names(dir.path()),
        ["agent.db", "agent.db.bak-1", &format!("agent.db.bak-{LATEST}"), "key", "leases"]
    );
    let home = Home::in_dir(dir);
    assert_eq!(home.store.verify_all().unwrap(), []);
    let Home { store, dir, .. } = home;
    drop(store);

    let mut db = raw(dir.path());
    migrate(&mut db, &path, 0).unwrap();
    assert_eq!(tables(&db), [""; 0]);
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let error = Store::open(dir.path(), |_| ()).unwrap_err();
    assert!(error.what.contains("newer org-agent") && error.why.contains("99"), "{error}");
}

/// A database as the program of version 2 left it: its own views, with rows, and the same log.
#[test]
fn a_database_of_an_earlier_version_is_brought_along_with_a_backup() {
    let mut home = Home::new();
    home.append("s", &[created("b"), sent("t", "q"), proposed("a", "t", shell("ls"))]);
    home.append("s", &[permitted("a", Decision::Allow), executed("a", Status::Done)]);
    let wanted = views(&home.raw());
    let old = tempfile::tempdir().unwrap();
    let path = old.path().join("agent.db");
    let db = raw(old.path());
    db.execute_batch("PRAGMA journal_mode = wal").unwrap();
    db.execute_batch(include_str!("../../src/store/migrations/0001_log.up.sql")).unwrap();
    db.execute_batch(include_str!("../../src/store/migrations/0002_views.up.sql")).unwrap();
    db.execute("ATTACH ?1 AS new", [home.dir.path().join("agent.db").to_str().unwrap()]).unwrap();
    db.execute_batch(
        "INSERT INTO main.log SELECT * FROM new.log;
         INSERT INTO main.chat_sessions
             SELECT id, position, user, title, '{}', 'active', buffer, created_at, updated_at FROM new.chat_sessions;
         INSERT INTO main.turns SELECT id, position, place, session, message, level, state, reason, resumes, created_at, updated_at
             FROM new.turns;
         INSERT INTO main.chat_messages SELECT id, position, session, turn, place, role, kind, actuation, content, metadata,
             listed, created_at FROM new.chat_messages;
         INSERT INTO main.turn_events SELECT * FROM new.turn_events;
         PRAGMA main.user_version = 2;
         DETACH new",
    )
    .unwrap();
    drop(db);
    std::fs::copy(home.dir.path().join("key"), old.path().join("key")).unwrap();
    let home = Home::in_dir(old);
    assert_eq!(views(&home.raw()), wanted);
    assert_eq!(home.store.verify_all().unwrap(), []);
    // The copy is what was there.
    let backup = Connection::open(path.with_extension("db.bak-2")).unwrap();
    let count = |sql: &str| backup.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((count("SELECT count(*) FROM log"), count("PRAGMA user_version")), (5, 2));
    assert!(count("SELECT count(*) FROM chat_messages") > 1);
}

/// One step of a random history: the same few turns and actions come up in every order.
fn step() -> impl Strategy<Value = Record> {
    let turn = || (0..4_u8).prop_map(|n| format!("t{n}").as_str().into());
    let action = || (0..5_u8).prop_map(|n| format!("a{n}").as_str().into());
    let proposal = prop_oneof![
        "[a-z]{0,8}".prop_map(|text| insert(&text)),
        "[a-z]{0,8}".prop_map(|cmd| shell(&cmd)),
        Just(json!({"type": "request", "target": "skill", "payload": {"name": "n"}})),
        Just(json!({"type": "response", "payload": {"text": "r"}})),
        Just(json!({"type": "log", "payload": {"text": "l"}})),
        Just(json!("no action at all")),
    ];
    let decision = prop_oneof![Just(Decision::Allow), Just(Decision::Ask), Just(Decision::Deny)];
    let by = prop_oneof![Just(Decider::Policy), Just(Decider::User), Just(Decider::Client)];
    let status =
        prop_oneof![Just(Status::Done), Just(Status::Denied), Just(Status::Failed), Just(Status::Unknown)];
    let end = prop_oneof![Just(EndState::Done), Just(EndState::Failed), Just(EndState::Cancelled)];
    prop_oneof![
        Just(created("b")),
        // A client id is sent once only: no two messages have the same.
        (turn(), any::<u128>(), "\\PC{0,12}", 1..5_u32).prop_map(|(turn, id, text, level)| {
            Record::MessageSent {
                turn,
                client_id: id.to_string(),
                text,
                level,
                context: vec![Attachment {
                    kind: AttachmentKind::Note,
                    name: "n".into(),
                    text: "x".into(),
                    mode: None,
                }],
                location: None,
                mark: None,
            }
        }),
        turn().prop_map(|turn| Record::TurnStarted { turn }),
        (turn(), 1..3_u32).prop_map(|(turn, attempt)| Record::Prompted {
            turn,
            attempt,
            model: "m".into(),
            messages: Vec::new(),
            tokens: None,
            parameters: Value::Null,
            persona: None,
        }),
        (turn(), 1..3_u32, any::<bool>()).prop_map(|(turn, attempt, ok)| Record::Replied {
            turn,
            attempt,
            raw: "(".into(),
            original: None,
            thought: String::new(),
            verdict: if ok {
                Verdict::Accept
            } else {
                Verdict::Broken { message: "cut".into(), trouble: Some("cut".into()) }
            },
            usage: ok.then(Usage::default),
            cost: ok.then_some(Cost { micro_usd: 7 }),
            latency: Latency { begun_ms: None, first_ms: ok.then_some(1), total_ms: 2 },
        }),
        (action(), turn(), 0..3_u32, proposal, any::<bool>()).prop_map(
            |(actuation, turn, attempt, action, system)| {
                Record::ActionProposed {
                    actuation,
                    turn,
                    attempt,
                    action,
                    sexp: "(s)".into(),
                    system,
                    mark: None,
                }
            }
        ),
        (action(), decision, by, proptest::option::of("[a-z]{1,4}")).prop_map(
            |(actuation, decision, by, command)| {
                Record::ActionPermitted {
                    actuation,
                    decision,
                    rule: "r".into(),
                    by,
                    command,
                    approved: Default::default(),
                }
            }
        ),
        (action(), status, "[a-z]{0,4}").prop_map(|(actuation, status, stdout)| Record::ActionExecuted {
            actuation,
            outcome: Outcome { status, stdout, ..Outcome::default() },
        }),
        (turn(), end).prop_map(|(turn, state)| Record::TurnEnded { turn, state, reason: None }),
        (turn(), turn()).prop_map(|(turn, from)| Record::TurnResumed { turn, from, message: "m".into() }),
        (turn(), turn()).prop_map(|(turn, from)| Record::TurnRegenerated { turn, from, message: "m".into() }),
        turn().prop_map(|turn| Record::TurnChosen { turn }),
        (turn(), turn()).prop_map(|(turn, by)| Record::TurnSteered { turn, by }),
    ]
}

/// One step of what is done with a session as a whole, and of what is rare in a turn.
fn whole() -> impl Strategy<Value = Record> {
    let turn = (0..4_u8).prop_map(|number| format!("t{number}").as_str().into());
    let action = (0..5_u8).prop_map(|number| format!("a{number}").as_str().into());
    prop_oneof![
        "[a-z]{1,5}".prop_map(|title| Record::SessionRenamed { title }),
        any::<bool>().prop_map(|archived| Record::SessionArchived { archived }),
        any::<bool>().prop_map(|paused| Record::SessionPaused { paused }),
        Just(Record::SessionCompleted {}),
        (0..2_u8).prop_map(|name| Record::SessionCheckpointed { name: name.to_string() }),
        // Which event that is, is put in later.
        Just(Record::SessionRestored { checkpoint: "m".into() }),
        prop_oneof![
            Just(Record::MessageRead { message: "m".into() }),
            action.prop_map(|actuation| Record::MessageDelivered { actuation }),
        ],
        (turn.clone(), proptest::option::of("[a-z]{1,3}")).prop_map(|(turn, skill)| Record::Dispatched {
            turn,
            skill,
            triggered: Vec::new(),
            notes: Vec::new(),
        }),
        turn.prop_map(|turn| Record::TurnDropped { turn }),
        Just(Record::SessionContext { values: serde_json::Map::new() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn views_made_anew_are_the_live_ones(
        history in proptest::collection::vec((0..3_u8, proptest::collection::vec(prop_oneof![3 => step(), 1 => whole()], 1..4)), 1..60)
    ) {
        let mut home = Home::new();
        let mut last = 0;
        // The latest event of each session, and its latest checkpoint.
        let mut latest: std::collections::HashMap<(u8, bool), EventId> = Default::default();
        for (session, records) in &history {
            let mut records = records.clone();
            for record in &mut records {
                match record {
                    Record::SessionRestored { checkpoint: event } => {
                        latest.get(&(*session, true)).into_iter().for_each(|id| event.clone_from(id));
                    }
                    Record::MessageRead { message: event } => {
                        latest.get(&(*session, false)).into_iter().for_each(|id| event.clone_from(id));
                    }
                    _ => {}
                }
                // A message to answer again is known only once it was sent.
                if let Record::TurnResumed { from, message, .. } | Record::TurnRegenerated { from, message, .. } =
                    record
                    && let Some(found) = home.store.find_turn(from).unwrap()
                {
                    *message = found.message;
                }
            }
            let appended = home.store.append_all(&format!("s{session}").as_str().into(), &records).unwrap();
            for (event, record) in appended.iter().zip(&records) {
                let kept = matches!(record, Record::SessionCheckpointed { .. });
                latest.insert((*session, kept), event.event.clone());
            }
            last = appended[0].ticket;
        }
        home.wait(last);
        let live = views(&home.raw());
        prop_assert!(!live.is_empty());
        prop_assert_eq!(home.store.verify_all().unwrap(), []);
        for session in 0..3_u8 {
            let session = format!("s{session}").as_str().into();
            home.store.history(&session, &"t0".into(), 50).unwrap();
            home.store.pending_inserts(&session).unwrap();
            home.store.pending_shell(&session).unwrap();
        }
        home.store.unfinished_turns().unwrap();
        home.store.rebuild_views().unwrap();
        prop_assert_eq!(views(&home.raw()), live);
    }
}
