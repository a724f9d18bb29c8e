//! GGUF version 3, the files that llama.cpp loads models from: written, not read.
//!
//! Knows the format and nothing of models. Everything is little endian: a head, the metadata (key, type, value),
//! the tensors' names, shapes and places, then their data, each aligned. Only the types that a small model in
//! 32-bit floats needs are here. The whole file is made in memory.

/// A value of the metadata, with the number that the format gives its type.
pub enum Value<'a> {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(&'a str),
    Texts(&'a [String]),
    F32s(&'a [f32]),
    I32s(&'a [i32]),
}

impl Value<'_> {
    fn kind(&self) -> u32 {
        match self {
            Self::U32(_) => 4,
            Self::I32s(_) => 5,
            Self::F32(_) | Self::F32s(_) => 6,
            Self::Bool(_) => 7,
            Self::Text(_) | Self::Texts(_) => 8,
        }
    }

    fn length(&self) -> Option<usize> {
        match self {
            Self::Texts(items) => Some(items.len()),
            Self::F32s(items) => Some(items.len()),
            Self::I32s(items) => Some(items.len()),
            Self::U32(_) | Self::F32(_) | Self::Bool(_) | Self::Text(_) => None,
        }
    }
}

const ARRAY: u32 = 9;
/// The type of a tensor in 32-bit floats.
const F32: u32 = 0;
/// What every tensor's place is a multiple of, in bytes, if the metadata say nothing else.
const ALIGNMENT: usize = 32;

/// A file that is being made.
#[derive(Default)]
pub struct File {
    entries: u64,
    metadata: Vec<u8>,
    tensors: u64,
    places: Vec<u8>,
    data: Vec<u8>,
}

impl File {
    pub fn set(&mut self, key: &str, value: &Value) {
        let out = &mut self.metadata;
        text(out, key);
        if let Some(length) = value.length() {
            out.extend(ARRAY.to_le_bytes());
            out.extend(value.kind().to_le_bytes());
            out.extend((length as u64).to_le_bytes());
        } else {
            out.extend(value.kind().to_le_bytes());
        }
        match value {
            Value::U32(number) => out.extend(number.to_le_bytes()),
            Value::F32(number) => out.extend(number.to_le_bytes()),
            Value::Bool(yes) => out.push(u8::from(*yes)),
            Value::Text(string) => text(out, string),
            Value::Texts(items) => items.iter().for_each(|item| text(out, item)),
            Value::F32s(items) => items.iter().for_each(|item| out.extend(item.to_le_bytes())),
            Value::I32s(items) => items.iter().for_each(|item| out.extend(item.to_le_bytes())),
        }
        self.entries += 1;
    }

    /// Adds a tensor; the numbers of a row, `shape[0]` of them, stand together.
    pub fn tensor(&mut self, name: &str, shape: &[usize], numbers: &[f32]) {
        assert_eq!(shape.iter().product::<usize>(), numbers.len(), "{name}");
        text(&mut self.places, name);
        self.places.extend((shape.len() as u32).to_le_bytes());
        shape.iter().for_each(|side| self.places.extend((*side as u64).to_le_bytes()));
        self.places.extend(F32.to_le_bytes());
        self.places.extend((self.data.len() as u64).to_le_bytes());
        numbers.iter().for_each(|number| self.data.extend(number.to_le_bytes()));
        align(&mut self.data);
        self.tensors += 1;
    }

    pub fn bytes(self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend(self.tensors.to_le_bytes());
        out.extend(self.entries.to_le_bytes());
        out.extend(self.metadata);
        out.extend(self.places);
        align(&mut out);
        out.extend(self.data);
        out
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn align(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}
