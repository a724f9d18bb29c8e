//! What the exports are made of: limits, characters, and the canonical form of any table.

use super::*;

/// Every string that `parts` stand for, with one sample for each string and number.
fn samples(parts: &[Part]) -> Vec<String> {
    let mut texts = vec![String::new()];
    for part in parts {
        let ways = match part {
            Part::Literal(text) => vec![text.clone()],
            Part::Text(_) => vec!["\"s\"".to_owned()],
            Part::Seconds(_) => vec!["7".to_owned()],
            Part::Optional(parts) => {
                let mut ways = samples(parts);
                ways.push(String::new());
                ways
            }
            Part::Either(ways) => ways.iter().flat_map(|way| samples(way)).collect(),
        };
        texts = texts.iter().flat_map(|text| ways.iter().map(move |way| format!("{text}{way}"))).collect();
    }
    texts.sort();
    texts
}

/// The prints of every action of this form, with the same samples.
fn prints(row: &'static Row, names: &[String]) -> Vec<String> {
    let mut actions = vec![Action::new(row)];
    for field in row.payload {
        let values: Vec<Value> = match field.shape {
            Shape::Keyword(words) => words.iter().map(|word| Value::Keyword(word)).collect(),
            Shape::Seconds(_) => vec![Value::Integer(7)],
            Shape::Buffer => names.iter().cloned().map(Value::Text).collect(),
            _ => vec![Value::Text("s".into())],
        };
        let before = std::mem::take(&mut actions);
        for action in before {
            if !field.required {
                actions.push(action.clone());
            }
            for value in &values {
                let mut action = action.clone();
                action.set(field.key, value.clone());
                actions.push(action);
            }
        }
    }
    let explained = |action: &Action| {
        let mut action = action.clone();
        action.explain(Some("s".into()));
        action
    };
    let mut prints: Vec<String> =
        actions.iter().flat_map(|action| [print(action), print(&explained(action))]).collect();
    prints.sort();
    prints
}

const fn field(key: &'static str, required: bool, shape: Shape) -> Field {
    Field { key, required, shape }
}

const fn row(target: Option<&'static str>, payload: &'static [Field]) -> Row {
    Row { kind: crate::action::Kind::Log, type_: "do", target, payload, purpose: "" }
}

/// What a row may look like one day: optional keys first, only optional keys, none at all, equal names.
static TABLE: [Row; 6] = [
    row(Some("a"), &[field("x", false, Shape::Text), field("y", true, Shape::Name)]),
    row(
        Some("a"),
        &[
            field("x", false, Shape::Keyword(&["in", "into"])),
            field("y", false, Shape::Buffer),
            field("z", false, Shape::Seconds(9)),
        ],
    ),
    row(None, &[]),
    row(
        Some("b"),
        &[
            field("v", false, Shape::Path),
            field("w", false, Shape::Name),
            field("x", true, Shape::Command),
            field("y", false, Shape::Seconds(99)),
            field("z", true, Shape::Text),
        ],
    ),
    row(Some("c-d"), &[field("x", false, Shape::Text)]),
    row(Some("e"), &[field("x", true, Shape::Keyword(&["only"]))]),
];

#[test]
fn the_form_of_any_row_is_what_is_printed() {
    let mut forms = 0;
    for table in [&TABLE[..], &GRAMMAR] {
        for buffer in ["notes", CHAT_BUFFER, "a\"\\\n\t\r"] {
            let export = Export::of(table, buffer, 100).unwrap();
            for row in table {
                let found = samples(&export.form(row));
                assert_eq!(found, prints(row, &export.names), "{row:?}");
                forms += found.len();
            }
        }
    }
    assert!(forms > 200, "{forms}");
}

#[test]
fn the_rules_of_any_table_have_names_of_their_own() {
    assert_eq!(
        rule_names(&TABLE, '_'),
        ["action_do_a", "action_do_a_2", "action_do", "action_do_b", "action_do_c_d", "action_do_e"]
    );
}

#[test]
fn a_class_is_what_the_verifier_allows() {
    for class in [Class::Any, Class::Clear] {
        let action = |text: &str| {
            let row = GRAMMAR.iter().find(|row| row.kind == crate::action::Kind::Shell).unwrap();
            let mut action = Action::new(row);
            let (cmd, explanation) = if class == Class::Clear { (text, "") } else { ("x", text) };
            action.set("cmd", Value::Text(cmd.into()));
            action.explain(Some(explanation.into()));
            action
        };
        let accepted = |text: &str| {
            let mut recogniser = Recogniser::new("");
            let fed = recogniser.feed(print(&action(text)).as_bytes());
            fed.and_then(|()| recogniser.finish()).is_ok()
        };
        let ranges: Vec<(char, char)> = class.ranges().collect();
        let allowed = |c: char| ranges.iter().any(|(first, last)| (*first..=*last).contains(&c));
        let (good, bad): (Vec<char>, Vec<char>) = ('\0'..=char::MAX).partition(|c| allowed(*c));
        for chunk in good.chunks(30_000) {
            assert!(accepted(&chunk.iter().collect::<String>()), "{class:?} {:?}", chunk.first());
        }
        for c in &bad {
            let escaped = matches!(c, '\n' | '\t' | '\r' | '"' | '\\');
            assert_eq!(accepted(&c.to_string()), escaped, "{class:?} {c:?}");
        }
        assert!(bad.len() < 100 && good.len() > 1_000_000);
    }
}

/// An action of this form that is as long as the export allows, of characters as wide as can be.
fn longest(export: &Export, row: &'static Row) -> Action {
    let wide = |kind: Kind| "\u{10FFFF}".repeat(kind.most(export));
    let mut action = Action::new(row);
    action.explain(Some(wide(EXPLANATION)));
    for field in row.payload {
        let value = match field.shape {
            Shape::Keyword(words) => Value::Keyword(words.iter().max_by_key(|word| word.len()).unwrap()),
            Shape::Seconds(most) => Value::Integer(most),
            Shape::Buffer => Value::Text(export.names.iter().max_by_key(|name| name.len()).unwrap().clone()),
            shape => Value::Text(wide(Kind::of(shape))),
        };
        action.set(field.key, value);
    }
    action
}

#[test]
fn the_longest_reply_of_every_form_fits() {
    let name = "n".repeat(MAX_NAME - 2);
    let limit = Export::new(&name, 1).unwrap().limit();
    assert!(limit >= MAX_TEXT, "{limit}");
    for max_text in [1, 5_000, MAX_TEXT, limit] {
        let export = Export::new(&name, max_text).unwrap();
        for row in &GRAMMAR {
            let action = longest(&export, row);
            let (list, json) = (print(&action).len(), action.to_json().to_string().len());
            assert!(list.max(json) <= MAX_REPLY, "{row:?}: {list}, {json}");
            assert_eq!(list.max(json), export.longest(row), "{row:?}");
            let mut recogniser = Recogniser::new(&name);
            recogniser.feed(print(&action).as_bytes()).unwrap();
            assert_eq!(recogniser.finish(), Ok(action));
        }
    }
    // One more, and it does not fit.
    let over =
        Export { table: &GRAMMAR, buffer: String::new(), names: vec![name.clone()], max_text: limit + 1 };
    assert!(GRAMMAR.iter().any(|row| print(&longest(&over, row)).len() + 20 > MAX_REPLY));
    assert!(Export::new(&name, limit + 1).is_err());
}

#[test]
fn what_can_not_fit_is_refused_with_the_number_that_would() {
    for (buffer, max_text, expected) in [
        ("notes", 0, "give a number from 1 to 61408"),
        ("notes", 262_144, "give a number from 1 to 61408"),
        ("notes", usize::MAX, "give a number from 1 to 61408"),
        (&"n".repeat(MAX_NAME - 1), 5, "leave --buffer out"),
        (&"\"".repeat(MAX_NAME / 2), 5, "leave --buffer out"),
    ] {
        let error = Export::new(buffer, max_text).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_name_that_can_not_be_written_is_no_choice() {
    for (buffer, names) in [
        (CHAT_BUFFER, &[CHAT_BUFFER][..]),
        ("notes", &[CHAT_BUFFER, "notes"]),
        ("é\u{200B}\n", &[CHAT_BUFFER, "é\u{200B}\n"]),
        ("a\u{7}", &[CHAT_BUFFER]),
        ("a\u{85}", &[CHAT_BUFFER]),
        // Too long to be written, so not too long for a grammar.
        (&"\u{7}".repeat(5_000), &[CHAT_BUFFER]),
        ("", &[CHAT_BUFFER, ""]),
    ] {
        assert_eq!(Export::new(buffer, 10).unwrap().names, names, "{buffer:?}");
    }
}

#[test]
fn the_command_in_the_comment_is_one_line_and_one_word() {
    for (name, expected) in [
        ("notes.org", "notes.org"),
        (CHAT_BUFFER, "'*org-agent-chat*'"),
        ("", "''"),
        ("a b", "'a b'"),
        ("it's", r"$'it\'s'"),
        ("a\\\nb", r"$'a\\\U0000000Ab'"),
        ("é\u{202E}", r"$'é\U0000202E'"),
    ] {
        assert_eq!(shell(name), expected);
    }
}
