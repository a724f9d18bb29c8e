//! The server without its loop, before a kernel of the test's own: what is answered when, and what is held back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use super::*;
use crate::event::{Decided, Query, Resumed, SessionTask};
use crate::lsp::rpc::{self, Incoming};
use crate::outgoing::{Actuation, Address, Notice, State, TurnState};
use crate::record::Decision;
use crate::request::Choice;

struct Bench {
    server: Server,
    events: mpsc::Receiver<Event>,
    waiting: Vec<Started>,
    next: i64,
}

impl Bench {
    /// A server whose client has introduced itself and has the session `s`.
    fn new() -> Self {
        let (kernel, events) = Handle::new();
        let (reports, _) = mpsc::channel(1);
        let mut bench =
            Self { server: Server::new(kernel, None, reports), events, waiting: Vec::new(), next: 1 };
        let capabilities = json!({"session": {"notices": {}}});
        bench.call("initialize", &json!({"protocolVersion": 1, "clientCapabilities": capabilities}));
        assert!(matches!(bench.event(), Event::Hello { .. }));
        bench.call("session/new", &json!({"cwd": "/", "mcpServers": []}));
        let Event::Session(SessionTask::Create(_), reply) = bench.event() else { panic!("no session") };
        reply.send(Ok(json!({"id": "s"})));
        bench.run();
        bench.answer_reads();
        assert!(bench.server.sessions.contains_key(&"s".into()));
        bench.written();
        bench
    }

    /// Sends a request; its number.
    fn call(&mut self, method: &str, params: &Value) -> i64 {
        let id = self.next;
        self.next += 1;
        let line = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
        let Incoming::Call(call) = rpc::read(line.as_bytes()) else { panic!("no call: {line}") };
        self.server.call(&call);
        self.run();
        id
    }

    /// Lets all that was started go on, as far as it can.
    fn run(&mut self) {
        loop {
            let mut is_still = true;
            for mut work in std::mem::take(&mut self.waiting).into_iter().chain(self.server.take_started()) {
                match work.as_mut().now_or_never() {
                    Some(done) => {
                        is_still = false;
                        self.server.done(done);
                    }
                    None => self.waiting.push(work),
                }
            }
            if is_still {
                return;
            }
        }
    }

    /// What the kernel was told next.
    fn event(&mut self) -> Event {
        self.events.try_recv().unwrap_or_else(|_| panic!("the kernel was told nothing"))
    }

    /// Answers all questions to the kernel that wait, with nothing.
    fn answer_reads(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            let Event::Read(_, reply) = event else { panic!("no question: {event:?}") };
            reply.send(Ok(json!({"items": []})));
            self.run();
        }
    }

    /// What was written since the last look.
    fn written(&mut self) -> Vec<Value> {
        let out = std::mem::take(&mut self.server.out);
        out.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    fn turn(&mut self, state: State) {
        let (turn, session) = ("t".into(), "s".into());
        self.server.take(Outgoing::Turn(TurnState { turn, session, seq: 1, state, reason: None }));
        self.run();
    }

    /// The kernel has a command for the turn `t`.
    fn command(&mut self) {
        let mut reading = crate::verify::Reading::new("*acp*", 1);
        reading.feed(br#"(:type :request :target :shell :payload (:cmd "touch never"))"#).unwrap();
        let permit = crate::policy::judge(reading.finish().unwrap().action, None, None);
        assert_eq!(permit.decision(), Decision::Ask);
        let address =
            Address { actuation: "a".into(), turn: "t".into(), session: "s".into(), attempt: 1, seq: 2 };
        self.server.take(Outgoing::Actuate(Box::new(Actuation::new(address, permit, None))));
        self.run();
    }

    /// The kernel is told that the command does not run, and why.
    #[track_caller]
    fn denied(&mut self) -> String {
        let Event::Decide(decide, reply) = self.event() else { panic!("no decision") };
        assert_eq!((decide.choice, &*decide.actuation.0), (Choice::Deny, "a"));
        let rule = "the user said no".to_owned();
        let decision = Decision::Deny;
        reply.send(Ok(Decided { decision, token: None, steps: None, rule, saved: None, hint: None }));
        self.run();
        decide.message.unwrap_or_default()
    }
}

fn notice() -> Outgoing {
    Outgoing::Notice(Notice { text: "Something new".into(), warns: false })
}

#[test]
fn work_that_breaks_holds_nothing_back() {
    let mut bench = Bench::new();
    let ending = bench.server.hold();
    bench.server.later(Some(&Id::Number(7)), async move {
        let _until_told = ending;
        tokio::task::yield_now().await;
        panic!("asked to");
        #[allow(unreachable_code, reason = "what it would have been")]
        {
            Box::new(|_: &mut Server| {}) as Done
        }
    });
    bench.server.take(notice());
    assert!(bench.written().is_empty(), "it waits for what is being told");
    bench.run();
    bench.run();
    let written = bench.written();
    assert_eq!((&written[0]["id"], &written[0]["error"]["code"]), (&json!(7), &json!(-32603)), "{written:?}");
    assert!(written[1].to_string().contains("Something new"), "{written:?}");
}

#[test]
fn a_load_whose_session_is_closed_meanwhile_is_answered() {
    let mut bench = Bench::new();
    let load = bench.call("session/load", &json!({"sessionId": "s", "cwd": "/", "mcpServers": []}));
    let Event::Resume(_, resumed) = bench.event() else { panic!("not resumed") };
    bench.server.take(notice());
    let close = bench.call("session/close", &json!({"sessionId": "s"}));
    let (session, none) = ("s".into(), Vec::new());
    resumed.send(Ok(Resumed {
        session,
        actuations: Vec::new(),
        missing: none,
        interrupted: Vec::new(),
        resumed: Vec::new(),
        live: Vec::new(),
        events: Vec::new(),
    }));
    for _ in 0..3 {
        let Event::Read(query, reply) = bench.event() else { panic!("no question") };
        assert!(matches!(query, Query::Session(_) | Query::Models { .. } | Query::Skills(..)));
        reply.send(Ok(json!({"items": []})));
    }
    let Event::Release(_, released) = bench.event() else { panic!("not let go") };
    bench.run();
    released.send(Ok(()));
    bench.run();
    bench.answer_reads();
    let written = bench.written();
    let answer = |id: i64| written.iter().find(|message| message["id"] == id).unwrap();
    assert!(answer(close)["error"].is_null(), "{written:?}");
    assert!(answer(load)["error"]["message"].as_str().unwrap().contains("being closed"), "{written:?}");
    assert!(!bench.server.sessions.contains_key(&"s".into()) && !bench.server.holds());
}

#[test]
fn a_command_of_a_session_that_is_closed_does_not_run() {
    let mut bench = Bench::new();
    bench.turn(State::Thinking);
    bench.call("session/close", &json!({"sessionId": "s"}));
    let Event::Cancel(_, cancelled) = bench.event() else { panic!("not cancelled") };
    // It was on its way.
    bench.command();
    assert!(bench.denied().contains("the session is not open"));
    let written = bench.written();
    assert!(written.iter().all(|message| message["method"] != "session/request_permission"), "{written:?}");
    assert!(written.last().unwrap().to_string().contains("the session is not open"), "{written:?}");
    cancelled.send(Ok(true));
    bench.run();
    assert!(bench.events.try_recv().is_err(), "it is not let go before the turn is over");
    bench.turn(State::Cancelled);
    for _ in 0..2 {
        let Event::Read(_, reply) = bench.event() else { panic!("no question") };
        reply.send(Ok(json!({"items": []})));
    }
    assert!(matches!(bench.event(), Event::Release(..)));
}

#[test]
fn a_command_of_a_session_that_was_deleted_does_not_run() {
    let mut bench = Bench::new();
    bench.turn(State::Thinking);
    bench.server.take(Outgoing::Session("s".into(), vec![crate::record::DELETED]));
    bench.command();
    assert!(bench.denied().contains("the session is not open"));
    // Of a turn that was never seen here the kernel learns the same.
    let mut bench = Bench::new();
    bench.server.sessions.clear();
    bench.command();
    let Event::Refused(actuation, why) = bench.event() else { panic!("not refused") };
    assert_eq!((&*actuation.0, why.contains("the session is not open")), ("a", true));
    assert!(bench.written().is_empty());
}

#[test]
fn a_command_that_can_not_be_permitted_is_denied() {
    let mut bench = Bench::new();
    bench.turn(State::Thinking);
    bench.command();
    let question = bench.written().pop().unwrap();
    assert_eq!(question["method"], "session/request_permission");
    let Id::String(id) = serde_json::from_value(question["id"].clone()).unwrap() else { panic!("no id") };
    let run = json!({"outcome": {"outcome": "selected", "optionId": "run"}}).to_string();
    bench.server.answered(&Id::String(id.clone()), Ok(&run));
    let Event::Decide(decide, reply) = bench.event() else { panic!("no decision") };
    assert_eq!(decide.choice, Choice::Run);
    reply.send(Err(Error::internal("cannot write the token").because("the disk is full")));
    bench.run();
    assert!(bench.denied().contains("the disk is full"));
    // Said twice, it counts once.
    bench.server.answered(&Id::String(id), Ok(&run));
    assert!(bench.events.try_recv().is_err());
}

#[test]
fn a_command_that_is_permitted_does_not_begin_if_that_was_taken_back_meanwhile() {
    let mut bench = Bench::new();
    bench.turn(State::Thinking);
    bench.command();
    let question = bench.written().pop().unwrap();
    let Id::String(id) = serde_json::from_value(question["id"].clone()).unwrap() else { panic!("no id") };
    let run = json!({"outcome": {"outcome": "selected", "optionId": "run"}}).to_string();
    bench.server.answered(&Id::String(id), Ok(&run));
    let Event::Decide(_, reply) = bench.event() else { panic!("no decision") };
    bench.call("session/set_mode", &json!({"sessionId": "s", "modeId": "talk"}));
    assert!(matches!(bench.event(), Event::Session(SessionTask::Change(..), _)));
    let (rule, token, decision) = ("the user said run".to_owned(), Some("k".to_owned()), Decision::Allow);
    reply.send(Ok(Decided { decision, token, steps: None, rule, saved: None, hint: None }));
    bench.run();
    let Event::Actuated(actuated, _) = bench.event() else { panic!("no report") };
    assert_eq!(actuated.outcome.status, crate::record::Status::Denied);
    assert_eq!(actuated.token.as_deref(), Some("k"));
    assert!(bench.server.commands.is_empty() && bench.server.jobs.is_empty());
}
