//! What people see of a turn, and that whatever is in it stays text and keeps its secrets.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A turn in which everything that can be there is there; `text` stands wherever something comes from others.
pub(super) fn turn(text: &str) -> Value {
    let at = 1_700_000_000_000_u64;
    json!({
        "turnId": format!("t1{text}"), "sessionId": "s1", "state": "done", "reason": text, "resumes": null,
        "actuationId": "a1", "cost": 1.0024,
        "tokens": {"prompt": 30, "completion": 40, "cached": 6, "reasoning": null, "estimated": true},
        "events": [
            {"eventId": "e1", "time": at, "type": "chat.message.sent", "turn": "t1", "text": text,
             "context": [{"kind": "file", "name": text, "text": "12345", "mode": "sh"}],
             "location": {"directory": "/src", "host": text}},
            {"time": at + 1, "type": "turn.dispatched", "skill": text,
             "triggered": [{"skill": text, "sha256": "ab", "failed": text}], "notes": [text]},
            {"time": at + 2, "type": "turn.prompted", "attempt": 1, "model": text, "messages": [
                {"role": "system", "sha256": "cd", "text": text}, {"role": text, "sha256": text, "text": null}]},
            {"time": at + 15, "type": "turn.replied", "attempt": 1, "raw": text, "usage": null,
             "verdict": {"verdict": "reject", "kind": text, "offset": 5, "message": text, "savedAtMost": 7},
             "latency": {"firstMs": null, "totalMs": 12}, "thought": format!("{text}."), "original": format!("{text}.")},
            {"time": at + 16, "type": "turn.fell_back", "attempt": 1, "from": text, "to": text, "reason": text},
            {"time": at + 16, "type": "turn.prompted", "attempt": 2, "tokens": {"tokens": 17, "by": text}, "model": text, "parameters": {"dialect": text, "grammarSha256": text, "t": text},
             "messages": []},
            {"time": at + 20, "type": "turn.replied", "attempt": 2, "raw": text, "verdict": {"verdict": "accept"},
             "usage": {"promptTokens": 11, "completionTokens": 22, "cachedTokens": 5, "reasoningTokens": 9,
                 "estimated": true}, "latency": {"begunMs": 2, "firstMs": 3, "totalMs": 4},
             "cost": {"microUsd": 1_200}},
            {"time": at + 21, "type": "turn.gated", "attempt": 2, "gates": [
                {"skill": text, "result": text, "why": text, "sexp": text, "notes": [text]}]},
            {"time": at + 22, "type": "chat.action.proposed", "attempt": 2, "actuation": "a1", "sexp": text},
            {"time": at + 23, "type": "chat.action.permitted", "actuation": "a1", "decision": "ask",
             "by": "policy", "rule": text, "command": text,
             "approved": {"steps": [{"op": "&&", "argv": ["ls", text]}], "token": text, "network": true}},
            {"time": at + 60_123, "type": "chat.action.executed", "actuation": "a1", "outcome": {
                "status": "failed", "exitCode": 3, "stdout": text, "stderr": text, "truncated": true,
                "message": text, "sandboxed": false}},
            {"time": at + 60_124, "type": text, "actuation": "a1", "more": text},
            {"time": at + 60_124, "type": "turn.replied", "attempt": 3, "raw": "",
             "verdict": {"verdict": "broken", "trouble": text, "message": text}, "latency": {"totalMs": 0}},
            {"time": at + 60_124, "type": "chat.session.summarised", "attempt": 4,
             "summary": {"text": text, "through": text, "items": 7, "model": text}},
            {"time": at + 60_125, "type": "turn.ended", "state": "done", "reason": text},
        ],
    })
}

/// The headings of a document that has nothing but headings, drawers, facts and closed example blocks.
pub(super) fn headings(document: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('*') {
            found.push(line.to_owned());
        } else if line == ":PROPERTIES:" {
            for line in lines.by_ref().take_while(|line| *line != ":END:") {
                let (key, value) = line.strip_prefix(':').unwrap().split_once(": ").unwrap();
                assert!(key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()), "{line}");
                assert!(!value.contains(['[', '<', '{', '\\']), "{line}");
            }
        } else if line == "#+begin_example" {
            let end = lines.by_ref().find(|line| {
                let code = line.trim_start_matches([' ', '\t']);
                assert!(
                    !line.starts_with('*') && (!code.starts_with("#+") || *line == "#+end_example"),
                    "{line}"
                );
                *line == "#+end_example"
            });
            assert!(end.is_some(), "a block has no end");
        } else {
            assert!(line.is_empty() || line.starts_with(": "), "{line}\n{document}");
        }
    }
    found
}

/// What our headings begin with, in the order of [`turn`].
const OURS: [&str; 30] = [
    "* Why “",
    "** Event",
    "** Skills, +1 ms",
    "** Model call 1",
    "*** Model, +2 ms",
    "*** Prompt",
    "**** Message, ",
    "**** Message, role “",
    "*** Thought, ",
    "*** As it was written, ",
    "*** Raw reply, ",
    "*** Verdict",
    "*** Another model, +16 ms",
    "** Model call 2",
    "*** Model, +16 ms",
    "*** Prompt",
    "*** Raw reply, ",
    "*** Verdict",
    "*** Gates, +21 ms",
    "*** Action proposed, +22 ms",
    "*** Policy, +23 ms",
    "*** Outcome, +60.1 s",
    "*** Event, +60.1 s “",
    "** Model call 3",
    "*** Raw reply, 0 bytes, +60.1 s",
    "*** Verdict",
    "** Model call 4",
    "*** Summary made, +60.1 s",
    "** All model calls of the turn",
    "** End, +60.1 s",
];

/// Checks that the headings are ours.
fn check(document: &str) {
    let found = headings(document);
    let expected = OURS.iter().chain(&["** Times"]);
    assert_eq!(found.len(), OURS.len() + 1, "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        // Without a text there is no size.
        let expected = expected.trim_end_matches(" “").trim_end_matches(", role").trim_end_matches(", ");
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
}

fn page(text: &str) -> String {
    org(&turn(text), &Keys::default())
}

#[test]
fn everything_behind_a_turn_is_shown_where_it_belongs() {
    let page = page("List *my* files");
    check(&page);
    for part in [
        "* Why “List *my* files”\n:PROPERTIES:\n:TURN: t1List *my* files\n:SESSION: s1\n:ACTUATION: a1\n:STATE: done\n",
        "\n** Event\n: when          2023-11-14T22:13:20Z\n: event         e1\n: in            /src on List *my* files\n\
         : attached      file List *my* files, 5 bytes, mode sh\n#+begin_example\nList *my* files\n#+end_example\n",
        "\n: triggered     List *my* files, sha256 ab, its trigger failed: List *my* files\n: note          List",
        "\n: parameters    none are recorded\n",
        "\n*** Prompt\n: counted       17 tokens before it was sent, List *my* files\n",
        "\n: dialect       List *my* files\n: grammar       sha256 List *my* files\n\
         : parameter     t = \"List *my* files\"\n",
        "\n*** Thought, 16 bytes\n:PROPERTIES:\n:VISIBILITY: folded\n:END:\n#+begin_example\nList *my* files.\n",
        "\n*** As it was written, 16 bytes\n:PROPERTIES:\n:VISIBILITY: folded\n:END:\n#+begin_example\n",
        "\n: asked         List *my* files instead of List *my* files: List *my* files\n",
        "\n** Model call 3\n: model         none was asked\n",
        "\n: verdict       broken\n: trouble       List *my* files\n: message       List *my* files\n",
        "\n: by            List *my* files\n: covers        the first 7 things that were said and done\n",
        "\n** All model calls of the turn\n: tokens        30 in the prompt (6 read before), 40 in the reply; some \
         were counted here: the server did not say\n: cost          1.0024 US dollars, estimated\n",
        "\n**** Message, 15 bytes, role “system”\n:PROPERTIES:\n:SHA256: cd\n:VISIBILITY: folded\n:END:\n#+begin_example\n",
        "\n: text          not shown: ",
        "\n*** Raw reply, 15 bytes, +15 ms\n#+begin_example\nList *my* files\n#+end_example\n\n*** Verdict\n\
         : verdict       reject\n: kind          List *my* files\n: message       List *my* files\n\
         : offset        byte 5\n#+begin_example\n --> line 1, column 6 (byte 5)\n  |\n1 | List *my* files\n  |      ^\n\
         #+end_example\n: saved         at most 7 bytes, as it was stopped there\n\
         : tokens        not known: the model did not report them\n: first byte    none came\n\
         : complete      after 12 ms\n: cost          not known: no price is configured\n",
        "\n: tokens        11 in the prompt (5 read before), 22 in the reply (9 of thoughts); counted here: the server \
         did not say\n: first thought after 2 ms\n: first byte    after 3 ms\n: complete      after 4 ms\n\
         : cost          0.0012 US dollars, estimated\n",
        "\n: gate          List *my* files, List *my* files: List *my* files\n: note  ",
        "\n: decision      ask\n: by            policy\n: rule          List *my* files\n\
         : edited        the user changed the command to\n#+begin_example\nList *my* files\n#+end_example\n\
         : steps         what may run\n#+begin_example\n&& [\"ls\",\"List *my* files\"]\n#+end_example\n\
         : network       the user let it use it\n",
        "\n: status        failed\n: exit code     3\n: sandbox       the command was not confined\n",
        "\n: output        15 bytes, maybe cut\n#+begin_example\n",
        "\n** Times\n: +0 ms         chat.message.sent\n: +1 ms         turn.dispatched\n",
    ] {
        assert!(page.contains(part), "{part}\nis not in\n{page}");
    }
}

const HOSTILE: &str = "* heading\n** TODO x :tag:\n#+begin_src sh\nrm -rf ~\n#+end_src\n#+end_example\n,#+end_example\n\
    \x20 #+end_example\n\t,,#+END_EXAMPLE\n* after\n:PROPERTIES:\n:ID: x\n:END:\n#+include: \"/etc/passwd\"\n{{{macro}}}\n\
    [[elisp:(f)][x]] shell:ls <https://x.y> https://x\n<2024-01-01> \\input{x} $x$ src_sh{ls} call_f(x)\n%%(diary)\n\
    # Local Variables:\n# eval: (f)\n# End:\r* cr\r#+end_example\r* more\r\n* crlf\n\u{2028}* ls\n\u{0}\u{202e}\n,* x\n,,* y";

#[test]
fn what_others_wrote_is_never_a_heading_a_block_or_a_drawer() {
    for line in HOSTILE.lines().chain([
        HOSTILE,
        "",
        " ",
        "\n",
        ":END:",
        "x :a:b:",
        "* USER",
        ": x",
        "#+end_example\n",
    ]) {
        let page = page(line);
        check(&page);
        for heading in headings(&page) {
            assert!(
                !heading.contains("[[") && !heading.contains("elisp:(") && !heading.contains('{'),
                "{heading}"
            );
            assert!(
                !heading.ends_with(':') && !heading.contains("x:/") && !heading.contains('\\'),
                "{heading}"
            );
        }
    }
}

#[test]
fn secrets_are_masked_everywhere() {
    let token = "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB";
    let keys = Keys::new(["my-own-secret-key-77"]);
    let text = format!("use {token} and my-own-secret-key-77 here");
    let why = turn(&text);
    let page = org(&why, &keys);
    assert!(
        !page.contains("0123456789abcdef") && !page.contains("secret-key") && page.contains("[redacted: ")
    );
    check(&page);
    let mut deep = json!({token: [text, 1, null, true]});
    for _ in 0..120 {
        deep = json!([{"x": deep}, token]);
    }
    for value in [why, deep] {
        let masked = masked(value, &keys).to_string();
        assert!(!masked.contains("0123456789abcdef") && !masked.contains("secret-key"));
        assert!(masked.contains("[redacted: "));
    }
    let plain = turn("nothing to hide");
    assert_eq!(masked(plain.clone(), &keys), plain);
    // The caret stands where it belongs although the text before it is another one.
    let mut why = turn(&format!("{token}\nab ?cd"));
    why["events"][3]["verdict"]["offset"] = (token.len() + 4).into();
    let page = org(&why, &keys);
    assert!(page.contains("2 | ab ?cd\n  |    ^\n"), "{page}");
    // In a secret it stands at the end of the mask.
    why["events"][3]["verdict"]["offset"] = 20.into();
    let page = org(&why, &keys);
    assert!(page.contains("1 | [redacted: github-token]\n  |                         ^\n"), "{page}");
}

#[test]
fn the_page_and_the_json_are_bounded() {
    let long = "word and \n".repeat((1 << 20) / 10 + 1_000);
    let event = json!({"type": "chat.message.sent", "time": 0, "text": long});
    let page = org(&json!({"events": [event]}), &Keys::default());
    headings(&page);
    assert!(page.contains(" bytes left out …]") && page.len() < (1 << 20) + 1_000, "{}", page.len());
    let many: Vec<Value> = (0..2_000)
        .map(|n| json!({"time": 0, "type": "turn.gated", "attempt": n, "gates": [{"skill": "a"}]}))
        .collect();
    let full = org_within(&json!({"events": many}), &Keys::default(), 50_000);
    assert!(full.len() < 51_000 && full.ends_with("\n: The rest is left out: the page is too long.\n"));
    headings(&full);
    let strings: Vec<String> = vec!["word ".repeat(100); 8];
    let masked = masked_within(json!(strings), &Keys::default(), 3_600).to_string();
    assert!(masked.len() < 4_000 && masked.ends_with("\"[left out: 500 bytes]\"]"), "{masked}");
}

#[test]
fn what_is_not_there_is_no_hindrance() {
    for why in [
        json!(null),
        json!({}),
        json!({"events": 5}),
        json!({"events": [null, [], {"type": "turn.replied"}]}),
    ] {
        assert!(headings(&org(&why, &Keys::default())).len() > 1);
    }
    let far = json!({"events": [{"type": "chat.message.sent", "time": u64::MAX, "text": "x"}]});
    assert!(org(&far, &Keys::default()).contains("9999-12-31"));
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(HOSTILE.split_inclusive([' ', '\n', '\r']).collect::<Vec<_>>()).prop_map(str::to_owned),
        1 => "(?s).{0,6}",
    ]
}

proptest! {
    #[test]
    fn any_text_is_inert(pieces in prop::collection::vec(piece(), 0..10)) {
        check(&page(&pieces.concat()));
    }
}
