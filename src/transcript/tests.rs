//! Transcripts both ways: what is written is read back, and what people and other programs write is understood.

use proptest::prelude::*;

use super::*;

fn said(event: &str, level: u32, text: &str, replies: &[(&str, &str)]) -> Said {
    let reply = |(id, text): &(&str, &str)| Reply { actuation: some(id), text: (*text).to_owned() };
    Said { event: some(event), level, text: text.to_owned(), replies: replies.iter().map(reply).collect() }
}

fn some(id: &str) -> Option<String> {
    Some(id).filter(|id| !id.is_empty()).map(str::to_owned)
}

fn session(id: &str, turns: Vec<Said>) -> Transcript {
    Transcript { session: some(id), turns, ..Transcript::default() }
}

/// What is written of `transcript`, after it was checked that it reads back as `read`.
fn both(transcript: &Transcript, read: &Transcript) -> String {
    let text = write(transcript);
    assert_eq!(parse(&text).as_ref(), Ok(read), "{text}");
    assert_eq!(write(read), text);
    text
}

#[test]
fn the_layout_is_that_of_the_buffer_byte_for_byte() {
    let turns = vec![
        said("e1", 1, "Hello", &[("a1", "Hi.\n\n\n"), ("a2", "And more.\n")]),
        said("e2", 1, "\nstop it", &[]),
        said("e3", 1, "", &[("a3", "*** A heading\ntext")]),
    ];
    let text = both(
        &session("s1", turns),
        &session(
            "s1",
            vec![
                said("e1", 1, "Hello", &[("a1", "Hi."), ("a2", "And more.")]),
                said("e2", 1, "\nstop it", &[]),
                said("e3", 1, "", &[("a3", "*** A heading\ntext")]),
            ],
        ),
    );
    assert_eq!(
        text,
        ":PROPERTIES:\n:OA_SESSION: s1\n:END:\n\
         * USER\n:PROPERTIES:\n:OA_EVENT: e1\n:END:\nHello\n\
         ** ASSISTANT\n:PROPERTIES:\n:OA_ACT: a1\n:END:\nHi.\n\
         ** ASSISTANT\n:PROPERTIES:\n:OA_ACT: a2\n:END:\nAnd more.\n\
         * USER\n:PROPERTIES:\n:OA_EVENT: e2\n:END:\n\nstop it\n\
         * USER\n:PROPERTIES:\n:OA_EVENT: e3\n:END:\n\n\
         ** ASSISTANT\n:PROPERTIES:\n:OA_ACT: a3\n:END:\n*** A heading\ntext\n"
    );
}

#[test]
fn below_a_heading_the_root_is_a_heading() {
    let mut transcript = session("s1", vec![said("e1", 3, "Hello", &[("a1", "Hi.")])]);
    transcript.title = Some("Plan".into());
    let text = both(&transcript, &transcript);
    assert!(text.starts_with("** Plan\n:PROPERTIES:\n:OA_SESSION: s1\n:END:\n*** USER\n"), "{text}");
    assert!(text.contains("\n**** ASSISTANT\n"), "{text}");
    // Without a title it has that of a session without words.
    transcript.title = None;
    assert!(write(&transcript).starts_with("** New chat\n"));
    // A heading in a text would end that subtree: then the root is the file.
    transcript.turns[0].text = "see\n* mine".into();
    let text = both(&transcript, &transcript);
    assert!(text.starts_with(":PROPERTIES:\n:OA_SESSION: s1\n:END:\n*** USER\n"), "{text}");
}

#[test]
fn what_is_not_known_is_left_empty_and_stays_a_turn() {
    let mut transcript = session("", vec![said("", 1, "Hello", &[("", "Hi.")]), said("", 1, "last", &[])]);
    let text = both(&transcript, &transcript);
    assert!(
        text.starts_with(
            ":PROPERTIES:\n:OA_SESSION:\n:END:\n* USER\n:PROPERTIES:\n:OA_EVENT:\n:END:\nHello\n"
        )
    );
    // Identifiers can not break out of their line.
    transcript.turns[0].event = Some("x\n:END:\n* USER\r".into());
    assert!(write(&transcript).contains("\n:OA_EVENT: x:END:* USER\n:END:\nHello\n"));
}

#[test]
fn a_text_may_look_like_nearly_anything() {
    for text in [
        "* USER\nno turn of ours",
        "before\n* USER\n** ASSISTANT\nafter",
        ":PROPERTIES:\n:OA_EVENT: x\n:END:\ntext",
        "* Note\n:PROPERTIES:\n:OA_SESSION: other\n:END:\ntext",
        "* USER :tag:\n:PROPERTIES:\n:OA_EVENT: x\n:END:",
        "*USER\n*\n**\n* \n\u{feff}* x",
        "a\r\nb\r",
    ] {
        let turns = vec![said("e1", 1, text, &[("a1", text)]), said("e2", 1, "next", &[("a2", "last")])];
        both(&session("s1", turns.clone()), &session("s1", turns));
    }
}

#[test]
fn the_input_area_is_a_draft_or_nothing() {
    let turns = vec![said("e1", 1, "Hello", &[("a1", "Hi.")])];
    let text = write(&session("s1", turns.clone()));
    for blank in ["* USER\n", "* USER", "* USER\n\n  \n", "* USER\t \n"] {
        assert_eq!(parse(&format!("{text}{blank}")).unwrap(), session("s1", turns.clone()));
    }
    let read = parse(&format!("{text}* USER\n\n  next\nline\n\n")).unwrap();
    assert_eq!((read.draft.as_deref(), &read.turns), (Some("  next\nline"), &turns));
    assert_eq!(write(&read), format!("{text}* USER\n  next\nline\n"));
    // It may begin like a drawer, and then it gets one.
    let draft =
        Transcript { draft: Some(":PROPERTIES:\n:A: b\n:END:\nx".into()), ..session("s1", turns.clone()) };
    both(&draft, &draft);
    // At another level it is text.
    let read = parse(&format!("{text}*** USER\nnext\n")).unwrap();
    assert_eq!(read.turns[0].replies[0].text, "Hi.\n*** USER\nnext");
    // A new buffer has nothing else.
    assert_eq!(parse(":PROPERTIES:\n:OA_SESSION: s1\n:END:\n* USER\n"), Ok(session("s1", vec![])));
}

#[test]
fn other_systems_and_other_properties_are_no_hindrance() {
    let expected = session("s1", vec![said("e1", 1, "Hello\n\nyou", &[("a1", "Hi.")])]);
    let text = "\n# -*- mode: org -*-\n\n:properties:\n:CATEGORY: x\n:OA_SESSION:   s1  \n:END:\n#+title: mine\n\
                * USER\n:PROPERTIES:\n:ID: 5\n:oa_event: e1\n:VISIBILITY: folded\n:end:\nHello\n\nyou\n\n\
                ** ASSISTANT  \n  :PROPERTIES:\n  :OA_ACT: a1\n  :HEADER-ARGS: :x y\n  :END:\nHi.\n";
    assert_eq!(parse(text).as_ref(), Ok(&expected));
    assert_eq!(parse(&format!("\u{feff}{text}")).as_ref(), Ok(&expected));
    assert_eq!(parse(&text.replace('\n', "\r\n")).as_ref(), Ok(&expected));
    assert_eq!(parse(&format!("\u{feff}{}", text.replace('\n', "\r\n"))).as_ref(), Ok(&expected));
    assert_eq!(parse(text.trim_end()).as_ref(), Ok(&expected));
}

#[test]
fn sessions_are_taken_out_of_a_larger_file() {
    let one = Transcript {
        title: Some("One :tag:".into()),
        ..session("s1", vec![said("e1", 3, "a\n**** b", &[("a1", "c")])])
    };
    let two = Transcript { title: Some("Two".into()), ..session("s2", vec![said("e2", 2, "d", &[])]) };
    let text = format!(
        "#+title: x\n* Notes\nnone of it\n{}** More\nnone\n* USER\nnone\n{}* Last\n",
        write(&one),
        write(&two)
    );
    assert_eq!(parse_all(&text), Ok(vec![one.clone(), two]));
    let problem = parse(&text).unwrap_err();
    assert_eq!((problem.line, problem.message.as_str()), (1, "there are 2 sessions"));
    // One within another one is a part of its text.
    let outer = Transcript { turns: vec![said("e1", 3, &write(&one), &[])], ..one };
    let text = write(&outer).replace("s1", "s3");
    assert_eq!(parse_all(&text).unwrap().len(), 1, "{text}");
}

#[test]
fn what_was_written_by_hand_needs_no_properties() {
    let text = "#+title: x\n\npreamble\n* USER\nHello\n* my list\n** ASSISTANT\nHi.\n*** Details\nd\n** Not said\nx\n\
                * USER\n\nAnd now?\n** ASSISTANT\nNow.\n* Other notes\nnone\n";
    let turns = vec![
        said("", 1, "Hello\n* my list", &[("", "Hi.\n*** Details\nd")]),
        said("", 1, "\nAnd now?", &[("", "Now.")]),
    ];
    assert_eq!(parse(text), Ok(session("", turns)));
    // All at one level, somewhere in a file.
    let text = "* Chat\n** USER\nHello\n** ASSISTANT\nHi.\n*** USER\nd\n** USER\nnext\n";
    let read = parse(text).unwrap();
    assert_eq!(read.turns, [said("", 2, "Hello", &[("", "Hi.\n*** USER\nd")])]);
    assert_eq!(read.draft.as_deref(), Some("next"));
    // A session's heading is enough for its subtree.
    let text = "* Chat\n:PROPERTIES:\n:OA_SESSION: s\n:END:\n** USER\na\n*** ASSISTANT\nb\n* USER\nc\n** ASSISTANT\nd\n";
    let expected =
        Transcript { title: Some("Chat".into()), ..session("s", vec![said("", 2, "a", &[("", "b")])]) };
    assert_eq!(parse(text), Ok(expected));
}

#[test]
fn what_is_no_transcript_is_refused_with_line_and_hint() {
    let problem = |text: &str| {
        let problem = parse(text).unwrap_err();
        assert!(!problem.hint.is_empty());
        (problem.line, problem.message)
    };
    assert_eq!(problem(""), (1, "there is no session".into()));
    assert_eq!(problem("* Notes\nUSER\n"), (1, "there is no session".into()));
    assert_eq!(problem("* USER\n\n"), (1, "there is no session".into()));
    assert_eq!(problem("\u{feff}* USER\na\nb\0c"), (3, "there is a NUL, so this is no text".into()));
    assert_eq!(problem("x\n* a\n** ASSISTANT\na"), (3, "this reply has no prompt above it".into()));
    let below =
        "x\n* a\n:PROPERTIES:\n:OA_SESSION: s\n:END:\n** ASSISTANT\n:PROPERTIES:\n:OA_ACT: a\n:END:\n";
    assert_eq!(problem(below), (6, "this reply has no prompt above it".into()));
    assert!(problem(&" ".repeat(MAX_BYTES + 1)).1.contains("at most"));
}

#[test]
fn a_client_may_hash_a_text_with_or_without_its_last_line_break() {
    let hash = |text: &str| hex(&Sha256::digest(text));
    for stored in ["a\nb", "a\nb\n", "a\nb\n\n\n"] {
        for seen in ["a\nb", "a\nb\n"] {
            assert!(!edited(stored, &hash(seen)));
            assert!(!edited(stored, &hash(seen).to_uppercase()));
        }
        for seen in ["a\nb\n\n", "a\nb ", "a\n", ""] {
            assert!(edited(stored, &hash(seen)));
        }
    }
    assert!(!edited("a\n\n\n", &hash("a\n\n\n")));
    assert!(!edited("", &hash("\n")) && !edited("", &hash("")));
    assert!(edited("a", "") && edited("a", &hash("a")[1..]));
}

#[test]
fn a_title_is_the_first_line_with_words() {
    for (text, expected) in [
        ("Hello", "Hello"),
        ("\n\n---\n* \n# **How do I  list\tfiles?**\nmore", "How do I list files?"),
        ("see [[https://x.y/z][the *manual*]] and [[id:5]]", "see the *manual* and id:5"),
        ("- [ ] do [this](https://x) ![image](y.png)!", "[ ] do this image!"),
        ("[[a [b](c) d] [[e][f", "[[a b d] [[e][f"),
        ("[a [[b][c]] d]", "[a c d]"),
        ("\u{202e}\u{7}\"quoted\"\u{200b}", "quoted"),
        ("* + # !?", NO_TITLE),
        ("", NO_TITLE),
        ("日本語", "日本語"),
        ("/explain this", "/explain this"),
    ] {
        assert_eq!(title(text), expected, "{text:?}");
    }
    let long = "word ".repeat(40);
    assert_eq!(title(&long), "word ".repeat(11) + "word…");
    assert_eq!(title(&"é".repeat(61)), format!("{}…", "é".repeat(59)));
    assert_eq!(title(&"é".repeat(60)), "é".repeat(60));
}

#[test]
fn a_file_name_is_safe() {
    for (title, id, expected) in [
        ("How do I list files?", "3f99aa00-1234", "how-do-i-list-files-3f99aa00.org"),
        ("../../etc/passwd", "../..//x", "etc-passwd-x.org"),
        ("\0\n", "", "chat-session.org"),
        ("日本語", "日本", "chat-session.org"),
        (&"a b".repeat(50), "12345678", "a-ba-ba-ba-ba-ba-ba-ba-ba-ba-ba-ba-ba-ba-12345678.org"),
    ] {
        assert_eq!(file_name(title, id), expected, "{title:?}");
    }
}

/// Pieces of text that matter here.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "\n", "\r\n", "\r", "* ", "** USER", "* USER\n", "** ASSISTANT\n", "* ASSISTANT", " ", "\t", ":PROPERTIES:\n",
            ":END:\n", ":OA_SESSION: s\n", ":OA_EVENT: e\n", ":OA_ACT: a\n", ":OA_EVENT:\n", "* x\n", "*** y\n", "\u{feff}",
            ":x:", "word", "# c\n", "*", "é",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat())
}

/// Whether a line of `text` could be read as a turn, or as the input area.
fn is_ambiguous(text: &str) -> bool {
    text.split('\n').any(|line| {
        let title = line.trim_start_matches('*');
        title.len() < line.len() && ["USER", "ASSISTANT"].contains(&title.trim_matches([' ', '\t', '\r']))
    })
}

fn transcript() -> impl Strategy<Value = Transcript> {
    let id = || prop::option::of(prop_oneof!["[a-f0-9-]{0,8}", "\\PC{0,4}", Just(" x\ny\t".to_owned())]);
    let reply = (id(), text()).prop_map(|(actuation, text)| Reply { actuation, text });
    let turn = (id(), 0..70_u32, text(), prop::collection::vec(reply, 0..3));
    let turn = turn.prop_map(|(event, level, text, replies)| Said { event, level, text, replies });
    (id(), id(), prop::collection::vec(turn, 0..4), prop::option::of(text()))
        .prop_map(|(session, title, turns, draft)| Transcript { session, title, turns, draft })
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_written_again_as_it_was(mut transcript in transcript()) {
        let replies = |said: &Said| said.replies.iter().map(|reply| reply.text.clone()).collect::<Vec<_>>();
        let mut texts: Vec<String> =
            transcript.turns.iter().flat_map(|said| [vec![said.text.clone()], replies(said)].concat()).collect();
        texts.extend(transcript.draft.clone());
        if texts.iter().any(|text| is_ambiguous(text)) {
            // Such a line would be a turn of its own: here it is made none.
            let plain = |text: &mut String| *text = text.replace("USER", "user").replace("ASSISTANT", "assistant");
            for said in &mut transcript.turns {
                plain(&mut said.text);
                said.replies.iter_mut().for_each(|reply| plain(&mut reply.text));
            }
            transcript.draft.iter_mut().for_each(plain);
        }
        let text = write(&transcript);
        let read = parse(&text);
        prop_assert!(read.is_ok(), "{:?} of\n{}", read, text);
        let read = read.unwrap();
        prop_assert_eq!(write(&read), text);
        let counts = |all: &Transcript| all.turns.iter().map(|said| said.replies.len()).collect::<Vec<_>>();
        prop_assert_eq!(counts(&read), counts(&transcript));
        for (said, was) in read.turns.iter().zip(&transcript.turns) {
            prop_assert_eq!(&said.text, was.text.trim_end_matches('\n'));
        }
    }

    #[test]
    fn bare_headings_in_a_text_are_text_if_a_turn_comes_later(words in text()) {
        prop_assume!(!words.to_ascii_lowercase().contains(":properties:"));
        let turns = vec![said("e1", 1, &words, &[("a1", &words)]), said("e2", 1, "next", &[])];
        let text = write(&session("s", turns.clone()));
        let read = parse(&text).unwrap();
        prop_assert_eq!(write(&read), text);
        prop_assert_eq!(read.turns.len(), 2);
    }

    #[test]
    fn any_text_is_read_or_refused_and_nothing_is_made_up(text in text()) {
        match parse_all(&text) {
            Err(problem) => {
                let lines = text.split('\n').count();
                prop_assert!((1..=lines).contains(&problem.line) && !problem.hint.is_empty());
            }
            Ok(all) => {
                let size = |said: &Said| {
                    said.text.len() + said.replies.iter().map(|reply| reply.text.len()).sum::<usize>()
                };
                let bytes: usize = all.iter().flat_map(|one| &one.turns).map(size).sum();
                prop_assert!(bytes <= text.len());
            }
        }
    }

    #[test]
    fn names_are_safe_and_bounded(text in "(?s).{0,200}", id in "(?s).{0,40}") {
        let name = title(&text);
        prop_assert!((1..=60).contains(&name.chars().count()) && !name.contains(char::is_control));
        let file = file_name(&text, &id);
        let stem = file.strip_suffix(".org").unwrap();
        prop_assert!(stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !stem.starts_with('-'));
        prop_assert!(stem.len() <= 40 + 1 + 8);
    }
}
