//! What a line is, from its first characters or from all of it.
//!
//! It knows no state but what [`Context`] tells, and writes nothing.

use super::tex;

/// What the lines above decide about a line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Context {
    /// Inside a block whose lines are text, not elements: verse, or a LaTeX environment.
    pub(super) opaque: bool,
    /// The line above is a heading, or the one the text stands under.
    pub(super) after_heading: bool,
    /// The line above is a paragraph's.
    pub(super) after_text: bool,
    /// A `>` may begin a quote: none is open.
    pub(super) may_quote: bool,
    /// Inside a list.
    pub(super) in_list: bool,
}

/// What the beginning of a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Not enough yet.
    More,
    /// The whole line is needed.
    Whole,
    /// Ordinary text: the rest is decided inside the line.
    Text,
    /// A fixed-width line.
    Fixed,
    /// A quote's mark.
    Quote,
}

/// What a whole line is, where that is more than text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Blank,
    /// Stars or hashes, whether they were hashes, and the title.
    Heading {
        level: usize,
        markdown: bool,
        title: &'a str,
    },
    /// `#+` and what follows it.
    Keyword(&'a str),
    /// To be made fixed-width, for this reason.
    Inert(&'static str),
    Fixed,
    Fence(Fence<'a>),
    /// A list bullet with the blanks behind it, and the fence that follows.
    ItemFence(&'a str, Fence<'a>),
    Table,
    /// A rule as Org writes it.
    OrgRule,
    /// A rule of Markdown's.
    Rule,
    /// `\begin{NAME}`
    Environment(&'a str),
    Text,
}

/// The mark that opens a fenced block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fence<'a> {
    pub(super) mark: char,
    pub(super) length: usize,
    pub(super) info: &'a str,
}

/// Blanks at the beginning of `line`, in bytes.
pub(super) fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

const TIMES: [&str; 4] = ["CLOCK:", "CLOSED:", "DEADLINE:", "SCHEDULED:"];

/// Looks at `rest`, the line so far without its `indent` blanks. To be called after each character, with
/// only `More` before: so it looks at the ends of `rest` only.
pub(super) fn look(rest: &str, indent: usize, context: Context) -> Look {
    let bytes = rest.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return Look::More };
    let blank = last == b' ' || last == b'\t';
    let quotable = context.may_quote && (indent <= 3 || context.in_list);
    match first {
        b'*' if indent == 0 && last == b' ' => Look::Whole,
        b'*' | b'_' if last == first || blank => Look::More,
        b'-' if last == b'-' || blank => Look::More,
        b'-' | b'+' | b'*' | b'0'..=b'9' => look_item(bytes),
        b'#' if bytes.len() == 1 => Look::More,
        b'#' if last == b'+' && bytes.len() == 2 => Look::Whole,
        b'#' if last == b'#' && bytes.len() <= 6 => Look::More,
        b'#' if blank && indent <= 3 && !context.opaque => Look::Whole,
        b'|' if !context.opaque => Look::Whole,
        b':' if bytes.len() == 1 => Look::More,
        b':' if bytes.len() == 2 && last == b' ' => Look::Fixed,
        b':' if last == b':' && bytes.len() > 2 => Look::Whole,
        b':' if is_name(last) => Look::More,
        b'%' | b'&' if indent == 0 => prefix(rest, if first == b'%' { "%%(" } else { "&%%(" }),
        b'>' if quotable => Look::Quote,
        b'`' | b'~' if last == first => {
            if bytes.len() >= 3 {
                Look::Whole
            } else {
                Look::More
            }
        }
        b'\\' => prefix_any_case(rest, "\\begin{"),
        b'[' if indent == 0 && bytes.len() < 4 && begins_footnote(rest) => Look::More,
        b'c' | b'C' | b's' | b'S' | b'd' | b'D' => TIMES
            .iter()
            .map(|word| prefix_any_case(rest, word))
            .find(|l| *l != Look::Text)
            .unwrap_or(Look::Text),
        _ => Look::Text,
    }
}

/// Looks at a line that begins like a list item: a fence may stand behind the bullet.
fn look_item(bytes: &[u8]) -> Look {
    let digits = bytes.iter().take(10).take_while(|b| b.is_ascii_digit()).count();
    let bullet = if digits > 0 { digits + 1 } else { 1 };
    match bytes.get(bullet - 1) {
        None if digits <= 9 => return Look::More,
        Some(b'.' | b')') if digits > 0 => {}
        Some(_) if digits == 0 => {}
        _ => return Look::Text,
    }
    match (bytes.get(bullet), bytes.last()) {
        (None, _) | (Some(b' ' | b'\t'), Some(b' ' | b'\t')) => Look::More,
        // Anything else behind the bullet would have been decided before: this is a run of marks.
        (Some(b' ' | b'\t'), Some(mark @ (b'`' | b'~'))) => {
            let run = bytes.iter().rev().take(3).take_while(|b| *b == mark).count();
            if run == 3 { Look::Whole } else { Look::More }
        }
        _ => Look::Text,
    }
}

fn prefix(rest: &str, whole: &str) -> Look {
    match (rest == whole, whole.starts_with(rest)) {
        (true, _) => Look::Whole,
        (_, true) => Look::More,
        _ => Look::Text,
    }
}

fn prefix_any_case(rest: &str, whole: &str) -> Look {
    match (rest.len() == whole.len(), whole.get(..rest.len())) {
        (equal, Some(part)) if part.eq_ignore_ascii_case(rest) => {
            if equal {
                Look::Whole
            } else {
                Look::More
            }
        }
        _ => Look::Text,
    }
}

/// What the whole `line` is.
pub(super) fn classify(line: &str, context: Context) -> Line<'_> {
    let indent = indentation(line);
    let rest = &line[indent..];
    let Some(first) = rest.bytes().next() else { return Line::Blank };
    match first {
        b'*' | b'#' => heading(rest, indent, context).unwrap_or_else(|| match rest.strip_prefix("#+") {
            Some(keyword) => Line::Keyword(keyword),
            None => rule_or_text(rest, indent, context),
        }),
        b'|' if !context.opaque => Line::Table,
        b':' if rest.len() == 1 || rest.as_bytes()[1] == b' ' => Line::Fixed,
        b':' if is_drawer(rest) => Line::Inert("drawer"),
        b'%' | b'&' if indent == 0 && (rest.starts_with("%%(") || rest.starts_with("&%%(")) => {
            Line::Inert("diary-sexp")
        }
        b'`' | b'~' if !context.opaque => fence(rest).map_or(Line::Text, Line::Fence),
        b'\\' => environment(rest).map_or(Line::Text, Line::Environment),
        b'-' | b'_' => rule_or_text(rest, indent, context),
        _ if is_time(rest, context) => Line::Inert("planning"),
        _ => item_fence(rest, context),
    }
}

fn heading(rest: &str, indent: usize, context: Context) -> Option<Line<'_>> {
    let mark = rest.chars().next()?;
    let title = rest.trim_start_matches(mark);
    let level = rest.len() - title.len();
    match mark {
        '*' if indent == 0 => Some(Line::Heading { level, markdown: false, title: title.strip_prefix(' ')? }),
        '#' if indent <= 3 && level <= 6 && !context.opaque && title.starts_with([' ', '\t']) => {
            let title = title.trim_matches([' ', '\t']);
            if title.is_empty() {
                return None;
            }
            // Hashes may close the title, too.
            let open = title.trim_end_matches('#');
            let title = if open.is_empty() || open.ends_with([' ', '\t']) {
                open.trim_end_matches([' ', '\t'])
            } else {
                title
            };
            Some(Line::Heading { level, markdown: true, title })
        }
        _ => None,
    }
}

/// A drawer's or a property's line, or one that would be if a blank followed a colon.
fn is_drawer(rest: &str) -> bool {
    let name = rest.bytes().skip(1).take_while(|b| is_name(*b)).count();
    name > 0 && rest.as_bytes().get(name + 1) == Some(&b':')
}

/// A byte that may stand in a drawer's name.
const fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || !b.is_ascii() || matches!(b, b'-' | b'_' | b'+' | b'\'' | b'$' | b'%')
}

/// A clock line, or a planning line: Org reads the latter without case below a heading.
fn is_time(rest: &str, context: Context) -> bool {
    TIMES.iter().any(|word| match rest.get(..word.len()) {
        Some(start) if *word == TIMES[0] || context.after_heading => start.eq_ignore_ascii_case(word),
        Some(start) => start == *word,
        None => false,
    })
}

fn rule_or_text<'a>(rest: &'a str, indent: usize, context: Context) -> Line<'a> {
    let mark = rest.chars().next().unwrap_or_default();
    let marks = rest.bytes().filter(|b| *b == mark as u8).count();
    let only = rest.chars().all(|c| c == mark || c == ' ' || c == '\t');
    let bare = rest.trim_end_matches([' ', '\t']).len() == marks;
    if mark == '-' && bare && marks >= 5 && !context.opaque {
        return Line::OrgRule;
    }
    // Under a paragraph, a row of dashes is its Setext underline, which stays text.
    let setext = mark == '-' && bare && context.after_text;
    if matches!(mark, '*' | '-' | '_') && only && marks >= 3 && indent <= 3 && !(context.opaque || setext) {
        Line::Rule
    } else {
        item_fence(rest, context)
    }
}

fn fence(rest: &str) -> Option<Fence<'_>> {
    let mark = rest.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let info = rest.trim_start_matches(mark);
    let length = rest.len() - info.len();
    (length >= 3 && !(mark == '`' && info.contains('`'))).then(|| Fence {
        mark,
        length,
        info: info.trim_matches([' ', '\t']),
    })
}

/// Whether `rest` begins with a run of backticks, long enough for a fence, that has no partner.
pub(super) fn opens_ticks(rest: &str) -> bool {
    let behind = rest.trim_start_matches('`');
    let length = rest.len() - behind.len();
    length >= 3 && !behind.split(|c| c != '`').any(|run| run.len() == length)
}

/// Whether `rest` begins a comment of Org's; in the first columns it would be a heading.
pub(super) fn is_comment(rest: &str) -> bool {
    rest.strip_prefix('#').is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

fn item_fence<'a>(rest: &'a str, context: Context) -> Line<'a> {
    match item(rest) {
        Some(bullet) if !context.opaque => {
            fence(&rest[bullet..]).map_or(Line::Text, |fence| Line::ItemFence(&rest[..bullet], fence))
        }
        _ => Line::Text,
    }
}

/// The length of a list bullet with the blanks behind it, if `rest` begins with one.
pub(super) fn item(rest: &str) -> Option<usize> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let after = if digits > 0 {
        rest[digits..].strip_prefix(['.', ')'])?
    } else {
        rest.strip_prefix(['-', '+', '*'])?
    };
    let content = after.trim_start_matches([' ', '\t']);
    (content.len() < after.len() || content.is_empty()).then_some(rest.len() - content.len())
}

/// The name of the environment that `rest` begins, unless the guard parts it: Org reads names in any case.
fn environment(rest: &str) -> Option<&str> {
    let (begin, rest) = rest.split_at_checked("\\begin{".len())?;
    let (name, _) = rest.split_once('}')?;
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'*');
    let parted = begin == "\\begin{" && tex::acts(name);
    (begin.eq_ignore_ascii_case("\\begin{") && valid && !parted).then_some(name)
}

/// Whether `rest`, or as much of it as there is, begins a footnote's definition.
pub(super) fn begins_footnote(rest: &str) -> bool {
    rest.bytes().zip(*b"[fn:").all(|(b, mark)| b.eq_ignore_ascii_case(&mark)) && !rest.is_empty()
}
