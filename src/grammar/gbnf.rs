//! GBNF, the grammars of llama.cpp.
//!
//! Its parser turns `x{m,n}` into n rules and takes no bound of 2,000 or more (`MAX_REPETITION_THRESHOLD` in
//! `src/llama-grammar.cpp`; newer versions make a larger one unbounded without a word), nor a group whose
//! rules times the bound are that many. So a long string is blocks, and what is repeated is always a rule
//! with a name, which counts as one.
//!
//! A string of at most n characters is at most q - 1 blocks and then at most n - (q - 1) * [`BLOCK`]
//! characters, with q = n / [`BLOCK`]. While it is read, the parser is in a block or in what follows the last
//! one, which may have begun at one of the last two block ends: three places, however long the string may be.

use std::fmt::Write as _;

use super::{BLOCK, Class, Export, Part, Strings, quoted, rule_names, seconds};

pub(super) fn write(export: &Export) -> String {
    let mut writer = Writer { strings: Vec::new(), seconds: Vec::new() };
    let names = rule_names(export.table, '-');
    let mut out = format!("# {}\nroot ::= {}\n", export.origin("gbnf"), names.join(" | "));
    for (row, name) in export.table.iter().zip(&names) {
        // Writing to a String can not fail.
        let _ = writeln!(out, "{name} ::= {}", writer.sequence(&export.form(row)));
    }
    writer.helpers(&mut out);
    out
}

/// Remembers what was referred to.
struct Writer {
    strings: Vec<Strings>,
    seconds: Vec<u32>,
}

impl Writer {
    fn sequence(&mut self, parts: &[Part]) -> String {
        let parts: Vec<String> = parts.iter().map(|part| self.part(part)).collect();
        parts.join(" ")
    }

    fn part(&mut self, part: &Part) -> String {
        match part {
            Part::Literal(text) => quoted(text),
            Part::Text(strings) => {
                remember(&mut self.strings, *strings);
                string_name(*strings)
            }
            Part::Seconds(most) => {
                remember(&mut self.seconds, *most);
                format!("seconds-{most}")
            }
            Part::Optional(parts) => format!("({})?", self.sequence(parts)),
            Part::Either(ways) => {
                let ways: Vec<String> = ways.iter().map(|way| self.sequence(way)).collect();
                format!("({})", ways.join(" | "))
            }
        }
    }

    fn helpers(&self, out: &mut String) {
        for most in &self.seconds {
            let way = |way: &Vec<_>| way.iter().copied().map(seconds::class).collect::<Vec<_>>().join(" ");
            let ways: Vec<String> = seconds::ranges(*most).iter().map(way).collect();
            let _ = writeln!(out, "seconds-{most} ::= {}", ways.join(" | "));
        }
        for strings in &self.strings {
            let _ = writeln!(out, "{} ::= \"\\\"\"{} \"\\\"\"", string_name(*strings), characters(*strings));
        }
        for class in [Class::Any, Class::Clear] {
            let name = class.name();
            let mut users = self.strings.iter().filter(|strings| strings.class == class).peekable();
            if users.peek().is_none() {
                continue;
            }
            if users.any(|strings| blocks(*strings).0 > 0) {
                let _ = writeln!(out, "block-{name} ::= char-{name}{{{BLOCK}}}");
            }
            let _ = writeln!(out, "char-{name} ::= [{}] | \"\\\\\" [\\x22\\x5Cntr]", class.literal());
        }
    }
}

fn remember<T: PartialEq>(items: &mut Vec<T>, item: T) {
    if !items.contains(&item) {
        items.push(item);
    }
}

fn string_name(Strings { class, least, most }: Strings) -> String {
    format!("string-{}-{least}-{most}", class.name())
}

/// How many blocks, and how many single characters behind them, an optional part has at most.
fn blocks(strings: Strings) -> (usize, usize) {
    let more = strings.most - strings.least;
    let blocks = (more / BLOCK).saturating_sub(1);
    (blocks, more - blocks * BLOCK)
}

fn characters(strings: Strings) -> String {
    let name = strings.class.name();
    let mut out = format!(" char-{name}").repeat(strings.least);
    let (blocks, singles) = blocks(strings);
    if blocks > 0 {
        let _ = write!(out, " block-{name}{{0,{blocks}}}");
    }
    if singles > 0 {
        let _ = write!(out, " char-{name}{{0,{singles}}}");
    }
    out
}
