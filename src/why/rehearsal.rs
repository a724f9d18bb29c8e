//! A dry run as a document: what would be sent, and what of the session would not.

use serde_json::{Value, json};

use super::page::Page;
use super::sections::{count, list, part, word};
use super::{PAGE, calls};
use crate::record::Cost;
use crate::redact::Keys;
use crate::transcript;

/// A dry run as an Org document, within the same bounds as [`super::org`] and masked like that. `said` is the user's.
#[must_use]
pub fn rehearsal(found: &Value, said: &str, keys: &Keys) -> String {
    let mut page = Page::new(keys, PAGE);
    page.heading(1, "Dry run", &transcript::title(&page.masked(said)));
    page.drawer(&[("SESSION", word(found, "sessionId")), ("BUFFER", word(found, "buffer"))]);
    page.fact("sent", "nothing: this is what would be");
    if found["sessionId"].is_null() {
        page.fact("session", "it would begin a new one");
    }
    match found["waits"].as_u64() {
        Some(0) | None => {}
        Some(turns) => {
            page.fact("waits", &format!("{turns} turns of the session come first, and what they add"));
        }
    }
    if found["problem"].is_object() {
        page.fact("refused", word(&found["problem"], "message"));
        page.fact("", word(&found["problem"], "hint"));
    }
    page.heading(2, "Skills", "");
    let triggered: Vec<&str> = list(found, "skills").filter_map(Value::as_str).collect();
    page.fact("triggered", &if triggered.is_empty() { "none".to_owned() } else { triggered.join(", ") });
    page.fact("asked", found["skill"].as_str().unwrap_or("none: the built-in prompt"));
    let first = &found["asksFirst"];
    if word(first, "why") == "skill" {
        page.fact("first", "its program asks the model; the prompt is made of the answer");
    }
    if let Some(skill) = found["speaks"].as_str() {
        page.fact("answers", &format!("{skill} itself; no model is asked"));
    }
    history(&mut page, &found["history"]);
    if first.is_object() {
        let what = if word(first, "why") == "skill" { "a skill's question" } else { "a summary" };
        page.heading(2, &format!("Asked first: {what}"), "");
        asked(&mut page, found, &first["messages"], &Value::Null);
    }
    if list(found, "messages").next().is_some() {
        page.heading(2, "What would be sent", "");
        asked(&mut page, found, &found["messages"], &found["tokens"]);
        match found["cost"].as_f64() {
            Some(dollars) => page.fact("cost", &format!("{} US dollars, without the reply", cost(dollars))),
            None => page.fact("cost", "not known: no price is configured"),
        }
    }
    page.finish()
}

fn asked(page: &mut Page<'_>, found: &Value, messages: &Value, tokens: &Value) {
    let call = json!({
        "model": found["model"], "parameters": found["parameters"], "tokens": tokens, "messages": messages,
    });
    calls::prompt(page, &call, "not asked");
}

fn history(page: &mut Page<'_>, history: &Value) {
    page.heading(2, "History", "");
    let number = |key: &str| history[key].as_u64().unwrap_or_default();
    page.fact("shown", &format!("{} things that were said and done", number("shown")));
    if number("summarised") > 0 {
        page.fact("summary", &format!("of {} things before that", number("summarised")));
    }
    page.fact("left out", &list(history, "leftOut").count().to_string());
    for item in list(history, "leftOut") {
        let bytes = item["bytes"].as_u64().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
        page.fact("", &format!("{}, {}{}", word(item, "role"), count(bytes), part(": ", word(item, "text"))));
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn cost(dollars: f64) -> Cost {
    Cost { micro_usd: (dollars * 1e6).round() as u64 }
}
