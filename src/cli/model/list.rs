//! `org-agent model list`: the models that can be chosen, as a table or as JSON lines.
//!
//! Servers on this machine are asked for the lists of theirs, and for nothing else.

use std::io::Write;

use serde_json::Value;

use crate::cli::{runtime, visible, written};
use crate::config::{Config, Secrets};
use crate::error::Result;
use crate::kernel::local::beside;
use crate::kernel::models::describe;
use crate::model::local;

/// List the models that can be chosen, with those of servers on this machine; the first one answers if nothing else is said
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  org-agent model list\n  org-agent model list --json")]
pub(super) struct Args {
    /// One JSON object a line, as orgAgent/models/list has them
    #[arg(long)]
    json: bool,
}

/// What stands above the columns.
const HEAD: [&str; 6] = ["NAME", "MODEL", "PROVIDER", "DIALECT", "PRICE", ""];

pub(super) fn run(args: &Args, config: &Config, stdout: &mut dyn Write) -> Result<u8> {
    let found = runtime()?.block_on(local::find(&config.local));
    let mut offered = config.offered(&Secrets::new());
    let names = found.iter().flat_map(|found| found.names(&config.local));
    offered.extend(beside(config, &offered, names));
    let items: Vec<Value> = offered.iter().map(describe).collect();
    let text = if args.json {
        items.iter().map(|item| format!("{}\n", visible(&item.to_string()))).collect()
    } else {
        table(&items)
    };
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), "the list")?;
    // What cannot be chosen by a name.
    for found in found.iter().filter(|found| found.names(&config.local).next().is_none()) {
        remark(&found.sentence());
    }
    if offered.iter().any(|offered| offered.found) {
        remark(&format!("what was found is asked for nothing before you say so: {} NAME", local::YES));
    }
    Ok(0)
}

/// A remark that is not a part of the answer.
fn remark(text: &str) {
    // Without standard error there is nobody left to tell.
    drop(writeln!(std::io::stderr(), "org-agent: {}", visible(text)));
}

/// The models, one a line; under one that cannot be asked, why and what to do.
fn table(items: &[Value]) -> String {
    let rows: Vec<[String; 6]> = items.iter().map(row).collect();
    let head = HEAD.map(str::to_owned);
    let width = |column: usize| {
        rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    let mut add = |cells: &[String; 6]| {
        let padded: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    };
    add(&head);
    for (cells, item) in rows.iter().zip(items) {
        add(cells);
        for key in ["problem", "hint"] {
            if let Some(why) = item[key].as_str().filter(|why| !why.is_empty()) {
                let arrow = if key == "hint" { "-> " } else { "" };
                add(&[
                    "".to_owned(),
                    format!("{arrow}{}", visible(why)),
                    "".into(),
                    "".into(),
                    "".into(),
                    "".into(),
                ]);
            }
        }
    }
    text
}

fn row(item: &Value) -> [String; 6] {
    let word =
        |key: &str| item[key].as_str().map_or_else(|| "-".to_owned(), |word| visible(word).into_owned());
    let price = &item["price"];
    let price = match (price["input"].as_f64(), price["output"].as_f64()) {
        (Some(input), Some(output)) => format!("{input}/{output}"),
        _ => "-".to_owned(),
    };
    let mut marks = Vec::new();
    if item["default"] == true {
        marks.push("default");
    }
    if item["found"] == true {
        marks.push("found");
    }
    [word("name"), word("model"), word("provider"), word("dialect"), price, marks.join(", ")]
}
