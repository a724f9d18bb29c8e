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
    "bibtex",
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

/// The types that may be live, as they are to be written: exports take another case for no type of theirs.
const LIVE: &[&str] = &["https", "http", "mailto", "id"];

/// Where a type that may not be live begins, if `tail` ends with one that stands as a word.
pub(super) fn ends_with_type(tail: &[u8]) -> Option<usize> {
    tail.last().filter(|b| b.is_ascii_alphanumeric())?;
    let ends = |kind: &str, exact: bool| {
        let at = tail.len().checked_sub(kind.len())?;
        let (before, word) = tail.split_at(at);
        let is_word = !before.last().is_some_and(u8::is_ascii_alphanumeric);
        let same = word.eq_ignore_ascii_case(kind.as_bytes()) && !(exact && word == kind.as_bytes());
        (is_word && same).then_some(at)
    };
    OTHER.iter().find_map(|kind| ends(kind, false)).or_else(|| LIVE.iter().find_map(|kind| ends(kind, true)))
}

/// Whether an object that began before a link could end inside its `path` and leave a part of that to be read
/// for itself, which would then act: a type of a link, or inline source.
fn hides(path: &str) -> bool {
    let bytes = path.as_bytes();
    let acts = |rest: &[u8]| {
        let begins = |word: &str, end: &[u8]| {
            rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()))
                && rest[word.len()..].starts_with(end)
        };
        begins("src_", b"")
            || begins("call_", b"")
            || OTHER.iter().chain(LIVE).chain(&["file"]).any(|kind| begins(kind, b":"))
    };
    // Marks that end an object, and what has to follow some of them.
    let (marks, behind) = (b"*/_+=~$)}>", b" \t-.,:;!?'\")}>\\[");
    let mut exposed = false;
    (1..bytes.len()).any(|at| {
        let before = bytes[at - 1];
        let ends = behind.contains(&before) || before == b'<';
        exposed |= ends && at > 1 && marks.contains(&bytes[at - 2]);
        (ends || exposed && !before.is_ascii_alphanumeric()) && acts(&bytes[at..])
    })
}

/// Whether a bracket link to `path` may be live.
pub(super) fn is_live(path: &str) -> bool {
    let code = path.contains("src_") && path.contains('{') || path.contains("call_") && path.contains('(');
    if path.trim() != path || code || UNSAFE.iter().any(|part| path.contains(part)) || hides(path) {
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
        Some(("file", rest)) => {
            is_local(rest.strip_prefix("//").filter(|r| r.starts_with('/')).unwrap_or(rest))
        }
        Some((kind, rest)) => {
            // An export would write what is hidden in a host's `%` as it is.
            let host = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next());
            !host.is_some_and(|host| host.contains('%')) && !rest.is_empty() && LIVE.contains(&kind)
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
            !before.last().is_some_and(u8::is_ascii_alphanumeric) && word == kind.as_bytes()
        })
    })
}

/// The Org path of a Markdown link's target, if that may be live.
pub(super) fn from_markdown(target: &str) -> Option<String> {
    let target = target.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(target);
    if target.is_empty() || target.contains(['<', '>']) {
        return None;
    }
    let path = if let Some((kind, rest)) = target.split_once(':') {
        format!("{}:{rest}", kind.to_ascii_lowercase())
    } else if target.starts_with('#') {
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
