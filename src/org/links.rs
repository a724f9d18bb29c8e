//! Which links may be live.
//!
//! It knows link types and paths, not the syntax around them. Live are https, http, mailto, id, what stands
//! inside the same file, and plain local files: no remote paths, no variables, no Lisp.

use std::borrow::Cow;

use super::report::Report;

/// Types that Org or a common package would follow, apart from the live ones; longest first where one
/// ends with another.
const OTHER: &[&str] = &[
    "file+emacs",
    "file+sys",
    "attachment",
    "bbdb",
    "brain",
    "calc",
    "chrome",
    "denote",
    "docview",
    "doi",
    "elfeed",
    "elisp",
    "eshell",
    "evernote",
    "eww",
    "ftp",
    "git",
    "git-bare",
    "gnus",
    "help",
    "info",
    "irc",
    "lisp",
    "magit",
    "mairix",
    "man",
    "message",
    "mhe",
    "mu4e",
    "news",
    "notmuch",
    "notmuch-search",
    "notmuch-tree",
    "nov",
    "org-protocol",
    "orgit",
    "orgit-log",
    "orgit-rev",
    "pdf",
    "pdftools",
    "pdfview",
    "rmail",
    "roam",
    "shell",
    "sftp",
    "ssh",
    "tel",
    "treemacs",
    "vm",
    "w3m",
    "wl",
    "zotero",
];

/// What no path may hold: an export would put it into an attribute or into TeX as it is, or Org could read
/// it as something other than a path.
const UNSAFE: &[&str] = &["\\", "\"", "^^", " ::", "\t::", "{{{", "@@", "<<<", "<%%"];

/// Where a type that may not be live begins, if `tail` ends with one that stands as a word.
pub(super) fn ends_with_type(tail: &[u8]) -> Option<usize> {
    tail.last().filter(|b| b.is_ascii_alphanumeric())?;
    OTHER.iter().find_map(|kind| {
        let at = tail.len().checked_sub(kind.len())?;
        let (before, word) = tail.split_at(at);
        let is_word = !before.last().is_some_and(u8::is_ascii_alphanumeric);
        (is_word && word.eq_ignore_ascii_case(kind.as_bytes())).then_some(at)
    })
}

/// Whether a bracket link to `path` may be live.
pub(super) fn is_live(path: &str) -> bool {
    let code = path.contains("src_") && path.contains('{') || path.contains("call_") && path.contains('(');
    if path.trim() != path || code || UNSAFE.iter().any(|part| path.contains(part)) {
        return false;
    }
    if path.starts_with(['/', '~', '.']) {
        return is_local(path);
    }
    if path.starts_with(['*', '#', '(']) {
        return true;
    }
    match path.split_once(':') {
        None => true,
        Some((kind, _)) if kind.contains([' ', '\t']) => true,
        Some((kind, rest)) if kind.eq_ignore_ascii_case("file") => {
            is_local(rest.strip_prefix("//").filter(|r| r.starts_with('/')).unwrap_or(rest))
        }
        Some((kind, rest)) => {
            // An export would write what is hidden in a host's `%` as it is.
            let host = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next());
            !host.is_some_and(|host| host.contains('%'))
                && !rest.is_empty()
                && ["https", "http", "mailto", "id"].iter().any(|live| kind.eq_ignore_ascii_case(live))
        }
    }
}

/// Whether `path`, with its search option, is a plain local file: nothing that Emacs would expand, send to
/// a file name handler or evaluate.
fn is_local(path: &str) -> bool {
    let (file, search) = path.split_once("::").map_or((path, None), |(f, s)| (f, Some(s)));
    !file.is_empty()
        && !file.contains([':', '$', '|', '*', '`'])
        && !file.starts_with("//")
        && search.is_none_or(|s| !s.is_empty() && !s.starts_with(['(', '/']) && !s.contains("::"))
}

/// Whether `tail` ends with a web address' type.
pub(super) fn ends_with_web(tail: &[u8]) -> bool {
    ["http", "https"].iter().any(|kind| {
        tail.len().checked_sub(kind.len()).is_some_and(|at| {
            let (before, word) = tail.split_at(at);
            !before.last().is_some_and(u8::is_ascii_alphanumeric)
                && word.eq_ignore_ascii_case(kind.as_bytes())
        })
    })
}

/// The Org path of a Markdown link's target, if that may be live.
pub(super) fn from_markdown(target: &str) -> Option<String> {
    let target = target.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(target);
    if target.is_empty() || target.contains(['<', '>']) {
        return None;
    }
    let path = if target.contains(':') || target.starts_with('#') {
        target.to_owned()
    } else if target.starts_with(['?', '&', '*', '(']) || target.starts_with("www.") {
        return None;
    } else {
        format!("file:{target}")
    };
    is_live(&path).then_some(path)
}

/// Breaks up the bracket links in `text` that may not be live.
pub(super) fn defuse<'a>(text: &'a str, report: &mut Report) -> Cow<'a, str> {
    let mut out = String::new();
    let mut from = 0;
    for (at, _) in text.match_indices("[[") {
        let path = &text[at + 2..];
        let live = path.find(['[', ']']).is_some_and(|end| {
            let behind = &path[end..];
            behind.starts_with('[')
                || !(behind.starts_with("]]") || behind.starts_with("]["))
                || is_live(&path[..end])
        });
        if !live {
            report.note("link");
            out.push_str(&text[from..=at]);
            out.push(' ');
            from = at + 1;
        }
    }
    if from == 0 { Cow::Borrowed(text) } else { Cow::Owned(out + &text[from..]) }
}
