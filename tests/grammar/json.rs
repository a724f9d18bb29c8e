//! The reader of the JSON form.

use org_agent::action::{Action, CHAT_BUFFER, Kind, MAX_REPLY};
use org_agent::sexp::{kind, printer::print};
use org_agent::verify::{json, read_json};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::actions::{BUFFERS, Tape, config, read};

/// Stands before the byte that is rejected; a reply without it is accepted.
const MARK: &str = "⟦";

fn check(fixture: &str, kind: &str, key: &str) {
    let reply = fixture.replacen(MARK, "", 1);
    let outcome = json::read(reply.as_bytes(), "notes");
    let found = outcome.as_ref().err().map(|rejection| (rejection.offset, rejection.kind));
    assert_eq!(found, fixture.find(MARK).map(|at| (at, kind)), "{fixture}\n{outcome:?}");
    if let Err(rejection) = outcome {
        assert!(rejection.message.contains(key), "{fixture}\n{}", rejection.message);
        assert_eq!(rejection.render(&reply).lines().count(), 6);
    }
}

#[test]
fn replies_are_read_in_any_order_and_with_any_blanks() {
    for (reply, expected) in [
        (r#"{"type":"response","payload":{"text":"hi"}}"#, r#"(:type :response :payload (:text "hi"))"#),
        (
            "\n{ \"payload\" : {\"text\"\t:\"hi\" } ,\r\n\"type\": \"response\" }\n ",
            r#"(:type :response :payload (:text "hi"))"#,
        ),
        (
            r#"{"payload":{"timeout":5,"cmd":"ls"},"target":"shell","explanation":"é\u00e9\ud83d\ude00\/","type":"request"}"#,
            r#"(:type :request :target :shell :explanation "éé😀/" :payload (:cmd "ls" :timeout 5))"#,
        ),
        (
            r#"{"\u0074ype":"\u006cog","payload":{"level":"warn","text":"\n\t\"\\\u000d"}}"#,
            r#"(:type :log :payload (:text "\n\t\"\\\r" :level :warn))"#,
        ),
        (
            r#"{"type":"request","target":"emacs","payload":{"action":"insert-at-end","buffer":"notes","text":""}}"#,
            r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "notes" :text ""))"#,
        ),
    ] {
        let action = json::read(reply.as_bytes(), "notes").unwrap();
        assert_eq!(print(&action), expected);
        let accepted = read_json(reply.as_bytes(), "notes", 1).unwrap();
        assert_eq!(accepted.raw, action);
    }
}

#[test]
fn a_number_is_whole_however_it_is_written() {
    for (number, expected) in [
        ("1", Some(1)),
        ("86400", Some(86_400)),
        ("30.0", Some(30)),
        ("30.000", Some(30)),
        ("3e1", Some(30)),
        ("3E+1", Some(30)),
        ("0.3e2", Some(30)),
        ("300e-1", Some(30)),
        ("8.64e4", Some(86_400)),
        ("0", None),
        ("0.0", None),
        ("-0", None),
        ("-1", None),
        ("-30.0", None),
        ("86401", None),
        ("1.5", None),
        ("30.000000000000000000000000001", None),
        ("3e-1", None),
        ("1e99", None),
        ("1e-99", None),
        ("1e99999999999999999999", None),
        ("4294967297", None),
        ("0e0", None),
        ("0e9", None),
    ] {
        let reply =
            format!(r#"{{"type":"request","target":"shell","payload":{{"cmd":"x","timeout":{number}}}}}"#);
        let outcome = json::read(reply.as_bytes(), "notes");
        match expected {
            Some(seconds) => assert_eq!(outcome.unwrap().integer("timeout"), Some(seconds), "{number}"),
            None => {
                let rejection = outcome.unwrap_err();
                assert_eq!(rejection.kind, kind::BAD_INTEGER, "{number}");
                assert_eq!(rejection.offset, reply.find(number).unwrap());
            }
        }
    }
}

#[test]
fn what_is_wrong_is_named_and_found() {
    let shell = |payload: &str| format!(r#"{{"type":"request","target":"shell","payload":{{{payload}}}}}"#);
    let insert = |buffer: &str| {
        format!(
            r#"{{"type":"request","target":"emacs","payload":{{"action":"insert-at-end","buffer":{buffer},"text":""}}}}"#
        )
    };
    for (fixture, kind, key) in [
        // JSON itself.
        ("⟦", kind::TOO_SHORT, ""),
        (" ⟦", kind::TOO_SHORT, ""),
        (r#"{"type":"response","payload":{"text":"hi"}⟦"#, kind::TOO_SHORT, ""),
        (r#"{"type":"response","payload":{"text":"hi⟦"#, kind::TOO_SHORT, ""),
        ("⟦\u{FEFF}{}", kind::BAD_JSON, ""),
        ("⟦Sure", kind::BAD_JSON, ""),
        ("⟦(:type :response)", kind::BAD_JSON, ""),
        ("{⟦type:1}", kind::BAD_JSON, ""),
        ("{\n \"type\"⟦=1}", kind::BAD_JSON, ""),
        (r#"{"type":"response",⟦}"#, kind::BAD_JSON, ""),
        (r#"{"type":"response","payload":{"text":"a⟦\q"}}"#, kind::BAD_ESCAPE, ""),
        ("{\"type\":\"response\",\"payload\":{\"text\":\"a⟦\nb\"}}", kind::BAD_JSON, ""),
        (r#"{"type":"response","payload":{"text":0⟦1}}"#, kind::BAD_JSON, ""),
        (r#"{"type":"response","payload":{"text":"hi"}}⟦{}"#, kind::TRAILING, ""),
        (r#"{"type":"response","payload":{"text":"hi"}} ⟦)"#, kind::TRAILING, ""),
        // The outer object.
        ("⟦[]", kind::EXPECTED_VALUE, "an array"),
        ("⟦null", kind::EXPECTED_VALUE, "null"),
        (" ⟦\"(:type :response)\"", kind::EXPECTED_VALUE, "a string"),
        ("⟦-1", kind::EXPECTED_VALUE, "a number"),
        ("{⟦}", kind::MISSING_KEY, "\"type\""),
        (r#"{"type":"response"⟦}"#, kind::MISSING_KEY, "\"payload\""),
        (r#"{"payload":{"text":"a"}⟦} "#, kind::MISSING_KEY, "\"type\""),
        (r#"{"type":"request","payload":{"cmd":"a"}⟦}"#, kind::MISSING_KEY, "\"target\""),
        (r#"{"type":"response",⟦"typ":1}"#, kind::BAD_KEY, "\"typ\""),
        (r#"{"type":"response",⟦"Payload":{"text":"a"}}"#, kind::BAD_KEY, "\"Payload\""),
        (r#"{"type":"response",⟦"text":"a"}"#, kind::BAD_KEY, "\"text\""),
        (r#"{"type":"response",⟦":payload":{"text":"a"}}"#, kind::BAD_KEY, "\":payload\""),
        (r#"{"type":"response",⟦"target":"emacs","payload":{"text":"a"}}"#, kind::BAD_KEY, "\"target\""),
        (r#"{"type":"response",⟦"type":"response","payload":{"text":"a"}}"#, kind::BAD_KEY, "second time"),
        (r#"{"type":"log",⟦"t\u0079pe":"response","payload":{"text":"a"}}"#, kind::BAD_KEY, "second time"),
        (r#"{"type":⟦null,"payload":{"text":"a"}}"#, kind::EXPECTED_VALUE, "\"type\" is null"),
        (r#"{"type":⟦"Response","payload":{"text":"a"}}"#, kind::BAD_VALUE, "\"type\""),
        (r#"{"type":⟦":log","payload":{"text":"a"}}"#, kind::BAD_VALUE, "\"type\""),
        (r#"{"type":"request","target":⟦"tool","payload":{}}"#, kind::BAD_VALUE, "\"target\""),
        (r#"{"type":"request","target":⟦null,"payload":{}}"#, kind::EXPECTED_VALUE, "\"target\" is null"),
        (
            r#"{"type":"log","explanation":⟦null,"payload":{"text":"a"}}"#,
            kind::EXPECTED_VALUE,
            "\"explanation\"",
        ),
        (r#"{"type":"log","explanation":⟦["a"],"payload":{"text":"a"}}"#, kind::EXPECTED_VALUE, "an array"),
        (r#"{"type":"log","payload":⟦"a"}"#, kind::EXPECTED_VALUE, "payload"),
        (r#"{"type":"log","payload":⟦[{"text":"a"}]}"#, kind::EXPECTED_VALUE, "payload"),
        // The payload.
        (r#"{"type":"log","payload":{⟦}}"#, kind::MISSING_KEY, "\"text\""),
        (r#"{"type":"log","payload":{"text":"a",⟦"cmd":"b"}}"#, kind::BAD_KEY, "\"cmd\""),
        (r#"{"type":"log","payload":{"text":"a",⟦"te\u0078t":"b"}}"#, kind::BAD_KEY, "second time"),
        (r#"{"type":"log","payload":{"text":⟦{"text":"a"}}}"#, kind::EXPECTED_VALUE, "\"text\" is an object"),
        (r#"{"type":"log","payload":{"text":⟦true}}"#, kind::EXPECTED_VALUE, "a boolean"),
        (r#"{"type":"log","payload":{"text":"a","level":⟦"INFO"}}"#, kind::BAD_VALUE, "\"level\""),
        (r#"{"type":"log","payload":{"text":"a","level":⟦1}}"#, kind::EXPECTED_VALUE, "\"level\""),
        (r#"{"type":"log","payload":{"text":⟦"\u0000"}}"#, kind::BAD_CHARACTER, "\"text\""),
        (r#"{"type":"log","payload":{"text":⟦"\u0085"}}"#, kind::BAD_CHARACTER, "\"text\""),
        (
            r#"{"type":"log","explanation":⟦"\u001b","payload":{"text":"a"}}"#,
            kind::BAD_CHARACTER,
            "\"explanation\"",
        ),
        (&shell(r#""cmd":⟦"""#), kind::EMPTY_COMMAND, "\"cmd\""),
        (&shell(r#""cwd":⟦"\u202e","cmd":"a""#), kind::BAD_CHARACTER, "\"cwd\""),
        (&shell(r#""cmd":"a","timeout":⟦"5""#), kind::EXPECTED_VALUE, "\"timeout\""),
        (&shell(r#""cmd":"a","timeout":⟦null"#), kind::EXPECTED_VALUE, "\"timeout\""),
        (&insert(r#"⟦"other""#), kind::BAD_BUFFER, "\"buffer\""),
        (&insert(r#""\u002aorg-agent-chat*""#), "", ""),
    ] {
        check(fixture, kind, key);
    }
}

#[test]
fn bytes_are_read_as_hostile_as_they_may_be() {
    let text = |text: &str| format!(r#"{{"type":"log","payload":{{"text":"{text}"}}}}"#);
    let fill = MAX_REPLY - text("").len();
    assert!(json::read(text(&"x".repeat(fill)).as_bytes(), "").is_ok());
    let many: String = (0..20_000).map(|number| format!("\"{number}\":0,")).collect();
    for (reply, expected) in [
        (text(&"x".repeat(fill + 1)).into_bytes(), (kind::TOO_LONG, MAX_REPLY)),
        (vec![b' '; 300_000], (kind::TOO_LONG, MAX_REPLY)),
        (vec![b'['; 200_000], (kind::EXPECTED_VALUE, 0)),
        (b"{\"payload\":".repeat(20_000), (kind::TOO_SHORT, 220_000)),
        ([b"{\"payload\":".as_slice(), &b"[".repeat(200_000)].concat(), (kind::TOO_SHORT, 200_011)),
        (format!("{{{many}\"type\":1}}").into_bytes(), (kind::BAD_KEY, 1)),
        (b"{\"type\":\"log\",\"payload\":{\"text\":\"\xFF\"}}".to_vec(), (kind::BAD_UTF8, 33)),
        (b"{\"type\":\"log\",\"payload\":{\"text\":\"\xED\xA0\x80\"}}".to_vec(), (kind::BAD_UTF8, 33)),
    ] {
        let rejection = json::read(&reply, "notes").unwrap_err();
        assert_eq!((rejection.kind, rejection.offset), expected, "{}", rejection.message);
    }
    for escape in [r"\ud800", r"\udc00", r"\ud800x", r"\ud800\n", r"\udc00\ud800", r"\ud800\ud800"] {
        let rejection = json::read(text(escape).as_bytes(), "notes").unwrap_err();
        // The backslash; of a pair the first.
        assert_eq!((rejection.kind, rejection.offset), (kind::BAD_ESCAPE, 33), "{escape}");
    }
}

#[test]
fn a_text_goes_through_the_org_contract_as_that_of_a_list_does() {
    let accepted =
        read_json(br##"{"type":"response","payload":{"text":"# A\n**b**"}}"##, "notes", 1).unwrap();
    assert_eq!(accepted.action.action().text("text"), Some("** A\n*b*"));
    assert_eq!(accepted.raw.text("text"), Some("# A\n**b**"));
    assert_eq!(accepted.rest, "** A\n*b*");
}

/// `value` as JSON with its keys in another order, blanks, and needless escapes.
fn write(value: &Value, tape: &mut Tape, out: &mut String) {
    let blank = |tape: &mut Tape| tape.choose(&["", "", " ", "\n", "\t\r\n"]);
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            out.push('{');
            while !members.is_empty() {
                let (key, value) = members.remove(tape.below(members.len()));
                out.push_str(blank(tape));
                write(&Value::String(key.clone()), tape, out);
                out.push_str(blank(tape));
                out.push(':');
                out.push_str(blank(tape));
                write(value, tape, out);
                out.push_str(blank(tape));
                out.push_str(if members.is_empty() { "" } else { "," });
            }
            out.push('}');
        }
        Value::String(text) => {
            out.push('"');
            for c in text.chars() {
                if tape.below(5) == 0 {
                    c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| *out += &format!("\\u{unit:04x}"));
                } else {
                    let plain = Value::from(c.to_string()).to_string();
                    out.push_str(&plain[1..plain.len() - 1]);
                }
            }
            out.push('"');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Makes a value one that may be wrong.
pub fn damage(value: &mut Value, tape: &mut Tape) {
    let members = value.as_object_mut().unwrap();
    let keys: Vec<String> = members.keys().cloned().collect();
    if keys.is_empty() {
        return;
    }
    let key = tape.choose(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    match tape.below(7) {
        0 => drop(members.remove(key)),
        1 => {
            const KEYS: [&str; 9] =
                ["type", "Type", ":text", "target", "explanation", "level", "cwd", "timeout", "x"];
            let value = members[key].clone();
            members.insert(tape.choose(&KEYS).to_owned(), value);
        }
        2 => {
            let other = [
                serde_json::json!(null),
                serde_json::json!(true),
                serde_json::json!([]),
                serde_json::json!({}),
                serde_json::json!(0),
                serde_json::json!(-1),
                serde_json::json!(1.5),
                serde_json::json!(30.0),
                serde_json::json!(86_400.0),
                serde_json::json!(86_401),
                serde_json::json!(1e99),
                serde_json::json!("30"),
            ];
            members.insert(key.to_owned(), other[tape.below(other.len())].clone());
        }
        3 => {
            const WORDS: [&str; 14] = [
                "request",
                "response",
                "log",
                "Log",
                ":log",
                "emacs",
                "shell",
                "skill",
                "debug",
                "insert-at-end",
                CHAT_BUFFER,
                "notes",
                "",
                "INFO",
            ];
            members.insert(key.to_owned(), tape.choose(&WORDS).into());
        }
        4 => {
            const CHARACTERS: [&str; 12] = [
                "\0", "\u{1B}", "\u{7F}", "\u{85}", "\u{9F}", "\u{A0}", "\u{200B}", "\u{202E}", "\u{2069}",
                "\n", "\u{FEFF}", "\"",
            ];
            if let Some(text) = members[key].as_str() {
                members.insert(key.to_owned(), format!("{text}{}", tape.choose(&CHARACTERS)).into());
            }
        }
        5 if members.get("payload").is_some_and(Value::is_object) => {
            damage(members.get_mut("payload").unwrap(), tape);
        }
        _ => {
            if let Some(text) = members[key].as_str() {
                members.insert(key.to_owned(), text.repeat(3).into());
            }
        }
    }
}

/// What a list of the same members would be: written out without looking at the table.
fn as_list(value: &Value) -> Option<String> {
    let list = |value: &Value, keywords: &[&str]| -> Option<String> {
        let mut out = String::from("(");
        // In a list keywords have any case, in JSON one.
        let lower = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        for (key, value) in value.as_object()? {
            if !lower(key) {
                return None;
            }
            out += &format!(" :{key} ");
            match value {
                Value::String(word) if keywords.contains(&key.as_str()) && !lower(word) => return None,
                Value::String(word) if keywords.contains(&key.as_str()) => out += &format!(":{word}"),
                Value::String(text) => {
                    out.push('"');
                    for c in text.chars() {
                        match c {
                            '"' | '\\' => out.extend(['\\', c]),
                            c => out.push(c),
                        }
                    }
                    out.push('"');
                }
                Value::Number(number) => {
                    let number = number.as_f64().filter(|number| number.fract() == 0.0)?;
                    out += &format!("{number}");
                }
                Value::Object(_) if key == "payload" => out += "@",
                _ => return None,
            }
        }
        Some(out + ")")
    };
    let payload = list(value.get("payload")?, &["action", "level"])?;
    let top = list(value, &["type", "target"])?;
    Some(top.replacen('@', &payload, 1))
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn an_action_comes_back_as_it_was(which in 0..6usize, tape in vec(any::<u16>(), 300)) {
        let mut tape = Tape::new(&tape);
        let action = tape.action(BUFFERS[which], 9);
        let plain = action.to_json().to_string();
        prop_assert_eq!(json::read(plain.as_bytes(), BUFFERS[which]), Ok(action.clone()), "{}", plain);
        let mut odd = String::new();
        write(&action.to_json(), &mut tape, &mut odd);
        prop_assert_eq!(json::read(odd.as_bytes(), BUFFERS[which]), Ok(action), "{}", odd);
    }

    #[test]
    fn a_key_that_stands_twice_is_refused(which in 0..6usize, tape in vec(any::<u16>(), 300)) {
        let mut tape = Tape::new(&tape);
        let json = tape.action(BUFFERS[which], 9).to_json();
        let outer = tape.below(2) == 0;
        let object = if outer { &json } else { &json["payload"] };
        let members: Vec<String> =
            object.as_object().unwrap().iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        let mut twice = members.clone();
        twice.insert(tape.below(members.len() + 1), members[tape.below(members.len())].clone());
        let whole = |members: &[String]| {
            let object = format!("{{{}}}", members.join(","));
            if outer {
                return object;
            }
            let mut rest = json.as_object().unwrap().clone();
            rest.shift_remove("payload");
            let rest = Value::Object(rest).to_string();
            format!("{},\"payload\":{object}}}", &rest[..rest.len() - 1])
        };
        prop_assert!(json::read(whole(&members).as_bytes(), BUFFERS[which]).is_ok());
        let rejection = json::read(whole(&twice).as_bytes(), BUFFERS[which]).unwrap_err();
        prop_assert_eq!(rejection.kind, kind::BAD_KEY, "{}", whole(&twice));
        prop_assert!(rejection.message.contains("second time"));
    }

    #[test]
    fn the_reader_of_lists_judges_the_same(which in 0..6usize, tape in vec(any::<u16>(), 300)) {
        let mut tape = Tape::new(&tape);
        let mut json = tape.action(BUFFERS[which], 9).to_json();
        for _ in 0..=tape.below(2) {
            damage(&mut json, &mut tape);
        }
        let found = json::read(json.to_string().as_bytes(), BUFFERS[which]);
        let expected = as_list(&json).and_then(|list| read(list.as_bytes(), BUFFERS[which]));
        prop_assert_eq!(found.as_ref().ok(), expected.as_ref(), "{}\n{:?}", json, found);
    }

    #[test]
    fn damaged_bytes_never_make_another_action(which in 0..6usize, tape in vec(any::<u16>(), 300)) {
        let mut tape = Tape::new(&tape);
        let mut reply = tape.action(BUFFERS[which], 9).to_json().to_string().into_bytes();
        tape.damage(&mut reply);
        if let Ok(action) = json::read(&reply, BUFFERS[which]) {
            // What was read is what another reader sees, and it is a valid action.
            let other: Value = serde_json::from_slice(&reply).unwrap();
            let same: Action = json::read(other.to_string().as_bytes(), BUFFERS[which]).unwrap();
            prop_assert_eq!(&same, &action);
            prop_assert_eq!(read(print(&action).as_bytes(), BUFFERS[which]), Some(action));
        }
    }
}

#[test]
fn every_kind_of_action_can_be_written_in_json() {
    let mut tape = vec![0u16; 64];
    let mut kinds = std::collections::HashSet::new();
    for first in 0..5u16 {
        tape[0] = first;
        let action = Tape::new(&tape).action("notes", 3);
        kinds.insert(action.kind());
        let outcome = json::read(action.to_json().to_string().as_bytes(), "notes");
        // The shortest command is one character, the first of the tape's.
        assert_eq!(outcome, Ok(action));
    }
    assert!(kinds.contains(&Kind::Shell) && kinds.len() == 5);
}
