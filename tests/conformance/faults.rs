//! The scripted server with clients that do one thing wrong: each fails, and in that.

use serde_json::Value;

use crate::player::{Fault, Player};

/// What failed in a report: the checks of scenes, and the rules.
fn failed(report: &Value) -> Vec<String> {
    let checks = report["scenes"].as_array().unwrap().iter().flat_map(|scene| {
        let name = scene["name"].as_str().unwrap();
        let checks = scene["checks"].as_array().unwrap().iter();
        checks
            .filter(|it| it["outcome"] == "failed")
            .map(move |it| format!("{name}: {}", it["what"].as_str().unwrap()))
    });
    let rules = report["rules"].as_array().unwrap().iter().filter(|it| it["outcome"] == "failed");
    checks.chain(rules.map(|it| it["what"].as_str().unwrap().to_owned())).collect()
}

/// Plays `scenes` with a client that has `fault`; what failed has to be `expected`, by their beginnings.
#[track_caller]
fn fails(fault: Fault, scenes: &[&str], expected: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    let mut player = Player::start(home.path(), fault, &[]);
    player.initialize();
    scenes.iter().for_each(|scene| player.say(scene));
    if fault == Fault::NothingLacking {
        player.resume("yesterday");
        // It is waited for, then this is played.
        player.say("plain");
    }
    let (report, status) = player.leave();
    assert_eq!((status, &report["passed"]), (1, &Value::Bool(false)), "{fault:?}: {report:#}");
    let failed = failed(&report);
    let same = failed.len() == expected.len()
        && failed.iter().zip(expected).all(|(failed, expected)| failed.starts_with(expected));
    assert!(same, "{fault:?}: {failed:#?}");
}

macro_rules! faults {
    ($($name:ident: $fault:ident, $scenes:expr => $expected:expr;)*) => {
        $(#[test]
        fn $name() {
            fails(Fault::$fault, &$scenes, &$expected);
        })*
    };
}

faults! {
    what_is_no_json: Garbage, ["plain"] => ["message: "];
    a_request_before_initialize: NoInitialize, ["plain"] => ["life-cycle: "];
    a_request_after_shutdown: AfterShutdown, ["plain"] => ["life-cycle: "];
    an_exit_without_shutdown: NoShutdown, ["plain"] => ["life-cycle: "];
    a_field_of_the_wrong_type: BadShape, ["plain"] => ["shape: "];
    no_acknowledgement: NoAck, ["plain"] => ["plain: an insert is acknowledged", "ack: "];
    two_acknowledgements: TwoAcks, ["plain"] => ["answer: "];
    a_refusal: Refuses, ["plain"] => ["plain: an insert is acknowledged"];
    a_refusal_of_the_second_delivery: RefusesAgain, ["twice"] => ["twice: an insert that was delivered again"];
    no_report: NoReport, ["plain"] => ["plain: an insert is reported as done"];
    a_failure: Failed, ["plain"] => ["plain: an insert is reported as done"];
    two_outcomes: TwoOutcomes, ["plain"] => ["outcome: "];
    an_outcome_of_nothing: UnknownAction, ["plain"] => ["outcome: "];
    a_method_that_was_not_announced: UnknownMethod, ["plain"] => ["method: "];
    a_command_that_nobody_decided: RunsUndecided, ["shell"] => ["decide-first: "];
    a_command_that_was_denied: RunsDenied, ["deny", "plain"] => ["deny: a command that was denied", "decide-first: "];
    an_outcome_without_its_token: NoToken, ["run"] => ["return-token: "];
    one_client_id_for_two_messages: SameClientId, ["plain", "retract"] => ["client-id: "];
    output_that_does_not_begin_at_one: OutputFromTwo, ["run"] => ["output: "];
    output_after_the_outcome: OutputLate, ["run"] => ["output: "];
    an_outcome_without_exit_code: NoExitCode, ["run"] => ["run: a command that may run is reported"];
    a_flood: Floods, ["error", "plain"] => ["error: a message that was refused"];
    silence_after_a_late_message: DeafAfterTheEnd, ["late", "plain"] => ["late: the client goes on", "ack: "];
    silence_on_abort: DeafToAbort, ["abort", "plain"] => ["abort: the request to stop", "ack: "];
    a_command_that_runs_on: RunsOn, ["abort", "plain"] => ["abort: a command that is to be stopped"];
    a_result_for_what_is_not_known: AnswersTheUnknown, ["unknown"] => ["unknown: a request that it does not know"];
    a_lacking_reply_left_out: NothingLacking, [] => ["resume: a reply that was lacking"];
}
