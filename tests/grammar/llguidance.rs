//! llguidance, one byte a token: what it accepts, and what it generates.

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::ApproximateTokEnv;
use llguidance::{Matcher, ParserFactory};

use crate::actions::Tape;

/// A grammar that was compiled.
pub struct Engine(Matcher);

impl Engine {
    pub fn new(grammar: TopLevelGrammar) -> Self {
        let mut factory = ParserFactory::new_simple(&ApproximateTokEnv::single_byte_env()).unwrap();
        factory.quiet();
        let mut matcher = Matcher::new(factory.create_parser(grammar));
        assert_eq!(matcher.get_error(), None);
        assert_eq!(matcher.grammar_warnings(), Vec::<String>::new());
        Self(matcher)
    }

    /// Whether it takes every byte and may stop then.
    pub fn accepts(&self, reply: &[u8]) -> bool {
        let mut matcher = self.0.deep_clone();
        let tokens: Vec<u32> = reply.iter().map(|byte| u32::from(*byte)).collect();
        let taken = matcher.try_consume_tokens(&tokens).unwrap();
        let whole = taken == tokens.len() && is_complete(&mut matcher);
        assert_eq!(matcher.get_error(), None);
        whole
    }

    /// Takes one of the tokens that the grammar allows until it allows no more.
    pub fn walk(&self, tape: &mut Tape) -> Vec<u8> {
        let mut matcher = self.0.deep_clone();
        let mut reply = Vec::new();
        while !matcher.is_stopped() {
            let mask = matcher.compute_mask_or_eos().unwrap();
            let bytes: Vec<u8> = (0..=255).filter(|byte| mask.is_allowed(u32::from(*byte))).collect();
            if bytes.is_empty() || tape.below(2) == 1 && matcher.is_accepting().unwrap() {
                break;
            }
            let byte = tape.choose(&bytes);
            matcher.consume_token(u32::from(byte)).unwrap();
            reply.push(byte);
        }
        assert!(is_complete(&mut matcher), "{}", String::from_utf8_lossy(&reply));
        reply
    }
}

fn is_complete(matcher: &mut Matcher) -> bool {
    if matcher.is_stopped() { !matcher.is_error() } else { matcher.is_accepting().unwrap() }
}
