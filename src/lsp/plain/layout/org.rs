//! Org: its headings, those that stand in blocks and drawers left out, and the file's own drawer.

use std::ops::Range;

use super::scan::{FileMark, Found, Head, Kind, Regions};
use crate::transcript::{Heads, Part, drawer, first_drawer};

/// What is open.
#[derive(Debug)]
enum Region<'a> {
    /// A block of this kind.
    Block(&'a str),
    Drawer,
}

/// What a line does.
enum Mark<'a> {
    Begin(&'a str),
    End(&'a str),
    Drawer,
    DrawerEnd,
}

/// Reads `text`.
pub(super) fn find(text: &str) -> Found<'_> {
    let file = file(text);
    let mut regions = Regions::default();
    let mut at = file.line.start;
    for head in Heads::new(text) {
        lines(text, at..head.at, &mut regions);
        at = head.body;
        let line_end = text[head.at..].find('\n').map_or(text.len(), |end| head.at + end + 1);
        regions.push(Head {
            line: head.at..line_end,
            level: head.level as usize,
            kind: match head.kind {
                Part::User => Kind::User,
                Part::Assistant => Kind::Assistant,
                Part::Other => Kind::Other,
            },
            title: head.title.trim_matches([' ', '\t', '\r']),
            event: head.properties.event,
            act: head.properties.act,
            session: head.properties.session,
            drawer: (at > line_end).then(|| last_line(text, at)),
            body: at,
        });
    }
    lines(text, at..text.len(), &mut regions);
    Found { file, heads: regions.finish() }
}

/// Opens and closes what the lines of a part without headings open and close.
fn lines<'a>(text: &'a str, part: Range<usize>, regions: &mut Regions<'a, Region<'a>>) {
    for line in text.get(part).unwrap_or_default().split('\n') {
        match (mark(line), regions.inside()) {
            // A block in a block of its kind: the outer one was never closed.
            (Some(Mark::Begin(kind)), None | Some(Region::Drawer)) => regions.open(Region::Block(kind)),
            (Some(Mark::Begin(kind)), Some(Region::Block(open))) if open.eq_ignore_ascii_case(kind) => {
                regions.open(Region::Block(kind));
            }
            (Some(Mark::End(kind)), Some(Region::Block(open))) if open.eq_ignore_ascii_case(kind) => {
                regions.close();
            }
            (Some(Mark::Drawer), None | Some(Region::Drawer)) => regions.open(Region::Drawer),
            (Some(Mark::DrawerEnd), Some(Region::Drawer)) => regions.close(),
            _ => {}
        }
    }
}

fn mark(line: &str) -> Option<Mark<'_>> {
    let line = line.trim_matches([' ', '\t', '\r']);
    if let Some(words) = line.strip_prefix("#+") {
        let key = words.split([' ', '\t']).next().unwrap_or_default();
        // The colon of a dynamic block is its kind.
        let kind = |name: &str| {
            let (start, kind) = key.split_at_checked(name.len())?;
            let kind = kind.strip_prefix('_').or_else(|| kind.starts_with(':').then_some(":"))?;
            (start.eq_ignore_ascii_case(name) && !kind.is_empty()).then_some(kind)
        };
        return kind("begin").map(Mark::Begin).or_else(|| kind("end").map(Mark::End));
    }
    let name = line.strip_prefix(':')?.strip_suffix(':')?;
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        return None;
    }
    Some(if name.eq_ignore_ascii_case("END") { Mark::DrawerEnd } else { Mark::Drawer })
}

/// The file's own drawer, or the place for it: behind the comments at the top.
fn file(text: &str) -> FileMark<'_> {
    let bom = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let own = &text[bom..];
    let from = bom + first_drawer(own);
    let Some((properties, end)) = drawer(text, from) else {
        let mut at = bom;
        let mut next = bom;
        for line in text[bom..from].split_inclusive('\n') {
            next += line.len();
            if !line.trim().is_empty() {
                at = next;
            }
        }
        return FileMark { session: None, line: at..at, in_drawer: false, body: keywords(text, at) };
    };
    let close = last_line(text, end);
    let mut line = close..close;
    let mut at = from;
    for one in text[from..close].split_inclusive('\n') {
        let key = one.trim_start_matches([' ', '\t']).get(.."OA_SESSION".len() + 2);
        if key.is_some_and(|key| key.eq_ignore_ascii_case(":OA_SESSION:")) {
            line = at..at + one.len();
            break;
        }
        at += one.len();
    }
    FileMark { session: properties.session, line, in_drawer: true, body: keywords(text, end) }
}

/// Where the text begins behind the keywords and comments at `at`.
fn keywords(text: &str, at: usize) -> usize {
    let (mut next, mut body) = (at, at);
    for line in text[at..].split_inclusive('\n') {
        next += line.len();
        let words = line.trim();
        let key = words.strip_prefix("#+").and_then(|words| words.split([' ', '\t']).next());
        let is_keyword = key.is_some_and(|key| key.ends_with(':') && !key.eq_ignore_ascii_case("begin:"));
        if is_keyword || words == "#" || words.starts_with("# ") {
            body = next;
        } else if !words.is_empty() {
            break;
        }
    }
    body
}

/// Where the line that ends at `end` begins.
fn last_line(text: &str, end: usize) -> usize {
    let before = text[..end].strip_suffix('\n').unwrap_or(&text[..end]);
    before.rfind('\n').map_or(0, |at| at + 1)
}
