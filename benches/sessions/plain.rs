//! The same sessions and messages in a plain SQLite file, as one would make it with no log, no signatures
//! and no views: what the store's times are compared with. It reads the store's file once, to copy from it.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Row};

/// A table each, the obvious indexes, and the full-text index that SQLite's documentation begins with.
const SCHEMA: &str = "
    CREATE TABLE sessions (id TEXT PRIMARY KEY, title TEXT, status TEXT,
        created_at INTEGER, updated_at INTEGER);
    CREATE INDEX sessions_created ON sessions (created_at);
    CREATE TABLE messages (position INTEGER PRIMARY KEY, session TEXT, role TEXT, content TEXT,
        created_at INTEGER);
    CREATE INDEX messages_session ON messages (session, position);
    CREATE VIRTUAL TABLE words USING fts5 (content, content = 'messages', content_rowid = 'position');
    CREATE TABLE events (position INTEGER PRIMARY KEY, session TEXT, body TEXT);";

/// Opens the file with the durability of the store: what is committed is on the disk.
pub fn open(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    db.pragma_update(None, "synchronous", "FULL").unwrap();
    db
}

/// Makes the file, without rows.
pub fn create(path: &Path) -> Connection {
    let db = open(path);
    db.execute_batch(SCHEMA).unwrap();
    db
}

/// Makes the file with all that the store has in `store`, and says how long that took, and how long the
/// full-text index by itself.
pub fn copy(path: &Path, store: &Path) -> [Duration; 2] {
    let db = create(path);
    let begun = Instant::now();
    db.pragma_update(None, "synchronous", "OFF").unwrap();
    db.execute("ATTACH ?1 AS store", [store.to_str().unwrap()]).unwrap();
    db.execute_batch(
        "INSERT INTO sessions SELECT id, title, status, created_at, updated_at FROM store.chat_sessions;
         INSERT INTO messages SELECT position, session, role, content, created_at FROM store.chat_messages
             WHERE listed = 1 ORDER BY position;",
    )
    .unwrap();
    let copied = begun.elapsed();
    db.execute_batch("INSERT INTO words (words) VALUES ('rebuild')").unwrap();
    [copied, begun.elapsed() - copied]
}

/// What a program does at its start: opens the file and reads something from it.
pub fn start(path: &Path) -> Connection {
    let db = open(path);
    let newest: i64 = db.query_row("SELECT max(position) FROM messages", [], |row| row.get(0)).unwrap();
    assert!(newest > 0);
    db
}

/// The `count` sessions that were made last.
pub fn sessions(db: &Connection, count: u32) -> usize {
    let mut query = db
        .prepare_cached(
            "SELECT id, title, status, created_at, updated_at FROM sessions
             ORDER BY created_at DESC LIMIT ?1",
        )
        .unwrap();
    let row = |row: &Row<'_>| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, i64>(3)?,
            row.get::<_, i64>(4)?,
        ))
    };
    let rows: Vec<_> = query.query_map([count], row).unwrap().map(Result::unwrap).collect();
    std::hint::black_box(rows).len()
}

/// The last `count` messages of `session`.
pub fn last(db: &Connection, session: &str, count: u32) -> usize {
    let mut query = db
        .prepare_cached(
            "SELECT position, role, content, created_at FROM messages WHERE session = ?1
             ORDER BY position DESC LIMIT ?2",
        )
        .unwrap();
    let row = |row: &Row<'_>| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, i64>(3)?))
    };
    let rows: Vec<_> = query.query_map((session, count), row).unwrap().map(Result::unwrap).collect();
    std::hint::black_box(rows).len()
}
