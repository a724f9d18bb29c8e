//! What a server does for sessions unasked: a mirror of transcripts, and the end of those that are kept no longer.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use org_agent::store::Store;
use serde_json::json;

use crate::client::Client;

const ENV: [(&str, &str); 1] = [("ORG_AGENT_MODEL", "offline")];

fn say(client: &mut Client, buffer: &str, text: &str) -> String {
    let receipt = client.chat(buffer, &format!("{buffer} {}", text.len()), text);
    client.turn(receipt["turnId"].as_str().unwrap());
    receipt["sessionId"].as_str().unwrap().to_owned()
}

fn files(dir: &Path) -> Vec<String> {
    let Ok(found) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> = found.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Waits, with a guard against hanging.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_mirror_has_what_was_said_and_leaves_alone_what_was_changed() {
    let home = tempfile::tempdir().unwrap();
    let mirror = home.path().join("org/chats");
    let config = format!("[sessions]\nmirror = {:?}\n", mirror.to_str().unwrap());
    fs::write(home.path().join("config.toml"), config).unwrap();
    let mut client = Client::new_in(home.path(), &ENV);
    let session = say(&mut client, "one", "echo: Grüße");
    let export = |client: &mut Client| {
        let params = json!({"sessionId": session});
        client.request("orgAgent/sessions/export", &params)["org"].as_str().unwrap().to_owned()
    };
    let path =
        || files(&mirror).into_iter().find(|name| !name.starts_with('.')).map(|name| mirror.join(name));
    let first = export(&mut client);
    let is_there = || path().is_some_and(|path| fs::read_to_string(path).is_ok_and(|text| text == first));
    until("the mirror has the first turn", is_there);
    let file = path().unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(name.ends_with(&format!("-{}.org", &session[..8])), "{name}");
    // It keeps its name, whatever the session is called.
    client.request("orgAgent/sessions/rename", &json!({"sessionId": session, "title": "Other"}));
    say(&mut client, "one", "echo: more");
    let second = export(&mut client);
    until("the mirror has the second turn", || fs::read_to_string(&file).unwrap() == second);
    assert_eq!(files(&mirror).len(), 1);
    // What the user writes into it stays, and the next session goes on being mirrored.
    fs::write(&file, format!("{second}my note\n")).unwrap();
    say(&mut client, "one", "echo: third");
    say(&mut client, "two", "echo: else");
    until("the other session is there", || {
        files(&mirror).iter().filter(|name| !name.starts_with('.')).count() == 2
    });
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{second}my note\n"));
    client.finish_unread();
}

#[test]
fn what_is_more_than_is_kept_goes_the_oldest_first() {
    let home = tempfile::tempdir().unwrap();
    let mut client = Client::new_in(home.path(), &ENV);
    // Nearly as long as a message may be; nobody has to wait for its answer.
    let receipt = client.chat("old", "old", &"x ".repeat(524_000));
    client.request("orgAgent/cancel", &json!({"turnId": receipt["turnId"]}));
    client.turn(receipt["turnId"].as_str().unwrap());
    let old = receipt["sessionId"].as_str().unwrap().to_owned();
    let new = say(&mut client, "new", "echo: short");
    client.finish();
    // Everything is kept as long as nobody says otherwise.
    let mut client = Client::new_in(home.path(), &ENV);
    assert_eq!(client.request("orgAgent/sessions/list", &json!({}))["items"].as_array().unwrap().len(), 2);
    client.finish();
    fs::write(home.path().join("config.toml"), "[sessions]\nmax_mib = 1\nkeep = \"30 days\"\n").unwrap();
    let mut client = Client::new_in(home.path(), &ENV);
    let told = client.wait_for(|message| message["method"] == "orgAgent/sessions/changed");
    assert_eq!(told["params"], json!({"sessionId": old, "changes": ["chat.session.deleted"]}));
    let list = client.request("orgAgent/sessions/list", &json!({}));
    let ids: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, [&json!(new)]);
    client.finish();
    let store = Store::open(home.path(), |_| {}).unwrap();
    assert_eq!(store.verify_all().unwrap(), []);
    assert_eq!(store.expired(Some(Duration::from_millis(0)), None).unwrap().len(), 1);
    assert_eq!(store.expired(Some(Duration::from_secs(3600)), Some(1 << 20)).unwrap(), []);
}
