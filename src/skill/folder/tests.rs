//! Frontmatters as people write them, and as people write them who mean harm.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Text {
    parse(text.as_bytes(), "pdf").unwrap_or_else(|error| panic!("{error:?} in {text}"))
}

fn fails(text: &str) -> NoteError {
    parse(text.as_bytes(), "pdf").expect_err(&text[..text.floor_char_boundary(200)])
}

fn warnings(text: &Text) -> Vec<String> {
    text.warnings.iter().map(|warning| format!("{}: {}", warning.line, warning.message)).collect()
}

const PLAIN: &str = "---\nname: pdf\ndescription: Reads PDF files.\n---\n\n# PDF\n\nRead it.\n";

#[test]
fn everything_that_the_format_has() {
    let text = read(
        "---\nname: pdf\ndescription: >\n  Reads PDF files.\n  Use it for forms.\nlicense: Apache-2.0\n\
         compatibility: Needs poppler\nmetadata:\n  author: ada\n  version: 1.10\n  public: no\n  \
         when: 2026-01-02\n  more: {os: [linux, mac]}\nallowed-tools: Bash(git add:*) Read, Write\n---\n# PDF\n",
    );
    assert_eq!(text.warnings, []);
    assert_eq!(
        (text.name.as_str(), text.description.as_str()),
        ("pdf", "Reads PDF files. Use it for forms.")
    );
    assert_eq!(text.license.as_deref(), Some("Apache-2.0"));
    assert_eq!(text.compatibility.as_deref(), Some("Needs poppler"));
    let metadata: Vec<(&str, &str)> =
        text.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(
        metadata,
        [
            ("author", "ada"),
            ("more", "{os: [linux, mac]}"),
            ("public", "no"),
            ("version", "1.10"),
            ("when", "2026-01-02")
        ]
    );
    assert_eq!(text.allowed_tools, ["Bash(git add:*)", "Read", "Write"]);
    assert_eq!(text.body, "# PDF");
    let list = read("---\nname: pdf\ndescription: d\nallowed-tools:\n- Read\n- 'Bash(a b)'\n---\nx\n");
    assert_eq!(list.allowed_tools, ["Read", "Bash(a b)"]);
}

#[test]
fn marks_ends_and_encodings() {
    let windows = format!("\u{feff}{}", PLAIN.replace('\n', "\r\n"));
    assert_eq!(read(&windows), read(PLAIN));
    let text = read("---  \nname: pdf\ndescription: one --- two\n--- \t\nAbove\n\n---\n\nBelow\n");
    assert_eq!((text.description.as_str(), text.body.as_str()), ("one --- two", "Above\n\n---\n\nBelow"));
    assert_eq!(text.warnings, []);
    let text = read("---\nname: pdf\ndescription: |\n  A table:\n  --- | ---\n  ---\n---\n  indented\nx\n");
    assert_eq!((text.description.as_str(), text.body.as_str()), ("A table: --- | --- ---", "  indented\nx"));
    assert_eq!(read("\n\n---\nname: pdf\ndescription: d\n---\nx").warnings, []);
    assert_eq!(read(&format!("{PLAIN}a\r\r\nb\rc")).body, "# PDF\n\nRead it.\na\n\nb\nc");
    let error = fails(&format!("---\r\nna{}mik: x\r\ndescription: Use\r\nee\n---\r\n", "\r".repeat(90)));
    assert!(error.line <= 4, "{error:?}");
    assert_eq!(parse(b"---\nname: pdf\ndescription: \xff\n---\n", "pdf").unwrap_err().line, 3);
}

#[test]
fn what_is_no_yaml_is_taken_as_text_and_said() {
    for (line, meant) in [
        ("description: Use when: the user asks", "Use when: the user asks"),
        ("description: Use this\n  when: asked: twice", "Use this when: asked: twice"),
        ("description: *bold* text", "*bold* text"),
        ("description: @someone", "@someone"),
        ("description: `code` first", "`code` first"),
        ("description: [WIP] it's good", "[WIP] it's good"),
        ("description: %d files", "%d files"),
        ("description: ends in a colon:", "ends in a colon:"),
        ("description: a\n  b: c\n\n  d", "a b: c d"),
    ] {
        let text = read(&format!("---\nname: pdf\n{line}\nlicense: MIT\n---\nx\n"));
        assert_eq!(text.description, meant);
        assert_eq!(text.license.as_deref(), Some("MIT"), "{line}");
        assert_eq!(
            warnings(&text),
            ["3: the value in this line is no YAML; it is taken as text, as it stands"]
        );
    }
    let text = read("---\nname: pdf\ndescription: d\nallowed-tools:\n  - *\n  - Read\n  - `x`\n---\nx\n");
    assert_eq!(text.allowed_tools, ["*", "Read", "`x`"]);
    assert_eq!(text.warnings.iter().map(|warning| warning.line).collect::<Vec<_>>(), [5, 7]);
    let text = read(
        "---\nname: pdf\ndescription: d\nmetadata:\n  note: a: b\n  other: x\ncompatibility: c: d\n---\nx\n",
    );
    assert_eq!((text.metadata["note"].as_str(), text.metadata["other"].as_str()), ("a: b", "x"));
    assert_eq!(text.compatibility.as_deref(), Some("c: d"));
    assert_eq!(text.warnings.iter().map(|warning| warning.line).collect::<Vec<_>>(), [5, 7]);
}

#[test]
fn names() {
    let named = |name: &str, directory: &str| {
        let text = format!("---\nname: {name}\ndescription: d\n---\nx\n");
        let text = parse(text.as_bytes(), directory).unwrap();
        (text.name.clone(), text.warnings.len())
    };
    assert_eq!(named("pdf", "pdf"), ("pdf".to_owned(), 0));
    assert_eq!(named("pdf-2", "pdf"), ("pdf-2".to_owned(), 1), "its own name");
    for name in ["PDF", "pdf forms", "pdf_forms", "-pdf", "pdf-", "pdf--forms", "a/b", "\"\"", "[a]"] {
        assert_eq!(named(name, "the-dir"), ("the-dir".to_owned(), 1), "{name}");
    }
    assert_eq!(named(&"x".repeat(65), "d").0, "d");
    assert_eq!(named(&"x".repeat(64), "d").0, "x".repeat(64));
    assert_eq!(named("PDF", "My Skill_2/"), ("my-skill-2".to_owned(), 1));
    assert_eq!(named("PDF", "…"), ("skill".to_owned(), 1));
    assert_eq!(named("größe", "größe"), ("größe".to_owned(), 1), "letters of any script can be said");
    assert_eq!(read("---\ndescription: d\n---\nx\n").name, "pdf");
    assert!(is_name("a-1") && !is_name("größe") && !is_name(""));
}

#[test]
fn limits_of_the_format_are_warnings() {
    let long = "y".repeat(1_025);
    let text = read(&format!(
        "---\nname: pdf\ndescription: {long}\ncompatibility: {long}\nversion: 1\nname: q\n---\nx\n"
    ));
    assert_eq!(text.description.chars().count(), 1_024);
    assert_eq!(text.compatibility.as_ref().unwrap().chars().count(), 500);
    assert_eq!(
        warnings(&text),
        [
            "4: compatibility has more than 500 characters; the rest is left out",
            "5: the key version is none of the format's; it means nothing here",
            "6: name is there twice; the first counts",
            "3: the description has 1025 characters; those after 1024 are left out",
        ]
    );
    assert_eq!(read(&format!("---\nname: pdf\ndescription: {}\n---\nx\n", &long[..1_024])).warnings, []);
    assert_eq!(
        warnings(&read("---\nname: pdf\ndescription: d\nmetadata: x\nallowed-tools: {a: b}\n---\n")).len(),
        3
    );
    let many: String = (0..200).map(|n| format!("key{n}: x\n")).collect();
    assert_eq!(read(&format!("---\n{many}description: d\n---\nx\n")).warnings.len(), MAX_WARNINGS);
    let controls = read("---\nname: pdf\ndescription: \"a\\u0007\\e[31m b\\nc\"\n---\nx\n");
    assert_eq!(controls.description, "a [31m b c");
}

#[test]
fn what_no_model_could_use_does_not_load() {
    for (text, line, why) in [
        ("", 0, "is empty"),
        ("# PDF\n", 1, "no frontmatter"),
        ("---\nname: pdf\ndescription: d\n", 1, "not closed"),
        ("---\nname: pdf\n---\nx\n", 1, "there is no description"),
        ("---\nname: pdf\ndescription:\n---\nx\n", 3, "description is empty"),
        ("---\nname: pdf\ndescription: \"  \"\n---\nx\n", 3, "description is empty"),
        ("---\nname: pdf\ndescription: ~\n---\nx\n", 3, "description is empty"),
        ("---\nname: pdf\ndescription:\n- a\n---\nx\n", 4, "is a list"),
        ("---\n---\nx\n", 1, "no KEY: VALUE"),
        ("---\n- a\n---\nx\n", 1, "no KEY: VALUE"),
        ("---\njust words\n---\nx\n", 1, "no KEY: VALUE"),
        ("---\nname: pdf\ndescription: \"open\nlicense: x\n---\nx\n", 3, "can not be read"),
        ("---\nname: pdf\n\tdescription: d\n---\nx\n", 2, "can not be read"),
        ("---\nname: &a pdf\ndescription:\n  - *a\n---\nx\n", 4, "alias"),
        ("---\n%YAML 1.2\n--- \nname: pdf\n", 2, "not be read"),
    ] {
        let error = fails(text);
        assert!(error.message.contains(why), "{text:?}: {error:?}");
        assert_eq!(error.line, line, "{text:?}: {error:?}");
        assert!(!error.hint.is_empty());
    }
    assert!(fails(&format!("{PLAIN}{}", "x".repeat(MAX_FILE))).message.contains("more than 1 MiB"));
    let front = format!("---\nname: pdf\ndescription: d\nmore: {}\n---\nx\n", "y".repeat(yaml::MAX_BYTES));
    assert!(fails(&front).message.contains("more than 64 KiB"));
}

#[test]
fn bombs_do_not_go_off() {
    let laughs: String =
        (1..30).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))).collect();
    let error = fails(&format!("---\nname: pdf\na0: &a0 lol\n{laughs}description: d\n---\nx\n"));
    assert!(error.message.contains("alias"), "{error:?}");
    for deep in [
        format!("more: {}", "[".repeat(50_000)),
        format!("more: {}", "{a: ".repeat(12_000)),
        format!("more:\n{}", (0..250).map(|n| format!("{}- a:\n", " ".repeat(n))).collect::<String>()),
        format!("more: {}", "- ".repeat(20_000)),
        format!("more: {}", "? ".repeat(20_000)),
        "&a ".repeat(20_000),
        "!<tag> ".repeat(9_000),
        format!("more: \"{}", "\\".repeat(60_000)),
        format!("k: {}", "a: ".repeat(20_000)),
        "a:\n".repeat(20_000),
        "a: *b\n".repeat(10_000),
    ] {
        let text = format!("---\nname: pdf\ndescription: d\n{deep}\n---\nx\n");
        // Whatever comes of it, it comes.
        if let Ok(text) = parse(text.as_bytes(), "pdf") {
            assert!(text.warnings.len() <= MAX_WARNINGS);
        }
    }
    let flat = format!("---\nname: pdf\ndescription: d\nmore: [{}]\n---\nx\n", "a,".repeat(5_000));
    assert!(fails(&flat).message.contains("more than 4096 values"));
}

/// Pieces of frontmatters, so that many make sense.
fn piece() -> impl Strategy<Value = String> {
    let known = [
        "---\n",
        "--- \n",
        "name: pdf\n",
        "description: Reads: it\n",
        "metadata:\n",
        "  a: b: c\n",
        "  - x\n",
        "allowed-tools: Read Bash(a b)\n",
        "license: |\n",
        "  text\n",
        "\r\n",
        "\n",
        "\u{feff}",
        "'",
        "\"",
        "[",
        "]",
        "{",
        "}",
        "*a",
        "&a",
        "? ",
        ": ",
        "- ",
        "# ",
        "\t",
        "é",
        "\u{0}",
        "!!str ",
        "%YAML 1.2\n",
        "...\n",
    ];
    prop_oneof![4 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,8}"]
}

proptest! {
    #[test]
    fn any_text_gives_a_bounded_record_or_a_reason(
        pieces in prop::collection::vec(piece(), 0..60),
        directory in ".{0,80}",
        begun in any::<bool>(),
    ) {
        let text = format!("{}{}", if begun { "---\nname: a\ndescription: b\n" } else { "" }, pieces.concat());
        match parse(text.as_bytes(), &directory) {
            Ok(read) => {
                prop_assert!(is_word(&read.name), "{:?}", read.name);
                let length = read.description.chars().count();
                prop_assert!((1..=MAX_DESCRIPTION).contains(&length));
                prop_assert!(!read.description.contains(char::is_control));
                prop_assert!(read.warnings.len() <= MAX_WARNINGS);
                prop_assert!(read.body.len() <= text.len());
                let lines = text.split('\n').count();
                prop_assert!(read.warnings.iter().all(|warning| warning.line <= lines));
            }
            Err(error) => prop_assert!(!error.message.is_empty() && error.line <= text.split('\n').count()),
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes, "x");
        let _ = parse(&[b"---\n".as_slice(), &bytes, b"\n---\n"].concat(), "x");
    }
}
