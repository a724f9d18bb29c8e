//! `list`, `show` and `search`: what is there, and how it is named.

use super::*;

#[test]
fn a_list_says_what_each_session_is() {
    let (home, ids) = Home::with(&["echo: one", "echo: two", "echo: three"]);
    home.run(&["label", &ids[0], "--group", "work", "--tag", "a", "--tag", "b"]).good();
    home.run(&["archive", &ids[1]]).good();
    let of = |args: &[&str]| -> Vec<usize> {
        let place = |session: &Value| ids.iter().position(|id| session["id"] == **id).unwrap();
        home.sessions(args).iter().map(place).collect()
    };
    let (one, two, three) = (0, 1, 2);
    for (args, expected) in [
        (&[] as &[&str], &[three, one] as &[usize]),
        (&["--all"], &[three, two, one]),
        (&["--archived"], &[two]),
        (&["--status", "archived"], &[two]),
        (&["--status", "archived", "--all"], &[two]),
        (&["--status", "active"], &[three, one]),
        (&["--status", "active", "--all"], &[three, one, two]),
        (&["--status", "active", "--archived"], &[two]),
        (&["--status", "failed", "--all"], &[]),
        (&["--group", "work"], &[one]),
        (&["--tag", "b"], &[one]),
        (&["--tag", "work"], &[]),
    ] {
        assert_eq!(of(args), expected, "{args:?}");
    }
    let text = home.run(&["list", "--all"]).good();
    let line = |id: &str| text.lines().find(|line| line.starts_with(id)).unwrap().to_owned();
    assert!(line(&ids[one]).contains(" 2* echo: one  [work]  :a:b:"), "{text}");
    assert!(line(&ids[two]).contains("  active, archived"), "{text}");
    assert!(line(&ids[three]).ends_with(" 2* echo: three"), "{text}");
}

#[test]
fn a_session_is_named_by_the_beginning_of_its_identifier() {
    let (home, ids) = Home::with(&["echo: one", "echo: two"]);
    let first = ids[0][..8].to_owned();
    assert!(home.run(&["show", &first]).good().contains("user\necho: one\n"));
    home.run(&["show", "zzz"]).bad(1, &["no session begins with \"zzz\"", "hint: see which there are"]);
    home.run(&["show", ""]).bad(1, &["is empty"]);
    home.run(&["delete", "", "--yes"]).bad(1, &["is empty"]);
    let org = "* USER\nq\n** ASSISTANT\na\n";
    for id in ["same-1", "same-2", "same"] {
        let text = format!(":PROPERTIES:\n:OA_SESSION: {id}\n:END:\n{org}");
        assert_eq!(home.fed(&["session", "import", "-"], &text).good(), format!("{id}\n"));
    }
    home.run(&["show", "sam"]).bad(1, &["3 sessions begin with \"sam\"", "same-1", "hint: give more"]);
    // All of an identifier is enough, whatever goes on from there.
    assert!(home.run(&["show", "same"]).good().contains("session      same\n"));
}

#[test]
fn show_has_what_the_session_is_and_its_last_messages() {
    let (home, ids) = Home::with(&["echo: one"]);
    let id = &ids[0];
    home.fed(&["chat", "--session", id, "echo: two"], "").good();
    home.run(&["label", id, "--group", "work", "--tag", "rust"]).good();
    home.run(&["checkpoint", id, "a", "state"]).good();
    let copy = home.run(&["fork", id, "--title", "Copy"]).good();
    let shown = home.run(&["show", id]).good();
    for part in [
        "title        echo: one\n",
        "group        work\n",
        "tags         rust\n",
        "  a state\n",
        "4 messages",
    ] {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
    assert!(shown.ends_with("assistant\ntwo\n\n"), "{shown}");
    let shown = home.run(&["show", copy.trim()]).good();
    assert!(
        shown.contains(&format!("forked from  {id}\n")) && shown.contains("title        Copy\n"),
        "{shown}"
    );
    let last = |number: &str| -> Vec<String> {
        let lines = json(&home.run(&["show", id, "--json", "--last", number]).good());
        lines.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(last("3"), ["one", "echo: two", "two"]);
    assert_eq!(last("0"), [] as [&str; 0]);
    assert_eq!(last("100"), ["echo: one", "one", "echo: two", "two"]);
    let actions = json(&home.run(&["show", id, "--actions", "--json"]).good());
    let one = json(&home.run(&["show", id, "--actions", "--json", "--last", "1"]).good());
    assert_eq!((actions.len(), &one[0]), (2, &actions[1]));
}

#[test]
fn nothing_recorded_acts_on_a_terminal() {
    let (home, ids) = Home::with(&["echo: one"]);
    let evil = "evil \u{1b}]0;title\u{7}\u{9b}31m\rword";
    let org =
        format!(":PROPERTIES:\n:OA_SESSION: evil\u{202e}id\n:END:\n* USER\n{evil}\n** ASSISTANT\n{evil}\n");
    home.fed(&["session", "import", "-"], &org);
    home.run(&["rename", &ids[0], "harmless \u{202e}title"]).good();
    for args in [
        &["list"] as &[&str],
        &["list", "--json"],
        &["show", "evil"],
        &["show", "evil", "--json"],
        &["show", "evil", "--actions"],
        &["show", "evil", "--actions", "--json"],
        &["search", "word"],
        &["search", "word", "--json"],
    ] {
        let shown = home.run(args).good();
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{args:?}: {shown:?}");
        assert!(!shown.is_empty(), "{args:?}");
    }
    assert!(home.run(&["show", "evil"]).good().contains("evil \\u001b]0;title\\u0007\\u009b31m"));
    assert!(home.run(&["list"]).good().contains("harmless \\u{202e}title"));
    // As JSON it is still what was said.
    let messages = json(&home.run(&["show", "evil", "--json"]).good());
    assert!(messages[0]["content"].as_str().unwrap().starts_with("evil \u{1b}]0;title\u{7}\u{9b}31m"));
    // An export is the text itself.
    assert!(home.run(&["export", "evil"]).good().contains(evil));
}

#[test]
fn a_search_finds_words_and_says_where() {
    let (home, ids) = Home::with(&["echo: the quick fox", "echo: the slow fox"]);
    let text = home.run(&["search", "Quick", "fox"]).good();
    assert_eq!(text.matches(&ids[0]).count(), 2, "{text}");
    assert!(!text.contains(&ids[1]) && text.contains("\n    the quick fox\n"), "{text}");
    let found = |args: &[&str]| {
        let mut all = vec!["search", "--json"];
        all.extend(args);
        json(&home.run(&all).good())
    };
    let highlights = &found(&["quick", "--role", "assistant"])[0];
    assert_eq!(highlights["highlights"], serde_json::json!([[4, 9]]));
    assert_eq!(found(&["fox", "--session", &ids[1][..8]]).len(), 2);
    assert_eq!(found(&["--role", "user"]).len(), 2);
    assert_eq!(found(&["fox", "--since", "1h"]).len(), 4);
    assert_eq!(found(&["fox", "--since", "2020-01-01", "--until", "2999-01-01T00:00:00Z"]).len(), 4);
    for none in [
        &["unicorn"] as &[&str],
        &["quick", "slow"],
        &["fox", "--until", "1h"],
        &["fox", "--since", "2999-01-01"],
        &["fox", "--skill", "no-such-skill"],
    ] {
        let mut all = vec!["search"];
        all.extend(none);
        let outcome = home.run(&all).bad(1, &["nothing was found"]);
        assert_eq!(outcome.stdout, "", "{none:?}");
    }
    let cut = home.run(&["search", "fox", "--limit", "3"]);
    assert_eq!((cut.status, cut.stdout.lines().count()), (0, 6), "{cut:?}");
    assert!(cut.stderr.contains("these are the best 3") && cut.stderr.contains("--limit 100"), "{cut:?}");
    home.run(&["search", "..."]).bad(1, &["there is no word in it"]);
    home.run(&["search", "fox", "--session", "zzz"]).bad(1, &["no session begins with"]);
}

#[test]
fn a_search_with_too_many_results_says_how_to_narrow_it() {
    let home = Home::new();
    let turns: String = (0..501).map(|at| format!("* USER\nneedle {at}\n** ASSISTANT\nneedle\n")).collect();
    home.fed(&["session", "import", "-"], &turns).good();
    let found = home.run(&["search", "needle"]);
    assert_eq!((found.status, found.stdout.lines().count()), (0, 40), "{found:?}");
    assert!(
        found.stderr.contains("more than a thousand") && found.stderr.contains("hint: narrow it"),
        "{found:?}"
    );
}
