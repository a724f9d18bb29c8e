//! The providers that are known by name: where they are, how they are asked, what they can constrain.
//!
//! One table. Every provider is asked through its OpenAI-compatible endpoint; what one of them does otherwise stands in
//! its row. A provider is named by `provider` in `config.toml`, or recognised by the host of its base URL.

use serde::Deserialize;
use url::Url;

/// How a server is made to answer with an action and nothing else. Whatever it promises, the reply is verified here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Dialect {
    /// The prompt asks for it, and nothing enforces it.
    #[default]
    #[serde(rename = "prompt")]
    Prompt,
    /// llama.cpp's server: a GBNF grammar in the field `grammar`.
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
    /// vLLM: a grammar in the field `structured_outputs`.
    #[serde(rename = "vllm")]
    Vllm,
    /// OpenAI: the reply is the input of a custom tool whose format is a Lark grammar.
    #[serde(rename = "openai-lark")]
    OpenAiLark,
    /// Ollama, LM Studio and others: a JSON Schema in `response_format`; the reply is JSON and read back.
    #[serde(rename = "json-schema")]
    JsonSchema,
}

impl Dialect {
    /// Its name in `config.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::LlamaCpp => "llama.cpp",
            Self::Vllm => "vllm",
            Self::OpenAiLark => "openai-lark",
            Self::JsonSchema => "json-schema",
        }
    }
}

/// A provider.
#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name in `config.toml`.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Where it is asked: `/chat/completions` is added.
    pub base_url: &'static str,
    /// The variable that usually holds its key; none: it is a server of one's own that wants none.
    pub key: Option<&'static str>,
    /// How its replies can be constrained.
    pub dialect: Dialect,
    /// The field that bounds the length of a reply.
    pub max_tokens: &'static str,
    /// Whether it refuses `stream_options`; then it counts tokens unasked.
    pub counts_unasked: bool,
    /// Whether it closes the connection behind a reply, though it says that it keeps it open.
    pub closes: bool,
}

/// What most of them are like.
const USUAL: Provider = Provider {
    name: "",
    title: "",
    base_url: "",
    key: None,
    dialect: Dialect::Prompt,
    max_tokens: "max_tokens",
    counts_unasked: false,
    closes: false,
};

/// The known providers. Addresses and fields are those of each provider's own reference of its OpenAI-compatible
/// endpoint; those of one's own machine have the ports on which they listen unless they are told otherwise.
pub const PROVIDERS: [Provider; 11] = [
    Provider {
        name: "openai",
        title: "OpenAI",
        base_url: "https://api.openai.com/v1",
        key: Some("OPENAI_API_KEY"),
        max_tokens: "max_completion_tokens",
        ..USUAL
    },
    Provider {
        name: "anthropic",
        title: "Anthropic",
        base_url: "https://api.anthropic.com/v1",
        key: Some("ANTHROPIC_API_KEY"),
        ..USUAL
    },
    Provider {
        name: "gemini",
        title: "Google Gemini",
        base_url: "https://generativelanguage.googleapis.com/v1beta/openai",
        key: Some("GEMINI_API_KEY"),
        ..USUAL
    },
    Provider {
        name: "openrouter",
        title: "OpenRouter",
        base_url: "https://openrouter.ai/api/v1",
        key: Some("OPENROUTER_API_KEY"),
        ..USUAL
    },
    Provider {
        name: "mistral",
        title: "Mistral",
        base_url: "https://api.mistral.ai/v1",
        key: Some("MISTRAL_API_KEY"),
        counts_unasked: true,
        ..USUAL
    },
    Provider {
        name: "groq",
        title: "Groq",
        base_url: "https://api.groq.com/openai/v1",
        key: Some("GROQ_API_KEY"),
        max_tokens: "max_completion_tokens",
        ..USUAL
    },
    Provider {
        name: "deepseek",
        title: "DeepSeek",
        base_url: "https://api.deepseek.com/v1",
        key: Some("DEEPSEEK_API_KEY"),
        ..USUAL
    },
    Provider {
        name: "ollama",
        title: "Ollama",
        base_url: "http://localhost:11434/v1",
        dialect: Dialect::JsonSchema,
        ..USUAL
    },
    Provider {
        name: "llama.cpp",
        title: "llama.cpp",
        base_url: "http://localhost:8080/v1",
        dialect: Dialect::LlamaCpp,
        closes: true,
        ..USUAL
    },
    Provider {
        name: "lmstudio",
        title: "LM Studio",
        base_url: "http://localhost:1234/v1",
        dialect: Dialect::JsonSchema,
        ..USUAL
    },
    Provider {
        name: "vllm",
        title: "vLLM",
        base_url: "http://localhost:8000/v1",
        dialect: Dialect::Vllm,
        ..USUAL
    },
];

impl Provider {
    /// The provider of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PROVIDERS.iter().find(|provider| provider.name == name)
    }

    /// The provider whose own host `url` names. What listens on a port of this machine is not known by that.
    #[must_use]
    pub fn of(url: &Url) -> Option<&'static Self> {
        PROVIDERS
            .iter()
            .filter(|provider| !provider.is_local())
            .find(|provider| Url::parse(provider.base_url).is_ok_and(|own| own.host() == url.host()))
    }

    /// Those that usually run on one's own machine.
    pub fn local() -> impl Iterator<Item = &'static Self> {
        PROVIDERS.iter().filter(|provider| provider.is_local())
    }

    /// Whether it usually runs on one's own machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.key.is_none()
    }
}
