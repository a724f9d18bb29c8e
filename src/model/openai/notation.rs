//! Actions in JSON as property lists, while they come.
//!
//! Some servers can be made to write JSON of a schema and nothing else. The verifier reads property lists; so each piece
//! of such a reply becomes the same piece of one: braces become parentheses, keys and closed words keywords, strings
//! strings. It judges nothing: what is no such JSON comes out as what no verifier takes.

use crate::sexp::recogniser::Recogniser;

/// The keys whose values are keywords.
const WORDS: [&str; 4] = ["type", "target", "action", "level"];

/// The most bytes of a key that are kept to tell what its value is.
const KEY: usize = 16;

/// A reply in JSON, read so far.
#[derive(Debug, Default)]
pub(super) struct Notation {
    state: State,
    depth: u32,
    /// Whether the next string is a key.
    is_key: bool,
    /// The last key, as far as it matters.
    key: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing but blanks came.
    #[default]
    Start,
    /// It is not JSON: it stays as it is.
    Raw,
    /// Between strings.
    Outside,
    /// In a string that is a key, a keyword or a text.
    Key,
    Word,
    Text,
    /// Behind a backslash in one.
    Escape,
}

impl Notation {
    /// The next piece as a property list has it.
    pub(super) fn push(&mut self, piece: &str) -> String {
        let mut out = String::with_capacity(piece.len());
        for c in piece.chars() {
            self.take(c, &mut out);
        }
        out
    }

    fn take(&mut self, c: char, out: &mut String) {
        match self.state {
            State::Raw => out.push(c),
            State::Start => match c {
                ' ' | '\t' | '\n' | '\r' => {}
                '{' => {
                    self.state = State::Outside;
                    self.outside(c, out);
                }
                _ => {
                    self.state = State::Raw;
                    out.push(c);
                }
            },
            State::Outside => self.outside(c, out),
            State::Key if c == '"' => {
                self.state = State::Outside;
                self.is_key = false;
            }
            State::Key => {
                if self.key.len() < KEY {
                    self.key.push(c);
                }
                out.push(c);
            }
            State::Word if c == '"' => self.state = State::Outside,
            State::Word => out.push(c),
            State::Text => match c {
                '"' => {
                    self.state = State::Outside;
                    out.push(c);
                }
                '\\' => self.state = State::Escape,
                _ => out.push(c),
            },
            State::Escape => {
                self.state = State::Text;
                match c {
                    '/' => out.push(c),
                    // No text may hold these, and the verifier says so.
                    'b' => out.push_str("\\u0008"),
                    'f' => out.push_str("\\u000c"),
                    // A code unit's digits follow as they are.
                    _ => out.extend(['\\', c]),
                }
            }
        }
    }

    fn outside(&mut self, c: char, out: &mut String) {
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '{' => {
                self.depth += 1;
                self.is_key = true;
                out.push('(');
            }
            '}' => {
                self.depth = self.depth.saturating_sub(1);
                out.push(')');
                if self.depth == 0 {
                    // Only blanks may follow, and the verifier says so.
                    self.state = State::Raw;
                }
            }
            ',' => {
                self.is_key = true;
                out.push(' ');
            }
            ':' => out.push(' '),
            '"' if self.is_key => {
                self.key.clear();
                self.state = State::Key;
                out.push(':');
            }
            '"' if WORDS.contains(&self.key.as_str()) => {
                self.state = State::Word;
                out.push(':');
            }
            '"' => {
                self.state = State::Text;
                out.push('"');
            }
            // Digits, and what belongs in no action.
            _ => out.push(c),
        }
    }
}

/// The action that `sexp` is, for a session of `buffer`, in JSON.
pub(super) fn to_json(sexp: &str, buffer: &str) -> Option<String> {
    let mut recogniser = Recogniser::new(buffer);
    recogniser.feed(sexp.as_bytes()).ok()?;
    Some(recogniser.finish().ok()?.to_json().to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::action::CHAT_BUFFER;
    use crate::sexp::printer::print;

    fn whole(json: &str) -> String {
        Notation::default().push(json)
    }

    #[test]
    fn json_becomes_the_property_list_that_it_means() {
        let cases = [
            (
                r#"{"type":"response","payload":{"text":"a \"b\" \u00e4\/\n"}}"#,
                r#"(:type :response :payload (:text "a \"b\" \u00e4/\n"))"#,
            ),
            (
                " { \"type\" : \"request\" , \"target\" : \"shell\",\n \"payload\": {\"cmd\": \"ls\", \"timeout\": 20} } ",
                r#"(:type :request :target :shell :payload (:cmd "ls" :timeout 20)) "#,
            ),
            (
                r#"{"type":"log","payload":{"text":"t","level":"warn"}}"#,
                r#"(:type :log :payload (:text "t" :level :warn))"#,
            ),
            // What is no such JSON is nothing that a verifier takes.
            (r#"(:type :response)"#, r#"(:type :response)"#),
            (r#"{"type":null}"#, "(:type null)"),
            (r#"{"a":[1,{}]}"#, "(:a [1 ()])"),
            (r#"{} {"a""#, r#"() {"a""#),
            (r#"{"payload":{"text":"\b"}}"#, r#"(:payload (:text "\u0008"))"#),
        ];
        for (json, sexp) in cases {
            assert_eq!(whole(json), sexp, "{json}");
        }
    }

    proptest! {
        #[test]
        fn an_action_comes_back_however_it_was_cut(
            text in "\\PC{0,40}|[\"\\\\\n\t /äß🦀\u{2028}]{0,20}",
            explanation in prop::option::of("[a-z\"\\\\{}:,]{1,20}"),
            size in 1_usize..9,
        ) {
            let mut action = crate::action::Action::insert(CHAT_BUFFER, &text);
            action.explain(explanation);
            let json = action.to_json().to_string();
            let mut notation = Notation::default();
            let mut sexp = String::new();
            let characters: Vec<char> = json.chars().collect();
            for piece in characters.chunks(size) {
                sexp.push_str(&notation.push(&piece.iter().collect::<String>()));
            }
            prop_assert_eq!(&sexp, &whole(&json));
            let mut recogniser = Recogniser::new(CHAT_BUFFER);
            // A text of JSON may hold what no action may; then both refuse it.
            match crate::verify::read_json(json.as_bytes(), CHAT_BUFFER, 1) {
                Ok(_) => {
                    recogniser.feed(sexp.as_bytes()).unwrap();
                    let read = recogniser.finish().unwrap();
                    prop_assert_eq!(print(&read), print(&action));
                    prop_assert_eq!(to_json(&print(&action), CHAT_BUFFER), Some(json));
                }
                Err(_) => prop_assert!(recogniser.feed(sexp.as_bytes()).and_then(|()| recogniser.finish()).is_err()),
            }
        }

        #[test]
        fn anything_is_taken_without_a_panic(text in "\\PC{0,200}|[{}\":,\\\\a ]{0,60}") {
            let out = whole(&text);
            prop_assert!(out.len() <= 6 * text.len() + 1);
        }
    }
}
