//! What models think, take and cost: shown and added up, never fed back, and capped before anything is sent.

use std::path::Path;

use serde_json::{Value, json};

use crate::client::Client;
use crate::fake_model::{FakeModel, Reply};
use crate::insert;
use crate::scene::Scene;

/// A server with one model at a price and one without, and more of a configuration.
fn scene(home: &Path, more: &str) -> Scene {
    let model = FakeModel::start();
    let url = model.base_url();
    let config = format!(
        "[[models]]\nname = 'big'\nmodel = 'big-1'\nbase_url = '{url}'\nfallback = ['free']\n\
         price = {{input = 2.0, cached = 0.5, output = 10.0}}\n\
         [[models]]\nname = 'free'\nmodel = 'free-1'\nbase_url = '{url}'\n\
         [[models]]\nname = 'alone'\nmodel = 'alone-1'\nbase_url = '{url}'\n\
         price = {{input = 2.0, output = 10.0}}\n{more}"
    );
    std::fs::write(home.join("config.toml"), config).unwrap();
    let client = Client::new_in(home, &[]);
    Scene::of(model, client)
}

/// A reply with what the server counted, as OpenAI says it.
fn counted(text: &str, prompt: u64, cached: u64, completion: u64, reasoning: u64) -> Reply {
    let usage = json!({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning}}});
    Reply::stream().pieces(&insert(text), 5).finish("stop").event(&usage).done()
}

/// The session of a turn, and the metadata of its last message.
fn last(scene: &mut Scene, turn: &str) -> (Value, Value) {
    let session = scene.told(turn)[0]["params"]["sessionId"].clone();
    let params = json!({"sessionId": session, "last": true, "limit": 1});
    let mut list = scene.request("orgAgent/sessions/messages", &params).unwrap();
    (session, list["items"][0]["metadata"].take())
}

fn why(scene: &mut Scene, turn: &str) -> Value {
    scene.request("orgAgent/why", &json!({"turnId": turn, "format": "org"})).unwrap()
}

/// The parts of an event's kind of a turn.
fn events(why: &Value, kind: &str) -> Vec<Value> {
    let all = why["events"].as_array().unwrap();
    all.iter().filter(|event| event["type"] == kind).cloned().collect()
}

#[test]
fn what_a_model_thought_is_shown_and_never_fed_back() {
    let home = tempfile::tempdir().unwrap();
    let mut scene = scene(home.path(), "");
    let thought = |text: &str| json!({"choices": [{"index": 0, "delta": {"reasoning_content": text}}]});
    let thinking = Reply::stream().event(&thought("Zebras are ")).event(&thought("striped."));
    scene.model.push(thinking.pieces(&insert("Yes."), 5).finish("stop").done());
    let turn = scene.say("Are they?");
    scene.model.take_request_blocking();
    scene.end(&turn);
    // Neither the next turn nor a repair is told.
    scene.model.push(Reply::stream().event(&thought("Giraffes are tall.")).text("Sure!").stall());
    scene.model.reply_with(&insert("No."));
    let second = scene.say("And they?");
    for _ in 0..2 {
        let body = scene.model.take_request_blocking().body.to_string();
        assert!(body.contains("Are they?") && body.contains("Yes."), "{body}");
        for word in ["Zebras", "striped", "Giraffes", "tall", "reasoning"] {
            assert!(!body.contains(word), "{word} in {body}");
        }
    }
    scene.end(&second);
    let first = why(&mut scene, &turn);
    assert_eq!(events(&first, "turn.replied")[0]["thought"], "Zebras are striped.");
    let org = first["org"].as_str().unwrap();
    let shown = "\n*** Thought, 19 bytes\n:PROPERTIES:\n:VISIBILITY: folded\n:END:\n#+begin_example\nZebras are striped.\n";
    assert!(org.contains(shown), "{org}");
    scene.finish();
}

#[test]
fn tokens_and_cost_stand_with_messages_turns_and_sessions() {
    let home = tempfile::tempdir().unwrap();
    let mut scene = scene(home.path(), "");
    scene.model.push(counted("Hello.", 1_000, 400, 50, 30));
    let turn = scene.say("Hi.");
    scene.model.take_request_blocking();
    scene.end(&turn);
    let (session, metadata) = last(&mut scene, &turn);
    let tokens =
        json!({"prompt": 1000, "completion": 50, "cached": 400, "reasoning": 30, "estimated": false});
    // 600 at 2, 400 at 0.5, 50 at 10 dollars a million.
    for (key, value) in
        [("tokens", &tokens), ("cost", &json!(0.0019)), ("turnTokens", &tokens), ("turnCost", &json!(0.0019))]
    {
        assert_eq!(metadata[key], *value, "{metadata}");
    }
    let latency: Vec<u64> = ["begunMs", "firstMs", "totalMs"]
        .iter()
        .map(|key| metadata["latency"][key].as_u64().unwrap())
        .collect();
    assert!(latency.is_sorted(), "{latency:?}");
    let behind = why(&mut scene, &turn);
    assert_eq!((&behind["tokens"], &behind["cost"]), (&tokens, &json!(0.0019)));
    let org = behind["org"].as_str().unwrap();
    let taken = ": tokens        1000 in the prompt (400 read before), 50 in the reply (30 of thoughts)\n";
    assert_eq!(org.matches(taken).count(), 2, "{org}");
    assert_eq!(org.matches(": cost          0.0019 US dollars\n").count(), 2, "{org}");
    assert!(org.contains(": dialect       prompt\n"), "{org}");

    // Stopped at its first wrong byte: counted here; and the repair, which is not counted by its server either.
    scene.model.push(Reply::stream().text("Sure!").stall());
    scene.model.push(Reply::stream().text(&insert("Better.")).finish("stop").done());
    let turn = scene.say("Again.");
    let lengths: Vec<usize> = (0..2)
        .map(|_| scene.model.take_request_blocking().messages().iter().map(|(_, text)| text.len()).sum())
        .collect();
    scene.end(&turn);
    let (_, metadata) = last(&mut scene, &turn);
    let behind = why(&mut scene, &turn);
    let replied = events(&behind, "turn.replied");
    assert_eq!(replied.len(), 2);
    let mut sum = 0;
    for (reply, length) in replied.iter().zip(lengths) {
        let usage = &reply["usage"];
        assert_eq!(usage["estimated"], true, "{reply}");
        let (prompt, completion) =
            (usage["promptTokens"].as_u64().unwrap(), usage["completionTokens"].as_u64().unwrap());
        // An estimate, but one of this prompt and this reply.
        let length = u64::try_from(length).unwrap();
        assert!((length / 8..=length).contains(&prompt), "{prompt} tokens in {length} bytes");
        assert!((1..=200).contains(&completion), "{completion}");
        let cost = prompt * 2 + completion * 10;
        assert_eq!(reply["cost"]["microUsd"], cost);
        sum += cost;
    }
    assert_eq!(metadata["cost"], replied[1]["cost"]["microUsd"].as_f64().unwrap() / 1e6);
    assert_eq!(
        (&metadata["tokens"]["estimated"], &metadata["turnTokens"]["estimated"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(metadata["turnCost"], sum as f64 / 1e6);
    assert!(behind["org"].as_str().unwrap().contains(" US dollars, estimated\n"));
    let found = scene.request("orgAgent/sessions/get", &json!({"sessionId": session})).unwrap();
    assert_eq!(
        (&found["cost"], &found["tokens"]["estimated"]),
        (&json!((sum + 1_900) as f64 / 1e6), &json!(true))
    );
    let listed = scene.request("orgAgent/sessions/list", &json!({})).unwrap();
    assert_eq!(
        (&listed["items"][0]["cost"], &listed["items"][0]["tokens"]),
        (&found["cost"], &found["tokens"])
    );
    scene.finish();
}

#[test]
fn nobody_is_paid_who_turned_a_request_away_and_who_says_nothing_of_it_is_counted_here() {
    let home = tempfile::tempdir().unwrap();
    let mut scene = scene(home.path(), "");
    let (session, _) = {
        scene.model.push(counted("Hello.", 1_000, 0, 100, 0));
        let turn = scene.say("Hi.");
        scene.model.take_request_blocking();
        scene.end(&turn);
        last(&mut scene, &turn)
    };
    scene.request("orgAgent/models/select", &json!({"sessionId": session, "name": "alone"})).unwrap();
    for (status, trouble) in [(401, "unauthorized"), (400, "rejected"), (404, "not-found")] {
        scene.model.push(Reply::page(status, "text/plain", "no"));
        let turn = scene.say(&format!("And {status}?"));
        scene.model.take_request_blocking();
        scene.end(&turn);
        let reply = &events(&why(&mut scene, &turn), "turn.replied")[0];
        assert_eq!(reply["verdict"]["trouble"], trouble, "{reply}");
        assert_eq!((&reply["usage"], &reply["cost"]), (&Value::Null, &Value::Null), "{reply}");
    }
    let found = scene.request("orgAgent/sessions/get", &json!({"sessionId": session})).unwrap();
    assert_eq!(found["cost"], 0.003);
    // A count without numbers is none.
    let empty = json!({"choices": [], "usage": {}});
    scene.model.push(Reply::stream().text(&insert("Free?")).finish("stop").event(&empty).done());
    let turn = scene.say("Free?");
    scene.model.take_request_blocking();
    scene.end(&turn);
    let (_, metadata) = last(&mut scene, &turn);
    assert_eq!(metadata["tokens"]["estimated"], true, "{metadata}");
    assert!(metadata["cost"].as_f64().unwrap() > 0.0, "{metadata}");
    scene.others.clear();
    scene.finish();
}

#[test]
fn a_session_that_reached_its_cap_asks_nobody_who_costs_something() {
    let home = tempfile::tempdir().unwrap();
    // The first reply costs 0.0120.
    let mut scene = scene(home.path(), "[spend]\nper_session = 0.012\n");
    scene.model.push(counted("Hello.", 1_000, 0, 1_000, 0));
    let turn = scene.say("Hi.");
    let request = scene.model.take_request_blocking();
    assert_eq!(request.body["model"], "big-1");
    scene.end(&turn);
    let (session, metadata) = last(&mut scene, &turn);
    assert_eq!(metadata["cost"], 0.012);

    // Its fallback has no price, and answers.
    scene.model.reply_with(&insert("I cost nothing."));
    let turn = scene.say("More.");
    assert_eq!(scene.model.take_request_blocking().body["model"], "free-1");
    let told = scene.end(&turn);
    let reason = "asking free instead of big: no more may be spent in this session: 0.0120 of 0.012 US dollars are spent";
    assert!(told.iter().any(|line| line.contains(reason)), "{told:?}");
    let (_, metadata) = last(&mut scene, &turn);
    assert_eq!(
        (&metadata["model"], &metadata["cost"], &metadata["turnCost"]),
        (&json!("free"), &Value::Null, &Value::Null)
    );
    let org = why(&mut scene, &turn)["org"].as_str().unwrap().to_owned();
    for part in [
        "\n** Model call 1\n: model         none was asked\n",
        "\n: trouble       spent\n: message       no more may be spent in this session: ",
        "\n: asked         free instead of big: no more may be spent in this session: ",
    ] {
        assert!(org.contains(part), "{part}\nis not in\n{org}");
    }

    // One that stands alone fails before anything leaves: the server has no reply for it, and sees nothing.
    let chosen = json!({"sessionId": session, "name": "alone"});
    scene.request("orgAgent/models/select", &chosen).unwrap();
    let turn = scene.say("And more.");
    let told = scene.end(&turn);
    let last = told.last().unwrap();
    for part in [
        "failed: model: no more may be spent in this session: 0.0120 of 0.012 US dollars are spent, and the prompt costs ",
        "; raise per_session in [spend] of config.toml, or choose a model without a price",
    ] {
        assert!(last.contains(part), "{part}\nis not in\n{last}");
    }
    // Another session has its own money.
    scene.model.push(counted("Welcome.", 10, 0, 10, 0));
    let receipt = scene
        .event(&json!({"sensor": "chat-message", "clientId": "new", "text": "Anew.", "buffer": "*other*"}));
    let turn = receipt["turnId"].as_str().unwrap().to_owned();
    assert_eq!(scene.model.take_request_blocking().body["model"], "big-1");
    scene.end(&turn);
    scene.others.clear();
    scene.finish();
}

#[test]
fn a_day_that_reached_its_cap_is_over_for_all_sessions_also_when_one_is_deleted() {
    let home = tempfile::tempdir().unwrap();
    let mut scene = scene(home.path(), "[spend]\nper_day = 0.02\n");
    let say = |scene: &mut Scene, buffer: &str, model: &str| {
        let id = format!("{buffer} {model}");
        let params = json!({"sensor": "chat-message", "clientId": id, "text": id, "buffer": buffer});
        let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
        assert_eq!(scene.model.take_request_blocking().body["model"], model);
        scene.end(&turn);
        scene.told(&turn)[0]["params"]["sessionId"].clone()
    };
    scene.model.push(counted("One.", 1_000, 0, 900, 0));
    let first = say(&mut scene, "*one*", "big-1");
    scene.model.push(counted("Two.", 1_000, 0, 900, 0));
    say(&mut scene, "*two*", "big-1");
    scene.model.reply_with(&insert("Free."));
    say(&mut scene, "*three*", "free-1");
    scene.request("orgAgent/sessions/delete", &json!({"sessionId": first})).unwrap();
    scene.model.reply_with(&insert("Still free."));
    say(&mut scene, "*four*", "free-1");
    scene.others.clear();
    scene.finish();
    // What was deleted is spent still: neither session alone reached the cap.
    let store = org_agent::store::Store::open(home.path(), |_| {}).unwrap();
    assert_eq!(store.spent(0, &"none".into()).unwrap(), (22_000, 0));
    assert_eq!(store.verify_all().unwrap(), []);
}

#[test]
fn absurd_numbers_of_a_server_are_spent_and_break_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut scene = scene(home.path(), "[spend]\nper_day = 1.0\nper_session = 1.0\n");
    scene.model.push(counted("One.", u64::MAX, u64::MAX, u64::MAX, u64::MAX));
    let turn = scene.say("One?");
    scene.model.take_request_blocking();
    scene.end(&turn);
    let (_, metadata) = last(&mut scene, &turn);
    assert!(metadata["cost"].as_f64().unwrap() > 1.0, "{metadata}");
    assert!(why(&mut scene, &turn)["cost"].as_f64().unwrap() > 1.0);
    scene.model.reply_with(&insert("Two."));
    let turn = scene.say("Two?");
    assert_eq!(scene.model.take_request_blocking().body["model"], "free-1");
    scene.end(&turn);
    scene.finish();
}
