//! How many tokens a text is to a model: counted with the model's own vocabulary where that is public and free, estimated
//! elsewhere.
//!
//! Pure, apart from the vocabularies, which are part of the program (2.3 MB, compressed) and unpacked when the first text
//! is counted: 35 to 120 ms and 17 to 24 MB for each, once in a process. Then the first 100 KB of prose take 5 to 30 ms,
//! more 2 ms. What a thread counts with is another 1.2 MB.
//!
//! Only text is counted: what stands around a message in a model's own template is [`MESSAGE`], about. No vocabulary is
//! public for Claude, Gemini and most models of a provider's own; those are estimated, and so is everything without the
//! cargo feature `tokenizer`. [`Counter::is_exact`] tells.
//!
//! Text is hostile. The library looks for the end of a piece anew at each character of some scripts, which takes the
//! square of their length, so it is handed no more than [`PIECE`] bytes at a time, cut where every vocabulary cuts, too.
//! What is beyond [`COUNTED`] bytes is estimated. The worst text found takes 0.4 s for these, prose 5 ms.

mod estimate;

pub use estimate::estimate;

/// The tokens around one message, about: its role and the marks of its begin and end.
pub const MESSAGE: usize = 4;

/// How many bytes of a text are counted; what follows them is estimated.
pub const COUNTED: usize = 262_144;

/// How many bytes the library is handed at most at a time.
const PIECE: usize = 4_096;

/// Whether there are vocabularies to count with.
const COUNTS: bool = cfg!(feature = "tokenizer");

/// A published vocabulary, under a licence that lets it be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vocabulary {
    /// MIT; `tiktoken_ext/openai_public.py` of OpenAI's tiktoken. `o200k_harmony` differs in special tokens only. The
    /// library is one token off where a long s stands after an apostrophe.
    O200k,
    /// MIT; the same file.
    Cl100k,
    /// Apache 2.0; `tokenizer.json` of Qwen2.5. Its normalisation of text to NFC is left out.
    Qwen2,
    /// Apache 2.0; `tekken.json` of Mistral Nemo, from mistral-common.
    Tekken,
}

impl Vocabulary {
    /// The library's name of it.
    const fn name(self) -> &'static str {
        match self {
            Self::O200k => "o200k_base",
            Self::Cl100k => "cl100k_base",
            Self::Qwen2 => "qwen2",
            Self::Tekken => "mistral_v3",
        }
    }
}

/// What the texts of a model are counted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Its own vocabulary.
    Own(Vocabulary),
    /// One that is like its own or may be its own.
    Near(Vocabulary),
    /// None.
    Estimate,
}

/// Which vocabulary is whose, by the name of the model in lower case and without namespaces; the first that fits holds.
/// A `*` stands for any text. Names that no row has are estimated.
const MODELS: &[(&str, How)] = &[
    // OpenAI: `tiktoken/model.py` of tiktoken, which names no GPT-5 with a point in its number.
    ("gpt-oss*", How::Own(Vocabulary::O200k)),
    ("gpt-5", How::Own(Vocabulary::O200k)),
    ("gpt-5-*", How::Own(Vocabulary::O200k)),
    ("gpt-5*", How::Near(Vocabulary::O200k)),
    ("gpt-4.5*", How::Own(Vocabulary::O200k)),
    ("gpt-4.1*", How::Own(Vocabulary::O200k)),
    ("gpt-4o*", How::Own(Vocabulary::O200k)),
    ("chatgpt-4o*", How::Own(Vocabulary::O200k)),
    ("o1", How::Own(Vocabulary::O200k)),
    ("o1-*", How::Own(Vocabulary::O200k)),
    ("o3", How::Own(Vocabulary::O200k)),
    ("o3-*", How::Own(Vocabulary::O200k)),
    ("o4-mini*", How::Own(Vocabulary::O200k)),
    ("gpt-4", How::Own(Vocabulary::Cl100k)),
    ("gpt-4-*", How::Own(Vocabulary::Cl100k)),
    ("gpt-3.5*", How::Own(Vocabulary::Cl100k)),
    ("gpt-35-turbo*", How::Own(Vocabulary::Cl100k)),
    // DeepSeek's own are estimated: the library has the file of DeepSeek-V3, and passes it on under that model's licence, which
    // wants its restrictions of use passed on with it. These are its distillates of other models.
    ("deepseek-r1*distill-llama*", How::Near(Vocabulary::Cl100k)),
    ("deepseek-r1*qwen*", How::Near(Vocabulary::Qwen2)),
    // Qwen: one vocabulary from Qwen2 to Qwen3, another since 3.5; those of `qwen-plus` and the like are not told.
    ("qwen3.*", How::Estimate),
    ("qwen3-max*", How::Near(Vocabulary::Qwen2)),
    ("qwen2*", How::Own(Vocabulary::Qwen2)),
    ("qwen-2*", How::Own(Vocabulary::Qwen2)),
    ("qwen3*", How::Own(Vocabulary::Qwen2)),
    ("qwq*", How::Own(Vocabulary::Qwen2)),
    // Mistral: mistral-common. Before 2025 most were made with SentencePiece, Nemo being the first that was not; `latest`
    // is whichever is newest.
    ("mistral-nemo*", How::Own(Vocabulary::Tekken)),
    ("open-mistral-nemo*", How::Own(Vocabulary::Tekken)),
    ("pixtral-12b*", How::Own(Vocabulary::Tekken)),
    ("mistral-*-24*", How::Estimate),
    ("mistral-small:22b*", How::Estimate),
    ("mistral-small*", How::Near(Vocabulary::Tekken)),
    ("mistral-medium*", How::Near(Vocabulary::Tekken)),
    ("mistral-large-latest", How::Near(Vocabulary::Tekken)),
    ("ministral*", How::Near(Vocabulary::Tekken)),
    ("devstral*", How::Near(Vocabulary::Tekken)),
    ("magistral*", How::Near(Vocabulary::Tekken)),
    ("codestral-latest", How::Near(Vocabulary::Tekken)),
    // Llama 3 is cl100k and 28,000 tokens more, which are merged last: it has at most as many tokens. Its own file may
    // only be passed on under Meta's licence, whose terms are not this project's.
    ("llama3*", How::Near(Vocabulary::Cl100k)),
    ("llama-3*", How::Near(Vocabulary::Cl100k)),
    ("llama-v3*", How::Near(Vocabulary::Cl100k)),
    ("meta-llama-3*", How::Near(Vocabulary::Cl100k)),
];

/// How the tokens of a model's texts are counted. Cheap to make and to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    how: How,
}

impl Counter {
    /// For the model that its provider calls `model`: `gpt-5-mini`, `openai/gpt-4o`, `qwen2.5-coder:7b-q4`.
    #[must_use]
    pub fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        // A fine-tuned model: the one it was made from, and whose it is.
        let name = name.strip_prefix("ft:").unwrap_or(&name);
        let row = MODELS.iter().find(|(pattern, _)| COUNTS && fits(pattern, name));
        Self { how: row.map_or(How::Estimate, |(_, how)| *how) }
    }

    /// How many tokens `text` has, at most as many as it has bytes. Unpacks the vocabulary if that was not done yet.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        let (How::Own(vocabulary) | How::Near(vocabulary)) = self.how else { return estimate(text) };
        let (mut rest, beyond) = text.split_at(text.floor_char_boundary(COUNTED));
        let mut tokens = estimate(beyond);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cut(rest));
            tokens += tokens_of(piece, vocabulary);
            rest = after;
        }
        tokens
    }

    /// The vocabulary's name, `estimate` without one.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.how {
            How::Own(vocabulary) | How::Near(vocabulary) => vocabulary.name(),
            How::Estimate => "estimate",
        }
    }

    /// Whether texts are counted with a vocabulary at all.
    #[must_use]
    pub const fn has_vocabulary(&self) -> bool {
        !matches!(self.how, How::Estimate)
    }

    /// Whether texts are counted with the vocabulary that was published for this very model.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        matches!(self.how, How::Own(_))
    }
}

/// Whether `name` is what `pattern` says, where each `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// How many bytes of `text` to count next. After a letter or a digit and before a blank every vocabulary cuts, so that
/// pieces have as many tokens as the whole; where there is no such place for long, a few more.
fn cut(text: &str) -> usize {
    if text.len() <= PIECE {
        return text.len();
    }
    let pairs = text.as_bytes()[PIECE / 2..PIECE].windows(2);
    let place =
        pairs.rev().position(|pair| pair[0].is_ascii_alphanumeric() && matches!(pair[1], b' ' | b'\n'));
    place.map_or_else(|| text.floor_char_boundary(PIECE), |back| PIECE - 1 - back)
}

#[cfg(feature = "tokenizer")]
fn tokens_of(piece: &str, vocabulary: Vocabulary) -> usize {
    tiktoken::get_encoding(vocabulary.name())
        .map_or_else(|| estimate(piece), |encoding| encoding.count(piece))
}

#[cfg(not(feature = "tokenizer"))]
fn tokens_of(piece: &str, _: Vocabulary) -> usize {
    estimate(piece)
}

#[cfg(test)]
mod tests;
