//! When an event is on disk, and what happens when it cannot be.

use std::io::{BufRead, Write};

use super::*;

#[test]
fn what_waits_is_committed_together() {
    let mut home = Home::new();
    let lock = home.raw();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut last = 0;
    for _ in 0..500 {
        last = home.store.append(&"s".into(), &created("b")).unwrap().ticket;
    }
    lock.execute_batch("COMMIT").unwrap();
    home.wait(last);
    // The first may have been taken before the second came.
    assert!((1..=2).contains(&home.store.transactions()), "{}", home.store.transactions());
    assert_eq!(home.store.verify(&"s".into()).unwrap(), []);
}

#[test]
fn what_is_reported_is_visible_to_everyone() {
    let dir = tempfile::tempdir().unwrap();
    let (said, hear) = channel();
    let path = dir.path().to_owned();
    let mut store = Store::open(dir.path(), move |ticket| {
        let seen: u64 =
            raw(&path).query_row("SELECT count(*) FROM log", [], |row| row.get::<_, i64>(0)).unwrap() as u64;
        said.send((ticket.unwrap(), seen)).unwrap();
    })
    .unwrap();
    let mut last = 0;
    for number in 0..41 {
        assert_eq!(store.append(&"s".into(), &created("b")).unwrap().ticket, number + 1);
        if number % 3 == 0 {
            while last < number + 1 {
                let (ticket, seen) = hear.recv_timeout(Duration::from_secs(60)).unwrap();
                assert!(ticket > last && seen == ticket, "{ticket} {seen}");
                last = ticket;
            }
        }
    }
    assert_eq!(store.author().len(), 64);
    // Closing writes what waits and leaves one file of the database.
    drop(store);
    assert_eq!(hear.iter().last().unwrap(), (41, 41));
    assert!(!dir.path().join("agent.db-wal").exists());
    let mode = |name: &str| {
        let data = std::fs::metadata(dir.path().join(name)).unwrap();
        std::os::unix::fs::PermissionsExt::mode(&data.permissions()) & 0o777
    };
    assert_eq!((mode("agent.db"), mode("key")), (0o600, 0o600));
}

#[test]
fn a_database_that_cannot_be_used_says_so() {
    let garbage = vec![7; 8192];
    let check = |prepare: &dyn Fn(&Path), what: &str| {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        prepare(&home);
        let error = Store::open(&home, |_| ()).unwrap_err();
        assert_eq!(error.code, Code::Internal);
        assert!(error.what.contains(what) && !error.why.is_empty() && !error.hint.is_empty(), "{error}");
    };
    let made = |home: &Path| std::fs::create_dir(home).unwrap();
    check(&|home| std::fs::write(home, "a file").unwrap(), "cannot make the data directory");
    check(
        &|home| {
            made(home);
            std::fs::write(home.join("agent.db"), &garbage).unwrap();
        },
        "is damaged or is no database",
    );
    check(
        &|home| {
            made(home);
            std::fs::create_dir(home.join("agent.db")).unwrap();
        },
        "cannot be opened or written",
    );
    check(
        &|home| {
            made(home);
            std::fs::create_dir(home.join("key")).unwrap();
        },
        "cannot read or make the signing key",
    );
}

#[test]
fn a_database_that_stays_locked_stops_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (said, hear) = channel();
    let options = Options { clock: ticking(), busy: Duration::from_millis(20), patience: Duration::ZERO };
    let mut store = Store::open_with(dir.path(), options, move |result| drop(said.send(result))).unwrap();
    let lock = raw(dir.path());
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.append(&"s".into(), &created("b")).unwrap();
    let error = hear.recv_timeout(Duration::from_secs(60)).unwrap().unwrap_err();
    assert!(error.what.contains("the database is locked"), "{error}");
    lock.execute_batch("COMMIT").unwrap();
    // What comes later must not be on disk without what came before.
    assert!(hear.recv().is_err());
    assert_eq!(store.append(&"s".into(), &created("b")).unwrap_err().code, Code::Internal);
    assert_eq!(store.verify_all().unwrap(), []);
    assert!(store.session(&"s".into()).is_err());
}

#[test]
fn a_torn_write_ahead_log_loses_only_its_torn_end() {
    let mut home = Home::new();
    home.append("s", &[created("b")]);
    // From here on everything stands in the WAL only.
    let db = home.raw();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let mut sizes = Vec::new();
    let wal = home.dir.path().join("agent.db-wal");
    for number in 0..4 {
        home.append("s", &[sent(&format!("t{number}"), "q")]);
        sizes.push(std::fs::metadata(&wal).unwrap().len());
    }
    for (cut, expected) in
        [(sizes[3], 5), (sizes[3] - 1, 4), (sizes[2] + 100, 4), (sizes[1], 3), (sizes[0] - 1, 1), (0, 1)]
    {
        let torn = tempfile::tempdir().unwrap();
        for name in ["agent.db", "agent.db-wal", "key"] {
            std::fs::copy(home.dir.path().join(name), torn.path().join(name)).unwrap();
        }
        std::fs::OpenOptions::new()
            .write(true)
            .open(torn.path().join("agent.db-wal"))
            .unwrap()
            .set_len(cut)
            .unwrap();
        let mut torn = Home::in_dir(torn);
        assert_eq!(torn.store.append(&"s".into(), &created("b")).unwrap().seq, expected + 1, "cut at {cut}");
        torn.wait(1);
        assert_eq!(torn.store.verify_all().unwrap(), []);
    }
}

#[test]
fn several_writers_share_one_database() {
    let dir = tempfile::tempdir().unwrap();
    let start = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let (dir, start) = (dir.path(), &start);
            scope.spawn(move || {
                start.wait();
                let (mut store, reports) = open(dir);
                for number in 0..25 {
                    let turn = format!("{name}{number}");
                    let ticket = store.append(&name.into(), &sent(&turn, "q")).unwrap().ticket;
                    while reports.recv_timeout(Duration::from_secs(60)).unwrap().unwrap() < ticket {}
                }
            });
        }
    });
    let home = Home::in_dir(dir);
    assert_eq!(home.store.verify_all().unwrap(), []);
    assert_eq!(home.store.unfinished_turns().unwrap().len(), 100);
}

/// Not a test by itself: the other process of the test below.
#[test]
#[ignore = "run by a_lease_dies_with_its_process"]
fn holder_of_a_lease() {
    let Some(dir) = std::env::var_os("ORG_AGENT_TEST_LEASE") else { panic!("run by another test") };
    let (mut store, reports) = open(Path::new(&dir));
    let _lease = store.lease(&"s".into()).unwrap().unwrap();
    store.append(&"s".into(), &created("b")).unwrap();
    reports.recv().unwrap().unwrap();
    writeln!(std::io::stdout(), "ready").unwrap();
    // Until it is killed.
    drop(reports.recv());
}

#[test]
fn a_lease_dies_with_its_process() {
    let mut home = Home::new();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "durability::holder_of_a_lease", "--ignored", "--nocapture"])
        .env("ORG_AGENT_TEST_LEASE", home.dir.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("ready")), "it ended before it was ready");
    let session = "s".into();
    assert!(home.store.lease(&session).unwrap().is_none());
    assert!(home.store.lease(&"another".into()).unwrap().is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    let lease = home.store.lease(&session).unwrap();
    assert!(lease.is_some());
    assert_eq!(home.append("s", &[created("b")]).len(), 1);
    assert_eq!(home.store.session(&session).unwrap()["title"], "A title");
    assert_eq!(home.store.verify_all().unwrap(), []);
}
