//! From the text of a command to what a shell would run: a real parser behind bounds of our own.
//!
//! Two things come of it. If the text is plain (nothing but programs with literal arguments, joined by `&&`,
//! `||`, `;` and `|`), the steps, exactly as they would run. And in any case every command that the parser
//! sees anywhere in the text, to recognise what is plainly destructive however it is wrapped.

use std::panic::{AssertUnwindSafe, catch_unwind};

use brush_parser::ast::{
    AndOr, AndOrList, Assignment, AssignmentValue, Command, CommandPrefixOrSuffixItem as Item,
    CompoundCommand, CompoundList, ExtendedTestExpr, IoFileRedirectKind, IoFileRedirectTarget, IoRedirect,
    Pipeline, Program, SeparatorOperator, SimpleCommand,
};
use brush_parser::{ParserOptions, TokenizerOptions};
use serde::{Deserialize, Serialize};

use super::literal::Word;

/// The most bytes that are parsed.
pub const MAX_BYTES: usize = 8_192;

/// The most openings of anything that nests, and how many of them may be open at once. The parser recurses on them, and
/// tries what follows anew by many of its rules while one is not closed: 20 open `${` in a text of 1 KB took it 13 s.
const MAX_OPENINGS: usize = 48;
const MAX_OPEN: usize = 8;

/// The most `${`, of which a quoted bracket may close one for us and not for the parser; the most backquotes, each of
/// which may open or close; and the most words `coproc`.
const MAX_EXPANSIONS: usize = 12;
const MAX_BACKQUOTES: usize = 8;
const MAX_COPROCS: usize = 2;

/// How often the parser may take twice as long, and the most words `case`, which are as bad. It does so with each
/// parenthesis. A bracket that could begin an index counts as four: what stands behind it is read anew by a dozen of the
/// parser's rules, and with five of them 99 bytes took it 3 s.
const MAX_DOUBLINGS: usize = 10;
const INDEX_DOUBLINGS: usize = 4;
const MAX_CASES: usize = 4;

/// The most commands that are looked at, substitutions included.
const MAX_SEEN: usize = 1_000;

/// The most texts inside texts.
const MAX_TEXTS: usize = 64;

/// How deep a text inside a text is parsed: a substitution, or what is given to `sh -c`.
const MAX_DEPTH: usize = 4;

/// How a step is joined to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Runs if the one before it succeeded.
    #[serde(rename = "&&")]
    And,
    /// Runs if the one before it failed.
    #[serde(rename = "||")]
    Or,
    /// Runs after the one before it.
    #[serde(rename = ";")]
    Then,
    /// Reads what the one before it writes.
    #[serde(rename = "|")]
    Pipe,
}

impl Op {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::And => "&&",
            Self::Or => "||",
            Self::Then => ";",
            Self::Pipe => "|",
        }
    }
}

/// One program to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// None for the first.
    pub op: Option<Op>,
    /// The program and its arguments.
    pub argv: Vec<String>,
}

/// A simple command, wherever in the text it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its words.
    pub words: Vec<Word>,
    /// The files that its output goes to.
    pub writes: Vec<Word>,
}

/// What the parser makes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The steps, if the text is plain; else what is in it that is not, in a few words.
    pub plain: Result<Vec<Step>, &'static str>,
    /// Every simple command.
    pub seen: Vec<Seen>,
    /// A function calls itself.
    pub calls_itself: bool,
}

/// Parses `text`.
///
/// # Errors
/// In a few words, why it cannot be judged: too long, too deep, or not a shell command.
pub fn parse(text: &str) -> Result<Script, &'static str> {
    let program = program(text)?;
    let plain = plain(text, &program);
    let mut walk = Walk { seen: Vec::new(), calls_itself: false, texts: 0 };
    walk.program(&program, 0);
    Ok(Script { plain, seen: walk.seen, calls_itself: walk.calls_itself })
}

/// How many brackets of any kind are open at once at most, however they are quoted.
fn open_at_once(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'{' | b'[' => open += 1,
            b')' | b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// The syntax tree of `text`.
fn program(text: &str) -> Result<Program, &'static str> {
    if text.len() > MAX_BYTES {
        return Err("it is too long to be judged");
    }
    // Bounds from above on how deep anything can nest, however it is quoted.
    let openings = text.bytes().filter(|b| matches!(b, b'{' | b'`' | b'[')).count();
    let words: usize = ["if", "while", "until", "for", "select", "do", "function", "coproc"]
        .iter()
        .map(|word| text.matches(word).count())
        .sum();
    let indexed =
        |pair: &[u8]| pair[1] == b'[' && (pair[0].is_ascii_alphanumeric() || b"_$".contains(&pair[0]));
    let indices = text.as_bytes().windows(2).filter(|pair| indexed(pair)).count();
    let doublings = text.matches('(').count() + INDEX_DOUBLINGS * indices;
    if openings > MAX_OPENINGS
        || open_at_once(text) > MAX_OPEN
        || text.matches("${").count() > MAX_EXPANSIONS
        || text.matches('`').count() > MAX_BACKQUOTES
        || text.matches("coproc").count() > MAX_COPROCS
        || words > MAX_OPENINGS
        || doublings > MAX_DOUBLINGS
        || text.matches("case").count() > MAX_CASES
    {
        return Err("it nests too deep to be judged");
    }
    // The parser has no number for such a descriptor.
    let long_number = |redirect: usize| {
        let digits = text[..redirect].bytes().rev().take_while(u8::is_ascii_digit).count();
        digits > 9
    };
    if text.match_indices(['<', '>']).any(|(at, _)| long_number(at)) {
        return Err("a file descriptor with too many digits");
    }
    // For some of their end marks the parser reads for ever, into memory.
    if text.contains("<<") {
        return Err("a here-document or a here-string");
    }
    // A parser that gives up must not take the program with it.
    let parsed = catch_unwind(AssertUnwindSafe(|| {
        let tokens = brush_parser::uncached_tokenize_str(text, &TokenizerOptions::default()).ok()?;
        brush_parser::parse_tokens(&tokens, &ParserOptions::default()).ok()
    }));
    parsed.ok().flatten().ok_or("it is not a shell command as far as can be told")
}

/// The steps of a plain text.
fn plain(text: &str, program: &Program) -> Result<Vec<Step>, &'static str> {
    if text.chars().any(|c| c != ' ' && c.is_control()) {
        return Err("a line break or another control character");
    }
    // Comments are gone from the tree.
    if text.starts_with('#')
        || text.contains(" #")
        || text.contains(";#")
        || text.contains("&#")
        || text.contains("|#")
    {
        return Err("a comment, or what looks like one");
    }
    let mut steps = Vec::new();
    let [CompoundList(items)] = program.complete_commands.as_slice() else {
        return Err(if program.complete_commands.is_empty() { "no command" } else { "several lines" });
    };
    for (number, item) in items.iter().enumerate() {
        let brush_parser::ast::CompoundListItem(list, separator) = item;
        if matches!(separator, SeparatorOperator::Async) {
            return Err("a command in the background");
        }
        let op = (number > 0).then_some(Op::Then);
        plain_pipeline(&list.first, op, &mut steps)?;
        for more in &list.additional {
            match more {
                AndOr::And(pipeline) => plain_pipeline(pipeline, Some(Op::And), &mut steps)?,
                AndOr::Or(pipeline) => plain_pipeline(pipeline, Some(Op::Or), &mut steps)?,
            }
        }
    }
    Ok(steps)
}

fn plain_pipeline(pipeline: &Pipeline, op: Option<Op>, steps: &mut Vec<Step>) -> Result<(), &'static str> {
    if pipeline.timed.is_some() {
        return Err("time");
    }
    if pipeline.bang {
        return Err("a negation");
    }
    if pipeline.seq.is_empty() {
        return Err("no command");
    }
    for (number, command) in pipeline.seq.iter().enumerate() {
        let Command::Simple(simple) = command else {
            return Err("more than simple commands");
        };
        let op = if number == 0 { op } else { Some(Op::Pipe) };
        steps.push(Step { op, argv: plain_argv(simple)? });
    }
    Ok(())
}

fn plain_argv(simple: &SimpleCommand) -> Result<Vec<String>, &'static str> {
    if simple.prefix.is_some() {
        return Err("an assignment or a redirection before the command");
    }
    let name = simple.word_or_name.as_ref().ok_or("no program")?;
    let mut argv = vec![Word::new(&name.value).literal?];
    for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
        let word = match item {
            // `export a=b` and its like are no programs; to a program it is a word.
            Item::Word(word) | Item::AssignmentWord(_, word) => word,
            Item::IoRedirect(_) => return Err("a redirection"),
            Item::ProcessSubstitution(..) => return Err("a process substitution"),
        };
        argv.push(Word::new(&word.value).literal?);
    }
    Ok(argv)
}

/// What is still to be looked at.
enum Node<'a> {
    List(&'a CompoundList),
    Command(&'a Command),
    Compound(&'a CompoundCommand),
    Redirect(&'a IoRedirect),
    Test(&'a ExtendedTestExpr),
    Text(String),
}

/// Collects commands.
struct Walk {
    seen: Vec<Seen>,
    calls_itself: bool,
    texts: usize,
}

impl Walk {
    fn program(&mut self, program: &Program, depth: usize) {
        let mut texts = Vec::new();
        let mut nodes: Vec<Node<'_>> = program.complete_commands.iter().rev().map(Node::List).collect();
        while let Some(node) = nodes.pop() {
            if self.seen.len() >= MAX_SEEN {
                return;
            }
            match node {
                Node::List(CompoundList(items)) => {
                    for item in items.iter().rev() {
                        pipelines(&item.0, &mut nodes);
                    }
                }
                Node::Command(Command::Simple(simple)) => self.simple(simple, &mut nodes),
                Node::Command(Command::Compound(compound, redirects)) => {
                    nodes.extend(redirects.iter().flat_map(|list| &list.0).map(Node::Redirect));
                    nodes.push(Node::Compound(compound));
                }
                Node::Command(Command::Function(function)) => {
                    let name = &function.fname.value;
                    let body = function.body.to_string();
                    if body
                        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.')))
                        .any(|word| word == name)
                    {
                        self.calls_itself = true;
                    }
                    nodes.push(Node::Compound(&function.body.0));
                    nodes.extend(function.body.1.iter().flat_map(|list| &list.0).map(Node::Redirect));
                }
                Node::Command(Command::ExtendedTest(test, redirects)) => {
                    nodes.extend(redirects.iter().flat_map(|list| &list.0).map(Node::Redirect));
                    nodes.push(Node::Test(&test.expr));
                }
                Node::Compound(compound) => compound_parts(compound, &mut nodes),
                Node::Redirect(redirect) => {
                    let mut seen = Seen::default();
                    redirected(redirect, &mut seen, &mut nodes);
                    self.push(seen);
                }
                Node::Test(test) => match test {
                    ExtendedTestExpr::And(one, other) | ExtendedTestExpr::Or(one, other) => {
                        nodes.extend([Node::Test(one), Node::Test(other)]);
                    }
                    ExtendedTestExpr::Not(inner) | ExtendedTestExpr::Parenthesized(inner) => {
                        nodes.push(Node::Test(inner));
                    }
                    ExtendedTestExpr::UnaryTest(_, word) => nodes.push(Node::Text(word.value.clone())),
                    ExtendedTestExpr::BinaryTest(_, one, other) => {
                        nodes.extend([Node::Text(one.value.clone()), Node::Text(other.value.clone())]);
                    }
                },
                Node::Text(word) => substitutions(&word, &mut texts),
            }
        }
        for text in texts {
            self.text(&text, depth + 1);
        }
    }

    /// A text inside the text.
    fn text(&mut self, text: &str, depth: usize) {
        self.texts += 1;
        // What is not looked at is asked, since it is not plain.
        if depth <= MAX_DEPTH
            && self.texts <= MAX_TEXTS
            && let Ok(program) = program(text)
        {
            self.program(&program, depth);
        }
    }

    fn simple<'a>(&mut self, simple: &'a SimpleCommand, nodes: &mut Vec<Node<'a>>) {
        let mut seen = Seen::default();
        let prefix = simple.prefix.iter().flat_map(|prefix| &prefix.0);
        let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
        for item in prefix {
            self.item(item, false, &mut seen, nodes);
        }
        if let Some(name) = &simple.word_or_name {
            nodes.push(Node::Text(name.value.clone()));
            seen.words.push(Word::new(&name.value));
        }
        for item in suffix {
            self.item(item, true, &mut seen, nodes);
        }
        self.push(seen);
    }

    fn item<'a>(&self, item: &'a Item, behind: bool, seen: &mut Seen, nodes: &mut Vec<Node<'a>>) {
        match item {
            Item::Word(word) => {
                nodes.push(Node::Text(word.value.clone()));
                seen.words.push(Word::new(&word.value));
            }
            Item::AssignmentWord(assignment, word) => {
                assigned(assignment, nodes);
                if behind {
                    seen.words.push(Word::new(&word.value));
                }
            }
            Item::IoRedirect(redirect) => redirected(redirect, seen, nodes),
            Item::ProcessSubstitution(_, subshell) => nodes.push(Node::List(&subshell.list)),
        }
    }

    fn push(&mut self, seen: Seen) {
        if !(seen.words.is_empty() && seen.writes.is_empty()) {
            self.seen.push(seen);
        }
    }
}

fn pipelines<'a>(list: &'a AndOrList, nodes: &mut Vec<Node<'a>>) {
    for more in list.additional.iter().rev() {
        let (AndOr::And(pipeline) | AndOr::Or(pipeline)) = more;
        nodes.extend(pipeline.seq.iter().rev().map(Node::Command));
    }
    nodes.extend(list.first.seq.iter().rev().map(Node::Command));
}

fn compound_parts<'a>(compound: &'a CompoundCommand, nodes: &mut Vec<Node<'a>>) {
    match compound {
        CompoundCommand::Arithmetic(arithmetic) => nodes.push(Node::Text(arithmetic.expr.value.clone())),
        CompoundCommand::ArithmeticForClause(clause) => {
            let parts = [&clause.initializer, &clause.condition, &clause.updater];
            nodes.extend(parts.into_iter().flatten().map(|part| Node::Text(part.value.clone())));
            nodes.push(Node::List(&clause.body.list));
        }
        CompoundCommand::BraceGroup(group) => nodes.push(Node::List(&group.list)),
        CompoundCommand::Subshell(subshell) => nodes.push(Node::List(&subshell.list)),
        CompoundCommand::ForClause(clause) => {
            nodes.push(Node::List(&clause.body.list));
            nodes.extend(clause.values.iter().flatten().map(|word| Node::Text(word.value.clone())));
        }
        CompoundCommand::CaseClause(clause) => {
            nodes.push(Node::Text(clause.value.value.clone()));
            for case in &clause.cases {
                nodes.extend(case.patterns.iter().map(|word| Node::Text(word.value.clone())));
                nodes.extend(case.cmd.iter().map(Node::List));
            }
        }
        CompoundCommand::IfClause(clause) => {
            for branch in clause.elses.iter().flatten() {
                nodes.extend(branch.condition.iter().map(Node::List));
                nodes.push(Node::List(&branch.body));
            }
            nodes.extend([Node::List(&clause.then), Node::List(&clause.condition)]);
        }
        CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
            nodes.extend([Node::List(&clause.1.list), Node::List(&clause.0)]);
        }
        CompoundCommand::Coprocess(coprocess) => nodes.push(Node::Command(&coprocess.body)),
    }
}

fn assigned<'a>(assignment: &'a Assignment, nodes: &mut Vec<Node<'a>>) {
    match &assignment.value {
        AssignmentValue::Scalar(word) => nodes.push(Node::Text(word.value.clone())),
        AssignmentValue::Array(elements) => {
            let words = elements.iter().flat_map(|(index, word)| index.iter().chain([word]));
            nodes.extend(words.map(|word| Node::Text(word.value.clone())));
        }
    }
}

fn redirected<'a>(redirect: &'a IoRedirect, seen: &mut Seen, nodes: &mut Vec<Node<'a>>) {
    match redirect {
        IoRedirect::File(_, kind, target) => match target {
            IoFileRedirectTarget::Filename(word) => {
                nodes.push(Node::Text(word.value.clone()));
                if !matches!(kind, IoFileRedirectKind::Read | IoFileRedirectKind::DuplicateInput) {
                    seen.writes.push(Word::new(&word.value));
                }
            }
            IoFileRedirectTarget::Duplicate(word) => nodes.push(Node::Text(word.value.clone())),
            IoFileRedirectTarget::ProcessSubstitution(_, subshell) => nodes.push(Node::List(&subshell.list)),
            IoFileRedirectTarget::Fd(_) => {}
        },
        IoRedirect::HereDocument(_, document) => {
            if document.requires_expansion {
                nodes.push(Node::Text(document.doc.value.clone()));
            }
        }
        IoRedirect::HereString(_, word) => nodes.push(Node::Text(word.value.clone())),
        IoRedirect::OutputAndError(word, _) => {
            nodes.push(Node::Text(word.value.clone()));
            seen.writes.push(Word::new(&word.value));
        }
    }
}

/// The commands whose output a word takes in. What is inside of those is found when they are parsed.
fn substitutions(word: &str, texts: &mut Vec<String>) {
    let bytes = word.as_bytes();
    let mut double = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => double = !double,
            b'\'' if !double => at += skip(&bytes[at + 1..], b'\'') + 1,
            b'`' => {
                let length = skip(&bytes[at + 1..], b'`');
                texts.push(String::from_utf8_lossy(&bytes[at + 1..at + 1 + length]).into_owned());
                at += length + 1;
            }
            b'(' if at > 0 && b"$<>".contains(&bytes[at - 1]) && bytes.get(at + 1) != Some(&b'(') => {
                let length = balanced(&bytes[at + 1..]);
                texts.push(String::from_utf8_lossy(&bytes[at + 1..at + 1 + length]).into_owned());
                at += length + 1;
            }
            _ => {}
        }
        at += 1;
    }
}

/// How many bytes stand before `end`.
fn skip(bytes: &[u8], end: u8) -> usize {
    let mut escaped = false;
    let found = bytes.iter().position(|byte| {
        let ends = *byte == end && !escaped;
        escaped = *byte == b'\\' && !escaped && end != b'\'';
        ends
    });
    found.unwrap_or(bytes.len())
}

/// How many bytes stand before the parenthesis that closes one.
fn balanced(bytes: &[u8]) -> usize {
    let (mut depth, mut at, mut double) = (1, 0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => double = !double,
            b'\'' if !double => at += skip(&bytes[at + 1..], b'\'') + 1,
            b'(' => depth += 1,
            b')' if depth == 1 => return at,
            b')' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
