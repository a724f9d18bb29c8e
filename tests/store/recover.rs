//! The way out of a damaged database.

use org_agent::store::recover;

use super::*;

fn filled() -> TempDir {
    let mut home = Home::new();
    for session in 0..40 {
        let id = format!("s{session}");
        home.append(&id, &[created("b")]);
        for turn in 0..10 {
            let turn = format!("{id}-{turn}");
            home.append(
                &id,
                &[sent(&turn, &"word ".repeat(100)), started(&turn), ended(&turn, EndState::Done)],
            );
        }
    }
    let text = home.store.blob("a prompt");
    let prompt = Record::Prompted {
        turn: "s0-0".into(),
        attempt: 1,
        model: "m".into(),
        messages: vec![MessageRef { role: "user".into(), sha256: text }],
        tokens: None,
        parameters: Value::Null,
        persona: None,
    };
    home.append("s0", &[prompt]);
    let Home { store, dir, .. } = home;
    drop(store);
    dir
}

#[test]
fn what_can_be_read_of_a_damaged_database_is_kept() {
    let dir = filled();
    let path = dir.path().join("agent.db");
    let events = 40 * 31 + 1;
    let mut bytes = std::fs::read(&path).unwrap();
    // Every seventh page from the middle on is garbage; the first ones say what the tables are.
    let pages = bytes.len() / 4096;
    for page in (pages / 2..pages).step_by(7) {
        bytes[page * 4096..(page + 1) * 4096].fill(0xa5);
    }
    std::fs::write(&path, &bytes).unwrap();
    let mut told = 0;
    let recovered = recover(dir.path(), &mut |count| told = count).unwrap();
    assert!(recovered.events > events / 3 && recovered.events < events, "{recovered:?}");
    assert!(recovered.unreadable > 0, "{recovered:?}");
    assert_eq!(told, recovered.events + recovered.damaged);
    assert_eq!(std::fs::read(&recovered.kept).unwrap(), bytes);
    let mut home = Home::in_dir(dir);
    // What is left is genuine; where something is missing, a check says so and nothing else.
    let findings = home.store.verify_all().unwrap();
    assert!(
        findings.iter().all(|finding| finding.problem.contains("missing")
            || finding.problem.contains("does not name the event before")),
        "{findings:?}"
    );
    home.append("new", &[created("b"), sent("t", "it goes on")]);
    assert_eq!(home.store.verify(&"new".into()).unwrap(), []);
}

#[test]
fn a_sound_database_is_the_same_afterwards() {
    let dir = filled();
    let before = views(&raw(dir.path()));
    let recovered = recover(dir.path(), &mut |_| {}).unwrap();
    assert_eq!(
        (recovered.events, recovered.unreadable, recovered.damaged, recovered.texts),
        (40 * 31 + 1, 0, 0, 1)
    );
    let home = Home::in_dir(dir);
    assert_eq!(views(&home.raw()), before);
    assert_eq!(home.store.verify_all().unwrap(), []);
}

#[test]
fn nothing_is_recovered_under_a_server_nor_out_of_nothing() {
    let home = Home::new();
    let error = recover(home.dir.path(), &mut |_| {}).unwrap_err();
    assert_eq!(error.code, Code::Conflict, "{error}");
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(recover(empty.path(), &mut |_| {}).unwrap_err().code, Code::NotFound);
    std::fs::write(empty.path().join("agent.db"), vec![7; 8192]).unwrap();
    assert!(recover(empty.path(), &mut |_| {}).unwrap_err().what.contains("damaged"));
    // What was there is there.
    assert_eq!(std::fs::read(empty.path().join("agent.db")).unwrap(), vec![7; 8192]);
}
