//! The loop against a small kernel of the test's own, over pipes and in one process.

#![expect(clippy::needless_pass_by_value, reason = "calls with `json!` read better without a reference")]

use std::io::{PipeReader, PipeWriter, pipe};

use serde_json::{Value, json};

use super::*;
use crate::event::{Query, Receipt, Reply};
use crate::lsp::framing::{Found, Framing};
use crate::outgoing::{Address, State, TurnState};

/// A client on the other side of the pipes; `None` is the end of the server's output.
struct Peer {
    input: Option<PipeWriter>,
    output: std::sync::mpsc::Receiver<Option<Value>>,
    server: std::thread::JoinHandle<Result<u8>>,
}

/// What the test's kernel does with an event. `false` ends it.
type Kernel = fn(Event, &mpsc::Sender<Outgoing>, &mut Vec<Reply<Value>>) -> Result<bool>;

impl Peer {
    fn new(kernel: Kernel) -> Self {
        let (input, to_server) = pipe().unwrap();
        let (from_server, output) = pipe().unwrap();
        let server = std::thread::spawn(move || run_server(input, output, kernel));
        Self { input: Some(to_server), output: read_all(from_server), server }
    }

    fn initialized(kernel: Kernel) -> Self {
        let mut peer = Self::new(kernel);
        peer.send(json!({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"capabilities":{"experimental":{"orgAgent":{"version":1}}}}}));
        assert_eq!(peer.receive()["result"]["capabilities"]["experimental"]["orgAgent"]["version"], 1);
        peer
    }

    fn send(&mut self, message: Value) {
        let body = message.to_string();
        self.send_raw(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }

    fn send_raw(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn request(&mut self, id: u64, method: &str, params: Value) {
        self.send(json!({"jsonrpc":"2.0","id":id,"method":method,"params":params}));
    }

    fn receive(&mut self) -> Value {
        self.next().expect("the server ended its output")
    }

    fn next(&mut self) -> Option<Value> {
        self.output.recv_timeout(Duration::from_secs(60)).expect("the server says nothing")
    }

    /// Sends no more; the exit status, and what was left unread.
    fn end(mut self) -> (u8, Vec<Value>) {
        drop(self.input.take());
        let mut rest = Vec::new();
        while let Some(message) = self.next() {
            rest.push(message);
        }
        (self.server.join().unwrap().unwrap(), rest)
    }
}

fn run_server(input: PipeReader, output: PipeWriter, kernel: Kernel) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (handle, mut events) = Handle::new();
        let (sender, outgoing) = mpsc::channel(64);
        let task = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Some(event) = events.recv().await {
                if let Event::Stop(reply) = event {
                    reply.send(Ok(()));
                    break;
                }
                if !kernel(event, &sender, &mut held)? {
                    break;
                }
            }
            Ok(())
        });
        serve(input, output, Line { kernel: handle, outgoing, task }).await
    })
}

fn read_all(mut output: PipeReader) -> std::sync::mpsc::Receiver<Option<Value>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut framing = Framing::new();
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = output.read(&mut chunk) {
            framing.push(&chunk[..length], |found| match found {
                Found::Body(body) => {
                    sender.send(Some(serde_json::from_slice(&body).unwrap())).unwrap();
                }
                Found::Fault(fault) => panic!("the server wrote a bad frame: {fault}"),
            });
        }
        assert_eq!(framing.finish(), None);
        sender.send(None).unwrap();
    });
    receiver
}

fn turn(seq: u64) -> Outgoing {
    Outgoing::Turn(TurnState {
        turn: "t".into(),
        session: "s".into(),
        seq,
        state: State::Accepted,
        reason: None,
    })
}

/// Answers chats, then sends three messages of their turns; keeps reads of messages waiting; answers the rest.
fn kernel(event: Event, outgoing: &mpsc::Sender<Outgoing>, held: &mut Vec<Reply<Value>>) -> Result<bool> {
    match event {
        Event::Chat(message, reply) => {
            reply.send(Ok(Receipt {
                event: message.client_id.as_str().into(),
                session: "s".into(),
                turn: "t".into(),
                lamport: 1,
                duplicate: false,
                edited: Vec::new(),
            }));
            for seq in 1..=3 {
                // The test reads; if it does not, the message is lost and the test fails.
                outgoing.try_send(turn(seq)).ok();
            }
        }
        Event::Read(Query::Messages(..), reply) => held.push(reply),
        Event::Read(Query::Session(id), _) if id.as_str() == "stop" => return Ok(false),
        Event::Read(Query::Session(id), _) if id.as_str() == "fail" => {
            return Err(Error::internal("disk full"));
        }
        Event::Read(Query::Session(id), _) if id.as_str() == "panic" => panic!("asked to"),
        Event::Read(query, reply) => reply.send(Ok(Value::from(format!("{query:?}")))),
        Event::Cancel(turn, reply) => {
            let address = Address { actuation: "a".into(), turn, session: "s".into(), attempt: 0, seq: 1 };
            let permit = crate::policy::judge(crate::verify::system_error("broken", None), None, None);
            reply.send(Ok(true));
            outgoing.try_send(Outgoing::Actuate(Box::new(Actuation::new(address, permit, None)))).ok();
        }
        Event::Refused(actuation, message) => {
            let reason = Some(format!("{actuation}: {message}"));
            outgoing
                .try_send(Outgoing::Turn(TurnState {
                    turn: "t".into(),
                    session: "s".into(),
                    seq: 9,
                    state: State::Failed,
                    reason,
                }))
                .ok();
        }
        _ => {}
    }
    Ok(true)
}

fn event(text: &str) -> Value {
    json!({"sensor":"chat-message","clientId":text,"text":text})
}

#[test]
fn the_answer_precedes_the_messages_of_its_turn() {
    let mut peer = Peer::initialized(kernel);
    // All in one write, so that answers and messages are ready together.
    let mut bytes = Vec::new();
    for id in 1..=20 {
        rpc::write_call(
            &mut bytes,
            None,
            "orgAgent/output",
            &json!({"actuationId":"a","seq":1,"stream":"stdout","text":""}),
        );
        let body =
            json!({"jsonrpc":"2.0","id":id,"method":wire::EVENT,"params":event(&id.to_string())}).to_string();
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }
    peer.send_raw(&bytes);
    let (mut answers, mut turns) = (0, 0);
    while turns < 60 {
        let message = peer.receive();
        if message["method"] == "orgAgent/turn" {
            turns += 1;
        } else {
            answers += 1;
            assert_eq!(message["result"]["eventId"], answers.to_string(), "answers come in order");
        }
        assert!(turns <= 3 * answers, "{message}");
    }
    assert_eq!(peer.end(), (1, vec![]));
}

#[test]
fn a_waiting_request_holds_nothing_up_and_can_be_cancelled() {
    let mut peer = Peer::initialized(kernel);
    for id in 1..=100 {
        peer.request(id, wire::MESSAGES, json!({"sessionId":"s"}));
    }
    peer.request(101, wire::GET, json!({"sessionId":"x"}));
    assert_eq!(peer.receive()["id"], 101);
    peer.request(7, wire::GET, json!({"sessionId":"x"}));
    assert_eq!(peer.receive()["error"]["code"], -32600, "an id that is in use");
    peer.send(json!({"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":7}}));
    let message = peer.receive();
    assert_eq!((&message["id"], &message["error"]["code"]), (&json!(7), &json!(-32800)));
    peer.request(7, wire::GET, json!({"sessionId":"x"}));
    assert_eq!(peer.receive()["id"], 7);
    let (status, rest) = peer.end();
    assert_eq!((status, rest.len()), (1, 99), "what the kernel dropped is answered");
    assert!(rest.iter().all(|message| message["error"]["data"]["code"] == "internal"));
}

#[test]
fn too_many_requests_are_overloaded() {
    let mut peer = Peer::initialized(kernel);
    for id in 1..=MOST_RUNNING as u64 + 1 {
        peer.request(id, wire::MESSAGES, json!({"sessionId":"s"}));
    }
    let message = peer.receive();
    assert_eq!(message["id"], MOST_RUNNING as u64 + 1);
    assert_eq!(message["error"]["data"]["code"], "overloaded");
    assert_eq!(peer.end().1.len(), MOST_RUNNING);
}

#[test]
fn refusals_reach_the_kernel() {
    let mut peer = Peer::initialized(kernel);
    let mut check = |answer: Value, expected: Option<&str>| {
        peer.request(1, wire::CANCEL, json!({"turnId":"t"}));
        assert_eq!(peer.receive()["result"], json!({"cancelled":true}));
        let question = peer.receive();
        assert_eq!(question["method"], wire::ACTUATE);
        let mut answer = answer;
        answer["jsonrpc"] = json!("2.0");
        answer["id"] = question["id"].clone();
        peer.send(answer.clone());
        // The same again is an answer to nothing.
        peer.send(answer);
        if let Some(expected) = expected {
            assert_eq!(peer.receive()["params"]["reason"], expected);
        }
    };
    check(json!({"result":{"accepted":true}}), None);
    check(json!({"result":null}), None);
    check(json!({"result":{"accepted":false}}), Some("a: the client refused"));
    check(json!({"result":{"accepted":false,"message":"busy"}}), Some("a: busy"));
    check(json!({"error":{"code":-32601,"message":"no such method"}}), Some("a: no such method"));
    assert_eq!(peer.end(), (1, vec![]));
}

#[test]
fn what_a_client_did_not_announce_is_not_sent() {
    let announce = |announced: Value| {
        let mut peer = Peer::new(kernel);
        peer.request(0, "initialize", json!({"capabilities":{"experimental":announced}}));
        assert_eq!(peer.receive()["id"], 0);
        peer
    };
    let mut plain = announce(json!(null));
    plain.request(1, "textDocument/hover", json!({}));
    assert_eq!(plain.receive()["error"]["code"], -32601);
    assert_eq!(plain.end(), (1, vec![]));

    let mut forgetful = announce(json!(["something"]));
    forgetful.request(1, wire::EVENT, event("a"));
    assert_eq!(forgetful.receive()["id"], 1);
    assert_eq!(forgetful.receive()["method"], wire::TURN);
    assert_eq!(forgetful.end().1.len(), 2);

    let mut blind = announce(json!({"orgAgent":{"actuators":["shell"]}}));
    blind.request(1, wire::CANCEL, json!({"turnId":"t"}));
    assert_eq!(blind.receive()["id"], 1);
    assert_eq!(blind.receive()["params"]["reason"], "a: this editor has no actuator insertAtEnd");
    assert_eq!(blind.end(), (1, vec![]));
}

#[test]
fn the_kernels_end_is_the_servers_end() {
    for (how, what) in [("stop", "without having been asked"), ("fail", "disk full"), ("panic", "broke")] {
        let mut peer = Peer::initialized(kernel);
        peer.request(1, wire::GET, json!({"sessionId":how}));
        let answer = peer.receive();
        assert_eq!(answer["error"]["data"]["code"], "internal", "{how}");
        assert_eq!(peer.next(), None, "{how}: the server left by itself");
        let error = peer.server.join().unwrap().unwrap_err();
        assert!(error.what.contains(what), "{how}: {error}");
    }
}

#[test]
fn the_exit_status_tells_whether_the_client_left_as_it_should() {
    let check = |methods: &[&str], expected: u8| {
        let mut peer = Peer::initialized(kernel);
        for (id, method) in (1..).zip(methods) {
            match *method {
                "exit" => peer.send(json!({"jsonrpc":"2.0","method":"exit"})),
                method => {
                    // Some clients send parameters where none belong.
                    peer.request(id, method, json!({}));
                    assert_eq!(peer.receive()["result"], Value::Null);
                }
            }
        }
        match methods.last() {
            // With the input still open.
            Some(&"exit") => assert_eq!(peer.next(), None),
            _ => drop(peer.input.take()),
        }
        assert_eq!(peer.server.join().unwrap().unwrap(), expected, "{methods:?}");
    };
    check(&["shutdown", "exit"], 0);
    check(&["shutdown"], 0);
    check(&["exit"], 1);
    check(&[], 1);
}

#[test]
fn every_announced_method_is_served_and_no_other() {
    let mut peer = Peer::initialized(kernel);
    for (id, method) in (1..).zip(wire::METHODS.iter().filter(|method| **method != wire::OUTPUT)) {
        peer.request(id, method, json!([]));
        let error = peer.receive()["error"].clone();
        assert_eq!(
            (&error["code"], &error["message"]),
            (&json!(-32602), &json!("params must be an object")),
            "{method}"
        );
    }
    for method in ["", "orgAgent/unknown", "orgAgent/event ", "$/x", "initialized", "orgAgent/skills/none"] {
        peer.request(99, method, json!({}));
        assert_eq!(peer.receive()["error"]["code"], -32601, "{method}");
        peer.send(json!({"jsonrpc":"2.0","method":method}));
    }
    assert_eq!(peer.end(), (1, vec![]));
}

#[test]
fn the_rest_of_a_broken_message_is_no_second_error() {
    let mut peer = Peer::initialized(kernel);
    for broken in
        ["Content-Length: 3\r\n\r\n{\"id\":1}", "Content-Length: x\r\n\r\n", "}\r\n", "a: b\r\nnonsense\r\n"]
    {
        peer.send_raw(broken.as_bytes());
        peer.request(1, wire::GET, json!({"sessionId":"x"}));
        let error = peer.receive();
        assert_eq!((&error["id"], &error["error"]["code"]), (&Value::Null, &json!(-32700)), "{broken}");
        assert_eq!(peer.receive()["id"], 1, "{broken}");
    }
    assert_eq!(peer.end(), (1, vec![]));
}
