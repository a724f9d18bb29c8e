//! The chat in a file: what is found in it, and what the edits make of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use org_agent::lsp::plain::layout::{Edit, Layout, Target, apply};
use org_agent::lsp::plain::text::Language;
use org_agent::org;
use org_agent::transcript::{Reply, Said, Transcript, parse, write};
use proptest::prelude::*;

const ORG: Language = Language::Org;
const MARKDOWN: Language = Language::Markdown;

/// The messages of the open prompts.
fn open(text: &str, language: Language) -> Vec<String> {
    let layout = Layout::new(text, language);
    layout.open().map(|prompt| layout.message(prompt).into_owned()).collect()
}

/// Sends the open prompt at the end, and puts in a reply.
fn turn(text: &str, language: Language, number: usize, reply: &str) -> String {
    let (event, act) = (format!("e{number}"), format!("a{number}"));
    let layout = Layout::new(text, language);
    let edits = match layout.target(None) {
        Target::Prompt(prompt) => layout.edit_sent(prompt, &event, "s1", None),
        Target::Free(section) => layout.edit_headed(&section, &event, "s1"),
        Target::Notes(section) => {
            layout.edit_asked(&format!("About: {}", section.heading.unwrap()), &event, "s1")
        }
        Target::Nothing => layout.edit_asked("Explain this.", &event, "s1"),
    };
    let sent = apply(text, &edits);
    let reply = org::apply(reply, 2).0;
    let edits = Layout::new(&sent, language).edit_reply(&event, &act, &reply).unwrap();
    let done = apply(&sent, &edits);
    let layout = Layout::new(&done, language);
    assert!(layout.has_act(&act), "{done}");
    assert_eq!(layout.prompt_of(&event).unwrap().acts, [act.as_str()]);
    assert_eq!(layout.edit_reply(&event, &act, &reply), Some(Vec::new()), "applied once");
    assert_eq!(layout.session(0), Some("s1"));
    done
}

#[test]
fn a_chat_in_org() {
    let one = turn("* USER\n\nHello,\nwörld.\n\n", ORG, 1, "Hi *there*.");
    let expected = ":PROPERTIES:\n:OA_SESSION: s1\n:END:\n* USER\n:PROPERTIES:\n:OA_EVENT: e1\n:END:\nHello,\nwörld.\n\
                    ** ASSISTANT\n:PROPERTIES:\n:OA_ACT: a1\n:END:\nHi *there*.\n* USER\n";
    assert_eq!(one, expected);
    let two = turn(&format!("{one}More"), ORG, 2, "Yes.\n\n");
    let expected = format!(
        "{expected}:PROPERTIES:\n:OA_EVENT: e2\n:END:\nMore\n** ASSISTANT\n:PROPERTIES:\n:OA_ACT: a2\n:END:\nYes.\n* USER\n"
    );
    assert_eq!(two, expected);
    let read = parse(&two).unwrap();
    assert_eq!(format!("{}* USER\n", write(&read)), two);
}

#[test]
fn a_chat_in_markdown() {
    let one = turn("# USER\nHello", MARKDOWN, 1, "Hi *there*.\n\n# Plan\n- <b>");
    let expected = "<!-- OA_SESSION: s1 -->\n# USER\n<!-- OA_EVENT: e1 -->\nHello\n## ASSISTANT\n<!-- OA_ACT: a1 -->\n\
                    Hi *there*.\n\n### Plan\n\n- \\<b>\n# USER\n";
    assert_eq!(one, expected.replace("*there*", "**there**"));
    let two = turn(&format!("{one}\nMore\n\n\n"), MARKDOWN, 2, "Yes.");
    assert!(
        two.ends_with(
            "# USER\n<!-- OA_EVENT: e2 -->\nMore\n## ASSISTANT\n<!-- OA_ACT: a2 -->\nYes.\n# USER\n"
        ),
        "{two}"
    );
}

#[test]
fn the_session_is_written_where_it_belongs() {
    let put = |text: &str, language| apply(text, &Layout::new(text, language).edit_session("s", 0));
    for (text, expected) in [
        ("", ":PROPERTIES:\n:OA_SESSION: s\n:END:\n"),
        ("\u{feff}x", "\u{feff}:PROPERTIES:\n:OA_SESSION: s\n:END:\nx"),
        ("# -*- x -*-", "# -*- x -*-\n:PROPERTIES:\n:OA_SESSION: s\n:END:\n"),
        ("#+title: x\n", ":PROPERTIES:\n:OA_SESSION: s\n:END:\n#+title: x\n"),
        (
            "# c\n\n:PROPERTIES:\n:ID: x\n:END:\ntext",
            "# c\n\n:PROPERTIES:\n:ID: x\n:OA_SESSION: s\n:END:\ntext",
        ),
        (":PROPERTIES:\n:oa_session: old\n:ID: x\n:END:\n", ":PROPERTIES:\n:OA_SESSION: s\n:ID: x\n:END:\n"),
        (":PROPERTIES:\n:END:", ":PROPERTIES:\n:OA_SESSION: s\n:END:"),
        (":PROPERTIES:\r\n:ID: x\r\n:END:\r\n", ":PROPERTIES:\r\n:ID: x\r\n:OA_SESSION: s\r\n:END:\r\n"),
        (":PROPERTIES:\n:OA_SESSION: s\n:END:\n", ":PROPERTIES:\n:OA_SESSION: s\n:END:\n"),
    ] {
        assert_eq!(put(text, ORG), expected, "{text:?}");
        assert_eq!(Layout::new(expected, ORG).session(0), Some("s"));
        assert_eq!(put(expected, ORG), expected);
    }
    for (text, expected) in [
        ("", "<!-- OA_SESSION: s -->\n"),
        ("# A", "<!-- OA_SESSION: s -->\n# A"),
        ("---\na: b\n---\n\n# A\n", "---\na: b\n---\n<!-- OA_SESSION: s -->\n\n# A\n"),
        ("---\na: b\n---", "---\na: b\n---\n<!-- OA_SESSION: s -->\n"),
        ("---\nno end\n", "<!-- OA_SESSION: s -->\n---\nno end\n"),
        ("\n<!-- OA_SESSION: old -->\n# A", "\n<!-- OA_SESSION: s -->\n# A"),
    ] {
        assert_eq!(put(text, MARKDOWN), expected, "{text:?}");
        assert_eq!(Layout::new(expected, MARKDOWN).session(0), Some("s"));
        assert_eq!(put(expected, MARKDOWN), expected);
    }
    // A part of a larger file may be a session of its own.
    let part = "* A\n* Chat\n:PROPERTIES:\n:OA_SESSION: p\n:END:\n** USER\nx\n";
    let layout = Layout::new(part, ORG);
    assert_eq!((layout.session(0), layout.session(part.len())), (None, Some("p")));
    assert_eq!(layout.edit_session("p", part.len()), []);
}

#[test]
fn what_stands_in_code_is_no_prompt() {
    for (text, expected) in [
        ("* USER\na\n", vec!["a"]),
        ("* USER \r\na\r\nb\r\n", vec!["a\nb"]),
        ("#+begin_src org\n* USER\nx\n#+end_src\n", vec![]),
        ("#+BEGIN_EXAMPLE\n* USER\nx\n#+end_example\n* USER\ny", vec!["y"]),
        ("#+begin_src org\n* USER\nx\n", vec!["x"]),
        (
            "#+begin_src org\n* USER\nx\n#+begin_src sh\nls\n#+end_src\n",
            vec!["x\n#+begin_src sh\nls\n#+end_src"],
        ),
        ("#+begin_comment\n* USER\nx\n#+end_comment\n", vec![]),
        ("#+begin: x\n* USER\nx\n#+end:\n", vec![]),
        (":NOTES:\n* USER\nx\n:END:\n", vec![]),
        ("# * USER\nx\n", vec![]),
        (",* USER\nx\n", vec![]),
        ("* USERS\nx\n* User\n* TODO USER\n*USER\n", vec![]),
        ("** USER\nx\n** USER\n", vec!["x", ""]),
        ("* USER\nx\n** part\ny\n** USER\nz\n* Other\n", vec!["x\n** part\ny\n** USER\nz"]),
        ("* USER\n:PROPERTIES:\n:OA_EVENT: e\n:END:\nx\n** ASSISTANT\n*** USER\ny\n* USER\nz", vec!["z"]),
        ("* USER\n:PROPERTIES:\n:OA_EVENT:\n:END:\nx\n", vec![]),
        ("* ASSISTANT\n** USER\ny\n* USER\nz", vec!["z"]),
    ] {
        assert_eq!(open(text, ORG), expected, "{text:?}");
    }
    for (text, expected) in [
        ("# USER\na\n", vec!["a"]),
        (" ## USER ##\na", vec!["a"]),
        ("```md\n# USER\nx\n```\n# USER\ny", vec!["y"]),
        ("~~~~\n# USER\n~~~\n# USER\n~~~~\n", vec![]),
        ("```\n# USER\nx\n", vec!["x"]),
        ("``` a`b\n# USER\nx\n```\n", vec!["x\n```"]),
        ("<!--\n# USER\nx\n-->\n# USER\ny", vec!["y"]),
        ("<!-- a --> b\n# USER\nx", vec!["x"]),
        ("<PRE>\n# USER\n</pre>\n", vec![]),
        ("---\n# USER\n---\n", vec![]),
        ("    # USER\nx\n", vec![]),
        ("#USER\n# USERS\n###### USER\nx", vec![]),
        (
            "# USER\n<!-- OA_EVENT: e -->\nx\n## ASSISTANT\n<!-- OA_ACT: a -->\n### USER\ny\n# USER\nz",
            vec!["z"],
        ),
        // One that is never closed hides nothing.
        (
            "# USER\n<!-- OA_EVENT: e -->\n````\n## ASSISTANT\n<!-- OA_ACT: a -->\n```\n# USER\n```\n# USER\nz",
            vec!["z"],
        ),
        ("- ```sh\n  # USER\n  ```\n# USER\nz", vec!["z"]),
        ("> ```\n> # USER\n# USER\nz", vec!["z"]),
    ] {
        assert_eq!(open(text, MARKDOWN), expected, "{text:?}");
    }
}

#[test]
fn what_is_sent() {
    let text = "* USER\none\n* Notes\nn\n* USER\ntwo\n* USER\n";
    let layout = Layout::new(text, ORG);
    let sent = |at| match layout.target(at) {
        Target::Prompt(prompt) => layout.message(prompt).into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(sent(Some(8)), "one");
    assert_eq!(sent(Some(14)), "two", "in the notes");
    assert_eq!((sent(None), sent(Some(text.len()))), ("two".into(), "two".into()));
    assert_eq!(Layout::new("* USER\n\n", ORG).target(None), Target::Nothing);
    assert_eq!(Layout::new(" \n", ORG).target(Some(0)), Target::Nothing);
    let layout = Layout::new("#+title: t\n\nfree\n* A\nnotes\n** B\n", ORG);
    match layout.target(Some(13)) {
        Target::Free(section) => assert_eq!(layout.words(section.body), "free"),
        other => panic!("{other:?}"),
    }
    match layout.target(Some(20)) {
        Target::Notes(section) => {
            assert_eq!((section.heading, layout.words(section.body).as_ref()), (Some("A"), "notes"));
            assert_eq!(layout.words(section.range), "* A\nnotes\n** B");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn free_text_and_notes() {
    assert_eq!(
        turn("\nWhat is this?", ORG, 1, "That."),
        ":PROPERTIES:\n:OA_SESSION: s1\n:END:\n* USER\n:PROPERTIES:\n:OA_EVENT: e1\n:END:\nWhat is this?\n\
         ** ASSISTANT\n:PROPERTIES:\n:OA_ACT: a1\n:END:\nThat.\n* USER\n"
    );
    assert_eq!(
        turn("#+title: t\n\nWhat?\n", ORG, 1, "That."),
        ":PROPERTIES:\n:OA_SESSION: s1\n:END:\n#+title: t\n\n* USER\n:PROPERTIES:\n:OA_EVENT: e1\n:END:\nWhat?\n\
         ** ASSISTANT\n:PROPERTIES:\n:OA_ACT: a1\n:END:\nThat.\n* USER\n"
    );
    assert_eq!(
        turn("---\nx: y\n---\nWhat?\n", MARKDOWN, 1, "That."),
        "---\nx: y\n---\n<!-- OA_SESSION: s1 -->\n# USER\n<!-- OA_EVENT: e1 -->\nWhat?\n## ASSISTANT\n<!-- OA_ACT: a1 -->\n\
         That.\n# USER\n"
    );
    assert_eq!(
        turn("* A\nnotes", ORG, 1, "That."),
        ":PROPERTIES:\n:OA_SESSION: s1\n:END:\n* A\nnotes\n* USER\n:PROPERTIES:\n:OA_EVENT: e1\n:END:\nAbout: A\n\
         ** ASSISTANT\n:PROPERTIES:\n:OA_ACT: a1\n:END:\nThat.\n* USER\n"
    );
    assert!(
        turn("* USER\n", ORG, 1, "x")
            .contains("* USER\n:PROPERTIES:\n:OA_EVENT: e1\n:END:\nExplain this.\n** ASS")
    );
}

#[test]
fn notes_behind_a_turn_stay_where_they_are() {
    let text = "* USER\none\n\n* Notes\nn\n";
    let done = turn(text, ORG, 1, "r");
    assert_eq!(
        done,
        ":PROPERTIES:\n:OA_SESSION: s1\n:END:\n* USER\n:PROPERTIES:\n:OA_EVENT: e1\n:END:\none\n\
         ** ASSISTANT\n:PROPERTIES:\n:OA_ACT: a1\n:END:\nr\n\n* Notes\nn\n* USER\n"
    );
    let deep = "* Topic\n** USER\none\n* Other\n";
    assert!(turn(deep, ORG, 1, "r").ends_with("\nr\n** USER\n* Other\n"), "{}", turn(deep, ORG, 1, "r"));
}

#[test]
fn a_prompt_with_properties_keeps_them() {
    let text = "* USER\n:PROPERTIES:\n:ID: x\n:END:\nhello\n";
    let layout = Layout::new(text, ORG);
    let sent = apply(text, &layout.edit_sent(&layout.prompts()[0], "e", "s", None));
    assert!(sent.ends_with("* USER\n:PROPERTIES:\n:ID: x\n:OA_EVENT: e\n:END:\nhello\n"), "{sent}");
    let sent = apply(text, &layout.edit_sent(&layout.prompts()[0], "e", "s", Some("new\n\n")));
    assert!(sent.ends_with(":END:\nnew\n"), "{sent}");
}

#[test]
fn commands_stand_before_the_reply() {
    let text = "* USER\n:PROPERTIES:\n:OA_EVENT: e\n:END:\nhello\n\n* USER\n";
    let layout = Layout::new(text, ORG);
    let with = apply(text, &layout.edit_block("e", "ls *\n* x\n#+end_src").unwrap());
    assert_eq!(
        with,
        "* USER\n:PROPERTIES:\n:OA_EVENT: e\n:END:\nhello\n#+begin_src sh\nls *\n,* x\n,#+end_src\n#+end_src\n* USER\n"
    );
    let layout = Layout::new(&with, ORG);
    assert_eq!(layout.turn_end("e"), with.find("\n* USER\n").map(|at| at + 1));
    let done = apply(&with, &layout.edit_reply("e", "a", "r").unwrap());
    assert!(
        done.ends_with("#+end_src\n** ASSISTANT\n:PROPERTIES:\n:OA_ACT: a\n:END:\nr\n* USER\n"),
        "{done}"
    );
    assert_eq!((layout.edit_block("other", "ls"), layout.turn_end("other")), (None, None));
    assert_eq!(layout.edit_reply("other", "a", "r"), None);
    let text = "# USER\n<!-- OA_EVENT: e -->\nhello";
    let with = apply(text, &Layout::new(text, MARKDOWN).edit_block("e", "echo '```'").unwrap());
    assert_eq!(with, "# USER\n<!-- OA_EVENT: e -->\nhello\n````sh\necho '```'\n````\n");
}

#[test]
fn what_a_prompt_leaves_open_is_closed() {
    for (prompt, end) in
        [("```\nx", "```\n"), ("a\n- ~~~~ y\n  x", "  ~~~~\n"), ("<!-- x", "-->\n"), ("```\nx\n```", "")]
    {
        let done = turn(&format!("# USER\n{prompt}\n"), MARKDOWN, 1, "```\ny\n```");
        assert!(done.contains(&format!("{prompt}\n{end}## ASSISTANT\n")), "{done}");
    }
}

#[test]
fn line_ends_are_those_of_the_file() {
    let done = turn("* USER\r\nhello\r\n", ORG, 1, "a\nb");
    assert!(!done.replace("\r\n", "").contains('\n'), "{done:?}");
    assert_eq!(parse(&done).unwrap().turns[0].replies[0].text, "a\nb");
}

#[test]
fn a_fresh_prompt() {
    let fresh = |text: &str| apply(text, &Layout::new(text, ORG).edit_fresh());
    assert_eq!(
        (fresh(""), fresh("x"), fresh("* USER\n")),
        ("* USER\n".into(), "x\n* USER\n".into(), "* USER\n".into())
    );
}

/// Text as people and models write it, with what might be taken for the layout.
fn text() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "word",
        "é 😀",
        "",
        "  ",
        "** sub",
        "* USER",
        "* Notes",
        "** ASSISTANT",
        "# USER",
        "## ASSISTANT",
        "# Notes",
        ":PROPERTIES:",
        ":OA_EVENT: x",
        ":OA_ACT: y",
        ":OA_SESSION: z",
        ":END:",
        "#+begin_src sh",
        "#+end_src",
        "#+begin_example",
        "#+end_example",
        "```",
        "~~~",
        "<!--",
        "-->",
        "<!-- OA_EVENT: x -->",
        "<!-- OA_ACT: y -->",
        "<!-- OA_SESSION: z -->",
        "---",
        ":NOTES:",
        "# c",
    ]);
    let end = prop::sample::select(vec!["\n", "\n", "\n", "\n", "\r\n", "\r", ""]);
    prop::collection::vec((line, end), 0..16)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| format!("{line}{end}")).collect())
}

/// Edits are in order, do not touch, and lie on characters.
fn are_sound(text: &str, edits: &[Edit]) -> Result<(), TestCaseError> {
    let mut last = None;
    for edit in edits {
        prop_assert!(text.get(edit.range.clone()).is_some(), "{edit:?} in {text:?}");
        prop_assert!(last.is_none_or(|last| last < edit.range.start), "{edits:?} in {text:?}");
        last = Some(edit.range.end);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// What the edits write is the export of the same session.
    #[test]
    fn a_file_of_edits_is_the_export(said in prop::collection::vec(("[a-zé😀][a-zé 😀*]{0,8}(\n[a-z ]{1,5}){0,2}", prop::option::of("[a-zé*:# \n-]{0,20}")), 1..5)) {
        let mut text = String::new();
        let mut turns = Vec::new();
        for (number, (prompt, reply)) in said.iter().enumerate() {
            let event = format!("e{number}");
            let fresh = Layout::new(&text, ORG).edit_fresh();
            text = apply(&text, &fresh);
            text.push_str(&format!("{prompt}x\n\n"));
            let layout = Layout::new(&text, ORG);
            let Target::Prompt(prompt) = layout.target(None) else { panic!("{text}") };
            let message = layout.message(prompt).into_owned();
            let edits = layout.edit_sent(prompt, &event, "s", None);
            text = apply(&text, &edits);
            let mut replies = Vec::new();
            if let Some(reply) = reply {
                let reply = org::apply(reply, 2).0;
                let act = format!("a{number}");
                let edits = Layout::new(&text, ORG).edit_reply(&event, &act, &reply).unwrap();
                text = apply(&text, &edits);
                replies.push(Reply { actuation: Some(act), text: reply });
            }
            turns.push(Said { event: Some(event), level: 1, text: message, replies });
        }
        let export = write(&Transcript { session: Some("s".into()), title: None, turns, draft: None });
        prop_assert_eq!(text.strip_suffix("* USER\n").unwrap_or(&text), export);
    }

    /// Whatever a model writes, there is no prompt in it, and no reply but its own.
    #[test]
    fn a_model_writes_no_prompt(prompt in text(), reply in text(), command in text(), is_org in any::<bool>(), level in 1usize..6) {
        let language = if is_org { ORG } else { MARKDOWN };
        let title = if is_org { "*" } else { "#" }.repeat(level);
        // A prompt of words, and one that may leave something open.
        for prompt in ["word", &format!("- {}", prompt.replace(['*', '#'], ""))] {
            let text = format!("{title} USER\n{prompt}\n");
            let layout = Layout::new(&text, language);
            let Some(prompt) = layout.prompts().first() else { continue };
            let mut text = apply(&text, &layout.edit_sent(prompt, "e", "s", None));
            for part in [&command, &reply] {
                let edits = Layout::new(&text, language).edit_block("e", part).unwrap();
                text = apply(&text, &edits);
            }
            let reply = org::apply(&reply, level + 1).0;
            let edits = Layout::new(&text, language).edit_reply("e", "a", &reply).unwrap();
            text = apply(&text, &edits);
            for text in [&text, &text.replace('\r', "\n")] {
                let layout = Layout::new(text, language);
                let open: Vec<_> = layout.open().map(|prompt| layout.message(prompt)).collect();
                prop_assert_eq!(open, [""], "{}", text);
                prop_assert_eq!(layout.prompts().len(), 2, "{}", text);
                prop_assert_eq!(&layout.prompts()[0].acts, &["a"], "{}", text);
            }
        }
    }

    #[test]
    fn any_text_has_a_layout(text in text(), at in 0usize..200, is_org in any::<bool>(), reply in text()) {
        let language = if is_org { ORG } else { MARKDOWN };
        let layout = Layout::new(&text, language);
        for prompt in layout.prompts() {
            prop_assert!(text.get(prompt.heading.clone()).is_some() && text.get(prompt.body.clone()).is_some());
            prop_assert!(prompt.heading.end <= prompt.body.start && prompt.body.end <= prompt.end);
        }
        for pair in layout.prompts().windows(2) {
            prop_assert!(pair[0].end <= pair[1].heading.start);
        }
        let section = layout.section_at(at);
        prop_assert!(text.get(section.range).is_some() && text.get(section.body).is_some());
        let edits = match layout.target(Some(at)) {
            Target::Prompt(prompt) => layout.edit_sent(prompt, "new", "s", None),
            Target::Free(section) => layout.edit_headed(&section, "new", "s"),
            Target::Notes(_) | Target::Nothing => layout.edit_asked("what", "new", "s"),
        };
        are_sound(&text, &edits)?;
        let sent = apply(&text, &edits);
        let layout = Layout::new(&sent, language);
        let edits = layout.edit_reply("new", "act", &org::apply(&reply, 2).0);
        prop_assert!(edits.is_some(), "{sent:?} of {text:?}");
        let edits = edits.unwrap();
        are_sound(&sent, &edits)?;
        let done = apply(&sent, &edits);
        let layout = Layout::new(&done, language);
        prop_assert!(layout.has_act("act"), "{done:?}");
        prop_assert!(layout.open().next().is_some(), "{done:?}");
        let again = layout.edit_block("new", &text).unwrap();
        are_sound(&done, &again)?;
        let with = apply(&done, &again);
        prop_assert!(Layout::new(&with, language).prompt_of("new").is_some());
    }
}
