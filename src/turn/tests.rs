//! The turn as a table: inputs in, effects out, as short lines.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::chosen::Limit;
use crate::config::RuleSpec;
use crate::error::Error;
use crate::record::{Outcome, Status};
use crate::request::{Choice, Decide};

mod skills;

const GOOD: &str = r#"(:type :response :payload (:text "Hello."))"#;
const SHELL: &str = r#"(:type :request :target :shell :payload (:cmd "make"))"#;
const READS: &str = r#"(:type :request :target :shell :payload (:cmd "ls -la"))"#;

fn decide(choice: Choice, command: Option<&str>) -> Decide {
    Decide {
        actuation: ActuationId::from(""),
        choice,
        command: command.map(str::to_owned),
        message: None,
        network: false,
        unconfined: false,
    }
}

/// Notes what was to be kept; `fails` names what cannot be.
#[derive(Default)]
struct Kept {
    lines: Vec<String>,
    fails: &'static str,
}

impl Kept {
    fn note(&mut self, what: &str, line: String) -> Result<(), Error> {
        self.lines.push(line);
        if what == self.fails { Err(Error::internal("no room")) } else { Ok(()) }
    }
}

impl Keep for Kept {
    fn issue(&mut self, issue: &Issue, _: &Subject) -> Result<(), Error> {
        assert_eq!((issue.place.to_str(), issue.unasked), (Some("/home/me/notes"), false));
        self.note("issue", "issue".into())
    }

    fn revoke(&mut self, _: &Subject) {
        self.lines.push("revoke".into());
    }

    fn save(&mut self, rules: &[RuleSpec]) -> Result<(), Error> {
        self.note("save", format!("save {}", rules.len()))
    }
}

struct Driver {
    turn: Turn,
    now: Duration,
    seqs: Vec<u64>,
    /// Whether a gate refuses everything.
    stubborn: bool,
}

impl Driver {
    fn new() -> Self {
        Self::saying("hi")
    }

    /// A turn in which this is said.
    fn saying(text: &str) -> Self {
        let subject = Subject {
            turn: "t".into(),
            session: "s".into(),
            mark: "e".into(),
            buffer: "*notes*".into(),
            level: 1,
            said: HistoryItem::User { text: text.into(), context: Vec::new() },
            again: false,
            around: Surroundings {
                base: "/home/me/notes".into(),
                host: None,
                rules: Arc::default(),
                directory: Some("/home/me/notes".into()),
                home: Some("/home/me".into()),
                resolve: |path| Some(path.to_owned()),
                missing: false,
                confined: || Ok(()),
                runs_here: false,
                limit: Limit::default(),
            },
        };
        Self { turn: Turn::new(subject), now: Duration::from_secs(1), seqs: Vec::new(), stubborn: false }
    }

    /// A turn that waits for its first reply.
    fn started() -> Self {
        let mut driver = Self::new();
        let effects = driver.turn.accepted();
        assert_eq!(driver.show(effects), ["accepted"]);
        let effects = driver.turn.start();
        assert_eq!(driver.show(effects), ["+turn.started", "remember user", "thinking", "dispatch"]);
        let effects = driver.turn.dispatched(Dispatched::Lead(None), driver.now);
        assert_eq!(driver.show(effects), ["ask"]);
        driver
    }

    fn show(&mut self, effects: Effects) -> Vec<String> {
        let mut lines = Vec::new();
        for effect in effects {
            lines.push(match effect {
                Effect::Record(record) => format!("+{}", record.kind()),
                Effect::Remember(HistoryItem::User { .. }) => "remember user".into(),
                Effect::Remember(HistoryItem::Assistant { .. }) => "remember action".into(),
                Effect::Remember(HistoryItem::CommandResult { outcome, .. }) => {
                    format!("remember {:?}", outcome.status).to_lowercase()
                }
                Effect::Remember(HistoryItem::NoSkill { .. }) => "remember no skill".into(),
                Effect::Remember(HistoryItem::Skill { name, text, .. }) => format!("remember {name}: {text}"),
                Effect::Remember(HistoryItem::SkillAgain { name }) => format!("remember {name} again"),
                Effect::Recall(_) => "recall user".into(),
                Effect::Ask(None) => "ask".into(),
                Effect::Ask(Some(repair)) => {
                    assert!(repair.contains("rejected"), "{repair}");
                    "ask again".into()
                }
                Effect::Dispatch => "dispatch".into(),
                Effect::Consult(lead) => format!("consult {}", lead.prompt),
                Effect::Answer(text) => format!("answer {text}"),
                Effect::Activate(name) => format!("activate {name}"),
                Effect::Summon(name) => format!("summon {name}"),
                Effect::Gate(action) => {
                    let effects = if self.stubborn {
                        let sexp = crate::sexp::printer::print(action.action());
                        self.turn.gated(Gated::Refused("guard".into(), "not today".into(), sexp), self.now)
                    } else {
                        self.turn.gated(Gated::Passed { action, replaced: false }, self.now)
                    };
                    lines.extend(self.show(effects));
                    continue;
                }
                Effect::StopModel => "stop model".into(),
                Effect::Issue(issue) => {
                    let Issue { token, steps, unasked, confined, .. } = *issue;
                    assert!(!token.is_empty() && (steps.is_some() || !unasked) && confined);
                    "issue".into()
                }
                Effect::Run(issue) => {
                    let Issue { actuation, action, steps, unasked, .. } = *issue;
                    assert_eq!(self.turn.actuation(), Some(&actuation));
                    let steps = steps.filter(|_| unasked);
                    let steps =
                        steps.map_or_else(|| "a shell".to_owned(), |steps| format!("{} steps", steps.len()));
                    format!("run {} by {steps}", command_of(action.action()))
                }
                Effect::Summarised(attempt, text) => format!("summarised {attempt} {text}"),
                Effect::RetryIn(_) => "retry later".into(),
                Effect::Ended => "ended".into(),
                Effect::Send(message) => self.message(message),
            });
        }
        lines
    }

    fn message(&mut self, message: Outgoing) -> String {
        let (seq, line) = match message {
            Outgoing::Turn(turn) => (turn.seq, turn.state.as_str().to_owned()),
            Outgoing::Delta(delta) => (delta.seq, format!("delta {}", delta.text)),
            Outgoing::Retract(retract) => (retract.seq, "retract".to_owned()),
            Outgoing::Actuate(actuation) => {
                let text = actuation.action().text("text").unwrap_or_default();
                let kind = if text.starts_with("*System Error:*") { "system error" } else { "" };
                (
                    actuation.address().seq,
                    format!("actuate {:?} {kind}", actuation.decision()).trim_end().to_lowercase(),
                )
            }
            Outgoing::Abort(_) => return "abort".into(),
            Outgoing::Thought(thought) => return format!("thought {}", thought.text),
            Outgoing::Step(step) => {
                let who = if step.called { "user" } else { "model" };
                let how = match (step.read, step.message) {
                    (Ok(_), None) => "read",
                    (Ok(_), Some(_)) => "read again",
                    (Err(_), _) => "refused",
                };
                return format!("step: {}, {who}, {how}", step.name);
            }
            Outgoing::Skills(_) | Outgoing::Notice(_) | Outgoing::Session(..) => {
                unreachable!("no turn sends this")
            }
        };
        self.seqs.push(seq);
        line
    }

    fn text(&mut self, text: &str) -> Vec<String> {
        let attempt = self.turn.attempt();
        let effects = self.turn.piece(attempt, Some(Ok(Piece::Text(text.into()))), self.now);
        self.show(effects)
    }

    fn end(&mut self) -> Vec<String> {
        let attempt = self.turn.attempt();
        let effects = self.turn.piece(attempt, Some(Ok(Piece::End(None))), self.now);
        self.show(effects)
    }

    fn reply(&mut self, text: &str) -> Vec<String> {
        let mut lines = self.text(text);
        lines.extend(self.end());
        lines
    }

    fn report(&mut self, status: Status) -> Vec<String> {
        let effects = self.turn.actuated(None, Outcome { status, ..Outcome::default() }, self.now).unwrap();
        self.show(effects)
    }

    /// Every message was numbered, from 1, by one.
    fn numbered(&self) {
        let expected: Vec<u64> = (1..=self.seqs.len() as u64).collect();
        assert_eq!(self.seqs, expected);
    }
}

#[test]
fn a_plain_answer() {
    let mut driver = Driver::started();
    assert_eq!(
        driver.reply(GOOD),
        [
            "streaming",
            "delta Hello.",
            "+turn.replied",
            "+chat.action.proposed",
            "+chat.action.permitted",
            "remember action",
            "acting",
            "actuate allow"
        ]
    );
    assert_eq!(driver.report(Status::Done), ["+chat.action.executed", "+turn.ended", "done", "ended"]);
    driver.numbered();
}

#[test]
fn previews_are_paced_and_complete() {
    let mut driver = Driver::started();
    let mut shown = String::new();
    let mut collect = |lines: Vec<String>| {
        let deltas: Vec<String> =
            lines.iter().filter_map(|line| line.strip_prefix("delta ")).map(str::to_owned).collect();
        shown.push_str(&deltas.concat());
        deltas.len()
    };
    assert_eq!(collect(driver.text(r#"(:type :response :payload (:text "one "#)), 1);
    assert_eq!(collect(driver.text("two ")), 0);
    let due = driver.turn.deadline().unwrap();
    assert!(due > driver.now && due <= driver.now + Duration::from_millis(16));
    driver.now = due;
    let effects = driver.turn.tick(driver.now);
    let lines = driver.show(effects);
    assert_eq!(collect(lines), 1);
    assert_eq!(driver.turn.deadline(), None);
    collect(driver.text("three\"))"));
    collect(driver.end());
    assert_eq!(shown, "one two three");
}

#[test]
fn a_rejected_reply_is_taken_back_and_asked_for_twice_more() {
    let mut driver = Driver::started();
    let wrong = r#"(:type :response :payload (:text "Hello.")) and so on"#;
    assert_eq!(
        driver.text(wrong),
        // Nothing was shown yet: the first wrong byte came with the text.
        ["streaming", "stop model", "+turn.replied", "repairing", "ask again"]
    );
    assert_eq!(driver.text(r#"(:type :response :payload (:text "Hel"#), ["streaming", "delta Hel"]);
    assert_eq!(driver.text("\u{7}"), ["stop model", "retract", "+turn.replied", "repairing", "ask again"]);
    assert_eq!(
        driver.text("Sure!"),
        [
            "streaming",
            "stop model",
            "+turn.replied",
            "+chat.action.proposed",
            "+chat.action.permitted",
            "acting",
            "actuate allow system error"
        ]
    );
    assert_eq!(driver.report(Status::Done), ["+chat.action.executed", "+turn.ended", "failed", "ended"]);
    driver.numbered();
}

#[test]
fn a_reply_that_ends_too_early_is_rejected() {
    let mut driver = Driver::started();
    driver.text("(:type :response");
    assert_eq!(driver.end(), ["+turn.replied", "repairing", "ask again"]);
}

#[test]
fn a_cut_reply_is_never_complete() {
    let mut driver = Driver::started();
    driver.text(GOOD);
    let effects = driver.turn.piece(1, None, driver.now);
    assert_eq!(driver.show(effects), ["stop model", "retract", "+turn.replied", "thinking", "retry later"]);
    let effects = driver.turn.retry(driver.now);
    assert_eq!(driver.show(effects), ["thinking", "ask"]);
    // A piece of the call that failed changes nothing.
    let effects = driver.turn.piece(1, Some(Ok(Piece::End(None))), driver.now);
    assert!(driver.show(effects).is_empty());
    driver.numbered();
}

#[test]
fn a_lasting_failure_is_told_at_once_and_a_passing_one_after_three_calls() {
    for (transient, calls) in [(false, 1), (true, 3)] {
        let mut driver = Driver::started();
        for call in 1..=calls {
            let failure = Failure::new(Trouble::Server, "no").hint("do").transient(transient);
            let effects = driver.turn.piece(call, Some(Err(failure)), driver.now);
            let lines = driver.show(effects);
            if call < calls {
                assert_eq!(lines.last().unwrap(), "retry later");
                let effects = driver.turn.retry(driver.now);
                driver.show(effects);
            } else {
                assert_eq!(lines.last().unwrap(), "actuate allow system error", "{lines:?}");
            }
        }
    }
}

#[test]
fn a_command_is_asked_run_and_its_result_goes_back_to_the_model() {
    let mut driver = Driver::started();
    let lines = driver.reply(SHELL);
    assert_eq!(&lines[lines.len() - 2..], ["awaitingApproval", "actuate ask"]);
    let (decided, effects) = driver
        .turn
        .decide(&decide(Choice::Run, None), "token".into(), driver.now, &mut Kept::default())
        .unwrap();
    assert_eq!(decided.token.as_deref(), Some("token"));
    assert_eq!(driver.show(effects), ["+chat.action.permitted", "acting"]);
    let wrong = driver.turn.actuated(Some("other"), Outcome::default(), driver.now);
    assert_eq!(wrong.unwrap_err(), Refusal::WrongToken);
    let effects = driver.turn.actuated(Some("token"), Outcome::default(), driver.now).unwrap();
    assert_eq!(driver.show(effects), ["+chat.action.executed", "remember done", "thinking", "ask"]);
    driver.numbered();
}

#[test]
fn a_denial_goes_back_to_the_model_too() {
    let mut driver = Driver::started();
    driver.reply(SHELL);
    let (decided, effects) = driver
        .turn
        .decide(&decide(Choice::Deny, None), "token".into(), driver.now, &mut Kept::default())
        .unwrap();
    assert_eq!((decided.decision, decided.token), (Decision::Deny, None));
    assert_eq!(
        driver.show(effects),
        ["+chat.action.permitted", "+chat.action.executed", "remember denied", "thinking", "ask"]
    );
    assert_eq!(
        driver
            .turn
            .decide(&decide(Choice::Run, None), "token".into(), driver.now, &mut Kept::default())
            .unwrap_err(),
        DecideError::NotNow
    );
}

#[test]
fn an_outcome_without_a_decision_is_the_clients_own() {
    let mut driver = Driver::started();
    driver.reply(SHELL);
    assert_eq!(
        driver.report(Status::Done),
        ["+chat.action.permitted", "+chat.action.executed", "remember done", "thinking", "ask"]
    );
}

#[test]
fn a_command_that_only_reads_runs_unasked_and_with_a_token() {
    let mut driver = Driver::started();
    let lines = driver.reply(READS);
    assert_eq!(&lines[lines.len() - 3..], ["acting", "issue", "actuate allow"]);
    let wrong = driver.turn.actuated(Some("guessed"), Outcome::default(), driver.now);
    assert_eq!(wrong.unwrap_err(), Refusal::WrongToken);
    assert_eq!(driver.report(Status::Done), ["+chat.action.executed", "remember done", "thinking", "ask"]);
}

#[test]
fn a_client_may_ask_about_what_is_allowed() {
    let mut driver = Driver::started();
    driver.reply(READS);
    let (decided, _) = driver
        .turn
        .decide(&decide(Choice::Run, None), "other".into(), driver.now, &mut Kept::default())
        .unwrap();
    assert_eq!((decided.decision, decided.token.as_deref()), (Decision::Allow, Some("other")));
    let again =
        driver.turn.decide(&decide(Choice::Deny, None), "third".into(), driver.now, &mut Kept::default());
    assert_eq!(again.unwrap_err(), DecideError::NotNow);
    let mut driver = Driver::started();
    driver.reply(READS);
    let (decided, effects) = driver
        .turn
        .decide(&decide(Choice::Deny, None), "x".into(), driver.now, &mut Kept::default())
        .unwrap();
    assert_eq!(decided.decision, Decision::Deny);
    assert_eq!(driver.show(effects).last().unwrap(), "ask");
}

#[test]
fn what_is_neither_the_users_nor_ours_has_every_command_asked() {
    let mut driver = Driver::started();
    driver.turn.prompted(Some("\"notes.org\"".into()));
    // A later prompt without it changes nothing.
    driver.turn.prompted(None);
    let lines = driver.reply(READS);
    assert_eq!(&lines[lines.len() - 2..], ["awaitingApproval", "actuate ask"]);
}

#[test]
fn a_command_that_is_denied_is_the_models_to_replace() {
    let mut driver = Driver::started();
    let lines = driver.reply(r#"(:type :request :target :shell :payload (:cmd "rm -rf /"))"#);
    assert_eq!(
        &lines[lines.len() - 5..],
        ["remember action", "+chat.action.executed", "remember denied", "thinking", "ask"]
    );
}

#[test]
fn always_saves_a_rule_for_each_program_and_nothing_for_what_is_more() {
    let always = |command, fails| {
        let mut driver = Driver::started();
        driver.reply(SHELL);
        let mut kept = Kept { fails, ..Kept::default() };
        let always = decide(Choice::Always, Some(command));
        let (decided, effects) = driver.turn.decide(&always, "token".into(), driver.now, &mut kept).unwrap();
        assert_eq!(driver.show(effects), ["+chat.action.permitted", "acting"]);
        (decided, kept.lines.join(", "))
    };
    let (decided, kept) = always("make a | tee b", "");
    assert!(decided.rule.starts_with("the user said always: "), "{decided:?}");
    assert_eq!((kept.as_str(), decided.saved, decided.hint), ("issue, save 2", Some(true), None));
    let (decided, kept) = always("make > b", "");
    assert!(decided.rule.ends_with("so nothing is remembered"), "{decided:?}");
    assert_eq!((kept.as_str(), decided.saved), ("issue", Some(false)));
    let (decided, _) = always("make a", "save");
    assert!(decided.rule.contains("could not be saved: no room"), "{decided:?}");
    assert_eq!((decided.saved, decided.hint.as_deref()), (Some(false), Some("no room")));
}

#[test]
fn for_a_client_that_runs_nothing_the_server_does() {
    let here = || {
        let mut driver = Driver::new();
        let mut subject = driver.turn.subject().clone();
        subject.around.runs_here = true;
        driver.turn = Turn::new(subject);
        let effects = driver.turn.start();
        driver.show(effects);
        let effects = driver.turn.dispatched(Dispatched::Lead(None), driver.now);
        driver.show(effects);
        driver
    };
    let mut driver = here();
    let lines = driver.reply(READS);
    assert_eq!(&lines[lines.len() - 3..], ["acting", "issue", "run ls -la by 1 steps"]);
    assert_eq!(driver.report(Status::Done).last().unwrap(), "ask");

    // The client asks all the same; what was approved is a text for a shell.
    let mut driver = here();
    let lines = driver.reply(SHELL);
    assert_eq!(&lines[lines.len() - 2..], ["awaitingApproval", "actuate ask"]);
    let (_, effects) = driver
        .turn
        .decide(&decide(Choice::Run, Some("make -n")), "token".into(), driver.now, &mut Kept::default())
        .unwrap();
    assert_eq!(driver.show(effects), ["+chat.action.permitted", "acting", "run make -n by a shell"]);
}

#[test]
fn what_runs_on_another_machine_is_asked_and_never_remembered() {
    let mut driver = Driver::started();
    driver.turn.subject.around.host = Some("ssh:box".into());
    let lines = driver.reply(READS);
    assert_eq!(&lines[lines.len() - 2..], ["awaitingApproval", "actuate ask"]);
    let always = decide(Choice::Always, None);
    let mut kept = Kept::default();
    let (decided, effects) = driver.turn.decide(&always, "token".into(), driver.now, &mut kept).unwrap();
    assert!(
        decided.rule.contains("ssh:box") && decided.rule.contains("nothing is remembered"),
        "{decided:?}"
    );
    assert_eq!(
        (decided.saved, kept.lines),
        (Some(false), vec!["revoke".to_owned()]),
        "nothing can be run by the token here"
    );
    drop(effects);

    // Where the server itself would have to run it, it cannot.
    let mut driver = Driver::started();
    driver.turn.subject.around.host = Some("ssh:box".into());
    driver.turn.subject.around.runs_here = true;
    let lines = driver.reply(READS);
    assert!(lines.contains(&"remember denied".to_owned()), "{lines:?}");
}

#[test]
fn a_command_waits_on_if_what_its_token_is_good_for_cannot_be_kept() {
    let mut driver = Driver::started();
    driver.reply(SHELL);
    let mut full = Kept { fails: "issue", ..Kept::default() };
    let edited = decide(Choice::Run, Some("make -n"));
    let failed = driver.turn.decide(&edited, "token".into(), driver.now, &mut full).unwrap_err();
    assert_eq!(failed, DecideError::NotKept(Error::internal("no room")));
    // What is asked is what was asked, and no message of the turn is missing.
    let mut kept = Kept::default();
    let (_, effects) =
        driver.turn.decide(&decide(Choice::Run, None), "token".into(), driver.now, &mut kept).unwrap();
    assert!(matches!(&driver.turn.phase, Phase::Running { command, .. } if command == "make"));
    driver.show(effects);
    driver.numbered();
}

#[test]
fn what_the_client_runs_by_itself_no_token_lets_run() {
    let mut driver = Driver::started();
    driver.reply(SHELL);
    let own = Decide { unconfined: true, ..decide(Choice::Run, None) };
    let mut kept = Kept::default();
    let (decided, effects) = driver.turn.decide(&own, "token".into(), driver.now, &mut kept).unwrap();
    assert_eq!((decided.token.as_deref(), kept.lines), (Some("token"), vec!["revoke".to_owned()]));
    assert!(effects.iter().any(|effect| matches!(
        effect,
        Effect::Record(Record::ActionPermitted { approved, .. }) if approved.unconfined
    )));
}

#[test]
fn an_edited_command_that_is_denied_waits_on() {
    let mut driver = Driver::started();
    driver.reply(SHELL);
    let denied = driver.turn.decide(
        &decide(Choice::Run, Some("sudo make")),
        "token".into(),
        driver.now,
        &mut Kept::default(),
    );
    assert!(matches!(denied, Err(DecideError::Denied(_))), "{denied:?}");
    driver.turn.decide(&decide(Choice::Run, None), "token".into(), driver.now, &mut Kept::default()).unwrap();
}

#[test]
fn an_edited_command_is_verified_again() {
    let mut driver = Driver::started();
    driver.reply(SHELL);
    let bad = driver.turn.decide(
        &decide(Choice::Run, Some("ls \u{202e}")),
        "token".into(),
        driver.now,
        &mut Kept::default(),
    );
    assert!(matches!(bad, Err(DecideError::Rejected(_))), "{bad:?}");
    let (_, effects) = driver
        .turn
        .decide(&decide(Choice::Run, Some("ls -a")), "token".into(), driver.now, &mut Kept::default())
        .unwrap();
    assert!(effects.iter().any(|effect| matches!(
        effect,
        Effect::Record(Record::ActionPermitted { command: Some(command), .. }) if command == "ls -a"
    )));
}

#[test]
fn a_turn_stops_at_its_ninth_step() {
    let mut driver = Driver::started();
    for _ in 1..8 {
        driver.reply(SHELL);
        assert_eq!(driver.report(Status::Done).last().unwrap(), "ask");
    }
    driver.reply(SHELL);
    assert_eq!(driver.report(Status::Done).last().unwrap(), "actuate allow system error");
}

#[test]
fn a_log_line_ends_the_turn() {
    let mut driver = Driver::started();
    let lines = driver.reply(r#"(:type :log :payload (:text "noted"))"#);
    assert_eq!(&lines[lines.len() - 4..], ["+chat.action.executed", "+turn.ended", "done", "ended"]);
}

#[test]
fn cancelling_depends_on_the_phase() {
    let cancel = |driver: &mut Driver| {
        let effects = driver.turn.cancel(driver.now);
        effects.map(|effects| driver.show(effects))
    };
    let mut waiting = Driver::new();
    assert_eq!(cancel(&mut waiting).unwrap(), ["+turn.ended", "cancelled", "ended"]);
    assert_eq!(cancel(&mut waiting), None);

    let mut reading = Driver::started();
    reading.text(r#"(:type :response :payload (:text "Hel"#);
    assert_eq!(
        cancel(&mut reading).unwrap(),
        ["stop model", "retract", "+turn.replied", "+turn.ended", "cancelled", "ended"]
    );

    let mut asking = Driver::started();
    asking.reply(SHELL);
    assert_eq!(
        cancel(&mut asking).unwrap(),
        [
            "+chat.action.permitted",
            "+chat.action.executed",
            "remember denied",
            "+turn.ended",
            "cancelled",
            "ended"
        ]
    );

    let mut running = Driver::started();
    running.reply(SHELL);
    running
        .turn
        .decide(&decide(Choice::Run, None), "token".into(), running.now, &mut Kept::default())
        .unwrap();
    assert_eq!(
        cancel(&mut running).unwrap(),
        ["+chat.action.executed", "remember failed", "abort", "+turn.ended", "cancelled", "ended"]
    );

    let mut inserting = Driver::started();
    inserting.reply(GOOD);
    assert_eq!(cancel(&mut inserting), None, "the text has already left");
}

#[test]
fn a_client_that_cannot_insert_fails_the_turn() {
    let mut driver = Driver::started();
    driver.reply(GOOD);
    assert_eq!(driver.report(Status::Failed), ["+chat.action.executed", "+turn.ended", "failed", "ended"]);
}
