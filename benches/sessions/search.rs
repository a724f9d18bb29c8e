//! Full-text search. What is asked is the same for both sides; here is the plain one: FTS5's own ranking
//! over all that matches.

use std::hint::black_box;
use std::time::Instant;

use rusqlite::{Connection, Row};

use crate::table::{Samples, Table, Unit};

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

/// Asks the plain file.
pub fn plain(db: &Connection, rounds: usize, table: &mut Table) {
    for (name, text, target) in QUERIES {
        let mut samples = Samples::default();
        for run in 0..=rounds {
            let begun = Instant::now();
            let mut query = db
                .prepare_cached(
                    "SELECT rowid, bm25(words) FROM words WHERE words MATCH ?1 ORDER BY 2 LIMIT ?2",
                )
                .unwrap();
            let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, f64>(1)?));
            let rows: Vec<_> = query.query_map((text, RESULTS), row).unwrap().map(Result::unwrap).collect();
            assert!(black_box(rows).len() <= RESULTS as usize);
            // The first is warm-up.
            if run > 0 {
                samples.time(begun.elapsed());
            }
        }
        table.row(&format!("search, {name}: plain SQLite, bm25"), Unit::Time, &samples).target(target);
    }
}
