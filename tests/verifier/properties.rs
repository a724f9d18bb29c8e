//! The recogniser against the slow reference, on replies made, cut and damaged at random.

use std::sync::LazyLock;

use org_agent::sexp::printer::print;
use org_agent::sexp::recogniser::Recogniser;
use org_agent::sexp::{Rejection, kind};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::reference::Reference;

/// The sessions' buffers: plain, not ASCII, beginning like the other name, unwritable.
const BUFFERS: [&str; 4] = ["notes", "é\n😀\"b\\", "*org-agent", "a\u{7}b"];

static REFERENCES: LazyLock<[Reference; 4]> = LazyLock::new(|| BUFFERS.map(Reference::new));

/// Random choices, taken from a list so that they shrink.
struct Tape<'a> {
    choices: std::slice::Iter<'a, u8>,
    /// Whether blanks stand even where none is needed.
    apart: bool,
}

impl<'a> Tape<'a> {
    fn new(choices: &'a [u8]) -> Self {
        Self { choices: choices.iter(), apart: false }
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.choices.next().copied().unwrap_or(0)) % limit
    }

    fn shuffle<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        let mut out = Vec::new();
        while !items.is_empty() {
            let at = self.below(items.len());
            out.push(items.remove(at));
        }
        out
    }

    /// At least one blank, or perhaps none.
    fn blank(&mut self, needed: bool) -> &'static str {
        if needed || self.apart {
            self.choose(&[" ", "\n", " \t", "\r\n"])
        } else {
            self.choose(&["", " ", "", "\n  "])
        }
    }

    fn keyword(&mut self, word: &str) -> String {
        let mut out = String::from(":");
        let upper = self.below(4) == 1;
        out.extend(
            word.chars().map(|c| if upper || self.below(8) == 1 { c.to_ascii_uppercase() } else { c }),
        );
        out
    }

    fn string(&mut self, text: &str) -> String {
        let mut out = String::from("\"");
        for c in text.chars() {
            let style = self.below(6);
            match c {
                '"' | '\\' if style > 1 => out.extend(['\\', c]),
                '\n' if style > 2 => out.push_str("\\n"),
                _ if style < 2 || matches!(c, '"' | '\\') => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let upper = self.below(2) == 1;
                        out += &if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
                    }
                }
                _ => out.push(c),
            }
        }
        out + "\""
    }

    /// A valid reply for a session of `buffer`.
    fn reply(&mut self, buffer: &str) -> String {
        const TEXTS: [&str; 8] =
            ["", "hi", "a\nb\t\r", "é€😀", "\"\\", "* x (:type)", "\u{A0}\u{FFFF}", "\u{10000}0"];
        let text = self.choose(&TEXTS);
        let name = self.choose(&[buffer, org_agent::action::CHAT_BUFFER]);
        let string = |tape: &mut Self, key, value| {
            tape.keyword(key) + tape.blank(false) + &tape.string(value) + tape.blank(false)
        };
        let word = |tape: &mut Self, key, value| {
            tape.keyword(key) + tape.blank(true) + &tape.keyword(value) + tape.blank(true)
        };
        let (head, payload) = match self.below(5) {
            0 => {
                let action = word(self, "action", "insert-at-end");
                let payload = vec![action, string(self, "buffer", name), string(self, "text", text)];
                (vec![word(self, "type", "request"), word(self, "target", "emacs")], payload)
            }
            1 => {
                let mut payload = vec![string(self, "cmd", "ls é")];
                if self.below(2) == 1 {
                    payload.push(string(self, "cwd", text));
                }
                if self.below(2) == 1 {
                    let seconds = self.choose(&["1", "9", "10", "86399", "86400", "8640"]);
                    payload.push(self.keyword("timeout") + self.blank(true) + seconds + self.blank(true));
                }
                (vec![word(self, "type", "request"), word(self, "target", "shell")], payload)
            }
            2 => {
                let payload = vec![string(self, "name", text)];
                (vec![word(self, "type", "request"), word(self, "target", "skill")], payload)
            }
            3 => (vec![word(self, "type", "response")], vec![string(self, "text", text)]),
            _ => {
                let mut payload = vec![string(self, "text", text)];
                if self.below(2) == 1 {
                    let level = self.choose(&["debug", "info", "warn", "error"]);
                    payload.push(word(self, "level", level));
                }
                (vec![word(self, "type", "log")], payload)
            }
        };
        let payload = self.shuffle(payload).concat();
        let mut members = head;
        members.push(self.keyword("payload") + self.blank(false) + "(" + self.blank(false) + &payload + ")");
        if self.below(3) == 1 {
            members.push(string(self, "explanation", "why"));
        }
        let members = self.shuffle(members).concat();
        self.blank(false).to_owned() + "(" + self.blank(false) + &members + ")" + self.blank(false)
    }

    /// One change of a few bytes, of the kinds that come near to being valid.
    fn damage(&mut self, reply: &mut Vec<u8>) {
        const PIECES: [&[u8]; 60] = [
            b"",
            b" ",
            b"\n",
            b"(",
            b")",
            b"\"",
            b"\\",
            b":",
            b"0",
            b"1",
            b"9",
            b"a",
            b"e",
            b"t",
            b"u",
            b"U",
            b"n",
            b"D",
            b"-",
            b";",
            b"'",
            b"#",
            b"`",
            b".",
            b"\0",
            b"\x1B",
            b"\x7F",
            b"\x80",
            b"\xBF",
            b"\xC2",
            b"\xC3",
            b"\xE0",
            b"\xE2",
            b"\xED",
            b"\xEF",
            b"\xF0",
            b"\xF4",
            b"\xFF",
            b"\xC2\x85",
            b"\xE2\x80\x8B",
            b"\xED\xA0\x80",
            b"\xE2\x81\xA0",
            b"\xEF\xBB\xBF",
            b"\xF0\x9F\x98",
            b"\\u",
            b"\\u00",
            b"\\u200b",
            b"\\ud83d",
            b"\\ude00",
            b"\\n",
            b"\\q",
            b":text \"x\"",
            b":type",
            b":target :emacs",
            b" :level :info",
            b" :timeout 5 ",
            b":cmd \"\"",
            b":buffer \"notes\"",
            b" :type :log ",
            b" :payload (",
        ];
        let at = (self.below(256) * 256 + self.below(256)) % (reply.len() + 1);
        let most = reply.len() - at;
        let piece = self.choose(&PIECES);
        match self.below(4) {
            0 => drop(reply.splice(at..at + most.min(1), piece.iter().copied())),
            1 => drop(reply.splice(at..at, piece.iter().copied())),
            2 => drop(reply.drain(at..at + most.min(1 + self.below(20)))),
            _ => reply.truncate(at),
        }
    }

    /// Tokens in any order.
    fn soup(&mut self) -> Vec<u8> {
        const TOKENS: [&str; 24] = [
            "(",
            ")",
            " ",
            ":type",
            ":target",
            ":payload",
            ":explanation",
            ":request",
            ":response",
            ":log",
            ":emacs",
            ":shell",
            ":text",
            ":cmd",
            ":cwd",
            ":timeout",
            "5",
            "\"x\"",
            "\"\"",
            ":level",
            ":info",
            ":buffer",
            "\"notes\"",
            ":",
        ];
        let mut soup = String::from("(");
        for _ in 0..self.below(30) {
            soup += self.choose(&TOKENS);
            soup += self.blank(false);
        }
        soup.into_bytes()
    }
}

fn read(chunks: &[&[u8]], buffer: &str) -> Result<org_agent::action::Action, Rejection> {
    let mut recogniser = Recogniser::new(buffer);
    for chunk in chunks {
        recogniser.feed(chunk)?;
    }
    recogniser.finish()
}

fn check(which: usize, reply: &[u8], cuts: &[usize]) -> Result<(), TestCaseError> {
    let buffer = BUFFERS[which];
    let outcome = read(&[reply], buffer);
    let shown = String::from_utf8_lossy(reply);
    match (&outcome, REFERENCES[which].read(reply)) {
        (Ok(action), Ok(values)) => {
            for (key, value) in values {
                let json = action.to_json();
                let found = if key == "explanation" { &json[key] } else { &json["payload"][key] };
                let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
                prop_assert_eq!(found, value, "{}", shown);
            }
            let printed = print(action);
            let again = read(&[printed.as_bytes()], buffer);
            prop_assert_eq!(again.as_ref(), Ok(action), "{}", printed);
        }
        (Err(rejection), Err(offset)) => {
            prop_assert_eq!(rejection.offset, offset, "{}\n{:?}", shown, rejection);
            prop_assert!(kind::ALL.contains(&rejection.kind));
            prop_assert!(rejection.for_model(reply).len() < 600);
            prop_assert!(rejection.render(reply).lines().count() == 6);
        }
        (_, expected) => prop_assert!(false, "{shown}\nfound {outcome:?}\nexpected {expected:?}"),
    }
    let mut chunks = Vec::new();
    let mut rest = reply;
    for cut in cuts {
        let (chunk, behind) = rest.split_at(cut % (rest.len() + 1));
        chunks.push(chunk);
        rest = behind;
    }
    chunks.push(rest);
    prop_assert_eq!(&read(&chunks, buffer), &outcome, "{:?}", chunks);
    let bytes: Vec<&[u8]> = reply.chunks(1).collect();
    prop_assert_eq!(&read(&bytes, buffer), &outcome, "{}", shown);
    Ok(())
}

/// `PROPTEST_CASES` asks for more.
fn config(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(cases), failure_persistence: None, ..asked }
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn what_is_valid_is_accepted(which in 0..4usize, tape in vec(any::<u8>(), 400), cuts in vec(0..20usize, 0..8)) {
        let mut tape = Tape::new(&tape);
        // The last buffer's name can not be written; its session still has the other name.
        let buffer = if which == 3 { org_agent::action::CHAT_BUFFER } else { BUFFERS[which] };
        let reply = tape.reply(buffer);
        prop_assert!(read(&[reply.as_bytes()], BUFFERS[which]).is_ok(), "{reply}");
        check(which, reply.as_bytes(), &cuts)?;
    }
}

proptest! {
    #![proptest_config(config(4_000))]

    #[test]
    fn damage_is_found_where_it_is(which in 0..4usize, tape in vec(any::<u8>(), 400), cuts in vec(0..20usize, 0..8)) {
        let mut tape = Tape::new(&tape);
        let damages = 1 + tape.below(2);
        let mut reply = tape.reply(BUFFERS[which]).into_bytes();
        for _ in 0..damages {
            tape.damage(&mut reply);
        }
        check(which, &reply, &cuts)?;
    }

    #[test]
    fn tokens_in_any_order_are_judged_alike(tape in vec(any::<u8>(), 100), cuts in vec(0..20usize, 0..8)) {
        check(0, &Tape::new(&tape).soup(), &cuts)?;
    }
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn the_forms_a_beginning_can_become_are_known(which in 0..4usize, tape in vec(any::<u8>(), 400)) {
        let reply = Tape::new(&tape).reply(BUFFERS[which % 3]);
        let mut recogniser = Recogniser::new(BUFFERS[which % 3]);
        for at in 0..reply.len() {
            prop_assert!(recogniser.feed(&reply.as_bytes()[at..=at]).is_ok());
            let found: Vec<String> = recogniser.viable().map(|row| format!("{:?}", row.kind)).collect();
            let beginning = &reply.as_bytes()[..=at];
            let shown = String::from_utf8_lossy(beginning);
            prop_assert_eq!(found, REFERENCES[which % 3].viable(beginning), "{}", shown);
        }
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn another_reader_of_lisp_reads_the_same(tape in vec(any::<u8>(), 400)) {
        // To lexpr a quote just after a keyword is a part of it.
        let reply = Tape { apart: true, ..Tape::new(&tape) }.reply("notes");
        let action = read(&[reply.as_bytes()], "notes").unwrap();
        // Surrogate pairs are this grammar's own; the print has none.
        let reply = if reply.to_lowercase().contains("\\ud") { print(&action) } else { reply };
        let options = lexpr::parse::Options::elisp();
        let value = lexpr::from_str_custom(&reply, options);
        let value = value.map_err(|error| TestCaseError::fail(format!("{error}: {reply}")))?;
        let mut seen = std::collections::BTreeMap::new();
        for (key, value) in pairs(&value) {
            match value.is_list().then(|| pairs(value)) {
                Some(payload) => seen.extend(payload.into_iter().map(|(key, value)| (key, plain(value)))),
                None => drop(seen.insert(key, plain(value))),
            }
        }
        let json = action.to_json();
        let top = json.as_object().unwrap().iter().filter(|(key, _)| *key != "payload");
        let ours = top.chain(json["payload"].as_object().unwrap()).map(|(key, value)| {
            (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        });
        prop_assert_eq!(seen, ours.collect(), "{}", reply);
    }
}

fn pairs(list: &lexpr::Value) -> Vec<(String, &lexpr::Value)> {
    let items: Vec<_> = list.list_iter().unwrap().collect();
    items.chunks(2).map(|pair| (pair[0].as_keyword().unwrap().to_lowercase(), pair[1])).collect()
}

fn plain(value: &lexpr::Value) -> String {
    match (value.as_keyword(), value.as_str(), value.as_u64()) {
        (Some(word), _, _) => word.to_lowercase(),
        (_, Some(text), _) => text.to_owned(),
        (_, _, number) => number.map_or_else(|| format!("{value:?}"), |number| number.to_string()),
    }
}
