//! What is offered where the user is, and shown there: code actions, lenses, and which prompts failed.

use serde_json::{Value, json};
use tower_lsp_server::jsonrpc::Id;
use tower_lsp_server::ls_types::Range;

use super::commands::may_open;
use super::features;
use super::layout::{Layout, Target};
use super::turns::{Origin, Turn};
use super::{Plain, wire};

/// The longest word that a link is looked for in.
const WORD: usize = 8192;

/// The most lenses, and the most failures that are shown, of one document: the last ones.
const MOST: usize = 256;

impl Plain {
    pub(super) fn code_actions(&mut self, id: &Id, params: wire::About) {
        let now = tokio::time::Instant::now();
        let uri = params.text_document.uri;
        let only = params.context.only;
        // An editor may carry out unasked what it asked for by kind.
        let any = only.is_empty() || only.iter().any(String::is_empty);
        self.seen(&uri, params.range.map(|range| range.start));
        let offers = if any { self.offers(&uri, params.range) } else { Vec::new() };
        let shown = offers.into_iter().map(|(title, command, argument)| {
            let command = json!({"title": title, "command": command, "arguments": [argument]});
            if self.features.actions { json!({"title": title, "command": command}) } else { command }
        });
        let shown = Value::Array(shown.collect());
        self.out.answer(id.clone(), Ok(shown), now);
    }

    /// Titles, commands and their arguments.
    fn offers(&self, uri: &str, range: Option<Range>) -> Vec<(String, &'static str, Value)> {
        let mut offers = Vec::new();
        let Some(open) = self.documents.get(uri) else { return offers };
        let Some((text, language)) = open.text() else { return offers };
        let layout = Layout::new(&text, language);
        let bytes = range.and_then(|range| open.document.bytes(range).ok());
        let at = bytes.as_ref().map_or_else(|| open.at().unwrap_or_default(), |bytes| bytes.start);
        if self.has_refused(uri) {
            offers.push(("Insert the answer of org-agent".to_owned(), features::APPLY, json!({"uri": uri})));
        }
        if bytes.is_some_and(|bytes| !bytes.is_empty()) {
            offers.push(("Ask about this".to_owned(), features::SEND, json!({"uri": uri, "range": range})));
        }
        // Also where something is selected: some editors take the word that the user is at for selected.
        if !matches!(layout.target(Some(at)), Target::Nothing) {
            let here = range.map(|range| Range::new(range.start, range.start));
            offers.push(("Send to org-agent".to_owned(), features::SEND, json!({"uri": uri, "range": here})));
        }
        let prompt = layout.prompt_at(at);
        if prompt.and_then(|prompt| prompt.event).is_some_and(|event| self.failed.contains_key(event)) {
            offers.push(("Send again".to_owned(), features::RETRY, json!({"uri": uri})));
        }
        if self.turns.values().any(|turn| turn.uri == uri && turn.is_running()) {
            offers.push(("Cancel org-agent".to_owned(), features::CANCEL, json!({"uri": uri})));
        }
        if let Some(link) = link(&text, at) {
            offers.push((format!("Open {link}"), features::OPEN, json!({"url": link})));
        }
        offers
    }

    pub(super) fn lenses(&mut self, id: &Id, params: &wire::About) {
        let now = tokio::time::Instant::now();
        let lenses = self.lenses_of(&params.text_document.uri);
        self.out.answer(id.clone(), Ok(Value::Array(lenses)), now);
    }

    fn lenses_of(&self, uri: &str) -> Vec<Value> {
        let Some(open) = self.documents.get(uri) else { return Vec::new() };
        let Some((text, language)) = open.text() else { return Vec::new() };
        let layout = Layout::new(&text, language);
        let stands = |turn: &Turn, at: usize| match turn.origin {
            Origin::Prompt(anchor) | Origin::Free(anchor) => {
                open.document.at(anchor).is_some_and(|anchor| anchor.offset == at)
            }
            Origin::Nowhere => false,
        };
        let mut lenses = Vec::new();
        for prompt in layout.prompts().iter().rev() {
            if lenses.len() == MOST {
                break;
            }
            let at = prompt.heading.start;
            let running = self.turns.values().filter(|turn| turn.uri == uri && turn.is_running());
            let mut running = running.filter(|turn| match prompt.event {
                Some(event) => turn.event.as_deref() == Some(event),
                None => stands(turn, at),
            });
            let (title, command, mut argument) = match (running.next(), prompt.event) {
                (Some(turn), _) => ("Cancel", features::CANCEL, json!({"uri": uri, "turnId": turn.id})),
                (None, None) => ("Send to org-agent", features::SEND, json!({"uri": uri})),
                (None, Some(event)) if self.failed.contains_key(event) => {
                    ("Send again", features::RETRY, json!({"uri": uri}))
                }
                (None, Some(_)) => continue,
            };
            let (Some(line), Some(place)) = (
                self.range(uri, at..at + text[prompt.heading.clone()].trim_end().len()),
                self.range(uri, at..at),
            ) else {
                continue;
            };
            argument["range"] = json!(place);
            lenses.push(json!({
                "range": line,
                "command": {"title": title, "command": command, "arguments": [argument]},
            }));
        }
        lenses.reverse();
        lenses
    }

    /// Shows on the prompts of a document which of them failed.
    pub(super) fn diagnose(&mut self, uri: &str) {
        let Some((text, language)) = self.documents.get(uri).and_then(super::documents::Open::text) else {
            return;
        };
        let layout = Layout::new(&text, language);
        let mut found = Vec::new();
        for prompt in layout.prompts().iter().rev() {
            if found.len() == MOST {
                break;
            }
            let failed = prompt.event.and_then(|event| self.failed.get(event)).filter(|failed| failed.shown);
            let Some(failed) = failed else { continue };
            let line = text[prompt.heading.clone()].trim_end().len();
            let range = self.range(uri, prompt.heading.start..prompt.heading.start + line);
            found.push(
                json!({"range": range, "severity": 1, "source": "org-agent", "message": failed.reason}),
            );
        }
        found.reverse();
        let Some(open) = self.documents.get_mut(uri) else { return };
        if found.is_empty() && !open.diagnosed {
            return;
        }
        open.diagnosed = !found.is_empty();
        let version = open.document.version();
        let params = json!({"uri": uri, "version": version, "diagnostics": found});
        self.out.call(None, "textDocument/publishDiagnostics", &params);
    }
}

/// The link around a byte that may be opened.
fn link(text: &str, at: usize) -> Option<String> {
    let at = text.floor_char_boundary(at);
    let from = text.ceil_char_boundary(text[..at].rfind(char::is_whitespace).map_or(0, |space| space + 1));
    let to = text[at..].find(char::is_whitespace).map_or(text.len(), |space| at + space);
    // A part of a link would be another one.
    let word = text.get(from..to).filter(|word| word.len() <= WORD)?;
    let start = ["https://", "http://", "mailto:"].iter().filter_map(|scheme| word.find(scheme)).min()?;
    let word = &word[start..];
    let end = word.find(['<', '>', '"', ']', '[', '`', '|', '\\', '^', '{', '}']).unwrap_or(word.len());
    let word = word[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '~', '=']);
    // A bracket belongs to the link only if it opens in it.
    let word = if word.contains('(') { word } else { word.split(')').next().unwrap_or(word) };
    may_open(word).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        for (text, expected) in [
            ("see https://example.org/a_b.", Some("https://example.org/a_b")),
            ("[[https://example.org/x][words]]", Some("https://example.org/x")),
            ("[words](https://example.org/x)", Some("https://example.org/x")),
            ("<mailto:ada@example.org>", Some("mailto:ada@example.org")),
            ("https://en.wikipedia.org/wiki/Org_(x)", Some("https://en.wikipedia.org/wiki/Org_(x)")),
            ("grüße http://ä.example/ü!", Some("http://ä.example/ü")),
            ("file:///etc/passwd", None),
            ("elisp:(foo)", None),
            ("javascript:alert(1)", None),
            ("https://example.org/\u{202e}gro.x", None),
            ("", None),
        ] {
            let last = text.chars().count().saturating_sub(3);
            let at = text.char_indices().nth(last).map_or(0, |(at, _)| at);
            let found = link(text, at).or_else(|| link(text, text.find("ht").unwrap_or(0)));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        let long = format!("{}https://example.org/{}", "x".repeat(10_000), "y".repeat(10_000));
        assert_eq!(link(&long, 10_000), None);
    }
}
