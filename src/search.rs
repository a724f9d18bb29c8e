//! Words of messages: how a text is indexed, what a query asks for, which of what was found is better, and which part of
//! a text shows it.
//!
//! Pure. A query is words, all of which must be there; `word*` stands for any end of a word of three letters or more,
//! and words in double quotes stand beside each other. Any text is a query: nothing in it is a syntax. Han, Kana, Hangul
//! and Thai are written without blanks between words: there each character is indexed as a word, and a run of them is
//! looked for as a phrase.

use unicode_normalization::UnicodeNormalization;

/// How much of a message is indexed, in bytes.
const INDEXED: usize = 65_536;

/// The most words and phrases of a query, and the most words of a phrase: more would make a search slow.
const TERMS: usize = 8;
const PHRASE: usize = 4;

/// The fewest letters before a `*`: shorter ones would be looked up one by one, and there are many.
const PREFIX: usize = 3;

/// How much of a text a snippet shows before and after the first word that was found, in characters.
const BEFORE: usize = 60;
const SNIPPET: usize = 200;

/// BM25, with the usual constants.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// The age in days at which a message counts half of what it counts fresh, beside what it always counts.
const DAYS: f64 = 30.0;

/// What a query asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    terms: Vec<Term>,
}

/// A word or a phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    /// As they are indexed: lower case, without accents. Never empty.
    words: Vec<String>,
    /// Whether the last word may go on.
    open: bool,
}

/// `text` as it is indexed.
#[must_use]
pub fn indexed(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(INDEXED)];
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        out.push(if c == '\0' { ' ' } else { c });
        if is_unspaced(c) {
            out.push(' ');
        }
    }
    out
}

/// Whether `c` belongs to a script without blanks between words.
const fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

impl Query {
    /// What `text` asks for; of more than eight words the first eight.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut terms: Vec<Term> = Vec::new();
        // Every second part stands between double quotes.
        for (at, part) in text.split('"').enumerate() {
            if at % 2 == 1 {
                let words: Vec<String> = words(part).map(|(start, end)| fold(&part[start..end])).collect();
                terms.extend(words.chunks(PHRASE).map(|words| Term { words: words.to_vec(), open: false }));
                continue;
            }
            for word in part.split_whitespace() {
                let words: Vec<String> = words(word).map(|(start, end)| fold(&word[start..end])).collect();
                let open =
                    word.ends_with('*') && words.last().is_some_and(|last| last.chars().count() >= PREFIX);
                let count = words.len().div_ceil(PHRASE);
                terms.extend(words.chunks(PHRASE).enumerate().map(|(number, words)| Term {
                    words: words.to_vec(),
                    open: open && number + 1 == count,
                }));
            }
            if terms.len() > TERMS {
                break;
            }
        }
        terms.truncate(TERMS);
        Self { terms }
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The expression for a column of FTS5.
    #[must_use]
    pub fn expression(&self) -> String {
        let terms = self.terms.iter().map(|term| {
            // Words have letters and digits only, so there is nothing to escape.
            format!("\"{}\"{}", term.words.join(" "), if term.open { "*" } else { "" })
        });
        terms.collect::<Vec<_>>().join(" ")
    }

    /// Where its terms stand in `text`: for each how often, then all places as bytes in order, and the number of words.
    fn places(&self, text: &str) -> (Vec<u32>, Vec<(usize, usize)>, usize) {
        let words: Vec<(usize, usize)> = words(text).collect();
        let mut counts = vec![0; self.terms.len()];
        let mut places = Vec::new();
        for at in 0..words.len() {
            for (term, count) in self.terms.iter().zip(&mut counts) {
                if term.stands_at(text, &words[at..]) {
                    *count += 1;
                    places.push((words[at].0, words[at + term.words.len() - 1].1));
                }
            }
        }
        (counts, places, words.len())
    }

    /// How well each of `texts` answers, which all have what it asks for; with their ages in days.
    #[must_use]
    pub fn scores(&self, texts: &[(&str, f64)]) -> Vec<f64> {
        let found: Vec<(Vec<u32>, usize)> = texts
            .iter()
            .map(|(text, _)| {
                let (counts, _, length) = self.places(&text[..text.floor_char_boundary(INDEXED)]);
                (counts, length)
            })
            .collect();
        let count = found.len().max(1) as f64;
        let average = (found.iter().map(|(_, length)| *length as f64).sum::<f64>() / count).max(1.0);
        // All have all terms, so how rare a term is among them says nothing; how thinly it is spread does.
        let weights: Vec<f64> = (0..self.terms.len())
            .map(|term| {
                let density =
                    found.iter().map(|(counts, _)| f64::from(counts[term].max(1))).sum::<f64>() / count;
                (1.0 + average / density).ln()
            })
            .collect();
        found
            .iter()
            .zip(texts)
            .map(|((counts, length), (_, age))| {
                let norm = K1 * (1.0 - B + B * *length as f64 / average);
                let words: f64 = counts
                    .iter()
                    .zip(&weights)
                    .map(|(count, weight)| {
                        let count = f64::from((*count).max(1));
                        weight * count * (K1 + 1.0) / (count + norm)
                    })
                    .sum();
                words * 0.5_f64.mul_add((-age.max(0.0) / DAYS).exp(), 0.5)
            })
            .collect()
    }

    /// The part of `text` that shows what was found, as one line, and the places of it there: first and one after the
    /// last, in characters.
    #[must_use]
    pub fn snippet(&self, text: &str) -> (String, Vec<(usize, usize)>) {
        let text = &text[..text.floor_char_boundary(INDEXED)];
        let (_, places, _) = self.places(text);
        let first = places.first().map_or(0, |(start, _)| *start);
        let begin = text[..first].char_indices().rev().nth(BEFORE - 1).map_or(0, |(at, _)| at);
        let end = text[begin..].char_indices().nth(SNIPPET).map_or(text.len(), |(at, _)| begin + at);
        let mut out = String::new();
        let mut marks = Vec::new();
        let mut count = 0;
        if begin > 0 {
            out.push('…');
            count = 1;
        }
        let mut next = places.iter().filter(|(start, stop)| *start >= begin && *stop <= end).peekable();
        let mut open: Option<(usize, usize)> = None;
        for (at, c) in text[begin..end].char_indices().map(|(at, c)| (begin + at, c)) {
            if let Some((stop, from)) = open.filter(|(stop, _)| at >= *stop) {
                marks.push((from, count));
                open = (at < stop).then_some((stop, from));
            }
            while let Some((_, stop)) = next.next_if(|(start, _)| *start <= at) {
                if open.is_none() && *stop > at {
                    open = Some((*stop, count));
                }
            }
            out.push(if c.is_control() || c.is_whitespace() { ' ' } else { c });
            count += 1;
        }
        if let Some((_, from)) = open {
            marks.push((from, count));
        }
        if end < text.len() {
            out.push('…');
        }
        (out, marks)
    }
}

impl Term {
    fn stands_at(&self, text: &str, places: &[(usize, usize)]) -> bool {
        places.len() >= self.words.len()
            && self.words.iter().zip(places).enumerate().all(|(at, (word, (start, end)))| {
                is(&text[*start..*end], word, self.open && at + 1 == self.words.len())
            })
    }
}

/// Whether a word of a text is `word`, or begins so if that is `open`.
fn is(text: &str, word: &str, open: bool) -> bool {
    if text.is_ascii() {
        let text = text.as_bytes();
        return match open {
            true => text.get(..word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word.as_bytes())),
            false => text.eq_ignore_ascii_case(word.as_bytes()),
        };
    }
    let text = fold(text);
    if open { text.starts_with(word) } else { text == word }
}

/// Where the words of `text` are, as near to the index's own as needs be: it is asked for them, and this shows where they
/// are.
fn words(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let begins = |c: char| c.is_alphanumeric();
        let goes_on = |c: char| {
            !is_unspaced(c) && (c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c))
        };
        let start = at + text[at..].find(begins)?;
        let first = text[start..].chars().next()?;
        at = start + first.len_utf8();
        if !is_unspaced(first) {
            at += text[at..].find(|c| !goes_on(c)).unwrap_or(text.len() - at);
        }
        Some((start, at))
    })
}

/// Lower case, without accents.
fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    let bare = word.nfd().filter(|c| !unicode_normalization::char::is_combining_mark(*c));
    bare.flat_map(char::to_lowercase).collect::<String>().nfc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn any_text_is_a_query() {
        for (text, expression) in [
            ("", ""),
            ("  \n", ""),
            ("Hello, World", r#""hello" "world""#),
            ("NEAR( a OR b)", r#""near" "a" "or" "b""#),
            ("foo:bar -x ^y", r#""foo bar" "x" "y""#),
            ("err* er* *", r#""err"* "er""#),
            (r#"say "good old times" now"#, r#""say" "good old times" "now""#),
            (r#"an "open end"#, r#""an" "open end""#),
            ("Überschrift café", r#""uberschrift" "cafe""#),
            ("日本語 の検索", r#""日 本 語" "の 検 索""#),
            ("a-b-c-d-e*", r#""a b c d" "e""#),
            ("1 2 3 4 5 6 7 8 9 10", r#""1" "2" "3" "4" "5" "6" "7" "8""#),
        ] {
            assert_eq!(Query::new(text).expression(), expression, "{text}");
        }
    }

    #[test]
    fn a_snippet_shows_what_was_found() {
        let query = Query::new("cafe times*");
        let (text, marks) = query.snippet("The Café\nhas its timestable; times are good.");
        assert_eq!(text, "The Café has its timestable; times are good.");
        assert_eq!(marks, [(4, 8), (17, 27), (29, 34)]);
        let long = format!("{} needle {}", "hay ".repeat(100), "straw ".repeat(100));
        let (text, marks) = Query::new("needle").snippet(&long);
        let shown: String = text.chars().skip(marks[0].0).take(marks[0].1 - marks[0].0).collect();
        assert_eq!((shown.as_str(), text.chars().count()), ("needle", SNIPPET + 2));
        assert!(text.starts_with('…') && text.ends_with('…'));
        let (text, marks) = Query::new("検索").snippet("全文検索です");
        assert_eq!((text.as_str(), marks.as_slice()), ("全文検索です", [(2, 4)].as_slice()));
    }

    #[test]
    fn shorter_newer_and_denser_is_better() {
        let query = Query::new("red fox");
        let long = format!("red fox {}", "and so on ".repeat(50));
        let scores =
            query.scores(&[("red fox", 0.0), (&long, 0.0), ("red fox", 90.0), ("red fox red fox", 0.0)]);
        assert!(scores[0] > scores[1] && scores[0] > scores[2] && scores[3] > scores[0], "{scores:?}");
    }

    proptest! {
        #[test]
        fn whatever_is_asked_of_whatever_text(query in "\\PC{0,60}", text in "\\PC{0,400}") {
            let query = Query::new(&query);
            let (snippet, marks) = query.snippet(&text);
            let length = snippet.chars().count();
            prop_assert!(length <= SNIPPET + 2);
            prop_assert!(marks.iter().all(|(from, to)| from < to && *to <= length));
            prop_assert!(marks.windows(2).all(|pair| pair[0].1 <= pair[1].0));
            prop_assert!(query.scores(&[(&text, 1.0)])[0].is_finite());
            prop_assert!(query.expression().chars().all(|c| c.is_alphanumeric() || " \"*".contains(c)
                || unicode_normalization::char::is_combining_mark(c)));
        }
    }
}
