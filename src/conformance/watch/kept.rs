//! A map that forgets the oldest.

use std::collections::{HashMap, VecDeque};

use crate::ids::hex;
use sha2::{Digest, Sha256};

/// The most that is kept: of what waits for an answer there is not more, and of turns and actions few are open.
const MOST: usize = 8_192;
/// The longest identifier.
const LONGEST: usize = 256;

/// Values by identifier, in the order in which they came.
#[derive(Debug)]
pub(super) struct Kept<T> {
    values: HashMap<String, (u64, T)>,
    order: VecDeque<(u64, String)>,
    count: u64,
    /// Whether anything was forgotten.
    pub(super) forgot: bool,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { values: HashMap::new(), order: VecDeque::new(), count: 0, forgot: false }
    }
}

impl<T> Kept<T> {
    pub(super) fn put(&mut self, id: String, value: T) {
        self.count += 1;
        self.order.push_back((self.count, id.clone()));
        self.values.insert(id, (self.count, value));
        while self.values.len() > MOST {
            self.forgot |= self.drop_oldest();
        }
        // What was taken or put again leaves its place in the order behind.
        while self.order.len() > 2 * MOST {
            self.forgot |= self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let Some((count, id)) = self.order.pop_front() else { return false };
        let current = self.values.get(&id).is_some_and(|(at, _)| *at == count);
        if current {
            self.values.remove(&id);
        }
        current
    }

    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.values.get(id).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.values.get_mut(id).map(|(_, value)| value)
    }

    pub(super) fn take(&mut self, id: &str) -> Option<T> {
        let taken = self.values.remove(id).map(|(_, value)| value);
        while let Some((count, id)) = self.order.front()
            && self.values.get(id).is_none_or(|(at, _)| at != count)
        {
            self.order.pop_front();
        }
        taken
    }

    /// The one that has been there longest.
    pub(super) fn oldest(&self) -> Option<(&str, &T)> {
        self.order.iter().find_map(|(count, id)| {
            let (at, value) = self.values.get(id)?;
            (at == count).then_some((id.as_str(), value))
        })
    }

    /// All, in the order in which they came.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &T)> {
        self.order.iter().filter_map(|(count, id)| {
            let (at, value) = self.values.get(id)?;
            (at == count).then_some((id.as_str(), value))
        })
    }
}

/// An identifier as it is kept: a hash stands for one that is too long to be one.
pub(super) fn key(id: &str) -> String {
    if id.len() <= LONGEST { id.to_owned() } else { hex(&Sha256::digest(id.as_bytes())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_and_the_place_of_what_was_taken_is_free() {
        let mut kept = Kept::default();
        for at in 0..10 * MOST {
            kept.put(format!("{at}"), at);
            kept.take(&format!("{at}"));
        }
        assert!(!kept.forgot && kept.oldest().is_none() && kept.order.is_empty());
        kept.put("first".into(), 0);
        for at in 0..10 * MOST {
            kept.put("again".into(), at);
            kept.put(format!("{at}"), at);
            kept.take(&format!("{at}"));
        }
        assert!(kept.order.len() <= 2 * MOST + 1, "{}", kept.order.len());
        for at in 0..=MOST {
            kept.put(format!("{at}"), at);
        }
        assert!(kept.forgot && kept.get("first").is_none() && kept.get("1").is_some());
        assert_eq!(kept.all().count(), MOST);
        assert_eq!(key("x"), "x");
        assert_eq!(key(&"x".repeat(257)).len(), 64);
    }
}
