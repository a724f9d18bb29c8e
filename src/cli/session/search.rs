//! `org-agent session search`: messages of all sessions by their words.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::show::SHORT;
use super::{find, line, remark, say, say_json, time, word};
use crate::error::Result;
use crate::request::Search;
use crate::store::Store;

const HELP: &str = "\
Examples:
  org-agent session search lease time-out
  org-agent session search '\"exact phrase\"' 'begin*' --since 30d --role assistant
  org-agent session search --session 3f99 --skill explain-region

All of the words must be there, in any case and without accents; * at the end of a word of three letters or more stands for any \
end. DATE is 2026-03-01, 2026-03-01T10:00:00Z, or a time before now, such as 7d or 12h; all are UTC. The exit status is 1 if \
nothing was found.";

/// Find messages by their words, the best of the newest first
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// Words that the messages have
    #[arg(required_unless_present_any = ["session", "role", "skill"])]
    words: Vec<String>,
    /// Only in this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only what was said by the user, by the assistant, or by the system: outcomes of commands and errors
    #[arg(long, value_parser = ["user", "assistant", "system"])]
    role: Option<String>,
    /// Only in turns that this skill was for
    #[arg(long)]
    skill: Option<String>,
    /// Only what was said since then
    #[arg(long, value_name = "DATE", value_parser = date)]
    since: Option<u64>,
    /// Only what was said before then
    #[arg(long, value_name = "DATE", value_parser = date)]
    until: Option<u64>,
    /// The most that are shown
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// As JSON lines
    #[arg(long)]
    json: bool,
}

/// Looks for them; 1 if there are none.
///
/// # Errors
/// `bad_request` if there is no word to look for; `not_found` if there is no such session; `internal` if the database
/// fails or `stdout` can not be written.
pub(super) fn run(args: &Args, store: &Store, stdout: &mut dyn Write) -> Result<u8> {
    let search = Search {
        text: args.words.join(" "),
        session: args.session.as_deref().map(|id| find(store, id)).transpose()?,
        role: args.role.clone(),
        skill: args.skill.clone(),
        since: args.since,
        until: args.until,
        limit: Some(args.limit),
    };
    let found = store.search(&search, None)?;
    let items = found["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let bold = io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    for item in items {
        if args.json {
            say_json(stdout, item)?;
            continue;
        }
        let message: String = word(item, "messageId").chars().take(SHORT).collect();
        let head = format!(
            "{}  {}  {message}  {:<9}  {}\n",
            word(item, "sessionId"),
            time(&item["createdAt"]),
            word(item, "role"),
            word(item, "title")
        );
        say(stdout, &format!("{head}    {}\n", marked(item, bold)))?;
    }
    if found["complete"] == false {
        remark(
            "more than a thousand messages match, and only the newest thousand were looked at\n  \
             hint: narrow it with more words, --session, --role, --skill, --since or --until",
        );
    } else if items.len() == args.limit as usize && args.limit < 100 {
        remark(&format!("these are the best {}, and there may be more\n  hint: --limit 100", items.len()));
    }
    if items.is_empty() {
        remark("nothing was found");
    }
    Ok(u8::from(items.is_empty()))
}

/// The part of a message that shows what was found, in bold or not.
fn marked(item: &Value, bold: bool) -> String {
    let snippet: Vec<char> = item["snippet"].as_str().unwrap_or_default().chars().collect();
    let text = |from: usize, to: usize| {
        let part = snippet.get(from.min(snippet.len())..to.min(snippet.len())).unwrap_or_default();
        line(&part.iter().collect::<String>())
    };
    let mut out = String::new();
    let mut done = 0;
    for place in item["highlights"].as_array().into_iter().flatten().filter(|_| bold) {
        let at = |number: usize| place[number].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
        out.push_str(&text(done, at(0)));
        out.push_str(&format!("\u{1b}[1m{}\u{1b}[22m", text(at(0), at(1))));
        done = at(1);
    }
    out.push_str(&text(done, snippet.len()));
    out
}

/// A date, a time, or how long ago, as Unix milliseconds.
pub(in crate::cli) fn date(text: &str) -> Result<u64, String> {
    let day = (text.len() == "2026-03-01".len()).then(|| format!("{text}T00:00:00Z"));
    let time = day
        .and_then(|day| humantime::parse_rfc3339(&day).ok())
        .or_else(|| humantime::parse_rfc3339_weak(text).ok())
        .or_else(|| SystemTime::now().checked_sub(humantime::parse_duration(text).ok()?));
    let since: Option<Duration> = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .ok_or_else(|| "write 2026-03-01, 2026-03-01T10:00:00Z, or a time before now, such as 7d".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_found_is_bold_and_nothing_else_acts_on_the_terminal() {
        let item = json!({"snippet": "a größe\u{1b}]0;x b\u{202e}", "highlights": [[2, 7], [13, 14]]});
        assert_eq!(marked(&item, false), "a größe\\u{1b}]0;x b\\u{202e}");
        assert_eq!(
            marked(&item, true),
            "a \u{1b}[1mgröße\u{1b}[22m\\u{1b}]0;x \u{1b}[1mb\u{1b}[22m\\u{202e}"
        );
        // Places that are none.
        let item = json!({"snippet": "ab", "highlights": [[9, 3], [1, 99]]});
        assert_eq!(marked(&item, false), "ab");
        assert!(marked(&item, true).contains('b'));
    }

    #[test]
    fn dates_are_days_times_or_how_long_ago() {
        assert_eq!(date("1970-01-02"), Ok(86_400_000));
        assert_eq!(date("1970-01-01T00:00:01.5Z"), Ok(1500));
        assert_eq!(date("1970-01-01 00:01:00"), Ok(60_000));
        assert!(date("7d").unwrap() + 6 * 86_400_000 < date("1s").unwrap());
        for bad in ["", "yesterday", "1969-12-31", "2026-13-01", "100000y", "-1d", "äöüäö"] {
            assert!(date(bad).is_err(), "{bad}");
        }
    }
}
