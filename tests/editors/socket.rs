//! Editors that can be programmed: a script in them dials the test and does what it is told, a line of JSON at a time.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::editor::{Editor, GUARD, Lack, Offered, Question};
use crate::stage::Stage;

/// An editor that was started, and the line to its script.
pub struct Dialled {
    child: Child,
    stream: BufReader<TcpStream>,
    said: PathBuf,
}

impl Dialled {
    /// Starts `command`, whose script dials the port in `ORG_AGENT_DRIVER`.
    pub fn start(stage: &Stage, mut command: Command, more: &[(&str, String)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let said = stage.home().join("editor.log");
        let log = std::fs::File::create(&said).unwrap();
        let mut child = command
            .env_clear()
            .envs(stage.environment())
            .envs(more.iter().cloned())
            .env("ORG_AGENT_DRIVER", listener.local_addr().unwrap().port().to_string())
            .current_dir(stage.garden())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; `make test-editors` gets it"));
        listener.set_nonblocking(true).unwrap();
        let start = Instant::now();
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            let said = || std::fs::read_to_string(&said).unwrap_or_default();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{command:?} ended, {status}:\n{}", said());
            }
            if start.elapsed() > GUARD {
                child.kill().unwrap();
                panic!("{command:?} does not call:\n{}", said());
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        Self { child, stream: BufReader::new(stream), said }
    }

    /// Has the script do something.
    #[track_caller]
    fn ask(&mut self, name: &str, argument: &Value) -> Offered<Value> {
        let line = json!([name, argument]).to_string() + "\n";
        self.stream.get_mut().write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        if let Err(error) = self.stream.read_line(&mut answer) {
            panic!("{name} {argument}: {error}\n{}", self.trouble());
        }
        let answer: Value = serde_json::from_str(&answer)
            .unwrap_or_else(|_| panic!("{name}: {answer:?}\n{}", self.trouble()));
        if let Some(why) = answer["lacks"].as_str() {
            return Err(Lack(why.to_owned()));
        }
        match answer.get("ok") {
            Some(value) => Ok(value.clone()),
            None => panic!("{name} {argument}: {}\n{}", answer["error"], self.trouble()),
        }
    }

    #[track_caller]
    fn must(&mut self, name: &str, argument: &Value) -> Value {
        self.ask(name, argument).unwrap_or_else(|Lack(why)| panic!("{name}: {why}"))
    }

    #[track_caller]
    fn list(&mut self, name: &str) -> Offered<Vec<String>> {
        let value = self.ask(name, &Value::Null)?;
        Ok(value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect())
    }
}

impl Editor for Dialled {
    fn open(&mut self, file: &Path) -> Offered<()> {
        self.ask("open", &json!(file)).map(drop)
    }

    fn text(&mut self) -> String {
        self.must("text", &Value::Null).as_str().unwrap().to_owned()
    }

    fn go(&mut self, to: &str) {
        self.must("go", &json!(to));
    }

    fn type_at_end(&mut self, text: &str) {
        self.must("type", &json!(text));
    }

    fn actions(&mut self) -> Offered<Vec<String>> {
        self.list("actions")
    }

    fn act(&mut self, title: &str) -> Offered<()> {
        self.ask("act", &json!(title)).map(drop)
    }

    fn act_on(&mut self, text: &str, title: &str) -> Offered<()> {
        self.ask("act_on", &json!([text, title])).map(drop)
    }

    fn lens(&mut self, title: &str) -> Offered<()> {
        self.ask("lens", &json!(title)).map(drop)
    }

    fn execute(&mut self, command: &str) -> Offered<()> {
        self.ask("execute", &json!([command, null])).map(drop)
    }

    fn execute_here(&mut self, command: &str, file: &Path) -> Offered<()> {
        let uri = url::Url::from_file_path(file).unwrap();
        self.ask("execute", &json!([command, [{"uri": uri.as_str()}]])).map(drop)
    }

    fn answer(&mut self, title: Option<&str>) -> Offered<()> {
        self.ask("answer", &json!(title)).map(drop)
    }

    fn leaves_unanswered(&mut self) -> bool {
        self.must("leaves_unanswered", &Value::Null) == true
    }

    fn questions(&mut self) -> Vec<Question> {
        let asked = self.must("questions", &Value::Null);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let question = |one: &Value| Question {
            message: text(&one["message"]),
            titles: one["titles"].as_array().unwrap().iter().map(text).collect(),
        };
        asked.as_array().unwrap().iter().map(question).collect()
    }

    fn progress(&mut self) -> Offered<Vec<String>> {
        self.list("progress")
    }

    fn cancel_progress(&mut self) -> Offered<()> {
        self.ask("cancel_progress", &Value::Null).map(drop)
    }

    fn complete(&mut self, typed: &str, part: &str) -> Offered<()> {
        self.ask("complete", &json!([typed, part])).map(drop)
    }

    fn diagnostics(&mut self) -> Offered<Vec<String>> {
        self.list("diagnostics")
    }

    fn refuse(&mut self, refuses: bool) -> Offered<()> {
        self.ask("refuse", &json!(refuses)).map(drop)
    }

    fn quit(&mut self) {
        self.must("quit", &Value::Null);
        let start = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < GUARD, "the editor does not end\n{}", self.trouble());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    fn trouble(&mut self) -> String {
        format!("the editor said:\n{}", std::fs::read_to_string(&self.said).unwrap_or_default())
    }
}

impl Drop for Dialled {
    fn drop(&mut self) {
        // One that has ended already cannot be killed; nothing is left to do then.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
