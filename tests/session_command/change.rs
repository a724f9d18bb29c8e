//! Changes of sessions, copies, and who may make them when.

use super::client::Client;
use super::*;

#[test]
fn a_change_is_recorded_when_it_is_said_to_be() {
    let (home, ids) = Home::with(&["echo: one"]);
    let id = ids[0].as_str();
    let cases: &[(&[&str], &str, &str, Value)] = &[
        (&["rename", id, "Two", "words"], "its title is “Two words”", "title", "Two words".into()),
        (&["label", id, "--group", "g", "--tag", "a"], "group g, tags a", "group", "g".into()),
        (&["label", id, "--tag", "b", "--tag", "c"], "tags b c", "tags", serde_json::json!(["b", "c"])),
        (&["label", id, "--no-group"], "no group, tags b c", "group", Value::Null),
        (&["label", id, "--no-tags"], "no group, no tags", "tags", serde_json::json!([])),
        (&["archive", id], "archived", "archived", true.into()),
        (&["archive", id, "--undo"], "not archived any more", "archived", false.into()),
        (&["pause", id], "paused", "status", "paused".into()),
        (&["pause", id, "--undo"], "goes on", "status", "active".into()),
        (&["complete", id], "completed", "status", "completed".into()),
    ];
    for (args, said, key, value) in cases {
        let answer = home.run(args).good();
        assert!(answer.starts_with(&format!("{id}: ")) && answer.contains(said), "{args:?}: {answer}");
        assert_eq!(home.session(id)[key], *value, "{args:?}");
        if args[0] != "label" || args.len() == 3 {
            assert_eq!(home.run(args).good(), format!("{id}: it is so already\n"), "{args:?}");
        }
    }
    let long = "x".repeat(201);
    for (args, error) in [
        (["rename", id, " "], "must not be empty"),
        (["rename", id, &long], "more than 200 characters"),
        (["rename", id, "a\u{1b}b"], "control characters"),
        (["label", id, "--tag=a b"], "can be no tag"),
        (["restore", id, "nowhere"], "no checkpoint named \"nowhere\""),
        (["rename", "zzz", "x"], "no session begins with"),
    ] {
        home.run(&args).bad(1, &[error]);
    }
    assert!(home.run(&["verify"]).good().ends_with("of 1 session are sound\n"));
}

#[test]
fn a_session_goes_back_to_a_checkpoint_and_forth_again() {
    let (home, ids) = Home::with(&["echo: one"]);
    let id = ids[0].as_str();
    home.run(&["checkpoint", id, "early", "on"]).good();
    home.fed(&["chat", "--session", id, "echo: two"], "").good();
    let long = home.run(&["export", id]).good();
    let answer = home.run(&["restore", id, "early on"]).good();
    assert!(answer.contains("checkpoint “before going back to early on”, taken back"), "{answer}");
    let short = home.run(&["export", id]).good();
    assert!(long.starts_with(&short) && !short.contains("two"), "{short}");
    home.run(&["restore", id, "nowhere"]).bad(1, &["there are: early on, before going back to early on"]);
    home.run(&["restore", id, "before going back to early on"]).good();
    assert_eq!(home.run(&["export", id]).good(), long);
    // A turn that a server left unfinished is not gone back on.
    home.database()
        .execute_batch("UPDATE turns SET state = 'started'; UPDATE chat_sessions SET status = 'running'")
        .unwrap();
    let hint = format!("hint: let it end first: org-agent chat --session {id}");
    home.run(&["restore", id, "early on"]).bad(1, &["is under way", &hint]);
}

#[test]
fn a_fork_is_a_session_of_its_own() {
    let (home, ids) = Home::with(&["echo: one"]);
    let id = ids[0].as_str();
    home.fed(&["chat", "--session", id, "echo: two"], "").good();
    let whole = home.run(&["fork", &id[..8]]).good();
    let messages = json(&home.run(&["show", id, "--json"]).good());
    let at = &messages[1]["id"].as_str().unwrap()[..12];
    let part = home.run(&["fork", id, "--at", at, "--title", "Another way"]).good();
    let (whole, part) = (whole.trim(), part.trim());
    assert_eq!(home.session(whole)["messages"], 4);
    assert_eq!(home.session(part)["messages"], 2);
    assert_eq!(home.session(whole)["title"], "echo: one");
    assert_eq!(home.session(part)["title"], "Another way");
    assert_eq!(home.session(part)["forkedFrom"], id);
    let body = |id: &str| home.run(&["export", id]).good().replace(id, "");
    assert!(body(id).starts_with(&body(part)) && body(id) == body(whole));
    // What stands for a message in buffers names it, too.
    let marked = home.run(&["export", id]).good();
    let act = marked.lines().find_map(|line| line.strip_prefix(":OA_ACT: ")).unwrap();
    home.run(&["fork", id, "--at", act]).good();
    home.run(&["fork", id, "--at", "zzz"]).bad(1, &["there is no message zzz", "show ID --json"]);
    home.run(&["fork", id, "--title", ""]).bad(1, &["title: must not be empty"]);
    assert_eq!(home.sessions(&[]).len(), 4);
    home.run(&["verify"]).good();
}

#[test]
fn what_a_running_server_holds_is_changed_there() {
    let home = Home::new();
    let mut client = Client::new_in(home.path(), &[("ORG_AGENT_MODEL", "offline")]);
    let said = client.chat("*org-agent-chat*", "m-1", "echo: one");
    client.turn(said["turnId"].as_str().unwrap());
    let id = said["sessionId"].as_str().unwrap();
    let before = home.run(&["show", id, "--json"]).good();
    let hints: &[&str] = &["is in use", "an editor or a chat", "hint: do it there, or close that one"];
    for args in [
        &["rename", id, "x"] as &[&str],
        &["label", id, "--tag", "a"],
        &["archive", id],
        &["pause", id],
        &["complete", id],
        &["checkpoint", id, "x"],
        &["restore", id, "x"],
        &["delete", id, "--yes"],
    ] {
        home.run(args).bad(1, hints);
    }
    home.run(&["verify", "--repair"]).bad(1, &["something is at work here", "hint: close it"]);
    home.run(&["compact"]).bad(1, &["something is at work here"]);
    home.run(&["recover"]).bad(1, &["a server is at work"]);
    // What only looks, and a copy, need nothing of it; nor do other sessions.
    home.run(&["verify"]).good();
    let copy = home.run(&["fork", id]).good();
    home.run(&["rename", copy.trim(), "Mine"]).good();
    // Of several sessions none is deleted if one can not be.
    home.run(&["delete", copy.trim(), id, "--yes"]).bad(1, hints);
    assert_eq!(home.sessions(&["--all"]).len(), 2);
    let shown = client.request("orgAgent/sessions/get", &serde_json::json!({"sessionId": copy.trim()}));
    assert_eq!(shown["title"], "Mine");
    client.finish_unread();
    assert_eq!(home.run(&["show", id, "--json"]).good(), before);
    home.run(&["rename", id, "x"]).good();
}

#[test]
fn what_can_not_be_written_is_an_error() {
    let (home, ids) = Home::with(&["echo: one"]);
    let words = "word ".repeat(100_000);
    std::fs::write(home.path().join("long.org"), format!("* USER\n{words}\n** ASSISTANT\na\n")).unwrap();
    // No file may grow beyond 64 KiB, which is less than the text; the signal that says so is ignored.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" session import long.org";
    let output = home.command("bash").args(["-c", script, env!("CARGO_BIN_EXE_org-agent")]).output().unwrap();
    let failed = outcome(&output).bad(1, &["org-agent: "]);
    assert_eq!(failed.stdout, "", "{failed:?}");
    assert_eq!(home.sessions(&["--all"]).len(), 1);
    assert_eq!(home.session(&ids[0])["messages"], 2);
    home.run(&["import", "long.org"]).good();
    home.run(&["verify"]).good();
}
