//! Replies with the byte at which they become invalid marked in the text.

use org_agent::sexp::printer::print;
use org_agent::sexp::recogniser::Recogniser;
use org_agent::sexp::{Rejection, kind};

/// Stands before the byte that is rejected; a reply without it is accepted.
const MARK: &str = "⟦";

fn read(reply: &[u8], buffer: &str) -> Result<String, Rejection> {
    let mut recogniser = Recogniser::new(buffer);
    recogniser.feed(reply)?;
    recogniser.finish().map(|action| print(&action))
}

fn check(fixture: &str, kind: &str) {
    check_bytes(fixture.as_bytes(), kind);
}

fn check_bytes(fixture: &[u8], kind: &str) {
    let shown = String::from_utf8_lossy(fixture);
    let at = memchr::memmem::find(fixture, MARK.as_bytes());
    let reply = match at {
        Some(at) => [&fixture[..at], &fixture[at + MARK.len()..]].concat(),
        None => fixture.to_vec(),
    };
    let outcome = read(&reply, "notes");
    let found = outcome.as_ref().err().map(|rejection| (rejection.offset, rejection.kind));
    assert_eq!(found, at.map(|at| (at, kind)), "{shown}\n{outcome:?}");
    // One byte at a time says the very same.
    let mut recogniser = Recogniser::new("notes");
    let bytewise = reply.iter().try_for_each(|byte| recogniser.feed(&[*byte]));
    let bytewise = bytewise.and_then(|()| recogniser.finish()).map(|action| print(&action));
    assert_eq!(outcome, bytewise, "{shown}");
}

/// Stands for the beginning of a reply of this form, up to the string's opening quote.
const TEXT: &str = "(:type :response :payload (:text \"";
const CMD: &str = "(:type :request :target :shell :payload (:cmd \"";
const CWD: &str = "(:type :request :target :shell :payload (:cwd \"";
const BUFFER: &str = "(:type :request :target :emacs :payload (:buffer \"";
const TIMEOUT: &str = "(:type :request :target :shell :payload (:timeout ";

#[test]
fn replies_of_every_form_are_accepted() {
    for fixture in [
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "*org-agent-chat*" :text "hi"))"#,
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "notes" :text ""))"#,
        r#"(:type :request :target :emacs :payload (:text "a" :buffer "notes" :action :insert-at-end))"#,
        r#"(:payload (:text "a" :buffer "notes" :action :insert-at-end) :target :emacs :type :request)"#,
        r#"(:type :request :target :shell :payload (:cmd "ls"))"#,
        r#"(:type :request :target :shell :payload (:cmd "ls" :cwd "" :timeout 86400))"#,
        r#"(:type :request :target :shell :payload (:timeout 1 :cwd "/" :cmd "ls"))"#,
        r#"(:type :request :target :skill :payload (:name ""))"#,
        r#"(:target :skill :payload (:name "a b") :type :request)"#,
        r#"(:type :response :payload (:text ""))"#,
        r#"(:payload (:text "x") :type :response)"#,
        r#"(:type :log :payload (:text "x"))"#,
        r#"(:type :log :payload (:text "x" :level :debug))"#,
        r#"(:type :log :payload (:level :info :text "x"))"#,
        r#"(:payload (:level :warn :text "x") :type :log)"#,
        r#"(:type :log :payload (:text "x" :level :error) :explanation "")"#,
        r#"(:explanation "why" :type :response :payload (:text "x"))"#,
        r#"(:type :response :explanation "why" :payload (:text "x"))"#,
        // Case, blanks, and none where none is needed.
        r#"(:TYPE :Response :pAyLoAd (:TEXT "X"))"#,
        r#"(:type :REQUEST :target :EMACS :payload (:action :Insert-At-END :buffer "notes" :text "a"))"#,
        "\r\n\t ( :type\n:response\t:payload\r(\n:text\t\"x\" ) \n)\r\n \t",
        r#"(:explanation"why":type :response :payload(:text"x"))"#,
        r#"(:type :log :payload(:text"x":level :info):explanation"")"#,
        r#"(:type :request :target :shell :payload(:cmd"ls":cwd"x":timeout 7))"#,
        // Strings.
        r#"(:type :response :payload (:text "\\ \" \n \t \r \u0009 \u000A \u000d \u0020 \u007e \u00a0 \uFFFF"))"#,
        r#"(:type :response :payload (:text "\ud83d\uDE00 \uD800\udc00 \udbff\udfff"))"#,
        "(:type :response :payload (:text \"\n\t\r é € 😀 \u{A0} \u{D7FF} \u{E000} \u{10FFFF} \u{FFFE}\"))",
        "(:type :response :payload (:text \"\u{200B}\u{202E}\u{FEFF}\\u200b\\u202e\\ufeff()\"))",
        "(:type :response :payload (:text \"\"):explanation \"\u{2066}\\u2060\")",
        "(:type :request :target :skill :payload (:name \"\u{200B}\"))",
        "(:type :request :target :shell :payload (:cmd \"\u{200A}\u{200C}\u{2029}\u{202F}\u{2065}\u{206A}\u{FEFE}\"))",
        r#"(:type :request :target :shell :payload (:cmd "\u200a\u2029\u202f\u2065\u206a\ufefe" :cwd "a\nb"))"#,
        // A buffer's name may be written with escapes.
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :text "" :buffer "\u002Aorg\u002dagent-chat*"))"#,
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :text "" :buffer "n\u006Ftes"))"#,
    ] {
        check(fixture, "");
    }
}

#[test]
fn a_reply_is_rejected_at_the_first_byte_that_nothing_can_mend() {
    for (fixture, expected) in [
        // Before the list.
        ("⟦", kind::TOO_SHORT),
        (" \n⟦", kind::TOO_SHORT),
        ("⟦Sure! (:type :response", kind::NOT_A_LIST),
        ("⟦```lisp\n(:type", kind::NOT_A_LIST),
        ("⟦'(:type", kind::NOT_A_LIST),
        ("⟦\u{FEFF}(:type", kind::NOT_A_LIST),
        (" ⟦\u{A0}(:type", kind::NOT_A_LIST),
        ("⟦\u{B}(", kind::NOT_A_LIST),
        ("⟦)", kind::NOT_A_LIST),
        ("⟦; comment", kind::NOT_A_LIST),
        ("⟦#+begin_src", kind::NOT_A_LIST),
        ("⟦:type", kind::NOT_A_LIST),
        ("⟦\"", kind::NOT_A_LIST),
        // Where a key has to be.
        ("(⟦", kind::TOO_SHORT),
        ("(⟦)", kind::MISSING_KEY),
        ("(⟦(", kind::EXPECTED_KEY),
        ("(⟦\"", kind::EXPECTED_KEY),
        ("(⟦type :response", kind::EXPECTED_KEY),
        ("(⟦'type", kind::EXPECTED_KEY),
        ("(⟦;", kind::EXPECTED_KEY),
        ("(⟦é", kind::EXPECTED_KEY),
        ("(⟦\0", kind::EXPECTED_KEY),
        ("(:⟦", kind::TOO_SHORT),
        ("(:⟦ type", kind::BAD_KEY),
        ("(:⟦)", kind::BAD_KEY),
        ("(:⟦:type", kind::BAD_KEY),
        ("(:⟦x", kind::BAD_KEY),
        ("(:⟦é", kind::BAD_KEY),
        ("(:ty⟦", kind::TOO_SHORT),
        ("(:ty⟦ :response", kind::BAD_KEY),
        ("(:ty⟦\"", kind::BAD_KEY),
        ("(:type⟦s", kind::BAD_KEY),
        ("(:type⟦-", kind::BAD_KEY),
        ("(:type⟦:response", kind::BAD_KEY),
        ("(:type⟦;", kind::BAD_KEY),
        ("(:t⟦ext", kind::BAD_KEY),
        ("(:TYP⟦\u{C9}", kind::BAD_KEY),
        // Values of the outer list.
        ("(:type⟦", kind::TOO_SHORT),
        ("(:type ⟦", kind::TOO_SHORT),
        ("(:type⟦)", kind::EXPECTED_VALUE),
        ("(:type⟦(", kind::EXPECTED_VALUE),
        ("(:type⟦\"response\"", kind::EXPECTED_VALUE),
        ("(:type ⟦response", kind::EXPECTED_VALUE),
        ("(:type ⟦'response", kind::EXPECTED_VALUE),
        ("(:type ⟦1", kind::EXPECTED_VALUE),
        ("(:type :re⟦", kind::TOO_SHORT),
        ("(:type :re⟦ ", kind::BAD_VALUE),
        ("(:type :⟦event", kind::BAD_VALUE),
        ("(:type :⟦ ", kind::BAD_VALUE),
        ("(:type :res⟦t", kind::BAD_VALUE),
        ("(:type :request⟦s", kind::BAD_VALUE),
        ("(:type :log⟦s", kind::BAD_VALUE),
        ("(:target ⟦\"emacs\"", kind::EXPECTED_VALUE),
        ("(:target :⟦tool", kind::BAD_VALUE),
        ("(:target :s⟦ql", kind::BAD_VALUE),
        ("(:target :emacs⟦.", kind::BAD_VALUE),
        ("(:explanation ⟦:because", kind::EXPECTED_VALUE),
        ("(:explanation ⟦nil", kind::EXPECTED_VALUE),
        ("(:explanation ⟦(", kind::EXPECTED_VALUE),
        ("(:payload ⟦\"", kind::EXPECTED_VALUE),
        ("(:payload ⟦:text", kind::EXPECTED_VALUE),
        ("(:payload ⟦)", kind::EXPECTED_VALUE),
        ("(:payload ⟦[", kind::EXPECTED_VALUE),
        ("(:payload ⟦#(", kind::EXPECTED_VALUE),
        // A key that was seen, or that no row left has.
        ("(:type :response :⟦t", kind::BAD_KEY),
        ("(:type :log :⟦t", kind::BAD_KEY),
        ("(:type :request :t⟦y", kind::BAD_KEY),
        ("(:target :emacs :t⟦a", kind::BAD_KEY),
        ("(:type :request :target :emacs :⟦t", kind::BAD_KEY),
        ("(:explanation \"\" :⟦e", kind::BAD_KEY),
        ("(:payload (:cmd \"ls\") :⟦p", kind::BAD_KEY),
        ("(:payload (:text \"a\") :t⟦a", kind::BAD_KEY),
        ("(:payload (:cmd \"ls\") :target :⟦e", kind::BAD_VALUE),
        ("(:payload (:cmd \"ls\") :target :s⟦k", kind::BAD_VALUE),
        ("(:payload (:cmd \"ls\") :type :re⟦s", kind::BAD_VALUE),
        ("(:payload (:text \"a\") :type :re⟦q", kind::BAD_VALUE),
        ("(:payload (:level :info :text \"a\") :type :⟦r", kind::BAD_VALUE),
        ("(:target :emacs :type :re⟦s", kind::BAD_VALUE),
        ("(:target :shell :type :⟦l", kind::BAD_VALUE),
        ("(:type :response :payload (:text \"a\") :explanation \"\" ⟦:", kind::BAD_KEY),
        ("(:type :response :payload (:text \"a\") :⟦t", kind::BAD_KEY),
        // Closed too early.
        ("(:type :response⟦)", kind::MISSING_KEY),
        ("(:type :request :target :emacs⟦)", kind::MISSING_KEY),
        ("(:target :shell :payload (:cmd \"ls\")⟦)", kind::MISSING_KEY),
        ("(:type :request :payload (:cmd \"ls\")⟦)", kind::MISSING_KEY),
        ("(:payload (:text \"a\")⟦)", kind::MISSING_KEY),
        ("(:type :response :payload (⟦)", kind::MISSING_KEY),
        ("(:type :log :payload (:level :info⟦)", kind::MISSING_KEY),
        ("(:type :request :target :shell :payload (:cwd \"/\" :timeout 5⟦)", kind::MISSING_KEY),
        ("(:payload (:action :insert-at-end :text \"a\"⟦)", kind::MISSING_KEY),
        ("(:type :request :payload (:text \"a\"⟦)", kind::MISSING_KEY),
        // Keys and values of the payload.
        ("(:payload (⟦", kind::TOO_SHORT),
        ("(:payload (⟦(", kind::EXPECTED_KEY),
        ("(:payload (⟦\"", kind::EXPECTED_KEY),
        ("(:payload (:⟦", kind::TOO_SHORT),
        ("(:payload (:t⟦y", kind::BAD_KEY),
        ("(:payload (:text⟦", kind::TOO_SHORT),
        ("(:payload (:text ⟦", kind::TOO_SHORT),
        ("(:payload (:text \"a\"⟦", kind::TOO_SHORT),
        ("(:type :request :target :emacs :payload (:⟦c", kind::BAD_KEY),
        ("(:type :request :target :shell :payload (:t⟦e", kind::BAD_KEY),
        ("(:type :request :target :skill :payload (:n⟦o", kind::BAD_KEY),
        ("(:type :response :payload (:⟦l", kind::BAD_KEY),
        ("(:type :response :payload (:text \"a\" ⟦:", kind::BAD_KEY),
        ("(:type :log :payload (:text \"a\" :⟦t", kind::BAD_KEY),
        ("(:payload (:text \"a\" :⟦c", kind::BAD_KEY),
        ("(:payload (:cmd \"a\" :⟦n", kind::BAD_KEY),
        ("(:payload (:name \"a\" ⟦:", kind::BAD_KEY),
        ("(:payload (:text \"a\" ⟦\"", kind::EXPECTED_KEY),
        ("(:payload (:text \"a\"⟦(", kind::EXPECTED_KEY),
        ("(:payload (:text ⟦:a", kind::EXPECTED_VALUE),
        ("(:payload (:text ⟦5", kind::EXPECTED_VALUE),
        ("(:payload (:text⟦)", kind::EXPECTED_VALUE),
        ("(:payload (:text ⟦(", kind::EXPECTED_VALUE),
        ("(:payload (:action ⟦\"", kind::EXPECTED_VALUE),
        ("(:payload (:action :⟦e", kind::BAD_VALUE),
        ("(:payload (:action :insert-at-end⟦s", kind::BAD_VALUE),
        ("(:payload (:action :insert⟦ ", kind::BAD_VALUE),
        ("(:payload (:action :insert⟦_", kind::BAD_VALUE),
        ("(:payload (:level :⟦f", kind::BAD_VALUE),
        ("(:payload (:level :warn⟦i", kind::BAD_VALUE),
        ("(:payload (:level ⟦5", kind::EXPECTED_VALUE),
        // After the list.
        ("(:type :response :payload (:text \"a\")⟦", kind::TOO_SHORT),
        ("(:type :response :payload (:text \"a\"))⟦)", kind::TRAILING),
        ("(:type :response :payload (:text \"a\")) ⟦(:type", kind::TRAILING),
        ("(:type :response :payload (:text \"a\"))\n⟦```", kind::TRAILING),
        ("(:type :response :payload (:text \"a\"))\n⟦Done.", kind::TRAILING),
        ("(:type :response :payload (:text \"a\"))⟦\"", kind::TRAILING),
        ("(:type :response :payload (:text \"a\"))⟦\u{A0}", kind::TRAILING),
        ("(:type :response :payload (:text \"a\"))⟦;", kind::TRAILING),
        ("(:type :response :payload (:text \"a\"))⟦\0", kind::TRAILING),
    ] {
        check(fixture, expected);
    }
}

#[test]
fn strings_are_rejected_where_the_character_or_its_escape_begins() {
    for (form, fixture, expected) in [
        (TEXT, "⟦", kind::TOO_SHORT),
        (TEXT, "abc⟦", kind::TOO_SHORT),
        (TEXT, "a\\⟦", kind::TOO_SHORT),
        (TEXT, "a\\u⟦", kind::TOO_SHORT),
        (TEXT, "a\\u00⟦", kind::TOO_SHORT),
        (TEXT, "a\\u000⟦", kind::TOO_SHORT),
        (TEXT, "a\\u007⟦", kind::TOO_SHORT),
        (TEXT, "a\\ud83d⟦", kind::TOO_SHORT),
        (TEXT, "a\\ud83d\\⟦", kind::TOO_SHORT),
        (TEXT, "a\\ud83d\\ude0⟦", kind::TOO_SHORT),
        (CMD, "\\u200⟦", kind::TOO_SHORT),
        (CMD, "\\u206⟦", kind::TOO_SHORT),
        (CMD, "\\ufef⟦", kind::TOO_SHORT),
        // Escapes.
        (TEXT, "⟦\\q", kind::BAD_ESCAPE),
        (TEXT, "a⟦\\ ", kind::BAD_ESCAPE),
        (TEXT, "a⟦\\\n", kind::BAD_ESCAPE),
        (TEXT, "⟦\\N", kind::BAD_ESCAPE),
        (TEXT, "⟦\\U0041", kind::BAD_ESCAPE),
        (TEXT, "⟦\\x41", kind::BAD_ESCAPE),
        (TEXT, "⟦\\0", kind::BAD_ESCAPE),
        (TEXT, "⟦\\e", kind::BAD_ESCAPE),
        (TEXT, "⟦\\'", kind::BAD_ESCAPE),
        (TEXT, "⟦\\/", kind::BAD_ESCAPE),
        (TEXT, "⟦\\b", kind::BAD_ESCAPE),
        (TEXT, "é⟦\\é", kind::BAD_ESCAPE),
        (TEXT, "\\\\⟦\\)", kind::BAD_ESCAPE),
        (TEXT, "⟦\\u{41}", kind::BAD_ESCAPE),
        (TEXT, "⟦\\u00g", kind::BAD_ESCAPE),
        (TEXT, "⟦\\u004\"", kind::BAD_ESCAPE),
        (TEXT, "⟦\\u\"", kind::BAD_ESCAPE),
        (TEXT, "⟦\\u+041", kind::BAD_ESCAPE),
        (TEXT, "⟦\\u0000", kind::BAD_ESCAPE),
        (TEXT, "⟦\\u0008", kind::BAD_ESCAPE),
        (TEXT, "⟦\\u000b", kind::BAD_ESCAPE),
        (TEXT, "⟦\\u001", kind::BAD_ESCAPE),
        (TEXT, "⟦\\u007f", kind::BAD_ESCAPE),
        (TEXT, "⟦\\u007F", kind::BAD_ESCAPE),
        (TEXT, "⟦\\u008", kind::BAD_ESCAPE),
        (TEXT, "⟦\\u009", kind::BAD_ESCAPE),
        (TEXT, "⟦\\udc", kind::BAD_ESCAPE),
        (TEXT, "⟦\\uDF", kind::BAD_ESCAPE),
        (TEXT, "⟦\\ud83d\"", kind::BAD_ESCAPE),
        (TEXT, "⟦\\ud83dx", kind::BAD_ESCAPE),
        (TEXT, "⟦\\ud83d\\n", kind::BAD_ESCAPE),
        (TEXT, "⟦\\ud83d\\u0", kind::BAD_ESCAPE),
        (TEXT, "⟦\\ud83d\\ud8", kind::BAD_ESCAPE),
        (TEXT, "⟦\\ud83d\\ue", kind::BAD_ESCAPE),
        (TEXT, "⟦\\ud83d\\udb", kind::BAD_ESCAPE),
        (TEXT, "\\ud83d\\ude00⟦\\ude00", kind::BAD_ESCAPE),
        (CMD, "ls ⟦\\u200b", kind::BAD_ESCAPE),
        (CMD, "⟦\\u2060", kind::BAD_ESCAPE),
        (CMD, "⟦\\uFEFF", kind::BAD_ESCAPE),
        (CMD, "⟦\\u202a", kind::BAD_ESCAPE),
        (CWD, "⟦\\u202E", kind::BAD_ESCAPE),
        (CWD, "⟦\\u2066", kind::BAD_ESCAPE),
        (CWD, "⟦\\u2069", kind::BAD_ESCAPE),
        // Forbidden characters.
        (TEXT, "a⟦\0", kind::BAD_CHARACTER),
        (TEXT, "⟦\u{8}", kind::BAD_CHARACTER),
        (TEXT, "⟦\u{B}", kind::BAD_CHARACTER),
        (TEXT, "⟦\u{C}", kind::BAD_CHARACTER),
        (TEXT, "⟦\u{1B}[31m", kind::BAD_CHARACTER),
        (TEXT, "⟦\u{1F}", kind::BAD_CHARACTER),
        (TEXT, "⟦\u{7F}", kind::BAD_CHARACTER),
        (TEXT, "é⟦\u{80}", kind::BAD_CHARACTER),
        (TEXT, "é⟦\u{85}", kind::BAD_CHARACTER),
        (TEXT, "é⟦\u{9F}x", kind::BAD_CHARACTER),
        (CMD, "rm ⟦\u{200B}x", kind::BAD_CHARACTER),
        (CMD, "é⟦\u{2060}", kind::BAD_CHARACTER),
        (CMD, "⟦\u{FEFF}", kind::BAD_CHARACTER),
        (CMD, "⟦\u{202A}", kind::BAD_CHARACTER),
        (CMD, "⟦\u{202E}", kind::BAD_CHARACTER),
        (CWD, "⟦\u{2066}", kind::BAD_CHARACTER),
        (CWD, "a⟦\u{2069}", kind::BAD_CHARACTER),
        (CMD, "⟦\"", kind::EMPTY_COMMAND),
        // Buffers: the session's is "notes".
        (BUFFER, "⟦", kind::TOO_SHORT),
        (BUFFER, "no⟦", kind::TOO_SHORT),
        (BUFFER, "*org-agent-chat*⟦", kind::TOO_SHORT),
        (BUFFER, "no\\⟦", kind::TOO_SHORT),
        (BUFFER, "no\\u007⟦", kind::TOO_SHORT),
        (BUFFER, "⟦\"", kind::BAD_BUFFER),
        (BUFFER, "⟦scratch", kind::BAD_BUFFER),
        (BUFFER, "*⟦scratch*", kind::BAD_BUFFER),
        (BUFFER, "⟦N", kind::BAD_BUFFER),
        (BUFFER, "no⟦\"", kind::BAD_BUFFER),
        (BUFFER, "notes⟦.org", kind::BAD_BUFFER),
        (BUFFER, "*org-agent-chat⟦\"", kind::BAD_BUFFER),
        (BUFFER, "*org-agent-chat*⟦<2>", kind::BAD_BUFFER),
        (BUFFER, "*org-agent-chat*⟦\\", kind::BAD_BUFFER),
        (BUFFER, "no⟦\\n", kind::BAD_BUFFER),
        (BUFFER, "no⟦\\u1", kind::BAD_BUFFER),
        (BUFFER, "no⟦\\u0073", kind::BAD_BUFFER),
        (BUFFER, "no⟦\\ud83d", kind::BAD_BUFFER),
        (BUFFER, "no⟦\\u00\"", kind::BAD_ESCAPE),
        (BUFFER, "no⟦\\q", kind::BAD_ESCAPE),
        (BUFFER, "no⟦\u{85}", kind::BAD_BUFFER),
        (BUFFER, "no⟦\0", kind::BAD_CHARACTER),
        (BUFFER, "\\u002a⟦n", kind::BAD_BUFFER),
        // Numbers.
        (TIMEOUT, "⟦0", kind::BAD_INTEGER),
        (TIMEOUT, "⟦-5", kind::BAD_INTEGER),
        (TIMEOUT, "⟦+5", kind::BAD_INTEGER),
        (TIMEOUT, "⟦x", kind::BAD_INTEGER),
        (TIMEOUT, "⟦\"5\"", kind::EXPECTED_VALUE),
        (TIMEOUT, "⟦:five", kind::EXPECTED_VALUE),
        (TIMEOUT, "8640⟦", kind::TOO_SHORT),
        (TIMEOUT, "86400⟦", kind::TOO_SHORT),
        (TIMEOUT, "8640⟦1", kind::BAD_INTEGER),
        (TIMEOUT, "86400⟦0", kind::BAD_INTEGER),
        (TIMEOUT, "9999⟦9", kind::BAD_INTEGER),
        (TIMEOUT, "5⟦.0", kind::BAD_INTEGER),
        (TIMEOUT, "5⟦s", kind::BAD_INTEGER),
        (TIMEOUT, "5⟦:cmd", kind::BAD_INTEGER),
        (TIMEOUT, "5⟦\"", kind::EXPECTED_KEY),
        (TIMEOUT, "5⟦(", kind::EXPECTED_KEY),
        (TIMEOUT, "5⟦)", kind::MISSING_KEY),
        (TIMEOUT, "5 ⟦5", kind::EXPECTED_KEY),
    ] {
        check(&format!("{form}{fixture}"), expected);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_rejected_where_the_ill_formed_sequence_begins() {
    let cases: &[(&str, &[u8], &[u8], &str)] = &[
        (TEXT, b"a", b"\x80", kind::BAD_UTF8),
        (TEXT, b"", b"\xBF", kind::BAD_UTF8),
        (TEXT, b"", b"\xC0\x80", kind::BAD_UTF8),
        (TEXT, b"", b"\xC1\xBF", kind::BAD_UTF8),
        (TEXT, b"", b"\xC0", kind::BAD_UTF8),
        (TEXT, b"", b"\xF5", kind::BAD_UTF8),
        (TEXT, b"", b"\xFE", kind::BAD_UTF8),
        (TEXT, b"", b"\xFF", kind::BAD_UTF8),
        (TEXT, b"", b"\xC3(", kind::BAD_UTF8),
        (TEXT, b"", b"\xC3\"", kind::BAD_UTF8),
        (TEXT, b"", b"\xC3\\", kind::BAD_UTF8),
        (TEXT, b"", b"\xC3\0", kind::BAD_UTF8),
        (TEXT, b"", b"\xC3\xC3\xA9", kind::BAD_UTF8),
        (TEXT, b"", b"\xE0\x80\x80", kind::BAD_UTF8),
        (TEXT, b"", b"\xE0\x9F", kind::BAD_UTF8),
        (TEXT, "é".as_bytes(), b"\xED\xA0\x80", kind::BAD_UTF8),
        (TEXT, b"", b"\xED\xBF", kind::BAD_UTF8),
        (TEXT, b"", b"\xE2\x82\"", kind::BAD_UTF8),
        (TEXT, b"", b"\xF0\x8F\xBF\xBF", kind::BAD_UTF8),
        (TEXT, b"", b"\xF4\x90", kind::BAD_UTF8),
        (TEXT, b"", b"\xF0\x9F\x98(", kind::BAD_UTF8),
        (TEXT, b"\xC3", b"", kind::TOO_SHORT),
        (TEXT, b"\xE2\x82", b"", kind::TOO_SHORT),
        (TEXT, b"\xF0\x9F\x98", b"", kind::TOO_SHORT),
        (CMD, b"\xE2\x80", b"", kind::TOO_SHORT),
        (CMD, b"\xEF\xBB", b"", kind::TOO_SHORT),
        (BUFFER, b"no", b"\xFF", kind::BAD_UTF8),
        ("", b" ", b"\xFF", kind::NOT_A_LIST),
        ("(", b"", b"\xC3", kind::EXPECTED_KEY),
    ];
    for (form, good, bad, expected) in cases {
        check_bytes(&[form.as_bytes(), good, MARK.as_bytes(), bad].concat(), expected);
    }
    // A buffer whose name is not ASCII: the byte that differs, unless it makes its own character ill-formed.
    for (name, good, bad, expected) in [
        ("*org-agent", &b"*org-agent"[..], &b"\\u1"[..], kind::BAD_BUFFER),
        ("*org-agent", b"*org-agent", b"\\u003", kind::BAD_BUFFER),
        ("é", b"\xC3", b"\xA8", kind::BAD_BUFFER),
        ("é", b"", b"\xC3(", kind::BAD_UTF8),
        ("é", b"", b"\xC3\"", kind::BAD_UTF8),
        ("\u{A0}", b"", b"\xC2\x85", kind::BAD_CHARACTER),
        ("é", b"", b"\xC4", kind::BAD_BUFFER),
        ("é", b"", b"\\u00e8", kind::BAD_BUFFER),
        ("😀", b"\xF0", b"\x90\x80\x80", kind::BAD_BUFFER),
        ("😀", b"", b"\\ud83d\\ude01", kind::BAD_BUFFER),
        ("😀", b"", b"\\ud83e", kind::BAD_BUFFER),
        ("a\u{7}", b"", b"a\"", kind::BAD_BUFFER),
        ("a\u{7}", b"", b"b", kind::BAD_BUFFER),
        ("\u{7}", b"", b"\\u0007", kind::BAD_BUFFER),
        ("\u{7}", b"", b"\\u0000", kind::BAD_BUFFER),
    ] {
        let reply = [BUFFER.as_bytes(), good, bad].concat();
        let rejection = read(&reply, name).unwrap_err();
        let found = (rejection.offset, rejection.kind);
        assert_eq!(found, (BUFFER.len() + good.len(), expected), "{name:?} {good:?} {bad:?}");
    }
}
