//! Any text, cut anywhere: the same result, masking twice changes nothing, and no known key is left.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use org_agent::redact::{HELD, Keys, Redactor, redact};

/// Made up. Where a text has `§` and `¶`, they are planted.
const KEYS: [(char, &str); 2] = [('§', "sk-proj-Zk3x/Q9+vT~w7Lr2_Hd5-Nc8Yb1Mf6"), ('¶', "pa%41ss\"wo\\rd#1x")];

static KNOWN: LazyLock<Keys> = LazyLock::new(|| Keys::new(KEYS.map(|(_, key)| key)));

fuzz_target!(|data: (u8, u8, &str)| {
    let (first, second, text) = (usize::from(data.0), usize::from(data.1), data.2.to_owned());
    let text = KEYS.iter().fold(text, |text, (sign, key)| text.replace(*sign, key));
    let (whole, count) = redact(&text, &KNOWN);
    let mut redactor = Redactor::new(&KNOWN);
    let (mut pieces, mut rest) = (String::new(), text.as_str());
    for size in [first, second].into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (head, tail) = rest.split_at(rest.ceil_char_boundary(rest.len().min(size + 1)));
        redactor.push(head, &mut pieces);
        assert!(redactor.held() <= HELD);
        rest = tail;
    }
    assert_eq!(redactor.finish(&mut pieces), count);
    assert_eq!(whole, pieces);
    assert_eq!(redact(&whole, &KNOWN), (whole.clone(), 0));
    assert!(KEYS.iter().all(|(_, key)| !whole.contains(key)));
});
