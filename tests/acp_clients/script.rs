//! Clients that are a library: a script with it is led by lines of JSON, see `user.py`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::client::{Client, Lack, More, Offered, wait};
use crate::lines::Lines;
use crate::stage::Stage;

pub struct Script {
    /// The program, what it is told first, and what it finds.
    command: Box<dyn Fn() -> Command>,
    log: PathBuf,
    garden: String,
    lines: Lines,
    ready: Value,
    answers: Option<&'static str>,
    said: Vec<Value>,
    /// Results by number.
    results: Vec<(u64, Value)>,
    calls: u64,
    /// The number of the prompt that was sent last.
    prompt: u64,
}

impl Script {
    /// A script that `program` runs; `more` stands in its environment.
    pub fn start(stage: &Stage, program: PathBuf, script: PathBuf, more: &[(&str, String)]) -> Self {
        let (environment, garden, agent) = (stage.environment(), stage.garden(), stage.program());
        let more: Vec<_> = more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let command = Box::new(move || {
            let mut command = Command::new(&program);
            command.arg(&script).arg(&agent).arg("acp").current_dir(&garden);
            command.env_clear().envs(environment.clone()).envs(more.clone());
            command
        });
        let log = stage.home().join("client.log");
        let mut script = Self {
            lines: Lines::start(command(), &log),
            command,
            log,
            garden: stage.garden().to_str().unwrap().to_owned(),
            ready: Value::Null,
            answers: None,
            said: Vec::new(),
            results: Vec::new(),
            calls: 0,
            prompt: 0,
        };
        script.greet();
        script
    }

    fn greet(&mut self) {
        self.ready = wait("the agent to start", || {
            self.hear();
            assert!(!self.lines.is_over(), "the client has ended");
            self.said.iter().rev().find_map(|one| one.get("ready")).cloned()
        });
    }

    /// Takes what was said, and answers what was asked.
    fn hear(&mut self) {
        for one in self.lines.heard() {
            if let Some(number) = one["id"].as_u64() {
                self.results.push((number, one));
                continue;
            }
            if let (Some(question), Some(kind)) = (one.get("question"), self.answers) {
                let options = one["options"].as_array().unwrap();
                let option = options.iter().find(|option| option["kind"] == kind);
                let option = option.unwrap_or_else(|| panic!("no option of kind {kind}: {one}"));
                let answer =
                    json!({"id": 0, "do": "answer", "question": question, "option": option["optionId"]});
                self.lines.say(&answer);
            }
            self.said.push(one);
        }
    }

    /// Says what is to be done; its number.
    fn begin(&mut self, what: &str, mut words: Value) -> u64 {
        self.calls += 1;
        words["id"] = self.calls.into();
        words["do"] = what.into();
        self.lines.say(&words);
        self.calls
    }

    fn result(&mut self, number: u64) -> Value {
        wait(&format!("the answer to request {number}"), || {
            self.hear();
            let at = self.results.iter().position(|(one, _)| *one == number);
            if at.is_none() {
                assert!(!self.lines.is_over(), "the client has ended: {:?}", self.said);
            }
            at.map(|at| self.results.remove(at).1)
        })
    }

    /// Has something done that has to work.
    #[track_caller]
    fn call(&mut self, what: &str, words: &Value) -> Offered<Value> {
        let number = self.begin(what, words.clone());
        let mut result = self.result(number);
        if let Some(why) = result["lack"].as_str() {
            return Err(Lack(why.to_owned()));
        }
        assert!(result.get("result").is_some(), "{what} {words}: {}", result["error"]);
        Ok(result["result"].take())
    }

    fn of(&self, session: &str) -> Value {
        json!({"session": session, "cwd": self.garden})
    }
}

impl Client for Script {
    fn ready(&mut self) -> Value {
        self.ready.clone()
    }

    fn new_session(&mut self) -> String {
        let made = self.call("new", &json!({"cwd": self.garden})).unwrap();
        made["sessionId"].as_str().unwrap().to_owned()
    }

    fn load(&mut self, session: &str) -> Offered<()> {
        self.call("load", &self.of(session)).map(drop)
    }

    fn resume(&mut self, session: &str) -> Offered<()> {
        self.call("resume", &self.of(session)).map(drop)
    }

    fn list(&mut self) -> Offered<Vec<Value>> {
        let list = self.call("list", &json!({"cwd": self.garden}))?;
        Ok(list["sessions"].as_array().unwrap().clone())
    }

    fn close(&mut self, session: &str) -> Offered<()> {
        self.call("close", &json!({"session": session})).map(drop)
    }

    fn delete(&mut self, session: &str) -> Offered<()> {
        self.call("delete", &json!({"session": session})).map(drop)
    }

    fn answers(&mut self, kind: Option<&'static str>) -> Offered<()> {
        self.answers = kind;
        Ok(())
    }

    fn prompt(&mut self, session: &str, text: &str, more: More) -> Offered<()> {
        let pairs = |pairs: Vec<(String, String)>| {
            Value::Object(pairs.into_iter().map(|(name, value)| (name, value.into())).collect())
        };
        let words = json!({"session": session, "text": text, "embedded": pairs(more.embedded), "linked": pairs(more.linked)});
        self.prompt = self.begin("prompt", words);
        Ok(())
    }

    fn turn(&mut self) -> Value {
        self.result(self.prompt)
    }

    fn cancel(&mut self, session: &str) -> Offered<()> {
        self.call("cancel", &json!({"session": session})).map(drop)
    }

    fn set_mode(&mut self, session: &str, mode: &str) -> Offered<()> {
        self.call("mode", &json!({"session": session, "mode": mode})).map(drop)
    }

    fn set_option(&mut self, session: &str, option: &str, value: &str) -> Offered<()> {
        self.call("option", &json!({"session": session, "option": option, "value": value})).map(drop)
    }

    fn extension(&mut self, method: &str, params: Value) -> Offered<Value> {
        self.call("extension", &json!({"method": method, "params": params}))
    }

    fn unsaved(&mut self, file: &Path, text: &str) -> Offered<()> {
        self.call("unsaved", &json!({"path": file.to_str().unwrap(), "text": text})).map(drop)
    }

    fn said(&mut self) -> &[Value] {
        self.hear();
        &self.said
    }

    fn end(&mut self) {
        self.lines.end();
    }

    fn start(&mut self) {
        self.said.clear();
        self.lines = Lines::start((self.command)(), &self.log);
        self.greet();
    }
}
