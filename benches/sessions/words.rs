//! Texts like those of a chat, as far as an index cares: few words that are everywhere, many that are rare.
//! The same seed gives the same texts. It knows nothing of sessions.

use std::fmt::Write;

/// How many different words there are, besides those of [`MARKS`].
const VOCABULARY: usize = 50_000;

/// Words with a known share, in thousandths of all texts. The two of [`APART`] are never in one text.
const MARKS: [(&str, u64); 2] = [("the", 600), ("error", 100)];

/// One of these is in each tenth text: the first in even ones, the second in odd ones.
const APART: [&str; 2] = ["evenly", "oddly"];

/// A word that about one text in this many has.
const RARE: (&str, u64) = ("needle", 10_000);

/// A source of numbers that look random.
pub struct Dice(u64);

impl Dice {
    /// The same seed, which must not be 0, gives the same numbers.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Less than `bound`.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// From 0 to less than 1.
    pub fn share(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Looks like an identifier.
    pub fn id(&mut self) -> String {
        format!("{:016x}{:016x}", self.roll(), self.roll())
    }
}

/// What texts are made of: word N is N times as rare as the first.
pub struct Words {
    words: Vec<String>,
    sums: Vec<f64>,
    texts: usize,
}

impl Words {
    /// All words.
    pub fn new() -> Self {
        let mut sum = 0.0;
        let weight = |rank: usize| {
            sum += 1.0 / (rank + 1) as f64;
            sum
        };
        Self {
            words: (0..VOCABULARY).map(word).collect(),
            sums: (0..VOCABULARY).map(weight).collect(),
            texts: 0,
        }
    }

    /// The next text: 5 to 200 words, short ones more often.
    pub fn text(&mut self, dice: &mut Dice) -> String {
        let count = (5.0 * 40_f64.powf(dice.share())) as usize;
        let mut extra: Vec<&str> =
            MARKS.iter().filter(|(_, share)| dice.below(1_000) < *share).map(|(word, _)| *word).collect();
        if dice.below(10) == 0 {
            extra.push(APART[self.texts % 2]);
        }
        if dice.below(RARE.1) == 0 {
            extra.push(RARE.0);
        }
        self.texts += 1;
        let mut text = String::new();
        for place in 0..count {
            // What is left of the extra words is spread over what is left of the text.
            let left = count - place;
            if !extra.is_empty() && dice.below(left as u64) < extra.len() as u64 {
                text.push_str(extra.swap_remove(dice.below(extra.len() as u64) as usize));
                text.push(' ');
            }
            let sum = dice.share() * self.sums[VOCABULARY - 1];
            let rank = self.sums.partition_point(|other| *other < sum).min(VOCABULARY - 1);
            let end = if place + 1 == count { "." } else { " " };
            write!(text, "{}{end}", self.words[rank]).unwrap();
        }
        text
    }
}

/// The word at `rank`: every rank has another one, and one can say it.
fn word(rank: usize) -> String {
    const CONSONANTS: [char; 16] =
        ['b', 'c', 'd', 'f', 'g', 'h', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'z'];
    const VOWELS: [char; 5] = ['a', 'e', 'i', 'o', 'u'];
    let mut word = String::new();
    let mut rest = rank;
    loop {
        word.push(CONSONANTS[rest % 16]);
        word.push(VOWELS[rest / 16 % 5]);
        rest /= 80;
        if rest == 0 {
            return word;
        }
        rest -= 1;
    }
}
