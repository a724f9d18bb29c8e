//! The buffer names that a string may be, compared with it byte by byte as it comes.

use super::is_control;
use crate::action::CHAT_BUFFER;

/// The allowed buffer names, compared with a string that is being read.
#[derive(Debug)]
pub(super) struct Names {
    names: Vec<Box<str>>,
    /// Which of them have the string as a prefix so far.
    alive: [bool; 2],
    /// The bytes of the string so far.
    at: usize,
}

impl Names {
    pub(super) fn new(buffer: &str) -> Self {
        let mut names = vec![Box::from(CHAT_BUFFER)];
        // A name with a control character can not be written in this grammar, so it is no choice.
        if buffer != CHAT_BUFFER && !buffer.chars().any(|c| is_control(u32::from(c))) {
            names.push(buffer.into());
        }
        Self { names, alive: [true; 2], at: 0 }
    }

    pub(super) fn restart(&mut self) {
        self.alive = [true; 2];
        self.at = 0;
    }

    /// What is left of the names that are still possible; with whose.
    fn rest(&self) -> impl Iterator<Item = (usize, &str)> {
        let alive = self.names.iter().enumerate().filter(|(which, _)| self.alive[*which]);
        alive.filter_map(|(which, name)| Some((which, name.get(self.at..)?)))
    }

    /// Appends `bytes`; returns the position of the first that no name has, if there is one.
    pub(super) fn differ(&mut self, bytes: &[u8]) -> Option<usize> {
        for (position, byte) in bytes.iter().enumerate() {
            let mut any = false;
            for (name, alive) in self.names.iter().zip(&mut self.alive) {
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
