//! Markdown: its headings, those that stand in fences, comments and raw HTML left out, and the comment that names the
//! session.

use super::scan::{ASSISTANT, FileMark, Found, Head, Kind, Regions, USER};

/// The deepest level of a heading.
const DEEPEST: usize = 6;

/// Raw HTML in which no line is Markdown: how it begins, and what a line has that ends it.
const RAW: [(&str, &str); 5] = [
    ("<!--", "-->"),
    ("<pre", "</pre>"),
    ("<script", "</script>"),
    ("<style", "</style>"),
    ("<textarea", "</textarea>"),
];

/// What is open.
#[derive(Clone, Copy, Debug)]
enum Region {
    /// A fence of so many of these.
    Fence(u8, usize),
    /// Raw HTML up to a line with this.
    Raw(&'static str),
}

/// Reads `text`.
pub(super) fn find(text: &str) -> Found<'_> {
    let file = file(text);
    let mut regions = Regions::default();
    let mut at = file.body;
    let mut lines = text[at..].split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let start = at;
        at += line.len();
        let Some(words) = unindented(line) else { continue };
        if let Some((level, title)) = heading(words) {
            let mut head = Head {
                line: start..at,
                level,
                kind: match title {
                    USER if level < DEEPEST => Kind::User,
                    ASSISTANT => Kind::Assistant,
                    _ => Kind::Other,
                },
                title,
                event: None,
                act: None,
                session: None,
                drawer: None,
                body: at,
            };
            if let Some((line, (key, value))) = lines.peek().and_then(|line| Some((line, comment(line)?))) {
                let place = match (key, head.kind) {
                    ("OA_EVENT", Kind::User) => Some(&mut head.event),
                    ("OA_ACT", Kind::Assistant) => Some(&mut head.act),
                    _ => None,
                };
                if let Some(place) = place {
                    *place = Some(value);
                    at += line.len();
                    head.body = at;
                    lines.next();
                }
            }
            regions.push(head);
            continue;
        }
        match regions.inside() {
            Some(Region::Fence(mark, count)) => {
                if fence(words).is_some_and(|(m, c, info)| m == *mark && c >= *count && info.is_empty()) {
                    regions.close();
                }
            }
            Some(Region::Raw(end)) => {
                if has(words, end) {
                    regions.close();
                }
            }
            None => {
                if let Some((mark, count, info)) = fence(words) {
                    if mark == b'~' || !info.contains('`') {
                        regions.open(Region::Fence(mark, count));
                    }
                } else if let Some((_, end)) = RAW.iter().find(|(begin, _)| begins(words, begin))
                    && !has(words, end)
                {
                    regions.open(Region::Raw(end));
                }
            }
        }
    }
    Found { file, heads: regions.finish() }
}

/// A line without its end and its indentation, if that is none of code.
fn unindented(line: &str) -> Option<&str> {
    let words = line.trim_end_matches(['\r', '\n']).trim_start_matches(' ');
    (line.len() - line.trim_start_matches(' ').len() < 4).then_some(words)
}

/// The level and the words of a heading.
fn heading(words: &str) -> Option<(usize, &str)> {
    let title = words.trim_start_matches('#');
    let level = words.len() - title.len();
    if !(1..=DEEPEST).contains(&level) || !(title.is_empty() || title.starts_with([' ', '\t'])) {
        return None;
    }
    let title = title.trim_matches([' ', '\t']);
    let bare = title.trim_end_matches('#');
    let is_closed = bare.len() < title.len() && (bare.is_empty() || bare.ends_with([' ', '\t']));
    Some((level, if is_closed { bare.trim_end_matches([' ', '\t']) } else { title }))
}

/// The mark of a fence, how many of it there are, and what is behind them.
fn fence(words: &str) -> Option<(u8, usize, &str)> {
    let mark = *words.as_bytes().first().filter(|mark| matches!(mark, b'`' | b'~'))?;
    let info = words.trim_start_matches(char::from(mark));
    let count = words.len() - info.len();
    (count >= 3).then(|| (mark, count, info.trim_matches([' ', '\t'])))
}

fn begins(words: &str, tag: &str) -> bool {
    let Some((start, rest)) = words.split_at_checked(tag.len()) else { return false };
    start.eq_ignore_ascii_case(tag)
        && (tag.ends_with('-') || rest.is_empty() || rest.starts_with(['>', ' ', '\t']))
}

fn has(line: &str, end: &str) -> bool {
    line.as_bytes().windows(end.len()).any(|part| part.eq_ignore_ascii_case(end.as_bytes()))
}

/// The key and the value of a comment that is a line of its own.
fn comment(line: &str) -> Option<(&str, &str)> {
    let words = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    let (key, value) = words.split_once(':')?;
    Some((key.trim(), value.trim()))
}

/// The comment that names the session, or the place for it: at the top, behind the front matter.
fn file(text: &str) -> FileMark<'_> {
    let bom = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let from = bom + front_matter(&text[bom..]);
    let mut at = from;
    for line in text[from..].split_inclusive('\n') {
        if let Some(("OA_SESSION", session)) = comment(line) {
            let end = at + line.len();
            return FileMark { session: Some(session), line: at..end, in_drawer: false, body: end };
        }
        if !line.trim().is_empty() {
            break;
        }
        at += line.len();
    }
    FileMark { session: None, line: from..from, in_drawer: false, body: from }
}

/// Where YAML at the beginning ends.
fn front_matter(text: &str) -> usize {
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        at += line.len();
        match (number, line.trim_end()) {
            (0, "---") => {}
            (0, _) => return 0,
            (_, "---" | "...") => return at,
            _ => {}
        }
    }
    0
}
