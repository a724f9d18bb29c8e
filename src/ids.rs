//! Identifiers: opaque strings, each with a type of its own so that they cannot be mixed up.
//!
//! Random identifiers are 128 bits from the operating system, written as a version 4 UUID, because Org
//! users expect that shape in an `:ID:` property. An [`EventId`] is not random: it is the SHA-256 of the
//! event's canonical bytes (see `store::envelope`).

use std::fmt;

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
        uuid().map(Self)
    }
}

impl ActuationId {
    /// A fresh random identifier.
    pub fn random() -> Result<Self, getrandom::Error> {
        uuid().map(Self)
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
    let mut bytes = random_bytes()?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let digits = hex(&bytes);
    Ok([&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_are_version_4_uuids_and_differ() {
        let first = SessionId::random().unwrap();
        let second = SessionId::random().unwrap();
        assert_ne!(first, second);
        let parts: Vec<usize> = first.0.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(first.0.as_bytes()[14], b'4');
        assert!(matches!(first.0.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }
}
