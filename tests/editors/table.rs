//! The table of `docs/editors.md`: client by feature. The tests hold it, and write it when they are told to.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

const BEGIN: &str = "<!-- The tests write this table: make editors-table -->";
const END: &str = "<!-- End of the table -->";

/// One column at a time.
static WRITING: Mutex<()> = Mutex::new(());

/// What stands in a cell.
pub const WORKED: &str = "yes";
pub const FAILED: &str = "no";
pub const LACKING: &str = "–";

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/editors.md")
}

/// The lines of the table, each as its cells.
fn read(text: &str) -> Vec<Vec<String>> {
    let inside = text.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(inside, _)| inside);
    let inside = inside.unwrap_or_else(|| panic!("docs/editors.md has no {BEGIN} … {END}"));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    inside.lines().filter(|line| line.starts_with('|') && !line.starts_with("|-")).map(cells).collect()
}

/// The column of a client: by feature, what came of it.
pub fn column(client: &str) -> Vec<(String, String)> {
    let table = read(&std::fs::read_to_string(page()).unwrap());
    let Some(at) = table.first().and_then(|head| head.iter().position(|name| name == client)) else {
        return Vec::new();
    };
    table[1..].iter().map(|row| (row[0].clone(), row[at].clone())).collect()
}

/// Writes the column of a client, and the rows and columns in the order of `features` and `clients`.
pub fn write(client: &str, clients: &[&str], features: &[&str], cells: &[&str]) {
    let _held = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let text = std::fs::read_to_string(page()).unwrap();
    let old = read(&text);
    let known = |row: &str, name: &str| {
        let at = old.first()?.iter().position(|one| one == name)?;
        Some(old.iter().find(|one| one[0] == row)?[at].clone())
    };
    let mut table = String::from("| |");
    for name in clients {
        table += &format!(" {name} |");
    }
    table += "\n|---|";
    table += &"---|".repeat(clients.len());
    for (row, cell) in features.iter().zip(cells) {
        table += &format!("\n| {row} |");
        for name in clients {
            let cell = if *name == client { Some((*cell).to_owned()) } else { known(row, name) };
            table += &format!(" {} |", cell.as_deref().unwrap_or("?"));
        }
    }
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    std::fs::write(page(), format!("{before}{BEGIN}\n\n{table}\n\n{END}{after}")).unwrap();
}
