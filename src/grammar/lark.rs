//! Lark, in the dialect that llguidance takes, and with it vLLM and the custom tools of OpenAI: terminals are
//! regular expressions of Rust without look-around.
//!
//! A number is one terminal, and so is a short string with its quotes: llguidance is fast with long terminals
//! and slow with many short ones. But its lexer keeps a state for every count that a terminal can reach, and
//! gives up after so many (`ParserLimits`), so a long string is blocks and an end with the quote.
//!
//! Terminals are greedy, and the lexer does not go back; nothing depends on either. A string ends at its only
//! unescaped quote. An end has fewer characters than a block, so that of the two only one can go on after the
//! last character of a block. Behind a number or a keyword comes a space or a parenthesis.

use std::fmt::Write as _;

use super::{BLOCK, Class, Export, Part, Strings, quoted, rule_names, seconds};

pub(super) fn write(export: &Export) -> String {
    let mut writer = Writer { rules: Vec::new(), terminals: Vec::new() };
    let names = rule_names(export.table, '_');
    let mut out = format!("// {}\nstart: {}\n", export.origin("lark"), names.join(" | "));
    for (row, name) in export.table.iter().zip(&names) {
        // Writing to a String can not fail.
        let _ = writeln!(out, "{name}: {}", writer.sequence(&export.form(row)));
    }
    for (name, body) in writer.rules.into_iter().chain(writer.terminals) {
        let _ = writeln!(out, "{name}: {body}");
    }
    out
}

/// Remembers what was referred to, each as name and body.
struct Writer {
    rules: Vec<(String, String)>,
    terminals: Vec<(String, String)>,
}

impl Writer {
    fn sequence(&mut self, parts: &[Part]) -> String {
        let parts: Vec<String> = parts.iter().map(|part| self.part(part)).collect();
        parts.join(" ")
    }

    fn part(&mut self, part: &Part) -> String {
        match part {
            Part::Literal(text) => quoted(text),
            Part::Text(strings) => self.string(*strings),
            Part::Seconds(most) => {
                let way = |way: &Vec<_>| way.iter().copied().map(seconds::class).collect::<String>();
                let ways: Vec<String> = seconds::ranges(*most).iter().map(way).collect();
                self.terminal(format!("SECONDS_{most}"), &ways.join("|"))
            }
            Part::Optional(parts) => format!("({})?", self.sequence(parts)),
            Part::Either(ways) => {
                let ways: Vec<String> = ways.iter().map(|way| self.sequence(way)).collect();
                format!("({})", ways.join(" | "))
            }
        }
    }

    fn string(&mut self, Strings { class, least, most }: Strings) -> String {
        let upper = class.name().to_uppercase();
        if most < BLOCK {
            let pattern = format!("\"{}{{{least},{most}}}\"", character(class));
            return self.terminal(format!("STRING_{upper}_{least}_{most}"), &pattern);
        }
        let name = format!("string_{}_{least}_{most}", class.name());
        let block = self.terminal(format!("BLOCK_{upper}"), &format!("{}{{{BLOCK}}}", character(class)));
        let mut end = |least: usize, most: usize| {
            let pattern = format!("{}{{{least},{most}}}\"", character(class));
            self.terminal(format!("END_{upper}_{least}_{most}"), &pattern)
        };
        // By the number of blocks: none, some, all that there may be.
        let blocks = most / BLOCK;
        let mut ways = vec![end(least, BLOCK - 1)];
        if blocks > 1 {
            ways.push(format!("{block}{{1,{}}} {}", blocks - 1, end(0, BLOCK - 1)));
        }
        ways.push(format!("{block}{{{blocks}}} {}", end(0, most % BLOCK)));
        remember(&mut self.rules, (name.clone(), format!("\"\\\"\" ({})", ways.join(" | "))));
        name
    }

    fn terminal(&mut self, name: String, pattern: &str) -> String {
        remember(&mut self.terminals, (name.clone(), format!("/{pattern}/")));
        name
    }
}

fn remember(items: &mut Vec<(String, String)>, item: (String, String)) {
    if !items.contains(&item) {
        items.push(item);
    }
}

/// A character as it is, or its escape.
fn character(class: Class) -> String {
    format!("([{}]|\\\\[\\x22\\x5Cntr])", class.literal())
}
