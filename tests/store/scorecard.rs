//! The scorecard of logs that are written by hand, with numbers that are known.

use org_agent::store::{Fork, Score, Which};
use std::collections::BTreeMap;

use super::sessions::sound;
use super::*;

fn scores(home: &Home) -> Vec<Score> {
    home.store.scorecard(&Which::default()).unwrap()
}

fn turn(name: &str, calls: &[(&str, Verdict)]) -> Vec<Record> {
    let mut records = vec![sent(name, "q"), started(name)];
    for ((model, verdict), attempt) in calls.iter().zip(1..) {
        records.push(asked(name, attempt, model));
        records.push(replied(name, attempt, verdict.clone(), Some((usage(10, 100), 3))));
    }
    records.push(ended(name, EndState::Done));
    records
}

#[test]
fn of_nothing_there_is_nothing() {
    let mut home = Home::new();
    assert_eq!(scores(&home), []);
    // A call that has not ended counts for nothing yet.
    home.append("s", &[created("b"), sent("t", "q"), asked("t", 1, "m")]);
    assert_eq!(scores(&home), []);
}

#[test]
fn a_score_is_what_the_log_says() {
    let mut home = Home::new();
    home.append("s", &[created("b")]);
    // Valid at once, twice in one turn: a command, and then a text.
    home.append("s", &turn("t1", &[("m", Verdict::Accept), ("m", Verdict::Accept)]));
    // Two repairs: stopped at the first wrong byte, then wrong at the end.
    home.append(
        "s",
        &turn("t2", &[("m", rejected(Some(5_000))), ("m", rejected(None)), ("m", Verdict::Accept)]),
    );
    // Cut at its length, then a connection that broke, then right: the last two are repairs.
    home.append("s", &turn("t3", &[("m", broken("length")), ("m", broken("cut")), ("m", Verdict::Accept)]));
    // A first try that was made again is one still.
    home.append("s", &turn("t4", &[("m", broken("cut")), ("m", Verdict::Accept)]));
    // What a skill asks is no action, wherever it stands.
    home.append(
        "s",
        &turn("t5", &[("m", Verdict::Plain), ("m", rejected(Some(7))), ("m", Verdict::Cancelled)]),
    );
    // Another model begins anew.
    home.append("s", &turn("t6", &[("m", rejected(Some(1))), ("n", Verdict::Accept)]));
    let calls = 2 + 3 + 3 + 2 + 2 + 1;
    let expected = Score {
        model: "m".into(),
        persona: "Jeeves".into(),
        calls,
        first_tries: 7,
        valid_first: 3,
        valid_first_percent: Some(300.0 / 7.0),
        accepted: 5,
        rejected: 4,
        repairs: 5,
        repairs_per_action: Some(1.0),
        stopped_bytes: 5_008,
        failures: BTreeMap::from([("cut".into(), 2), ("length".into(), 1)]),
        cancelled: 1,
        first_ms_median: Some(100),
        first_ms_p95: Some(100),
        tokens_per_second: Some(100.0),
        prompt_tokens: 10 * calls,
        cached_tokens: 0,
        completion_tokens: 100 * calls,
        estimated: false,
        cost: Some(0.000_039),
        cost_per_action: Some(0.000_039 / 5.0),
    };
    let found = scores(&home);
    assert_eq!(found[0], expected);
    assert_eq!(
        (found.len(), &*found[1].model, found[1].first_tries, found[1].valid_first, found[1].repairs),
        (2, "n", 1, 1, 0)
    );
    // Made anew from the log it is the same.
    home.store.rebuild_views().unwrap();
    assert_eq!(scores(&home), found);
    // A part of it is the sum of fewer calls, judged by all that came before.
    let since: i64 = home
        .raw()
        .query_row("SELECT asked_at FROM model_calls WHERE turn = 't2' AND attempt = 3", [], |row| row.get(0))
        .unwrap();
    let which = Which { since: Some(u64::try_from(since).unwrap()), session: Some("s".into()) };
    let later = home.store.scorecard(&which).unwrap();
    assert_eq!((later[0].calls, later[0].repairs, later[0].first_tries), (calls - 4, 4, 4));
    let which = Which { since: None, session: Some("other".into()) };
    assert_eq!(home.store.scorecard(&which).unwrap(), []);
}

#[test]
fn times_and_tokens_are_those_that_occurred() {
    let mut home = Home::new();
    home.append("s", &[created("b"), sent("t", "q"), started("t")]);
    let call = |attempt: u32, usage: Option<Usage>, (begun, first, total): (u64, Option<u64>, u64)| {
        let mut record = replied("t", attempt, Verdict::Accept, None);
        if let Record::Replied { usage: counted, latency, .. } = &mut record {
            *counted = usage;
            *latency = Latency { begun_ms: Some(begun), first_ms: first, total_ms: total };
        }
        [asked("t", attempt, "m"), record]
    };
    for attempt in 1..=20 {
        let first = 21 - u64::from(attempt);
        home.append("s", &call(attempt, None, (first, Some(first), first)));
    }
    // No reply without text has a first byte, and nothing is known of its tokens.
    home.append("s", &call(21, None, (3, None, 9)));
    // Thoughts that came count from their beginning; those that did not come do not count.
    let thinks = Usage { reasoning_tokens: Some(600), cached_tokens: Some(4), ..usage(5, 1_000) };
    home.append("s", &call(22, Some(thinks), (100, Some(700), 1_100)));
    home.append("s", &call(23, Some(Usage { estimated: true, ..thinks }), (700, Some(700), 1_700)));
    let score = scores(&home).remove(0);
    assert_eq!((score.first_ms_median, score.first_ms_p95), (Some(11), Some(700)));
    // (1000 + 400) tokens in (1000 + 1000) ms.
    assert_eq!(score.tokens_per_second, Some(700.0));
    assert_eq!((score.prompt_tokens, score.cached_tokens, score.completion_tokens), (10, 8, 2_000));
    assert!(score.estimated && score.cost.is_none() && score.cost_per_action.is_none(), "{score:?}");
}

#[test]
fn a_copy_asked_nobody_and_what_is_deleted_is_gone() {
    let mut home = Home::new();
    home.append("s", &[created("b")]);
    home.append("s", &turn("t1", &[("m", Verdict::Accept)]));
    let one = scores(&home);
    let ticket = home
        .store
        .fork(&"s".into(), &Fork::default(), &"copy".into(), &[created("b")])
        .unwrap()
        .last()
        .unwrap()
        .ticket;
    home.wait(ticket);
    assert_eq!(scores(&home), one);
    // What comes after the copy is its own.
    home.append("copy", &turn("t2", &[("m", Verdict::Accept)]));
    assert_eq!(scores(&home)[0].calls, 2);
    sound(&home);
    let ticket = home.store.delete(&"s".into(), "user").unwrap().ticket;
    home.wait(ticket);
    assert_eq!(scores(&home)[0].calls, 1);
    sound(&home);
}

#[test]
fn absurd_numbers_stop_nothing() {
    let mut home = Home::new();
    home.append("s", &[created("b"), sent("t", "q"), started("t")]);
    let absurd = Usage {
        prompt_tokens: u64::MAX,
        completion_tokens: u64::MAX,
        cached_tokens: Some(u64::MAX),
        reasoning_tokens: Some(u64::MAX),
        estimated: false,
    };
    for attempt in 1..=20 {
        let mut reply = replied("t", attempt, rejected(Some(usize::MAX)), Some((absurd, u64::MAX)));
        if let Record::Replied { latency, .. } = &mut reply {
            *latency = Latency { begun_ms: Some(0), first_ms: Some(u64::MAX), total_ms: u64::MAX };
        }
        home.append("s", &[asked("t", attempt, "m\u{202e}\n"), reply]);
    }
    home.append("s", &[proposed("a", "t", insert("x")), permitted("a", Decision::Allow)]);
    let score = scores(&home).remove(0);
    assert_eq!((score.calls, score.rejected), (20, 20));
    assert!(score.cost.is_some_and(|cost| cost > 1e6), "{score:?}");
    let session = home.store.session(&"s".into()).unwrap();
    assert!(session["cost"].as_f64().unwrap() > 1e6, "{session}");
    assert!(home.store.spent(0, &"s".into()).unwrap().0 > 1_000_000);
    assert_eq!(home.store.messages(&"s".into(), None, None).unwrap()["items"].as_array().unwrap().len(), 2);
    sound(&home);
}

/// The verdicts of the calls of some turns, and which of two models was asked.
fn log() -> impl Strategy<Value = Vec<Vec<(bool, u8)>>> {
    proptest::collection::vec(proptest::collection::vec((any::<bool>(), 0..7_u8), 1..8), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Against a count that goes call by call, as a turn does.
    #[test]
    fn a_score_is_what_a_turn_counts(turns in log()) {
        let mut home = Home::new();
        home.append("s", &[created("b")]);
        let mut expected: BTreeMap<&str, [u64; 5]> = BTreeMap::new();
        for (number, calls) in turns.iter().enumerate() {
            let mut repairing: Option<&str> = None;
            let mut named = Vec::new();
            for (other, verdict) in calls {
                let model = if *other { "n" } else { "m" };
                let verdict = match verdict {
                    0 | 1 => Verdict::Accept,
                    2 => rejected(Some(3)),
                    3 => broken("length"),
                    4 => broken("stalled"),
                    5 => Verdict::Cancelled,
                    _ => Verdict::Plain,
                };
                named.push((model, verdict.clone()));
                if verdict == Verdict::Plain {
                    continue;
                }
                let [all, tries, valid, accepted, repairs] = expected.entry(model).or_default();
                // What the other one was told is forgotten.
                repairing = repairing.filter(|told| *told == model);
                let wrong = verdict == rejected(Some(3)) || verdict == broken("length");
                let right = verdict == Verdict::Accept;
                *all += 1;
                *accepted += u64::from(right);
                *repairs += u64::from(repairing.is_some());
                *tries += u64::from(repairing.is_none() && (right || wrong));
                *valid += u64::from(repairing.is_none() && right);
                if wrong {
                    repairing = Some(model);
                } else if right {
                    repairing = None;
                }
            }
            home.append("s", &turn(&format!("t{number}"), &named));
        }
        let check = |home: &Home| {
            let found = scores(home);
            let counted: BTreeMap<&str, [u64; 5]> = found
                .iter()
                .map(|it| (it.model.as_str(), [it.calls, it.first_tries, it.valid_first, it.accepted, it.repairs]))
                .collect();
            assert_eq!(counted, expected);
            found
        };
        let live = check(&home);
        home.store.rebuild_views().unwrap();
        prop_assert_eq!(check(&home), live);
    }
}
