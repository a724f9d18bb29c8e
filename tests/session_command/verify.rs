//! `verify`: damage is found and named, and what is folded is made anew.

use super::*;

#[test]
fn what_is_sound_is_said_to_be() {
    let (home, ids) = Home::with(&["echo: one", "echo: two"]);
    let db = home.database();
    let events: i64 = db.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
    assert_eq!(home.run(&["verify"]).good(), format!("{events} events of 2 sessions are sound\n"));
    assert_eq!(home.run(&["verify", &ids[0][..8]]).good(), format!("session {} is sound\n", ids[0]));
    home.run(&["verify", "zzz"]).bad(1, &["no session begins with"]);
    home.run(&["delete", &ids[0], "--yes"]).good();
    assert!(home.run(&["verify"]).good().ends_with(" events of 1 session are sound\n"));
}

#[test]
fn a_flipped_bit_of_the_log_is_found_and_stays() {
    let (home, ids) = Home::with(&["echo: one", "echo: two"]);
    let db = home.database();
    let body: String = db
        .query_row("SELECT body FROM log WHERE session = ?1 AND seq = 2", [&ids[0]], |row| row.get(0))
        .unwrap();
    let damaged = body.replacen("one", "ond", 1);
    assert_ne!(body, damaged);
    db.execute_batch("DROP TRIGGER log_no_update").unwrap();
    db.execute("UPDATE log SET body = ?1 WHERE session = ?2 AND seq = 2", [&damaged, &ids[0]]).unwrap();
    let place = format!("event 2 of session {}: ", ids[0]);
    for args in [&["verify"] as &[&str], &["verify", &ids[0][..8]], &["verify", "--repair"]] {
        let found = home.run(args).bad(1, &[]);
        assert!(found.stdout.contains(&place), "{args:?}: {found:?}");
        assert!(found.stdout.ends_with(" finding\n") || found.stdout.ends_with(" findings\n"), "{found:?}");
    }
    // The other session is as it was, and the log is not repaired.
    home.run(&["verify", &ids[1]]).good();
    let now: String = db
        .query_row("SELECT body FROM log WHERE session = ?1 AND seq = 2", [&ids[0]], |row| row.get(0))
        .unwrap();
    assert_eq!(now, damaged);
}

#[test]
fn a_damaged_view_is_found_and_made_anew() {
    let (home, ids) = Home::with(&["echo: one", "echo: two"]);
    let good = home.run(&["list", "--json"]).good();
    let log = |db: &rusqlite::Connection| -> Vec<String> {
        let mut query = db.prepare("SELECT id FROM log ORDER BY position").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let before = log(&home.database());
    for damage in [
        "UPDATE chat_sessions SET title = 'forged'",
        "UPDATE chat_messages SET content = 'forged'",
        "INSERT INTO message_words (message_words) VALUES ('delete-all')",
    ] {
        home.database().execute_batch(damage).unwrap();
        let found = home.run(&["verify"]).bad(1, &[]);
        assert!(found.stdout.contains("org-agent session verify --repair"), "{damage}: {found:?}");
        assert!(found.stdout.ends_with("1 finding\n"), "{damage}: {found:?}");
        let repaired = home.run(&["verify", "--repair"]).good();
        assert!(repaired.starts_with("lists and messages were made anew from the log\n"), "{repaired}");
        assert!(repaired.ends_with(" of 2 sessions are sound\n"), "{repaired}");
        home.run(&["verify"]).good();
    }
    assert_eq!(home.run(&["list", "--json"]).good(), good);
    assert_eq!(log(&home.database()), before);
    assert_eq!(home.run(&["search", "two", "--json"]).good().matches(&ids[1]).count(), 2);
}

#[test]
fn where_nothing_can_be_written_sessions_can_be_looked_at() {
    let (home, ids) = Home::with(&["echo: one"]);
    let frozen = |args: &[&str]| {
        let mut command = home.command("bwrap");
        command.args(["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/var/tmp"]);
        command.args([env!("CARGO_BIN_EXE_org-agent"), "session"]).args(args).output()
    };
    // Not every machine has bubblewrap, or lets it work.
    if !frozen(&["--help"]).is_ok_and(|output| output.status.success()) {
        return;
    }
    for args in
        [&["list"] as &[&str], &["show", &ids[0]], &["search", "one"], &["export", &ids[0]], &["verify"]]
    {
        let expected = home.run(args).good();
        assert_eq!(outcome(&frozen(args).unwrap()).good(), expected, "{args:?}");
    }
    outcome(&frozen(&["rename", &ids[0], "x"]).unwrap()).bad(1, &["org-agent: "]);
    outcome(&frozen(&["verify", "--repair"]).unwrap()).bad(1, &["org-agent: "]);
    assert_eq!(home.session(&ids[0])["title"], "echo: one");
}

#[test]
fn of_a_damaged_database_what_can_be_read_is_kept() {
    let (home, ids) = Home::with(&["echo: one", "echo: two", "echo: three"]);
    assert!(home.run(&["recover"]).good().contains("events and"));
    // The pages of one table's data, and whatever else is on them.
    let path = home.path().join("agent.db");
    let db = home.database();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let page: i64 = db
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'chat_messages'", [], |row| row.get(0))
        .unwrap();
    drop(db);
    let mut bytes = std::fs::read(&path).unwrap();
    let end = usize::try_from(page).unwrap() * 4096;
    bytes[end - 4096..end].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let seen = home.fed(&["doctor"], "");
    assert_eq!(seen.status, 1);
    assert!(seen.stdout.contains("is damaged") && seen.stdout.contains("session recover"), "{}", seen.stdout);
    home.run(&["show", &ids[0]]).bad(1, &["damaged", "org-agent session recover"]);
    let said = home.run(&["recover"]).good();
    assert!(said.contains("agent.db.damaged-"), "{said}");
    assert!(home.run(&["show", &ids[0]]).good().contains("one"));
    home.run(&["verify"]).good();
}

#[test]
fn a_database_that_is_written_anew_has_nothing_of_what_was_deleted() {
    let (home, ids) = Home::with(&["echo: Xylophonist", "echo: else"]);
    home.run(&["delete", &ids[0], "--yes"]).good();
    let said = home.run(&["compact"]).good();
    assert!(said.contains("KiB were"), "{said}");
    for file in ["agent.db", "agent.db-wal"] {
        let bytes = std::fs::read(home.path().join(file)).unwrap_or_default();
        for word in [&b"Xylophonist"[..], b"xylophonist"] {
            assert!(!bytes.windows(word.len()).any(|part| part == word), "{file}");
        }
    }
    home.run(&["verify"]).good();
    assert!(home.run(&["show", &ids[1]]).good().contains("else"));
}
