//! What was spent: by session, by day, in copies and in what was deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use org_agent::store::Fork;

use super::sessions::sound;
use super::*;

const DAY: u64 = 86_400_000;

fn call(turn: &str, attempt: u32, micro_usd: u64) -> [Record; 2] {
    [asked(turn, attempt, "m"), replied(turn, attempt, Verdict::Accept, Some((usage(10, 5), micro_usd)))]
}

fn spent(home: &Home, since: u64, session: &str) -> (u64, u64) {
    home.store.spent(since, &session.into()).unwrap()
}

#[test]
fn tokens_and_cost_are_summed_up_by_call_turn_and_session() {
    let mut home = Home::new();
    home.append("s", &[created("b"), sent("t", "q"), started("t")]);
    let session = home.store.session(&"s".into()).unwrap();
    let nothing =
        json!({"prompt": null, "completion": null, "cached": null, "reasoning": null, "estimated": false});
    assert_eq!((&session["tokens"], &session["cost"]), (&nothing, &Value::Null));
    home.append("s", &[asked("t", 1, "m"), replied("t", 1, rejected(None), Some((usage(10, 5), 700)))]);
    let more = Usage { cached_tokens: Some(4), reasoning_tokens: Some(2), estimated: true, ..usage(20, 6) };
    home.append("s", &[asked("t", 2, "m"), replied("t", 2, Verdict::Accept, Some((more, 500)))]);
    // What is said again changes nothing.
    home.append("s", &[replied("t", 2, Verdict::Cancelled, Some((usage(1, 1), 1)))]);
    let mut action = proposed("a", "t", insert("x"));
    if let Record::ActionProposed { attempt, .. } = &mut action {
        *attempt = 2;
    }
    home.append("s", &[action, permitted("a", Decision::Allow)]);
    let item = home.store.messages(&"s".into(), None, None).unwrap()["items"][1].take();
    let shown = |prompt: u64, completion: u64| json!({"prompt": prompt, "completion": completion, "cached": 4, "reasoning": 2, "estimated": true});
    assert_eq!(
        item["metadata"],
        json!({"kind": "action", "turn": "t", "attempt": 2, "actuation": "a", "module": "emacs",
               "action": "insert-at-end", "model": "m", "tokens": shown(20, 6), "cost": 0.0005,
               "latency": {"begunMs": 100, "firstMs": 100, "totalMs": 1100},
               "turnTokens": shown(30, 11), "turnCost": 0.0012})
    );
    let session = home.store.sessions(&Sessions::default(), None, None).unwrap()["items"][0].take();
    assert_eq!((&session["tokens"], &session["cost"]), (&shown(30, 11), &json!(0.0012)));
    let why = home.store.why_actuation(&"a".into()).unwrap();
    assert_eq!((&why["tokens"], &why["cost"]), (&shown(30, 11), &json!(0.0012)));
    sound(&home);
}

#[test]
fn a_copy_cost_nothing() {
    let mut home = Home::new();
    home.append("s", &[created("b"), sent("t", "q"), started("t")]);
    home.append("s", &call("t", 1, 700));
    home.append(
        "s",
        &[proposed("a", "t", insert("x")), permitted("a", Decision::Allow), ended("t", EndState::Done)],
    );
    let fork = |home: &mut Home, from: &str, to: &str| {
        let copied = home.store.fork(&from.into(), &Fork::default(), &to.into(), &[created("b")]).unwrap();
        home.wait(copied.last().unwrap().ticket);
    };
    fork(&mut home, "s", "copy");
    home.append("copy", &[sent("u", "more"), started("u")]);
    home.append("copy", &call("u", 1, 30));
    home.append("copy", &[ended("u", EndState::Done)]);
    fork(&mut home, "copy", "copy of it");
    assert_eq!(spent(&home, 0, "s"), (730, 700));
    assert_eq!(spent(&home, 0, "copy"), (730, 30));
    assert_eq!(spent(&home, 0, "copy of it"), (730, 0));
    // A copied message says what it cost when it was made.
    let items = home.store.messages(&"copy".into(), None, None).unwrap()["items"].take();
    assert_eq!(items[1]["metadata"]["cost"], 0.0007);
    sound(&home);
}

/// A store whose clock stands where it is set.
fn at(dir: TempDir, clock: &Arc<AtomicU64>) -> Home {
    let (said, hear) = channel();
    let clock = Arc::clone(clock);
    let clock = Box::new(move || clock.load(Ordering::Relaxed));
    let options = Options { clock, ..Options::default() };
    let store = Store::open_with(dir.path(), options, move |result| drop(said.send(result))).unwrap();
    Home { store, hear, dir }
}

#[test]
fn what_a_deleted_session_cost_today_is_spent() {
    let clock = Arc::new(AtomicU64::new(DAY * 3 + 5));
    let set = |day: u64| clock.store(DAY * day + 5, Ordering::Relaxed);
    let mut home = at(tempfile::tempdir().unwrap(), &clock);
    let delete = |home: &mut Home| {
        let ticket = home.store.delete(&"s".into(), "user").unwrap().ticket;
        home.wait(ticket);
    };
    home.append("s", &[created("b"), sent("t", "q"), started("t")]);
    home.append("s", &call("t", 1, 1_000));
    home.append("other", &[created("b"), sent("o", "q")]);
    home.append("other", &call("o", 1, 5));
    set(4);
    home.append("s", &call("t", 2, 30));
    assert_eq!(spent(&home, DAY * 4, "s"), (30, 1_030));
    delete(&mut home);
    // The day before is forgotten, and so is the session.
    assert_eq!(spent(&home, DAY * 4, "s"), (30, 0));
    assert_eq!(spent(&home, 0, "s"), (35, 0));
    sound(&home);
    // Its name may come back, and go again.
    home.append("s", &[created("b"), sent("t", "q")]);
    home.append("s", &call("t", 1, 200));
    assert_eq!(spent(&home, DAY * 4, "s"), (230, 200));
    delete(&mut home);
    assert_eq!(spent(&home, DAY * 4, "s"), (230, 0));
    sound(&home);
    set(5);
    assert_eq!(spent(&home, DAY * 5, "s"), (0, 0));
    home.append("s", &[created("b"), sent("t", "q")]);
    delete(&mut home);
    assert_eq!(spent(&home, DAY * 4, "s"), (0, 0));
    sound(&home);
}
