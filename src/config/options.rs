//! Every setting there is, in one table: what it is called, what it may be, what holds without it, and what it means.
//!
//! `config show`, the commented sample, the reference in docs/configuration.md and the errors of the file are made of it;
//! a test holds it against what the reader of the file knows.

use super::shape::Shape;

/// A setting of `config.toml`.
#[derive(Debug)]
pub struct Setting {
    /// Its tables and its name, with dots between.
    pub key: &'static str,
    /// What it may be.
    pub shape: Shape,
    /// What holds if nobody says anything.
    pub default: Default,
    /// What the sample shows for it, as TOML, unless it has a value by default.
    pub example: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// The variable that goes before the file.
    pub variable: Option<&'static str>,
    /// The page with more about it.
    pub page: &'static str,
}

/// What holds if nobody says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// This value, as TOML.
    Value(&'static str),
    /// No value; in words, what that comes to.
    Nothing(&'static str),
    /// It has to be said wherever its table stands.
    Required,
}

/// A table of `config.toml`.
#[derive(Debug)]
pub struct Section {
    /// Its name, with those of the tables around it.
    pub key: &'static str,
    /// Whether there may be several: `[[models]]`.
    pub many: bool,
    /// What it is about, in one sentence.
    pub meaning: &'static str,
}

/// A setting that only the environment has.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What holds without it, in words.
    pub default: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// Whether its value is shown to nobody.
    pub secret: bool,
    /// The page with more about it.
    pub page: &'static str,
}

/// The tables of the file, in the order of the sample.
pub const SECTIONS: [Section; 7] = [
    section("persona", false, "Who speaks."),
    section("models", true, "A model that can be asked; the first one answers where nothing else is said."),
    section("models.price", false, "What a model costs, in US dollars per million tokens."),
    section("spend", false, "What may be spent; only models with a price count."),
    section("sessions", false, "What is kept of sessions, and where."),
    section("shell", false, "What is said about shell commands."),
    section("shell.rules", true, "A rule for shell commands; of all that cover one, the strictest decides."),
];

const fn section(key: &'static str, many: bool, meaning: &'static str) -> Section {
    Section { key, many, meaning }
}

/// The settings of the file, those of a table one after another.
pub const SETTINGS: [Setting; 33] = [
    Setting {
        variable: Some("MEMEX_USER"),
        ..setting(
            "persona.user",
            Shape::Text,
            Default::Value("\"User\""),
            "",
            "Your name: one line of at most 100 characters.",
            "skills.md",
        )
    },
    Setting {
        variable: Some("MEMEX_ASSISTANT"),
        ..setting(
            "persona.assistant",
            Shape::Text,
            Default::Value("\"Passepartout\""),
            "",
            "The assistant's name: one line of at most 100 characters.",
            "skills.md",
        )
    },
    model(
        "models.name",
        Shape::Text,
        Default::Nothing("the model"),
        "\"work\"",
        "What the model is chosen by.",
    ),
    model(
        "models.provider",
        Shape::Text,
        Default::Nothing("as base_url tells"),
        "\"openai\"",
        "Whose server it is; base_url, the variable of the key and dialect follow from it.",
    ),
    model(
        "models.base_url",
        Shape::Text,
        Default::Nothing("the provider's, else OpenAI's"),
        "\"https://api.openai.com/v1\"",
        "Where the server is; /chat/completions is added.",
    ),
    model(
        "models.model",
        Shape::Text,
        Default::Required,
        "\"gpt-5-mini\"",
        "What the server calls the model.",
    ),
    model(
        "models.api_key_env",
        Shape::Text,
        Default::Nothing("the provider's variable"),
        "\"OPENAI_API_KEY\"",
        "The variable that holds the key, never the key itself.",
    ),
    model(
        "models.api_key_command",
        Shape::Command,
        Default::Nothing("none"),
        "[\"pass\", \"show\", \"openai\"]",
        "A command that prints the key, in place of api_key_env; a text is given to sh -c.",
    ),
    model(
        "models.dialect",
        Shape::OneOf(&["prompt", "llama.cpp", "vllm", "openai-lark", "json-schema"]),
        Default::Nothing("the provider's, else prompt"),
        "\"openai-lark\"",
        "How the server is made to answer with an action and nothing else.",
    ),
    model(
        "models.price.input",
        Shape::Number,
        Default::Required,
        "0.25",
        "US dollars per million tokens of the prompt.",
    ),
    model(
        "models.price.cached",
        Shape::Number,
        Default::Nothing("the same as input"),
        "0.025",
        "US dollars per million tokens that the provider has read before.",
    ),
    model(
        "models.price.output",
        Shape::Number,
        Default::Required,
        "2.0",
        "US dollars per million tokens of the reply.",
    ),
    model(
        "models.max_tokens",
        Shape::Whole(1, u32::MAX as u64),
        Default::Nothing("as the server has it"),
        "2000",
        "The most tokens of a reply.",
    ),
    model(
        "models.context_tokens",
        Shape::Whole(1, u32::MAX as u64),
        Default::Nothing("as the server has it"),
        "128000",
        "How many tokens prompt and reply may have together.",
    ),
    model(
        "models.temperature",
        Shape::Number,
        Default::Nothing("as the server has it"),
        "0.2",
        "How freely the model chooses words: 0 to 2.",
    ),
    model(
        "models.thinks",
        Shape::Flag,
        Default::Nothing("as the model's name says"),
        "false",
        "Whether replies begin with <think>…</think>.",
    ),
    model(
        "models.connect_seconds",
        Shape::Whole(1, 3_600),
        Default::Value("10"),
        "10",
        "How long to wait for a connection.",
    ),
    model(
        "models.first_byte_seconds",
        Shape::Whole(1, 3_600),
        Default::Value("300"),
        "300",
        "How long to wait for the first byte of a reply.",
    ),
    model(
        "models.idle_seconds",
        Shape::Whole(1, 3_600),
        Default::Value("60"),
        "60",
        "How long to wait between two bytes of a reply.",
    ),
    model(
        "models.proxy",
        Shape::Text,
        Default::Nothing("as HTTPS_PROXY and NO_PROXY say"),
        "\"http://proxy.example:3128\"",
        "The way to the server, or \"none\" for straight there.",
    ),
    model(
        "models.ca_file",
        Shape::Text,
        Default::Nothing("the system's certificates"),
        "\"/etc/ssl/own.pem\"",
        "Certificates that vouch for the server beside the system's, as PEM.",
    ),
    model(
        "models.fallback",
        Shape::Texts,
        Default::Value("[]"),
        "[\"offline\"]",
        "Which models to ask if this one fails, by name, in this order; at most eight.",
    ),
    spend("spend.per_day", "2.50", "The most US dollars on one day, in UTC."),
    spend("spend.per_session", "0.50", "The most US dollars in one session."),
    setting(
        "sessions.keep",
        Shape::Text,
        Default::Value("\"forever\""),
        "",
        "How long a session is kept that nobody touches, such as \"90 days\"; at least a day.",
        "sessions.md",
    ),
    setting(
        "sessions.max_mib",
        Shape::Whole(1, i64::MAX as u64),
        Default::Nothing("as much as there is"),
        "500",
        "How many MiB all sessions may have; those that nobody touched for longest go first.",
        "sessions.md",
    ),
    setting(
        "sessions.mirror",
        Shape::Text,
        Default::Nothing("nowhere"),
        "\"~/org/chats\"",
        "The directory in which a transcript of each session is kept.",
        "sessions.md",
    ),
    setting(
        "sessions.summarise",
        Shape::Flag,
        Default::Value("true"),
        "",
        "Whether a model puts into a few words what no longer fits into a prompt; else it is left out.",
        "models.md",
    ),
    rule(
        "shell.rules.pattern",
        Shape::Pattern,
        Default::Required,
        "[\"cargo\", [\"check\", \"test\"], \"<flag>...\"]",
        "The program and words that the rule covers.",
    ),
    rule(
        "shell.rules.decision",
        Shape::OneOf(&["allow", "ask", "deny"]),
        Default::Required,
        "\"allow\"",
        "What is done with what it covers.",
    ),
    rule(
        "shell.rules.reason",
        Shape::Text,
        Default::Value("\"\""),
        "\"the project's own checks\"",
        "Why, for people.",
    ),
    rule(
        "shell.rules.match",
        Shape::Texts,
        Default::Value("[]"),
        "[\"cargo test --all\"]",
        "Commands that it has to cover, tried when it is loaded.",
    ),
    rule(
        "shell.rules.not_match",
        Shape::Texts,
        Default::Value("[]"),
        "[\"cargo run\"]",
        "Commands that it must not cover.",
    ),
];

const fn setting(
    key: &'static str,
    shape: Shape,
    default: Default,
    example: &'static str,
    meaning: &'static str,
    page: &'static str,
) -> Setting {
    Setting { key, shape, default, example, meaning, variable: None, page }
}

const fn model(
    key: &'static str,
    shape: Shape,
    default: Default,
    example: &'static str,
    meaning: &'static str,
) -> Setting {
    setting(key, shape, default, example, meaning, "models.md")
}

const fn rule(
    key: &'static str,
    shape: Shape,
    default: Default,
    example: &'static str,
    meaning: &'static str,
) -> Setting {
    setting(key, shape, default, example, meaning, "security.md")
}

const fn spend(key: &'static str, example: &'static str, meaning: &'static str) -> Setting {
    setting(key, Shape::Number, Default::Nothing("no limit"), example, meaning, "models.md")
}

/// What only the environment says. A process keeps the environment it was started with.
pub const VARIABLES: [Variable; 10] = [
    variable(
        "ORG_AGENT_HOME",
        "the directories of XDG",
        "The directory of configuration, skills and data together.",
        "sessions.md",
    ),
    variable(
        "XDG_CONFIG_HOME",
        "~/.config",
        "Where org-agent/ with config.toml and skills is, without ORG_AGENT_HOME.",
        "models.md",
    ),
    variable(
        "XDG_DATA_HOME",
        "~/.local/share",
        "Where org-agent/ with the sessions is, without ORG_AGENT_HOME.",
        "sessions.md",
    ),
    variable("HOME", "none", "What ~/ stands for.", "sessions.md"),
    variable(
        "ORG_AGENT_MODEL",
        "as config.toml says",
        "The model that answers: its name, one of config.toml, or offline for the built-in responder.",
        "models.md",
    ),
    variable(
        "OPENAI_BASE_URL",
        "as config.toml says",
        "The server that is asked for ORG_AGENT_MODEL; it goes before every address of config.toml.",
        "models.md",
    ),
    Variable {
        secret: true,
        ..variable(
            "OPENAI_API_KEY",
            "none",
            "The key for the server of OPENAI_BASE_URL or, without one, for OpenAI.",
            "models.md",
        )
    },
    variable(
        "ORG_AGENT_LOCAL_PORTS",
        "each server's usual port",
        "Where model servers on this machine are looked for, such as ollama=11434, or none.",
        "models.md",
    ),
    variable(
        "OLLAMA_HOST",
        "port 11434",
        "Where Ollama is looked for, as Ollama itself reads it.",
        "models.md",
    ),
    variable(
        "ORG_AGENT_LOG",
        "info, and warnings of libraries",
        "What is logged: error, warn, info, debug or trace, also target=level with commas between.",
        "configuration.md",
    ),
];

const fn variable(
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
    page: &'static str,
) -> Variable {
    Variable { name, default, meaning, secret: false, page }
}

impl Setting {
    /// The table it stands in.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.key.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// Its name in that table.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.key.rsplit_once('.').map_or(self.key, |(_, name)| name)
    }

    /// The setting of this key.
    #[must_use]
    pub fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }
}

impl Section {
    /// The table of this name.
    #[must_use]
    pub fn find(key: &str) -> Option<&'static Self> {
        SECTIONS.iter().find(|section| section.key == key)
    }

    /// Its own settings.
    pub fn settings(&self) -> impl Iterator<Item = &'static Setting> {
        let key = self.key;
        SETTINGS.iter().filter(move |setting| setting.section() == key)
    }
}

/// The names that may stand in the table `section`: its settings and the tables in it. The whole file is the table `""`.
#[must_use]
pub fn names(section: &str) -> Vec<&'static str> {
    let all = SECTIONS.iter().map(|section| section.key).chain(SETTINGS.iter().map(|setting| setting.key));
    let own = all.filter_map(|key| match key.rsplit_once('.') {
        Some((above, name)) => (above == section).then_some(name),
        None => section.is_empty().then_some(key),
    });
    own.collect()
}
