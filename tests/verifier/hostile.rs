//! Replies made to break a reader: deep, long, endless, and none of it more than a rejection.

use org_agent::action::MAX_REPLY;
use org_agent::sexp::kind;
use org_agent::sexp::printer::print;
use org_agent::sexp::recogniser::Recogniser;

const TEXT: &str = "(:type :response :payload (:text \"";

fn check(reply: &[u8], expected: (usize, &str)) {
    for size in [reply.len().max(1), 4096, 7] {
        let mut recogniser = Recogniser::new("notes");
        let mut outcome = Ok(());
        for chunk in reply.chunks(size) {
            // A caller that does not stop gets the same answer again.
            outcome = recogniser.feed(chunk);
            assert!(recogniser.text().len() <= MAX_REPLY);
        }
        let rejection = outcome.and_then(|()| recogniser.finish()).unwrap_err();
        assert_eq!((rejection.offset, rejection.kind), expected, "{rejection:?}");
        assert!(rejection.for_model(reply).len() < 600);
        assert!(rejection.render(reply).len() < 2_000);
    }
}

#[test]
fn nothing_but_a_rejection_comes_of_it() {
    let text = |text: &str| format!("{TEXT}{text}").into_bytes();
    let noise: Vec<u8> = (0..1_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (reply, expected) in [
        ("(".repeat(50_000).into_bytes(), (1, kind::EXPECTED_KEY)),
        (")".repeat(50_000).into_bytes(), (0, kind::NOT_A_LIST)),
        ("'".repeat(9_500).into_bytes(), (0, kind::NOT_A_LIST)),
        ("\"".repeat(9_500).into_bytes(), (0, kind::NOT_A_LIST)),
        (format!("(:payload {}", "(".repeat(50_000)).into_bytes(), (11, kind::EXPECTED_KEY)),
        (format!("({}", "a ".repeat(33_000)).into_bytes(), (1, kind::EXPECTED_KEY)),
        (format!("(:{}", "t".repeat(300_000)).into_bytes(), (3, kind::BAD_KEY)),
        (b" ".repeat(300_000), (MAX_REPLY, kind::TOO_LONG)),
        (b" ".repeat(MAX_REPLY), (MAX_REPLY, kind::TOO_SHORT)),
        (text(&"x".repeat(300_000)), (MAX_REPLY, kind::TOO_LONG)),
        (text(&"\\n".repeat(150_000)), (MAX_REPLY, kind::TOO_LONG)),
        (text(&"\\ud83d\\ude00".repeat(30_000)), (MAX_REPLY, kind::TOO_LONG)),
        (text(&"😀".repeat(100_000)), (MAX_REPLY, kind::TOO_LONG)),
        (text(&"\\".repeat(300_000)), (MAX_REPLY, kind::TOO_LONG)),
        (format!("(:payload (:timeout {}", "1".repeat(100_000)).into_bytes(), (25, kind::BAD_INTEGER)),
        (noise, (0, kind::NOT_A_LIST)),
    ] {
        check(&reply, expected);
    }
}

#[test]
fn the_last_byte_that_fits_is_accepted_and_the_next_is_not() {
    let end = "\"))";
    let fill = MAX_REPLY - TEXT.len() - end.len();
    let reply = format!("{TEXT}{}{end}", "x".repeat(fill));
    assert_eq!(reply.len(), MAX_REPLY);
    for size in [1, 1000, MAX_REPLY] {
        let mut recogniser = Recogniser::new("notes");
        for chunk in reply.as_bytes().chunks(size) {
            recogniser.feed(chunk).unwrap();
            recogniser.feed(b"").unwrap();
        }
        assert_eq!(print(&recogniser.finish().unwrap()), reply);
    }
    for more in [" ", "x", "\0"] {
        check((reply.clone() + more).as_bytes(), (MAX_REPLY, kind::TOO_LONG));
    }
    check(&[reply.as_bytes(), b"\xFF"].concat(), (MAX_REPLY, kind::TOO_LONG));
}
