//! What matters of a chunk of a stream. Everything may be absent or null, and what is not named here is ignored.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::record::Usage;

/// One event of a stream.
#[derive(Deserialize)]
pub(super) struct Chunk {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    /// Kept as it is until it is read: what is no count there is no reason to lose a reply.
    #[serde(default)]
    usage: Option<Value>,
    /// Where Groq says it.
    #[serde(default)]
    x_groq: Option<Aside>,
    #[serde(default)]
    pub(super) error: Option<Value>,
}

#[derive(Deserialize)]
struct Aside {
    #[serde(default)]
    usage: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    pub(super) delta: Option<Delta>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
}

/// A piece of the reply, or of what the model thinks.
#[derive(Default, Deserialize)]
pub(super) struct Delta {
    #[serde(default)]
    content: Option<Content>,
    /// As DeepSeek, llama.cpp, vLLM and others call it.
    #[serde(default)]
    reasoning_content: Option<Content>,
    /// As OpenRouter, Groq and Ollama call it.
    #[serde(default)]
    reasoning: Option<Content>,
    #[serde(default)]
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Deserialize)]
struct ToolCall {
    #[serde(default)]
    custom: Option<Custom>,
}

#[derive(Deserialize)]
struct Custom {
    #[serde(default)]
    input: Option<String>,
}

/// Text, or a list of parts as Mistral sends while the model thinks.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Text { text: String },
    Thinking { thinking: Vec<Plain> },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Plain {
    Text { text: String },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
    #[serde(default)]
    completion_tokens_details: Option<Details>,
    /// As DeepSeek calls it.
    #[serde(default)]
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl Chunk {
    /// What it says of the reply. One is asked for, so another one than the first is nobody's.
    pub(super) fn choice(&mut self) -> Option<Choice> {
        let all = self.choices.take()?;
        all.into_iter().find(|choice| choice.index.unwrap_or_default() == 0)
    }

    /// How many tokens there were, if it says so: of the prompt and of the reply, and no prompt has none.
    pub(super) fn usage(&mut self) -> Option<Usage> {
        let counted = self.usage.take().or_else(|| self.x_groq.take()?.usage)?;
        let counted: Counted = serde_json::from_value(counted).ok()?;
        let prompt_tokens = counted.prompt_tokens.filter(|tokens| *tokens > 0)?;
        let details = counted.prompt_tokens_details.unwrap_or_default();
        let cached = details.cached_tokens.or(counted.prompt_cache_hit_tokens);
        Some(Usage {
            prompt_tokens,
            completion_tokens: counted.completion_tokens?,
            cached_tokens: cached.map(|tokens| tokens.min(prompt_tokens)),
            reasoning_tokens: counted.completion_tokens_details.unwrap_or_default().reasoning_tokens,
            estimated: false,
        })
    }
}

impl Delta {
    /// What is thought, and what is said, the input of a custom tool included. Either may be empty.
    pub(super) fn split(self) -> (String, String) {
        let (mut thought, mut said) = (String::new(), String::new());
        let reasoning = self.reasoning_content.or(self.reasoning);
        if let Some(Content::Text(text)) = reasoning {
            thought = text;
        }
        match self.content {
            Some(Content::Text(text)) => said = text,
            Some(Content::Parts(parts)) => {
                for part in parts {
                    match part {
                        Part::Text { text } => said.push_str(&text),
                        Part::Thinking { thinking } => {
                            thinking.into_iter().for_each(|plain| match plain {
                                Plain::Text { text } => thought.push_str(&text),
                                Plain::Other(_) => {}
                            });
                        }
                        Part::Other(_) => {}
                    }
                }
            }
            Some(Content::Other(_)) | None => {}
        }
        // There is one tool, and it is called once: what comes after it is no action, and the verifier says so.
        for call in self.tool_calls.into_iter().flatten() {
            said.push_str(&call.custom.and_then(|custom| custom.input).unwrap_or_default());
        }
        (thought, said)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn split(delta: Value) -> (String, String) {
        serde_json::from_value::<Delta>(delta).unwrap().split()
    }

    #[test]
    fn thoughts_are_told_from_words_however_they_are_sent() {
        let cases = [
            (json!({"content": "a"}), ("", "a")),
            (json!({"content": null, "reasoning_content": "t"}), ("t", "")),
            (json!({"reasoning": "t", "content": ""}), ("t", "")),
            (
                json!({"content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "t"}, {"type": "x"}]},
                    {"type": "text", "text": "a"}, {"type": "reference", "ids": [1]}, 7,
                ]}),
                ("t", "a"),
            ),
            (
                json!({"tool_calls": [{"index": 0, "type": "custom", "custom": {"name": "act", "input": "(:"}}]}),
                ("", "(:"),
            ),
            (json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}), ("", "")),
            (json!({"content": {"odd": 1}, "reasoning": 3, "role": "assistant"}), ("", "")),
        ];
        for (delta, (thought, said)) in cases {
            assert_eq!(split(delta.clone()), (thought.to_owned(), said.to_owned()), "{delta}");
        }
    }

    #[test]
    fn tokens_are_read_from_where_each_provider_puts_them() {
        let usage = |chunk: Value| serde_json::from_value::<Chunk>(chunk).unwrap().usage();
        let all = Usage {
            prompt_tokens: 9,
            completion_tokens: 5,
            cached_tokens: Some(4),
            reasoning_tokens: Some(3),
            estimated: false,
        };
        assert_eq!(
            usage(json!({"usage": {"prompt_tokens": 9, "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 3}}})),
            Some(all)
        );
        assert_eq!(
            usage(json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5,
                "prompt_cache_hit_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 3}}})),
            Some(all)
        );
        let plain = Usage { prompt_tokens: 1, completion_tokens: 2, ..Usage::default() };
        assert_eq!(
            usage(json!({"x_groq": {"id": "r", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}})),
            Some(plain)
        );
        // What is no count is none: it costs neither the reply nor the sum.
        for none in [
            json!(null),
            json!({}),
            json!({"total_tokens": 3}),
            json!({"prompt_tokens": null, "completion_tokens": null}),
            json!({"prompt_tokens": 0, "completion_tokens": 0}),
            json!({"prompt_tokens": -1, "completion_tokens": 2}),
            json!({"prompt_tokens": "9", "completion_tokens": 2}),
            json!({"prompt_tokens": 9}),
            json!([]),
            json!("9"),
        ] {
            assert_eq!(usage(json!({ "usage": none })), None, "{none}");
        }
        // No more can be read from a cache than was sent.
        let most = json!({"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 70});
        assert_eq!(usage(json!({ "usage": most })).unwrap().cached_tokens, Some(9));
    }

    #[test]
    fn the_first_choice_is_the_reply() {
        let said = |chunk: Value| {
            let choice = serde_json::from_value::<Chunk>(chunk).unwrap().choice()?;
            Some(choice.delta.unwrap_or_default().split().1)
        };
        let (first, second) =
            (json!({"delta": {"content": "a"}}), json!({"index": 1, "delta": {"content": "b"}}));
        assert_eq!(said(json!({"choices": [second, first]})), Some("a".to_owned()));
        assert_eq!(said(json!({"choices": [second]})), None);
        assert_eq!(said(json!({"choices": null})), None);
    }
}
