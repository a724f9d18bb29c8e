//! A paused session takes messages and begins nothing.

use serde_json::{Value, json};

use crate::*;

#[test]
fn what_is_said_to_a_paused_session_waits_over_a_restart_until_it_goes_on() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: before").session;
    assert_eq!(of(&mut client, "pause", &id, &Value::Null)["status"], "paused");
    let waits = send(&mut client, &id, "echo: waits", &Value::Null);
    let accepted = client.wait_for(|message| message["params"]["turnId"] == *waits.turn);
    assert_eq!(accepted["params"]["state"], "accepted");
    let found = of(&mut client, "resume", &id, &Value::Null);
    assert_eq!((&found["live"], &found["actuations"]), (&json!([waits.turn]), &json!([])));
    assert_eq!(get(&mut client, &id)["status"], "paused");
    // Another session is not held up, and by its end nothing of this one has begun.
    let other = client.request("orgAgent/sessions/create", &json!({"buffer": "other"}));
    say(&mut client, &word(&other["id"]), "echo: other");
    assert_eq!(texts(&mut client, &id), ["echo: before", "before", "echo: waits"]);
    let left = client.kill();
    assert!(left.iter().all(|message| message["params"]["turnId"] != *waits.turn), "{left:?}");

    let mut client = server(home.path());
    let found = of(&mut client, "resume", &id, &Value::Null);
    assert_eq!((&found["live"], &found["interrupted"]), (&json!([waits.turn]), &json!([])));
    assert_eq!(get(&mut client, &id)["status"], "paused");
    say(&mut client, &word(&other["id"]), "echo: other again");
    let also = send(&mut client, &id, "echo: waits, too", &Value::Null);
    assert_eq!(get(&mut client, &id)["messages"], 4);

    let on = of(&mut client, "pause", &id, &json!({"paused": false}));
    assert_eq!(on["status"], "running");
    client.turn(&waits.turn);
    client.turn(&also.turn);
    assert_eq!(
        texts(&mut client, &id),
        ["echo: before", "before", "echo: waits", "echo: waits, too", "waits", "waits, too"]
    );
    assert_eq!(get(&mut client, &id)["status"], "active");
    client.finish_unread();
    sound(home.path());
}

#[test]
fn what_runs_is_not_stopped_and_what_waits_can_be_taken_back() {
    let home = home();
    let mut client = server(home.path());
    let runs = send(&mut client, "", "run: true", &Value::Null);
    let id = runs.session.clone();
    let actuation = command(&mut client, &runs.turn);
    let waits = send(&mut client, &id, "echo: waits", &Value::Null);
    of(&mut client, "pause", &id, &json!({"paused": true}));
    let decided =
        client.request("orgAgent/decide", &json!({"actuationId": actuation["actuationId"], "choice": "run"}));
    client.request(
        "orgAgent/actuated",
        &json!({"actuationId": actuation["actuationId"], "token": decided["token"], "status": "done", "exitCode": 0}),
    );
    let ended = client.turn(&runs.turn);
    assert_eq!(ended.last().unwrap()["params"]["state"], "done");
    assert_eq!(of(&mut client, "resume", &id, &Value::Null)["live"], json!([waits.turn]));
    assert_eq!(client.request("orgAgent/cancel", &json!({"turnId": waits.turn}))["cancelled"], true);
    client.turn(&waits.turn);
    assert_eq!(of(&mut client, "pause", &id, &json!({"paused": false}))["status"], "active");
    client.finish_unread();
    sound(home.path());
}
