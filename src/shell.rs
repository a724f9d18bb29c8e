//! Shell commands, judged by what they are and not by how they begin.
//!
//! A command is parsed (`script`, `literal`); what is plainly destructive is denied (`danger`), what is known
//! only to read inside the workspace is allowed (`tools`, `place`), people's own rules decide beside that
//! (`rules`), and everything else is asked (`judge`). `docs/security.md` says what holds and what does not.

mod danger;
mod judge;
mod literal;
mod place;
mod rules;
mod script;
mod tools;

pub use judge::{Verdict, judge};
pub use place::{Place, by_text, on_disk};
pub use rules::{Rule, Source, check_count};
pub use script::{MAX_BYTES, Op, Script, Seen, Step, parse};
