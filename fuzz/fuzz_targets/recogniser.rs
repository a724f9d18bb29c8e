//! Any bytes, cut anywhere: the same verdict as in one piece, and what is accepted prints and reads back, as a
//! property list and as JSON. As JSON, any bytes are read, too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use org_agent::action::{Action, CHAT_BUFFER};
use org_agent::sexp::Rejection;
use org_agent::sexp::printer::print;
use org_agent::sexp::recogniser::Recogniser;
use org_agent::verify::read_json;

fn read(pieces: &[&[u8]]) -> Result<Action, Rejection> {
    let mut recogniser = Recogniser::new(CHAT_BUFFER);
    for piece in pieces {
        recogniser.feed(piece)?;
    }
    recogniser.finish()
}

fn from_json(reply: &[u8]) -> Result<Action, Rejection> {
    read_json(reply, CHAT_BUFFER, 1).map(|accepted| accepted.raw)
}

fuzz_target!(|data: &[u8]| {
    let (cut, reply) = data.split_first().map_or((0, data), |(cut, rest)| (usize::from(*cut), rest));
    let whole = read(&[reply]);
    let (head, tail) = reply.split_at(cut.min(reply.len()));
    assert_eq!(whole, read(&[head, tail]));
    match whole {
        Ok(action) => {
            assert_eq!(read(&[print(&action).as_bytes()]).as_ref(), Ok(&action));
            // With its escapes it may be longer than a reply may be; inputs so long are not asked for.
            assert_eq!(from_json(action.to_json().to_string().as_bytes()).as_ref(), Ok(&action));
        }
        Err(rejection) => assert!(rejection.offset <= reply.len()),
    }
    match from_json(reply) {
        Ok(action) => assert_eq!(read(&[print(&action).as_bytes()]).as_ref(), Ok(&action)),
        Err(rejection) => assert!(rejection.offset <= reply.len()),
    }
});
