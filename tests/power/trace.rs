//! The trace that `shim.c` writes: what a server did to the files of its home, and what it said, in one order.
//! It knows the form of the records, and nothing of what is in the files.

use std::fs;
use std::ops::Range;
use std::path::Path;

const MAGIC: u32 = 0x5257_4f50;
const HEAD: usize = 32;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Begin,
    Create,
    Mkdir,
    Write,
    Size,
    Sync,
    Remove,
    Rename,
    Said,
}

/// One record. Paths are relative to the home; `""` is the home itself.
#[derive(Debug)]
pub struct Record {
    pub op: Op,
    pub path: String,
    /// Of a write, or the new size.
    pub offset: usize,
    /// Where the data stands in the trace; of a rename, the new path.
    pub data: Range<usize>,
}

/// Whether a record begins here, as far as its head tells.
fn begins(bytes: &[u8]) -> bool {
    bytes.len() >= HEAD && bytes.starts_with(&MAGIC.to_ne_bytes())
}

pub struct Trace {
    bytes: Vec<u8>,
    pub records: Vec<Record>,
}

impl Trace {
    /// Reads a trace. None if a record is torn: a kill may cut even one write, and what that told of cannot be known.
    pub fn read(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).unwrap();
        let number = |from: usize, length: usize| {
            let mut word = [0; 8];
            word[..length].copy_from_slice(&bytes[from..from + length]);
            u64::from_ne_bytes(word)
        };
        let mut records = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if !begins(&bytes[at..]) {
                // The record before is torn: it ends where another begins. Anything else is no trace.
                let inside = records.last().map_or(0..0, |record: &Record| record.data.clone());
                assert!(inside.into_iter().any(|from| begins(&bytes[from..])), "no record at byte {at}");
                return None;
            }
            let op = match bytes[at + 4] {
                b'B' => Op::Begin,
                b'C' => Op::Create,
                b'M' => Op::Mkdir,
                b'W' => Op::Write,
                b'T' => Op::Size,
                b'F' => Op::Sync,
                b'U' => Op::Remove,
                b'R' => Op::Rename,
                b'A' => Op::Said,
                other => panic!("an unknown record {other} at byte {at} of the trace"),
            };
            let (offset, length, path) = (number(at + 8, 8), number(at + 16, 8), number(at + 24, 4));
            let start = at + HEAD + path as usize;
            let end = start + length as usize;
            if end > bytes.len() {
                return None;
            }
            let path = String::from_utf8(bytes[at + HEAD..start].to_vec()).unwrap();
            at = end;
            records.push(Record { op, path, offset: offset as usize, data: start..at });
        }
        Some(Self { bytes, records })
    }

    /// The data of a record.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// Where the records of one kind stand.
    pub fn places(&self, op: Op) -> Vec<usize> {
        self.records.iter().enumerate().filter(|(_, record)| record.op == op).map(|(at, _)| at).collect()
    }
}
