//! Which programs may run without asking, with which arguments: a closed table, and how it is read.
//!
//! The table knows each flag of a program, also those that write or run something, so that it can be said why a
//! command is asked. A flag or a program that it does not know is asked. The arguments are read as GNU
//! programs read them; an abbreviated option is not known.

mod expressions;
mod table;

use super::place::Place;
pub(super) use table::TOOLS;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// A text that is no path.
    Text,
    /// A number, with a sign before it and a unit behind it, or without.
    Number,
    /// A path that is read.
    Path,
    /// A text, if it is joined to the flag by `=` or, to a short one, directly.
    Maybe,
}

/// What a flag does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Reads,
    Writes,
    Runs,
    /// Leaves the workspace, waits for something, or shows what the program is not asked for here.
    Other(&'static str),
}

/// Flags that take and do the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    /// With their dashes, a blank between two.
    pub(super) names: &'static str,
    pub(super) takes: Takes,
    pub(super) effect: Effect,
}

/// What the arguments are that are no flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operands {
    None,
    /// Texts that are only printed or looked at.
    Texts,
    /// Names of programs.
    Names,
    /// Files that are read: at least and at most so many. Without any, the program reads what is piped into it.
    Paths(usize),
    /// A pattern, unless one of these flags gave it, and then paths.
    Pattern(&'static str),
    /// A script for `sed`, unless a flag gave it, and then paths.
    Sed,
    /// A filter for `jq`, and then paths.
    Jq,
    /// `+FORMAT`.
    Date,
    /// Paths, and then the expression of `find`.
    Find,
    /// The expression of `test`.
    Test,
    /// Texts for `echo`, which knows few flags and takes everything else for a text.
    Echo,
}

/// A program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) flags: &'static [Flags],
    pub(super) operands: Operands,
    /// `-5` is a flag, too.
    pub(super) numeric: bool,
    /// It reads what is piped into it if it is given no path.
    pub(super) piped: bool,
}

/// Whether `argv` may run without asking. `fed` is whether something is piped into it.
///
/// # Errors
/// In a few words, why not.
pub(super) fn only_reads(argv: &[String], fed: bool, place: &Place<'_>) -> Result<(), String> {
    let Some((program, arguments)) = argv.split_first() else { return Err("no program".into()) };
    if program == "git" {
        return Err("git: what it runs is set by files of the repository".into());
    }
    let Some(tool) = TOOLS.iter().find(|tool| tool.name == program) else {
        return Err(format!("{program}: not one of the programs known to read only"));
    };
    let read = match tool.operands {
        Operands::Find => expressions::find(arguments, place),
        Operands::Test => expressions::test(program, arguments, place),
        Operands::Echo => expressions::echo(arguments),
        _ => tool.read(arguments, fed, place),
    };
    read.map_err(|why| format!("{program}: {why}"))
}

impl Tool {
    fn read(&self, arguments: &[String], fed: bool, place: &Place<'_>) -> Result<(), String> {
        let mut operands = Vec::new();
        let mut given = Vec::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--" {
                operands.extend(rest.by_ref());
            } else if let Some(long) = argument.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (long, None),
                };
                let flag = self.flag(&format!("--{name}"))?;
                let value = match (flag.takes, value) {
                    (Takes::Nothing, Some(_)) => return Err(format!("--{name} takes no value")),
                    (Takes::Text | Takes::Number | Takes::Path, None) => Some(next(&mut rest, argument)?),
                    (_, value) => value,
                };
                given.push((format!("--{name}"), value));
                self.value(flag, value, place)?;
            } else if argument.len() > 1 && argument.starts_with('-') {
                self.shorts(argument, &mut rest, &mut given, place)?;
            } else {
                operands.push(argument);
            }
        }
        self.operands(&operands, &given, fed, place)
    }

    /// `-abc`, of which the last may take a value.
    fn shorts<'a>(
        &self,
        argument: &'a str,
        rest: &mut std::slice::Iter<'a, String>,
        given: &mut Vec<(String, Option<&'a str>)>,
        place: &Place<'_>,
    ) -> Result<(), String> {
        let letters = &argument[1..];
        if self.numeric && letters.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(());
        }
        for (at, letter) in letters.char_indices() {
            let flag = self.flag(&format!("-{letter}"))?;
            let joined = &letters[at + letter.len_utf8()..];
            let value = match flag.takes {
                Takes::Nothing => {
                    given.push((format!("-{letter}"), None));
                    self.value(flag, None, place)?;
                    continue;
                }
                Takes::Maybe => joined,
                Takes::Text | Takes::Number | Takes::Path if joined.is_empty() => next(rest, argument)?,
                Takes::Text | Takes::Number | Takes::Path => joined,
            };
            given.push((format!("-{letter}"), Some(value)));
            return self.value(flag, Some(value), place);
        }
        Ok(())
    }

    fn flag(&self, name: &str) -> Result<&Flags, String> {
        let found = self.flags.iter().find(|flags| flags.names.split(' ').any(|known| known == name));
        found.ok_or_else(|| format!("{name} is not a flag known to read only"))
    }

    fn value(&self, flag: &Flags, value: Option<&str>, place: &Place<'_>) -> Result<(), String> {
        let name = flag.names;
        match flag.effect {
            Effect::Reads => {}
            Effect::Writes => return Err(format!("{name} writes")),
            Effect::Runs => return Err(format!("{name} runs something")),
            Effect::Other(what) => return Err(format!("{name} {what}")),
        }
        match (flag.takes, value) {
            (Takes::Path, Some(path)) => place.may_read(path).map_err(Into::into),
            (Takes::Number, Some(text)) if !is_number(text) => Err(format!("{text} is no number")),
            _ => Ok(()),
        }
    }

    fn operands(
        &self,
        operands: &[&String],
        given: &[(String, Option<&str>)],
        fed: bool,
        place: &Place<'_>,
    ) -> Result<(), String> {
        let given_by =
            |names: &str| given.iter().any(|(name, _)| names.split(' ').any(|other| other == name));
        let mut paths = operands;
        match self.operands {
            Operands::None if operands.is_empty() => return Ok(()),
            Operands::None => return Err("it takes no arguments here".into()),
            Operands::Texts => return Ok(()),
            Operands::Names => {
                let names = operands.iter().all(|name| !name.contains('/'));
                return if names { Ok(()) } else { Err("a path".into()) };
            }
            Operands::Date => {
                let formats = operands.iter().all(|operand| operand.starts_with('+'));
                return if formats { Ok(()) } else { Err("it would set the clock".into()) };
            }
            Operands::Paths(most) => {
                if operands.len() > most {
                    return Err(format!("more than {most} arguments"));
                }
            }
            Operands::Pattern(flags) => {
                if !given_by(flags) {
                    let Some((_, rest)) = operands.split_first() else { return Err("no pattern".into()) };
                    paths = rest;
                }
            }
            Operands::Sed => {
                let mut scripts: Vec<&str> = given
                    .iter()
                    .filter(|(name, _)| name == "-e" || name == "--expression")
                    .filter_map(|(_, value)| *value)
                    .collect();
                if scripts.is_empty() {
                    let Some((script, rest)) = operands.split_first() else { return Err("no script".into()) };
                    scripts.push(script);
                    paths = rest;
                }
                scripts.into_iter().try_for_each(expressions::sed)?;
            }
            Operands::Jq => {
                let Some((filter, rest)) = operands.split_first() else { return Err("no filter".into()) };
                expressions::jq(filter)?;
                paths = rest;
            }
            Operands::Find | Operands::Test | Operands::Echo => return Err("an expression".into()),
        }
        if paths.is_empty() && self.piped && !fed {
            return Err("it waits for input".into());
        }
        paths.iter().try_for_each(|path| match path.as_str() {
            "-" if fed => Ok(()),
            "-" => Err("it waits for input".into()),
            path => place.may_read(path).map_err(Into::into),
        })
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let unit = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < digits.len() && matches!(unit, "" | "b" | "k" | "kB" | "K" | "KB" | "M" | "MB" | "G" | "GB")
}

fn next<'a>(rest: &mut std::slice::Iter<'a, String>, flag: &str) -> Result<&'a str, String> {
    rest.next().map(String::as_str).ok_or_else(|| format!("{flag} lacks its value"))
}
