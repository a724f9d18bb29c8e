//! A turn with skills: their questions, their own words, their gates, and what the model loads.

use super::*;
use crate::skill::{Loaded, Origin};

fn lead(prompt: &str) -> Lead {
    Lead { system: None, prompt: prompt.into() }
}

/// A turn that waits for its skills, and what comes of `dispatched`.
fn dispatched(dispatched: Dispatched) -> (Driver, Vec<String>) {
    let mut driver = Driver::new();
    let effects = driver.turn.start();
    driver.show(effects);
    let effects = driver.turn.dispatched(dispatched, driver.now);
    let lines = driver.show(effects);
    (driver, lines)
}

#[test]
fn a_skill_leads_the_turn_and_is_asked_once() {
    let (mut driver, lines) = dispatched(Dispatched::Lead(Some(lead("say hi"))));
    assert_eq!(lines, ["ask"]);
    assert_eq!(driver.turn.lead(), Some(&lead("say hi")));
    let lines = driver.reply("(:wrong");
    assert_eq!(&lines[lines.len() - 2..], ["repairing", "ask again"]);
    assert_eq!(driver.turn.lead(), Some(&lead("say hi")));
    let effects = driver.turn.dispatched(Dispatched::Lead(None), driver.now);
    assert!(effects.is_empty(), "nothing waits for it any more");
    driver.numbered();
}

#[test]
fn a_skill_asks_first_and_its_answer_is_no_preview() {
    let (mut driver, lines) = dispatched(Dispatched::Question(lead("which?")));
    assert_eq!(lines, ["thinking", "consult which?"]);
    assert_eq!(driver.reply("the (second"), ["+turn.replied", "answer the (second"]);
    let effects = driver.turn.dispatched(Dispatched::Question(lead("sure?")), driver.now);
    assert_eq!(driver.show(effects), ["thinking", "consult sure?"]);
    assert_eq!(driver.reply("yes"), ["+turn.replied", "answer yes"]);
    let effects = driver.turn.dispatched(Dispatched::Lead(Some(lead("the second"))), driver.now);
    assert_eq!(driver.show(effects), ["ask"]);
    assert_eq!(driver.reply(GOOD)[0], "streaming");
    driver.numbered();
}

#[test]
fn a_question_that_breaks_is_asked_again_and_then_the_turn_fails() {
    let (mut driver, _) = dispatched(Dispatched::Question(lead("which?")));
    for _ in 0..2 {
        let attempt = driver.turn.attempt();
        let effects = driver.turn.piece(attempt, None, driver.now);
        assert_eq!(driver.show(effects), ["stop model", "+turn.replied", "thinking", "retry later"]);
        let effects = driver.turn.retry(driver.now);
        assert_eq!(driver.show(effects), ["thinking", "consult which?"]);
    }
    let attempt = driver.turn.attempt();
    let effects = driver.turn.piece(attempt, None, driver.now);
    assert_eq!(driver.show(effects).last().unwrap(), "actuate allow system error");
}

#[test]
fn an_answer_without_end_is_stopped() {
    let (mut driver, _) = dispatched(Dispatched::Question(lead("which?")));
    let long = "x".repeat(crate::action::MAX_REPLY);
    assert!(driver.text(&long).is_empty());
    let lines = driver.text("y");
    assert_eq!(lines[0], "stop model");
    assert_eq!(lines.last().unwrap(), "actuate allow system error");
}

#[test]
fn what_a_skill_says_itself_is_read_like_a_reply_and_not_repaired() {
    let (mut driver, lines) = dispatched(Dispatched::Speaks("echo".into(), GOOD.into()));
    assert_eq!(lines[0], "streaming");
    assert_eq!(lines.last().unwrap(), "actuate allow");
    assert_eq!(driver.report(Status::Done).last().unwrap(), "ended");
    for wrong in ["", "no list", "(:type :response", "(:type :response :payload (:text \"a\")) more"] {
        let (driver, lines) = dispatched(Dispatched::Speaks("echo".into(), wrong.into()));
        assert_eq!(lines.last().unwrap(), "actuate allow system error", "{wrong}: {lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("ask")), "{lines:?}");
        driver.numbered();
    }
}

#[test]
fn a_skill_that_fails_fails_the_turn_by_its_name() {
    let (mut driver, lines) = dispatched(Dispatched::Failed("echo".into(), "echo.org:3: no".into()));
    assert_eq!(lines.last().unwrap(), "actuate allow system error");
    assert_eq!(driver.report(Status::Done), ["+chat.action.executed", "+turn.ended", "failed", "ended"]);
}

#[test]
fn what_a_gate_refuses_is_taken_back_and_told() {
    let mut driver = Driver::started();
    driver.stubborn = true;
    let lines = driver.reply(GOOD);
    assert_eq!(
        lines,
        [
            "streaming",
            "delta Hello.",
            "+turn.replied",
            "retract",
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
fn cancelled_while_skills_work_nothing_more_comes() {
    let mut driver = Driver::new();
    let effects = driver.turn.start();
    driver.show(effects);
    let effects = driver.turn.cancel(driver.now).unwrap();
    assert_eq!(driver.show(effects), ["+turn.ended", "cancelled", "ended"]);
    assert!(driver.turn.dispatched(Dispatched::Lead(None), driver.now).is_empty());

    let (mut driver, _) = dispatched(Dispatched::Question(lead("which?")));
    let effects = driver.turn.cancel(driver.now).unwrap();
    assert_eq!(driver.show(effects), ["stop model", "+turn.replied", "+turn.ended", "cancelled", "ended"]);
    driver.numbered();
}

const POETRY: &str = r#"(:type :request :target :skill :payload (:name "poetry"))"#;

fn poetry() -> Result<Loaded, String> {
    let (name, text, origin) = ("poetry".to_owned(), "Write in rhymes.".to_owned(), Origin::User);
    Ok(Loaded { name, text, origin })
}

#[test]
fn a_skill_that_the_model_loads_is_told_and_the_turn_goes_on() {
    for (loaded, shown, step, remembered) in [
        (Err("there is no skill named \"poetry\"".to_owned()), false, "refused", "remember no skill"),
        (poetry(), false, "read", "remember poetry: Write in rhymes."),
        (poetry(), true, "read again", "remember poetry again"),
    ] {
        let mut driver = Driver::started();
        assert_eq!(driver.reply(POETRY).last().unwrap(), "activate poetry");
        let effects = driver.turn.activated(loaded, shown, driver.now);
        // It is recorded before it is told, and its telling has no number.
        let step = format!("step: poetry, model, {step}");
        assert_eq!(driver.show(effects), ["+chat.action.executed", &step, remembered, "thinking", "ask"]);
        assert!(
            driver.turn.activated(poetry(), false, driver.now).is_empty(),
            "nothing waits for it any more"
        );
        driver.numbered();
    }
}

#[test]
fn a_skill_that_the_user_calls_is_there_before_the_model_is_asked() {
    let said = |text: &str| {
        let mut driver = Driver::saying(text);
        let effects = driver.turn.start();
        driver.show(effects);
        let effects = driver.turn.dispatched(Dispatched::Lead(Some(lead("led"))), driver.now);
        (driver.show(effects), driver)
    };
    for (text, name) in [("/poetry about rain", "poetry"), ("  /Poetry", "Poetry"), ("/é\nx", "é")] {
        let (lines, mut driver) = said(text);
        assert_eq!(lines, [format!("summon {name}")]);
        let effects = driver.turn.activated(poetry(), false, driver.now);
        assert_eq!(
            driver.show(effects),
            [
                "+chat.action.proposed",
                "+chat.action.permitted",
                "+chat.action.executed",
                "step: poetry, user, read",
                "remember poetry: Write in rhymes.",
                "ask"
            ]
        );
        assert_eq!(driver.reply(GOOD)[0], "streaming");
        driver.numbered();
    }
    let (_, mut driver) = said("/poetry once more");
    let effects = driver.turn.activated(poetry(), true, driver.now);
    assert_eq!(driver.show(effects)[3..], ["step: poetry, user, read again", "remember poetry again", "ask"]);
    let (_, mut driver) = said("/nothing of the kind");
    let effects = driver.turn.activated(Err("none".into()), false, driver.now);
    assert_eq!(driver.show(effects), ["ask"]);
    let (_, mut driver) = said("/poetry");
    let effects = driver.turn.cancel(driver.now).unwrap();
    assert_eq!(driver.show(effects), ["+turn.ended", "cancelled", "ended"]);
    assert!(driver.turn.activated(poetry(), false, driver.now).is_empty());
    for text in ["/etc/passwd is what?", "/", "/ poetry", "a /poetry", "", &format!("/{}", "x".repeat(257))] {
        assert_eq!(said(text).0, ["ask"], "{text}");
    }
}
