//! What a session is called: its title, and the name of its file.

use crate::sexp::report::{clip, is_unseen};

/// The title of a session that has no words yet.
pub const NO_TITLE: &str = "New chat";

/// The most characters of a title.
const LONGEST: usize = 60;

/// The most bytes in which a title is looked for.
const BEGINNING: usize = 256 << 10;

/// The most bytes of a line that are looked at.
const LINE: usize = 1_024;

/// The most characters of a title in a file's name.
const SLUG: usize = 40;

/// Markup that means nothing at the ends of a title.
const MARKUP: &[char] =
    &['*', '#', '-', '+', '>', '=', '~', '_', '`', '"', '\'', '“', '”', '„', '‘', '’', '«', '»', '|'];

/// A title for a session that begins with `text`: the first line that has words, as far as they fit into 60
/// characters, without markup at its ends and with links by their description. [`NO_TITLE`] if there are no words.
#[must_use]
pub fn title(text: &str) -> String {
    clip(text, BEGINNING).lines().find_map(words).unwrap_or_else(|| NO_TITLE.to_owned())
}

/// A line as a title, if it has words.
fn words(line: &str) -> Option<String> {
    let line = unlink(clip(line, LINE));
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line: Vec<&str> = line.split_whitespace().collect();
    let line: String = line.join(" ").chars().filter(|c| !is_unseen(*c)).collect();
    let line = line.trim_matches(|c: char| c.is_whitespace() || MARKUP.contains(&c));
    if !line.contains(char::is_alphanumeric) {
        return None;
    }
    let Some((most, _)) = line.char_indices().nth(LONGEST) else { return Some(line.to_owned()) };
    // One character less, for the sign that something is missing.
    let short = line[..most].char_indices().next_back().map_or("", |(last, _)| &line[..last]);
    let whole = match line[short.len()..].starts_with(' ') {
        true => short,
        false => short.rfind(' ').map_or(short, |at| &short[..at]),
    };
    Some(format!("{}…", whole.trim_end()))
}

/// `line` with each link, Org's or Markdown's, replaced by its description, or its target if it has none.
fn unlink(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('[') {
        let (before, link) = rest.split_at(at);
        let Some((description, behind)) = org_link(link).or_else(|| markdown_link(link)) else {
            out.push_str(before);
            // What is in the bracket may hold a link.
            out.push('[');
            rest = &link[1..];
            continue;
        };
        out.push_str(if link.starts_with("[[") {
            before
        } else {
            before.strip_suffix('!').unwrap_or(before)
        });
        out.push_str(description);
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// The description of `[[target][description]]`, and what is behind it.
fn org_link(text: &str) -> Option<(&str, &str)> {
    let (target, rest) = text.strip_prefix("[[")?.split_once(']')?;
    if target.contains('[') {
        return None;
    }
    if let Some(behind) = rest.strip_prefix(']') {
        return Some((target, behind));
    }
    rest.strip_prefix('[')?.split_once("]]")
}

/// The description of `[description](target)`, and what is behind it.
fn markdown_link(text: &str) -> Option<(&str, &str)> {
    let (description, rest) = text.strip_prefix('[')?.split_once(']')?;
    if description.contains('[') {
        return None;
    }
    let (_, behind) = rest.strip_prefix('(')?.split_once(')')?;
    Some((description, behind))
}

/// A name for the file of a session: letters and digits of its title, and the beginning of its identifier, of both
/// only what is ASCII. There is nothing else in it but dashes, and the `.org` at its end.
#[must_use]
pub fn file_name(title: &str, id: &str) -> String {
    let mut slug = String::new();
    for c in clip(title, LINE).chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == SLUG {
            break;
        }
    }
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    let slug = slug.trim_end_matches('-');
    let slug = if slug.is_empty() { "chat" } else { slug };
    format!("{slug}-{}.org", if id.is_empty() { "session" } else { &id })
}
