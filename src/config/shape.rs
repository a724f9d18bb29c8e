//! What a setting may be, in words for people, and whether a value is that.

use toml::de::DeValue;

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    Text,
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A number.
    Number,
    /// Yes or no.
    Flag,
    /// A list of texts.
    Texts,
    /// A command: a program with its arguments, or a text for a shell.
    Command,
    /// A list of texts, or of lists of them.
    Pattern,
    /// One of these texts.
    OneOf(&'static [&'static str]),
}

impl Shape {
    /// What it is, with its article.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Text => "a text in quotes".to_owned(),
            Self::Whole(least, most) if most >= u64::from(u32::MAX) => {
                format!("a whole number from {least} on")
            }
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Number => "a number".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Texts => "a list of texts".to_owned(),
            Self::Command => "a list of texts, or one text".to_owned(),
            Self::Pattern => "a list of texts, or of lists of them".to_owned(),
            Self::OneOf(names) => format!("one of {}", names.join(", ")),
        }
    }

    /// Whether `value` is one.
    ///
    /// # Errors
    /// What it is instead, without the value itself: a key may have been pasted there.
    pub(super) fn check(self, value: &DeValue<'_>) -> Result<(), &'static str> {
        let is_text = |item: &DeValue<'_>| item.is_str();
        let is_list = |value: &DeValue<'_>| {
            value.as_array().is_some_and(|all| all.iter().all(|it| is_text(it.get_ref())))
        };
        let fits = match self {
            Self::Text => is_text(value),
            Self::Whole(least, most) => match value.as_integer() {
                Some(number) => {
                    let read = u64::from_str_radix(number.as_str(), number.radix());
                    if !read.is_ok_and(|number| (least..=most).contains(&number)) {
                        return Err("out of range");
                    }
                    true
                }
                None => false,
            },
            Self::Number => value.is_integer() || value.is_float(),
            Self::Flag => value.is_bool(),
            Self::Texts => is_list(value),
            Self::Command => is_text(value) || is_list(value),
            Self::Pattern => value
                .as_array()
                .is_some_and(|all| all.iter().all(|item| is_text(item.get_ref()) || is_list(item.get_ref()))),
            Self::OneOf(names) => match value.as_str() {
                Some(text) if names.contains(&text) => true,
                Some(_) => return Err("no word that is known here"),
                None => false,
            },
        };
        if fits { Ok(()) } else { Err(kind(value)) }
    }
}

/// What a value is, with its article.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(items) if items.iter().all(|item| item.get_ref().is_str()) => "a list of texts",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
