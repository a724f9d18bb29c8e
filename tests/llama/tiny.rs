//! A language model with random weights, of half a megabyte: it has learned nothing, so whatever order its
//! replies have was put there by the grammar.
//!
//! Shape and tokenizer are those of llama models: two layers, a SentencePiece vocabulary with a token for every
//! byte, so that it can read any prompt and write any character, well formed or not. One seed makes the same
//! file every time.
//!
//! Random weights hardly ever close a string. One dimension of the residual stream is therefore a constant that
//! no layer writes to, and the output's weights on it are a bias for each token, as trained models have habits.

use crate::gguf::{File, Value};
use crate::rng::Rng;

const EMBEDDING: usize = 64;
const HEADS: usize = 4;
const LAYERS: usize = 2;
const FEED_FORWARD: usize = 128;
/// The longest prompt and reply together, in tokens. Prompts are some 3,000: nearly one for each character.
pub const CONTEXT: usize = 16_384;

/// The dimension that is the same for every token and in every layer, and its value. The others have a spread of
/// one, and of some three behind the layers.
const CONSTANT: usize = 0;
const LEVEL: f32 = 8.0;
/// About what is left of [`LEVEL`] behind the last normalisation.
const NORMALISED: f32 = 2.5;

/// What ends a message in the template, and with it a reply.
const END: usize = 4;
const CONTROL: [&str; 5] = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"];

/// Types of tokens.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROLLING: i32 = 3;
const BYTE: i32 = 6;

/// Tokens of more than one character: some begin in one rule of the grammar and end in another.
const PIECES: [&str; 32] = [
    "(:",
    ":type",
    ":request",
    ":response",
    ":log",
    ":target",
    ":emacs",
    ":shell",
    ":skill",
    ":payload",
    ":action",
    ":insert-at-end",
    ":buffer",
    ":text",
    ":cmd",
    ":name",
    "*org-agent-chat*",
    " :",
    " (:",
    " \"",
    "))",
    "ls",
    "-la",
    "the",
    "an",
    "er",
    "in",
    "* ",
    "\\n",
    "\\\"",
    "é",
    "漢字",
];

const TEMPLATE: &str = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}\
                        {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// What the model has a habit of saying.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// Anything; its strings end after some ten tokens.
    Brief,
    /// A text that never ends.
    Endless,
}

impl Habit {
    /// What is added to the logit of a token that says this.
    fn bias(self, says: &str) -> f32 {
        match self {
            Self::Brief if says == "\"" => 3.0,
            // No quote ends a string. And without the others, where there is another way, the only one through the
            // grammar is a response without an explanation: :r, not :l; :res, not :req; :p, not :e.
            Self::Endless if says.contains(['"', 'l', 'q', 'e']) => NEVER,
            Self::Brief | Self::Endless => 0.0,
        }
    }
}

/// The bias of what is said only if there is nothing else.
const NEVER: f32 = -30.0;

struct Token {
    text: String,
    kind: i32,
    bias: f32,
}

/// The model's file.
pub fn model(seed: u64, habit: Habit) -> Vec<u8> {
    let tokens = vocabulary(habit);
    let mut file = File::default();
    describe(&mut file, &tokens);
    weigh(&mut file, &tokens, &mut Rng(seed));
    file.bytes()
}

fn vocabulary(habit: Habit) -> Vec<Token> {
    let control = CONTROL.iter().enumerate().map(|(number, text)| Token {
        text: (*text).into(),
        kind: if number == 0 { UNKNOWN } else { CONTROLLING },
        // To the grammar these are the characters of their names, but nothing of them is in the reply.
        bias: if number == END { 0.0 } else { NEVER },
    });
    let bytes = (0..=255_u8).map(|byte| Token {
        text: format!("<0x{byte:02X}>"),
        kind: BYTE,
        bias: habit.bias(&char::from(byte).to_string()),
    });
    let characters = (' '..='~').map(String::from);
    let pieces = characters.chain(PIECES.iter().map(|piece| (*piece).to_owned())).map(|piece| Token {
        text: piece.replace(' ', "\u{2581}"),
        kind: NORMAL,
        bias: habit.bias(&piece),
    });
    control.chain(bytes).chain(pieces).collect()
}

fn describe(file: &mut File, tokens: &[Token]) {
    let size = |number: usize| Value::U32(number as u32);
    file.set("general.architecture", &Value::Text("llama"));
    file.set("general.name", &Value::Text("tiny, random"));
    file.set("llama.context_length", &size(CONTEXT));
    file.set("llama.embedding_length", &size(EMBEDDING));
    file.set("llama.block_count", &size(LAYERS));
    file.set("llama.feed_forward_length", &size(FEED_FORWARD));
    file.set("llama.attention.head_count", &size(HEADS));
    file.set("llama.attention.head_count_kv", &size(HEADS));
    file.set("llama.attention.layer_norm_rms_epsilon", &Value::F32(1e-5));
    file.set("llama.rope.dimension_count", &size(EMBEDDING / HEADS));
    file.set("llama.vocab_size", &size(tokens.len()));
    let texts: Vec<String> = tokens.iter().map(|token| token.text.clone()).collect();
    let kinds: Vec<i32> = tokens.iter().map(|token| token.kind).collect();
    // The tokenizer joins what has the higher score first; nobody minds how a prompt is cut.
    let scores: Vec<f32> = (0..tokens.len()).map(|number| -(number as f32)).collect();
    file.set("tokenizer.ggml.model", &Value::Text("llama"));
    file.set("tokenizer.ggml.pre", &Value::Text("default"));
    file.set("tokenizer.ggml.tokens", &Value::Texts(&texts));
    file.set("tokenizer.ggml.scores", &Value::F32s(&scores));
    file.set("tokenizer.ggml.token_type", &Value::I32s(&kinds));
    file.set("tokenizer.ggml.unknown_token_id", &size(0));
    file.set("tokenizer.ggml.bos_token_id", &size(1));
    file.set("tokenizer.ggml.eos_token_id", &size(END));
    file.set("tokenizer.ggml.add_bos_token", &Value::Bool(true));
    file.set("tokenizer.ggml.add_space_prefix", &Value::Bool(false));
    file.set("tokenizer.chat_template", &Value::Text(TEMPLATE));
}

fn weigh(file: &mut File, tokens: &[Token], rng: &mut Rng) {
    let mut embedding = normal(rng, tokens.len() * EMBEDDING, 1.0);
    let mut output = normal(rng, tokens.len() * EMBEDDING, 0.15);
    for (row, token) in tokens.iter().enumerate() {
        embedding[row * EMBEDDING + CONSTANT] = LEVEL;
        output[row * EMBEDDING + CONSTANT] = token.bias / NORMALISED;
    }
    file.tensor("token_embd.weight", &[EMBEDDING, tokens.len()], &embedding);
    file.tensor("output_norm.weight", &[EMBEDDING], &[1.0; EMBEDDING]);
    file.tensor("output.weight", &[EMBEDDING, tokens.len()], &output);
    for layer in 0..LAYERS {
        for norm in ["attn_norm", "ffn_norm"] {
            file.tensor(&format!("blk.{layer}.{norm}.weight"), &[EMBEDDING], &[1.0; EMBEDDING]);
        }
        let matrices = [
            ("attn_q", EMBEDDING, EMBEDDING),
            ("attn_k", EMBEDDING, EMBEDDING),
            ("attn_v", EMBEDDING, EMBEDDING),
            ("attn_output", EMBEDDING, EMBEDDING),
            ("ffn_gate", EMBEDDING, FEED_FORWARD),
            ("ffn_up", EMBEDDING, FEED_FORWARD),
            ("ffn_down", FEED_FORWARD, EMBEDDING),
        ];
        for (name, from, to) in matrices {
            let mut numbers = normal(rng, from * to, 0.2);
            if matches!(name, "attn_output" | "ffn_down") {
                numbers[CONSTANT * from..(CONSTANT + 1) * from].fill(0.0);
            }
            file.tensor(&format!("blk.{layer}.{name}.weight"), &[from, to], &numbers);
        }
    }
}

/// Normally distributed numbers, nearly: the sum of twelve uniform ones.
fn normal(rng: &mut Rng, count: usize, spread: f32) -> Vec<f32> {
    let mut uniform = || rng.below(1 << 20) as f32 / (1 << 20) as f32;
    (0..count).map(|_| spread * ((0..12).map(|_| uniform()).sum::<f32>() - 6.0)).collect()
}
