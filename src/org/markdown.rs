//! Org text that went through the contract, as Markdown: CommonMark with the tables, boxes and strikes of GitHub.
//!
//! The text is read line by line. What contains lines, a list's item or a quote, stands on a stack; what it does to
//! the lines in it is a prefix. Between two blocks there is always a blank line, so that none can be read as a part of
//! the other; inside a line, what Markdown would act on has a backslash.
//!
//! A text that did not go through the contract is rendered as well, and as harmless. What only Org would act on is then
//! text.

mod growing;
mod inline;
mod read;

use std::borrow::Cow;

use super::blocks::Kind;
use super::languages;
pub use growing::Growing;
use inline::Place;
use read::{Item, begin_of, caption, end_of, fixed, heading, is_rule, without_comma};

const BLANKS: [char; 2] = [' ', '\t'];

/// The deepest level of a heading.
const DEEPEST: usize = 6;

/// The widest prefix of a line. What would stand deeper stands here: so a short line cannot become a long one, time
/// after time.
const WIDEST: usize = 40;

/// `text`, which is what [`apply`](super::apply) gave, as Markdown that stands under a heading of `level`.
///
/// The first heading decides by how much all are moved, as in the contract, and all stand below `level`. Where
/// Markdown has no level left, a heading is a bold line.
#[must_use]
pub fn markdown(text: &str, level: usize) -> String {
    let mut writer = Writer::new(level, text.len());
    writer.lines(text);
    writer.finish()
}

/// A fence for `code`: longer than any row of backticks in it.
#[must_use]
pub fn fence(code: &str) -> String {
    fence_of(longest_ticks(code))
}

fn fence_of(longest: usize) -> String {
    "`".repeat(longest.max(2) + 1)
}

fn longest_ticks(code: &str) -> usize {
    code.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// What contains lines.
#[derive(Clone, Debug)]
enum Container {
    /// An item of a list: where its bullet stands in Org, and as many blanks as its own prefix has here.
    Item {
        indent: usize,
        width: usize,
        is_ordered: bool,
    },
    Block(Kind),
}

impl Container {
    fn is_block(&self, kind: Kind) -> bool {
        matches!(self, Self::Block(own) if *own == kind)
    }
}

/// What the last line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Blank,
    /// A paragraph's, or an item without text.
    Text,
    Other,
}

#[derive(Clone, Debug)]
struct Writer {
    out: String,
    level: usize,
    /// What is added to every heading's level, once the first was seen.
    shift: Option<usize>,
    containers: Vec<Container>,
    /// The bullet of the innermost item, until its first line is written.
    bullet: Option<String>,
    last: Last,
    /// Something that contained the last line ended behind it.
    left: bool,
    /// The last line is to end where it does, if the paragraph goes on.
    breaks: bool,
    /// Blank lines just above.
    blanks: usize,
}

impl Writer {
    fn new(level: usize, length: usize) -> Self {
        Self {
            out: String::with_capacity(length + length / 8),
            level,
            shift: None,
            containers: Vec::new(),
            bullet: None,
            last: Last::Blank,
            left: false,
            breaks: false,
            blanks: 0,
        }
    }

    fn finish(mut self) -> String {
        self.leave(0);
        self.out.truncate(self.out.trim_end_matches('\n').len());
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out
    }

    fn lines(&mut self, text: &str) {
        // To Markdown, all of them end a line.
        let lines: Vec<&str> =
            text.split_terminator('\n').flat_map(|line| line.trim_end_matches('\r').split('\r')).collect();
        let mut at = 0;
        while at < lines.len() {
            at += self.line(&lines[at..]);
        }
    }

    /// Writes the first of `lines`, and what belongs to it of the others; how many that are.
    fn line(&mut self, lines: &[&str]) -> usize {
        let rest = lines[0].trim_start_matches(BLANKS);
        let indent = lines[0].len() - rest.len();
        let rest = rest.trim_end_matches(BLANKS);
        if rest.is_empty() {
            self.blank();
            return 1;
        }
        if std::mem::take(&mut self.blanks) > 1 {
            self.dedent(0);
        }
        if let Some((stars, title)) = heading(lines[0]) {
            self.heading(stars, title);
            return 1;
        }
        if end_of(rest).is_some_and(|kind| self.end_block(kind)) {
            return 1;
        }
        let item = Item::new(rest, indent).filter(|_| !self.in_verse());
        let Some(item) = item else {
            self.dedent(indent);
            return self.element(rest, indent, lines);
        };
        if !self.item(indent, &item) {
            self.text(rest, Place::Line);
        } else if let Some(mark) = item.mark {
            let is_box = mark != '-' && !item.text.is_empty();
            let mark = format!("{}[{mark}] ", if is_box { "" } else { "\\" });
            self.marked(&mark, item.text, Place::Inner);
        } else if item.text.is_empty() {
            self.text("", Place::Line);
        } else {
            return self.element(item.text, indent, lines);
        }
        1
    }

    /// Writes what begins with `content`, the first line without its blanks and bullet.
    fn element(&mut self, content: &str, indent: usize, lines: &[&str]) -> usize {
        if self.in_verse() {
            self.text(content, Place::Line);
            self.breaks = true;
            return 1;
        }
        if let Some((kind, behind)) = begin_of(content) {
            if kind.is_code() {
                return 1 + self.code(kind, behind, indent, &lines[1..]);
            }
            self.begin_block(kind);
            return 1;
        }
        if fixed(content).is_some() {
            return self.fixed(content, &lines[1..]);
        }
        if content.starts_with('|')
            && let Some(count) = self.table(content, &lines[1..])
        {
            return 1 + count;
        }
        if is_rule(content) {
            self.part(Last::Other);
            self.put("***");
            return 1;
        }
        if let Some(words) = caption(content) {
            self.part(Last::Other);
            self.put(&inline::write(words, Place::Line));
            return 1;
        }
        // Two backslashes at its end are Org's line break.
        let words = content.strip_suffix("\\\\").map(|words| words.trim_end_matches(BLANKS));
        let words = words.filter(|words| !words.is_empty());
        self.text(words.unwrap_or(content), Place::Line);
        self.breaks = words.is_some();
        1
    }

    /// A line of a paragraph.
    fn text(&mut self, words: &str, place: Place) {
        self.marked("", words, place);
    }

    /// A line of a paragraph, behind a mark that is Markdown already.
    fn marked(&mut self, mark: &str, words: &str, place: Place) {
        let breaks = self.breaks;
        if !self.part(Last::Text) && breaks && self.bullet.is_none() && self.out.ends_with('\n') {
            self.out.pop();
            self.out.push_str("\\\n");
        }
        self.put(&format!("{mark}{}", inline::write(words, place)));
    }

    fn blank(&mut self) {
        self.blanks += 1;
        // An item without text would end at it.
        if self.bullet.is_none() {
            self.gap();
        }
    }

    fn heading(&mut self, stars: usize, title: &str) {
        self.leave(0);
        let shift = *self.shift.get_or_insert((self.level + 1).saturating_sub(stars));
        let level = stars.saturating_add(shift).max(self.level + 1);
        self.part(Last::Other);
        if self.level < DEEPEST {
            let title = inline::write(title, Place::Heading);
            self.put(format!("{} {title}", "#".repeat(level.min(DEEPEST))).trim_end());
        } else if !title.is_empty() {
            self.put(&format!("**{}**", inline::write(title, Place::Bold)));
        }
    }

    /// Begins an item, unless there is no place for it.
    fn item(&mut self, indent: usize, item: &Item<'_>) -> bool {
        let mut before = self.dedent(indent);
        if self.width() + item.bullet.len() > WIDEST {
            let Some(Container::Item { is_ordered, .. }) = self.containers.last() else { return false };
            before = Some(*is_ordered);
            self.leave(self.containers.len() - 1);
        }
        let is_nested = matches!(self.containers.last(), Some(Container::Item { .. }));
        let needs_gap = match (before, self.last) {
            (Some(is_ordered), _) => is_ordered != item.is_ordered,
            // Neither may interrupt a paragraph.
            (None, Last::Text) if is_nested && !self.left => item.is_later || item.text.is_empty(),
            _ => true,
        };
        // The bullet of an item that begins with a block.
        if self.bullet.is_some() {
            self.put("");
        }
        if needs_gap {
            self.gap();
        }
        self.left = false;
        self.breaks = false;
        let width = item.bullet.len();
        self.containers.push(Container::Item { indent, width, is_ordered: item.is_ordered });
        self.bullet = Some(item.bullet.clone());
        true
    }

    fn begin_block(&mut self, kind: Kind) {
        self.part(Last::Blank);
        // Org nests no block in one of its kind.
        if !self.containers.iter().any(|c| c.is_block(kind)) {
            self.containers.push(Container::Block(kind));
        }
    }

    /// Ends a block with what is in it. False if there is none of this kind.
    fn end_block(&mut self, kind: Kind) -> bool {
        let Some(at) = self.containers.iter().rposition(|c| c.is_block(kind)) else { return false };
        self.leave(at);
        true
    }

    /// A block of code; how many of the lines belong to it.
    fn code(&mut self, kind: Kind, behind: &str, indent: usize, lines: &[&str]) -> usize {
        let end = lines.iter().position(|line| end_of(line.trim_matches(BLANKS)) == Some(kind));
        let code = &lines[..end.unwrap_or(lines.len())];
        let language = behind.split(BLANKS).next().and_then(languages::lookup).filter(|_| kind == Kind::Src);
        let code = code.iter().map(|line| {
            let blanks = line.len() - line.trim_start_matches(BLANKS).len();
            &line[blanks.min(indent)..]
        });
        self.fence(
            language.unwrap_or_default(),
            code.clone().map(longest_ticks).max(),
            code.map(without_comma),
        );
        end.map_or(lines.len(), |end| end + 1)
    }

    /// Fixed-width lines; how many there are.
    fn fixed(&mut self, first: &str, lines: &[&str]) -> usize {
        let more = lines.iter().map_while(|line| fixed(line.trim_start_matches(BLANKS)));
        let all = fixed(first).into_iter().chain(more);
        let count = all.clone().count();
        self.fence("", all.clone().map(longest_ticks).max(), all.map(Cow::Borrowed));
        count
    }

    fn fence<'a>(&mut self, info: &str, ticks: Option<usize>, code: impl Iterator<Item = Cow<'a, str>>) {
        let fence = fence_of(ticks.unwrap_or(0));
        self.part(Last::Other);
        self.put(&format!("{fence}{info}"));
        code.for_each(|line| self.put(&line));
        self.put(&fence);
    }

    /// A table; how many of the lines belong to it. Nothing if it has no cells.
    fn table(&mut self, first: &str, lines: &[&str]) -> Option<usize> {
        let more =
            lines.iter().map(|line| line.trim_matches(BLANKS)).take_while(|line| line.starts_with('|'));
        let rows: Vec<&str> = std::iter::once(first).chain(more).collect();
        let is_rule = |row: &&str| row.starts_with("|-");
        let cells = |row: &str| -> Vec<String> {
            let row = row.strip_prefix('|').unwrap_or(row);
            let row = row.strip_suffix('|').unwrap_or(row);
            row.split('|').map(|cell| inline::write(cell.trim_matches(BLANKS), Place::Cell)).collect()
        };
        let head = rows.iter().position(|row| !is_rule(row))?;
        let bare: Vec<Vec<String>> = rows.iter().filter(|row| !is_rule(row)).map(|row| cells(row)).collect();
        let columns = bare.iter().map(Vec::len).max().unwrap_or(0);
        let mut bare = bare.into_iter();
        let has_head = rows.get(head + 1).is_some_and(is_rule);
        let mut head = if has_head { bare.next().unwrap_or_default() } else { Vec::new() };
        head.resize(columns, String::new());
        self.part(Last::Other);
        self.put(&row(&head));
        self.put(&row(&vec!["---".to_owned(); columns]));
        bare.for_each(|cells| self.put(&row(&cells)));
        Some(rows.len() - 1)
    }

    /// Parts what comes from the last line, where that would go on in it; whether it did.
    fn part(&mut self, next: Last) -> bool {
        let goes_on = next == Last::Text && self.last == Last::Text && !self.left;
        let needs_gap = !goes_on && self.bullet.is_none();
        if needs_gap {
            self.gap();
        }
        self.last = next;
        needs_gap
    }

    /// Puts a blank line, if the last one is none.
    fn gap(&mut self) {
        if self.last != Last::Blank {
            self.put("");
            self.last = Last::Blank;
        }
    }

    /// Leaves the items that do not hold a line with this indentation. Whether the last of them was numbered.
    fn dedent(&mut self, to: usize) -> Option<bool> {
        let mut left = None;
        while let Some(Container::Item { indent, is_ordered, .. }) = self.containers.last()
            && *indent >= to
        {
            left = Some(*is_ordered);
            self.leave(self.containers.len() - 1);
        }
        left
    }

    /// Leaves all containers but the first `count`.
    fn leave(&mut self, count: usize) {
        while self.containers.len() > count {
            // An item in which nothing was written.
            if self.bullet.is_some() && matches!(self.containers.last(), Some(Container::Item { .. })) {
                self.put("");
                self.last = Last::Text;
            }
            self.containers.pop();
            self.left = true;
        }
    }

    fn in_verse(&self) -> bool {
        matches!(self.containers.last(), Some(Container::Block(Kind::Verse)))
    }

    /// How wide the prefix of a line is.
    fn width(&self) -> usize {
        let width = |container: &Container| match container {
            Container::Item { width, .. } => *width,
            Container::Block(kind) => 2 * usize::from(*kind == Kind::Quote),
        };
        self.containers.iter().map(width).sum()
    }

    /// Writes a line.
    fn put(&mut self, line: &str) {
        let start = self.out.len();
        let mut bullet = self.bullet.take();
        let innermost = self.containers.iter().rposition(|c| matches!(c, Container::Item { .. }));
        for (at, container) in self.containers.iter().enumerate() {
            match container {
                Container::Item { .. } if innermost == Some(at) && bullet.is_some() => {
                    self.out.push_str(&bullet.take().unwrap_or_default());
                }
                Container::Item { width, .. } => self.out.extend(std::iter::repeat_n(' ', *width)),
                Container::Block(Kind::Quote) => self.out.push_str("> "),
                Container::Block(_) => {}
            }
        }
        if line.is_empty() {
            self.out.truncate(start + self.out[start..].trim_end_matches(' ').len());
        }
        self.out.push_str(line);
        self.out.push('\n');
        self.left = false;
        self.breaks = false;
    }
}

fn row(cells: &[String]) -> String {
    let mut out = String::new();
    for cell in cells {
        out.push_str("| ");
        out.push_str(cell);
        out.push(' ');
    }
    out.push('|');
    out
}
