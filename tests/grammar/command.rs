//! `org-agent grammar` and `org-agent check --json`, without a process.

use clap::Parser as _;
use org_agent::cli::{check, grammar};
use org_agent::grammar::{MAX_COMMAND, MAX_OTHER, MAX_TEXT};

#[derive(clap::Parser)]
enum Cli {
    Grammar(grammar::Args),
    Check(check::Args),
}

/// The exit status, standard output and standard error.
fn run(arguments: &[&str], stdin: &str) -> (u8, String, String) {
    let arguments = std::iter::once("org-agent").chain(arguments.iter().copied());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let status = match Cli::try_parse_from(arguments) {
        Ok(Cli::Grammar(args)) => grammar::run(&args, &mut stdout, &mut stderr).unwrap(),
        Ok(Cli::Check(args)) => u8::from(!check::run(&args, &mut stdin.as_bytes(), &mut stdout).unwrap()),
        Err(error) => return (error.exit_code() as u8, String::new(), error.to_string()),
    };
    (status, String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn every_format_says_what_it_is_and_how_it_was_made() {
    for (format, start) in [("gbnf", "# "), ("lark", "// "), ("json-schema", "{\n  \"$comment\": \"")] {
        let (status, output, errors) = run(&["grammar", "--format", format], "");
        assert_eq!((status, errors.as_str()), (0, ""));
        let comment = format!(
            "{start}The canonical form of org-agent's actions; made by: org-agent grammar --format {format} \
             --buffer='*org-agent-chat*' --max-text 49152"
        );
        assert!(output.starts_with(&comment), "{output}");
        assert!(output.ends_with('\n') && !output.ends_with("\n\n"));
        // Again, it is the same, and saying what it says makes it.
        let again = ["grammar", "--format", format, "--buffer", "*org-agent-chat*", "--max-text", "49152"];
        assert_eq!(run(&again, "").1, output);
    }
}

#[test]
fn wrong_usage_is_said_and_answered_with_2() {
    for (arguments, expected) in [
        (&["grammar"][..], "--format"),
        (&["grammar", "--format", "bnf"], "json-schema"),
        (&["grammar", "--format", "lark", "--max-text", "0"], "hint: give a number from 1 to "),
        (&["grammar", "--format", "lark", "--max-text", "99999"], "--max-text 99999 is too large"),
        (&["grammar", "--format", "lark", "--max-text", "-1"], "-1"),
        (&["grammar", "--format", "gbnf", "--buffer", &"x".repeat(2_000)], "leave --buffer out"),
    ] {
        let (status, output, errors) = run(arguments, "");
        assert_eq!((status, output.as_str()), (2, ""), "{arguments:?}");
        assert!(errors.contains(expected), "{errors}");
    }
}

#[test]
fn the_help_names_the_limits() {
    let (status, _, help) = run(&["grammar", "--help"], "");
    assert_eq!(status, 0);
    for limit in [MAX_TEXT, MAX_COMMAND, MAX_OTHER] {
        assert!(help.contains(&limit.to_string()), "{help}");
    }
}

#[test]
fn a_small_grammar_is_written_like_this() {
    let (_, output, _) = run(&["grammar", "--format", "gbnf", "--buffer", "a\"\\b", "--max-text", "9"], "");
    let expected = r##"# The canonical form of org-agent's actions; made by: org-agent grammar --format gbnf --buffer='a"\b' --max-text 9
root ::= action-request-emacs | action-request-shell | action-request-skill | action-response | action-log
action-request-emacs ::= "(:type :request :target :emacs" (" :explanation " string-any-0-9)? " :payload (:action :insert-at-end :buffer " ("\"*org-agent-chat*\"" | "\"a\\\"\\\\b\"") " :text " string-any-0-9 "))"
action-request-shell ::= "(:type :request :target :shell" (" :explanation " string-any-0-9)? " :payload (:cmd " string-clear-1-9 (" :cwd " string-clear-0-9)? (" :timeout " seconds-86400)? "))"
action-request-skill ::= "(:type :request :target :skill" (" :explanation " string-any-0-9)? " :payload (:name " string-any-0-9 "))"
action-response ::= "(:type :response" (" :explanation " string-any-0-9)? " :payload (:text " string-any-0-9 "))"
action-log ::= "(:type :log" (" :explanation " string-any-0-9)? " :payload (:text " string-any-0-9 (" :level " (":debug" | ":info" | ":warn" | ":error"))? "))"
seconds-86400 ::= [1-9] | [1-9] [0-9] | [1-9] [0-9] [0-9] | [1-9] [0-9] [0-9] [0-9] | [1-7] [0-9] [0-9] [0-9] [0-9] | [8] [0-5] [0-9] [0-9] [0-9] | [8] [6] [0-3] [0-9] [0-9] | [8] [6] [4] [0] [0]
string-any-0-9 ::= "\"" char-any{0,9} "\""
string-clear-1-9 ::= "\"" char-clear char-clear{0,8} "\""
string-clear-0-9 ::= "\"" char-clear{0,9} "\""
char-any ::= [\x20-\x21\x23-\x5B\x5D-\x7E\u00A0-\uD7FF\uE000-\U0010FFFF] | "\\" [\x22\x5Cntr]
char-clear ::= [\x20-\x21\x23-\x5B\x5D-\x7E\u00A0-\u200A\u200C-\u2029\u202F-\u205F\u2061-\u2065\u206A-\uD7FF\uE000-\uFEFE\uFF00-\U0010FFFF] | "\\" [\x22\x5Cntr]
"##;
    assert_eq!(output, expected);
}

#[test]
fn replies_in_json_are_checked_like_others() {
    let good = r#"{"payload":{"text":"hi"},"type":"response"}"#;
    let (status, output, _) = run(&["check", "--json"], good);
    assert_eq!((status, output.as_str()), (0, "(:type :response :payload (:text \"hi\"))\n"));

    let bad = "{\"type\":\"response\",\n \"payload\":{\"text\":null}}";
    let (status, output, _) = run(&["check", "--json"], bad);
    let expected = "rejected (expected-value): the value of \"text\" is null, expected a string\n \
                    --> line 2, column 20 (byte 39)\n  |\n2 |  \"payload\":{\"text\":null}}\n  \
                    |                    ^\n  = hint: Write a string; leave out a key that has no value.\n";
    assert_eq!((status, output.as_str()), (1, expected));

    let lines = [good, "{\"type\":1}", "(:type"]
        .map(|reply| serde_json::json!({"id": 1, "reply": reply}).to_string() + "\n");
    let (status, output, _) = run(&["check", "--json", "--jsonl"], &lines.concat());
    let expected = concat!(
        r#"{"id":1,"verdict":"accept","kind":null,"offset":null,"action":{"type":"response","payload":{"text":"hi"}},"sexp":"(:type :response :payload (:text \"hi\"))"}"#,
        "\n",
        r#"{"id":1,"verdict":"reject","kind":"missing-key","offset":9,"action":null,"sexp":null,"message":"the action has no key \"payload\"","hint":"Give \"payload\", in lower case."}"#,
        "\n",
        r#"{"id":1,"verdict":"reject","kind":"bad-json","offset":0,"action":null,"sexp":null,"message":"expected value","hint":"Write one JSON object; in strings escape quotes, backslashes and line breaks."}"#,
        "\n",
    );
    assert_eq!((status, output.as_str()), (0, expected));
}
