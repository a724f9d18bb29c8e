//! The scripted server with a client that is as it should be.

use serde_json::{Value, json};

use crate::check::checked;
use crate::player::{Fault, Player};

/// The scenes that a message starts, in the order of the table.
pub const BY_MESSAGE: [&str; 18] = [
    "plain",
    "retract",
    "twice",
    "stale",
    "late",
    "unknown",
    "nothing",
    "failed",
    "long",
    "error",
    "conflict",
    "duplicate",
    "run",
    "shell",
    "deny",
    "abort",
    "cancel",
    "all",
];

#[test]
fn a_client_as_it_should_be_passes_every_scene_and_every_rule() {
    let home = tempfile::tempdir().unwrap();
    let record = home.path().join("record.jsonl");
    let mut player = Player::start(home.path(), Fault::None, &["--record", record.to_str().unwrap()]);
    player.initialize();
    BY_MESSAGE.iter().for_each(|scene| player.say(scene));
    let resumed = player.resume("a-session-of-yesterday");
    assert_eq!(resumed["actuations"].as_array().unwrap().len(), 1);
    // Again, now that it is there.
    assert_eq!(player.resume("a-session-of-yesterday")["actuations"], json!([]));
    let buffer = player.buffer.clone();
    let (report, status) = player.leave();
    assert_eq!(status, 0, "{report:#}");
    assert_eq!(report["passed"], true);
    let scenes = report["scenes"].as_array().unwrap();
    assert_eq!(scenes.len(), BY_MESSAGE.len() + 1);
    for scene in scenes {
        assert_eq!(scene["outcome"], "passed", "{scene:#}");
        assert!(scene["checks"].as_array().unwrap().iter().all(|it| it["outcome"] == "passed"), "{scene:#}");
    }
    for rule in report["rules"].as_array().unwrap() {
        assert_eq!(rule["outcome"], "passed", "{rule:#}");
    }
    // What is said of each can be read in the document.
    let doc = include_str!("../../docs/protocol.md");
    let anchor = |heading: &str| -> String {
        let kept = heading
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'))
            .collect();
        let kept: String = kept;
        kept.replace(' ', "-")
    };
    let headings: Vec<String> = doc
        .lines()
        .filter_map(|it| it.strip_prefix("##"))
        .map(|it| anchor(it.trim_start_matches('#').trim()))
        .collect();
    for check in scenes.iter().flat_map(|scene| scene["checks"].as_array().unwrap()) {
        assert!(headings.iter().any(|it| check["section"] == **it), "{check:#}");
    }
    // Applied once each: none in the turns that have no text.
    let without = ["nothing", "error", "conflict", "abort", "cancel"];
    assert_eq!(buffer.len(), BY_MESSAGE.len() - without.len() + 1, "{buffer:?}");

    // The record is complete, and only the server's part breaks rules in it.
    let (found, _) = checked(&std::fs::read(&record).unwrap());
    let faults = found["faults"].as_array().unwrap();
    assert!(faults.iter().all(|fault| fault["side"] == "the server"), "{found:#}");
    let rules: Vec<&Value> = faults.iter().map(|fault| &fault["rule"]).collect();
    for rule in ["seq", "one-end"] {
        assert!(rules.contains(&&json!(rule)), "{rules:?}");
    }
}

#[test]
fn other_words_play_one_scene_after_the_other() {
    let home = tempfile::tempdir().unwrap();
    let mut player = Player::start(home.path(), Fault::None, &[]);
    player.initialize();
    for _ in 0..3 {
        player.say("What next?");
    }
    let (report, status) = player.leave();
    assert_eq!(status, 0, "{report:#}");
    let played: Vec<&str> = report["scenes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|scene| scene["outcome"] == "passed")
        .map(|scene| scene["name"].as_str().unwrap())
        .collect();
    assert_eq!(played, BY_MESSAGE[..3]);
    let rest = report["scenes"].as_array().unwrap().iter().skip(3);
    rest.for_each(|scene| assert_eq!(scene["outcome"], "not-exercised"));
}
