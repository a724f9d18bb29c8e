//! Tests of the bounds and of what errors say.

use super::super::{GetParams, ListParams};
use super::*;
use serde_json::{Value, json};

fn check<P: DeserializeOwned, T: std::fmt::Debug>(
    base: &Value,
    from_wire: fn(P) -> Result<T>,
    cases: &[(&str, Value, &str)],
) {
    for (field, value, expected) in cases {
        let mut params = base.clone();
        params[*field] = value.clone();
        let result = read::<P>(&params.to_string()).and_then(from_wire);
        let shown = match &result {
            Ok(_) => "ok".to_owned(),
            Err(error) => {
                assert_eq!(error.code, crate::error::Code::BadRequest);
                format!("{}: {}", error.what, error.why)
            }
        };
        let start: String = value.to_string().chars().take(80).collect();
        assert!(shown.starts_with(expected) && shown.len() < 400, "{field} = {start}: {shown}");
    }
}

#[test]
fn the_bounds_of_an_event() {
    let base = json!({"sensor":"chat-message","clientId":"1","text":"hello"});
    let long = |length: usize| Value::from("é".repeat(length / 2));
    let item = |length: usize| json!({"kind":"region","name":"n","text":"a".repeat(length)});
    check(
        &base,
        EventParams::from_wire,
        &[
            ("unknown", json!({"x": 1}), "ok"),
            ("sensor", json!("timer"), "sensor: "),
            ("sensor", json!(null), "sensor: invalid type: null"),
            ("clientId", json!(""), "clientId: must not be empty"),
            ("clientId", long(256), "ok"),
            ("clientId", long(258), "clientId: more than 256 bytes"),
            ("clientId", json!(7), "clientId: invalid type: integer `7`, expected a string"),
            ("text", json!(" \n"), "text: nothing to say"),
            ("text", json!("a\0b"), "text: must not contain U+0000"),
            ("text", long(MAX_TEXT), "ok"),
            ("text", long(MAX_TEXT + 2), "text: more than 1048576 bytes"),
            ("sessionId", json!(null), "ok"),
            ("sessionId", json!(""), "sessionId: "),
            ("buffer", json!(""), "buffer: "),
            ("buffer", long(1026), "buffer: "),
            ("level", json!(64), "ok"),
            ("level", json!(65), "level: must be 1 to 64"),
            ("level", json!(0), "level: must be 1 to 64"),
            ("level", json!(-1), "level: invalid value"),
            ("level", json!(u64::MAX), "level: must be 1 to 64"),
            ("level", long(1_000_000), "level: invalid type: string"),
            ("context", vec![item(1); 32].into(), "ok"),
            ("context", vec![item(1); 33].into(), "context: more than 32 items"),
            ("context", json!([item(1), item(MAX_TEXT + 1)]), "context[1].text: more than"),
            ("context", vec![item(MAX_TEXT); 4].into(), "ok"),
            ("context", vec![item(MAX_TEXT / 2 + 1); 8].into(), "context: more than 4194304 bytes together"),
            (
                "context",
                json!([{"kind":"url","name":"n","text":"t"}]),
                "context[0].kind: unknown variant `url`",
            ),
            ("context", json!([{"kind":"file","text":"t"}]), "context[0]: missing field `name`"),
            ("turnHashes", json!({"t": "ab".repeat(32)}), "ok"),
            ("turnHashes", json!({"t": "ab"}), "turnHashes: each is an identifier and 64"),
            ("turnHashes", json!({"t": 1}), "turnHashes.t: invalid type"),
        ],
    );
    let only_context = json!({"sensor":"chat-message","clientId":"1","text":"","context":[item(1)]});
    check(&only_context, EventParams::from_wire, &[("level", json!(null), "ok")]);
    check(
        &json!({"sensor":"chat-message"}),
        EventParams::from_wire,
        &[("text", json!("a"), "params: missing field `clientId`")],
    );
    let message = read::<EventParams>(&base.to_string()).unwrap().from_wire().unwrap();
    assert_eq!((message.level, message.session, message.buffer), (1, None, None));
}

#[test]
fn the_bounds_of_the_other_methods() {
    check(
        &json!({}),
        CancelParams::from_wire,
        &[("turnId", json!("t"), "ok"), ("turnId", json!(""), "turnId: ")],
    );
    let decide = json!({"actuationId":"a","choice":"run"});
    check(
        &decide,
        DecideParams::from_wire,
        &[
            ("choice", json!("always"), "ok"),
            ("choice", json!("maybe"), "choice: unknown variant `maybe`, expected one of"),
            ("command", json!(""), "command: "),
            ("command", Value::from("a".repeat(MAX_REPLY + 1)), "command: "),
            ("message", Value::from("a".repeat(MAX_REMARK + 1)), "message: "),
        ],
    );
    let why = json!({});
    check(&why, WhyParams::from_wire, &[("x", json!(1), "give turnId or"), ("turnId", json!("t"), "ok")]);
    check(&json!({"turnId":"t"}), WhyParams::from_wire, &[("actuationId", json!("a"), "give turnId or")]);
    let list = json!({});
    check(&list, ListParams::from_wire, &[("limit", json!(10), "ok"), ("limit", json!("10"), "limit: ")]);
    let resume = json!({"sessionId":"s"});
    check(
        &resume,
        ResumeParams::from_wire,
        &[
            ("applied", json!(["a", "b"]), "ok"),
            ("applied", json!(["a", ""]), "applied[1]: must not be empty"),
            ("applied", json!(["a", 2]), "applied[1]: invalid type"),
            ("turns", json!(vec!["t"; MAX_LIST + 1]), "turns: more than"),
        ],
    );
    for (params, expected) in
        [("[]", "params must be an object"), ("7", "params must be an object"), ("null", "params")]
    {
        assert_eq!(read::<GetParams>(params).unwrap_err().what, expected);
    }
    assert!(read::<ListParams>("null").is_ok());
}

#[test]
fn outcomes_are_cut_and_never_refused_for_their_size() {
    let params = |stdout: String| {
        let params = json!({"actuationId":"a","status":"failed","exitCode":-1,"stdout":stdout,"message":"é".repeat(MAX_REMARK)});
        read::<ActuatedParams>(&params.to_string()).unwrap().from_wire().unwrap().outcome
    };
    let outcome = params(format!("a{}", "é".repeat(MAX_TEXT / 2)));
    assert!(outcome.truncated);
    assert_eq!((outcome.stdout.len(), outcome.stdout.chars().last()), (MAX_TEXT - 1, Some('é')));
    assert_eq!(outcome.message.map(|message| message.len()), Some(MAX_REMARK));
    assert_eq!((outcome.exit_code, outcome.status), (Some(-1), Status::Failed));
    assert!(!params("a".repeat(MAX_TEXT)).truncated);
    assert_eq!(params("a\0b".to_owned()).stdout, "a\u{fffd}b");
}

#[test]
fn introductions() {
    let check = |params: Value, announced: Option<Announcement>, secrets: &[(&str, &str)]| {
        let secrets = secrets.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(
            Introduction::from_wire(&params.to_string()),
            Ok(Introduction { announced, secrets }),
            "{params}"
        );
    };
    for plain in [
        json!(null),
        json!([1, 2]),
        json!({}),
        json!({"capabilities":{"experimental":null,"textDocument":7},"initializationOptions":[[{"a":"b"}]]}),
        json!({"capabilities":{"experimental":[{"version":1}]}}),
        json!({"capabilities":[{"orgAgent":{"version":1}}]}),
        json!({"capabilities":{"experimental":{"orgAgent":null}}}),
    ] {
        check(plain, None, &[]);
    }
    let ours = |announced: Value| json!({"capabilities":{"experimental":{"orgAgent":announced,"x":1}},"initializationOptions":{"secrets":{"K":"v"},"x":1}});
    let full = Announcement {
        version: Some(1),
        actuators: Some(vec!["shell".to_owned()]),
        streaming: Some(false),
        reasoning: None,
        steps: None,
    };
    check(
        ours(json!({"version":1,"actuators":["shell"],"streaming":false,"more":0})),
        Some(full),
        &[("K", "v")],
    );
    check(ours(json!({})), Some(Announcement::default()), &[("K", "v")]);

    let refused = |params: Value| Introduction::from_wire(&params.to_string()).unwrap_err().to_string();
    let message = refused(ours(json!({"version":2})));
    assert!(message.contains("version 2") && message.contains("version 1"), "{message}");
    let message = refused(ours(json!({"version":"1"})));
    assert!(message.starts_with("capabilities.experimental.orgAgent: version: invalid type"), "{message}");
    for secrets in [json!("sk-secret"), json!({"K":["sk-secret"]}), json!(["sk-secret"])] {
        let message = refused(json!({"initializationOptions":{"secrets":secrets}}));
        assert!(
            message.starts_with("initializationOptions.secrets must be") && !message.contains("sk-"),
            "{message}"
        );
    }
}
