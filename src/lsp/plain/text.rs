//! An open document: its text as the editor has it, positions in it, and anchors that survive the user's edits.
//!
//! Lines end as LSP says: at `\n`, `\r\n` or `\r`, and nowhere else. What an editor sends is not trusted: a position
//! behind the end of its line or of the text is taken for that end, one inside a character for its beginning, and a
//! range whose end stands before its start is turned round. A change costs time for what it replaces, not for the
//! whole text.
//!
//! A text over [`MAX_BYTES`] is not kept. The document is then too large until it is sent whole again.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use ropey::{Rope, RopeSlice};
use tower_lsp_server::ls_types::{self, Position, PositionEncodingKind, TextDocumentContentChangeEvent};

/// The most bytes of a document.
pub const MAX_BYTES: usize = 16 << 20;

/// What a document is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// Org.
    Org,
    /// Markdown.
    Markdown,
}

impl Language {
    /// The language of a document: by what the editor calls it, else by the ending of its name.
    #[must_use]
    pub fn of(language_id: &str, uri: &str) -> Option<Self> {
        match language_id.trim().to_ascii_lowercase().as_str() {
            "org" | "orgmode" | "org-mode" => return Some(Self::Org),
            "markdown" | "md" | "gfm" | "rmarkdown" | "quarto" => return Some(Self::Markdown),
            _ => {}
        }
        let path = uri.split(['?', '#']).next().unwrap_or_default();
        let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "org" => Some(Self::Org),
            "md" | "markdown" | "mdown" | "mkd" | "mkdn" => Some(Self::Markdown),
            _ => None,
        }
    }
}

/// What the column of a position counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// UTF-16 code units: what holds if nothing was agreed on.
    #[default]
    Utf16,
    /// Characters.
    Utf32,
}

impl Encoding {
    /// The encoding for a client that can do `offered`: UTF-8, as nothing has to be counted for it, else what the
    /// client likes best. UTF-16 if it says nothing or nothing known.
    #[must_use]
    pub fn negotiate(offered: Option<&[PositionEncodingKind]>) -> Self {
        let mut known = offered.unwrap_or_default().iter().filter_map(|kind| match kind.as_str() {
            "utf-8" => Some(Self::Utf8),
            "utf-16" => Some(Self::Utf16),
            "utf-32" => Some(Self::Utf32),
            _ => None,
        });
        let first = known.next();
        if known.any(|encoding| encoding == Self::Utf8) { Self::Utf8 } else { first.unwrap_or_default() }
    }

    /// Its name in the protocol.
    #[must_use]
    pub const fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
            Self::Utf32 => PositionEncodingKind::UTF32,
        }
    }
}

/// The document is over [`MAX_BYTES`], so nothing is known of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// How many bytes it had.
    pub bytes: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the document has {} bytes, and at most {MAX_BYTES} are read; move the chat into a smaller file, \
             or make this one smaller and open it again",
            self.bytes
        )
    }
}

impl std::error::Error for TooLarge {}

/// To which side an anchor goes if text is put in exactly where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// It stays before the new text.
    Before,
    /// It goes behind the new text.
    Behind,
}

/// An anchor's name. Never given twice in one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnchorId(u64);

/// Where an anchor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The byte.
    pub offset: usize,
    /// Its side.
    pub gravity: Gravity,
    /// Whether the text around it was deleted or replaced: it stands where that text began.
    pub lost: bool,
}

/// An open document.
#[derive(Clone, Debug)]
pub struct Document {
    uri: String,
    language: Option<Language>,
    version: i32,
    encoding: Encoding,
    text: Result<Rope, TooLarge>,
    anchors: BTreeMap<AnchorId, Anchor>,
    next: u64,
}

impl Document {
    /// The document as `textDocument/didOpen` gave it.
    #[must_use]
    pub fn open(uri: &str, language_id: &str, version: i32, text: &str, encoding: Encoding) -> Self {
        Self {
            uri: uri.to_owned(),
            language: Language::of(language_id, uri),
            version,
            encoding,
            text: bounded(text),
            anchors: BTreeMap::new(),
            next: 0,
        }
    }

    /// Its URI, as the editor writes it.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// What it is written in; nothing if that is neither Org nor Markdown.
    #[must_use]
    pub const fn language(&self) -> Option<Language> {
        self.language
    }

    /// The version that the editor counts.
    #[must_use]
    pub const fn version(&self) -> i32 {
        self.version
    }

    /// The whole text, copied.
    ///
    /// # Errors
    /// If the document is too large.
    pub fn text(&self) -> Result<String, TooLarge> {
        Ok(self.rope()?.to_string())
    }

    /// How many bytes the text has.
    ///
    /// # Errors
    /// If the document is too large.
    pub fn size(&self) -> Result<usize, TooLarge> {
        Ok(self.rope()?.len_bytes())
    }

    /// Makes the changes of `textDocument/didChange`, one after the other. After it the document has this version.
    pub fn change(&mut self, version: i32, changes: &[TextDocumentContentChangeEvent]) {
        self.version = version;
        for change in changes {
            match change.range {
                Some(range) => {
                    let Ok(rope) = &self.text else { continue };
                    let (a, b) =
                        (offset(rope, range.start, self.encoding), offset(rope, range.end, self.encoding));
                    self.replace(a.min(b)..a.max(b), &change.text);
                }
                None => match &self.text {
                    Ok(rope) => self.replace(0..rope.len_bytes(), &change.text),
                    Err(_) => self.text = bounded(&change.text),
                },
            }
        }
    }

    /// The byte at a position. Behind the end of a line or of the text: that end; inside a character: its beginning.
    ///
    /// # Errors
    /// If the document is too large.
    pub fn offset(&self, position: Position) -> Result<usize, TooLarge> {
        Ok(offset(self.rope()?, position, self.encoding))
    }

    /// The bytes of a range, turned round if its end stands before its start.
    ///
    /// # Errors
    /// If the document is too large.
    pub fn bytes(&self, range: ls_types::Range) -> Result<Range<usize>, TooLarge> {
        let (a, b) = (self.offset(range.start)?, self.offset(range.end)?);
        Ok(a.min(b)..a.max(b))
    }

    /// The position of a byte. Inside a character or a line's end: the beginning of that.
    ///
    /// # Errors
    /// If the document is too large.
    pub fn position(&self, offset: usize) -> Result<Position, TooLarge> {
        Ok(position(self.rope()?, offset, self.encoding))
    }

    /// The range of some bytes.
    ///
    /// # Errors
    /// If the document is too large.
    pub fn range(&self, bytes: Range<usize>) -> Result<ls_types::Range, TooLarge> {
        Ok(ls_types::Range::new(self.position(bytes.start)?, self.position(bytes.end)?))
    }

    /// Puts an anchor at a byte; behind the text's end, or inside a character, where [`Document::position`] would.
    pub fn anchor(&mut self, offset: usize, gravity: Gravity) -> AnchorId {
        let offset = self.text.as_ref().map_or(offset, |rope| floor(rope, offset));
        let id = AnchorId(self.next);
        self.next += 1;
        self.anchors.insert(id, Anchor { offset, gravity, lost: self.text.is_err() });
        id
    }

    /// Where an anchor stands. Nothing if it was released.
    #[must_use]
    pub fn at(&self, id: AnchorId) -> Option<Anchor> {
        self.anchors.get(&id).copied()
    }

    /// Forgets an anchor.
    pub fn release(&mut self, id: AnchorId) {
        self.anchors.remove(&id);
    }

    fn rope(&self) -> Result<&Rope, TooLarge> {
        self.text.as_ref().map_err(|large| *large)
    }

    /// Replaces bytes. What old and new text have in common at their ends counts as not replaced: editors send more
    /// than what changed, up to the whole text, and an anchor in it stays where it is.
    fn replace(&mut self, bytes: Range<usize>, new: &str) {
        let Ok(rope) = &mut self.text else { return };
        let old = rope.byte_slice(bytes.clone());
        let (head, tail) = common(old, new);
        let (start, end) = (bytes.start + head, bytes.end - tail);
        let new = &new[head..new.len() - tail];
        let size = rope.len_bytes() - (end - start) + new.len();
        if size > MAX_BYTES {
            self.text = Err(TooLarge { bytes: size });
            self.anchors.values_mut().for_each(|anchor| anchor.lost = true);
            return;
        }
        let at = rope.byte_to_char(start);
        rope.remove(at..rope.byte_to_char(end));
        rope.insert(at, new);
        for anchor in self.anchors.values_mut() {
            anchor.moved(start, end, new.len());
        }
    }
}

impl Anchor {
    /// Moves it as the bytes from `start` to `end` become `new` others.
    const fn moved(&mut self, start: usize, end: usize, new: usize) {
        let at = self.offset;
        if at > start && at < end {
            (self.offset, self.lost) = (start, true);
        } else if at > end || at == end && (start < end || matches!(self.gravity, Gravity::Behind)) {
            self.offset = at - (end - start) + new;
        }
    }
}

fn bounded(text: &str) -> Result<Rope, TooLarge> {
    if text.len() > MAX_BYTES { Err(TooLarge { bytes: text.len() }) } else { Ok(Rope::from_str(text)) }
}

/// How many bytes `old` and `new` have in common at their beginning, and how many of the rest at their end. Both are
/// bounds of characters.
fn common(old: RopeSlice<'_>, new: &str) -> (usize, usize) {
    let both = old.bytes().zip(new.bytes());
    let head = new.floor_char_boundary(both.take_while(|(a, b)| a == b).count());
    let most = old.len_bytes().min(new.len()) - head;
    let mut back = old.bytes_at(old.len_bytes());
    let mut tail = 0;
    for byte in new.bytes().rev().take(most) {
        if back.prev() != Some(byte) {
            break;
        }
        tail += 1;
    }
    (head, new.len() - new.ceil_char_boundary(new.len() - tail))
}

/// The beginning of the character at `offset`; the end of the text behind it.
fn floor(rope: &Rope, offset: usize) -> usize {
    rope.char_to_byte(rope.byte_to_char(offset.min(rope.len_bytes())))
}

/// The bytes of a line, without its end.
fn line(rope: &Rope, line: usize) -> Range<usize> {
    let start = rope.line_to_byte(line);
    let mut end = if line + 1 < rope.len_lines() { rope.line_to_byte(line + 1) } else { rope.len_bytes() };
    if line + 1 < rope.len_lines() {
        end -= 1;
        if end > start && rope.byte(end) == b'\n' && rope.byte(end - 1) == b'\r' {
            end -= 1;
        }
    }
    start..end
}

fn offset(rope: &Rope, position: Position, encoding: Encoding) -> usize {
    let (number, column) = (position.line as usize, position.character as usize);
    if number >= rope.len_lines() {
        return rope.len_bytes();
    }
    let line = line(rope, number);
    let most = line.len();
    let within = match encoding {
        Encoding::Utf8 => column.min(most),
        Encoding::Utf16 => {
            let slice = rope.byte_slice(line.clone());
            let units = slice.len_utf16_cu();
            slice.char_to_byte(slice.utf16_cu_to_char(column.min(units)))
        }
        Encoding::Utf32 => {
            let slice = rope.byte_slice(line.clone());
            slice.char_to_byte(column.min(slice.len_chars()))
        }
    };
    floor(rope, line.start + within)
}

fn position(rope: &Rope, offset: usize, encoding: Encoding) -> Position {
    let at = floor(rope, offset);
    let number = rope.byte_to_line(at);
    let line = line(rope, number);
    let at = at.min(line.end);
    let column = match encoding {
        Encoding::Utf8 => at - line.start,
        Encoding::Utf16 => rope.byte_slice(line.start..at).len_utf16_cu(),
        Encoding::Utf32 => rope.byte_slice(line.start..at).len_chars(),
    };
    Position::new(u32::try_from(number).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}
