//! `org-agent model scorecard` after real turns against a model server.

use serde_json::{Value, json};

use super::fake_model::{FakeModel, Reply};
use super::*;

fn insert(text: &str) -> String {
    format!(
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "*org-agent-chat*" :text "{text}"))"#
    )
}

/// A server's count of tokens, some of which it had read before.
fn counted(prompt: u64, cached: u64, completion: u64) -> Value {
    json!({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached}}})
}

fn answer(text: &str) -> Reply {
    Reply::stream().pieces(&insert(text), 5).finish("stop").event(&counted(1_000, 400, 50)).done()
}

/// A place with two models, the second of which is asked if the first one fails.
fn home(model: &FakeModel) -> Home {
    let home = Home::new();
    let url = model.base_url();
    let config = format!(
        "[[models]]\nname = 'big'\nmodel = 'big-1'\nbase_url = '{url}'\nfallback = ['small']\n\
         price = {{input = 2.0, cached = 0.5, output = 10.0}}\n\
         [[models]]\nname = 'small'\nmodel = 'small-1'\nbase_url = '{url}'\n"
    );
    std::fs::write(home.path().join("config.toml"), config).unwrap();
    home
}

/// Says something and takes as many requests as that makes.
fn say(home: &Home, model: &FakeModel, text: &str, requests: usize) {
    let mut command = home.command(env!("CARGO_BIN_EXE_org-agent"));
    let said = command.env_remove("ORG_AGENT_MODEL").args(["chat", "--new", text]).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    for _ in 0..requests {
        model.take_request_blocking();
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "the documentation says how to see it")]
fn real_turns_are_scored() {
    let mut model = FakeModel::start();
    let home = home(&model);
    // Valid at once.
    model.push(answer("Hello."));
    say(&home, &model, "Hi.", 1);
    // Stopped at its first wrong byte, and repaired.
    model.push(Reply::stream().text("Sure!").stall());
    model.push(answer("Repaired."));
    say(&home, &model, "Repair.", 2);
    // Refused, so that the other one answers.
    model.push(Reply::page(401, "application/json", r#"{"error": {"message": "no"}}"#));
    model.push(answer("I am the other one."));
    say(&home, &model, "Fall back.", 2);
    model.assert_all_checked();

    let scorecard = |args: &[&str]| home.fed(&[&["model", "scorecard"], args].concat(), "").good();
    let mut scores = json(&scorecard(&["--json"]));
    assert_eq!(scores.len(), 2, "{scores:?}");
    for score in &mut scores {
        // Times are as they are.
        for key in ["firstMsMedian", "firstMsP95", "tokensPerSecond"] {
            let time = score[key].take();
            assert!(time.is_null() || time.as_f64().unwrap() >= 0.0, "{time}");
        }
    }
    // What was stopped was counted here.
    let stopped = scores[0]["promptTokens"].as_u64().unwrap() - 2_000;
    assert!(stopped > 100, "{stopped}");
    // 600 new and 400 known tokens of the prompt, 50 of the reply, twice; and what was stopped.
    let wrong = stopped * 2 + scores[0]["completionTokens"].as_u64().unwrap().checked_sub(100).unwrap() * 10;
    let cost = (2 * (600 * 2 + 200 + 500) + wrong) as f64 / 1e6;
    let saved = org_agent::action::MAX_REPLY - "Sure!".len();
    let [big, small] = [&scores[0], &scores[1]];
    assert_eq!(
        *big,
        json!({"model": "big", "persona": "Passepartout", "calls": 4, "firstTries": 2, "validFirst": 1,
            "validFirstPercent": 50.0, "accepted": 2, "rejected": 1, "repairs": 1, "repairsPerAction": 0.5,
            "stoppedBytes": saved, "failures": {"unauthorized": 1}, "cancelled": 0, "firstMsMedian": null,
            "firstMsP95": null, "tokensPerSecond": null, "promptTokens": big["promptTokens"],
            "cachedTokens": 800, "completionTokens": big["completionTokens"], "estimated": true, "cost": cost,
            "costPerAction": cost / 2.0})
    );
    assert_eq!((&small["calls"], &small["validFirst"], &small["cost"]), (&json!(1), &json!(1), &Value::Null));

    let text = scorecard(&[]);
    // The example in the documentation is this one.
    println!("{text}");
    let shown = include_str!("../../docs/models.md");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    for line in [
        "MODEL  PERSONA     CALLS  TRIES   VALID  REPAIRS  STOPPED  FAILED  CANCELLED",
        "big    Passepart…      4      2   50.0%     0.50     262k       1          0",
        "small  Passepart…      1      1  100.0%     0.00        0       0          0",
        "big    Passepart…  unauthorized      1",
        "~ some of these tokens were counted here: the server did not say how many",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}\nis not in\n{text}");
        assert!(shown.contains(line), "{line}\nis not in docs/models.md");
    }

    // One session has its own.
    let sessions = home.sessions(&[]);
    let id = |title: &str| sessions.iter().find(|session| session["title"] == title).unwrap()["id"].clone();
    let one = json(&scorecard(&["--json", "--session", id("Hi.").as_str().unwrap()]));
    assert_eq!((one.len(), &one[0]["calls"], &one[0]["cost"]), (1, &json!(1), &json!(0.0019)));
    assert_eq!(json(&scorecard(&["--json", "--since", "1h"])).len(), 2);
    assert_eq!(scorecard(&["--since", "2100-01-01"]), "no model was asked for an action there and then\n");
    assert_eq!(scorecard(&["--since", "2100-01-01", "--json"]), "");
    home.fed(&["model", "scorecard", "--session", "none"], "").bad(1, &["no session begins with"]);
    home.fed(&["model", "scorecard", "--since", "soon"], "").bad(2, &["--since"]);
}

#[test]
fn of_nothing_it_says_so_and_makes_nothing() {
    let home = Home::new();
    let nothing = home.fed(&["model", "scorecard"], "").good();
    assert_eq!(nothing, "no model was asked for an action yet\n");
    assert_eq!(home.fed(&["model", "scorecard", "--json"], "").good(), "");
    assert!(!home.path().join("agent.db").exists());
    // A database in which nothing is.
    home.chat("echo: hello");
    home.run(&["delete", home.sessions(&[])[0]["id"].as_str().unwrap(), "--yes"]).good();
    assert_eq!(home.fed(&["model", "scorecard"], "").good(), nothing);
}
