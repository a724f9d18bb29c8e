//! The envelope of a logged event: identity, order and signature. It knows nothing of databases, and of
//! the body only that it is a JSON text.
//!
//! **Canonical bytes.** One JSON array of ten values, without blanks, in UTF-8:
//!
//! ```text
//! ["org-agent-event-1",type,version,session,seq,prev,lamport,author,time,body]
//! ```
//!
//! `version`, `seq`, `lamport` and `time` are whole numbers, the others strings, written as RFC 8785 writes
//! them: only `"`, `\` and the C0 controls are escaped, as `\" \\ \b \t \n \f \r` or else `\u00xx` in lower
//! case. `body` is a string that holds the JSON text of the record: its bytes are what counts, so nobody has
//! to print JSON again to check an event.
//!
//! **Identity** is the SHA-256 of the canonical bytes as 64 lower-case hexadecimal digits. **Order**: `seq`
//! counts a session's events from 1, `prev` is the identity of the one before (empty for the first), and
//! `lamport` is greater than that of every event the author knew. **Author** is an ed25519 public key,
//! **signature** that key's signature over the 32 bytes of the SHA-256; both are lower-case hexadecimal.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::ids::{EventId, SessionId, hex};
use crate::record::Record;

/// The first value of the canonical array: the purpose of the hash and the version of its layout.
const LAYOUT: &str = "org-agent-event-1";

/// A logged event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The SHA-256 of the canonical bytes.
    pub id: EventId,
    /// The session it belongs to.
    pub session: SessionId,
    /// Its number within the session, from 1.
    pub seq: u64,
    /// The identity of the session's previous event; empty for the first.
    pub prev: String,
    /// The Lamport time.
    pub lamport: u64,
    /// The author's public key, 64 hexadecimal digits.
    pub author: String,
    /// The event type.
    pub kind: String,
    /// The version of the event type's shape.
    pub version: u32,
    /// Unix time in milliseconds.
    pub time: u64,
    /// The record as JSON.
    pub body: String,
    /// The author's signature, 128 hexadecimal digits.
    pub signature: String,
}

/// Where a new event stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub session: &'a SessionId,
    pub seq: u64,
    pub prev: &'a str,
    pub lamport: u64,
    pub time: u64,
}

impl Envelope {
    /// The final envelope of `record` at `place`, signed with `key`.
    ///
    /// # Errors
    /// A record that is no JSON, which no record can be.
    pub(super) fn seal(record: &Record, place: Place<'_>, key: &SigningKey) -> serde_json::Result<Self> {
        let mut event = Self {
            id: EventId(String::new()),
            session: place.session.clone(),
            seq: place.seq,
            prev: place.prev.to_owned(),
            lamport: place.lamport,
            author: hex(key.verifying_key().as_bytes()),
            kind: record.kind().to_owned(),
            version: record.version(),
            time: place.time,
            body: serde_json::to_string(record)?,
            signature: String::new(),
        };
        let hash = event.hash()?;
        event.id = EventId(hex(&hash));
        event.signature = hex(&key.sign(&hash).to_bytes());
        Ok(event)
    }

    /// What is wrong with this event by itself: identity and signature. Its place in the chain is the
    /// business of `store::check`.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let Ok(hash) = self.hash() else { return Some("it has no canonical bytes") };
        if self.id.as_str() != hex(&hash) {
            // What was signed is not here any more, so there is nothing to check a signature against.
            return Some("its id is not the hash of its content");
        }
        let signed = || {
            let author = VerifyingKey::from_bytes(&unhex(&self.author)?).ok()?;
            author.verify_strict(&hash, &Signature::from_bytes(&unhex(&self.signature)?)).ok()
        };
        if signed().is_some() { None } else { Some("its signature is not the author's") }
    }

    /// The bytes that identity and signature stand for.
    ///
    /// # Errors
    /// None in practice: strings and numbers always have a JSON form.
    pub fn canonical(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&(
            LAYOUT,
            &self.kind,
            self.version,
            &self.session,
            self.seq,
            &self.prev,
            self.lamport,
            &self.author,
            self.time,
            &self.body,
        ))
    }

    fn hash(&self) -> serde_json::Result<[u8; 32]> {
        Ok(Sha256::digest(self.canonical()?).into())
    }
}

/// The SHA-256 of `text`, 64 lower-case hexadecimal digits.
#[must_use]
pub fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// Exactly `N` bytes from lower-case hexadecimal digits: one spelling only, so that no digit can be changed
/// unseen.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Envelope {
        let record = Record::SessionCreated {
            user: "Ünsal".into(),
            title: "a \"b\"\u{1}\n\\".into(),
            buffer: "*org-agent-chat*".into(),
        };
        let session = "s-1".into();
        let place = Place { session: &session, seq: 7, prev: "", lamport: 9, time: 1_700_000_000_000 };
        Envelope::seal(&record, place, &SigningKey::from_bytes(&[7; 32])).unwrap()
    }

    #[test]
    fn canonical_bytes_are_what_the_documentation_says() {
        let event = sealed();
        let expected = concat!(
            r#"["org-agent-event-1","chat.session.created",1,"s-1",7,"",9,"#,
            r#""ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c",1700000000000,"#,
            r#""{\"type\":\"chat.session.created\",\"user\":\"Ünsal\",\"title\":\"a \\\"b\\\"\\u0001\\n\\\\\","#,
            r#"\"buffer\":\"*org-agent-chat*\"}"]"#,
        );
        assert_eq!(String::from_utf8(event.canonical().unwrap()).unwrap(), expected);
        assert_eq!(event.id.as_str(), sha256(expected));
        assert_eq!(event.problem(), None);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let event = sealed();
        let mut flips = 0;
        type Field<T> = fn(&mut Envelope) -> &mut T;
        let texts: [(Field<String>, &str); 7] = [
            (|e| &mut e.id.0, "id"),
            (|e| &mut e.session.0, "session"),
            (|e| &mut e.prev, "prev"),
            (|e| &mut e.author, "author"),
            (|e| &mut e.kind, "kind"),
            (|e| &mut e.body, "body"),
            (|e| &mut e.signature, "signature"),
        ];
        for (field, name) in texts {
            let length = field(&mut event.clone()).len();
            for bit in 0..length * 8 {
                let mut changed = event.clone();
                let mut bytes = std::mem::take(field(&mut changed)).into_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                // What is not UTF-8 any more cannot be read from a text column at all.
                let Ok(text) = String::from_utf8(bytes) else { continue };
                *field(&mut changed) = text;
                assert_ne!(changed.problem(), None, "bit {bit} of {name}");
                flips += 1;
            }
        }
        for bit in 0..64 {
            for (field, name) in [
                ((|e| &mut e.seq) as Field<u64>, "seq"),
                (|e| &mut e.lamport, "lamport"),
                (|e| &mut e.time, "time"),
            ] {
                let mut changed = event.clone();
                *field(&mut changed) ^= 1 << bit;
                assert_ne!(changed.problem(), None, "bit {bit} of {name}");
            }
            let mut changed = event.clone();
            changed.version ^= 1 << (bit % 32);
            assert_ne!(changed.problem(), None, "bit {bit} of version");
        }
        assert!(flips > 2_000, "{flips}");
    }
}
