//! What completes in an open prompt: `/NAME` of a skill at its beginning, and behind an `@` the name of an open document,
//! of a file beside this one, or a session. What is named so goes along with the message.

use std::fs;
use std::io::Read;
use std::ops::Range;

use serde_json::{Value, json};
use tower_lsp_server::jsonrpc::Id;

use super::commands::{MAX_TEXT, name};
use super::documents::path;
use super::layout::Layout;
use super::{Done, Plain, wire};
use crate::event::{Answer, Event, Query, reply};
use crate::ids::SessionId;
use crate::record::{Attachment, AttachmentKind};
use crate::request::{ChatMessage, Page, Sessions};

/// The most names of one kind that are offered.
const MOST: usize = 500;

/// The most things that go along with a message, and the most bytes of all, as for other clients.
const MOST_NAMED: usize = 31;
const MOST_BYTES: usize = 3 << 20;

/// What begins the name of a session.
const SESSION: &str = "session:";

/// What is being completed, with the bytes it has so far.
enum Wanted {
    Skill(Range<usize>),
    Context(Range<usize>),
}

impl Plain {
    pub(super) fn complete(&mut self, id: &Id, params: wire::About) {
        let uri = params.text_document.uri;
        self.seen(&uri, params.position);
        let wanted = self.wanted(&uri);
        let directory = path(&uri).and_then(|path| Some(path.rsplit_once('/')?.0.to_owned()));
        match wanted {
            None => self.out.answer(id.clone(), Ok(json!([])), tokio::time::Instant::now()),
            Some(Wanted::Skill(bytes)) => {
                let Some(range) = self.range(&uri, bytes) else { return };
                let page = Page { limit: Some(500), cursor: None };
                let query = Query::Skills(page, directory.map(Into::into));
                let asked = id.clone();
                self.waiting.push(id.clone());
                self.tell(
                    |reply| Event::Read(query, reply),
                    move |result| {
                        let skills = result.unwrap_or_default();
                        let items = skills["items"].as_array().into_iter().flatten().filter_map(|skill| {
                            let called = format!("/{}", skill["name"].as_str()?);
                            let triggers = skill["triggers"].as_array()?;
                            let said = skill["description"].as_str().unwrap_or_default();
                            let item = item(&called, &one_line(said), 3, range);
                            triggers.iter().any(|trigger| *trigger == called.as_str()).then_some(item)
                        });
                        Done::Completed(asked, items.collect())
                    },
                );
            }
            Some(Wanted::Context(bytes)) => {
                let Some(range) = self.range(&uri, bytes) else { return };
                let open: Vec<String> = self
                    .documents
                    .keys()
                    .filter(|other| **other != uri)
                    .map(|other| document_name(other))
                    .filter(|name| !name.contains(char::is_whitespace))
                    .take(MOST)
                    .collect();
                let own = self.documents.get(&uri).and_then(|open| open.session.clone());
                let page = Page { limit: Some(100), cursor: None };
                let which = Sessions { recent: true, archived: Some(false), ..Sessions::default() };
                let sessions = self.read(Query::Sessions { which, page });
                let asked = id.clone();
                self.waiting.push(id.clone());
                self.started.push(Box::pin(async move {
                    let here = document_name(&uri);
                    let files = match directory {
                        Some(directory) => tokio::task::spawn_blocking(move || files(&directory)).await,
                        None => Ok(Vec::new()),
                    };
                    let mut items: Vec<Value> =
                        open.iter().map(|name| item(&format!("@{name}"), "open here", 17, range)).collect();
                    for file in files.unwrap_or_default() {
                        if file != here && !open.contains(&file) {
                            items.push(item(&format!("@{file}"), "file", 17, range));
                        }
                    }
                    let sessions = match sessions {
                        Some(sessions) => sessions.get().await.unwrap_or_default(),
                        None => Value::Null,
                    };
                    for session in sessions["items"].as_array().into_iter().flatten() {
                        if let (Some(id), Some(title)) = (session["id"].as_str(), session["title"].as_str())
                            && own.as_ref().is_none_or(|own| own.as_str() != id)
                        {
                            let label = format!("@{SESSION}{id}");
                            let mut item = item(&label, &one_line(title), 18, range);
                            item["filterText"] = format!("@{} {label}", one_line(title)).into();
                            items.push(item);
                        }
                    }
                    Done::Completed(asked, items.into())
                }));
            }
        }
    }

    /// What is being completed where the user is.
    fn wanted(&self, uri: &str) -> Option<Wanted> {
        let open = self.documents.get(uri)?;
        let (at, (text, language)) = (open.at()?, open.text()?);
        let layout = Layout::new(&text, language);
        let prompt = layout.open_at(at).filter(|prompt| prompt.body.start <= at)?;
        let before = text.get(prompt.body.start..at)?;
        let start = before
            .rfind(char::is_whitespace)
            .map_or(0, |space| space + before[space..].chars().next().map_or(1, char::len_utf8));
        let word = &before[start..];
        let bytes = prompt.body.start + start..at;
        match word.chars().next()? {
            '/' if before[..start].trim().is_empty() => Some(Wanted::Skill(bytes)),
            '@' => Some(Wanted::Context(bytes)),
            _ => None,
        }
    }

    /// Takes along what a message names, and sends it: at once, if it names nothing.
    pub(super) fn gather(&mut self, key: u64, uri: &str, message: ChatMessage) {
        let names = mentions(&message.text);
        if names.is_empty() {
            return self.gathered(key, message);
        }
        let directory = path(uri).and_then(|path| Some(path.rsplit_once('/')?.0.to_owned()));
        let mut open: Vec<Attachment> = Vec::new();
        let mut files: Vec<String> = Vec::new();
        let mut sessions: Vec<(String, Answer<Value>)> = Vec::new();
        for named in names {
            if let Some(session) = named.strip_prefix(SESSION) {
                let id = SessionId::from(session);
                sessions.extend(self.read(Query::Export(id)).map(|answer| (named.clone(), answer)));
                continue;
            }
            let other =
                self.documents.iter().find(|(other, _)| *other != uri && document_name(other) == named);
            match other.and_then(|(_, open)| open.document.text().ok()) {
                Some(text) => {
                    open.push(Attachment { kind: AttachmentKind::Buffer, name: named, text, mode: None });
                }
                None => files.push(named),
            }
        }
        self.started.push(Box::pin(async move {
            let mut found = open;
            if let Some(directory) = directory.filter(|_| !files.is_empty()) {
                let read =
                    move || files.iter().filter_map(|file| read_file(&directory, file)).collect::<Vec<_>>();
                found.extend(tokio::task::spawn_blocking(read).await.unwrap_or_default());
            }
            for (named, answer) in sessions {
                if let Ok(session) = answer.get().await
                    && let Some(text) = session["org"].as_str()
                {
                    let text = text.to_owned();
                    found.push(Attachment { kind: AttachmentKind::Note, name: named, text, mode: None });
                }
            }
            let mut message = message;
            let mut bytes: usize = 0;
            for mut attachment in found {
                let end = attachment.text.floor_char_boundary(MAX_TEXT);
                attachment.text.truncate(end);
                bytes += attachment.text.len();
                if bytes <= MOST_BYTES && message.context.len() <= MOST_NAMED {
                    message.context.push(attachment);
                }
            }
            Done::Gathered(key, Box::new(message))
        }));
    }

    /// Asks the kernel something now, for later.
    fn read(&self, query: Query) -> Option<Answer<Value>> {
        let (reply, answer) = reply();
        self.kernel.send(Event::Read(query, reply)).ok().map(|()| answer)
    }
}

/// What a text names behind an `@` that begins a word, each once.
fn mentions(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = word.trim_start_matches(['(', '"', '\'', '{', '“', '‘']);
        let Some(named) = word.strip_prefix('@') else { continue };
        // What ends a sentence, or what it stands in, is not the name's.
        let named = named.trim_end_matches([')', '"', '\'', '}', '”', '’', ',', ';', ':', '!', '?', '.']);
        if !named.is_empty() && found.len() < MOST_NAMED && !found.iter().any(|known| known == named) {
            found.push(named.to_owned());
        }
    }
    found
}

/// A file beside a document, if it is one, is text, and not too large.
fn read_file(directory: &str, file: &str) -> Option<Attachment> {
    if file.contains('/') || file == "." || file == ".." {
        return None;
    }
    // A link to a file elsewhere is none of those beside the document.
    let directory = fs::canonicalize(directory).ok()?;
    let path = fs::canonicalize(directory.join(file)).ok()?;
    if path.parent() != Some(&directory) {
        return None;
    }
    // Opening a pipe or a device could wait for ever.
    if !fs::metadata(&path).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    fs::File::open(&path).ok()?.take(MAX_TEXT as u64 + 1).read_to_string(&mut text).ok()?;
    (text.len() <= MAX_TEXT).then(|| Attachment {
        kind: AttachmentKind::File,
        name: name(file),
        text,
        mode: None,
    })
}

/// The files in a directory that can be named.
fn files(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().take(10 * MOST);
    let mut names: Vec<String> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && !name.ends_with('~'))
        .filter(|name| !name.contains(|c: char| c.is_whitespace() || c.is_control()))
        .collect();
    names.sort();
    names.truncate(MOST);
    names
}

/// What a document is called behind an `@`.
fn document_name(uri: &str) -> String {
    name(&path(uri).unwrap_or_else(|| uri.to_owned()))
}

fn item(label: &str, detail: &str, kind: u8, range: tower_lsp_server::ls_types::Range) -> Value {
    // Without `filterText`, which would be the same: Neovim 0.7 keeps to the range only then.
    json!({"label": label, "detail": detail, "kind": kind,
        "textEdit": {"range": range, "newText": label}})
}

/// A text in one line of at most 60 characters.
fn one_line(text: &str) -> String {
    let line: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    line.join(" ").chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named() {
        let named =
            mentions("Compare @a.org, (@b.md) and “@Grüße.txt”. Write to ada@example.org @ once. @a.org @c.");
        assert_eq!(named, ["a.org", "b.md", "Grüße.txt", "c"]);
        assert_eq!(mentions(&"@x ".repeat(3)), ["x"]);
        let many: String = (0..100).map(|number| format!("@{number} ")).collect();
        assert_eq!(mentions(&many).len(), MOST_NAMED);
    }

    #[test]
    fn files_beside_a_document() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().to_str().unwrap();
        fs::write(home.path().join("b.txt"), "b").unwrap();
        fs::write(home.path().join("a.txt"), [0xff]).unwrap();
        fs::write(home.path().join(".hidden"), "").unwrap();
        fs::write(home.path().join("two words"), "").unwrap();
        fs::create_dir(home.path().join("sub")).unwrap();
        assert_eq!(files(directory), ["a.txt", "b.txt"]);
        assert_eq!(read_file(directory, "b.txt").unwrap().text, "b");
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("secret"), home.path().join("link")).unwrap();
        std::os::unix::fs::symlink("b.txt", home.path().join("same")).unwrap();
        assert_eq!(read_file(directory, "same").unwrap().text, "b");
        for none in ["link", "a.txt", "sub", "../b.txt", "..", "/etc/passwd", "none"] {
            assert!(read_file(directory, none).is_none(), "{none}");
        }
        fs::write(home.path().join("large"), "x".repeat(MAX_TEXT + 1)).unwrap();
        assert!(read_file(directory, "large").is_none());
    }
}
