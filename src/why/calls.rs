//! The sections about model calls: what was asked, what came, what it took, and who was asked instead.

use serde_json::Value;

use super::page::Page;
use super::sections::{count, list, part, word};
use crate::record::Cost;
use crate::sexp::report::pointed;

/// Which model was asked, with what.
pub(super) fn prompt(page: &mut Page<'_>, event: &Value, after: &str) {
    page.heading(3, &format!("Model, {after}"), "");
    page.fact("model", word(event, "model"));
    if let Some(persona) = event["persona"].as_object() {
        let name = |key: &str| persona.get(key).and_then(Value::as_str).unwrap_or_default();
        page.fact("persona", &format!("{} speaks to {}", name("assistant"), name("user")));
    }
    match event["parameters"].as_object() {
        Some(parameters) if !parameters.is_empty() => {
            for (name, value) in parameters {
                match (name.as_str(), value.as_str()) {
                    ("dialect", Some(dialect)) => page.fact("dialect", dialect),
                    ("grammarSha256", Some(hash)) => page.fact("grammar", &format!("sha256 {hash}")),
                    _ => page.fact("parameter", &format!("{name} = {value}")),
                }
            }
        }
        _ => page.fact("parameters", "none are recorded"),
    }
    page.heading(3, "Prompt", "");
    if let Some(tokens) = event["tokens"]["tokens"].as_u64() {
        let by = match word(&event["tokens"], "by") {
            "estimate" => "estimated",
            vocabulary => vocabulary,
        };
        page.fact("counted", &format!("{tokens} tokens before it was sent, {by}"));
    }
    for message in list(event, "messages") {
        if page.is_full() {
            return;
        }
        let text = message["text"].as_str();
        let size = text.map_or_else(String::new, |text| format!(", {}", count(text.len())));
        page.heading(4, &format!("Message{size}, role"), word(message, "role"));
        page.drawer(&[("SHA256", word(message, "sha256")), ("VISIBILITY", "folded")]);
        match text {
            Some(text) => page.text(text),
            None => {
                page.fact("text", "not shown: the texts of this turn are too long together, or it is gone");
            }
        }
    }
}

/// What came, what the verifier said of it, and what it took.
pub(super) fn reply(page: &mut Page<'_>, event: &Value, after: &str) {
    for (name, key) in [("Thought", "thought"), ("As it was written", "original")] {
        let text = word(event, key);
        if !text.is_empty() {
            page.heading(3, &format!("{name}, {}", count(text.len())), "");
            page.drawer(&[("VISIBILITY", "folded")]);
            page.text(text);
        }
    }
    let raw = word(event, "raw");
    page.heading(3, &format!("Raw reply, {}, {after}", count(raw.len())), "");
    page.text(raw);
    page.heading(3, "Verdict", "");
    let verdict = &event["verdict"];
    page.fact("verdict", word(verdict, "verdict"));
    for key in ["kind", "trouble", "message"] {
        if let Some(text) = verdict[key].as_str() {
            page.fact(key, text);
        }
    }
    if let Some(offset) = verdict["offset"].as_u64() {
        page.fact("offset", &format!("byte {offset}"));
        if let Ok(offset) = usize::try_from(offset)
            && let Some(lines) = caret(page, raw, offset)
        {
            page.masked_text(&lines);
        }
    }
    if let Some(saved) = verdict["savedAtMost"].as_u64() {
        page.fact("saved", &format!("at most {saved} bytes, as it was stopped there"));
    }
    let usage = &event["usage"];
    let of = |key: &str| usage[key].as_u64();
    let estimated = usage["estimated"].as_bool() == Some(true);
    let counted = Counted {
        prompt: of("promptTokens"),
        completion: of("completionTokens"),
        cached: of("cachedTokens"),
        reasoning: of("reasoningTokens"),
    };
    tokens(page, &counted, if estimated { "; counted here: the server did not say" } else { "" });
    let latency = &event["latency"];
    let after = |key: &str| latency[key].as_u64().map(|ms| format!("after {ms} ms"));
    if let Some(begun) = after("begunMs").filter(|_| latency["begunMs"] != latency["firstMs"]) {
        page.fact("first thought", &begun);
    }
    page.fact("first byte", &after("firstMs").unwrap_or_else(|| "none came".into()));
    page.fact("complete", &after("totalMs").unwrap_or_else(|| "not known".into()));
    match event["cost"]["microUsd"].as_u64() {
        Some(micro_usd) => page.fact("cost", &dollars(&Cost { micro_usd }, estimated)),
        None => page.fact("cost", "not known: no price is configured"),
    }
}

/// What all calls of the turn took together, those that are not shown included.
pub(super) fn together(page: &mut Page<'_>, why: &Value) {
    let tokens_of = &why["tokens"];
    let of = |key: &str| tokens_of[key].as_u64();
    let counted = Counted {
        prompt: of("prompt"),
        completion: of("completion"),
        cached: of("cached"),
        reasoning: of("reasoning"),
    };
    if counted.prompt.is_none() && counted.completion.is_none() {
        return;
    }
    let estimated = tokens_of["estimated"].as_bool() == Some(true);
    page.heading(2, "All model calls of the turn", "");
    tokens(page, &counted, if estimated { "; some were counted here: the server did not say" } else { "" });
    match why["cost"].as_f64() {
        Some(cost) => page.fact("cost", &dollars(&cost_of(cost), estimated)),
        None => page.fact("cost", "not known: no price is configured"),
    }
}

/// Who was asked instead of whom.
pub(super) fn fell_back(page: &mut Page<'_>, event: &Value, after: &str) {
    page.heading(3, &format!("Another model, {after}"), "");
    let (from, to) = (word(event, "from"), word(event, "to"));
    page.fact("asked", &format!("{to} instead of {from}{}", part(": ", word(event, "reason"))));
}

/// What a model made of what no longer fits into prompts.
pub(super) fn summarised(page: &mut Page<'_>, event: &Value, after: &str) {
    page.heading(3, &format!("Summary made, {after}"), "");
    let summary = &event["summary"];
    page.fact("by", word(summary, "model"));
    if let Some(items) = summary["items"].as_u64() {
        page.fact("covers", &format!("the first {items} things that were said and done"));
    }
    page.text(word(summary, "text"));
}

/// Numbers of tokens; what is not known is absent.
struct Counted {
    prompt: Option<u64>,
    completion: Option<u64>,
    cached: Option<u64>,
    reasoning: Option<u64>,
}

fn tokens(page: &mut Page<'_>, counted: &Counted, remark: &str) {
    if counted.prompt.is_none() && counted.completion.is_none() {
        page.fact("tokens", "not known: the model did not report them");
        return;
    }
    let shown = |tokens: Option<u64>| tokens.map_or_else(|| "?".into(), |tokens| tokens.to_string());
    let of_them = |tokens: Option<u64>, what: &str| {
        tokens.map_or_else(String::new, |tokens| format!(" ({tokens} {what})"))
    };
    page.fact(
        "tokens",
        &format!(
            "{} in the prompt{}, {} in the reply{}{remark}",
            shown(counted.prompt),
            of_them(counted.cached, "read before"),
            shown(counted.completion),
            of_them(counted.reasoning, "of thoughts"),
        ),
    );
}

fn dollars(cost: &Cost, estimated: bool) -> String {
    format!("{cost} US dollars{}", if estimated { ", estimated" } else { "" })
}

/// Dollars as clients are told as what is logged.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn cost_of(dollars: f64) -> Cost {
    Cost { micro_usd: (dollars * 1e6).round() as u64 }
}

/// The place of a rejection in what is shown of `raw`: masks before it move it.
fn caret(page: &Page<'_>, raw: &str, offset: usize) -> Option<String> {
    let before = raw.get(..offset.min(raw.len()))?;
    let (shown, before) = (page.masked(raw), page.masked(before));
    // A place in a secret is at the end of its mask.
    shown.starts_with(&before).then(|| pointed(shown.as_bytes(), before.len()))
}
