//! Parameters as no client should send them: each is refused by its field, changes nothing, and the server goes on.

use serde_json::{Value, json};

use crate::*;

/// All methods of sessions, with parameters that would do.
fn methods() -> Vec<(&'static str, Value)> {
    vec![
        ("list", json!({})),
        ("get", json!({})),
        ("messages", json!({})),
        ("actions", json!({})),
        ("checkpoints", json!({})),
        ("rename", json!({"title": "t"})),
        ("archive", json!({})),
        ("label", json!({"tags": []})),
        ("pause", json!({"paused": false})),
        ("complete", json!({})),
        ("context", json!({"values": {}})),
        ("checkpoint", json!({"name": "c"})),
        ("restore", json!({"name": "c"})),
        ("read", json!({"messageId": "m"})),
        ("delete", json!({})),
        ("fork", json!({})),
        ("export", json!({})),
        ("resume", json!({})),
    ]
}

#[test]
fn what_is_not_there_is_not_found_and_what_is_no_identifier_is_refused() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: one").session;
    for (method, more) in methods().into_iter().filter(|(method, _)| *method != "list") {
        for unknown in
            ["nobody", "3f999995-d4be-4872-bceb-59c9a76b8a86", "' OR 1=1", "../../x", "日本", "\u{1}\n"]
        {
            assert_eq!(
                refused(&mut client, method, &with(unknown, &more)),
                "not_found",
                "{method} {unknown:?}"
            );
        }
        for wrong in [
            json!(""),
            json!("x".repeat(257)),
            json!("a\0b"),
            json!(7),
            Value::Null,
            json!([id]),
            json!({"a": id}),
        ] {
            let mut params = more.clone();
            params["sessionId"] = wrong;
            assert_eq!(refused(&mut client, method, &params), "bad_request", "{method} {params}");
        }
        assert_eq!(refused(&mut client, method, &more), "bad_request", "{method} without a session");
    }
    for (method, _) in methods() {
        for params in [json!([id]), json!([[]])] {
            assert_eq!(refused(&mut client, method, &params), "bad_request", "{method} {params}");
        }
    }
    for (method, params) in [
        ("restore", json!({"name": "no such"})),
        ("read", json!({"messageId": "no such"})),
        ("fork", json!({"messageId": "no such"})),
    ] {
        assert_eq!(refused(&mut client, method, &with(&id, &params)), "not_found", "{method}");
    }
    assert_eq!(list(&mut client, &json!({}), "id"), [id]);
    client.finish();
    sound(home.path());
}

#[test]
fn values_out_of_bounds_are_refused_by_their_field() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: one").session;
    let before = get(&mut client, &id);
    let lines = ["", " \t ", "a\nb", "a\u{7}", "a\u{85}b", "a\u{7f}", "a\u{1b}[31m"];
    let mut wrong: Vec<(&str, &str, Value)> = Vec::new();
    for line in lines.map(str::to_owned).into_iter().chain(["x".repeat(201), "日".repeat(201)]) {
        wrong.push(("rename", "title", json!({"title": line})));
        wrong.push(("create", "title", json!({"title": line})));
    }
    for line in lines.map(str::to_owned).into_iter().chain(["日".repeat(101)]) {
        wrong.push(("checkpoint", "name", json!({"name": line})));
        wrong.push(("label", "group", json!({"group": line})));
        wrong.push(("create", "group", json!({"group": line})));
    }
    let many: Vec<String> = (0..33).map(|number| format!("t{number}")).collect();
    for tags in [
        json!(["a b"]),
        json!([""]),
        json!(["a\n"]),
        json!(["a:b"]),
        json!(["a-b"]),
        json!(["x".repeat(101)]),
        json!(many),
    ] {
        wrong.push(("label", "tags", json!({"tags": tags})));
        wrong.push(("create", "tags", json!({"tags": tags})));
    }
    for tags in [json!("a"), json!([1]), json!({"a": "b"}), json!([["a"]]), json!([null])] {
        wrong.push(("label", "tags", json!({"tags": tags})));
    }
    for buffer in [json!(""), json!("x".repeat(1025)), json!("a\0b"), json!(1)] {
        wrong.push(("create", "buffer", json!({"buffer": buffer})));
        wrong.push(("fork", "buffer", json!({"buffer": buffer})));
        wrong.push(("import", "buffer", json!({"org": "* USER\nx\n", "buffer": buffer})));
    }
    for values in [json!({"a": "x".repeat(65_536)}), json!([1]), json!("a"), json!(1), Value::Null] {
        wrong.push(("context", "values", json!({"values": values})));
    }
    for flag in [json!("true"), json!(1), json!([]), json!({})] {
        wrong.push(("archive", "archived", json!({"archived": flag})));
        wrong.push(("pause", "paused", json!({"paused": flag})));
        wrong.push(("list", "archived", json!({"archived": flag})));
        wrong.push(("list", "recent", json!({"recent": flag})));
        wrong.push(("messages", "last", json!({"last": flag})));
    }
    wrong.extend([
        ("list", "status", json!({"status": "Active"})),
        ("list", "status", json!({"status": ""})),
        ("list", "title", json!({"title": 1})),
        ("list", "since", json!({"since": -1})),
        ("list", "until", json!({"until": "tomorrow"})),
        ("list", "limit", json!({"limit": -1})),
        ("list", "limit", json!({"limit": 1.5})),
        ("list", "limit", json!({"limit": 4_294_967_296_u64})),
        ("search", "query", json!({"query": "x".repeat(1025)})),
        ("search", "query", json!({"query": ["x"]})),
        ("search", "query", json!({})),
        ("search", "since", json!({"query": "x", "since": -1})),
        ("search", "until", json!({"query": "x", "until": "tomorrow"})),
        ("fork", "messageId", json!({"messageId": ""})),
        ("fork", "messageId", json!({"messageId": 1})),
        ("fork", "edits", json!({"edits": ["x"]})),
        ("fork", "edits.a", json!({"edits": {"a": 1}})),
        ("fork", "edits.a", json!({"edits": {"a": "x\0"}})),
        ("fork", "edits.a", json!({"edits": {"a": "x".repeat((1 << 20) + 1)}})),
        ("fork", "title", json!({"title": "a\nb"})),
        ("read", "messageId", json!({"messageId": 1})),
        ("import", "org", json!({"org": ""})),
        ("import", "org", json!({"org": 1})),
        ("import", "org", json!({"org": "* USER\nx\0\n"})),
        ("import", "name", json!({"org": "* USER\nx\n", "name": ""})),
    ]);
    for (method, field, more) in &wrong {
        // A new session's and an import's parameters have none.
        let params = if ["create", "import", "list", "search"].contains(method) {
            more.clone()
        } else {
            with(&id, more)
        };
        let error = client.try_request(&format!("orgAgent/sessions/{method}"), &params).unwrap_err();
        assert_eq!(error["data"]["code"], "bad_request", "{method} {error}");
        let message = word(&error["message"]);
        assert!(
            message.starts_with(field) || message.contains(&format!("`{field}`")),
            "{method}, {field}: {message}"
        );
        assert!(message.len() < 1000, "{message}");
    }
    let edits: serde_json::Map<String, Value> =
        (0..1001).map(|number| (number.to_string(), json!("x"))).collect();
    assert_eq!(refused(&mut client, "fork", &with(&id, &json!({"edits": edits}))), "bad_request");
    let hashes: serde_json::Map<String, Value> =
        (0..10_001).map(|number| (number.to_string(), json!("0".repeat(64)))).collect();
    for hashes in
        [json!(hashes), json!({"a": "0"}), json!({"a": 1}), json!(["a"]), json!({"a": "g".repeat(64)})]
    {
        let params = json!({"sensor": "chat-message", "clientId": "h", "text": "x", "sessionId": id, "turnHashes": hashes});
        let error = client.try_request("orgAgent/event", &params).unwrap_err();
        assert_eq!(error["data"]["code"], "bad_request");
    }
    // Nothing came of any of them.
    assert_eq!(get(&mut client, &id), before);
    assert_eq!(list(&mut client, &json!({}), "id"), [id]);
    client.finish();
    sound(home.path());
}

#[test]
fn what_just_fits_is_taken() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: one").session;
    let title = "日".repeat(200);
    assert_eq!(of(&mut client, "rename", &id, &json!({"title": format!("  {title} ")}))["title"], title);
    let tags: Vec<String> = (0..32).map(|number| format!("{}{number:02}", "ü".repeat(98))).collect();
    assert_eq!(of(&mut client, "label", &id, &json!({"tags": tags}))["tags"], json!(tags));
    let name = "ß".repeat(100);
    of(&mut client, "checkpoint", &id, &json!({"name": name}));
    of(&mut client, "restore", &id, &json!({"name": name}));
    // `{"a":"…"}` in exactly 64 KiB.
    let values = json!({"a": "x".repeat(65_536 - 8)});
    assert_eq!(of(&mut client, "context", &id, &json!({"values": values}))["context"]["values"], values);
    // Deep, but not so deep that an answer with it could not be read.
    let nested = |levels: usize| (0..levels).fold(json!("end"), |inner, _| json!([inner]));
    let kept = of(&mut client, "context", &id, &json!({"values": {"deep": nested(63)}}));
    assert_eq!(kept["context"]["values"]["deep"], nested(63));
    for levels in [64, 100, 120] {
        let params = with(&id, &json!({"values": {"deep": nested(levels)}}));
        assert_eq!(refused(&mut client, "context", &params), "bad_request", "{levels}");
    }
    assert_eq!(get(&mut client, &id), kept);
    // What JSON can say is kept as it was said.
    let odd = json!({"": null, "ü\n\"": [1.5, -0.0, 1e300, u64::MAX, i64::MIN, true], "__proto__": {}, "$x": "\u{2028}\u{fffd}"});
    assert_eq!(of(&mut client, "context", &id, &json!({"values": odd}))["context"]["values"], odd);
    client.kill();
    let mut client = server(home.path());
    assert_eq!(get(&mut client, &id)["context"]["values"], odd);
    // What no frame may have is no message: nobody can say whose request it was.
    client.ask("orgAgent/sessions/context", &with(&id, &json!({"values": {"deep": nested(200)}})));
    let error = client.wait_for(|message| message.get("error").is_some());
    assert_eq!((&error["id"], &error["error"]["code"]), (&Value::Null, &json!(-32700)));
    assert_eq!(list(&mut client, &json!({}), "id"), [id]);
    client.finish();
    sound(home.path());
}

#[test]
fn a_cursor_of_another_list_is_refused_and_limits_are_bounded() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: one").session;
    for cursor in
        ["", "x", "s", "sx", "s-1", "s+1", "s 1", "s0x1", "sffffffffffffffffff", "日", "m1\0", "z1", "1"]
    {
        for method in ["list", "messages", "actions", "checkpoints"] {
            let params = with(&id, &json!({"cursor": cursor}));
            assert_eq!(refused(&mut client, method, &params), "bad_request", "{method} {cursor:?}");
        }
    }
    for (method, own) in [("list", "s1"), ("messages", "m1"), ("actions", "a1"), ("checkpoints", "c1")] {
        for cursor in ["s1", "m1", "l1", "a1", "c1", "f1"] {
            let params = with(&id, &json!({"cursor": cursor}));
            let answer = client.try_request(&format!("orgAgent/sessions/{method}"), &params);
            assert_eq!(answer.is_ok(), cursor == own, "{method} {cursor}");
        }
    }
    for cursor in ["", "s1", "f", "fx", "f1\0", "1"] {
        let params = json!({"query": "one", "cursor": cursor});
        assert_eq!(refused(&mut client, "search", &params), "bad_request", "{cursor:?}");
    }
    for (limit, count) in [(0, 1), (1, 1), (2, 2), (4_294_967_295_u32, 2)] {
        let list = of(&mut client, "messages", &id, &json!({"limit": limit}));
        assert_eq!(list["items"].as_array().unwrap().len(), count, "{limit}");
        let search = client.request("orgAgent/sessions/search", &json!({"query": "one", "limit": limit}));
        assert_eq!(search["items"].as_array().unwrap().len(), count, "{limit}");
    }
    client.finish();
}
