//! Any bytes as a record of traffic: read to its end, each fault in a line that there is, and the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use org_agent::conformance::check::{MOST, check};

fuzz_target!(|data: &[u8]| {
    let found = check(&mut &*data).unwrap();
    let lines = data.split(|byte| *byte == b'\n').count() as u64;
    assert!(found.messages <= lines && found.faults.len() <= MOST);
    for fault in &found.faults {
        assert!((1..=lines).contains(&fault.line), "{fault:?}");
        assert!(!fault.what.contains(char::is_control), "{fault:?}");
    }
    // However it is cut on its way in.
    let again = check(&mut std::io::BufReader::with_capacity(7, data)).unwrap();
    assert_eq!(again.faults, found.faults);
});
