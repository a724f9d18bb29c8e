//! The protocol as rules: what client and server owe each other, and two ways to find out whether they do.
//!
//! [`watch`] follows the messages between the two and says which rule of [`rules`] one of them breaks. [`check`] gives it
//! what was recorded; [`scripted`] is a server with a part to play, to which an editor's author points their client, and
//! gives it what that client does. The tests of the real server give it everything, too.

pub mod check;
pub mod message;
pub mod rules;
pub mod scripted;
pub mod shape;
pub mod watch;
