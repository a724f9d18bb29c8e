//! An editor that knows nothing but the language server protocol: it keeps its own texts, counts positions its own
//! way, applies edits only for the version it has, and answers as a test tells it.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;

/// How an editor counts columns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Units {
    Utf8,
    Utf16,
}

/// What an editor does with an edit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnEdit {
    Apply,
    Refuse,
    Error,
    /// Never answers, nor makes it.
    Ignore,
    /// Makes it and never says so.
    Silent,
    /// Says that it made one for an older text, and did not: as Neovim does.
    Pretend,
}

/// What it answers to a question with buttons.
#[derive(Clone)]
pub enum OnAsk {
    Choose(&'static str),
    Dismiss,
    Error,
    Keep,
}

pub struct Text {
    pub text: String,
    pub version: i64,
}

pub struct Editor {
    pub client: Client,
    pub units: Units,
    /// Whether it takes edits with versions.
    pub versions: bool,
    pub texts: BTreeMap<String, Text>,
    pub on_edit: OnEdit,
    pub on_ask: VecDeque<OnAsk>,
    /// What it did with each edit: whether it was applied, and the parameters.
    pub edits: Vec<(bool, Value)>,
    /// Questions with buttons.
    pub asked: Vec<Value>,
    pub messages: Vec<String>,
    pub progress: Vec<Value>,
    pub diagnostics: BTreeMap<String, Value>,
    pub opened: Vec<Value>,
    pub refreshed: usize,
    /// Notifications and requests of no known method.
    pub strange: Vec<Value>,
    /// What the user types as soon as the next edit arrives, before it is looked at.
    /// The document, what stands behind that place, and the text.
    pub types_first: Option<(String, String, String)>,
    answers: BTreeMap<u64, Value>,
    /// The last versions of closed documents.
    versions_of: BTreeMap<String, i64>,
}

/// What an editor announces.
pub fn announced(units: Units, versions: bool) -> Value {
    let encodings = match units {
        Units::Utf8 => json!(["utf-8", "utf-16"]),
        Units::Utf16 => Value::Null,
    };
    json!({
        "general": {"positionEncodings": encodings},
        "window": {"workDoneProgress": true},
        "workspace": {"workspaceEdit": {"documentChanges": versions}, "codeLens": {"refreshSupport": true}},
        "textDocument": {"codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": [""]}}}},
    })
}

impl Editor {
    pub fn start(home: &Path, env: &[(&str, &str)], units: Units, versions: bool) -> Self {
        let mut client = Client::start_in(home, env);
        client.acknowledge = false;
        let params = json!({"processId": null, "capabilities": announced(units, versions)});
        let result = client.request("initialize", &params);
        let encoding = if units == Units::Utf8 { "utf-8" } else { "utf-16" };
        assert_eq!(result["capabilities"]["positionEncoding"], encoding);
        client.notify("initialized", &json!({}));
        Self::of(client, units, versions)
    }

    /// An editor with a server that knows it.
    pub fn of(client: Client, units: Units, versions: bool) -> Self {
        Self {
            client,
            units,
            versions,
            texts: BTreeMap::new(),
            on_edit: OnEdit::Apply,
            on_ask: VecDeque::new(),
            edits: Vec::new(),
            asked: Vec::new(),
            messages: Vec::new(),
            progress: Vec::new(),
            diagnostics: BTreeMap::new(),
            opened: Vec::new(),
            refreshed: 0,
            strange: Vec::new(),
            types_first: None,
            answers: BTreeMap::new(),
            versions_of: BTreeMap::new(),
        }
    }

    // What the user does.

    /// Opens a document. Versions go on where they ended: where they begin anew, an edit that was under way when the
    /// document was closed could pass for one of the new text.
    pub fn open(&mut self, uri: &str, language: &str, text: &str) {
        let version = self.versions_of.entry(uri.to_owned()).or_default();
        *version += 1;
        self.texts.insert(uri.to_owned(), Text { text: text.to_owned(), version: *version });
        let document = json!({"uri": uri, "languageId": language, "version": *version, "text": text});
        self.client.notify("textDocument/didOpen", &json!({"textDocument": document}));
    }

    pub fn close(&mut self, uri: &str) -> String {
        self.client.notify("textDocument/didClose", &json!({"textDocument": {"uri": uri}}));
        let Text { text, version } = self.texts.remove(uri).unwrap();
        self.versions_of.insert(uri.to_owned(), version);
        text
    }

    /// Types at a byte, or in place of some.
    pub fn replace(&mut self, uri: &str, from: usize, to: usize, new: &str) {
        let units = self.units;
        let Text { text, version } = self.texts.get_mut(uri).unwrap();
        let range = json!({"start": position(text, from, units), "end": position(text, to, units)});
        text.replace_range(from..to, new);
        *version += 1;
        let changes = json!([{"range": range, "text": new}]);
        let document = json!({"uri": uri, "version": *version});
        self.client
            .notify("textDocument/didChange", &json!({"textDocument": document, "contentChanges": changes}));
    }

    /// Types at the end.
    pub fn append(&mut self, uri: &str, new: &str) {
        let end = self.text(uri).len();
        self.replace(uri, end, end, new);
    }

    /// Types behind the first place of `mark`.
    pub fn type_behind(&mut self, uri: &str, mark: &str, new: &str) {
        let at = self.text(uri).find(mark).unwrap_or_else(|| panic!("no {mark:?} in {}", self.text(uri)));
        self.replace(uri, at + mark.len(), at + mark.len(), new);
    }

    /// Makes the text another one, all at once, as an undo would.
    pub fn set(&mut self, uri: &str, new: &str) {
        let Text { text, version } = self.texts.get_mut(uri).unwrap();
        new.clone_into(text);
        *version += 1;
        let document = json!({"uri": uri, "version": *version});
        let params = json!({"textDocument": document, "contentChanges": [{"text": new}]});
        self.client.notify("textDocument/didChange", &params);
    }

    pub fn text(&self, uri: &str) -> &str {
        &self.texts[uri].text
    }

    /// The range of the first place of `mark`.
    pub fn range_of(&self, uri: &str, mark: &str) -> Value {
        let text = self.text(uri);
        let at = text.find(mark).unwrap();
        json!({"start": position(text, at, self.units), "end": position(text, at + mark.len(), self.units)})
    }

    /// A range without length at the first place of `mark`.
    pub fn place_of(&self, uri: &str, mark: &str) -> Value {
        let range = self.range_of(uri, mark);
        json!({"start": range["start"], "end": range["start"]})
    }

    pub fn command(&mut self, command: &str, arguments: &Value) -> Value {
        let params = json!({"command": command, "arguments": arguments});
        self.request("workspace/executeCommand", &params).unwrap()
    }

    pub fn send(&mut self, uri: &str) {
        assert_eq!(self.command("org-agent.send", &json!([{"uri": uri}])), Value::Null);
    }

    /// The code actions at a range, by their titles.
    pub fn actions(&mut self, uri: &str, range: &Value) -> BTreeMap<String, Value> {
        let params = json!({"textDocument": {"uri": uri}, "range": range, "context": {"diagnostics": []}});
        let actions = self.request("textDocument/codeAction", &params).unwrap();
        let of = |action: &Value| (action["title"].as_str().unwrap().to_owned(), action.clone());
        actions.as_array().unwrap().iter().map(of).collect()
    }

    /// Carries out a code action or a lens.
    pub fn carry_out(&mut self, action: &Value) {
        let command = if action["command"].is_object() { &action["command"] } else { action };
        let (name, arguments) =
            (command["command"].as_str().unwrap().to_owned(), command["arguments"].clone());
        self.command(&name, &arguments);
    }

    /// The lenses of a document: the line each is over, and its title.
    pub fn lenses(&mut self, uri: &str) -> Vec<(u64, String)> {
        let lenses = self.request("textDocument/codeLens", &json!({"textDocument": {"uri": uri}})).unwrap();
        let of = |lens: &Value| {
            let title = lens["command"]["title"].as_str().unwrap().to_owned();
            (lens["range"]["start"]["line"].as_u64().unwrap(), title)
        };
        lenses.as_array().unwrap().iter().map(of).collect()
    }

    /// What completes behind the first place of `mark`: labels and details.
    pub fn completions(&mut self, uri: &str, mark: &str) -> Vec<Value> {
        let end = self.range_of(uri, mark)["end"].clone();
        let params = json!({"textDocument": {"uri": uri}, "position": end});
        self.request("textDocument/completion", &params).unwrap().as_array().unwrap().clone()
    }

    // What comes.

    pub fn request(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        let id = self.client.ask(method, params);
        self.answer(id)
    }

    pub fn answer(&mut self, id: u64) -> Result<Value, Value> {
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return answer
                    .get("error")
                    .map_or_else(|| Ok(answer["result"].clone()), |no| Err(no.clone()));
            }
            self.pump();
        }
    }

    /// Takes what comes until something holds.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let start = std::time::Instant::now();
        while !holds(self) {
            // A guard against hanging: whatever comes may not be what is waited for.
            assert!(start.elapsed() < Duration::from_secs(60), "waiting until {what}: {}", self.state());
            if let Some(message) = self.client.poll(Duration::from_millis(200)) {
                self.take(message);
            }
        }
    }

    /// Waits until a document contains something.
    #[track_caller]
    pub fn until_text(&mut self, uri: &str, mark: &str) {
        self.until(&format!("{uri} has {mark:?}"), |editor| editor.text(uri).contains(mark));
    }

    /// Waits for the end of that many turns in all.
    #[track_caller]
    pub fn until_ended(&mut self, turns: usize) {
        self.until(&format!("{turns} turns ended"), |editor| editor.ended() >= turns);
    }

    /// How many turns have ended, as the progress says.
    pub fn ended(&self) -> usize {
        self.progress.iter().filter(|params| params["value"]["kind"] == "end").count()
    }

    pub fn state(&self) -> String {
        let texts: Vec<String> =
            self.texts.iter().map(|(uri, text)| format!("{uri}:\n{}", text.text)).collect();
        format!(
            "{}\nmessages: {:#?}\nprogress: {:?}\nlog: {}",
            texts.join("\n"),
            self.messages,
            self.progress.iter().map(|it| it["value"]["message"].to_string()).collect::<Vec<_>>(),
            self.client.log()
        )
    }

    fn pump(&mut self) {
        let message = self.client.next().unwrap_or_else(|| panic!("the server left\n{}", self.client.log()));
        self.take(message);
    }

    fn reply(&mut self, id: &Value, result: &Value) {
        self.client.send(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
    }

    fn fail(&mut self, id: &Value) {
        let error = json!({"code": -32601, "message": "method not found"});
        self.client.send(&json!({"jsonrpc": "2.0", "id": id, "error": error}));
    }

    fn take(&mut self, message: Value) {
        let params = message["params"].clone();
        let id = message["id"].clone();
        match message["method"].as_str() {
            None => {
                self.answers.insert(id.as_u64().unwrap(), message);
            }
            Some("workspace/applyEdit") => self.edit(&id, params),
            Some("window/showMessageRequest") => {
                self.asked.push(params);
                match self.on_ask.pop_front().unwrap_or(OnAsk::Dismiss) {
                    OnAsk::Choose(title) => self.reply(&id, &json!({"title": title})),
                    OnAsk::Dismiss => self.reply(&id, &Value::Null),
                    OnAsk::Error => self.fail(&id),
                    OnAsk::Keep => {}
                }
            }
            Some("window/showDocument") => {
                self.opened.push(params);
                self.fail(&id);
            }
            Some("window/workDoneProgress/create") => self.reply(&id, &Value::Null),
            Some("workspace/codeLens/refresh") => {
                self.refreshed += 1;
                self.reply(&id, &Value::Null);
            }
            Some("window/showMessage") => self.messages.push(params["message"].as_str().unwrap().to_owned()),
            Some("$/progress") => self.progress.push(params),
            Some("textDocument/publishDiagnostics") => {
                let uri = params["uri"].as_str().unwrap().to_owned();
                self.diagnostics.insert(uri, params["diagnostics"].clone());
            }
            Some(_) => self.strange.push(message),
        }
    }

    fn edit(&mut self, id: &Value, params: Value) {
        if let Some((uri, before, new)) = self.types_first.take()
            && self.texts.contains_key(&uri)
        {
            let at = self.text(&uri).find(&before).unwrap();
            self.replace(&uri, at, at, &new);
        }
        match self.on_edit {
            OnEdit::Refuse => {
                self.edits.push((false, params));
                self.reply(id, &json!({"applied": false, "failureReason": "not now"}));
            }
            OnEdit::Error => {
                self.edits.push((false, params));
                self.fail(id);
            }
            OnEdit::Ignore => self.edits.push((false, params)),
            OnEdit::Apply | OnEdit::Silent | OnEdit::Pretend => {
                let applied = self.apply(&params["edit"]);
                self.edits.push((applied, params));
                if self.on_edit != OnEdit::Silent {
                    self.reply(id, &json!({"applied": applied || self.on_edit == OnEdit::Pretend}));
                }
            }
        }
    }

    /// Applies an edit if it is for what is here; whether it did.
    fn apply(&mut self, edit: &Value) -> bool {
        let (uri, edits, version) = if self.versions {
            assert!(edit.get("changes").is_none(), "{edit}");
            let changes = edit["documentChanges"].as_array().unwrap();
            assert_eq!(changes.len(), 1, "{edit}");
            let document = &changes[0]["textDocument"];
            (document["uri"].as_str().unwrap(), &changes[0]["edits"], document["version"].as_i64())
        } else {
            let changes = edit["changes"].as_object().unwrap();
            assert_eq!((changes.len(), edit.get("documentChanges")), (1, None));
            let (uri, edits) = changes.iter().next().unwrap();
            (uri.as_str(), edits, None)
        };
        let units = self.units;
        let Some(Text { text, version: own }) = self.texts.get_mut(uri) else { return false };
        if version.is_some_and(|version| version != *own) {
            return false;
        }
        let mut changes: Vec<(usize, usize, &str)> = edits
            .as_array()
            .unwrap()
            .iter()
            .map(|edit| {
                let at = |end: &str| offset(text, &edit["range"][end], units);
                (at("start"), at("end"), edit["newText"].as_str().unwrap())
            })
            .collect();
        assert!(!changes.is_empty(), "{edit}");
        changes.sort_by_key(|(start, ..)| *start);
        for pair in changes.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "overlapping: {edits}");
        }
        let mut sent = Vec::new();
        for (from, to, new) in changes.into_iter().rev() {
            let range = json!({"start": position(text, from, units), "end": position(text, to, units)});
            text.replace_range(from..to, new);
            sent.push(json!({"range": range, "text": new}));
        }
        *own += 1;
        let document = json!({"uri": uri, "version": *own});
        let params = json!({"textDocument": document, "contentChanges": sent});
        self.client.notify("textDocument/didChange", &params);
        true
    }

    /// Leaves as an editor should.
    pub fn finish(mut self) {
        assert_eq!(self.strange, [] as [Value; 0]);
        self.request("shutdown", &Value::Null).unwrap();
        self.client.notify("exit", &Value::Null);
        assert!(self.client.ended().success());
    }
}

/// The position of a byte.
pub fn position(text: &str, at: usize, units: Units) -> Value {
    let before = &text[..at];
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap();
    let character = match units {
        Units::Utf8 => column.len(),
        Units::Utf16 => column.encode_utf16().count(),
    };
    json!({"line": line, "character": character})
}

/// The byte at a position, which must be one.
pub fn offset(text: &str, position: &Value, units: Units) -> usize {
    let (line, character) = (position["line"].as_u64().unwrap(), position["character"].as_u64().unwrap());
    let mut start = 0;
    for _ in 0..line {
        start += text[start..].find('\n').unwrap_or_else(|| panic!("no line {line}")) + 1;
    }
    let mut column = 0;
    for (at, c) in text[start..].char_indices() {
        if column == character {
            return start + at;
        }
        assert!(c != '\n' && column < character, "no position {position}");
        column += match units {
            Units::Utf8 => c.len_utf8(),
            Units::Utf16 => c.len_utf16(),
        } as u64;
    }
    assert_eq!(column, character, "no position {position}");
    text.len()
}
