//! Markdown: its headings, those that stand in fences, comments and raw HTML left out, and the comment that names the
//! session.

use memchr::memchr2;

use super::scan::{ASSISTANT, FileMark, Found, Head, Kind, USER};

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
    /// A fence of so many of these marks, which stand so many bytes from the beginning of their line.
    Fence(u8, usize, usize),
    /// Raw HTML up to a line with this.
    Raw(&'static str),
}

/// Reads `text`.
pub(super) fn find(text: &str) -> Found<'_> {
    let file = file(text);
    let ends = Ends::new(text, file.body);
    let mut heads = Vec::new();
    let mut open = None;
    let mut at = file.body;
    let mut lines = lines(&text[at..]).peekable();
    while let Some(line) = lines.next() {
        let start = at;
        at += line.len();
        if let Some(region) = open {
            if closes(line, region) {
                open = None;
            }
            continue;
        }
        open = opens(line).filter(|region| ends.has(*region, at));
        let Some((level, title)) = unindented(line).and_then(heading) else { continue };
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
        heads.push(head);
    }
    Found { file, heads }
}

/// The line that closes what is open at the end of `text`.
pub(super) fn closing(text: &str) -> Option<String> {
    let mut open = None;
    for line in lines(text) {
        open = match open {
            None => opens(line),
            Some(region) => Some(region).filter(|region| !closes(line, *region)),
        };
    }
    open.map(|region| match region {
        Region::Fence(mark, count, column) => {
            format!("{}{}", " ".repeat(column), char::from(mark).to_string().repeat(count))
        }
        Region::Raw(end) => end.to_owned(),
    })
}

/// What a line opens that goes on behind it.
fn opens(line: &str) -> Option<Region> {
    let words = unindented(line)?;
    // A fence may be the beginning of a list's item.
    let behind = words.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = words.len() - behind.len();
    let behind = match digits {
        0 => behind.strip_prefix(['-', '+', '*']),
        _ => behind.strip_prefix(['.', ')']),
    };
    let item = behind.filter(|behind| behind.starts_with(' ')).map(|behind| behind.trim_start_matches(' '));
    let fenced = item.unwrap_or(words);
    if let Some((mark, count, info)) = fence(fenced) {
        let column = line.trim_end_matches(['\r', '\n']).len() - fenced.len();
        return (mark == b'~' || !info.contains('`')).then_some(Region::Fence(mark, count, column));
    }
    let (_, end) = RAW.iter().find(|(begin, _)| begins(words, begin))?;
    (!has(words, end)).then_some(Region::Raw(end))
}

/// Whether a line closes this.
fn closes(line: &str, region: Region) -> bool {
    match region {
        Region::Fence(mark, count, column) => {
            bare_fence(line, column).is_some_and(|(m, c)| m == mark && c >= count)
        }
        Region::Raw(end) => has(line, end),
    }
}

/// A line that is only a fence, for one that was opened in this column.
fn bare_fence(line: &str, column: usize) -> Option<(u8, usize)> {
    let words = line.trim_end_matches(['\r', '\n']).trim_start_matches(' ');
    let indent = line.len() - line.trim_start_matches(' ').len();
    fence(words)
        .filter(|(_, _, info)| indent < column + 4 && info.is_empty())
        .map(|(mark, count, _)| (mark, count))
}

/// Where the last lines are that could close something. What nothing closes is taken as not open: a fence that
/// somebody forgot does not hide what comes behind it.
struct Ends {
    /// For each mark: the lines that are only a fence, from behind, those left out that have one behind them which is
    /// as long.
    fences: [Vec<(usize, usize)>; 2],
    raw: [Option<usize>; RAW.len()],
}

impl Ends {
    fn new(text: &str, from: usize) -> Self {
        let mut ends = Self { fences: [Vec::new(), Vec::new()], raw: [None; RAW.len()] };
        let mut start = from;
        for line in lines(&text[from..]) {
            // In whatever column: one that is too deep only makes something look closed.
            if let Some((mark, count)) = bare_fence(line, line.len()) {
                let fences = &mut ends.fences[usize::from(mark == b'~')];
                while fences.last().is_some_and(|(_, shorter)| *shorter <= count) {
                    fences.pop();
                }
                fences.push((start, count));
            }
            for ((_, end), place) in RAW.iter().zip(&mut ends.raw) {
                if has(line, end) {
                    *place = Some(start);
                }
            }
            start += line.len();
        }
        ends
    }

    /// Whether there is an end of `region` at `at` or behind.
    fn has(&self, region: Region, at: usize) -> bool {
        match region {
            // The longest is the first of them, and all that are long enough stand before the others.
            Region::Fence(mark, count, _) => {
                let fences = &self.fences[usize::from(mark == b'~')];
                let long = fences.partition_point(|(_, own)| *own >= count);
                fences[..long].last().is_some_and(|(start, _)| *start >= at)
            }
            Region::Raw(end) => {
                let place = RAW.iter().zip(&self.raw).find(|((_, own), _)| *own == end);
                place.and_then(|(_, place)| *place).is_some_and(|start| start >= at)
            }
        }
    }
}

/// The lines of a text, with their ends: in Markdown, a lone `\r` is one.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = match memchr2(b'\n', b'\r', rest.as_bytes()) {
            Some(at) if rest[at..].starts_with("\r\n") => at + 2,
            Some(at) => at + 1,
            None => rest.len(),
        };
        let (line, behind) = rest.split_at(end);
        rest = behind;
        (!line.is_empty()).then_some(line)
    })
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
    // Every end has it, and few lines do.
    line.contains('>')
        && line.as_bytes().windows(end.len()).any(|part| part.eq_ignore_ascii_case(end.as_bytes()))
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
    for line in lines(&text[from..]) {
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
    for (number, line) in lines(text).enumerate() {
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
