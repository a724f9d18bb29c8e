//! Questions as JSON lines in, answers as JSON lines out, in order: what the `--jsonl` options share.
//!
//! It knows nothing of what is asked. A line that can not be read is answered like any other, so that the
//! answers stay in step with the questions; a line's length is bounded.

use std::io::{self, BufRead, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The most bytes of a line.
const LONGEST: u64 = 8 << 20;

/// Every question has an identifier, which is echoed as it was written.
#[derive(Deserialize, Serialize)]
struct Id<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Answer<'a, A> {
    #[serde(flatten)]
    id: Id<'a>,
    #[serde(flatten)]
    answer: A,
}

/// Answers each line of `input`; `answer` is given the question, or why the line is none. Lines of
/// blanks are skipped. Each answer is written out before the next line is read.
///
/// # Errors
/// What reading and writing reports.
pub fn each<Q: DeserializeOwned, A: Serialize>(
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    answer: impl Fn(Result<Q, String>) -> A,
) -> io::Result<()> {
    let mut line = Vec::new();
    while let Some(whole) = next(input, &mut line)? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        // Only an object is a question; serde would take an array for one, too.
        let readable = match (whole, line.trim_ascii_start().first()) {
            (false, _) => Err(format!("the line has {LONGEST} bytes or more")),
            (true, Some(b'{')) => Ok(line.as_slice()),
            (true, _) => Err("the line is no JSON object".to_owned()),
        };
        let read = readable.and_then(|line| match serde_json::from_slice(line) {
            Ok(id) => Ok((id, serde_json::from_slice(line).map_err(|error| no_question(&error)))),
            Err(error) => Err(no_question(&error)),
        });
        let (id, question) = read.unwrap_or_else(|why| (Id { id: None }, Err(why)));
        let answer = answer(question);
        serde_json::to_writer(&mut *output, &Answer { id, answer })?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
    Ok(())
}

/// Why a line is no question: without "at line 1", which could be taken for a line of the input.
fn no_question(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(what) => format!("the line is no such JSON object: {what}, at column {}", error.column()),
        None => format!("the line is no such JSON object: {text}"),
    }
}

/// Reads a line into `line`: whether all of it fitted, or nothing at the end of the input.
fn next(input: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let read = io::Read::take(&mut *input, LONGEST).read_until(b'\n', line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.ends_with(b"\n") || (read as u64) < LONGEST {
        return Ok(Some(true));
    }
    loop {
        let chunk = input.fill_buf()?;
        match memchr::memchr(b'\n', chunk) {
            Some(end) => {
                input.consume(end + 1);
                return Ok(Some(false));
            }
            None if chunk.is_empty() => return Ok(Some(false)),
            None => {
                let length = chunk.len();
                input.consume(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Question {
        n: u32,
    }

    #[derive(Serialize)]
    struct Double {
        double: Option<u32>,
    }

    fn check(input: &[u8], expected: &str) {
        for capacity in [1, 7, 64 << 10] {
            let mut output = Vec::new();
            let mut input = io::BufReader::with_capacity(capacity, input);
            let answer = |question: Result<Question, _>| Double { double: question.ok().map(|q| q.n * 2) };
            each(&mut input, &mut output, answer).unwrap();
            assert_eq!(String::from_utf8(output).unwrap(), expected);
        }
    }

    #[test]
    fn every_question_is_answered_in_order_and_under_its_own_identifier() {
        for (input, expected) in [
            ("", ""),
            ("\n \r\n", ""),
            (r#"{"id":1,"n":2}"#, "{\"id\":1,\"double\":4}\n"),
            (
                "{\"n\":2}\r\n{\"n\":3,\"id\":\"a\"}\n",
                "{\"id\":null,\"double\":4}\n{\"id\":\"a\",\"double\":6}\n",
            ),
            (
                r#"{"id":123456789012345678901234567890.10,"n":1}"#,
                "{\"id\":123456789012345678901234567890.10,\"double\":2}\n",
            ),
            (r#"{"id": {"a" : [1,  2]} ,"n":1,"x":0}"#, "{\"id\":{\"a\" : [1,  2]},\"double\":2}\n"),
            (r#"{"id":null,"n":1}"#, "{\"id\":null,\"double\":2}\n"),
            // Not a question, but the identifier can be read.
            (r#"{"id":5,"n":"x"}"#, "{\"id\":5,\"double\":null}\n"),
            (r#"{"id":5,"id":6,"n":1}"#, "{\"id\":null,\"double\":null}\n"),
            ("[1]", "{\"id\":null,\"double\":null}\n"),
            ("{\"id\":1\nnonsense\n[]\n", &"{\"id\":null,\"double\":null}\n".repeat(3)),
        ] {
            check(input.as_bytes(), expected);
        }
        check(b"{\"id\":\"\xff\",\"n\":1}\n", "{\"id\":null,\"double\":null}\n");
    }

    #[derive(Serialize)]
    struct Why {
        why: Option<String>,
    }

    #[test]
    fn why_a_line_is_no_question_is_said() {
        for (input, expected) in [
            ("[1]", "the line is no JSON object"),
            ("{\"n\":", "the line is no such JSON object: EOF while parsing a value, at column 5"),
            ("{\"id\":1}", "the line is no such JSON object: missing field `n`, at column 8"),
            ("{\"n\":1,}", "the line is no such JSON object: trailing comma, at column 8"),
        ] {
            let mut output = Vec::new();
            let answer = |question: Result<Question, _>| Why { why: question.err() };
            each(&mut input.as_bytes(), &mut output, answer).unwrap();
            let output = String::from_utf8(output).unwrap();
            assert!(output.ends_with(&format!(",\"why\":\"{expected}\"}}\n")), "{output}");
        }
    }

    #[test]
    fn a_line_without_end_is_bounded_and_the_next_is_read() {
        let longest = LONGEST as usize;
        let question = br#"{"id":1,"n":1}"#;
        let mut input = Vec::new();
        for length in [longest - 1, longest, longest + 1, 2 * longest] {
            let mut line = question.to_vec();
            line.resize(length, b' ');
            input.extend(line);
            input.push(b'\n');
        }
        let mut output = Vec::new();
        let answer = |question: Result<Question, _>| Double { double: question.ok().map(|q| q.n * 2) };
        each(&mut input.as_slice(), &mut output, answer).unwrap();
        let (good, bad) = ("{\"id\":1,\"double\":2}\n", "{\"id\":null,\"double\":null}\n");
        assert_eq!(String::from_utf8(output).unwrap(), [good, bad, bad, bad].concat());
    }
}
