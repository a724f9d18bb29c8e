//! Words in all messages: what is found, in which order, and what it is narrowed by.

use serde_json::{Value, json};

use crate::client::Client;
use crate::*;

/// Sessions that were imported, by what was said in each.
fn sessions(client: &mut Client, said: &[(&str, &str)]) -> Vec<String> {
    said.iter()
        .map(|(prompt, reply)| {
            let org = format!("* USER\n{prompt}\n** ASSISTANT\n{reply}\n");
            let found = client.request("orgAgent/sessions/import", &json!({"org": org}));
            word(&found["items"][0]["id"])
        })
        .collect()
}

fn search(client: &mut Client, query: &str) -> Vec<(String, String)> {
    let found = found(client, &json!({"query": query}));
    found.iter().map(|item| (word(&item["sessionId"]), word(&item["role"]))).collect()
}

/// What the highlights of a snippet mark, by characters.
fn marked(item: &Value) -> Vec<String> {
    let snippet: Vec<char> = item["snippet"].as_str().unwrap().chars().collect();
    let places = item["highlights"].as_array().unwrap();
    let place = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    places.iter().map(|pair| snippet[place(&pair[0])..place(&pair[1])].iter().collect()).collect()
}

#[test]
fn words_are_found_as_people_write_them() {
    let home = home();
    let mut client = server(home.path());
    let ids = sessions(
        &mut client,
        &[
            ("The Quick brown fox", "jumps over the lazy dog."),
            ("Überraschung im Café", "Grüße aus Zürich, naïve résumé"),
            ("全文検索について", "検索は速いです。東京タワー"),
            ("한국어 검색", "ภาษาไทย และ English"),
            ("fn parse_all(text: &str) -> Vec<Transcript>", "See src/transcript/read.rs, line 42."),
            ("quick quick", "slow fox, not brown"),
        ],
    );
    let user = |at: usize| (ids[at].clone(), "user".to_owned());
    let reply = |at: usize| (ids[at].clone(), "assistant".to_owned());
    for (query, expected) in [
        ("quick fox", vec![user(0)]),
        ("QUICK", vec![user(0), user(5)]),
        ("fox", vec![user(0), reply(5)]),
        ("\"brown fox\"", vec![user(0)]),
        ("\"fox brown\"", vec![]),
        ("\"brown fox", vec![user(0)]),
        ("qui*", vec![user(0), user(5)]),
        ("qui", vec![]),
        ("uberraschung", vec![user(1)]),
        ("ÜBERRASCHUNG café", vec![user(1)]),
        ("cafe\u{301}", vec![user(1)]),
        ("grusse", vec![]),
        ("resume naive", vec![reply(1)]),
        ("zurich", vec![reply(1)]),
        ("検索", vec![user(2), reply(2)]),
        ("全文検索", vec![user(2)]),
        ("東京", vec![reply(2)]),
        ("京東", vec![]),
        ("검색", vec![user(3)]),
        ("ไทย", vec![reply(3)]),
        ("parse_all", vec![user(4)]),
        ("transcript/read.rs 42", vec![reply(4)]),
        ("nothing-like-it", vec![]),
    ] {
        let mut found = search(&mut client, query);
        found.sort_by_key(|(id, role)| (ids.iter().position(|own| own == id), role == "assistant"));
        assert_eq!(found, expected, "{query}");
    }
    client.kill();
    sound(home.path());
}

#[test]
fn the_denser_and_the_newer_come_first() {
    let home = home();
    let mut client = server(home.path());
    let filler = "and so on and on about other things ".repeat(30);
    let ids = sessions(
        &mut client,
        &[
            (&format!("{filler} kestrel"), "x"),
            ("kestrel", "x"),
            (&format!("{filler} kestrel {filler}"), "x"),
            ("kestrel kestrel nests", "x"),
        ],
    );
    let items = found(&mut client, &json!({"query": "kestrel"}));
    let order: Vec<String> = items.iter().map(|item| word(&item["sessionId"])).collect();
    let place = |at: usize| order.iter().position(|id| *id == ids[at]).unwrap();
    assert_eq!(order.len(), 4);
    assert!(place(1) < place(0) && place(3) < place(0) && place(0) < place(2), "{order:?} of {ids:?}");
    let scores: Vec<f64> = items.iter().map(|item| item["score"].as_f64().unwrap()).collect();
    assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]) && scores[3] > 0.0, "{scores:?}");
    // Of the same words the newer, and all but the first are left out if one is asked for.
    let same = sessions(&mut client, &[("merlin falcon", "x"), ("merlin falcon", "y")]);
    let items = found(&mut client, &json!({"query": "merlin"}));
    let order: Vec<String> = items.iter().map(|item| word(&item["sessionId"])).collect();
    assert_eq!(order, [same[1].clone(), same[0].clone()]);
    assert_eq!(found(&mut client, &json!({"query": "merlin", "limit": 1})).len(), 1);
    client.finish_unread();
}

#[test]
fn it_is_narrowed_by_session_role_skill_and_time() {
    let home = home();
    let mut client = server(home.path());
    let one = say(&mut client, "", "echo: heron one").session;
    let two = client.request("orgAgent/sessions/create", &json!({"buffer": "b"}));
    let two = say(&mut client, &word(&two["id"]), "echo: heron two").session;
    of(&mut client, "archive", &two, &Value::Null);
    let mut count = |more: Value| {
        let mut params = json!({"query": "heron"});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        found(&mut client, &params).len()
    };
    // Archived ones are found, too.
    assert_eq!(count(json!({})), 4);
    assert_eq!(count(json!({"sessionId": one})), 2);
    assert_eq!(count(json!({"sessionId": one, "role": "user"})), 1);
    assert_eq!(count(json!({"sessionId": "nobody"})), 0);
    assert_eq!(count(json!({"role": "assistant"})), 2);
    assert_eq!(count(json!({"role": "system"})), 0);
    assert_eq!(count(json!({"skill": "chat"})), 4);
    for skill in ["", "no-such", "cha", "chat*", "\" OR \"", "日本"] {
        assert_eq!(count(json!({"skill": skill})), 0, "{skill}");
    }
    for role in ["", "users", "user OR role", "user\"", "*", "日"] {
        let error =
            client.try_request("orgAgent/sessions/search", &json!({"query": "x", "role": role})).unwrap_err();
        assert_eq!(error["data"]["code"], "bad_request", "{role}: {error}");
    }
    let items = all(&mut client, "messages", &json!({"sessionId": two}));
    let time = items[0]["createdAt"].as_u64().unwrap();
    let before = all(&mut client, "messages", &json!({"sessionId": one}))[1]["createdAt"].as_u64().unwrap();
    let mut count = |more: Value| {
        let mut params = json!({"query": "heron"});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        found(&mut client, &params).len()
    };
    assert!(before <= time);
    assert_eq!(count(json!({"since": 0, "until": u64::MAX})), 4);
    assert_eq!(count(json!({"since": u64::MAX})), 0);
    assert_eq!(count(json!({"until": 0})), 0);
    assert_eq!(count(json!({"since": time + 1, "until": time})), 0);
    // Since is from, and until is before.
    assert_eq!(count(json!({"since": time, "sessionId": two})), 2);
    assert_eq!(count(json!({"until": time, "sessionId": two})), 0);
    // Nothing to look for, but somewhere to look.
    let whole = |query: &str| json!({"query": query, "sessionId": one});
    assert_eq!(found(&mut client, &whole("")).len(), 2);
    assert_eq!(found(&mut client, &whole("***")).len(), 2);
    assert_eq!(found(&mut client, &json!({"query": "", "role": "user"})).len(), 2);
    for query in ["", " \t\n", "*", "\"\"", "\"", "-", "( )", "^", "!?", "\u{301}"] {
        assert_eq!(refused(&mut client, "search", &json!({"query": query})), "bad_request", "{query:?}");
    }
    client.finish_unread();
}

#[test]
fn no_query_is_an_error_for_its_form() {
    let home = home();
    let mut client = server(home.path());
    let ids = sessions(&mut client, &[("alpha NEAR beta AND OR NOT content facets", "x")]);
    let all = [(ids[0].clone(), "user".to_owned())];
    for query in [
        "NEAR",
        "near and or not",
        "content",
        "facets : alpha",
        "alpha AND beta",
        "alpha -beta",
        "+alpha",
        "^alpha",
        "(alpha",
        "alpha)",
        "alph*",
        "{alpha}",
        "alpha;",
        "\"alpha",
        "'alpha'",
        "alpha\\",
        "alpha\u{1}",
    ] {
        assert_eq!(search(&mut client, query), all, "{query}");
    }
    for query in [
        "content:alpha",
        "NEAR(alpha beta, 0)",
        "alpha OR",
        "alpha\" OR \"x",
        "* * alpha",
        "a* b* c*",
        "content : {",
        "\"alpha\" \"",
        "x' OR '1'='1",
        "--",
        "/* alpha */",
        "\u{202e}alpha",
        "alpha\u{0}",
        "🦀🦀🦀",
        "\u{fdfa}\u{fdfa}",
        "ﬀ",
        "İ",
        "ſ",
        "１２",
        "Å",
        "\u{1100}\u{1161}",
    ] {
        let answer = client.try_request("orgAgent/sessions/search", &json!({"query": query, "role": "user"}));
        assert_eq!(answer.is_ok(), !query.contains('\0'), "{query:?}: {answer:?}");
    }
    for query in [
        "a".repeat(1024),
        "a ".repeat(512),
        "\"".repeat(1024),
        "a*".repeat(512),
        "日".repeat(341),
        "\"a b\"".repeat(204),
        "e\u{301}".repeat(300),
    ] {
        client.request("orgAgent/sessions/search", &json!({"query": query, "role": "user"}));
    }
    // Of many words the first eight count.
    assert_eq!(search(&mut client, "alpha near beta and or not content facets nothing of it"), all);
    assert_eq!(search(&mut client, "alpha near beta and or not nothing facets"), []);
    client.finish_unread();
}

#[test]
fn highlights_are_places_in_characters() {
    let home = home();
    let mut client = server(home.path());
    let far = "日本語🦀 ".repeat(100);
    sessions(
        &mut client,
        &[
            ("🦀🦀 Ünïcode: der Café\tim\nCAFE, e\u{301}cafe\u{301} cafés", "x"),
            (&format!("{far} Needle {far} needle"), "x"),
            ("全文検索の検索", "x"),
        ],
    );
    let items = found(&mut client, &json!({"query": "cafe"}));
    assert_eq!(items[0]["snippet"], "🦀🦀 Ünïcode: der Café im CAFE, e\u{301}cafe\u{301} cafés");
    assert_eq!(marked(&items[0]), ["Café", "CAFE"]);
    let items = found(&mut client, &json!({"query": "caf*"}));
    assert_eq!(marked(&items[0]), ["Café", "CAFE", "cafés"]);
    let items = found(&mut client, &json!({"query": "needle"}));
    let snippet = word(&items[0]["snippet"]);
    assert!(
        snippet.starts_with('…') && snippet.ends_with('…') && snippet.chars().count() <= 202,
        "{snippet}"
    );
    assert_eq!(marked(&items[0]), ["Needle"]);
    let items = found(&mut client, &json!({"query": "検索"}));
    assert_eq!(marked(&items[0]), ["検索", "検索"]);
    client.finish_unread();
}

#[test]
fn of_more_than_a_thousand_the_older_are_a_part_further_on() {
    let home = home();
    let mut client = server(home.path());
    for _ in 0..3 {
        let org = "* USER\nosprey\n** ASSISTANT\nosprey\n".repeat(250);
        client.request("orgAgent/sessions/import", &json!({"org": org}));
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut params = json!({"query": "osprey", "limit": 100});
    let first = client.request("orgAgent/sessions/search", &params);
    assert_eq!((&first["complete"], first["items"].as_array().unwrap().len()), (&json!(false), 100));
    params["cursor"] = first["nextCursor"].clone();
    let second = client.request("orgAgent/sessions/search", &params);
    assert_eq!((&second["complete"], &second["nextCursor"]), (&json!(true), &Value::Null));
    for item in first["items"].as_array().unwrap().iter().chain(second["items"].as_array().unwrap()) {
        assert!(seen.insert(word(&item["messageId"])), "twice: {item}");
    }
    assert_eq!(seen.len(), 200);
    client.finish_unread();
}
