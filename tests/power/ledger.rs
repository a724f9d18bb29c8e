//! What the server acknowledged, and when: every answer in the trace, as far as it was said before a cut. It knows
//! frames, and what each request was.

use serde_json::Value;

use crate::trace::{Op, Trace};
use crate::workload::{Asked, Workload};

/// An answer to `orgAgent/event`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub message: usize,
    pub event: String,
    pub session: String,
    pub turn: String,
}

#[derive(Debug, Default)]
pub struct Ledger {
    /// By the number of records after which it was said, in order.
    pub receipts: Vec<(usize, Receipt)>,
    /// Inserts whose report was answered.
    pub reports: Vec<(usize, String)>,
}

impl Ledger {
    pub fn read(trace: &Trace, workload: &Workload) -> Self {
        let mut ledger = Self::default();
        let mut life = None;
        let mut said = Vec::new();
        for (at, record) in trace.records.iter().enumerate() {
            match record.op {
                Op::Begin => {
                    life = Some(life.map_or(0, |life: usize| life + 1));
                    said.clear();
                }
                Op::Said => {
                    said.extend_from_slice(trace.bytes(record.data.clone()));
                    while let Some(message) = frame(&mut said) {
                        ledger.take(at + 1, life.unwrap(), &message, workload);
                    }
                }
                _ => {}
            }
        }
        ledger
    }

    fn take(&mut self, at: usize, life: usize, message: &Value, workload: &Workload) {
        let Some(id) = message["id"].as_u64().filter(|_| message.get("method").is_none()) else { return };
        let Some(asked) = workload.asked.get(&(life, id)) else { return };
        assert!(message.get("error").is_none(), "{asked:?} was answered with {message}");
        let word = |name: &str| message["result"][name].as_str().unwrap().to_owned();
        match asked {
            Asked::Event(number) => {
                let receipt = Receipt {
                    message: *number,
                    event: word("eventId"),
                    session: word("sessionId"),
                    turn: word("turnId"),
                };
                self.receipts.push((at, receipt));
            }
            Asked::Report(actuation) => self.reports.push((at, actuation.clone())),
            Asked::Resume => {}
        }
    }
}

/// Takes the first frame off, if it is whole.
fn frame(bytes: &mut Vec<u8>) -> Option<Value> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = str::from_utf8(&bytes[..end]).unwrap();
    let length: usize = head.trim().strip_prefix("Content-Length: ").unwrap().parse().unwrap();
    let message = serde_json::from_slice(bytes.get(end..end + length)?).unwrap();
    bytes.drain(..end + length);
    Some(message)
}
