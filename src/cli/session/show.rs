//! `org-agent session show`: one session, its messages or its actions.

use std::fmt::Write as _;

use serde_json::Value;

use super::{all, time};
use crate::error::{Error, Result};
use crate::ids::{ActuationId, SessionId};
use crate::request::Sessions;
use crate::store::Store;

/// Show a session: its messages, or with --actions what was done, who decided, and what came of it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  org-agent session show 3f99 --actions")]
pub(super) struct Args {
    /// The session's identifier, or its beginning
    id: String,
    /// Every action: the command with its programs, each decision with its rule and who took it, and the outcome
    #[arg(long)]
    actions: bool,
    /// As JSON lines
    #[arg(long)]
    json: bool,
}

/// What is shown.
pub(super) fn text(args: &Args, store: &Store) -> Result<String> {
    let session = find(store, &args.id)?;
    let mut out = String::new();
    if args.actions {
        let mut actions = Vec::new();
        all(|cursor| store.actions(&session, None, cursor), |action| actions.push(action.clone()))?;
        for action in actions {
            let id = ActuationId(action["id"].as_str().unwrap_or_default().to_owned());
            let why = store.why_actuation(&id)?;
            if args.json {
                out.push_str(&format!("{why}\n"));
            } else {
                show(&action, &why, &mut out);
            }
        }
        return Ok(out);
    }
    all(
        |cursor| store.messages(&session, None, cursor),
        |message| {
            let word = |key: &str| message[key].as_str().unwrap_or_default();
            if args.json {
                out.push_str(&format!("{message}\n"));
            } else {
                let _ =
                    writeln!(out, "{}  {}\n{}\n", time(&message["createdAt"]), word("role"), word("content"));
            }
        },
    )?;
    Ok(out)
}

/// The session whose identifier begins so.
fn find(store: &Store, begin: &str) -> Result<SessionId> {
    let mut found = Vec::new();
    all(
        |cursor| store.sessions(&Sessions::default(), None, cursor),
        |session| {
            let id = session["id"].as_str().unwrap_or_default();
            if id.starts_with(begin) {
                found.push(id.to_owned());
            }
        },
    )?;
    match found.as_slice() {
        [one] => Ok(SessionId(one.clone())),
        [] => Err(Error::not_found(format!("no session begins with {begin:?}"))
            .hint("see which there are: org-agent session list")),
        several => Err(Error::bad_request(format!("{} sessions begin with {begin:?}", several.len()))
            .hint("give more of the identifier")),
    }
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
