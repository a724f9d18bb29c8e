//! Values as text, and as plain data, with a stack of its own.

use super::core::{Core, Result, Val};
use super::fault::{Fault, Kind};
use super::names::{self, Sym, upper};
use super::{Datum, MAX_DEPTH, MAX_NODES};

enum Step {
    Show(Val),
    /// The rest of a list whose opening parenthesis stands.
    Rest(Val),
}

impl Core {
    /// A value as it is read back (`prin1`) or, without `escape`, as it is shown (`princ`).
    pub fn print(&mut self, value: Val, escape: bool, out: &mut String) -> Result<()> {
        self.print_within(value, escape, out, usize::MAX).map(drop)
    }

    /// A value, read back, clipped after about so many bytes: for messages.
    pub fn show(&mut self, value: Val, limit: usize) -> Result<String> {
        let mut out = String::new();
        if !self.print_within(value, true, &mut out, limit)? {
            out.truncate(out.floor_char_boundary(limit));
            out.push('…');
        }
        Ok(out)
    }

    fn print_within(&mut self, value: Val, escape: bool, out: &mut String, limit: usize) -> Result<bool> {
        let start = out.len();
        let mut steps = vec![Step::Show(value)];
        while let Some(step) = steps.pop() {
            self.charge(1)?;
            if out.len() - start > limit {
                return Ok(false);
            }
            if out.len() > self.room() {
                self.take(out.len())?;
            }
            match step {
                Step::Show(Val::Cons(at)) => {
                    let [car, cdr] = self.pair(at);
                    if let (Val::Sym(sym @ (names::QUOTE | names::FUNCTION)), Val::Cons(rest)) = (car, cdr)
                        && let [quoted, Val::Nil] = self.pair(rest)
                    {
                        out.push_str(if sym == names::QUOTE { "'" } else { "#'" });
                        steps.push(Step::Show(quoted));
                        continue;
                    }
                    out.push('(');
                    steps.extend([Step::Rest(cdr), Step::Show(car)]);
                }
                Step::Rest(Val::Cons(at)) => {
                    let [car, cdr] = self.pair(at);
                    out.push(' ');
                    steps.extend([Step::Rest(cdr), Step::Show(car)]);
                }
                Step::Rest(Val::Nil) => out.push(')'),
                Step::Rest(Val::Unbound) => out.push(')'),
                Step::Rest(tail) => {
                    out.push_str(" . ");
                    steps.extend([Step::Rest(Val::Unbound), Step::Show(tail)]);
                }
                Step::Show(value @ Val::Values(_)) => steps.push(Step::Show(self.primary(value))),
                Step::Show(atom) => self.print_atom(atom, escape, out)?,
            }
        }
        Ok(true)
    }

    fn print_atom(&mut self, value: Val, escape: bool, out: &mut String) -> Result<()> {
        match value {
            Val::Nil => out.push_str("NIL"),
            Val::T => out.push('T'),
            Val::Sym(sym) => self.print_name(sym, escape, out),
            Val::Key(sym) => {
                if escape {
                    out.push(':');
                }
                self.print_name(sym, escape, out);
            }
            Val::Int(number) => out.push_str(&number.to_string()),
            Val::Float(number) => out.push_str(&float(number)),
            Val::Char(c) if escape => out.push_str(&character(c)),
            Val::Char(c) => out.push(c),
            Val::Str(at) => {
                let text = std::sync::Arc::clone(&self.text(at).text);
                self.charge_size(text.len())?;
                if out.len() + text.len() > self.room() {
                    self.take(out.len() + text.len())?;
                }
                if escape {
                    quoted(&text, out);
                } else {
                    out.push_str(&text);
                }
            }
            Val::Error(at) => {
                let message = self.get_error(at).1;
                if escape {
                    out.push_str(&format!("#<error {message:?}>"));
                } else {
                    out.push_str(message);
                }
            }
            Val::Fun(_) | Val::Closure(_) | Val::Builtin(_) => out.push_str("#<function>"),
            Val::Unbound | Val::Box(_) | Val::Block(_) | Val::Cons(_) | Val::Values(_) => {
                out.push_str("#<internal>");
            }
        }
        Ok(())
    }

    fn print_name(&self, sym: Sym, escape: bool, out: &mut String) {
        let name = self.names.name(sym);
        let shown = upper(name);
        if escape && !is_plain(name) {
            out.push('|');
            for c in shown.chars() {
                if matches!(c, '|' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
            out.push('|');
        } else {
            out.push_str(&shown);
        }
    }

    /// A value as plain data.
    pub fn export(&mut self, value: Val) -> Result<Datum> {
        match value {
            // What triggers answer.
            Val::Nil => return Ok(Datum::Nil),
            Val::T => return Ok(Datum::T),
            Val::Int(number) => return Ok(Datum::Int(number)),
            _ => {}
        }
        enum Step {
            Visit(Val, usize),
            Build(usize, bool),
        }
        let (mut steps, mut done, mut nodes) = (vec![Step::Visit(value, 0)], Vec::new(), 0);
        while let Some(step) = steps.pop() {
            match step {
                Step::Visit(value, depth) => {
                    nodes += 1;
                    if nodes > MAX_NODES || depth > MAX_DEPTH {
                        return Err(large());
                    }
                    let datum = match value {
                        Val::Cons(_) => {
                            let (mut items, tail) = self.items_and_tail(value)?;
                            if nodes + items.len() > MAX_NODES {
                                return Err(large());
                            }
                            let dotted = tail != Val::Nil;
                            items.extend(dotted.then_some(tail));
                            steps.push(Step::Build(items.len(), dotted));
                            steps.extend(items.iter().rev().map(|item| Step::Visit(*item, depth + 1)));
                            continue;
                        }
                        Val::Nil => Datum::Nil,
                        Val::T => Datum::T,
                        Val::Sym(sym) => Datum::Symbol(self.names.name(sym).to_owned()),
                        Val::Key(sym) => Datum::Keyword(self.names.name(sym).to_owned()),
                        Val::Int(number) => Datum::Int(number),
                        Val::Float(number) => Datum::Float(number),
                        Val::Char(c) => Datum::Char(c),
                        Val::Str(at) => {
                            // One string may stand in many places.
                            let text = self.text(at).text.to_string();
                            self.take(text.len())?;
                            self.charge_size(text.len())?;
                            Datum::Str(text)
                        }
                        Val::Values(_) => {
                            steps.push(Step::Visit(self.primary(value), depth));
                            continue;
                        }
                        other => Datum::Opaque(self.show(other, 200)?),
                    };
                    done.push(datum);
                }
                Step::Build(count, dotted) => {
                    let mut items = done.split_off(done.len() - count);
                    let tail = if dotted { items.pop() } else { None };
                    done.push(match tail {
                        Some(tail) => Datum::Dotted(items, Box::new(tail)),
                        None => Datum::List(items),
                    });
                }
            }
        }
        Ok(done.pop().unwrap_or_default())
    }

    /// Plain data as a value.
    pub fn import(&mut self, root: &Datum) -> Result<Val> {
        enum Step<'d> {
            Visit(&'d Datum, usize),
            Build(usize, bool),
        }
        let (mut steps, mut done, mut nodes) = (vec![Step::Visit(root, 0)], Vec::new(), 0);
        while let Some(step) = steps.pop() {
            match step {
                Step::Visit(datum, depth) => {
                    nodes += 1;
                    if nodes > MAX_NODES || depth > MAX_DEPTH {
                        return Err(large());
                    }
                    let value = match datum {
                        Datum::List(items) => {
                            steps.push(Step::Build(items.len(), false));
                            steps.extend(items.iter().rev().map(|item| Step::Visit(item, depth + 1)));
                            continue;
                        }
                        Datum::Dotted(items, tail) => {
                            steps.push(Step::Build(items.len() + 1, true));
                            steps.push(Step::Visit(tail, depth + 1));
                            steps.extend(items.iter().rev().map(|item| Step::Visit(item, depth + 1)));
                            continue;
                        }
                        Datum::Nil => Val::Nil,
                        Datum::T => Val::T,
                        Datum::Symbol(name) | Datum::Opaque(name) => match names::lower(name).as_str() {
                            "nil" => Val::Nil,
                            "t" => Val::T,
                            name => {
                                self.take(name.len() + 64)?;
                                Val::Sym(self.names.intern(name))
                            }
                        },
                        Datum::Keyword(name) => {
                            self.take(name.len() + 64)?;
                            Val::Key(self.names.intern(&names::lower(name)))
                        }
                        Datum::Int(number) => Val::Int(*number),
                        Datum::Float(number) => Val::Float(*number),
                        Datum::Char(c) => Val::Char(*c),
                        Datum::Str(text) => {
                            self.take(text.len() + 64)?;
                            let text =
                                super::core::Text { text: text.as_str().into(), chars: text.chars().count() };
                            self.push_text(text)?
                        }
                    };
                    done.push(value);
                }
                Step::Build(count, dotted) => {
                    let mut items = done.split_off(done.len() - count);
                    let tail = if dotted { items.pop() } else { None }.unwrap_or(Val::Nil);
                    let list = self.list_onto(&items, tail)?;
                    done.push(list);
                }
            }
        }
        Ok(done.pop().unwrap_or(Val::Nil))
    }
}

fn large() -> Fault {
    Fault::new(
        Kind::Type,
        format!("data with more than {MAX_NODES} parts, or nested more than {MAX_DEPTH} deep"),
    )
    .hint("Give and return less at once.")
}

/// Whether a name reads back as itself without bars.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && super::reader::number(name) == super::reader::Number::No
        && (!name.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit())
            || matches!(name, "1+" | "1-"))
        && name.bytes().any(|b| b != b'.')
        && !name.starts_with('#')
        && !name.chars().any(|c| c.is_whitespace() || c.is_control() || "()\"';`,|\\:".contains(c))
        || name.split_once(':').is_some_and(|(_, word)| !word.contains(':') && is_library(name))
}

fn is_library(name: &str) -> bool {
    ["cl-ppcre:", "ppcre:", "uiop:"].iter().any(|prefix| name.starts_with(prefix))
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == ':')
}

/// A float as it reads back: `1.5`, `1.0e20`.
pub fn float(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((mantissa, power)) if !mantissa.contains('.') => format!("{mantissa}.0e{power}"),
        _ => text,
    }
}

/// A character as it reads back.
fn character(c: char) -> String {
    match c {
        ' ' => "#\\Space".to_owned(),
        '\n' => "#\\Newline".to_owned(),
        '\t' => "#\\Tab".to_owned(),
        '\r' => "#\\Return".to_owned(),
        '\u{c}' => "#\\Page".to_owned(),
        '\u{8}' => "#\\Backspace".to_owned(),
        '\u{7f}' => "#\\Rubout".to_owned(),
        '\0' => "#\\Nul".to_owned(),
        _ => format!("#\\{c}"),
    }
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}
