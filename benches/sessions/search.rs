//! Full-text search. What is asked is the same for both sides: the store, and FTS5's own ranking over all that matches.

use std::hint::black_box;

use org_agent::request::Search;
use org_agent::store::Store;
use rusqlite::{Connection, Row};

use crate::table::{Table, Unit};

/// How many results.
const RESULTS: u32 = 20;

/// What is asked, in words and as it is typed, and what it should take.
pub const QUERIES: [(&str, &str, &str); 8] = [
    ("two words of most messages", "ba ca", "< 50 ms"),
    ("two common words", "the error", "< 50 ms"),
    ("a common and a rare word", "the needle", "< 50 ms"),
    ("two common words that never meet", "evenly oddly", "< 50 ms"),
    ("four words that never meet", "ba the evenly oddly", "< 50 ms"),
    ("a phrase", "\"the ba\"", "< 50 ms"),
    ("the beginning of a word", "need*", "< 50 ms"),
    ("a word that is nowhere", "nowhere", "< 50 ms"),
];

/// Asks both, in turns.
pub fn compare(store: &Store, db: &Connection, rounds: usize, table: &mut Table) {
    for (name, text, target) in QUERIES {
        let search = Search { text: text.to_owned(), limit: Some(RESULTS), ..Search::default() };
        let [ours, bare] = crate::compare(
            rounds,
            || drop(black_box(store.search(&search, None).unwrap())),
            || assert!(plain(db, text) <= RESULTS as usize),
        );
        table
            .row(&format!("search, {name}"), Unit::Time, &ours)
            .target(target)
            .against("plain SQLite, bm25", &bare);
        table.row("  plain SQLite, bm25", Unit::Time, &bare);
    }
}

/// How many results the plain file has.
fn plain(db: &Connection, text: &str) -> usize {
    let mut query = db
        .prepare_cached("SELECT rowid, bm25(words) FROM words WHERE words MATCH ?1 ORDER BY 2 LIMIT ?2")
        .unwrap();
    let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, f64>(1)?));
    let rows: Vec<_> = query.query_map((text, RESULTS), row).unwrap().map(Result::unwrap).collect();
    black_box(rows).len()
}
