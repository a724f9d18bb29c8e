//! Tests of the counter and of the estimate.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "these are tests")]

use proptest::prelude::*;

use super::*;

const PROSE: &str = "All human beings are born free and equal in dignity and rights. They are endowed with reason and \
                     conscience and should act towards one another in a spirit of brotherhood.";

/// What no language is, the same each time.
fn base64(length: usize) -> String {
    let digits: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        digits[(state >> 58) as usize]
    };
    (0..length).map(|_| next()).collect()
}

/// Texts that are costly to count, of about `length` bytes.
fn hostile(length: usize) -> Vec<String> {
    let units = [
        "a",
        " ",
        "\n",
        " \n",
        "😀",
        "\u{301}",
        "👨‍👩‍👧",
        "\u{200d}",
        "\u{200d}a",
        "'s",
        "!",
        "1",
        "=-",
        "aA",
        "\0",
    ];
    let runs = units.into_iter().map(|unit| unit.repeat(length / unit.len()));
    let unassigned = ('\u{e1000}'..='\u{e1fff}').cycle().take(length / 4).collect();
    runs.chain([unassigned, base64(length), "<|endoftext|>".repeat(length / 13)]).collect()
}

fn named(model: &str) -> (&'static str, bool) {
    let counter = Counter::of(model);
    (counter.name(), counter.is_exact())
}

#[test]
fn a_model_without_a_published_vocabulary_is_estimated() {
    for model in [
        "",
        "/",
        "*",
        "offline",
        "claude-sonnet-4-5",
        "anthropic/claude-opus-4.1",
        "gemini-2.5-pro",
        "google/gemma-3-27b-it",
        "qwen-plus",
        "qwen3.5-plus",
        "deepseek-r1:8b",
        "deepseek-r1:671b",
        "deepseek-chat",
        "deepseek/deepseek-v3.1",
        "mixtral-8x7b",
        "mistral:7b",
        "mistral-large-2411",
        "llama2:13b",
        "codellama:7b",
        "llama-4-scout",
        "gpt-2",
        "o12",
        "my-gpt-4o",
    ] {
        assert_eq!(named(model), ("estimate", false), "{model}");
        assert_eq!(Counter::of(model).count(PROSE), estimate(PROSE), "{model}");
    }
}

#[test]
fn a_pattern_has_any_text_for_its_stars() {
    for (pattern, name, expected) in [
        ("o1", "o1", true),
        ("o1", "o1-mini", false),
        ("o1-*", "o1-mini", true),
        ("o1-*", "o1-", true),
        ("o1-*", "o1", false),
        ("a*b*c", "abc", true),
        ("a*b*c", "axbxc", true),
        ("a*b*c", "axc", false),
        ("a*b*c", "ab", false),
        ("a*a", "a", false),
        ("*", "", true),
        ("a*é*", "añé", true),
    ] {
        assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn every_row_of_the_table_can_be_reached() {
    for (at, (pattern, _)) in MODELS.iter().enumerate() {
        let name = pattern.replace('*', "0");
        let first = MODELS.iter().position(|(other, _)| fits(other, &name));
        assert_eq!(first, Some(at), "{pattern} is hidden");
    }
}

#[test]
fn an_estimate_follows_the_kinds_of_characters() {
    for (text, expected) in [
        ("", 0),
        ("word", 1),
        ("two words", 2),
        ("Word Word", 2),
        ("internationally", 5),
        ("HTTP", 3),
        ("in 1984", 6),
        ("a\n\nb", 3),
        ("f(x)", 4),
        ("人人", 3),
        ("Ж", 1),
        ("\u{10fffd}", 3),
    ] {
        assert_eq!(estimate(text), expected, "{text:?}");
    }
}

#[test]
fn hostile_texts_are_counted_in_bounded_time() {
    for model in ["gpt-4o", "gpt-4", "qwen3", "mistral-nemo", "claude"] {
        let counter = Counter::of(model);
        for text in hostile(1_000_000) {
            let tokens = counter.count(&text);
            assert!(0 < tokens && tokens <= text.len(), "{model}: {tokens} of {:?}", &text[..8]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_has_at_most_as_many_tokens_as_bytes(text in any::<String>(), again in 1..2_000_usize) {
        let text = text.repeat(again.min(6_000 / text.len().max(1)).max(1));
        for model in ["gpt-4o", "gpt-4", "qwen3", "mistral-nemo", "claude"] {
            let tokens = Counter::of(model).count(&text);
            prop_assert!(tokens <= text.len());
            prop_assert_eq!(tokens == 0, text.is_empty());
        }
    }

    #[test]
    fn any_name_has_a_counter(name in any::<String>()) {
        prop_assert!(!Counter::of(&name).name().is_empty());
    }

    #[test]
    fn a_longer_text_has_no_smaller_estimate(text in any::<String>(), more in any::<String>()) {
        let before = estimate(&text);
        prop_assert!(before <= estimate(&(text + &more)));
    }

    #[test]
    fn a_cut_is_no_longer_than_a_piece(text in "[ a-z0-9\n\u{e9}\u{4eba}\u{1f600}]{1000,3000}") {
        let at = cut(&text);
        prop_assert!(text.is_char_boundary(at) && 0 < at && at <= PIECE);
    }
}

#[cfg(not(feature = "tokenizer"))]
#[test]
fn without_the_library_all_is_estimated() {
    for (pattern, _) in MODELS {
        assert_eq!(named(&pattern.replace('*', "0")), ("estimate", false), "{pattern}");
    }
}

#[cfg(feature = "tokenizer")]
mod counted {
    use std::fmt::Write as _;

    use super::*;

    const GERMAN: &str = "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen \
                          begabt und sollen einander im Geist der Brüderlichkeit begegnen.";
    const RUSSIAN: &str = "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и \
                           совестью и должны поступать в отношении друг друга в духе братства.";
    const CHINESE: &str =
        "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。";
    const HINDI: &str = "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।";
    const ORG: &str = "* TODO Call the plumber :home:\nSCHEDULED: <2026-03-02 Mon 09:30>\n:PROPERTIES:\n:ID: \
                       5f3c2a10-77de-4b8e-9a55-0c1f2d3e4b5a\n:END:\n- [ ] /kitchen/ sink, see [[id:abc][the note]]\n\
                       #+begin_src emacs-lisp\n(defun greet (name)\n  (message \"Hello, %s!\" name))\n#+end_src\n";
    const LISP: &str = "(:type :request :target :emacs :payload (:action :insert-at-end :buffer \"*org-agent-chat*\" :text \
                        \"Hello\\n\"))";

    fn samples() -> Vec<(&'static str, String)> {
        let samples = [PROSE, GERMAN, RUSSIAN, CHINESE, HINDI, ORG, LISP].map(str::to_owned);
        let names = ["English", "German", "Russian", "Chinese", "Hindi", "Org", "Lisp"];
        names.into_iter().zip(samples).chain([("base64", base64(1_000))]).collect()
    }

    #[test]
    fn names_of_models_are_known_as_providers_write_them() {
        for (model, name, exact) in [
            ("gpt-5", "o200k_base", true),
            ("gpt-5-mini", "o200k_base", true),
            ("gpt-5.1", "o200k_base", false),
            ("gpt-oss:20b", "o200k_base", true),
            ("openai/gpt-4o", "o200k_base", true),
            ("openrouter/openai/gpt-4o-mini:free", "o200k_base", true),
            ("ft:gpt-4o-mini:acme::abc", "o200k_base", true),
            ("GPT-4o", "o200k_base", true),
            ("o3", "o200k_base", true),
            ("gpt-4-turbo", "cl100k_base", true),
            ("gpt-3.5-turbo", "cl100k_base", true),
            ("llama3.1:8b", "cl100k_base", false),
            ("meta-llama/Llama-3.3-70B-Instruct", "cl100k_base", false),
            ("accounts/fireworks/models/llama-v3p1-8b-instruct", "cl100k_base", false),
            ("qwen2.5-coder", "qwen2", true),
            ("qwen2.5-coder:7b-instruct-q4_K_M", "qwen2", true),
            ("hf.co/unsloth/Qwen3-8B-GGUF:Q4_K_M", "qwen2", true),
            ("deepseek-r1-distill-llama-70b", "cl100k_base", false),
            ("deepseek/deepseek-r1-0528-qwen3-8b:free", "qwen2", false),
            ("mistral-small-latest", "mistral_v3", false),
            ("open-mistral-nemo-2407", "mistral_v3", true),
        ] {
            assert_eq!(named(model), (name, exact), "{model}");
        }
    }

    /// From the documents of tiktoken and of the OpenAI cookbook ("How to count tokens with tiktoken").
    #[test]
    fn published_examples_have_their_published_counts() {
        for (model, text, expected) in [
            ("gpt-4o", "hello world", 2),
            ("gpt-4", "tiktoken is great!", 6),
            ("gpt-4", "antidisestablishmentarianism", 6),
            ("gpt-4o", "antidisestablishmentarianism", 6),
            ("gpt-4", "2 + 2 = 4", 7),
            ("gpt-4o", "2 + 2 = 4", 7),
            ("gpt-4", "お誕生日おめでとう", 9),
            ("gpt-4o", "お誕生日おめでとう", 8),
        ] {
            assert_eq!(Counter::of(model).count(text), expected, "{model} {text}");
        }
    }

    /// Special tokens are text in a text: nobody can write one.
    #[test]
    fn a_special_token_is_counted_as_what_is_written() {
        for model in ["gpt-4o", "gpt-4", "qwen3", "mistral-nemo"] {
            assert!(Counter::of(model).count("<|endoftext|>") > 1, "{model}");
        }
    }

    #[test]
    fn pieces_have_as_many_tokens_as_the_whole() {
        for model in ["gpt-4o", "gpt-4", "qwen3", "mistral-nemo"] {
            let counter = Counter::of(model);
            let whole = tiktoken::get_encoding(counter.name()).unwrap();
            for unit in [PROSE, GERMAN, ORG, LISP, "The year 1984 \n\n  was  \n /odd/ it's O'Neil's\t2.\n"] {
                // Other distances to the places where it is cut.
                for shift in (0..40).step_by(3) {
                    let text = format!("{}{}", "x".repeat(shift), unit.repeat(30_000 / unit.len()));
                    assert_eq!(counter.count(&text), whole.count(&text), "{model}, {shift}: {unit}");
                }
            }
        }
    }

    #[test]
    fn what_is_beyond_the_bound_is_estimated() {
        let head = "so ".repeat(COUNTED / 3 + 1);
        let (counted, beyond) = head.split_at(COUNTED);
        let text = format!("{head}{}", "and on ".repeat(1_000));
        let counter = Counter::of("gpt-4o");
        assert_eq!(counter.count(&text), counter.count(counted) + estimate(&text[COUNTED..]));
        assert!(beyond.len() < 3);
    }

    /// The samples are small and say less than the table of `estimate`; this holds them to its bounds.
    #[test]
    fn an_estimate_is_rather_too_much() {
        let mut table = String::new();
        for (name, text) in samples() {
            write!(table, "\n{name:8} {:5} bytes, {:4} estimated:", text.len(), estimate(&text)).unwrap();
            for model in ["gpt-4o", "gpt-4", "qwen3", "mistral-nemo"] {
                let ratio = estimate(&text) as f64 / Counter::of(model).count(&text) as f64;
                write!(table, " {ratio:.2}").unwrap();
                assert!((0.85..=3.0).contains(&ratio), "{table}");
            }
        }
    }

    /// Prints estimate / count for each file named in `TOKENS_TABLE`, separated by colons, and for the samples:
    /// `TOKENS_TABLE=README.md:src/lib.rs cargo test --lib tokens -- --ignored --nocapture`.
    #[test]
    #[ignore = "prints a table, proves nothing"]
    fn table() {
        let files = std::env::var("TOKENS_TABLE").unwrap_or_default();
        let files = files.split(':').filter(|file| !file.is_empty());
        let read = files.map(|file| (file, std::fs::read_to_string(file).unwrap()));
        println!("text, bytes / 4 at its worst, o200k_base, cl100k_base, qwen2, mistral_v3");
        for (name, text) in read.chain(samples()) {
            let counts = ["gpt-4o", "gpt-4", "qwen3", "mistral-nemo"]
                .map(|model| Counter::of(model).count(&text).max(1) as f64);
            let worst = text.len() as f64 / 4.0 / counts.iter().copied().fold(1.0, f64::max);
            let ratios = counts.map(|count| format!("{:.2}", estimate(&text) as f64 / count));
            println!("{name:12} {worst:.2} {}", ratios.join(" "));
        }
    }
}
