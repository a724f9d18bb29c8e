//! Every row of the table in `docs/models.md` as a whole turn: what the user sees, what it says to do, and whether it
//! was tried again. A failure that the table lacks, or that no test makes, is an error of this file.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::client::Client;
use crate::fake_model::{FakeModel, Reply};
use crate::scene::Scene;
use crate::{KEY, beginning, insert};

const DOC: &str = include_str!("../../docs/models.md");

/// How many servers run at a time.
const WORKERS: usize = 6;

/// A row of the table: what is seen, what to do, whether it is tried again.
type Row = (&'static str, &'static str, &'static str);

/// What makes a failure.
enum Cause {
    /// This reply.
    Reply(Reply),
    /// Nothing at this base URL.
    At(String),
    /// The same, and this line in the table of the model.
    With(String, String),
    /// A server that is soon too busy for a connection.
    Full,
}

use Cause::{At, Full, With};

fn rows() -> BTreeMap<&'static str, Row> {
    let table = DOC.split("| What happens |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| "));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches(['|', ' ']).split(" | ").collect();
        let [what, seen, todo, again] = cells[..] else { panic!("{line}") };
        let words =
            |cell: &'static str| cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).expect(line);
        (what, (words(seen), words(todo), again))
    })
    .collect()
}

fn causes() -> Vec<(&'static str, Cause)> {
    let gone = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let part = || Reply::stream().pieces(&insert("Cut."), 5);
    let page = |status, body: &str| Cause::Reply(Reply::page(status, "application/json", body));
    let error = |words: &str| Cause::Reply(part().raw(format!("data: {{\"error\": {words}}}\n\n")));
    let whole = json!({"choices": [{"message": {"content": insert("Whole.")}, "finish_reason": "stop"}]});
    let busy = || Reply::page(429, "application/json", r#"{"error": "slow down"}"#);
    let stop = |reason: &str| Cause::Reply(part().finish(reason).done());
    let at = |answer: &'static [u8]| format!("127.0.0.1:{}", port_that_says(answer).port());
    vec![
        ("nobody listens at the port", At(format!("http://{}", gone()))),
        ("no answer to connecting (`connect_seconds`)", Full),
        ("the name is not known", With("http://nosuch.invalid/v1".to_owned(), "proxy = 'none'".to_owned())),
        ("TLS fails", At(format!("https://{}", at(b"HTTP/1.1 400 Bad Request\r\n\r\n")))),
        // An alert of TLS.
        ("no HTTP", At(format!("http://{}", at(b"\x15\x03\x01\x00\x02\x02\x0a")))),
        (
            "the proxy is not there",
            With("http://models.invalid/v1".to_owned(), format!("proxy = 'http://{}'", gone())),
        ),
        ("the proxy wants a password", page(407, "{}")),
        ("no first byte (`first_byte_seconds`)", Cause::Reply(Reply::silence())),
        ("no next byte (`idle_seconds`)", Cause::Reply(part().stall())),
        ("the connection is dropped", Cause::Reply(part().drop_connection())),
        ("the connection is reset", Cause::Reply(part().reset())),
        ("an event is cut", Cause::Reply(part().raw("data: {\"choi"))),
        ("no end mark", Cause::Reply(part().done())),
        ("a broken event", Cause::Reply(part().raw("data: {\"choi\n\n"))),
        ("401", page(401, &format!(r#"{{"error": {{"message": "no such key: {KEY}"}}}}"#))),
        ("403", page(403, r#"{"error": {"message": "not you"}}"#)),
        ("404, the model", page(404, r#"{"error": {"message": "no", "code": "model_not_found"}}"#)),
        ("404, anything else", Cause::Reply(Reply::page(404, "text/html", "<h1>Not here</h1>"))),
        ("429", Cause::Reply(busy().header("Retry-After", "0"))),
        ("429, and to wait for more than a minute", Cause::Reply(busy().header("Retry-After", "3600"))),
        (
            "nothing left to pay with",
            page(429, r#"{"error": {"code": "insufficient_quota", "message": "pay"}}"#),
        ),
        ("5xx", Cause::Reply(Reply::page(503, "text/plain", "out of order").header("retry-after-ms", "0"))),
        (
            "the prompt is too long",
            page(400, r#"{"error": {"code": "context_length_exceeded", "message": "8192 tokens at most"}}"#),
        ),
        ("any other 4xx", page(400, r#"{"detail": "no"}"#)),
        (
            "a redirect",
            Cause::Reply(Reply::page(308, "text/plain", "").header("Location", "http://127.0.0.1:1/v1")),
        ),
        (
            "an error in the stream that may pass",
            error(r#"{"message": "later", "type": "overloaded_error"}"#),
        ),
        ("any other error in the stream", error(r#"{"message": "never"}"#)),
        ("the reply is cut at its limit of tokens", stop("length")),
        ("a content filter", stop("content_filter")),
        ("any other end", stop("whim")),
        ("an empty reply", Cause::Reply(Reply::stream().finish("stop").done())),
        ("no valid action", Cause::Reply(Reply::complete("Sure!", 1))),
        ("a web page", Cause::Reply(Reply::page(200, "text/html", "<h1>Welcome</h1>"))),
        ("text in the place of a stream", Cause::Reply(Reply::page(200, "text/plain", "It works!"))),
        ("JSON in the place of a stream", page(200, &whole.to_string())),
        ("more than any reply has", Cause::Reply(part().flood(vec![b'x'; 65_536]))),
    ]
}

/// A port that reads a little of every connection, says `answer` and closes it.
fn port_that_says(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // The other end may be gone.
            let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(answer));
        }
    });
    address
}

/// A server that refuses two requests for the moment, and has a full queue of connections after that: the system then
/// answers nobody who would connect.
fn port_that_fills() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    thread::spawn(move || {
        let listener = TcpListener::from(socket);
        let mut waiting = Vec::new();
        for number in [1, 2] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            while number == 2
                && let Ok(one) = TcpStream::connect_timeout(&address, Duration::from_millis(200))
            {
                waiting.push(one);
                assert!(waiting.len() < 100, "the queue is never full");
            }
            stream
                .write_all(
                    b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                )
                .unwrap();
        }
        // Until the test is over.
        thread::park();
    });
    address
}

#[test]
fn every_failure_is_told_as_documented() {
    let rows = rows();
    let causes = causes();
    let mut made: Vec<&str> = causes.iter().map(|(what, _)| *what).collect();
    made.sort_unstable();
    assert_eq!(made, rows.keys().copied().collect::<Vec<_>>());
    // Those that wait for something begin first: they stand at the front.
    let queue = Mutex::new(causes.into_iter().rev().collect::<Vec<_>>());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((what, cause)) = { queue.lock().unwrap().pop() } {
                    fails(what, cause, rows[what]);
                }
            });
        }
    });
}

fn fails(what: &str, cause: Cause, (seen, todo, again): Row) {
    let model = FakeModel::start();
    let passing = || Reply::page(503, "text/plain", "wait").header("Retry-After", "0");
    let (mut url, mut line) = (model.base_url(), String::new());
    let mut requests = 0;
    match cause {
        Cause::Reply(reply) => {
            let replies = match again {
                "no" => vec![reply],
                // The first time it is waited for a second; a server that says how long is asked at once.
                "twice" => vec![reply.clone(), passing(), reply],
                _ => vec![reply.clone(), reply.clone(), reply],
            };
            requests = replies.len();
            replies.into_iter().for_each(|reply| model.push(reply));
        }
        At(other) => url = other,
        With(other, more) => (url, line) = (other, more),
        Full => (url, line) = (format!("http://{}", port_that_fills()), "connect_seconds = 1".to_owned()),
    }
    if let Some((_, key)) = what.split_once("(`").filter(|_| line.is_empty()) {
        line = format!("{} = 1", key.trim_end_matches("`)"));
    }
    let home = tempfile::tempdir().unwrap();
    let table = format!("[[models]]\nmodel = 'm'\nbase_url = '{url}'\napi_key_env = 'FAKE_KEY'\n{line}\n");
    std::fs::write(home.path().join("config.toml"), table).unwrap();
    let client = Client::new_in(home.path(), &[("FAKE_KEY", KEY)]);
    let mut scene = Scene::of(model, client);
    let turn = scene.say("Go.");
    let told = scene.end(&turn);
    for _ in 0..requests {
        scene.model.take_request_blocking();
    }

    let inserts: Vec<&String> = told.iter().filter(|line| line.starts_with("insert ")).collect();
    assert_eq!(inserts.len(), 1, "{what}: {told:?}");
    let text = inserts[0].strip_prefix("insert *System Error:* ").expect(what);
    let told_again = told.iter().filter(|line| line.starts_with("thinking: trying again in ")).count();
    let repairs = told.iter().filter(|line| line.starts_with("repairing: ")).count();
    match again {
        "no" => assert_eq!((told_again, repairs), (0, 0), "{what}: {told:?}"),
        "twice" | "as the server says" => assert_eq!((told_again, repairs), (2, 0), "{what}: {told:?}"),
        "shorter" | "corrected" => assert_eq!((told_again, repairs), (0, 2), "{what}: {told:?}"),
        other => panic!("{what}: {other}"),
    }
    let times = if told_again == 2 { " (asked 3 times)" } else { "" };
    let (first, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    assert!(matches(first, &format!("{seen}{times}; {todo}")), "{what}: {first}\n{seen}{times}; {todo}");
    if what == "no valid action" {
        // Its first character is wrong already; how much more came with it is the network's to say.
        let shown = rest.strip_prefix(": S").expect(what);
        assert!("ure!".starts_with(shown), "{what}: {rest}");
    } else {
        assert_eq!(rest, "", "{what}");
    }
    // Each wait says why.
    let waits = told.iter().filter_map(|line| line.strip_prefix("thinking: trying again in "));
    for (number, wait) in waits.enumerate() {
        let (begin, why) = wait.split_once(": ").unwrap();
        assert!(begin.ends_with(&format!(" s, {} of 2", number + 1)), "{what}: {wait}");
        assert!(matches(why, seen) || why.contains("503"), "{what}: {wait}");
    }
    for repair in told.iter().filter_map(|line| line.strip_prefix("repairing: ")) {
        assert!(told.last().is_some_and(|last| last.contains(repair)), "{what}: {repair}: {told:?}");
    }
    // Nothing is left of what was shown.
    let count = |wanted: &str| told.iter().filter(|line| line.starts_with(wanted)).count();
    assert_eq!(count("delta "), count("retract"), "{what}: {told:?}");
    assert!(told.last().unwrap().starts_with("failed: "), "{what}: {told:?}");
    assert!(!format!("{told:?}{}", scene.client.log()).contains(KEY), "{what}");
    scene.finish();
}

/// Whether `text` is what `pattern` says, in which `…` stands for anything.
fn matches(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || pattern.ends_with('…')
}

#[test]
fn a_pattern_matches_only_what_it_says() {
    let cases = [("a b", "a b", true), ("a b", "a", false), ("a b", "…b", true), ("a b c", "a … c", true)];
    for (text, pattern, expected) in cases {
        assert_eq!(matches(text, pattern), expected, "{text} {pattern}");
    }
    assert!(!matches("b a", "a…") && matches("a b", "a…") && !matches("a b", "a…c"));
}

/// The end mark is not the end of an action: what was cut is asked for again, shorter, and only what is whole counts.
#[test]
fn a_reply_that_was_cut_at_its_limit_is_asked_for_shorter() {
    let mut scene = Scene::new();
    scene.model.push(Reply::stream().text(&beginning("Once upon a time")).finish("length").done());
    scene.model.reply_with(&insert("Once."));
    let turn = scene.say("Tell me.");
    let told = scene.end(&turn);
    let lines: Vec<&str> = told.iter().map(|line| line.split(':').next().unwrap()).collect();
    let expected = [
        "accepted",
        "thinking",
        "streaming",
        "delta Once upon a time",
        "retract",
        "repairing",
        "streaming",
        "delta Once.",
        "acting",
        "insert Once.",
        "done",
    ];
    assert_eq!(lines, expected);
    assert_eq!(scene.asked(), [crate::user("Tell me.")]);
    let again = scene.asked();
    assert!(
        again[0].1.starts_with("Tell me.\n\n[verifier] Your last reply was cut at the limit"),
        "{again:?}"
    );

    // It is no history.
    scene.model.reply_with(&insert("Yes."));
    let turn = scene.say("Is that all?");
    let shown = [crate::user("Tell me."), crate::assistant(&insert("Once.")), crate::user("Is that all?")];
    assert_eq!(scene.asked(), shown);
    scene.end(&turn);
    scene.finish();
}
