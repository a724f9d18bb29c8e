//! `org-agent check`, without a process.

use clap::Parser as _;
use org_agent::cli::check;

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    args: check::Args,
}

fn run(arguments: &[&str], stdin: &[u8]) -> (org_agent::error::Result<bool>, String) {
    let arguments = std::iter::once("check").chain(arguments.iter().copied());
    let args = Cli::try_parse_from(arguments).unwrap().args;
    let mut output = Vec::new();
    let outcome = check::run(&args, &mut &*stdin, &mut output);
    (outcome, String::from_utf8(output).unwrap())
}

#[test]
fn a_reply_is_printed_or_its_fault_is_shown() {
    let accepted = "(:type :response :payload (:text \"hi\"))\n";
    let long = format!("(:type :response :payload (:text \"{}⟦", "x".repeat(500));
    let tabs = "\n\t(:type\t:response :payload (:text \"é\u{7}";
    let many = [b" ".repeat(300_000).as_slice(), b"("].concat();
    let cases: &[(&[&str], &[u8], bool, &str)] = &[
        (&[], b" ( :TYPE :Response :payload(:text\"hi\") )", true, accepted),
        (&["-"], accepted.as_bytes(), true, accepted),
        (
            &["--buffer", "notes"],
            br#"(:type :request :target :emacs :payload (:buffer "notes" :action :insert-at-end :text ""))"#,
            true,
            "(:type :request :target :emacs :payload (:action :insert-at-end :buffer \"notes\" :text \"\"))\n",
        ),
        (
            &[],
            b"(:type :response\n :payload (:txt \"hi\"))",
            false,
            "rejected (bad-key): found a keyword that begins with `:tx`, expected :text\n \
             --> line 2, column 14 (byte 30)\n  |\n2 |  :payload (:txt \"hi\"))\n  |              ^\n  \
             = hint: Each key once, and only the keys of one form; here may stand :text.\n",
        ),
        (
            &[],
            tabs.as_bytes(),
            false,
            "rejected (bad-character): found the control character U+0007 in a string\n \
             --> line 2, column 37 (byte 38)\n  |\n2 | ␉(:type␉:response :payload (:text \"é␇\n  |                                     ^\n  \
             = hint: In strings only line feed, TAB and carriage return are allowed of the control characters.\n",
        ),
        (
            &[],
            b"",
            false,
            "rejected (too-short): the reply ends before the property list\n \
             --> line 1, column 1 (byte 0)\n  |\n1 | \n  | ^\n  \
             = hint: Write one whole property list; close every string and every parenthesis.\n",
        ),
        (
            &[],
            b"(:type :log :payload (:text \"\xff\"",
            false,
            "rejected (bad-utf8): the byte 0xFF begins no well-formed UTF-8 character\n \
             --> line 1, column 30 (byte 29)\n  |\n1 | (:type :log :payload (:text \"\u{FFFD}\"\n  |                              ^\n  \
             = hint: Write the reply as UTF-8.\n",
        ),
        (
            &[],
            &many,
            false,
            &format!(
                "rejected (too-long): the reply has more than 262144 bytes\n \
                 --> line 1, column 262145 (byte 262144)\n  |\n1 | …{} \n  | {}^\n  = hint: Write a shorter text.\n",
                " ".repeat(60),
                " ".repeat(61)
            ),
        ),
        (
            &[],
            long.as_bytes(),
            false,
            &format!(
                "rejected (too-short): the reply ends inside a string that is the value of :text\n \
                 --> line 1, column 536 (byte 537)\n  |\n1 | …{}⟦\n  | {}^\n  \
                 = hint: Write one whole property list; close every string and every parenthesis.\n",
                "x".repeat(59),
                " ".repeat(61)
            ),
        ),
    ];
    for (arguments, stdin, verdict, expected) in cases {
        let (outcome, output) = run(arguments, stdin);
        assert_eq!(output, *expected, "{output}");
        assert_eq!(outcome.unwrap(), *verdict);
    }
}

#[test]
fn the_caret_stands_under_the_fault_whatever_stands_before_it() {
    for (text, cells) in [("漢字", 4), ("e\u{301}e\u{301}", 2), ("a\u{AD}\u{200B}b", 4), ("😀", 2), ("é", 1)]
    {
        let reply = format!("(:type :log :payload (:text \"{text}\u{7}");
        let (_, output) = run(&[], reply.as_bytes());
        let caret = output.lines().find_map(|line| line.strip_prefix("  | ")).unwrap();
        let caret = output
            .lines()
            .filter_map(|line| line.strip_prefix("  | "))
            .find(|line| line.contains('^'))
            .unwrap_or(caret);
        assert_eq!(caret, format!("{}^", " ".repeat(29 + cells)), "{output}");
    }
}

#[test]
fn lines_of_json_are_answered_in_order() {
    let input = concat!(
        r#"{"id":1,"reply":"(:type :request :target :shell :payload (:timeout 5 :cmd \"ls\") :explanation \"é\")"}"#,
        "\n",
        r#"{"id":"b","reply":"(:type :log"}"#,
        "\n",
        r#"{"reply":"\ud800","id":[0.10]}"#,
        "\nno json\n\n",
        r#"{"id":123456789012345678901,"reply":"é"}"#,
    );
    let expected = concat!(
        r#"{"id":1,"verdict":"accept","kind":null,"offset":null,"action":{"type":"request","target":"shell","explanation":"é","payload":{"cmd":"ls","timeout":5}},"sexp":"(:type :request :target :shell :explanation \"é\" :payload (:cmd \"ls\" :timeout 5))"}"#,
        "\n",
        r#"{"id":"b","verdict":"reject","kind":"too-short","offset":11,"action":null,"sexp":null,"message":"the reply ends inside a keyword","hint":"Write one whole property list; close every string and every parenthesis."}"#,
        "\n",
        r#"{"id":[0.10],"verdict":"reject","kind":"bad-line","offset":null,"action":null,"sexp":null,"message":"the line is no such JSON object: unexpected end of hex escape, at column 17","hint":"Write each line as {\"id\":…,\"reply\":\"…\"}."}"#,
        "\n",
        r#"{"id":null,"verdict":"reject","kind":"bad-line","offset":null,"action":null,"sexp":null,"message":"the line is no JSON object","hint":"Write each line as {\"id\":…,\"reply\":\"…\"}."}"#,
        "\n",
        r#"{"id":123456789012345678901,"verdict":"reject","kind":"not-a-list","offset":0,"action":null,"sexp":null,"message":"found a character outside ASCII before the property list, expected `(`","hint":"Begin the reply with `(`: no words, no quote and no code fence before it."}"#,
        "\n",
    );
    let (outcome, output) = run(&["--jsonl"], input.as_bytes());
    assert_eq!(output, expected);
    assert!(outcome.unwrap());
}

#[test]
fn files_are_read_as_bytes_and_a_missing_one_is_an_error_with_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("reply");
    let name = path.to_str().unwrap();
    let (outcome, output) = run(&[name], b"");
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains(name) && error.contains("hint:"), "{error}");
    assert_eq!(output, "");

    std::fs::write(&path, b"\xEF\xBB\xBF(:type").unwrap();
    let (outcome, output) = run(&[name], b"");
    assert!(output.starts_with("rejected (not-a-list): "), "{output}");
    assert!(!outcome.unwrap());

    std::fs::write(&path, b"{\"id\":1,\"reply\":\"\"}\n").unwrap();
    let (outcome, output) = run(&[name, "--jsonl"], b"");
    assert!(
        output.starts_with("{\"id\":1,\"verdict\":\"reject\",\"kind\":\"too-short\",\"offset\":0,"),
        "{output}"
    );
    assert!(outcome.unwrap());
}
