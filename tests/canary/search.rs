//! The search: keys in every form in which they could leave, and the places that are looked through.
//!
//! The forms are written here anew and not taken from the product, so that a mistake in one is none in the other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The mask that stands in the place of a key.
pub const MASK: &str = "[redacted: live key]";

/// How many bytes of the beginning and of the end of a form are looked for: a key that was cut is a leak, too.
const PART: usize = 16;

/// Base64 of `bytes`, without padding.
pub fn base64(bytes: &[u8], is_url: bool) -> String {
    let alphabet: &[u8; 64] = match is_url {
        false => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        true => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    };
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let group =
            three.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            out.push(char::from(alphabet[(group >> (18 - 6 * at)) as usize & 63]));
        }
    }
    out
}

pub fn percent(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

pub fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unicode(text: &str) -> String {
    text.bytes().map(|byte| format!("\\u{byte:04x}")).collect()
}

/// `key` in every form in which a server or a command shows it.
pub fn shown(key: &str) -> Vec<String> {
    let mut forms = vec![key.to_owned(), percent(key), hex(key), unicode(key)];
    for before in ["", "B", "Be", "Bearer "] {
        for is_url in [false, true] {
            forms.push(base64(format!("{before}{key}").as_bytes(), is_url));
        }
    }
    forms
}

/// What of `key` may stand nowhere: of each form the beginning and the end.
pub fn needles(key: &str) -> Vec<Vec<u8>> {
    let mut needles: Vec<String> = Vec::new();
    let mut both = |form: &str| {
        assert!(form.len() >= PART, "{form} is too short for the search");
        needles.push(form[..PART].to_owned());
        needles.push(form[form.len() - PART..].to_owned());
    };
    for form in [key.to_owned(), percent(key), hex(key), hex(key).to_uppercase(), unicode(key)] {
        both(&form);
    }
    // What the key alone decides, at each alignment: what is before and after changes the letters beside it.
    for before in 0..3_usize {
        let aligned: String = "\0".repeat(before) + key;
        let whole = aligned.len() / 3 * 3;
        for is_url in [false, true] {
            let text = base64(&aligned.as_bytes()[..whole], is_url);
            both(&text[(before * 8).div_ceil(6)..]);
        }
    }
    let backwards: String = key.chars().rev().collect();
    both(&backwards);
    needles.sort();
    needles.dedup();
    needles.into_iter().map(String::into_bytes).collect()
}

/// What was written somewhere.
pub struct Sink {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Sink {
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }

    pub fn has(&self, needle: &[u8]) -> bool {
        memchr::memmem::find(&self.bytes, needle).is_some()
    }
}

/// Every file under `directory`, and its name.
pub fn files(directory: &Path, sinks: &mut Vec<Sink>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        sinks.push(Sink::new("a file's name", path.as_os_str().as_encoded_bytes()));
        if path.is_dir() {
            files(&path, sinks);
        } else {
            sinks.push(Sink::new(path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// The first leak of each of `keys` in each of `sinks`.
pub fn leaks(keys: &[(&str, &str)], sinks: &[Sink]) -> Vec<String> {
    let all: Vec<(&str, Vec<u8>)> =
        keys.iter().flat_map(|(way, key)| needles(key).into_iter().map(|needle| (*way, needle))).collect();
    // By their first two bytes: there is much to be looked through.
    let first = |bytes: &[u8]| usize::from(bytes[0]) << 8 | usize::from(bytes[1]);
    let mut by_first = vec![Vec::new(); 1 << 16];
    for (at, (_, needle)) in all.iter().enumerate() {
        by_first[first(needle)].push(at);
    }
    let mut found = Vec::new();
    for sink in sinks {
        let mut ways = BTreeSet::new();
        for (at, two) in sink.bytes.windows(2).enumerate() {
            for (way, needle) in by_first[first(two)].iter().map(|needle| &all[*needle]) {
                if sink.bytes[at..].starts_with(needle) && ways.insert(*way) {
                    let around = &sink.bytes[at.saturating_sub(300)..sink.bytes.len().min(at + 200)];
                    let [needle, around] = [needle, around].map(String::from_utf8_lossy);
                    found.push(format!("{way}: {needle} in {}: {around}", sink.name));
                }
            }
        }
    }
    found
}

#[test]
fn the_search_finds_every_form_and_what_is_left_of_a_cut_one() {
    let key = "canary/One+7f3a9c2e=5b";
    assert_eq!(base64(b"Bearer x?>", false), "QmVhcmVyIHg/Pg");
    assert_eq!(base64(b"Bearer x?>", true), "QmVhcmVyIHg_Pg");
    assert_eq!(percent("a/b c~"), "a%2Fb%20c~");
    for form in shown(key) {
        for text in [format!("before {form} after"), form[..form.len() - 2].to_owned(), form[4..].to_owned()]
        {
            let sinks = [Sink::new("here", text.clone())];
            assert!(!leaks(&[("one", key)], &sinks).is_empty(), "not found: {text}");
        }
    }
    assert!(leaks(&[("one", key)], &[Sink::new("here", "canary/Two+7f3a9c2e")]).is_empty());
}
