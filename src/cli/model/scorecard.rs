//! `org-agent model scorecard`: how well models answered and what they cost, as tables of at most a hundred columns or as
//! JSON lines. `store/scorecard.rs` says what is counted, and how.

use std::io::Write;

use unicode_width::UnicodeWidthChar;

use crate::cli::session::{self, line, search};
use crate::cli::{visible, written};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::store::{Score, Which};

const HELP: &str = "\
Examples:
  org-agent model scorecard
  org-agent model scorecard --since 30d
  org-agent model scorecard --session 3f99 --json

Counted are calls for an action, not those that a skill makes for a text, nor deleted sessions.
CALLS      calls that have ended
TRIES      first tries that the verifier had the last word on, and VALID, how many of them were right
REPAIRS    calls that were told of a wrong reply, for each action that came of it
STOPPED    bytes that wrong replies could still have had when they were stopped: saved at most
FIRST P95  time to the first byte of text: half of the calls, and 95 of 100, had it by then
TOKENS/S   tokens a second from the first one on
IN OUT     tokens of prompts, how many of them the provider had read before (CACHED), and of replies
COST       US dollars, and for each action (EACH)";

/// Show how well models answered and what they cost, from the log
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// Only calls since a date, a time, or so long ago: 2026-03-01, 2026-03-01T10:00:00Z, 30d
    #[arg(long, value_name = "WHEN", value_parser = search::date)]
    since: Option<u64>,
    /// Only those of this session: its identifier, or its beginning
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// One JSON object a line, with the exact numbers
    #[arg(long)]
    json: bool,
}

/// How wide names are at most.
const MODEL: usize = 20;
const PERSONA: usize = 10;

/// How many columns of a table are names: these stand on the left, and numbers on the right.
const NAMES: usize = 2;

/// Shows it.
///
/// # Errors
/// `not_found` if there is no such session; `internal` if the database fails or `stdout` can not be written.
pub(super) fn run(args: &Args, config: &Config, stdout: &mut dyn Write) -> Result<u8> {
    let scores = match config.paths.database().exists() || args.session.is_some() {
        true => {
            let store = session::open(config)?;
            let session = args.session.as_ref().map(|begin| session::find(&store, begin)).transpose()?;
            store.scorecard(&Which { since: args.since, session })?
        }
        false => Vec::new(),
    };
    let text = if args.json {
        let line = |score: &Score| {
            let json = serde_json::to_string(score)
                .map_err(|error| Error::internal("a score could not be written as JSON").because(error))?;
            Ok(format!("{}\n", visible(&json)))
        };
        scores.iter().map(line).collect::<Result<String>>()?
    } else if scores.is_empty() {
        let all = args.since.is_none() && args.session.is_none();
        format!("no model was asked for an action{}\n", if all { " yet" } else { " there and then" })
    } else {
        tables(&scores)
    };
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), "the scorecard")?;
    Ok(0)
}

fn tables(scores: &[Score]) -> String {
    let replies =
        ["MODEL", "PERSONA", "CALLS", "TRIES", "VALID", "REPAIRS", "STOPPED", "FAILED", "CANCELLED"];
    let usage = ["MODEL", "PERSONA", "FIRST", "P95", "TOKENS/S", "IN", "CACHED", "OUT", "COST", "EACH"];
    let mut text = table(&replies, scores.iter().map(answered).collect());
    text.push('\n');
    text.push_str(&table(&usage, scores.iter().map(used).collect()));
    let failed: Vec<Vec<String>> = scores
        .iter()
        .flat_map(|score| {
            score.failures.iter().map(|(trouble, count)| {
                let [model, persona] = names(score);
                vec![model, persona, line(trouble), short(*count)]
            })
        })
        .collect();
    if !failed.is_empty() {
        text.push('\n');
        text.push_str(&table(&["MODEL", "PERSONA", "FAILED WITH", "TIMES"], failed));
    }
    if scores.iter().any(|score| score.estimated) {
        text.push_str("\n~ some of these tokens were counted here: the server did not say how many\n");
    }
    text
}

fn names(score: &Score) -> [String; NAMES] {
    let persona = if score.persona.is_empty() { "-" } else { &score.persona };
    [clip(&line(&score.model), MODEL), clip(&line(persona), PERSONA)]
}

/// A line of the table about replies.
fn answered(score: &Score) -> Vec<String> {
    let [model, persona] = names(score);
    vec![
        model,
        persona,
        short(score.calls),
        short(score.first_tries),
        maybe(score.valid_first_percent, |percent| format!("{percent:.1}%")),
        maybe(score.repairs_per_action, |mean| format!("{mean:.2}")),
        short(score.stopped_bytes),
        short(score.failures.values().sum()),
        short(score.cancelled),
    ]
}

/// A line of the table about times and costs.
#[allow(clippy::cast_precision_loss, reason = "it is shown with three digits")]
fn used(score: &Score) -> Vec<String> {
    let [model, persona] = names(score);
    let seconds = |ms: u64| scaled(ms as f64 / 1000.0, 2) + "s";
    let about = if score.estimated { "~" } else { "" };
    let dollars = |dollars: f64| if dollars < 1.0 { format!("{dollars:.6}") } else { scaled(dollars, 2) };
    vec![
        model,
        persona,
        maybe(score.first_ms_median, seconds),
        maybe(score.first_ms_p95, seconds),
        maybe(score.tokens_per_second, |speed| scaled(speed, 1)),
        format!("{about}{}", short(score.prompt_tokens)),
        short(score.cached_tokens),
        format!("{about}{}", short(score.completion_tokens)),
        maybe(score.cost, dollars),
        maybe(score.cost_per_action, dollars),
    ]
}

fn maybe<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

/// A number in few characters.
#[allow(clippy::cast_precision_loss, reason = "it is shown with three digits")]
fn short(number: u64) -> String {
    scaled(number as f64, 0)
}

/// A number with a letter for its thousands, if it has any; else with so many digits behind the point.
fn scaled(number: f64, digits: usize) -> String {
    let (mut number, mut digits) = (number, digits);
    let mut letters = ["", "k", "M", "G", "T", "P"].into_iter().peekable();
    while number >= 999.5 && letters.len() > 1 {
        (number, digits) = (number / 1000.0, 1);
        letters.next();
    }
    if number >= 99.95 {
        digits = 0;
    }
    format!("{number:.digits$}{}", letters.next().unwrap_or_default())
}

/// `text`, without its end if it is wider than `most`.
fn clip(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut room = most - 1;
    let fits = |c: &char| {
        let own = c.width().unwrap_or_default();
        let fits = own <= room;
        room = room.saturating_sub(own);
        fits
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

fn width(text: &str) -> usize {
    text.chars().filter_map(char::width).sum()
}

/// Columns under their heads.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let head = head.iter().map(|&name| name.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| Some(width(row.get(column)?))).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut shown = String::new();
        for (at, (cell, wide)) in row.iter().zip(&widths).enumerate() {
            let blanks = " ".repeat(wide.saturating_sub(width(cell)));
            let (before, after) = if at < NAMES { ("", blanks.as_str()) } else { (blanks.as_str(), "") };
            shown.push_str(&format!("{before}{cell}{after}  "));
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_counted_fits_a_hundred_columns_and_acts_on_no_terminal() {
        let most = Score {
            model: "模型\u{1b}[31m\u{202e}\n".repeat(30),
            persona: "\u{0}".repeat(90),
            calls: u64::MAX,
            first_tries: u64::MAX,
            valid_first_percent: Some(100.0),
            repairs_per_action: Some(2.0),
            stopped_bytes: u64::MAX,
            failures: [("x\u{1b}".to_owned(), 1 << 60)].into(),
            cancelled: u64::MAX,
            first_ms_median: Some(1 << 40),
            first_ms_p95: Some(999_999),
            tokens_per_second: Some(99_999.0),
            prompt_tokens: 1 << 60,
            cached_tokens: 1 << 60,
            completion_tokens: 1 << 60,
            estimated: true,
            cost: Some(0.999_999),
            cost_per_action: Some(1e12),
            ..Score::default()
        };
        let text = tables(&[most, Score::default()]);
        assert!(text.lines().all(|line| width(line) <= 100), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\0']), "{text}");
        assert_eq!(text.lines().count(), 3 + 1 + 3 + 1 + 2 + 2);
    }

    #[test]
    fn numbers_are_short_and_not_rounded_into_the_next_letter() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1.0k"),
            (12_345, "12.3k"),
            (123_456, "123k"),
            (999_499, "999k"),
            (999_500, "1.0M"),
            (99_960, "100k"),
        ] {
            assert_eq!(short(number), shown);
        }
        assert_eq!(
            (scaled(0.854, 2), scaled(12.0, 2), scaled(120.0, 2)),
            ("0.85".into(), "12.00".into(), "120".into())
        );
        assert_eq!(
            (clip("abc", 3), clip("abcd", 3), clip("模型模", 4)),
            ("abc".into(), "ab…".into(), "模…".into())
        );
    }
}
