//! Data of notes and turns as the variables of a template.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ValueKind};

use super::MAX_OUTPUT;
use crate::lisp::Datum;

/// The most parts of one variable.
const MAX_PARTS: usize = 4_000;

/// The variables of one rendering. Those of the context are made when they are asked for: few templates want them all.
pub struct Variables {
    given: HashMap<String, Value>,
    context: Option<Arc<Datum>>,
    made: Mutex<HashMap<String, Value>>,
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("variables")
    }
}

impl Variables {
    /// Those that are given, a property list, and those of the context, another, which come after them.
    ///
    /// # Errors
    /// More is given than a template takes.
    pub fn new(given: &Datum, context: Option<Arc<Datum>>) -> Result<Arc<Self>, String> {
        let mut own = HashMap::new();
        for pair in given.items().unwrap_or_default().chunks_exact(2) {
            if let Datum::Keyword(name) = &pair[0] {
                let mut room = MAX_PARTS;
                let made = value(&pair[1], &mut room);
                let made = made.ok_or_else(|| format!("{name} has more than {MAX_PARTS} parts"))?;
                own.entry(identifier(name)).or_insert(made);
            }
        }
        Ok(Arc::new(Self { given: own, context, made: Mutex::default() }))
    }

    /// They as what the engine takes.
    pub fn value(self: &Arc<Self>) -> Value {
        Value::from_dyn_object(Arc::clone(self))
    }
}

impl Object for Variables {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        if let Some(value) = self.given.get(name) {
            return Some(value.clone());
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = made.get(name) {
            return Some(value.clone());
        }
        let context = self.context.as_ref()?.items()?;
        let named = |pair: &&[Datum]| matches!(&pair[0], Datum::Keyword(key) if identifier(key) == name);
        let pair = context.chunks_exact(2).find(named)?;
        let new = value(&pair[1], &mut { MAX_PARTS })?;
        made.insert(name.to_owned(), new.clone());
        Some(new)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

/// Whether a value can stand in a text.
pub fn is_text(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::String | ValueKind::Number | ValueKind::Bool | ValueKind::Undefined)
}

/// The name of a key as templates write it.
fn identifier(key: &str) -> String {
    key.replace('-', "_")
}

/// A property list is a mapping, any other list a list, nil the empty one, and names are texts. `None` if it has more
/// parts than there is room for. Data nests no deeper than its own bound.
fn value(datum: &Datum, room: &mut usize) -> Option<Value> {
    *room = room.checked_sub(1)?;
    Some(match datum {
        Datum::Nil => Value::from(Vec::<Value>::new()),
        Datum::T => Value::from(true),
        Datum::Symbol(name) | Datum::Keyword(name) | Datum::Opaque(name) => Value::from(name.as_str()),
        Datum::Int(number) => Value::from(*number),
        Datum::Float(number) => Value::from(*number),
        Datum::Char(c) => Value::from(*c),
        // One that is longer could not be written whole.
        Datum::Str(text) => Value::from(&text[..text.floor_char_boundary(MAX_OUTPUT + 4)]),
        Datum::List(items) if is_mapping(items) => {
            let mut pairs = std::collections::BTreeMap::new();
            for pair in items.chunks_exact(2) {
                let Datum::Keyword(key) = &pair[0] else { continue };
                let made = value(&pair[1], room)?;
                pairs.entry(identifier(key)).or_insert(made);
            }
            Value::from(pairs)
        }
        Datum::List(items) => {
            let made: Option<Vec<Value>> = items.iter().map(|item| value(item, room)).collect();
            Value::from(made?)
        }
        Datum::Dotted(..) => Value::from(datum.print(1_000)),
    })
}

/// Whether a list is keys and values.
fn is_mapping(items: &[Datum]) -> bool {
    items.len().is_multiple_of(2) && items.iter().step_by(2).all(|key| matches!(key, Datum::Keyword(_)))
}
