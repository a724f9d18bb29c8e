//! Actions as a client shows them: tool calls, with what is asked and what came of it.

use agent_client_protocol_schema::v1::{
    ToolCall, ToolCallContent, ToolCallStatus, ToolCallUpdateFields, ToolKind,
};
use serde_json::{Value, json};

use super::text::Format;
use crate::lsp::wire::ActuateParams;
use crate::outgoing::{Actuation, Step};
use crate::record::{Outcome, Status};

/// How much of an output is shown, in bytes: its end.
pub(super) const SHOWN: usize = 16 * 1024;

/// How much of a command is its title.
const TITLE: usize = 2_000;

/// A command that is asked about, or runs.
pub(super) fn command(actuation: &Actuation) -> ToolCall {
    let terms = ActuateParams::to_wire(actuation);
    let command = actuation.action().text("cmd").unwrap_or_default();
    let about = [
        ("what for", actuation.action().explanation().map(str::to_owned)),
        ("directory", terms.directory.clone()),
        ("sandbox", terms.sandbox.clone()),
        ("rule", Some(terms.rule.clone())),
    ];
    let about = about.into_iter().filter_map(|(name, text)| Some(format!("{name}: {}", line(&text?))));
    let input = json!({
        "command": command, "cwd": terms.directory, "sandbox": terms.sandbox, "confined": terms.confined,
        "rule": terms.rule, "explanation": actuation.action().explanation(),
    });
    ToolCall::new(terms.actuation_id, title(command))
        .name("shell".to_owned())
        .kind(ToolKind::Execute)
        .status(ToolCallStatus::Pending)
        .content(vec![about.collect::<Vec<_>>().join("\n\n").into()])
        .raw_input(input)
}

/// What the choice "always" would save, if it can save anything.
pub(super) fn always(actuation: &Actuation) -> Option<String> {
    ActuateParams::to_wire(actuation).always.map(|rules| line(&rules))
}

/// A text in one line.
pub(super) fn line(text: &str) -> String {
    text.split(|c: char| c.is_control()).collect::<Vec<_>>().join(" ")
}

fn title(command: &str) -> String {
    // Nothing in a command can pass for more than one line, or hide what is before it.
    let title = command.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c });
    let title: String = title.collect();
    if title.len() <= TITLE {
        return title;
    }
    format!("{} […]", &title[..title.floor_char_boundary(TITLE)])
}

/// The end of an output.
pub(super) fn tail(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(SHOWN))..]
}

/// What came of a command.
pub(super) fn outcome(outcome: &Outcome, format: Format) -> ToolCallUpdateFields {
    let is_good = outcome.status == Status::Done && outcome.exit_code.unwrap_or(0) == 0;
    let status = if is_good { ToolCallStatus::Completed } else { ToolCallStatus::Failed };
    let output = json!({
        "exitCode": outcome.exit_code, "stdout": tail(&outcome.stdout), "stderr": tail(&outcome.stderr),
        "truncated": outcome.truncated, "message": outcome.message, "sandboxed": outcome.sandboxed,
    });
    ToolCallUpdateFields::new().status(status).content(said(outcome, format)).raw_output(output)
}

fn said(outcome: &Outcome, format: Format) -> Vec<ToolCallContent> {
    let mut all = Vec::new();
    for text in [&outcome.stdout, &outcome.stderr] {
        if !text.trim().is_empty() {
            all.push(format.verbatim(tail(text)).into());
        }
    }
    let code = outcome.exit_code.filter(|code| *code != 0).map(|code| format!("exit status {code}"));
    let denied = (outcome.status == Status::Denied).then(|| "not run".to_owned());
    let words: Vec<String> =
        [denied, code, outcome.message.as_deref().map(line)].into_iter().flatten().collect();
    if !words.is_empty() {
        all.push(words.join(": ").into());
    }
    all
}

/// Leaves the end of a recorded action's output.
pub(super) fn shorten(action: &mut Value) {
    for stream in ["stdout", "stderr"] {
        if let Some(text) = action["output"][stream].as_str()
            && text.len() > SHOWN
        {
            action["output"][stream] = tail(text).into();
        }
    }
}

/// A recorded command.
pub(super) fn again(action: &Value, format: Format) -> ToolCall {
    let command = action["input"]["cmd"].as_str().unwrap_or_default();
    let output = &action["output"];
    let text = |key: &str| output[key].as_str().unwrap_or_default().to_owned();
    let status = match action["status"].as_str() {
        Some("done") => Status::Done,
        Some("denied") => Status::Denied,
        Some("failed") => Status::Failed,
        _ => Status::Unknown,
    };
    let known = Outcome {
        status,
        exit_code: output["exitCode"].as_i64(),
        stdout: text("stdout"),
        stderr: text("stderr"),
        truncated: output["truncated"] == true,
        message: output["message"].as_str().map(str::to_owned),
        ..Outcome::default()
    };
    let fields = outcome(&known, format);
    let mut call = ToolCall::new(action["id"].as_str().unwrap_or_default().to_owned(), title(command))
        .name("shell".to_owned())
        .kind(ToolKind::Execute)
        .raw_input(json!({"command": command}));
    call.update(fields);
    call
}

/// A skill that was read, as it is recorded.
pub(super) fn skill(id: String, name: &str) -> ToolCall {
    ToolCall::new(id, title(&format!("Skill {name}")))
        .name("skill".to_owned())
        .kind(ToolKind::Read)
        .status(ToolCallStatus::Completed)
}

/// A skill that was read, or was not.
pub(super) fn step(step: &Step) -> ToolCall {
    let (status, words) = match &step.read {
        Ok((origin, sha256)) => {
            let words = format!("{} skill, SHA-256 {sha256}", origin.as_str());
            (ToolCallStatus::Completed, words)
        }
        Err(why) => (ToolCallStatus::Failed, line(why)),
    };
    let more = step.message.as_deref().map(line);
    let words: Vec<String> = [Some(words), more].into_iter().flatten().collect();
    skill(step.actuation.0.clone(), &step.name).status(status).content(vec![words.join("\n\n").into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_says_how_it_ended_and_shows_the_end_of_its_output() {
        let long = format!("{}end", "ä".repeat(SHOWN));
        let outcome_of = Outcome { exit_code: Some(3), stdout: long, ..Outcome::default() };
        let fields = outcome(&outcome_of, Format::Markdown);
        assert_eq!(fields.status, Some(ToolCallStatus::Failed));
        let shown = serde_json::to_string(&fields).unwrap_or_default();
        assert!(shown.contains("end\\n```") && shown.contains("exit status 3"), "{shown}");
        assert!(shown.len() < 3 * SHOWN);
        let good = outcome(&Outcome { exit_code: Some(0), ..Outcome::default() }, Format::Org);
        assert_eq!(good.status, Some(ToolCallStatus::Completed));
    }

    #[test]
    fn a_title_is_bounded_and_hides_nothing() {
        assert_eq!(title("ls\n-l\u{1b}[2K"), "ls\n-l\u{fffd}[2K");
        assert!(title(&"x".repeat(TITLE * 3)).len() < TITLE + 20);
    }
}
