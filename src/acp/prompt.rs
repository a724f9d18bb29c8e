//! What a client sends as a prompt, as a message: text, and what is attached to it.

use std::path::{Path, PathBuf};

use agent_client_protocol_schema::v1::{ContentBlock, EmbeddedResourceResource};
use url::Url;

use crate::error::{Error, Result};
use crate::record::{Attachment, AttachmentKind};

/// How much of a file that is only named is read, in bytes, and how many lines are asked for.
pub(super) const FILE: usize = 64 * 1024;
pub(super) const FILE_LINES: u32 = 2_000;

/// How many files that are only named are read for a message.
const FILES: usize = 8;

/// How long a name may be, in bytes.
const NAME: usize = 1_024;

/// A message as it was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) context: Vec<Attachment>,
    /// Files in the session's directory that are named, by their names.
    pub(super) named: Vec<(String, PathBuf)>,
}

/// What `blocks` say, in a session in `directory`.
pub(super) fn read(blocks: Vec<ContentBlock>, directory: &str) -> Result<Said> {
    let mut said = Said::default();
    let mut was_text = false;
    for block in blocks {
        let is_text = matches!(block, ContentBlock::Text(_));
        if is_text && was_text {
            said.text.push('\n');
        }
        was_text = is_text;
        match block {
            ContentBlock::Text(text) => said.text.push_str(&text.text),
            ContentBlock::Resource(resource) => match resource.resource {
                EmbeddedResourceResource::TextResourceContents(contents) => {
                    let (name, _) = name(&contents.uri, None, directory);
                    said.text.push_str(&name);
                    said.context.push(attached(name, contents.text));
                }
                _ => return Err(not_understood("what is attached is no text")),
            },
            ContentBlock::ResourceLink(link) => {
                let (name, file) = name(&link.uri, Some(&link.name), directory);
                said.text.push_str(&name);
                if let Some(file) = file.filter(|_| said.named.len() < FILES) {
                    said.named.push((name, file));
                }
            }
            ContentBlock::Image(_) => return Err(not_understood("there is an image in it")),
            ContentBlock::Audio(_) => return Err(not_understood("there is a sound in it")),
            _ => return Err(not_understood("a part of it is of an unknown type")),
        }
    }
    if said.text.trim().is_empty() && said.context.is_empty() {
        return Err(Error::bad_request("nothing to say").because("the prompt has no text"));
    }
    Ok(said)
}

/// A file with its text.
pub(super) fn attached(name: String, text: String) -> Attachment {
    // In a message it would be refused as a whole.
    let text = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text };
    Attachment { kind: AttachmentKind::File, name, text, mode: None }
}

fn not_understood(why: &str) -> Error {
    Error::bad_request("the prompt is not understood").because(why).hint("send text")
}

/// What a resource is called: a file by its path, below `directory` from there on. With the file, if it is there.
fn name(uri: &str, given: Option<&str>, directory: &str) -> (String, Option<PathBuf>) {
    let path = Url::parse(uri).ok().filter(|url| url.scheme() == "file").and_then(|url| {
        let path = url.to_file_path().ok()?;
        // A path with `..` may lead anywhere.
        path.components().all(|part| !matches!(part, std::path::Component::ParentDir)).then_some(path)
    });
    let here = path.as_ref().and_then(|path| path.strip_prefix(directory).ok()).map(Path::to_owned);
    let own = here.as_ref().filter(|path| !path.as_os_str().is_empty()).or(path.as_ref());
    let name = match (own.and_then(|path| path.to_str()), given) {
        (Some(path), _) => path,
        (None, Some(given)) if !given.is_empty() => given,
        _ => uri,
    };
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let name = name[..name.floor_char_boundary(NAME)].to_owned();
    (name, here.and(path))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read_json(blocks: Value) -> Result<Said> {
        read(serde_json::from_value(blocks).unwrap_or_default(), "/home/me/notes")
    }

    #[test]
    fn text_and_what_is_attached_become_a_message() {
        let said = read_json(json!([
            {"type": "text", "text": "Compare "},
            {"type": "resource", "resource": {"uri": "file:///home/me/notes/a%20b.org", "text": "* A\u{0}\n"}},
            {"type": "text", "text": " with "},
            {"type": "resource_link", "name": "c", "uri": "file:///home/me/notes/c.org"},
            {"type": "text", "text": " and"},
            {"type": "text", "text": "this "},
            {"type": "resource_link", "name": "page", "uri": "https://example.org/"},
            {"type": "resource_link", "name": "x", "uri": "file:///etc/passwd"},
            {"type": "resource_link", "name": "y", "uri": "file:///home/me/notes/%2e%2e/secret"},
        ]))
        .unwrap_or_default();
        assert_eq!(said.text, "Compare a b.org with c.org and\nthis page/etc/passwd/home/me/secret");
        let context: Vec<(&str, &str)> =
            said.context.iter().map(|item| (item.name.as_str(), item.text.as_str())).collect();
        assert_eq!(context, [("a b.org", "* A\u{fffd}\n")]);
        assert_eq!(said.named, [("c.org".to_owned(), PathBuf::from("/home/me/notes/c.org"))]);
    }

    #[test]
    fn what_is_no_text_is_refused_and_so_is_nothing() {
        for block in [
            json!({"type": "image", "mimeType": "image/png", "data": ""}),
            json!({"type": "audio", "mimeType": "audio/wav", "data": ""}),
            json!({"type": "resource", "resource": {"uri": "file:///a", "blob": ""}}),
            json!({"type": "text", "text": " \n"}),
        ] {
            assert!(read_json(json!([block])).is_err(), "{block}");
        }
        assert!(read_json(json!([])).is_err());
    }
}
