//! `org-agent session show`: one session, its messages or its actions.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write;

use serde_json::Value;

use super::list::status_of;
use super::{all, count, find, say, say_json, time, visible, word, words};
use crate::error::Result;
use crate::ids::{ActuationId, SessionId};
use crate::store::Store;

/// How many digits of a message's identifier are shown: enough to name it.
pub(super) const SHORT: usize = 12;

/// Show a session: its messages, or with --actions what was done, who decided, and what came of it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  org-agent session show 3f99 --last 10\n  org-agent session show 3f99 --actions"
)]
pub(super) struct Args {
    /// The session's identifier, or its beginning
    id: String,
    /// Every action: the command with its programs, each decision with its rule and who took it, and the outcome
    #[arg(long)]
    actions: bool,
    /// Only the last so many
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// As JSON lines
    #[arg(long)]
    json: bool,
}

/// Shows it.
///
/// # Errors
/// `not_found` if there is no such session; `internal` if the database fails or `stdout` can not be written.
pub(super) fn run(args: &Args, store: &Store, stdout: &mut dyn Write) -> Result<u8> {
    let session = find(store, &args.id)?;
    if args.actions {
        actions(args, store, &session, stdout)?;
    } else {
        if !args.json {
            say(stdout, &head(store, &session)?)?;
        }
        messages(args, store, &session, stdout)?;
    }
    Ok(0)
}

/// What a session is, as lines.
fn head(store: &Store, id: &SessionId) -> Result<String> {
    let session = store.session(id)?;
    let mut out = String::new();
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a String can not fail.
            let _ = writeln!(out, "{name:<12} {value}");
        }
    };
    add("session", &word(&session, "id"));
    add("title", &word(&session, "title"));
    add("status", &status_of(&session));
    add("group", &word(&session, "group"));
    add("tags", &words(&session["tags"]).join(" "));
    add("buffer", &word(&session, "buffer"));
    add("made", &time(&session["createdAt"]));
    add("changed", &time(&session["updatedAt"]));
    add("forked from", &word(&session, "forkedFrom"));
    add("imported", &word(&session, "imported"));
    let unread = session["unread"].as_u64().unwrap_or_default();
    let mut number = count(session["messages"].as_u64().unwrap_or_default(), "message");
    if unread > 0 {
        let _ = write!(number, ", {unread} unread");
    }
    add("length", &number);
    all(
        |cursor| store.checkpoints(id, None, cursor),
        |point| {
            add("checkpoint", &format!("{}  {}", time(&point["createdAt"]), word(point, "name")));
            Ok(())
        },
    )?;
    out.push('\n');
    Ok(out)
}

fn messages(args: &Args, store: &Store, id: &SessionId, stdout: &mut dyn Write) -> Result<()> {
    let mut show = |message: &Value| {
        if args.json {
            return say_json(stdout, message);
        }
        let short: String = word(message, "id").chars().take(SHORT).collect();
        let content = visible(message["content"].as_str().unwrap_or_default());
        let text =
            format!("{}  {short}  {}\n{content}\n\n", time(&message["createdAt"]), word(message, "role"));
        say(stdout, &text)
    };
    let Some(wanted) = args.last else { return all(|cursor| store.messages(id, None, cursor), show) };
    // Backwards until there are enough, then forwards.
    let mut found: VecDeque<Value> = VecDeque::new();
    let mut cursor: Option<String> = None;
    while found.len() < wanted {
        let limit = u32::try_from(wanted - found.len()).unwrap_or(u32::MAX);
        let page = store.last_messages(id, Some(limit), cursor.as_deref())?;
        for message in page["items"].as_array().into_iter().flatten().rev() {
            found.push_front(message.clone());
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    found.iter().try_for_each(&mut show)
}

fn actions(args: &Args, store: &Store, id: &SessionId, stdout: &mut dyn Write) -> Result<()> {
    let most = args.last.unwrap_or(usize::MAX);
    let mut actions: VecDeque<Value> = VecDeque::new();
    all(
        |cursor| store.actions(id, None, cursor),
        |action| {
            actions.push_back(action.clone());
            if actions.len() > most {
                actions.pop_front();
            }
            Ok(())
        },
    )?;
    for action in actions {
        let id = ActuationId(action["id"].as_str().unwrap_or_default().to_owned());
        let why = store.why_actuation(&id)?;
        if args.json {
            say_json(stdout, &why)?;
            continue;
        }
        let mut out = String::new();
        show(&action, &why, &mut out);
        say(stdout, &visible(&out))?;
    }
    Ok(())
}

/// An action with its history, as it was logged.
fn show(action: &Value, why: &Value, out: &mut String) {
    let input = &action["input"];
    let what = ["cmd", "text", "name"].iter().find_map(|key| input[*key].as_str()).unwrap_or_default();
    let first = what.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let kind = action["module"].as_str().unwrap_or_default();
    // Writing to a String can not fail.
    let _ = writeln!(
        out,
        "{}  {}  {kind}: {}",
        action["id"].as_str().unwrap_or_default(),
        time(&action["createdAt"]),
        first.escape_debug()
    );
    let mut began = None;
    for event in why["events"].as_array().into_iter().flatten() {
        let word = |key: &str| event[key].as_str().unwrap_or_default();
        match word("type") {
            "chat.action.permitted" => {
                began = event["time"].as_u64();
                let _ = writeln!(out, "    {} by {}: {}", word("decision"), word("by"), word("rule"));
                if let Some(command) = event["command"].as_str() {
                    let _ = writeln!(out, "    edited: {}", command.escape_debug());
                }
                for step in event["approved"]["steps"].as_array().into_iter().flatten() {
                    let argv = step["argv"].to_string();
                    let _ = writeln!(out, "      {:>2} {argv}", step["op"].as_str().unwrap_or_default());
                }
                let steps = event["approved"]["steps"].as_array().is_some_and(|steps| !steps.is_empty());
                if kind == "shell" && word("decision") == "allow" && !steps {
                    let text = event["command"].as_str().unwrap_or(what);
                    let _ = writeln!(out, "      by a shell: {}", text.escape_debug());
                }
                if event["approved"]["network"].as_bool() == Some(true) {
                    out.push_str("      with the network\n");
                }
                if event["approved"]["unconfined"].as_bool() == Some(true) {
                    out.push_str("      by the client itself, outside the sandbox\n");
                }
                if let Some(token) = event["approved"]["token"].as_str() {
                    let _ = writeln!(out, "      for one use, token {}", &token[..token.len().min(12)]);
                }
            }
            "chat.action.executed" => {
                let outcome = &event["outcome"];
                let _ = write!(out, "    {}", outcome["status"].as_str().unwrap_or_default());
                if let Some(code) = outcome["exitCode"].as_i64() {
                    let _ = write!(out, ", exit code {code}");
                }
                if let (Some(began), Some(ended)) = (began, event["time"].as_u64()) {
                    let _ = write!(out, ", after {} ms", ended.saturating_sub(began));
                }
                match outcome["sandboxed"].as_bool() {
                    Some(true) => out.push_str(", in the sandbox"),
                    Some(false) => out.push_str(", not confined"),
                    None => {}
                }
                if let Some(message) = outcome["message"].as_str() {
                    let _ = write!(out, ": {}", message.escape_debug());
                }
                out.push('\n');
            }
            _ => {}
        }
    }
}
