//! Everything that is wrong with a text of `config.toml`, each with its place, its cause and what to write.
//!
//! The names and shapes are those of the table in `options`; only what they cannot say is asked of the settings themselves.
//! No message and no shown line has a value of the file: a key may have been pasted in the wrong place. Bounded: the first
//! [`MOST`] problems.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::file::File;
use super::options::{Default, Section, Setting, names};
use super::sessions::Sessions;
use super::shape::kind;
use super::{file, models};
use crate::error::Error;

/// The most problems that are told of one file.
pub const MOST: usize = 100;

/// How much of a line is shown.
const WIDTH: usize = 120;

/// The names under which people write a key.
const SECRETS: [&str; 5] = ["api_key", "key", "secret", "token", "password"];

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, in bytes of the text.
    pub at: Range<usize>,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub hint: String,
}

/// What a setting by itself, or several together, have wrong.
#[derive(Debug)]
pub(super) struct Fault {
    /// The table it stands in, and of several of this name, which.
    pub(super) table: (&'static str, usize),
    /// Its name there.
    pub(super) key: &'static str,
    pub(super) why: String,
    pub(super) hint: String,
}

/// A value that stands in the file.
#[derive(Debug)]
pub struct Stated {
    /// Of what.
    pub setting: &'static Setting,
    /// Of several tables, which.
    pub index: Option<usize>,
    /// Where its name is, in bytes of the text.
    pub at: Range<usize>,
    /// What it is.
    pub value: toml::Value,
}

/// What a file says, or everything that is wrong with it; `home` is what `~` stands for.
pub(super) fn read(text: &str, home: Option<&str>) -> Result<(File, Sessions), Vec<Problem>> {
    let (mut document, broken) = DeTable::parse_recoverable(text);
    if !broken.is_empty() {
        return Err(broken.iter().take(MOST).map(|error| syntax(error, text)).collect());
    }
    let mut found = Vec::new();
    walk(document.get_mut(), "", 0..0, &mut found);
    if !found.is_empty() {
        return Err(found);
    }
    let whole = document.clone();
    let place = |fault: Fault| Problem {
        at: place(whole.get_ref(), &fault).unwrap_or(0..0),
        why: fault.why,
        hint: fault.hint,
    };
    let file = match toml::from_str::<File>(text) {
        Ok(file) => file,
        Err(error) => return Err(vec![syntax(&error, text)]),
    };
    let (sessions, mut faults) = Sessions::new(&file.sessions, home);
    faults.extend(models::faults(&file.models, &file.spend));
    if faults.is_empty() {
        return Ok((file, sessions));
    }
    Err(faults.into_iter().take(MOST).map(place).collect())
}

/// Everything that is wrong with `text`, also what else would only be told when a model is asked.
#[must_use]
pub fn problems(text: &str, home: Option<&str>) -> Vec<Problem> {
    match read(text, home) {
        Err(mut found) => {
            found.sort_by_key(|problem| problem.at.start);
            found
        }
        Ok((file, _)) => {
            let document = DeTable::parse_recoverable(text).0;
            let faults = file.models.iter().enumerate().flat_map(|(at, table)| table.addresses(at));
            let placed = faults.map(|fault| Problem {
                at: place(document.get_ref(), &fault).unwrap_or(0..0),
                why: fault.why,
                hint: fault.hint,
            });
            placed.take(MOST).collect()
        }
    }
}

/// The settings that stand in `text`, in its order; nothing of a text that is no TOML.
#[must_use]
pub fn stated(text: &str) -> Vec<Stated> {
    let mut found = Vec::new();
    if let Ok(document) = DeTable::parse(text) {
        collect(document.into_inner(), "", None, &mut found);
    }
    found.sort_by_key(|stated| stated.at.start);
    found
}

fn collect(table: DeTable<'_>, section: &str, index: Option<usize>, found: &mut Vec<Stated>) {
    for (key, value) in table {
        let path = joined(section, key.get_ref());
        if Section::find(&path).is_some() {
            match value.into_inner() {
                DeValue::Table(inner) => collect(inner, &path, index, found),
                DeValue::Array(items) => {
                    for (number, item) in items.into_iter().enumerate() {
                        if let DeValue::Table(inner) = item.into_inner() {
                            collect(inner, &path, Some(number), found);
                        }
                    }
                }
                _ => {}
            }
        } else if let Some(setting) = Setting::find(&path)
            && let Ok(value) = toml::Value::deserialize(ValueDeserializer::from(value))
        {
            found.push(Stated { setting, index, at: key.span(), value });
        }
    }
}

/// Looks at the names and shapes in a table.
fn walk(table: &mut DeTable<'_>, section: &str, header: Range<usize>, found: &mut Vec<Problem>) {
    let (mut there, mut misspelt) = (Vec::new(), false);
    for (key, value) in table.iter_mut() {
        if found.len() >= MOST {
            return;
        }
        let name: &str = key.get_ref();
        let path = joined(section, name);
        if let Some(inner) = Section::find(&path) {
            enter(value, inner, key.span(), found);
        } else if let Some(setting) = Setting::find(&path) {
            there.push(setting.key);
            if let Err(what) = setting.shape.check(value.get_ref()) {
                let example = setting.shown();
                found.push(Problem {
                    at: value.span(),
                    why: format!("`{name}` is {what}"),
                    hint: format!("write {}: {name} = {example}", setting.shape.words()),
                });
            }
        } else {
            misspelt = true;
            let (why, hint) = unknown(name, section);
            found.push(Problem { at: key.span(), why, hint });
        }
    }
    let Some(section) = Section::find(section) else { return };
    // Of a misspelt name it is said what it may have been; that it is missing, too, would be said twice.
    for setting in section.settings().filter(|_| !misspelt) {
        if setting.default == Default::Required && !there.contains(&setting.key) && found.len() < MOST {
            found.push(Problem {
                at: header.clone(),
                why: format!("{} has no `{}`", section.head(), setting.name()),
                hint: format!("write {} = {}", setting.name(), setting.shown()),
            });
        }
    }
}

/// Looks at what stands where a table has to stand.
fn enter(value: &mut Spanned<DeValue<'_>>, section: &Section, key: Range<usize>, found: &mut Vec<Problem>) {
    let (at, head) = (value.span(), section.head());
    match (value.get_mut(), section.many) {
        (DeValue::Table(table), false) => walk(table, section.key, key, found),
        (DeValue::Array(items), true) if items.iter().all(|item| item.get_ref().is_table()) => {
            for item in items.iter_mut() {
                let header = item.span();
                if let DeValue::Table(table) = item.get_mut() {
                    walk(table, section.key, header, found);
                }
            }
        }
        (DeValue::Table(_), true) => found.push(Problem {
            at: key,
            why: format!("`{}` is one table, and there may be several", section.key),
            hint: format!("write its head in two brackets: {head}"),
        }),
        (value, many) => found.push(Problem {
            at,
            why: format!("`{}` is {}", section.key, kind(value)),
            hint: match (many, section.key.rsplit_once('.')) {
                (false, Some((_, name))) => format!("write a table in braces: {name} = {{ … }}"),
                _ => format!("write a table: {head} on a line, and its settings on the lines below"),
            },
        }),
    }
}

/// What to say of a name under which people write a secret.
pub(super) fn secret(name: &str) -> Option<(String, String)> {
    SECRETS.contains(&name).then(|| {
        let hint = "name an environment variable with api_key_env = \"OPENAI_API_KEY\", or a command that prints \
                    the key with api_key_command = [\"pass\", \"show\", \"openai\"]";
        (format!("`{name}`: a secret may not stand in this file"), hint.to_owned())
    })
}

/// What to say of a name that is none.
fn unknown(name: &str, section: &str) -> (String, String) {
    if let Some(told) = secret(name) {
        return told;
    }
    let known = names(section);
    let elsewhere = super::options::SECTIONS
        .iter()
        .find(|other| other.key != section && other.settings().any(|setting| setting.name() == name));
    let hint = match (near(name, &known), elsewhere) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(other)) => format!("`{name}` belongs in {}", other.head()),
        (None, None) => format!("known here: {}", known.join(", ")),
    };
    let named = if file::is_name(name) { format!(" `{name}`") } else { " of this name".to_owned() };
    (format!("there is no key{named}"), hint)
}

/// The one of `known` that was probably meant.
pub(super) fn near<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = known.iter().map(|other| (strsim::jaro_winkler(name, other), *other));
    let nearest = likeness.max_by(|one, other| one.0.total_cmp(&other.0));
    nearest.filter(|(likeness, _)| *likeness > 0.75).map(|(_, other)| other)
}

/// What the reader of TOML says.
fn syntax(error: &toml::de::Error, text: &str) -> Problem {
    let at = error.span().unwrap_or(0..0);
    let hint = if error.message().starts_with("duplicate key") {
        "keep one of them"
    } else {
        "a line is a name, = and a value; texts stand in quotes: user = \"Ada\"; docs/configuration.md has every setting"
    };
    Problem {
        at: at.start.min(text.len())..at.end.min(text.len()),
        why: file::without_values(error.message()),
        hint: hint.to_owned(),
    }
}

/// Where the setting stands that is at fault, or else its table.
fn place(document: &DeTable<'_>, fault: &Fault) -> Option<Range<usize>> {
    let (mut table, mut span) = (document, 0..0);
    for name in fault.table.0.split('.').filter(|name| !name.is_empty()) {
        let (key, value) = entry(table, name)?;
        span = key;
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            DeValue::Array(items) => {
                let item = items.get(fault.table.1)?;
                span = item.span();
                table = item.get_ref().as_table()?;
            }
            _ => return Some(span),
        }
    }
    Some(entry(table, fault.key).map_or(span, |(_, value)| value.span()))
}

fn entry<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<(Range<usize>, &'a Spanned<DeValue<'i>>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == name)?;
    Some((key.span(), value))
}

/// The place of the setting `key` of the table `section`, of several the one of this number.
#[must_use]
pub fn find(text: &str, section: &'static str, index: usize, key: &'static str) -> Range<usize> {
    let fault = Fault { table: (section, index), key, why: String::new(), hint: String::new() };
    place(DeTable::parse_recoverable(text).0.get_ref(), &fault).unwrap_or(0..0)
}

fn joined(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

impl Problem {
    /// The line and the column, from 1; the column in characters.
    #[must_use]
    pub fn position(&self, text: &str) -> (usize, usize) {
        let before = text.get(..self.at.start).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }

    /// The line with a caret under the place, if the line says anything. Values are dots.
    #[must_use]
    pub fn excerpt(&self, text: &str) -> Option<String> {
        let (number, column) = self.position(text);
        let line = text.lines().nth(number - 1)?;
        if line.trim().is_empty() {
            return None;
        }
        let shown: String = concealed(line).chars().take(WIDTH).collect();
        let column = column.min(WIDTH);
        let end = self.at.end.min(text.len()).max(self.at.start);
        let length = text.get(self.at.start..end).map_or(1, |part| {
            part.lines().next().unwrap_or_default().chars().count().clamp(1, WIDTH + 1 - column)
        });
        let margin = number.to_string().len();
        let (blank, pad) = (" ".repeat(margin), " ".repeat(column - 1));
        Some(format!("{number} | {shown}\n{blank} | {pad}{}", "^".repeat(length)))
    }

    /// As the error of the file that is called `name`.
    #[must_use]
    pub fn into_error(self, text: &str, name: &str) -> Error {
        let (line, _) = self.position(text);
        Error::bad_request(format!("{name} is wrong"))
            .because(format!("line {line}: {}", self.why))
            .hint(self.hint)
    }
}

/// A line of the file with dots for the letters and digits of its values; as wide as it is.
fn concealed(line: &str) -> String {
    let head = line.trim_start();
    if head.starts_with('#') {
        return line.chars().map(dotted).collect();
    }
    if head.starts_with('[') {
        return names_only(line);
    }
    match line.split_once('=') {
        Some((name, value)) => {
            let rest: String = value.chars().map(dotted).collect();
            format!("{}={rest}", names_only(name))
        }
        None => line.chars().map(dotted).collect(),
    }
}

/// What of `text` are names, which are shown, and the rest as dots.
fn names_only(text: &str) -> String {
    let mut out = String::new();
    for piece in text.split_inclusive(|c: char| !file::may_name(c)) {
        let end = piece.trim_end_matches(|c: char| !file::may_name(c));
        let is_name = file::is_name(end);
        out.extend(end.chars().map(|c| if is_name { c } else { dotted(c) }));
        out.extend(piece[end.len()..].chars().map(dotted));
    }
    out
}

/// A dot for what may be a part of a secret; a blank for what a terminal would act on.
fn dotted(c: char) -> char {
    match c {
        ' ' | '[' | ']' | '{' | '}' | '=' | ',' | '.' | '"' | '\'' | '#' => c,
        c if c.is_control() => ' ',
        _ => '·',
    }
}

impl Section {
    /// As its head stands in the file.
    #[must_use]
    pub fn head(&self) -> String {
        if self.many { format!("[[{}]]", self.key) } else { format!("[{}]", self.key) }
    }
}

impl Setting {
    /// A value to show: an example, else what holds by default.
    #[must_use]
    pub fn shown(&self) -> &'static str {
        match self.default {
            Default::Value(value) if self.example.is_empty() => value,
            _ => self.example,
        }
    }
}
