//! The scenes: what is played for a message, and what is looked at.

mod table;

use std::time::Duration;

use serde_json::{Value, json};

use super::answers::sandbox_terms;
use super::play::{Play, Played, Turn, keep, soon};
use crate::action::CHAT_BUFFER;
use crate::lsp::wire::{ABORT, ACTUATE, DELTA, RETRACT, STEP, THOUGHT, TURN};
use crate::sandbox;
use crate::sexp::printer::print;
use crate::verify::json as form;

pub use table::{SCENES, Scene};

/// The text that a client that comes back lacks.
pub(super) const LACKING: &str = "This reply was lacking: it came while you were away.";

const TEXT: &str = "Zwölf Boxkämpfer, 漢字 and e\u{301}, a flag 🇪🇺 and a family 👩‍👩‍👧: /plain/ *Org*, with a \\ and a \"quote\".\n\n\
                    - one\n- two\n";

const ODD: [usize; 8] = [1, 2, 1, 3, 7, 1, 5, 2];

/// Whether a turn of `scene` can be cancelled.
pub(super) fn can_cancel(scene: &str) -> bool {
    ["cancel", "shell", "deny"].contains(&scene)
}

/// Plays the scene of this name.
pub(super) fn play(play: &mut Play<'_>, scene: &str, turn: &mut Turn) -> Played {
    if matches!(scene, "error" | "conflict") {
        return refused(play, turn);
    }
    if play.cancelled.contains(&turn.id) {
        return play.state(turn, "cancelled", None);
    }
    play.state(turn, "thinking", None)?;
    match scene {
        "retract" => retract(play, turn),
        "twice" => twice(play, turn),
        "stale" => stale(play, turn),
        "late" => late(play, turn),
        "unknown" => unknown(play, turn),
        "nothing" => nothing(play, turn),
        "failed" => fails(play, turn),
        "long" => long(play, turn),
        "run" => run(play, turn),
        "shell" | "deny" => ask(play, turn, scene),
        "abort" => abort(play, turn),
        "cancel" => cancel(play, turn),
        "all" => all(play, turn),
        _ => plain(play, turn),
    }
}

fn plain(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    play.odd = true;
    if play.announced.reasoning == Some(true) {
        for text in ["What may ", "be 漢 wanted?"] {
            let params = json!({"turnId": turn.id, "attempt": turn.attempt, "text": text});
            play.notify(THOUGHT, &params)?;
        }
    }
    if play.announced.steps == Some(true) {
        let params = json!({"turnId": turn.id, "sessionId": turn.session, "actuationId": format!("step-{}", turn.id),
            "kind": "skill", "name": "conformance", "by": "model", "status": "refused", "message": "there is none"});
        play.notify(STEP, &params)?;
    }
    play.state(turn, "streaming", None)?;
    play.deltas(turn, TEXT, &ODD)?;
    play.odd = false;
    insert(play, turn, TEXT)?;
    play.state(turn, "done", None)
}

/// An attempt that is taken back; the next one streams.
fn taken_back(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    play.state(turn, "streaming", None)?;
    play.deltas(turn, "This first attempt has to go away again.", &[4])?;
    play.retract(turn, "there is something after the list")?;
    play.state(turn, "repairing", Some("there is something after the list"))?;
    turn.attempt += 1;
    play.state(turn, "streaming", None)
}

fn retract(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    taken_back(play, turn)?;
    let text = "This second attempt is the reply.";
    play.deltas(turn, text, &[5])?;
    insert(play, turn, text)?;
    play.state(turn, "done", None)
}

fn twice(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    let text = "This reply was delivered twice.";
    play.state(turn, "streaming", None)?;
    play.deltas(turn, text, &[6])?;
    let action = insert(play, turn, text)?;
    again(play, turn, &action, text)?;
    play.state(turn, "done", None)
}

/// Delivers an insert again.
fn again(play: &mut Play<'_>, turn: &mut Turn, action: &str, text: &str) -> Played {
    turn.seq += 1;
    let params = insert_params(turn, action, turn.seq, text);
    let request = play.ask(ACTUATE, &params)?;
    acknowledged(play, &request, "an insert that was delivered again is acknowledged, too")?;
    Ok(())
}

fn stale(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    play.state(turn, "streaming", None)?;
    play.delta(turn, "One, ")?;
    play.delta(turn, "two, ")?;
    seen_again(play, turn, "two, ")?;
    play.delta(turn, "three.")?;
    insert(play, turn, "One, two, three.")?;
    play.state(turn, "done", None)
}

/// Sends messages whose numbers were used.
fn seen_again(play: &mut Play<'_>, turn: &Turn, last: &str) -> Played {
    let ids = json!({"turnId": turn.id, "sessionId": turn.session, "attempt": turn.attempt});
    let with = |more: Value| {
        let mut params = ids.clone();
        if let (Some(params), Value::Object(more)) = (params.as_object_mut(), more) {
            params.extend(more);
        }
        params
    };
    if play.announced.streaming != Some(false) {
        play.notify(DELTA, &with(json!({"seq": turn.seq, "text": last})))?;
        play.notify(RETRACT, &with(json!({"seq": 2, "reason": "stale"})))?;
    }
    play.notify(TURN, &with(json!({"seq": 2, "state": "failed", "reason": "stale"})))
}

fn late(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    let text = "This turn is over, whatever comes.";
    play.state(turn, "streaming", None)?;
    play.deltas(turn, text, &[6])?;
    let action = insert(play, turn, text)?;
    play.state(turn, "done", None)?;
    play.delta(turn, "This is late.")?;
    play.retract(turn, "late")?;
    play.state(turn, "failed", Some("late"))?;
    let request = play.ask(ABORT, &json!({ "actuationId": action }))?;
    let answered = play.look(soon(play.options), |play| play.acks.contains_key(&request));
    play.check("the client goes on after what came late", "turns", answered, || "it answers no more".into());
    Ok(())
}

fn unknown(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    let text = "This came with much that nobody knows.";
    let question = nobody_knows(play, turn)?;
    play.state(turn, "streaming", None)?;
    play.deltas(turn, text, &[8])?;
    insert(play, turn, text)?;
    answered_no(play, &question)?;
    play.state(turn, "done", None)
}

/// Sends what no client knows; the request that it is to say no to.
fn nobody_knows(play: &mut Play<'_>, turn: &mut Turn) -> Played<String> {
    play.notify("orgAgent/conformance/note", &json!({"turnId": turn.id, "text": "ignore me"}))?;
    play.notify("$/conformance", &Value::Null)?;
    turn.seq += 1;
    let later = json!({"turnId": turn.id, "sessionId": turn.session, "seq": turn.seq, "state": "thinking",
                       "later": {"a": [1, null, {"b": true}]}});
    play.notify(TURN, &later)?;
    play.ask("orgAgent/conformance/question", &json!({"deep": [[[]]]}))
}

fn answered_no(play: &mut Play<'_>, question: &str) -> Played {
    let answered = play.look(soon(play.options), |play| play.acks.contains_key(question));
    let refused = play.acks.get(question).is_some_and(|answer| answer["code"].is_i64());
    play.check(
        "a request that it does not know is answered with an error",
        "stability",
        answered && refused,
        || {
            if answered { "it was answered with a result".into() } else { "it was not answered".into() }
        },
    );
    Ok(())
}

fn nothing(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    play.state(turn, "streaming", None)?;
    play.deltas(turn, "This will come to nothing.", &[5])?;
    play.retract(turn, "what was shown of the text is no part of it")?;
    play.state(turn, "done", None)?;
    alive(play, &turn.id)
}

/// Whether the client still answers.
fn alive(play: &mut Play<'_>, id: &str) -> Played {
    let request = play.ask(ABORT, &json!({ "actuationId": id }))?;
    let answered = play.look(soon(play.options), |play| play.acks.contains_key(&request));
    play.check("the client goes on", "orgagentabort", answered, || "it answers no more".into());
    Ok(())
}

fn fails(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    insert(play, turn, "*System Error:* the reply was rejected three times, as the scene wants it.\n")?;
    play.state(turn, "failed", Some("the reply was rejected three times"))
}

fn long(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    let text: String =
        (1..=4_000).map(|line| format!("Line {line} of a long reply, with ü and 漢.\n")).collect();
    play.state(turn, "streaming", None)?;
    play.deltas(turn, &text, &[1_000, 1, 3_000])?;
    insert(play, turn, &text)?;
    play.state(turn, "done", None)
}

fn refused(play: &mut Play<'_>, turn: &Turn) -> Played {
    /// How long is looked whether the client floods, and how often it may send.
    const LOOK: Duration = Duration::from_secs(2);
    const OFTEN: u32 = 3;
    play.look(LOOK.min(play.options.patience), |_| false);
    let times = play.came.get(&turn.client_id).copied().unwrap_or_default();
    play.check("a message that was refused is not sent again and again", "errors", times <= OFTEN, || {
        format!("it came {times} times in {} seconds", LOOK.as_secs())
    });
    Ok(())
}

fn run(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    play.state(turn, "streaming", None)?;
    unasked(play, turn)?;
    answer_to_command(play, turn, "The command was run.")
}

/// Sends a command that may run at once, and looks what comes of it.
fn unasked(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    const WHAT: &str = "a command that may run is reported, with its exit status and output";
    let Some(action) = command(play, turn, "echo conformance", true)? else { return Ok(()) };
    let reported = play.look(play.options.patience, |play| play.reports.contains_key(&action));
    let Some(report) = play.reports.get(&action).and_then(|all| all.first()).cloned() else {
        play.check(WHAT, "orgagentactuated", reported, || "it was not reported".into());
        return Ok(());
    };
    if report["status"] == "denied" {
        play.untried(WHAT, "orgagentactuated", "the client did not run it");
        return Ok(());
    }
    outcome(play, &action, &report, WHAT);
    Ok(())
}

/// Whether a report says that `echo conformance` ran.
fn outcome(play: &mut Play<'_>, action: &str, report: &Value, what: &str) {
    let stdout = report["stdout"].as_str().or_else(|| play.outputs.get(action).map(String::as_str));
    let good = report["status"] == "done"
        && report["exitCode"] == 0
        && stdout.is_some_and(|text| text.contains("conformance"));
    play.check(what, "orgagentactuated", good, || {
        let brief: String = report.to_string().chars().take(300).collect();
        format!("it was {brief}")
    });
}

/// Sends a command; its `actuationId`, unless the client runs none.
fn command(play: &mut Play<'_>, turn: &mut Turn, text: &str, allowed: bool) -> Played<Option<String>> {
    let able = play.announced.actuators.as_ref().is_none_or(|all| all.iter().any(|it| it == "shell"));
    if !able {
        play.untried("commands", "initialize", "the client announced no `shell`");
        return Ok(None);
    }
    let token = if allowed { play.issue(text, false).map(Some) } else { Ok(None) };
    let token = match token {
        Ok(token) => token,
        Err(error) => {
            play.untried("commands", "orgagentactuate", &error.to_string());
            return Ok(None);
        }
    };
    let Ok(id) = crate::ids::ActuationId::random() else { return Ok(None) };
    play.state(turn, if allowed { "acting" } else { "awaitingApproval" }, None)?;
    turn.seq += 1;
    let words: Vec<&str> = text.split(' ').collect();
    let action = json!({"type": "request", "target": "shell", "payload": {"cmd": text}});
    let mut params = json!({"actuationId": id.0, "turnId": turn.id, "sessionId": turn.session,
        "attempt": turn.attempt, "seq": turn.seq, "sexp": sexp(&action, CHAT_BUFFER), "action": action,
        "decision": if allowed { "allow" } else { "ask" }, "rule": "the scene wants it so",
        "steps": [{"op": null, "argv": words}], "sandbox": sandbox_terms(),
        "confined": sandbox::confined().is_ok(), "directory": play.options.directory});
    if let Some(token) = &token {
        params["token"] = token.as_str().into();
    }
    keep(&mut play.commands, id.0.clone(), text.to_owned());
    let request = play.ask(ACTUATE, &params)?;
    let accepted = acknowledged(play, &request, "a command is acknowledged")?;
    Ok(accepted.then_some(id.0))
}

/// The model answers what came of a command.
fn answer_to_command(play: &mut Play<'_>, turn: &mut Turn, text: &str) -> Played {
    turn.attempt += 1;
    play.state(turn, "thinking", None)?;
    play.state(turn, "streaming", None)?;
    play.deltas(turn, text, &[5])?;
    insert(play, turn, text)?;
    play.state(turn, "done", None)
}

fn ask(play: &mut Play<'_>, turn: &mut Turn, scene: &str) -> Played {
    play.state(turn, "streaming", None)?;
    let Some(action) = command(play, turn, "echo conformance", false)? else {
        return answer_to_command(play, turn, "The command was not run.");
    };
    // People take their time.
    let id = turn.id.clone();
    let decided = |play: &Play<'_>| {
        play.decisions.contains_key(&action)
            || play.reports.contains_key(&action)
            || play.cancelled.contains(&id)
    };
    play.until(None, decided)?;
    if play.cancelled.contains(&turn.id) {
        play.untried("the decision", "orgagentdecide", "the turn was cancelled");
        return play.state(turn, "cancelled", None);
    }
    let choice = play.decisions.get(&action).map(|decision| decision["choice"].clone());
    let edited = play.decisions.get(&action).is_some_and(|decision| decision["command"].is_string());
    let denied = choice.as_ref().is_some_and(|choice| choice == "deny")
        || (choice.is_none() && play.reports[&action][0]["status"] == "denied");
    if denied {
        const WHAT: &str = "a command that was denied is not reported as run";
        let seen = |play: &Play<'_>| play.reports.contains_key(&action);
        play.look(Duration::from_secs(1).min(play.options.patience), seen);
        let good = play.reports.get(&action).is_none_or(|all| all.iter().all(|it| it["status"] != "done"));
        play.check(WHAT, "orgagentdecide", good, || "it was reported as done".into());
        if scene == "shell" {
            play.untried("a command that was approved", "orgagentactuated", "the user denied it");
        }
        return answer_to_command(play, turn, "You denied the command.");
    }
    if scene == "deny" {
        play.untried("a command that was denied", "orgagentdecide", "the user approved it");
    }
    play.state(turn, "acting", None)?;
    const WHAT: &str = "a command that was approved is reported, with its exit status and output";
    play.look(play.options.patience, |play| play.reports.contains_key(&action));
    match play.reports.get(&action).and_then(|all| all.first()).cloned() {
        // What the user made of it may print anything.
        Some(_) if edited => play.untried(WHAT, "orgagentactuated", "the user edited it"),
        Some(report) => outcome(play, &action, &report, WHAT),
        None => play.check(WHAT, "orgagentactuated", false, || "it was not reported".into()),
    }
    answer_to_command(play, turn, "You approved the command.")
}

fn abort(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    play.state(turn, "streaming", None)?;
    let Some(action) = command(play, turn, "sleep 600", true)? else {
        return play.state(turn, "done", None);
    };
    // The command should have begun.
    play.look(Duration::from_secs(1).min(play.options.patience), |play| play.reports.contains_key(&action));
    let request = play.ask(ABORT, &json!({ "actuationId": action }))?;
    play.state(turn, "cancelled", None)?;
    let answered = play.look(soon(play.options), |play| play.acks.contains_key(&request));
    play.check("the request to stop a command is answered", "orgagentabort", answered, || {
        "it was not".into()
    });
    let reported = play.look(play.options.patience, |play| play.reports.contains_key(&action));
    if reported {
        let done = play.reports[&action][0]["exitCode"] == 0;
        play.check("a command that is to be stopped ends", "orgagentabort", !done, || {
            "it ran to its end".into()
        });
    } else {
        play.untried("a command that is to be stopped ends", "orgagentabort", "the client did not say");
    }
    Ok(())
}

fn cancel(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    const PACE: Duration = Duration::from_millis(200);
    const PIECES: usize = 300;
    play.state(turn, "streaming", None)?;
    let mut text = String::new();
    let id = turn.id.clone();
    for at in 0..PIECES {
        let piece = format!("{at}, ");
        play.delta(turn, &piece)?;
        text.push_str(&piece);
        if play.look(PACE, |play| play.cancelled.contains(&id)) {
            play.check("a turn that runs can be cancelled", "orgagentcancel", true, String::new);
            play.retract(turn, "cancelled")?;
            return play.state(turn, "cancelled", None);
        }
    }
    play.untried(
        "a turn that runs can be cancelled",
        "orgagentcancel",
        "nobody cancelled it within a minute",
    );
    insert(play, turn, &text)?;
    play.state(turn, "done", None)
}

fn all(play: &mut Play<'_>, turn: &mut Turn) -> Played {
    taken_back(play, turn)?;
    unasked(play, turn)?;
    turn.attempt += 1;
    let question = nobody_knows(play, turn)?;
    play.state(turn, "streaming", None)?;
    play.odd = true;
    play.deltas(turn, TEXT, &ODD)?;
    play.odd = false;
    let last: String = TEXT.chars().rev().take(1).collect();
    seen_again(play, turn, &last)?;
    let action = insert(play, turn, TEXT)?;
    again(play, turn, &action, TEXT)?;
    answered_no(play, &question)?;
    play.state(turn, "done", None)
}

/// A client that came back was told of `action`.
pub(super) fn resumed(play: &mut Play<'_>, action: &str) -> Played {
    const WHAT: &str = "a reply that was lacking is applied and reported";
    let good = play.look(play.options.patience, |play| play.reports.contains_key(action));
    play.check(WHAT, "orgagentsessionsresume", good, || "it was not reported".into());
    Ok(())
}

// Inserts

/// Sends an insert, and looks that it is acknowledged and reported; its `actuationId`.
fn insert(play: &mut Play<'_>, turn: &mut Turn, text: &str) -> Played<String> {
    const WHAT: &str = "an insert is reported as done";
    let id = crate::ids::ActuationId::random().map_or_else(|_| format!("act-{}", play.count), |id| id.0);
    let able = play.announced.actuators.as_ref().is_none_or(|all| all.iter().any(|it| it == "insertAtEnd"));
    if !able {
        play.untried(WHAT, "initialize", "the client announced no `insertAtEnd`");
        return Ok(id);
    }
    play.state(turn, "acting", None)?;
    turn.seq += 1;
    let request = play.ask(ACTUATE, &insert_params(turn, &id, turn.seq, text))?;
    if !acknowledged(play, &request, "an insert is acknowledged")? {
        return Ok(id);
    }
    play.look(play.options.patience, |play| play.reports.contains_key(&id));
    let seconds = play.options.patience.as_secs_f64();
    let report = play.reports.get(&id).and_then(|all| all.first()).cloned();
    play.check(WHAT, "orgagentactuated", report.as_ref().is_some_and(|it| it["status"] == "done"), || {
        match report {
            Some(report) => format!("it was {}", report["status"]),
            None => format!("it was not reported within {seconds} seconds"),
        }
    });
    Ok(id)
}

/// Whether the client acknowledged a request, which is looked at as `what`.
fn acknowledged(play: &mut Play<'_>, request: &str, what: &str) -> Played<bool> {
    let limit = soon(play.options);
    let answered = play.look(limit, |play| play.acks.contains_key(request));
    let accepted = play.acks.get(request).is_some_and(|answer| answer["accepted"] == true);
    let said = play.acks.get(request).map(ToString::to_string).unwrap_or_default();
    play.check(what, "orgagentactuate", accepted, || {
        if answered {
            format!("it was answered with {}", said.chars().take(200).collect::<String>())
        } else {
            format!("there was no answer within {} seconds", limit.as_secs_f64())
        }
    });
    Ok(accepted)
}

/// The parameters of an insert.
pub(super) fn insert_params(turn: &Turn, action: &str, seq: u64, text: &str) -> Value {
    let form = json!({"type": "request", "target": "emacs",
        "payload": {"action": "insert-at-end", "buffer": turn.buffer, "text": text}});
    json!({"actuationId": action, "turnId": turn.id, "sessionId": turn.session, "attempt": turn.attempt, "seq": seq,
        "sexp": sexp(&form, &turn.buffer), "action": form, "decision": "allow",
        "rule": "text may go to the session that asked"})
}

/// An action as the grammar writes it.
fn sexp(action: &Value, buffer: &str) -> String {
    form::read(action.to_string().as_bytes(), buffer).map(|action| print(&action)).unwrap_or_default()
}
