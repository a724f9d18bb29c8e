//! The filters of templates. They take texts, numbers and flat lists, and what they make is no larger than what is left.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};

use super::MAX_OUTPUT;
use super::values::is_text;

/// The most blanks of an indentation.
const MAX_INDENT: usize = 80;

pub fn add(engine: &mut Environment<'_>) {
    engine.add_filter("default", default);
    engine.add_filter("d", default);
    engine.add_filter("upper", |state: &State<'_, '_>, value: &Value| {
        text(state, value).map(|text| text.to_uppercase())
    });
    engine.add_filter("lower", |state: &State<'_, '_>, value: &Value| {
        text(state, value).map(|text| text.to_lowercase())
    });
    engine.add_filter("capitalize", |state: &State<'_, '_>, value: &Value| {
        let text = text(state, value)?;
        let mut chars = text.chars();
        Ok::<_, Error>(chars.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect()
        }))
    });
    engine.add_filter("trim", |state: &State<'_, '_>, value: &Value| {
        text(state, value).map(|text| text.trim().to_owned())
    });
    engine.add_filter("indent", indent);
    engine.add_filter("replace", replace);
    engine.add_filter("truncate", truncate);
    engine.add_filter("length", length);
    engine.add_filter("count", length);
    engine.add_filter("first", |state: &State<'_, '_>, value: &Value| {
        Ok::<_, Error>(items(state, value)?.first().cloned().unwrap_or(Value::UNDEFINED))
    });
    engine.add_filter("last", |state: &State<'_, '_>, value: &Value| {
        Ok::<_, Error>(items(state, value)?.last().cloned().unwrap_or(Value::UNDEFINED))
    });
    engine.add_filter("join", join);
}

fn wrong<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.into()))
}

/// The engine's own error for a value that is not there: it knows which one it was.
fn missing(value: &Value) -> Error {
    value.get_attr("").err().unwrap_or_else(|| ErrorKind::UndefinedError.into())
}

/// A value as text; that is paid for.
fn text(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(missing(value));
    }
    if !is_text(value) {
        return wrong(format!("a {} is no text; use a loop over it, or the filter join", value.kind()));
    }
    let text = value.to_string();
    state.consume_fuel(1 + text.len() as u64 / 64)?;
    Ok(text)
}

/// The elements of a list.
fn items(state: &State<'_, '_>, value: &Value) -> Result<Vec<Value>, Error> {
    if value.is_undefined() {
        return Err(missing(value));
    }
    if value.kind() != ValueKind::Seq {
        return wrong(format!("a {} is no list", value.kind()));
    }
    state.consume_fuel(1 + value.len().unwrap_or(0) as u64)?;
    Ok(value.try_iter()?.collect())
}

/// What is not there, or with `true` as the second argument false, is something else.
fn default(value: &Value, other: Option<Value>, falsy: Option<bool>) -> Value {
    let missing = value.is_undefined() || (falsy.unwrap_or(false) && !value.is_true());
    if missing { other.unwrap_or_else(|| Value::from("")) } else { value.clone() }
}

fn length(state: &State<'_, '_>, value: &Value) -> Result<usize, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Map => Ok(value.len().unwrap_or(0)),
        _ => Ok(text(state, value)?.chars().count()),
    }
}

/// The lines but the first, and with `true` that, too, further in; empty ones stay empty.
fn indent(
    state: &State<'_, '_>,
    value: &Value,
    width: Option<usize>,
    first: Option<bool>,
) -> Result<String, Error> {
    let text = text(state, value)?;
    let blanks = " ".repeat(width.unwrap_or(4).min(MAX_INDENT));
    let mut out = String::new();
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        if !line.trim().is_empty() && (at > 0 || first.unwrap_or(false)) {
            out.push_str(&blanks);
        }
        out.push_str(line);
        room(&out)?;
    }
    Ok(out)
}

fn replace(state: &State<'_, '_>, value: &Value, from: &str, to: &str) -> Result<String, Error> {
    let text = text(state, value)?;
    if from.is_empty() {
        return wrong("there is nothing to replace in an empty text");
    }
    let mut out = String::new();
    for (at, part) in text.split(from).enumerate() {
        if at > 0 {
            out.push_str(to);
        }
        out.push_str(part);
        room(&out)?;
    }
    Ok(out)
}

/// At most so many characters, with a mark if there are more.
fn truncate(state: &State<'_, '_>, value: &Value, most: usize) -> Result<String, Error> {
    let text = text(state, value)?;
    Ok(match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    })
}

/// The elements of a list as one text: those themselves, or of each its part `attribute`.
#[allow(clippy::needless_pass_by_value, reason = "the engine gives it so")]
fn join(
    state: &State<'_, '_>,
    value: &Value,
    separator: Option<&str>,
    options: Kwargs,
) -> Result<String, Error> {
    let attribute: Option<&str> = options.get("attribute")?;
    options.assert_all_used()?;
    let mut out = String::new();
    for (at, item) in items(state, value)?.iter().enumerate() {
        if at > 0 {
            out.push_str(separator.unwrap_or_default());
        }
        match attribute {
            Some(name) => out.push_str(&text(state, &item.get_attr(name)?)?),
            None => out.push_str(&text(state, item)?),
        }
        room(&out)?;
    }
    Ok(out)
}

fn room(text: &str) -> Result<(), Error> {
    if text.len() > MAX_OUTPUT {
        wrong(format!("a text has more than {} KiB", MAX_OUTPUT >> 10))
    } else {
        Ok(())
    }
}
