//! Identifiers: opaque strings, each with a type of its own so that they cannot be mixed up.
//!
//! Random identifiers are UUIDs, because Org users expect that shape in an `:ID:` property. Those of sessions are of version
//! 4, so that people can name one by its beginning; those of turns and actions, of which there are many, of version 7: what
//! was made together stands together in an index. An [`EventId`] is not random: it is the SHA-256 of the
//! event's canonical bytes (see `store::envelope`).

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The identifier as it stands on the wire and in the buffer.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                Self(value.to_owned())
            }
        }
    };
}

id! {
    /// A logged event: 64 lower-case hexadecimal digits, the SHA-256 of its canonical bytes.
    EventId
}
id! {
    /// A chat session.
    SessionId
}
id! {
    /// One turn: a prompt and all that is done to answer it.
    TurnId
}
id! {
    /// One action that left for an editor.
    ActuationId
}

impl SessionId {
    /// A fresh random identifier. The operating system's generator is its only source.
    pub fn random() -> Result<Self, getrandom::Error> {
        uuid().map(Self)
    }
}

impl TurnId {
    /// A fresh random identifier.
    pub fn random() -> Result<Self, getrandom::Error> {
        ordered_uuid().map(Self)
    }
}

impl ActuationId {
    /// A fresh random identifier.
    pub fn random() -> Result<Self, getrandom::Error> {
        ordered_uuid().map(Self)
    }
}

/// A random token: 32 hexadecimal digits.
pub fn token() -> Result<String, getrandom::Error> {
    Ok(hex(&random_bytes()?))
}

/// Lower-case hexadecimal digits of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn random_bytes() -> Result<[u8; 16], getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// A fresh random version 4 UUID (RFC 9562, section 5.4).
pub fn uuid() -> Result<String, getrandom::Error> {
    random_bytes().map(|bytes| shaped(bytes, 4))
}

/// A fresh version 7 UUID (RFC 9562, section 5.7): the time in milliseconds, then 74 random bits.
fn ordered_uuid() -> Result<String, getrandom::Error> {
    let mut bytes = random_bytes()?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).to_be_bytes();
    bytes[..6].copy_from_slice(&millis[2..]);
    Ok(shaped(bytes, 7))
}

/// Bytes as a UUID of this version.
fn shaped(mut bytes: [u8; 16], version: u8) -> String {
    bytes[6] = (bytes[6] & 0x0f) | version << 4;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let digits = hex(&bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_are_uuids_and_differ() {
        let ids = || [SessionId::random().unwrap().0, TurnId::random().unwrap().0];
        let (first, second) = (ids(), ids());
        for (at, version) in [(0, b'4'), (1, b'7')] {
            assert_ne!(first[at], second[at]);
            let parts: Vec<usize> = first[at].split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12]);
            assert_eq!(first[at].as_bytes()[14], version);
            assert!(matches!(first[at].as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        }
        // Of the later one the beginning is not less.
        assert!(first[1][..13] <= second[1][..13]);
    }
}
