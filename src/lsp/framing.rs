//! Framing: bytes in, message bodies or faults out. A pure state machine; it knows no JSON and no I/O.
//!
//! A frame is a block of `Name: value` lines with one `Content-Length`, a blank line, and that many bytes.
//! Names match in any case, other headers are ignored, a bare LF ends a line too.
//!
//! After a fault the parser goes on at the next line that reads `Content-Length: …`, wherever it stands:
//! between frames, behind the rest of a broken one, or inside a body whose length was too long. That is
//! safe because such a line never stands in valid JSON: its end is a raw line feed, which JSON allows only
//! between tokens, and a string that contains `Content-Length:` has its closing quote before that.
//!
//! Invariants: at most [`MAX_HEADER`] + [`MAX_BODY`] bytes are held; each byte is looked at a bounded number
//! of times; how the input was cut changes nothing.

use memchr::memchr;

/// The most bytes a block of headers may have.
pub const MAX_HEADER: usize = 8 * 1024;

/// The most bytes a body may have.
pub const MAX_BODY: usize = 32 * 1024 * 1024;

const NAME: &[u8] = b"content-length:";

/// How much of a line's end is searched for a header: the name, blanks, a length and the line's end.
const WINDOW: usize = NAME.len() + 64;

/// What the parser found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A whole body.
    Body(Vec<u8>),
    /// Something that is no frame.
    Fault(Fault),
}

/// Why something is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Bytes between two frames that are no header.
    #[error("there is something between two frames that is no header")]
    Garbage,
    /// The header block has no length.
    #[error("the header has no Content-Length")]
    NoLength,
    /// The length is not a number.
    #[error("the Content-Length is not a number")]
    BadLength,
    /// The length is over [`MAX_BODY`].
    #[error("the Content-Length is over 33554432")]
    TooLong,
    /// A second length in one block.
    #[error("the header has two Content-Length lines")]
    TwoLengths,
    /// The header block is over [`MAX_HEADER`].
    #[error("the header is over 8192 bytes")]
    EndlessHeader,
    /// The body contains the header of the next frame.
    #[error("the Content-Length is longer than the message: the next header came before its end")]
    Overlong,
    /// The input ended inside a frame.
    #[error("the input ended inside a frame")]
    Cut,
}

/// The parser.
#[derive(Debug, Default)]
pub struct Framing {
    state: State,
    /// The unfinished line of a header or of skipped bytes, or the unfinished body.
    held: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// In a header block of `size` bytes so far.
    Header { size: usize, length: Option<usize> },
    /// Looking for the next header.
    Skip,
    /// In a body of this length.
    Body(usize),
}

impl Default for State {
    fn default() -> Self {
        Self::Header { size: 0, length: None }
    }
}

impl Framing {
    /// A parser at the start of its input.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes; gives what they complete to `found`, in order.
    pub fn push(&mut self, mut bytes: &[u8], mut found: impl FnMut(Found)) {
        while !bytes.is_empty() {
            let line = memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
            let room = match self.state {
                State::Header { size, .. } => MAX_HEADER - size,
                State::Skip => usize::MAX,
                State::Body(length) => length - self.held.len(),
            };
            let (now, later) = bytes.split_at(line.min(room));
            bytes = later;
            if self.held.capacity() - self.held.len() < now.len() {
                // Doubling, but never past what the state allows: a body's memory is its length.
                self.held.reserve_exact(now.len().max(self.held.len()).min(room));
            }
            self.held.extend_from_slice(now);
            let ended = now.ends_with(b"\n");
            match &mut self.state {
                State::Header { size, .. } => {
                    *size += now.len();
                    if ended {
                        self.header_line(&mut found);
                    }
                    if matches!(self.state, State::Header { size: MAX_HEADER, .. }) {
                        self.fault(Fault::EndlessHeader, &mut found);
                    }
                }
                State::Skip if ended => {
                    if let Some(at) = header_in(&self.held) {
                        self.restart(at, &mut found);
                    } else {
                        self.held.clear();
                    }
                }
                State::Skip => {
                    let old = self.held.len().saturating_sub(WINDOW);
                    self.held.drain(..old);
                }
                State::Body(length) => {
                    let complete = self.held.len() == *length;
                    if ended && let Some(at) = header_in(&self.held) {
                        found(Found::Fault(Fault::Overlong));
                        self.restart(at, &mut found);
                    } else if complete {
                        self.body_end(&mut found);
                    }
                }
            }
        }
    }

    /// Ends the input: a fault if it ended inside a frame.
    #[must_use]
    pub fn finish(self) -> Option<Fault> {
        match self.state {
            State::Header { size: 0, .. } | State::Skip => None,
            State::Header { .. } | State::Body(_) => Some(Fault::Cut),
        }
    }

    /// A whole line of a header block is held.
    fn header_line(&mut self, found: &mut impl FnMut(Found)) {
        let State::Header { size, length } = &mut self.state else { return };
        let line = self.held.trim_ascii_end();
        if line.is_empty() {
            match (*length, *size == self.held.len()) {
                (Some(length), _) => {
                    self.held.clear();
                    self.state = State::Body(length);
                    if length == 0 {
                        self.body_end(found);
                    }
                }
                // Blank lines between frames do no harm.
                (None, true) => self.next_frame(),
                (None, false) => self.fault(Fault::NoLength, found),
            }
            return;
        }
        let broken = match header(line) {
            Some((name, value)) if name.eq_ignore_ascii_case(&NAME[..NAME.len() - 1]) => {
                match (parse_length(value), *length) {
                    (_, Some(_)) => {
                        found(Found::Fault(Fault::TwoLengths));
                        return self.restart(0, found);
                    }
                    (Ok(parsed), None) => {
                        // Junk before this line must not make the block too long: the message is whole.
                        *size = self.held.len();
                        *length = Some(parsed);
                        return self.held.clear();
                    }
                    (Err(fault), None) => fault,
                }
            }
            // The rest of a message that was sent with too short a length can look like a header.
            Some(_) if header_in(&self.held).is_none() => return self.held.clear(),
            _ => Fault::Garbage,
        };
        match header_in(&self.held) {
            Some(at) if at > 0 => {
                found(Found::Fault(broken));
                self.restart(at, found);
            }
            _ => self.fault(broken, found),
        }
    }

    /// The header line that starts at `at` of what is held begins a new block.
    fn restart(&mut self, at: usize, found: &mut impl FnMut(Found)) {
        self.held.drain(..at);
        self.state = State::Header { size: self.held.len(), length: None };
        self.header_line(found);
    }

    /// The body is complete, unless it ends in the beginning of the next frame's header.
    fn body_end(&mut self, found: &mut impl FnMut(Found)) {
        if let Some(at) = header_begins_in(&self.held) {
            found(Found::Fault(Fault::Overlong));
            self.held.drain(..at);
            self.state = State::Header { size: self.held.len(), length: None };
        } else {
            found(Found::Body(std::mem::take(&mut self.held)));
            self.next_frame();
        }
    }

    fn next_frame(&mut self) {
        self.held = Vec::new();
        self.state = State::default();
    }

    fn fault(&mut self, fault: Fault, found: &mut impl FnMut(Found)) {
        found(Found::Fault(fault));
        let keep = if self.held.ends_with(b"\n") { 0 } else { self.held.len().min(WINDOW) };
        self.held.drain(..self.held.len() - keep);
        self.state = State::Skip;
    }
}

/// Splits `Name: value`; a name is letters, digits and a few signs.
fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (!name.is_empty() && name.iter().all(word)).then(|| (name, line[colon + 1..].trim_ascii()))
}

fn parse_length(digits: &[u8]) -> Result<usize, Fault> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Fault::BadLength);
    }
    let length = digits
        .iter()
        .fold(0usize, |sum, digit| sum.saturating_mul(10).saturating_add(usize::from(digit - b'0')));
    if length > MAX_BODY { Err(Fault::TooLong) } else { Ok(length) }
}

/// Where in `bytes`, which end in a line feed, a last line of the form `Content-Length: …` begins. What stands
/// before it on the line does not matter.
fn header_in(bytes: &[u8]) -> Option<usize> {
    let text = bytes.strip_suffix(b"\n")?;
    last_line(text).find(|&at| starts_with_name(&text[at..]))
}

/// Where in `bytes` an unfinished last line `Content-Length: …` begins, of which at least one byte is there.
fn header_begins_in(bytes: &[u8]) -> Option<usize> {
    last_line(bytes).find(|&at| {
        let rest = &bytes[at..];
        starts_with_name(rest) || NAME[..NAME.len().min(rest.len())].eq_ignore_ascii_case(rest)
    })
}

/// The places in the last line of `bytes`, from its end backwards, before which no quote was met.
fn last_line(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let from = bytes.len().saturating_sub(WINDOW);
    (from..bytes.len()).rev().take_while(|&at| !matches!(bytes[at], b'\n' | b'"'))
}

fn starts_with_name(bytes: &[u8]) -> bool {
    bytes.get(..NAME.len()).is_some_and(|start| start.eq_ignore_ascii_case(NAME))
}

#[cfg(test)]
mod tests;
