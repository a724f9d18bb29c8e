//! `org-agent model list`: the models that can be chosen, as a table or as JSON lines.

use std::io::Write;

use serde_json::Value;

use crate::cli::{visible, written};
use crate::config::{Config, Secrets};
use crate::error::Result;
use crate::kernel::models::describe;

/// List the models that can be chosen; the first one answers if nothing else is said
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
    let items: Vec<Value> = config.offered(&Secrets::new()).iter().map(describe).collect();
    let text = if args.json {
        items.iter().map(|item| format!("{}\n", visible(&item.to_string()))).collect()
    } else {
        table(&items)
    };
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), "the list")?;
    Ok(0)
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
    [word("name"), word("model"), word("provider"), word("dialect"), price, marks.join(", ")]
}
