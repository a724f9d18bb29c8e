//! A reply on its way to a verified action: previews, the kernel's own messages, edited commands.

use org_agent::action::{Action, CHAT_BUFFER, Kind};
use org_agent::org;
use org_agent::sexp::kind;
use org_agent::sexp::printer::print;
use org_agent::verify::{Accepted, Reading, Verified, system_error, with_command};

/// Reads `chunks`; what was accepted, and the preview after each chunk.
fn read(chunks: &[&str]) -> (Accepted, Vec<String>) {
    let mut reading = Reading::new("notes", 1);
    let mut previews = Vec::new();
    for chunk in chunks {
        reading.feed(chunk.as_bytes()).unwrap();
        previews.push(reading.take_preview());
    }
    (reading.finish().unwrap(), previews)
}

fn shell(reply: &str) -> Verified<Action> {
    read(&[reply]).0.action
}

#[test]
fn previews_begin_once_the_form_is_known_and_add_up_to_the_text() {
    for (chunks, shown_from) in [
        (&["(:type :response :payload (:text \"One.\n", "Two.\nThr", "ee.\n\"))"][..], 0),
        (&["(:payload (:text \"One.\nTwo.\n", "\") :type ", ":", "r", "esponse)"], 3),
        (
            &[
                "(:payload (:text \"One.\n",
                "Two.\n\" :",
                "buff",
                "er \"notes\" :action :insert-at-end",
                ") :type :request :target :emacs)",
            ],
            2,
        ),
        (
            &[
                "(:type :request :payload (:t",
                "e",
                "xt \"One.\nTwo.\n",
                "* Three\n\" :buffer \"notes\" :action :insert-at-end) :target :emacs)",
            ],
            2,
        ),
        (&["(:type :re", "sponse :payload (:text \"a\\", "n\\ud83d", "\\ude00 **b**\n# c\nd\" ", "))"], 1),
    ] {
        let (accepted, previews) = read(chunks);
        for early in &previews[..shown_from] {
            assert_eq!(early, "", "{chunks:?}");
        }
        // A line at most is held back by the contract.
        assert!(previews.iter().any(|preview| !preview.is_empty()), "{chunks:?} {previews:?}");
        let text = accepted.action.action().text("text").unwrap();
        assert_eq!(previews.concat() + &accepted.rest, text, "{chunks:?}");
        let raw = accepted.raw.text("text").unwrap();
        assert_eq!(org::apply(raw, 1), (text.to_owned(), accepted.changes), "{chunks:?}");
        // How it was cut changes nothing, nor does not looking at previews.
        let whole = read(&[&chunks.concat()]).0;
        assert_eq!((&whole.action, &whole.raw), (&accepted.action, &accepted.raw));
    }
}

#[test]
fn what_the_user_does_not_read_is_never_previewed() {
    for reply in [
        "(:type :log :payload (:text \"* a\n\"))",
        "(:payload (:text \"# a\n\") :type :log)",
        "(:type :request :target :shell :payload (:cmd \"ls\"))",
        "(:type :request :target :skill :payload (:name \"x\"))",
    ] {
        let chunks: Vec<String> = reply.chars().map(String::from).collect();
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        let (accepted, previews) = read(&chunks);
        assert_eq!(previews.concat() + &accepted.rest, "", "{reply}");
        assert_eq!(accepted.action.action(), &accepted.raw, "{reply}");
        assert!(accepted.changes.is_empty());
    }
}

#[test]
fn a_rejection_is_final_and_what_was_previewed_was_viable() {
    let mut reading = Reading::new("notes", 1);
    reading.feed(b"(:type :response :payload (:text \"One.\nTwo.\n").unwrap();
    let preview = reading.take_preview();
    assert!(preview.starts_with("One."), "{preview}");
    let first = reading.feed(b"x\0 three\n").unwrap_err();
    assert_eq!(first.kind, kind::BAD_CHARACTER);
    assert_eq!(reading.feed(b"\"))").unwrap_err(), first);
    assert_eq!(reading.finish().unwrap_err(), first);
}

#[test]
fn a_system_error_is_an_insert_that_org_reads_as_text() {
    let long = "é".repeat(600);
    let lines = "ab\n".repeat(400);
    for (message, rejected, expected) in [
        ("The model is gone.", None, "*System Error:* The model is gone."),
        ("", None, "*System Error:*"),
        ("a\n* b\n#+begin_src sh\u{7}", None, "*System Error:* a * b #+begin_src sh\\u{7}"),
        ("No.", Some("* x\n\n#+begin_src\t\r\n"), "*System Error:* No.\n\n: * x\n:\n: #+begin_src\\t\\r\n:"),
        ("No.", Some("a\0\u{1B}[0m\u{202E}b"), "*System Error:* No.\n\n: a\\u{0}\\u{1b}[0m\\u{202e}b"),
        ("No.", Some(""), "*System Error:* No.\n\n:"),
        ("No.", Some(&long[..1000]), &format!("*System Error:* No.\n\n: {}", "é".repeat(500))),
        ("No.", Some(&long[..1002]), &format!("*System Error:* No.\n\n: {}\n: [cut here]", "é".repeat(494))),
        ("No.", Some(&lines), &format!("*System Error:* No.\n\n{}: [cut here]", ": ab\n".repeat(330))),
    ] {
        let verified = system_error(message, rejected);
        let action = verified.action();
        assert_eq!((action.kind(), action.text("buffer")), (Kind::Insert, Some(CHAT_BUFFER)));
        let text = action.text("text").unwrap();
        assert_eq!(text, expected);
        // It is itself what a model might have said, and the contract has nothing to change in it.
        assert_eq!(&read(&[&print(action)]).0.action, &verified);
        let shown: usize = text.lines().skip(2).map(|line| line.len() - 1).sum();
        assert!(shown <= 1_000 + text.lines().count());
    }
}

#[test]
fn an_edited_command_obeys_the_grammar() {
    let action = shell(
        "(:type :request :target :shell :payload (:cmd \"ls\" :cwd \"/x\" :timeout 5) :explanation \"why\")",
    );
    for (command, expected) in [
        (
            "rm \"a\" \\\n\tb é",
            Ok(
                "(:type :request :target :shell :explanation \"why\" :payload (:cmd \"rm \\\"a\\\" \\\\\\n\\tb é\" :cwd \"/x\" :timeout 5))",
            ),
        ),
        (
            "\" :cmd \"x",
            Ok(
                "(:type :request :target :shell :explanation \"why\" :payload (:cmd \"\\\" :cmd \\\"x\" :cwd \"/x\" :timeout 5))",
            ),
        ),
        ("", Err(kind::EMPTY_COMMAND)),
        ("ls\0", Err(kind::BAD_CHARACTER)),
        ("ls \u{9B}", Err(kind::BAD_CHARACTER)),
        ("ls \u{202E}", Err(kind::BAD_CHARACTER)),
        (&"x".repeat(300_000), Err(kind::TOO_LONG)),
    ] {
        let outcome = with_command(&action, command);
        let printed =
            outcome.as_ref().map(|action| print(action.action())).map_err(|rejection| rejection.kind);
        assert_eq!(printed, expected.map(str::to_owned), "{command}");
        if let Ok(edited) = outcome {
            assert_eq!(edited.action().text("cmd"), Some(command));
        }
    }
    let text = shell("(:type :response :payload (:text \"x\"))");
    assert_eq!(with_command(&text, "ls").unwrap_err().kind, kind::BAD_KEY);
}
