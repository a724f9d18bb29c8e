//! The GBNF grammar, read by a parser of its own and matched by `regex-automata`. It has no recursion, so it
//! is a regular expression.

use std::collections::{BTreeMap, BTreeSet};

use org_agent::action::Kind;
use org_agent::grammar::{Export, MAX_TEXT};
use org_agent::sexp::printer::print;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::string::string_regex;
use regex_automata::meta::Regex;

use crate::actions::{BUFFERS, Tape, action, config, is_canonical, row};

/// What llama.cpp's parser refuses (`MAX_REPETITION_THRESHOLD` in `src/llama-grammar.cpp`).
const THRESHOLD: usize = 2_000;

#[derive(Debug)]
enum Expr {
    Literal(String),
    /// Ranges of characters.
    Class(Vec<(char, char)>),
    Rule(String),
    Repeat(Box<Expr>, usize, usize),
    Sequence(Vec<Expr>),
    Either(Vec<Expr>),
}

type Rules = BTreeMap<String, Expr>;

struct Parser<'a>(std::iter::Peekable<std::str::Chars<'a>>);

impl Parser<'_> {
    fn blanks(&mut self) {
        while self.0.next_if_eq(&' ').is_some() {}
    }

    fn take(&mut self, expected: char) {
        assert_eq!(self.0.next(), Some(expected));
        self.blanks();
    }

    fn either(&mut self) -> Expr {
        let mut ways = vec![self.sequence()];
        while self.0.peek() == Some(&'|') {
            self.take('|');
            ways.push(self.sequence());
        }
        if ways.len() == 1 { ways.remove(0) } else { Expr::Either(ways) }
    }

    fn sequence(&mut self) -> Expr {
        let mut items = Vec::new();
        while let Some(c) = self.0.peek().copied() {
            let item = match c {
                '"' => {
                    self.0.next();
                    let mut text = String::new();
                    while self.0.next_if_eq(&'"').is_none() {
                        text.push(self.character());
                    }
                    Expr::Literal(text)
                }
                '[' => self.class(),
                '(' => {
                    self.take('(');
                    let inner = self.either();
                    assert_eq!(self.0.next(), Some(')'));
                    inner
                }
                'a'..='z' => {
                    let mut name = String::new();
                    while let Some(c) = self.0.next_if(|c| c.is_ascii_alphanumeric() || *c == '-') {
                        name.push(c);
                    }
                    Expr::Rule(name)
                }
                _ => break,
            };
            let item = match self.0.peek() {
                Some('?') => {
                    self.0.next();
                    Expr::Repeat(Box::new(item), 0, 1)
                }
                Some('{') => {
                    let bounds: String = self.0.by_ref().take_while(|c| *c != '}').collect();
                    let bounds = bounds.trim_start_matches('{');
                    let (least, most) = bounds.split_once(',').unwrap_or((bounds, bounds));
                    Expr::Repeat(Box::new(item), least.parse().unwrap(), most.parse().unwrap())
                }
                _ => item,
            };
            self.blanks();
            items.push(item);
        }
        assert!(!items.is_empty(), "an empty sequence");
        Expr::Sequence(items)
    }

    fn class(&mut self) -> Expr {
        self.0.next();
        assert_ne!(self.0.peek(), Some(&'^'), "a negated class");
        let mut ranges = Vec::new();
        while self.0.next_if_eq(&']').is_none() {
            let first = self.character();
            let last = if self.0.next_if_eq(&'-').is_some() { self.character() } else { first };
            assert!(first <= last);
            ranges.push((first, last));
        }
        Expr::Class(ranges)
    }

    fn character(&mut self) -> char {
        let c = self.0.next().unwrap();
        if c != '\\' {
            return c;
        }
        let digits = match self.0.next().unwrap() {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            c @ ('"' | '\\' | '[' | ']') => return c,
            'n' => return '\n',
            'r' => return '\r',
            't' => return '\t',
            c => panic!("the escape {c}"),
        };
        let number: String = self.0.by_ref().take(digits).collect();
        char::from_u32(u32::from_str_radix(&number, 16).unwrap()).unwrap()
    }
}

fn parse(grammar: &str) -> Rules {
    let mut rules = Rules::new();
    for line in grammar.lines().filter(|line| !line.starts_with('#')) {
        let (name, body) = line.split_once(" ::= ").unwrap();
        let mut parser = Parser(body.chars().peekable());
        assert!(rules.insert(name.to_owned(), parser.either()).is_none(), "{name} twice");
        assert_eq!(parser.0.next(), None, "{line}");
    }
    rules
}

fn grammar(buffer: &str, max_text: usize) -> Rules {
    parse(&Export::new(buffer, max_text).unwrap().gbnf())
}

fn pattern(rules: &Rules, expr: &Expr) -> String {
    let all = |items: &[Expr], between: &str| {
        items.iter().map(|item| pattern(rules, item)).collect::<Vec<_>>().join(between)
    };
    match expr {
        Expr::Literal(text) => {
            text.chars().map(|c| format!("\\u{{{:x}}}", u32::from(c))).collect::<Vec<_>>().concat()
        }
        Expr::Class(ranges) => {
            let range = |(first, last): &(char, char)| {
                format!("\\u{{{:x}}}-\\u{{{:x}}}", *first as u32, *last as u32)
            };
            format!("[{}]", ranges.iter().map(range).collect::<String>())
        }
        Expr::Rule(name) => format!("(?:{})", pattern(rules, &rules[name])),
        Expr::Repeat(inner, least, most) => format!("(?:{}){{{least},{most}}}", pattern(rules, inner)),
        Expr::Sequence(items) => all(items, ""),
        Expr::Either(ways) => format!("(?:{})", all(ways, "|")),
    }
}

/// The least and most characters of a reply; a character that is written as an escape counts as one.
fn length(rules: &Rules, expr: &Expr) -> (usize, usize) {
    match expr {
        Expr::Literal(text) => (text.chars().count(), text.chars().count()),
        Expr::Class(_) => (1, 1),
        Expr::Rule(name) if name.starts_with("char-") => (1, 1),
        Expr::Rule(name) => length(rules, &rules[name]),
        Expr::Repeat(inner, least, most) => {
            let inner = length(rules, inner);
            (inner.0 * least, inner.1 * most)
        }
        Expr::Sequence(items) => items
            .iter()
            .map(|item| length(rules, item))
            .fold((0, 0), |sum, item| (sum.0 + item.0, sum.1 + item.1)),
        Expr::Either(ways) => {
            let ways: Vec<_> = ways.iter().map(|way| length(rules, way)).collect();
            (ways.iter().map(|way| way.0).min().unwrap(), ways.iter().map(|way| way.1).max().unwrap())
        }
    }
}

struct Engine {
    pattern: String,
    regex: Regex,
}

impl Engine {
    fn new(buffer: &str, max_text: usize) -> Self {
        let rules = grammar(buffer, max_text);
        let pattern = pattern(&rules, &rules["root"]);
        let config = Regex::config().nfa_size_limit(None).hybrid_cache_capacity(32 << 20);
        let regex = Regex::builder().configure(config).build(&format!(r"\A(?:{pattern})\z")).unwrap();
        Self { pattern, regex }
    }

    fn accepts(&self, reply: &[u8]) -> bool {
        self.regex.is_match(reply)
    }
}

/// Short, and long enough that a text has a block.
const SHORT: usize = 7;
const LONG: usize = 600;

thread_local! {
    static ENGINES: [Engine; 6] = BUFFERS.map(|buffer| Engine::new(buffer, SHORT));
    static LONGER: Engine = Engine::new(BUFFERS[1], LONG);
}

/// Runs `judge` with an engine, the limit of its texts and its buffer; the seventh is the one with blocks.
fn with_engine<T>(which: usize, judge: impl FnOnce(&Engine, usize, &'static str) -> T) -> T {
    match BUFFERS.get(which) {
        Some(buffer) => ENGINES.with(|engines| judge(&engines[which], SHORT, buffer)),
        None => LONGER.with(|engine| judge(engine, LONG, BUFFERS[1])),
    }
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn what_is_printed_is_accepted(which in 0..7usize, tape in vec(any::<u16>(), 60)) {
        with_engine(which, |engine, most, buffer| {
            let reply = print(&Tape::new(&tape).action(buffer, most));
            prop_assert!(engine.accepts(reply.as_bytes()), "{}", reply);
            Ok(())
        })?;
    }

    #[test]
    fn damage_is_judged_as_the_verifier_does(which in 0..7usize, tape in vec(any::<u16>(), 80)) {
        with_engine(which, |engine, most, buffer| {
            let mut tape = Tape::new(&tape);
            let mut reply = print(&tape.action(buffer, most)).into_bytes();
            tape.damage(&mut reply);
            let shown = String::from_utf8_lossy(&reply);
            prop_assert_eq!(engine.accepts(&reply), is_canonical(&reply, buffer, most), "{}", shown);
            Ok(())
        })?;
    }
}

#[test]
fn what_is_generated_is_canonical() {
    let mut runner = proptest::test_runner::TestRunner::new(config(1));
    for which in 0..7 {
        with_engine(which, |engine, most, buffer| {
            let strategy = string_regex(&engine.pattern).unwrap();
            for _ in 0..if which == 6 { 40 } else { 300 } {
                let reply = strategy.new_tree(&mut runner).unwrap().current();
                assert!(is_canonical(reply.as_bytes(), buffer, most), "{reply}");
            }
        });
    }
}

#[test]
fn the_grammar_is_one_that_llama_cpp_takes() {
    for buffer in BUFFERS {
        for max_text in [1, 2, 255, 256, 257, 511, 512, 513, 600, 5_000, MAX_TEXT, 60_000] {
            let rules = grammar(buffer, max_text);
            let mut used = BTreeSet::from(["root".to_owned()]);
            rules.values().for_each(|rule| references(rule, &mut used));
            assert_eq!(used, rules.keys().cloned().collect(), "{buffer} {max_text}");
        }
    }
}

/// Collects the rules that are referred to. What is repeated more than once has a name, so that nothing
/// multiplies with a bound.
fn references(expr: &Expr, used: &mut BTreeSet<String>) {
    match expr {
        Expr::Literal(_) | Expr::Class(_) => {}
        Expr::Rule(name) => drop(used.insert(name.clone())),
        Expr::Repeat(inner, least, most) => {
            assert!(least <= most && *most > 0 && *most < THRESHOLD, "{least} to {most}");
            assert!(*most == 1 || matches!(**inner, Expr::Rule(_)), "{inner:?}");
            references(inner, used);
        }
        Expr::Sequence(items) | Expr::Either(items) => items.iter().for_each(|item| references(item, used)),
    }
}

#[test]
fn the_bounds_are_exact() {
    for max_text in [1, 2, 255, 256, 257, 511, 512, 513, 600, 767, 768, 5_000, MAX_TEXT, 60_000] {
        let rules = grammar("notes", max_text);
        for (kind, key, cap, least) in [
            (Kind::Response, "text", usize::MAX, 0),
            (Kind::Shell, "cmd", 16_384, 1),
            (Kind::Skill, "name", 4_096, 0),
        ] {
            let most = max_text.min(cap);
            let class = if key == "cmd" { "clear" } else { "any" };
            let string = &rules[&format!("string-{class}-{least}-{most}")];
            assert_eq!(length(&rules, string), (2 + least, 2 + most), "{max_text} {key}");
            assert_eq!(row(kind).payload[0].key, key);
        }
    }
    LONGER.with(|engine| {
        for (kind, key) in [(Kind::Response, "text"), (Kind::Skill, "name"), (Kind::Shell, "cmd")] {
            for (length, expected) in [(1, true), (255, true), (256, true), (LONG, true), (LONG + 1, false)] {
                let reply = print(&action(kind, &[(key, &"\u{10FFFF}".repeat(length))]));
                assert_eq!(engine.accepts(reply.as_bytes()), expected, "{key} {length}");
            }
        }
    });
}
