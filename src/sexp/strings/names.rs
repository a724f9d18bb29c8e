//! The buffer names that a string may be, compared with it as it comes.

use super::is_control;
use crate::action::CHAT_BUFFER;

/// The allowed buffer names, compared with a string that is being read.
#[derive(Debug)]
pub(super) struct Names {
    /// Beside the name that always means this session.
    own: Option<Box<str>>,
    /// Which of them have the string as a prefix so far.
    alive: [bool; 2],
    /// The bytes of the string so far.
    at: usize,
}

impl Names {
    pub(super) fn new(buffer: &str) -> Self {
        // A name with a control character can not be written in this grammar, so it is no choice.
        let own = buffer != CHAT_BUFFER && !buffer.chars().any(|c| is_control(u32::from(c)));
        Self { own: own.then(|| buffer.into()), alive: [true; 2], at: 0 }
    }

    /// Takes a whole string, if it is one of the names; whether it is.
    pub(super) fn take(&mut self, string: &str) -> bool {
        let mut same = self.all().map(|name| name == string);
        let alive = [same.next() == Some(true), same.next() == Some(true)];
        drop(same);
        let any = alive != [false; 2];
        if any {
            (self.alive, self.at) = (alive, string.len());
        }
        any
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(CHAT_BUFFER).chain(self.own.as_deref())
    }

    pub(super) fn restart(&mut self) {
        self.alive = [true; 2];
        self.at = 0;
    }

    /// What is left of the names that are still possible; with whose.
    fn rest(&self) -> impl Iterator<Item = (usize, &str)> {
        let alive = self.all().enumerate().filter(|(which, _)| self.alive[*which]);
        alive.filter_map(|(which, name)| Some((which, name.get(self.at..)?)))
    }

    /// Appends `bytes`; returns the position of the first that no name has, if there is one.
    pub(super) fn differ(&mut self, bytes: &[u8]) -> Option<usize> {
        for (position, byte) in bytes.iter().enumerate() {
            let mut any = false;
            let names = std::iter::once(CHAT_BUFFER).chain(self.own.as_deref());
            for (name, alive) in names.zip(&mut self.alive) {
                *alive = *alive && name.as_bytes().get(self.at) == Some(byte);
                any |= *alive;
            }
            if !any {
                return Some(position);
            }
            self.at += 1;
        }
        None
    }

    /// Whether some name goes on.
    pub(super) fn more(&self) -> bool {
        self.rest().any(|(_, rest)| !rest.is_empty())
    }

    /// Whether the string is one of the names.
    pub(super) fn complete(&self) -> bool {
        self.rest().any(|(_, rest)| rest.is_empty())
    }

    /// Whether some name goes on with a character whose UTF-16 unit, the `second` or else the first, is in
    /// `least..=most`. Names for which it is not are ruled out.
    pub(super) fn unit(&mut self, least: u32, most: u32, second: bool) -> bool {
        let mut alive = [false; 2];
        for (which, rest) in self.rest() {
            let mut units = [0; 2];
            let units = rest.chars().next().map(|c| c.encode_utf16(&mut units));
            let unit = units.and_then(|units| units.get(usize::from(second)).copied());
            alive[which] = unit.is_some_and(|unit| (least..=most).contains(&u32::from(unit)));
        }
        self.alive = alive;
        alive != [false; 2]
    }
}
