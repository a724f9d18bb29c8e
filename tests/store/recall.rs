//! What the store tells back: messages, actions, history, duplicates, lists.

use org_agent::skill::Origin;

use super::*;

#[test]
fn a_turn_is_told_back() {
    let mut home = Home::new();
    let note =
        Attachment { kind: AttachmentKind::File, name: "a.org".into(), text: "data".into(), mode: None };
    let system = home.store.blob("be brief");
    let question = home.store.blob("hello");
    let usage = Usage { prompt_tokens: 7, completion_tokens: 3, ..Usage::default() };
    let latency = Latency { begun_ms: None, first_ms: Some(5), total_ms: 9 };
    let events = home.append(
        "s",
        &[
            created("b"),
            Record::MessageSent {
                turn: "t".into(),
                client_id: "c".into(),
                text: "hello".into(),
                level: 2,
                context: vec![note.clone()],
                location: None,
                mark: None,
            },
            started("t"),
            Record::Prompted {
                turn: "t".into(),
                attempt: 1,
                model: "m".into(),
                messages: vec![
                    MessageRef { role: "system".into(), sha256: system },
                    MessageRef { role: "user".into(), sha256: question },
                ],
                tokens: None,
                parameters: Value::Null,
                persona: None,
            },
            Record::Replied {
                turn: "t".into(),
                attempt: 1,
                raw: "(a)".into(),
                original: None,
                thought: String::new(),
                cost: None,
                verdict: Verdict::Accept,
                usage: Some(usage),
                latency,
            },
            proposed("a", "t", shell("ls")),
            permitted("a", Decision::Ask),
        ],
    );
    assert_eq!(home.store.pending_shell(&"s".into()).unwrap()[0].command.as_deref(), Some("ls"));
    let decided = Record::ActionPermitted {
        actuation: "a".into(),
        decision: Decision::Allow,
        rule: "the user said so".into(),
        by: Decider::User,
        command: Some("ls -l".into()),
        approved: org_agent::record::Approved::default(),
    };
    home.append("s", &[decided]);
    let result = home.append("s", &[executed("a", Status::Done)]).remove(0);
    home.append(
        "s",
        &[
            proposed("b", "t", insert("all is well")),
            permitted("b", Decision::Allow),
            executed("b", Status::Done),
            ended("t", EndState::Done),
        ],
    );
    let store = &home.store;

    let messages = store.messages(&"s".into(), None, None).unwrap();
    let brief: Vec<_> =
        messages["items"].as_array().unwrap().iter().map(|m| (&m["role"], &m["content"])).collect();
    assert_eq!(
        json!(brief),
        json!([["user", "hello"], ["assistant", "ls"], ["system", "out"], ["assistant", "all is well"]])
    );
    assert_eq!(
        messages["items"][0]["metadata"],
        json!({"kind": "user", "turn": "t", "clientId": "c", "level": 2,
               "context": [{"kind": "file", "name": "a.org"}]})
    );
    let tokens = json!({"prompt": 7, "completion": 3, "cached": null, "reasoning": null, "estimated": false});
    assert_eq!(
        messages["items"][1]["metadata"],
        json!({"kind": "action", "turn": "t", "attempt": 1, "actuation": "a", "module": "shell", "action": "run",
               "model": "m", "tokens": tokens, "cost": null, "latency": {"begunMs": null, "firstMs": 5, "totalMs": 9},
               "turnTokens": tokens, "turnCost": null})
    );
    assert_eq!(messages["items"][2]["id"], result.as_str());
    assert_eq!(messages["items"][2]["metadata"]["kind"], "command-result");
    assert_eq!(messages["nextCursor"], Value::Null);

    let actions = store.actions(&"s".into(), None, None).unwrap();
    let first = &actions["items"][0];
    assert_eq!(
        *first,
        json!({"id": "a", "messageId": events[5], "module": "shell", "action": "run", "input": {"cmd": "ls -l"},
               "output": {"status": "done", "exitCode": 0, "stdout": "out", "truncated": false},
               "status": "done", "executedAt": 1009, "decision": "allow", "rule": "the user said so",
               "createdAt": 1006})
    );

    let other = "another turn".into();
    assert_eq!(
        store.history(&"s".into(), &other, 50).unwrap(),
        [
            HistoryItem::User { text: "hello".into(), context: vec![note.clone()] },
            HistoryItem::Assistant { sexp: "(a)".into() },
            HistoryItem::CommandResult {
                command: "ls -l".into(),
                outcome: Outcome { exit_code: Some(0), stdout: "out".into(), ..Outcome::default() }
            },
            HistoryItem::Assistant { sexp: "(b)".into() },
        ]
    );
    assert_eq!(store.history(&"s".into(), &"t".into(), 50).unwrap(), []);
    assert_eq!(
        store.history(&"s".into(), &other, 1).unwrap(),
        [HistoryItem::Assistant { sexp: "(b)".into() }]
    );

    let session = store.session(&"s".into()).unwrap();
    assert_eq!(
        session,
        json!({"id": "s", "title": "A title", "status": "active", "archived": false, "buffer": "b", "group": null,
               "tags": [], "messages": 4, "unread": 3, "forkedFrom": null, "imported": null, "model": null,
               "tokens": tokens, "cost": null, "createdAt": 1001, "updatedAt": 1013, "user": "User",
               "context": {"entities": [{"kind": "file", "name": "a.org", "turn": "t", "times": 1}],
                           "intents": [{"turn": "t", "text": "hello"}], "values": {}}})
    );
    let turn = store.find_turn(&"t".into()).unwrap().unwrap();
    assert_eq!((turn.state.as_str(), turn.level, &turn.message), ("done", 2, &events[1]));
    assert_eq!(store.find_turn(&"no".into()).unwrap(), None);
    let found = store.find_actuation(&"a".into()).unwrap().unwrap();
    assert_eq!((found.status.as_str(), found.action), ("done", shell("ls")));
    assert_eq!(store.find_actuation(&"no".into()).unwrap(), None);

    let why = store.why_turn(&"t".into()).unwrap();
    let kinds: Vec<_> =
        why["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "chat.message.sent",
            "turn.started",
            "turn.prompted",
            "turn.replied",
            "chat.action.proposed",
            "chat.action.permitted",
            "chat.action.permitted",
            "chat.action.executed",
            "chat.action.proposed",
            "chat.action.permitted",
            "chat.action.executed",
            "turn.ended"
        ]
    );
    assert_eq!(why["events"][2]["messages"][0]["text"], "be brief");
    assert_eq!(why["events"][3]["latency"], json!({"firstMs": 5, "totalMs": 9}));
    assert_eq!(why["events"][7]["outcome"]["exitCode"], 0);
    let why = store.why_actuation(&"a".into()).unwrap();
    assert_eq!(why["actuationId"], "a");
    assert_eq!(why["events"].as_array().unwrap().len(), 9);
    for error in [
        store.why_turn(&"no".into()).unwrap_err(),
        store.why_actuation(&"no".into()).unwrap_err(),
        store.session(&"no".into()).unwrap_err(),
        store.messages(&"no".into(), None, None).unwrap_err(),
        store.actions(&"no".into(), None, None).unwrap_err(),
    ] {
        assert_eq!(error.code, Code::NotFound, "{error}");
    }
    assert_eq!(store.verify_all().unwrap(), []);
}

#[test]
fn only_what_was_permitted_is_listed_and_replayed() {
    let mut home = Home::new();
    let system = Record::ActionProposed {
        actuation: "e".into(),
        turn: "t".into(),
        attempt: 0,
        action: insert("*System Error:*"),
        sexp: "(e)".into(),
        system: true,
        mark: None,
    };
    home.append("s", &[created("b"), sent("t", "q"), proposed("p", "t", insert("only proposed"))]);
    home.append("s", &[proposed("d", "t", insert("denied")), permitted("d", Decision::Deny)]);
    home.append("s", &[proposed("c", "t", shell("rm x")), permitted("c", Decision::Deny)]);
    home.append("s", &[executed("c", Status::Denied), system, permitted("e", Decision::Allow)]);
    let messages = home.store.messages(&"s".into(), None, None).unwrap();
    let kinds: Vec<_> = messages["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["user", "action", "command-result", "system-error"]);
    let history = home.store.history(&"s".into(), &"later".into(), 50).unwrap();
    assert_eq!(history.len(), 3);
    assert_eq!(history[1], HistoryItem::Assistant { sexp: "(c)".into() });
    assert!(matches!(&history[2], HistoryItem::CommandResult { command, outcome }
        if command == "rm x" && outcome.status == Status::Denied));
    let pending = home.store.pending_inserts(&"s".into()).unwrap();
    let pending: Vec<_> = pending.iter().map(|p| (p.actuation.as_str(), p.system, p.sexp.as_str())).collect();
    assert_eq!(pending, [("e", true, "(e)")]);
    assert!(home.store.pending_shell(&"s".into()).unwrap().is_empty());
}

#[test]
fn history_stands_turn_by_turn() {
    let mut home = Home::new();
    // Two questions are asked before the first is answered; the second turn is interrupted and resumed.
    home.append("s", &[created("b"), sent("t1", "q1"), sent("t2", "q2"), sent("t3", "q3"), started("t1")]);
    home.append(
        "s",
        &[proposed("a1", "t1", insert("r1")), permitted("a1", Decision::Allow), ended("t1", EndState::Done)],
    );
    let question = home.store.find_turn(&"t2".into()).unwrap().unwrap().message;
    home.append("s", &[started("t2"), proposed("a2", "t2", shell("ls")), permitted("a2", Decision::Allow)]);
    home.append("s", &[executed("a2", Status::Unknown), ended("t2", EndState::Failed), started("t3")]);
    home.append(
        "s",
        &[proposed("a3", "t3", insert("r3")), permitted("a3", Decision::Allow), ended("t3", EndState::Done)],
    );
    home.append(
        "s",
        &[Record::TurnResumed { turn: "t4".into(), from: "t2".into(), message: question.clone() }],
    );
    home.append("s", &[sent("t5", "q5")]);
    let said = |turn: &str| -> Vec<String> {
        let items = home.store.history(&"s".into(), &turn.into(), 50).unwrap();
        items
            .into_iter()
            .map(|item| match item {
                HistoryItem::Skill { name, .. } => format!("skill {name}"),
                HistoryItem::User { text, .. } => text,
                HistoryItem::Assistant { sexp } => sexp,
                HistoryItem::CommandResult { command, .. } => format!("${command}"),
                HistoryItem::NoSkill { name, .. } | HistoryItem::SkillAgain { name } => {
                    format!("asked for {name}")
                }
            })
            .collect()
    };
    for (turn, expected) in [
        ("t1", vec![]),
        ("t2", vec!["q1", "(a1)"]),
        ("t3", vec!["q1", "(a1)", "q2", "(a2)", "$ls"]),
        ("t4", vec!["q1", "(a1)", "q2", "(a2)", "$ls"]),
        ("t5", vec!["q1", "(a1)", "q2", "(a2)", "$ls", "q3", "(a3)"]),
        ("not on disk yet", vec!["q1", "(a1)", "q2", "(a2)", "$ls", "q3", "(a3)", "q5"]),
    ] {
        assert_eq!(said(turn), expected, "{turn}");
    }
    let unfinished = home.store.unfinished_turns().unwrap();
    let unfinished: Vec<_> = unfinished
        .iter()
        .map(|turn| {
            (
                turn.turn.as_str(),
                turn.text.as_str(),
                turn.client_id.as_str(),
                turn.started,
                turn.buffer.as_str(),
            )
        })
        .collect();
    assert_eq!(unfinished, [("t4", "q2", "client-t2", false, "b"), ("t5", "q5", "client-t5", false, "b")]);
    let why = home.store.why_turn(&"t4".into()).unwrap();
    assert_eq!((&why["events"][0]["eventId"], &why["resumes"]), (&json!(question), &json!("t2")));
}

#[test]
fn a_message_sent_again_is_found_before_and_after_it_is_on_disk() {
    let mut home = Home::new();
    let author = home.store.author().to_owned();
    let lock = home.raw();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let records = [created("b"), sent("t", "hello")];
    let appended = home.store.append_all(&"s".into(), &records).unwrap();
    let check = |home: &Home| {
        let found = home.store.client_message(&author, "client-t").unwrap().unwrap();
        assert_eq!(found.event, appended[1].event);
        assert_eq!((found.lamport, found.turn.as_str(), found.session.as_str()), (2, "t", "s"));
        assert_eq!(found.body_hash, body_hash("hello", &[]));
        assert_ne!(found.body_hash, body_hash("hello!", &[]));
        assert_eq!(home.store.client_message(&author, "other").unwrap(), None);
        assert_eq!(home.store.client_message("someone else", "client-t").unwrap(), None);
        assert_eq!(home.store.newest_active("b").unwrap(), ["s".into()]);
        assert_eq!(home.store.newest_active("c").unwrap(), []);
    };
    check(&home);
    assert_eq!(home.store.committed(), 0);
    lock.execute_batch("COMMIT").unwrap();
    home.wait(1);
    check(&home);
    let home = home.reopen();
    assert_eq!(home.store.author(), author);
    check(&home);
}

#[test]
fn lists_come_whole_and_in_order_page_by_page() {
    let mut home = Home::new();
    for number in 0..23 {
        home.append(&format!("s{number}"), &[created(if number % 2 == 0 { "even" } else { "odd" })]);
    }
    let walk =
        |home: &mut Home, buffer: Option<&str>, limit: u32, between: &dyn Fn(&mut Home)| -> Vec<String> {
            let (mut all, mut cursor): (Vec<String>, Option<String>) = (Vec::new(), None);
            let which = Sessions {
                status: Some("active".into()),
                buffer: buffer.map(str::to_owned),
                ..Sessions::default()
            };
            loop {
                let page = home.store.sessions(&which, Some(limit), cursor.as_deref()).unwrap();
                assert!(ids(&page).len() <= limit as usize);
                all.extend(ids(&page).into_iter().map(str::to_owned));
                match page["nextCursor"].as_str() {
                    Some(next) => cursor = Some(next.to_owned()),
                    None => return all,
                }
                between(home);
            }
        };
    let newest_first: Vec<String> = (0..23).rev().map(|number| format!("s{number}")).collect();
    for limit in [1, 2, 22, 23, 24, 500] {
        assert_eq!(walk(&mut home, None, limit, &|_| ()), newest_first, "{limit}");
    }
    let odd: Vec<String> = (0..23).rev().filter(|n| n % 2 == 1).map(|n| format!("s{n}")).collect();
    assert_eq!(walk(&mut home, Some("odd"), 3, &|_| ()), odd);
    assert_eq!(walk(&mut home, Some("neither"), 3, &|_| ()), [""; 0]);
    // What is made or changed meanwhile moves nothing.
    let stable = walk(&mut home, None, 5, &|home| {
        home.append("s3", &[created("odd")]);
        let new = SessionId::random().unwrap();
        home.append(new.as_str(), &[created("even")]);
    });
    assert_eq!(stable, newest_first);

    let turns: Vec<Record> = (0..120).map(|n| sent(&format!("t{n}"), &format!("q{n}"))).collect();
    home.append("m", &turns);
    let first = home.store.messages(&"m".into(), None, None).unwrap();
    assert_eq!(ids(&first).len(), 50);
    let second = home.store.messages(&"m".into(), Some(500), first["nextCursor"].as_str()).unwrap();
    assert_eq!((ids(&second).len(), &second["nextCursor"]), (70, &Value::Null));
    assert_eq!(first["items"][49]["content"], "q49");
    assert_eq!(second["items"][0]["content"], "q50");
    // Zero is raised to one, and no page is larger than 500.
    assert_eq!(ids(&home.store.messages(&"m".into(), Some(0), None).unwrap()).len(), 1);
    let more: Vec<Record> = (120..620).map(|n| sent(&format!("t{n}"), "q")).collect();
    home.append("m", &more);
    assert_eq!(ids(&home.store.messages(&"m".into(), Some(u32::MAX), None).unwrap()).len(), 500);
    // Large texts end a page early.
    let large: Vec<Record> = (0..6).map(|n| sent(&format!("l{n}"), &"x".repeat(1 << 20))).collect();
    home.append("large", &large);
    let page = home.store.messages(&"large".into(), None, None).unwrap();
    assert_eq!(ids(&page).len(), 4);
    let rest = home.store.messages(&"large".into(), None, page["nextCursor"].as_str()).unwrap();
    assert_eq!((ids(&rest).len(), &rest["nextCursor"]), (2, &Value::Null));

    let cursor = first["nextCursor"].as_str().unwrap();
    for garbage in ["", "x", "m", "m-1", "m+1", "m1 ", " m1", "mg", "m11111111111111111", "ä", "s1", "a1"] {
        let error = home.store.messages(&"m".into(), None, Some(garbage)).unwrap_err();
        assert_eq!(error.code, Code::BadRequest, "{garbage:?}");
    }
    assert_eq!(
        home.store.sessions(&Sessions::default(), None, Some(cursor)).unwrap_err().code,
        Code::BadRequest
    );
    assert_eq!(home.store.actions(&"m".into(), None, Some(cursor)).unwrap_err().code, Code::BadRequest);
}

/// A skill that is asked for, by a model in call 1 or by the user in call 0, and what came of it.
fn loading(actuation: &str, turn: &str, attempt: u32, name: &str, outcome: Outcome) -> Vec<Record> {
    vec![
        Record::ActionProposed {
            actuation: actuation.into(),
            turn: turn.into(),
            attempt,
            action: json!({"type": "request", "target": "skill", "payload": {"name": name}}),
            sexp: format!("({actuation})"),
            system: false,
            mark: None,
        },
        permitted(actuation, Decision::Allow),
        Record::ActionExecuted { actuation: actuation.into(), outcome },
    ]
}

#[test]
fn loaded_skills_are_recalled_however_much_was_said_since() {
    let mut home = Home::new();
    let text = |text: &str| Outcome { stdout: text.into(), ..Outcome::default() };
    let remark = Outcome { message: Some("it stands there already".into()), ..Outcome::default() };
    let why = "there is no skill named \"gone\"".to_owned();
    let failed = Outcome { status: Status::Failed, message: Some(why.clone()), ..Outcome::default() };
    let project = Outcome { origin: Some("project".into()), ..text("P") };
    home.append("s", &[created("b"), sent("t1", "q1"), started("t1")]);
    home.append("s", &loading("a1", "t1", 0, "Pdf", text("old")));
    home.append("s", &loading("a2", "t1", 1, "pdf/Ref.md", text("file")));
    home.append("s", &loading("a3", "t1", 2, "pdf", remark));
    home.append("s", &loading("a4", "t1", 3, "gone", failed));
    home.append("s", &[ended("t1", EndState::Done), sent("t2", "q2"), started("t2")]);
    home.append("s", &loading("a5", "t2", 0, "pdf", text("new")));
    home.append("s", &loading("a6", "t2", 1, "team", project));
    home.append("s", &[ended("t2", EndState::Done)]);
    let said = |text: &str| HistoryItem::User { text: text.into(), context: Vec::new() };
    let asked = |sexp: &str| HistoryItem::Assistant { sexp: sexp.into() };
    let skill =
        |name: &str, text: &str, origin| HistoryItem::Skill { name: name.into(), text: text.into(), origin };
    let all = home.store.history(&"s".into(), &"".into(), 50).unwrap();
    assert_eq!(
        all,
        [
            said("q1"),
            skill("pdf", "old", Origin::User),
            asked("(a2)"),
            skill("pdf/Ref.md", "file", Origin::User),
            asked("(a3)"),
            HistoryItem::SkillAgain { name: "pdf".into() },
            asked("(a4)"),
            HistoryItem::NoSkill { name: "gone".into(), why },
            said("q2"),
            skill("pdf", "new", Origin::User),
            asked("(a6)"),
            skill("team", "P", Origin::Project),
        ]
    );
    let mut records = Vec::new();
    for n in 3..30 {
        let turn = format!("t{n}");
        records.extend([sent(&turn, "q"), started(&turn), proposed(&format!("i{n}"), &turn, insert("r"))]);
        records.extend([permitted(&format!("i{n}"), Decision::Allow), ended(&turn, EndState::Done)]);
    }
    home.append("s", &records);
    let last = home.store.history(&"s".into(), &"".into(), 10).unwrap();
    assert_eq!(last[..2], [skill("pdf", "new", Origin::User), skill("team", "P", Origin::Project)]);
    assert_eq!(last.len(), 12);
    // Before a turn, what it loaded itself is not there yet.
    let before = home.store.history(&"s".into(), &"t2".into(), 2).unwrap();
    assert_eq!(before[0], skill("pdf", "old", Origin::User));
    assert_eq!(home.store.verify_all().unwrap(), []);
}

#[test]
fn a_turn_that_was_cut_off_can_run_again_unless_what_ends_it_was_permitted() {
    let mut home = Home::new();
    let note = json!({"type": "log", "payload": {"text": "n"}});
    home.append("s", &[created("b")]);
    for (turn, action, decision) in [
        ("t", None, None),
        ("u", Some(insert("x")), None),
        ("v", Some(insert("x")), Some(Decision::Allow)),
        ("w", Some(note.clone()), None),
        ("x", Some(note), Some(Decision::Allow)),
        // What it did is known; it has not answered.
        ("y", Some(shell("ls")), Some(Decision::Allow)),
    ] {
        let mut records = vec![sent(turn, turn), started(turn)];
        records.extend(action.map(|action| proposed(&format!("a-{turn}"), turn, action)));
        records.extend(decision.map(|decision| permitted(&format!("a-{turn}"), decision)));
        let reason = Some("interrupted".to_owned());
        records.push(Record::TurnEnded { turn: turn.into(), state: EndState::Failed, reason });
        home.append("s", &records);
    }
    let found = home.store.interrupted_turns(&"s".into()).unwrap();
    let found: Vec<&str> = found.iter().map(|turn| turn.turn.as_str()).collect();
    assert_eq!(found, ["t", "u", "w", "y"]);
}
