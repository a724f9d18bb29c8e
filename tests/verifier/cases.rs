//! Replies with the byte at which they become invalid marked in the text.

use org_agent::sexp::Rejection;
use org_agent::sexp::printer::print;
use org_agent::sexp::recogniser::Recogniser;

/// Stands before the byte that is rejected; a reply without it is accepted.
const MARK: &str = "⟦";

fn read(reply: &[u8], buffer: &str) -> Result<String, Rejection> {
    let mut recogniser = Recogniser::new(buffer);
    recogniser.feed(reply)?;
    recogniser.finish().map(|action| print(&action))
}

fn check(fixture: &str, kind: &str) {
    check_bytes(fixture.as_bytes(), kind);
}

fn check_bytes(fixture: &[u8], kind: &str) {
    let shown = String::from_utf8_lossy(fixture);
    let at = memchr::memmem::find(fixture, MARK.as_bytes());
    let reply = match at {
        Some(at) => [&fixture[..at], &fixture[at + MARK.len()..]].concat(),
        None => fixture.to_vec(),
    };
    let outcome = read(&reply, "notes");
    let found = outcome.as_ref().err().map(|rejection| (rejection.offset, rejection.kind));
    assert_eq!(found, at.map(|at| (at, kind)), "{shown}\n{outcome:?}");
    // One byte at a time says the very same.
    let mut recogniser = Recogniser::new("notes");
    let bytewise = reply.iter().try_for_each(|byte| recogniser.feed(&[*byte]));
    let bytewise = bytewise.and_then(|()| recogniser.finish()).map(|action| print(&action));
    assert_eq!(outcome, bytewise, "{shown}");
}

#[test]
fn quick() {
    check(
        "(:type :request :target :emacs :payload (:action :insert-at-end :buffer \"notes\" :text \"hi\"))",
        "",
    );
    check("(:type :response :⟦t", "bad-key");
    check("(:payload (:cmd \"ls\") :target :⟦e", "bad-value");
    check("(:payload (:cmd \"⟦\")", "empty-command");
    check("(:type :response :payload (:text \"a⟦\\q", "bad-escape");
    check("(:type :response :payload (:text \"a\\ud83d\\ude00 é\"))", "");
}
