//! What one would write without an own recogniser: lexpr reads the whole list, then it is held against the
//! grammar table.

use std::collections::BTreeMap;

use org_agent::action::{Action, CHAT_BUFFER, GRAMMAR, Shape, Value};

/// Reads and checks.
pub fn read(reply: &str, buffer: &str) -> Result<Action, String> {
    let options = lexpr::parse::Options::elisp();
    let list = lexpr::from_str_custom(reply, options).map_err(|error| error.to_string())?;
    let mut top = plist(&list).ok_or("no property list")?;
    let type_ = top.remove("type").and_then(keyword).ok_or("no type")?;
    let target =
        top.remove("target").map(|value| keyword(value).ok_or("the target is no keyword")).transpose()?;
    let row = GRAMMAR
        .iter()
        .find(|row| row.type_ == type_ && row.target == target.as_deref())
        .ok_or("no such form")?;
    let mut action = Action::new(row);
    let explanation =
        top.remove("explanation").map(|value| value.as_str().ok_or("the explanation is no string"));
    action.explain(explanation.transpose()?.map(str::to_owned));
    let mut payload = top.remove("payload").and_then(plist).ok_or("no payload")?;
    for field in row.payload {
        let Some(value) = payload.remove(field.key) else {
            if field.required {
                return Err(format!("no {}", field.key));
            }
            continue;
        };
        let value = match (value.as_str(), value.as_u64()) {
            (Some(text), _) => Value::Text(text.to_owned()),
            (_, Some(number)) => Value::Integer(u32::try_from(number).map_err(|error| error.to_string())?),
            _ => Value::Text(keyword(value).ok_or("neither keyword, string nor number")?),
        };
        action.set(field.key, checked(field.shape, value, buffer).ok_or("a wrong value")?);
    }
    if top.is_empty() && payload.is_empty() { Ok(action) } else { Err("other keys".to_owned()) }
}

/// Each key with its value; nothing if a key is no keyword, has no value or comes twice.
fn plist(list: &lexpr::Value) -> Option<BTreeMap<String, &lexpr::Value>> {
    let mut members = list.list_iter()?;
    let mut found = BTreeMap::new();
    while let Some(key) = members.next() {
        if found.insert(keyword(key)?, members.next()?).is_some() {
            return None;
        }
    }
    Some(found)
}

fn keyword(value: &lexpr::Value) -> Option<String> {
    value.as_keyword().map(str::to_ascii_lowercase)
}

/// The value, if it is of this shape. A keyword may come as text.
pub fn checked(shape: Shape, value: Value, buffer: &str) -> Option<Value> {
    let fits = match (&shape, &value) {
        (Shape::Keyword(words), Value::Text(text)) => {
            return words.iter().find(|word| *word == text).map(|word| Value::Keyword(word));
        }
        (Shape::Seconds(most), Value::Integer(number)) => (1..=*most).contains(number),
        (Shape::Buffer, Value::Text(text)) => text == buffer || text == CHAT_BUFFER,
        (Shape::Command, Value::Text(text)) => !text.is_empty() && text.chars().all(is_clear),
        (Shape::Path, Value::Text(text)) => text.chars().all(is_clear),
        (Shape::Text | Shape::Name, Value::Text(text)) => text.chars().all(is_allowed),
        _ => false,
    };
    fits.then_some(value)
}

fn is_allowed(c: char) -> bool {
    !c.is_control() || matches!(c, '\n' | '\t' | '\r')
}

fn is_clear(c: char) -> bool {
    let hidden =
        matches!(c, '\u{200B}' | '\u{2060}' | '\u{FEFF}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    is_allowed(c) && !hidden
}
