//! Redaction: every encoding of a known key and every token of the table, whole, in pieces, and cut; and what must
//! pass unchanged.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use org_agent::redact::{HELD, Keys, Redactor, redact};
use proptest::prelude::*;

/// Made up, like all here.
const KEY: &str = "sk-proj-Zk3x/Q9+vT~w7Lr2_Hd5-Nc8Yb1Mf6Gj4Ps0Aq";

fn keys() -> Keys {
    Keys::new([KEY, "pa%41ss\"wo\\rd#1x", "schlüssel-für-Ä-99"])
}

fn masked(text: &str) -> String {
    let (out, count) = redact(text, &keys());
    assert_eq!(count > 0, out != text, "{text}");
    assert_eq!(redact(&out, &keys()), (out.clone(), 0), "masked twice: {text}");
    assert_eq!(in_chunks(text, &[1]), out, "byte by byte: {text}");
    out
}

/// `text` redacted in chunks of these many bytes, over and over.
fn in_chunks(text: &str, sizes: &[usize]) -> String {
    let mut redactor = Redactor::new(&keys());
    let (mut out, mut rest) = (String::new(), text);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, tail) = rest.split_at(rest.ceil_char_boundary((*size).min(rest.len())));
        redactor.push(chunk, &mut out);
        assert!(redactor.held() <= HELD, "{} bytes held", redactor.held());
        rest = tail;
    }
    redactor.finish(&mut out);
    out
}

fn base64(bytes: &[u8], url: bool) -> String {
    let letters = if url { b"-_" } else { b"+/" };
    let alphabet: Vec<u8> =
        (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(letters.iter().copied()).collect();
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let group = (0..3).fold(0, |sum, n| sum << 8 | u32::from(three.get(n).copied().unwrap_or(0)));
        for n in 0..=three.len() {
            out.push(char::from(alphabet[(group >> (18 - 6 * n) & 63) as usize]));
        }
    }
    out
}

fn hex(text: &str, separator: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator)
}

/// `text` as `xxd` prints it.
fn dump(text: &str) -> String {
    let line = |(at, line): (usize, &[u8])| {
        let pairs: Vec<String> =
            line.chunks(2).map(|pair| hex(std::str::from_utf8(pair).unwrap(), "")).collect();
        format!("{:08x}: {}  {}", at * 16, pairs.join(" "), std::str::from_utf8(line).unwrap())
    };
    text.as_bytes().chunks(16).enumerate().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_known_key_is_masked_in_every_encoding() {
    let percent = |all: bool| {
        KEY.chars()
            .map(|c| if all || !c.is_ascii_alphanumeric() { format!("%{:02X}", c as u32) } else { c.into() })
            .collect::<String>()
    };
    let wrapped = |text: &str, at: usize| {
        let lines: Vec<&str> =
            text.as_bytes().chunks(at).map(|line| std::str::from_utf8(line).unwrap()).collect();
        lines.join("\r\n   ")
    };
    let between = |what: &str| KEY.chars().map(|c| format!("{c}{what}")).collect::<String>();
    let cases = [
        KEY.to_owned(),
        percent(false),
        percent(true),
        percent(true).to_lowercase(),
        hex(KEY, ""),
        hex(KEY, "").to_uppercase(),
        hex(KEY, " "),
        hex(KEY, ":").to_uppercase(),
        wrapped(&hex(KEY, ""), 60),
        format!("\\x{}", hex(KEY, "\\x")),
        KEY.chars().map(|c| format!("\\u{:04x}", c as u32)).collect(),
        // In a string in a string.
        KEY.chars().map(|c| format!("\\\\u{:04x}", c as u32)).collect(),
        format!("\\\\x{}", hex(KEY, "\\\\x")),
        KEY.replace('/', "\\/"),
        between("\u{200b}"),
        between("\u{1b}[31m"),
        between("\u{1b}[1;38;2;255;255;255m"),
        between("\0"),
        between("\u{ad}"),
        KEY.chars().map(|c| char::from_u32(c as u32 + 0xfee0).unwrap()).collect(),
        wrapped(KEY, 19),
    ];
    for text in cases {
        let out = masked(&format!("before {text} after"));
        assert!(out.starts_with("before [redacted: live key]"), "{text}: {out}");
        assert!(out.ends_with(" after") && out.len() < 80, "{text}: {out}");
    }
    for url in [false, true] {
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "x", "xy", "xyz"] {
                for width in [1000, 76, 20] {
                    let text = base64(format!("{before}{KEY}{after}").as_bytes(), url);
                    let out = masked(&format!("= {} =", wrapped(&text, width)));
                    assert!(out.contains("[redacted: live key]"), "{text}: {out}");
                    assert!(out.len() < 45, "{text}: {out}");
                }
            }
        }
    }
    for (text, expected) in [
        (format!("xyz{KEY}zyx"), "xyz[redacted: live key]zyx"),
        (format!("{KEY}{KEY}"), "[redacted: live key]"),
        ("p=pa%41ss\"wo\\rd#1x".to_owned(), "p=[redacted: live key]"),
        ("p=pa%2541ss%22wo%5Crd%231x;".to_owned(), "p=[redacted: live key];"),
        ("{\"p\":\"pa%41ss\\\"wo\\\\rd#1x\"}".to_owned(), "{\"p\":\"[redacted: live key]\"}"),
        ("schlüssel-für-Ä-99é".to_owned(), "[redacted: live key]é"),
        ("schl%C3%BCssel-f%c3%bcr-%C3%84-99".to_owned(), "[redacted: live key]"),
        // Parts: the rest was cut away by whoever printed it.
        (
            format!("{}\n[... 70 bytes are left out here ...]\n{}", &KEY[..20], &KEY[30..]),
            "[redacted: live key]\n[... 70 bytes are left out here ...]\n[redacted: live key]",
        ),
        (
            dump(KEY),
            "00000000: [redacted: live key]  [redacted: live key]\n00000010: [redacted: live key]  [redacted: live key]\n00000020: [redacted: live key]  [redacted: live key]",
        ),
        (
            format!("x{}", dump(&format!("y{KEY}"))),
            "x00000000: 79[redacted: live key]  y[redacted: live key]\n00000010: [redacted: live key]  [redacted: live key]\n00000020: [redacted: live key]  [redacted: live key]",
        ),
        (
            "%61%2525".to_owned() + &KEY.replace('/', "%252F").replace('+', "%252B"),
            "%61%2525[redacted: live key]",
        ),
        (format!("{} and", &KEY[38..]), "[redacted: live key] and"),
        (format!("end {}", &KEY[..9]), "end [redacted: live key]"),
    ] {
        assert_eq!(masked(&text), expected);
    }
    // Placeholders are no keys.
    let short = Keys::new(["ollama", "none", ""]);
    assert_eq!(redact("ollama has none", &short), ("ollama has none".to_owned(), 0));
}

#[test]
fn a_long_key_is_masked_whole() {
    let key: String = (0..3000_u32).map(|n| char::from(b'!' + (n * n * 7 % 89) as u8)).collect();
    let (out, _) = redact(&format!("a {key} b"), &Keys::new([key.as_str()]));
    assert_eq!(out, "a [redacted: live key] b");
    assert_eq!(format!("{:?}", Keys::new([key.as_str()])), "Keys { .. }");
}

/// A token of `len` made-up characters, half of them digits.
fn made(len: usize) -> String {
    "a1B2c3D4e5F6g7H8i9J0".chars().cycle().take(len).collect()
}

fn digits(len: usize) -> String {
    "0a1b2c3d4e5f6789".chars().cycle().take(len).collect()
}

#[test]
fn well_known_tokens_are_masked() {
    let upper = "A2B3C4D5E6F7G2H3".to_owned();
    let m = made;
    let h = digits;
    let cases = [
        ("anthropic-key", format!("sk-ant-api03-{}", m(90))),
        ("openai-key", format!("sk-proj-{}", m(100))),
        ("openai-key", format!("sk-{}", m(48))),
        ("openrouter-key", format!("sk-or-v1-{}", h(64))),
        ("groq-key", format!("gsk_{}", m(52))),
        ("xai-key", format!("xai-{}", m(80))),
        ("huggingface-token", format!("hf_{}", m(34))),
        ("replicate-token", format!("r8_{}", m(37))),
        ("github-token", format!("ghp_{}", m(36))),
        ("github-token", format!("ghs_{}", m(36))),
        ("github-token", format!("github_pat_{}_{}", m(22), m(59))),
        ("gitlab-token", format!("glpat-{}", m(20))),
        ("npm-token", format!("npm_{}", m(36))),
        ("pypi-token", format!("pypi-AgEIcHlwaS5vcmc{}", m(70))),
        ("crates-token", format!("cio{}", m(32))),
        ("docker-token", format!("dckr_pat_{}", m(27))),
        ("aws-key-id", format!("AKIA{upper}")),
        ("google-key", format!("AIza{}", m(35))),
        ("google-token", format!("ya29.{}", m(60))),
        ("google-secret", format!("GOCSPX-{}", m(28))),
        ("digitalocean-token", format!("dop_v1_{}", h(64))),
        ("doppler-token", format!("dp.pt.{}", m(43))),
        ("doppler-token", format!("dp.st.prd.{}", m(43))),
        ("databricks-token", format!("dapi{}", h(32))),
        ("vault-token", format!("hvs.{}", m(90))),
        ("slack-token", format!("xoxb-123456789012-123456789012-{}", m(24))),
        ("stripe-key", format!("sk_live_{}", m(24))),
        ("shopify-token", format!("shpat_{}", h(32))),
        ("sendgrid-key", format!("SG.{}.{}", m(22), m(43))),
        ("twilio-key", format!("SK{}", h(32))),
        ("atlassian-token", format!("ATATT3{}", m(186))),
        ("linear-key", format!("lin_api_{}", m(40))),
        ("age-key", format!("AGE-SECRET-KEY-1{}", upper.repeat(4))),
        ("jwt", format!("eyJhbGciOiJIUzI1NiJ9.eyJ{}.{}", m(60), m(43))),
    ];
    for (name, token) in &cases {
        let mask = format!("[redacted: {name}]");
        for (before, after) in [
            ("", ""),
            ("x = \"", "\";\n"),
            ("token%3D", "%26a"),
            ("{\\\"k\\\":\\\"", "\\\"}"),
            ("\u{1b}[1m", "\u{1b}[0m,\n"),
            ("(", ")"),
            ("key:\\n", "\\n"),
        ] {
            assert_eq!(
                masked(&format!("{before}{token}{after}")),
                format!("{before}{mask}{after}"),
                "{token}"
            );
        }
        // Half of it, where the text was cut.
        let half = &token[..token.len() * 2 / 3];
        let out = masked(&format!("a {half}"));
        assert!(*name == "sendgrid-key" || out == format!("a {mask}"), "{half}: {out}");
        let hidden: String = token.chars().flat_map(|c| [c, '\u{200b}']).collect();
        assert_eq!(masked(&hidden), format!("{mask}\u{200b}"), "{token}");
    }
    let line = format!("{}\n", made(64)).repeat(25);
    let escaped = line.replace('\n', "\\n");
    let texts = [
        (
            format!("Authorization: Bearer {}\r\n", m(24)),
            "Authorization: Bearer [redacted: authorization]\r\n".to_owned(),
        ),
        (
            "-H 'authorization: Basic dXNlcjpwYXNz'".to_owned(),
            "-H 'authorization: Basic [redacted: authorization]'".to_owned(),
        ),
        (
            format!("{{\"Authorization\": \"token {}\"}}", m(40)),
            "{\"Authorization\": \"token [redacted: authorization]\"}".to_owned(),
        ),
        (
            format!("AWS_SECRET_ACCESS_KEY={}", m(40)),
            "AWS_SECRET_ACCESS_KEY=[redacted: aws-secret-key]".to_owned(),
        ),
        (
            format!("\"SecretAccessKey\": \"{}\"", m(40)),
            "\"SecretAccessKey\": \"[redacted: aws-secret-key]\"".to_owned(),
        ),
        (
            format!("AccountName=a;AccountKey={}==;End", m(86)),
            "AccountName=a;AccountKey=[redacted: azure-key];End".to_owned(),
        ),
        (format!("?sv=1&sig={}%3D&se=2", m(43)), "?sv=1&sig=[redacted: azure-signature]&se=2".to_owned()),
        (
            format!("https://hooks.slack.com/services/T0/B0/{}", m(24)),
            "https://hooks.slack.com/services/[redacted: slack-webhook]".to_owned(),
        ),
        ("postgres://me:s3cr%40t@db/x".to_owned(), "postgres://me:[redacted: url-password]@db/x".to_owned()),
        ("redis://:a@b:c@host:1".to_owned(), "redis://:[redacted: url-password]@host:1".to_owned()),
        (
            "u=https%3A%2F%2Fme%3Ahunter2%40db%2Fx".to_owned(),
            "u=https%3A%2F%2Fme%3A[redacted: url-password]%40db%2Fx".to_owned(),
        ),
        (
            format!("-----BEGIN RSA PRIVATE KEY-----\n{line}-----END RSA PRIVATE KEY-----\nok\n"),
            "[redacted: private-key]\nok\n".to_owned(),
        ),
        (
            format!("\"-----BEGIN PRIVATE KEY-----\\n{escaped}-----END PRIVATE KEY-----\\n\","),
            "\"[redacted: private-key]\\n\",".to_owned(),
        ),
        (
            format!(
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{}\n\n{line}",
                h(32)
            ),
            "[redacted: private-key]".to_owned(),
        ),
        (
            format!(
                "-----BEGIN OPENSSH PRIVATE KEY-----\n{line}[... 9 bytes are left out here ...]\n{line}-----END OPENSSH PRIVATE KEY-----."
            ),
            "[redacted: private-key].".to_owned(),
        ),
        (
            format!(
                "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n{line}=AbCd\n-----END PGP PRIVATE KEY BLOCK-----"
            ),
            "[redacted: private-key]".to_owned(),
        ),
        (
            format!("ghp_{}\n[... 900 bytes are left out here ...]\n", m(12)),
            "[redacted: github-token]\n[... 900 bytes are left out here ...]\n".to_owned(),
        ),
        (
            format!("a [redacted: live key] b ghp_{}", m(40)),
            "a [redacted: live key] b [redacted: github-token]".to_owned(),
        ),
    ];
    for (text, expected) in &texts {
        assert_eq!(masked(text), *expected);
    }
}

#[test]
fn what_follows_a_cut_key_block_is_shown_again() {
    let text = format!("-----BEGIN PRIVATE KEY-----\n{}\n{}", made(64), "and so on ".repeat(9));
    let out = masked(&text);
    assert!(out.starts_with("[redacted: private-key] ") && out.len() > 60, "{out}");
}

#[test]
fn ordinary_text_passes_unchanged() {
    let image = base64(
        &(0..9000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>(),
        false,
    );
    let zeros = base64(&[0; 600], false);
    let cases = [
        "commit 979c36912ab34cd56ef7890123456789abcdef01",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty",
        "0b8f6a52-3c1e-4b0e-9d55-6f2b1c7f1f0a",
        "sha512-9Mk2xS0ZzqHnQH3M1u5bJvA0Ew9V2nLp8Kx7RrT6cYd4FgUiOoPpAaSsDdFfGgHhJjKkLlZzXxCcVvBbNnMm1Q==",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx2Zg0kC4Vv8yqQ5tT1rY7uW3eX9iO6pL0aS2dF4gHj me@host",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----",
        "if text.starts_with(\"-----BEGIN RSA PRIVATE KEY-----\") { return load_private_key(text); }",
        "const HEAD: &str = \"-----BEGIN PRIVATE KEY-----\\n\";\nfn is_it(text: &str) -> bool { text.starts_with(HEAD) }",
        "class=\"sk-estimator-doc-link sk-container-id-1 sk-toggleable__content\"",
        "task-list-item-checkbox risk-1234567890-abcdefghij disk-0123456789abcdef0123456789abcdef",
        "http://localhost:8080/path@home https://[::1]:80/ git@github.com:me/it.git ssh://git@host:22/x",
        "let url = format!(\"https://{user}:{password}@{host}\"); curl https://me:$TOKEN@host/",
        "curl -H \"Authorization: Bearer $TOKEN\" -H \"Authorization: Bearer ${TOKEN}\" -H 'X: <token>'",
        "The bearer of good news. Authorization: Bearer <your token here>",
        "aws_secret_access_key = os.environ[\"AWS_SECRET_ACCESS_KEY\"]",
        "std::collections::HashMap<String, Vec<(usize, usize)>>::with_capacity(1 << 20)",
        "C:\\new\\users\\xray\\temp 100% of %d %s %20 \\u00e9 \\x1b[0m \\\\server\\share",
        "\u{1b}[1;32m   Compiling\u{1b}[0m org-agent v0.1.0\r\n\u{1b}[K50%\r",
        "eyJ0aGlzIjoiaXMganVzdCBKU09OIn0= eyJ.eyJ.x AKIA ghp_ ghp_short sk- npm_config_registry xoxb-",
        "bot123:hello AccountKey=short sig=abc hf_hub_download(repo) SKU1234 glpat- pypi-publish cio",
        "👩‍👩‍👧 naïve 日本語 Ünïcödé ｆｕｌｌ",
        "[redacted: live key] [redacted: nothing] [redacted: [redacted: live key]]",
        image.as_str(),
        zeros.as_str(),
        include_str!("../src/redact.rs"),
        include_str!("../src/redact/units.rs"),
        include_str!("../src/kernel.rs"),
        include_str!("../Cargo.lock"),
        include_str!("../README.md"),
        include_str!("../docs/protocol.md"),
    ];
    for text in cases {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn ordinary_text_is_not_held_back() {
    let mut redactor = Redactor::new(&keys());
    let mut out = String::new();
    for line in include_str!("../src/kernel.rs").lines() {
        redactor.push(line, &mut out);
        assert!(redactor.held() <= 8, "{} bytes after {line:?}", redactor.held());
        redactor.push("\n", &mut out);
        assert_eq!(redactor.held(), 0, "{line:?}");
    }
}

#[test]
fn what_is_held_back_is_bounded() {
    let long: String = (0..2000_u32).map(|n| char::from(b'!' + (n * n * 7 % 89) as u8)).collect();
    let cases = [
        "\u{200b}".repeat(9_000),
        "s\u{200b}\u{200b}\u{200b}".repeat(9_000),
        "eyJ".repeat(8_000),
        format!("://{}", "a%41".repeat(9_000)),
        format!("://a:{}", "@\u{1b}[31m".repeat(9_000)),
        "-----BEGIN ".repeat(9_000),
        hex(&long, " ").repeat(4),
        "\u{1b}[".repeat(9_000),
        "[redacted: ".repeat(9_000),
        format!("-----BEGIN PRIVATE KEY-----\n{}", made(40_000)),
        format!("://a:{}{KEY}@b/", "b\u{200b}\u{1b}[31m".repeat(1_300)),
        format!("eyJ{}.eyJ{}{KEY}", "a\\u200b".repeat(490), "b\\u0062".repeat(1_000)),
    ];
    let keys = Keys::new([long.as_str(), KEY]);
    for text in cases {
        let (whole, _) = redact(&text, &keys);
        let mut redactor = Redactor::new(&keys);
        let mut out = String::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at(rest.ceil_char_boundary(rest.len().min(997)));
            redactor.push(chunk, &mut out);
            assert!(redactor.held() <= HELD, "{} bytes held", redactor.held());
            rest = tail;
        }
        redactor.finish(&mut out);
        assert!(whole == out && redact(&whole, &keys).0 == whole, "{}", &text[..40]);
    }
}

/// Text in which secrets, their parts and their neighbours are likely.
fn hazards() -> impl Strategy<Value = String> {
    let pieces = vec![
        KEY.to_owned(),
        KEY[..20].to_owned(),
        KEY[20..].to_owned(),
        base64(KEY.as_bytes(), false)[..30].to_owned(),
        base64(KEY.as_bytes(), false)[30..].to_owned(),
        hex(KEY, ""),
        "pa%41ss\"wo\\rd#1x".to_owned(),
        "schlüssel-für-Ä-99".to_owned(),
        format!("ghp_{}", made(36)),
        made(20),
        format!("AKIA{}", "A2B3C4D5E6F7G2H3"),
        "sk-proj-".to_owned(),
        "eyJhbGciOiJIUzI1NiJ9.eyJ".to_owned(),
        "Authorization: Bearer ".to_owned(),
        "https://user:".to_owned(),
        "https%3A%2F%2Fuser%3A".to_owned(),
        "@host/".to_owned(),
        "-----BEGIN RSA PRIVATE KEY-----\n".to_owned(),
        "-----END RSA PRIVATE KEY-----".to_owned(),
        format!("{}\n", made(64)),
        "[redacted: live key]".to_owned(),
        "[redacted: ".to_owned(),
        "\n[... 9 bytes are left out here ...]\n".to_owned(),
        "\u{1b}[31m".to_owned(),
        "\u{1b}".to_owned(),
        "\u{200b}".to_owned(),
        "%".to_owned(),
        "\\".to_owned(),
        "\\u00".to_owned(),
        "\\u200b".to_owned(),
        "\n".to_owned(),
        " ".to_owned(),
        "]".to_owned(),
        "$".to_owned(),
        "é".to_owned(),
    ];
    prop::collection::vec(prop_oneof![prop::sample::select(pieces), ".{0,3}", "[!-~]{0,4}"], 0..14)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn the_cuts_do_not_matter_and_twice_is_once(text in hazards(), sizes in prop::collection::vec(1_usize..40, 1..6)) {
        let (whole, count) = redact(&text, &keys());
        prop_assert_eq!(&in_chunks(&text, &sizes), &whole);
        prop_assert_eq!(&in_chunks(&text, &[1]), &whole);
        prop_assert_eq!(redact(&whole, &keys()), (whole.clone(), 0));
        prop_assert!(!whole.contains(KEY));
        prop_assert_eq!(count > 0, whole != text);
    }

    #[test]
    fn of_keys_alone_the_cuts_do_not_matter_either(text in hazards(), size in 1_usize..40) {
        let known = Keys::beginnings([KEY]);
        let cut = |size: usize| {
            let mut redactor = Redactor::of_keys(&known);
            let (mut out, mut rest) = (String::new(), text.as_str());
            while !rest.is_empty() {
                let (chunk, tail) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
                redactor.push(chunk, &mut out);
                assert!(redactor.held() <= HELD);
                rest = tail;
            }
            redactor.finish(&mut out);
            out
        };
        let whole = cut(usize::MAX);
        prop_assert_eq!(&cut(size), &whole);
        prop_assert_eq!(&cut(1), &whole);
        for form in [KEY.to_owned(), base64(KEY.as_bytes(), false), hex(KEY, "")] {
            prop_assert!(!whole.contains(&form));
        }
    }
}

#[test]
fn of_keys_alone_nothing_else_is_masked_and_nothing_is_held_back() {
    let known = Keys::beginnings([KEY]);
    let mut redactor = Redactor::of_keys(&known);
    let mut out = String::new();
    redactor.push(&format!("ghp_{} {KEY} {} the ", made(36), base64(KEY.as_bytes(), true)), &mut out);
    assert_eq!(redactor.held(), 0);
    assert_eq!(out, format!("ghp_{} [redacted: live key] [redacted: live key] the ", made(36)));
    // What stands before takes the first letters of the key with it.
    for before in ["%", "\\u", "\\\\u"] {
        redactor.push(&format!("{before}{} ", hex(KEY, "")), &mut out);
        assert!(!out.contains(&hex(&KEY[3..], "")), "{before}: {out}");
    }
    assert!(out.ends_with("[redacted: live key] "), "{out}");
}
