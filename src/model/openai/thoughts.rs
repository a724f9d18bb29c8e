//! Tells what a model thinks from what it says, where both come in one stream.
//!
//! Some models begin their replies with `<think>…</think>`, and some servers leave it there; templates of some begin it
//! in the prompt, so that only its end is in the reply. An action begins with a parenthesis. So, of a model that is
//! known to think, everything before the end mark is thought, unless the reply begins with a parenthesis.

/// What opens and closes a thought.
const MARKS: [(&str, &str); 2] = [("<think>", "</think>"), ("[THINK]", "[/THINK]")];

/// The most bytes that a thought may have before it counts as the reply; then the verifier refuses it.
const MOST: usize = 1 << 20;

/// What the names of models that do this have in them, in lower case: as their makers' model cards say.
const KNOWN: [&str; 8] =
    ["deepseek-r1", "r1-distill", "qwq", "qwen3", "magistral", "thinking", "reasoner", "smollm3"];

/// Whether the model of this name is known to begin its replies so.
pub(super) fn known(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    KNOWN.iter().any(|part| model.contains(part))
}

/// A reply, told apart so far.
#[derive(Debug)]
pub(super) enum Thoughts {
    /// Nothing but blanks came, and perhaps a part of an opening mark.
    Before(String),
    /// It thinks: all that was thought, and how much of it is known not to be a part of the closing mark.
    Within { all: String, told: usize },
    /// Behind the closing mark: blanks go.
    Behind,
    /// It says something.
    Said,
}

impl Thoughts {
    /// Of a model that `thinks`, or not.
    pub(super) fn new(thinks: bool) -> Self {
        if thinks { Self::Before(String::new()) } else { Self::Said }
    }

    /// What of the next piece is thought, and what is said.
    pub(super) fn push(&mut self, piece: &str) -> (String, String) {
        match self {
            Self::Said => (String::new(), piece.to_owned()),
            Self::Behind => {
                let said = piece.trim_start();
                if !said.is_empty() {
                    *self = Self::Said;
                }
                (String::new(), said.to_owned())
            }
            Self::Before(held) => {
                held.push_str(piece);
                let begun = held.trim_start();
                if begun.is_empty() {
                    return (String::new(), String::new());
                }
                if begun.starts_with('(') || begun.starts_with('{') {
                    let said = begun.to_owned();
                    *self = Self::Said;
                    return (String::new(), said);
                }
                if MARKS.iter().any(|(open, _)| open.len() > begun.len() && open.starts_with(begun)) {
                    return (String::new(), String::new());
                }
                let opened = MARKS.iter().find_map(|(open, _)| begun.strip_prefix(open));
                let all = opened.unwrap_or(begun).to_owned();
                *self = Self::Within { all: String::new(), told: 0 };
                self.within(&all)
            }
            Self::Within { .. } => self.within(piece),
        }
    }

    fn within(&mut self, piece: &str) -> (String, String) {
        let Self::Within { all, told } = self else { return (String::new(), piece.to_owned()) };
        all.push_str(piece);
        let from = *told;
        let end =
            MARKS.iter().filter_map(|(_, close)| Some((from + all[from..].find(close)?, close.len()))).min();
        if let Some((end, length)) = end {
            let thought = all[from..end].to_owned();
            let said = all[end + length..].trim_start().to_owned();
            *self = if said.is_empty() { Self::Behind } else { Self::Said };
            return (thought, said);
        }
        if all.len() > MOST {
            let said = std::mem::take(all);
            *self = Self::Said;
            return (String::new(), said);
        }
        // The end may be the beginning of a mark.
        let held = (1..=8).rev().find(|length| {
            let Some(tail) = all.len().checked_sub(*length).and_then(|at| all.get(at..)) else {
                return false;
            };
            MARKS.iter().any(|(_, close)| tail.len() < close.len() && close.starts_with(tail))
        });
        let until = (all.len() - held.unwrap_or(0)).max(from);
        *told = until;
        (all[from..until].to_owned(), String::new())
    }

    /// What is left at the end of the reply: a thought that never ended is what was said, and the verifier refuses it.
    pub(super) fn finish(&mut self) -> String {
        match std::mem::replace(self, Self::Said) {
            Self::Before(held) => held,
            Self::Within { all, .. } => all,
            Self::Behind | Self::Said => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&str]) -> (String, String) {
        let mut thoughts = Thoughts::new(true);
        let (mut thought, mut said) = (String::new(), String::new());
        for piece in pieces {
            let (more, text) = thoughts.push(piece);
            thought.push_str(&more);
            said.push_str(&text);
        }
        said.push_str(&thoughts.finish());
        (thought, said)
    }

    #[test]
    fn what_is_thought_is_told_from_what_is_said() {
        let cases = [
            ("<think>\nhm\n</think>\n\n(:a)", "\nhm\n", "(:a)"),
            ("  <think></think>(:a)", "", "(:a)"),
            // Opened in the prompt.
            ("hm, so\n</think>\n(:a)", "hm, so\n", "(:a)"),
            ("[THINK]hm[/THINK](:a)", "hm", "(:a)"),
            // It did not think at all.
            ("(:a \"<think>x</think>\")", "", "(:a \"<think>x</think>\")"),
            ("\n {\"a\": 1}", "", "{\"a\": 1}"),
            // It never came to an end: then it was no thought.
            ("<think>hm", "hm", "hm"),
            ("Sure! Here", "Sure! Here", "Sure! Here"),
            ("", "", ""),
        ];
        for (text, thought, said) in cases {
            assert_eq!(read(&[text]), (thought.to_owned(), said.to_owned()), "{text:?}");
        }
        let mut plain = Thoughts::new(false);
        assert_eq!(plain.push("<think>x</think>"), (String::new(), "<think>x</think>".to_owned()));
    }

    #[test]
    fn models_that_think_are_known_by_name() {
        for name in ["deepseek-r1:8b", "Qwen/Qwen3-8B", "qwq-32b", "deepseek-reasoner"] {
            assert!(known(name), "{name}");
        }
        for name in ["gpt-5-mini", "llama3.1:8b", "deepseek-chat", "qwen2.5-coder"] {
            assert!(!known(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn how_the_stream_was_cut_changes_nothing(
            text in "(<think>)?[ <>/a-zä\\n]{0,30}(</think>)?[ \\n]{0,3}\\(?[a-z<]{0,10}(</thi)?", size in 1_usize..5,
        ) {
            let characters: Vec<char> = text.chars().collect();
            let pieces: Vec<String> = characters.chunks(size).map(|piece| piece.iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let (thought, said) = read(&pieces);
            let (all, whole) = read(&[&text]);
            prop_assert_eq!(said, whole);
            prop_assert_eq!(thought, all);
        }
    }
}
