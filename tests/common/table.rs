//! A table of a documentation page that tests hold, and write when they are told to: a column for each client, a row for
//! each feature.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

const END: &str = "<!-- End of the table -->";

/// One column at a time.
static WRITING: Mutex<()> = Mutex::new(());

/// What stands in a cell.
pub const WORKED: &str = "yes";
pub const FAILED: &str = "no";
pub const LACKING: &str = "–";

/// Where the table stands.
pub struct Table {
    /// Below the root of the repository.
    pub page: &'static str,
    /// The line before it.
    pub begin: &'static str,
}

impl Table {
    fn page(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(self.page)
    }

    /// What stands before the table, its lines, each as its cells, and what stands behind it.
    fn read(&self) -> (String, Vec<Vec<String>>, String) {
        let text = std::fs::read_to_string(self.page()).unwrap();
        let found = text
            .split_once(self.begin)
            .and_then(|(before, rest)| rest.split_once(END).map(|(inside, after)| (before, inside, after)));
        let (before, inside, after) =
            found.unwrap_or_else(|| panic!("{} has no {} … {END}", self.page, self.begin));
        let cells =
            |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let lines = inside.lines().filter(|line| line.starts_with('|') && !line.starts_with("|-"));
        (before.to_owned(), lines.map(cells).collect(), after.to_owned())
    }

    /// The column of a client: by feature, what came of it.
    pub fn column(&self, client: &str) -> Vec<(String, String)> {
        let (_, lines, _) = self.read();
        let Some(at) = lines.first().and_then(|head| head.iter().position(|name| name == client)) else {
            return Vec::new();
        };
        lines[1..].iter().map(|row| (row[0].clone(), row[at].clone())).collect()
    }

    /// Writes what came of features in a client, and the rows and columns in the order of `features` and `clients`. What
    /// was not played stays as it was.
    pub fn write(&self, client: &str, clients: &[&str], features: &[&str], played: &[(&str, &str)]) {
        let _held = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, old, after) = self.read();
        let known = |row: &str, name: &str| {
            let at = old.first()?.iter().position(|one| one == name)?;
            Some(old.iter().find(|one| one[0] == row)?[at].clone())
        };
        let new = |row: &str, name: &str| {
            let found = played.iter().find(|(one, _)| *one == row && name == client)?;
            Some(found.1.to_owned())
        };
        let mut table = String::from("| |");
        for name in clients {
            table += &format!(" {name} |");
        }
        table += "\n|---|";
        table += &"---|".repeat(clients.len());
        for row in features {
            table += &format!("\n| {row} |");
            for name in clients {
                let cell = new(row, name).or_else(|| known(row, name));
                table += &format!(" {} |", cell.as_deref().unwrap_or("?"));
            }
        }
        let begin = self.begin;
        std::fs::write(self.page(), format!("{before}{begin}\n\n{table}\n\n{END}{after}")).unwrap();
    }
}
