//! `export` and `import`: sessions as files and back.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

#[test]
fn an_export_goes_to_standard_output_or_a_new_file() {
    let (home, ids) = Home::with(&["echo: größe"]);
    let id = ids[0].as_str();
    let org = home.run(&["export", id]).good();
    assert!(org.starts_with(&format!(":PROPERTIES:\n:OA_SESSION: {id}\n:END:\n* USER\n")), "{org}");
    assert_eq!(home.run(&["export", id, "-"]).good(), org);
    assert_eq!(home.run(&["export", &id[..8], "chat.org"]).good(), "");
    let file = home.path().join("chat.org");
    assert_eq!(fs::read_to_string(&file).unwrap(), org);
    fs::write(&file, "mine").unwrap();
    home.run(&["export", id, "chat.org"]).bad(1, &["chat.org is there already", "--force"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    // Through a link, the file behind it; a link that leads nowhere is there, too.
    symlink("chat.org", home.path().join("link.org")).unwrap();
    symlink("nowhere/x", home.path().join("loose.org")).unwrap();
    home.run(&["export", id, "loose.org"]).bad(1, &["loose.org is there already"]);
    home.run(&["export", id, "link.org", "--force"]).good();
    assert_eq!(fs::read_to_string(&file).unwrap(), org);
    assert!(home.path().join("link.org").is_symlink());
    for file in ["no/such/directory.org", "/dev/null/x"] {
        home.run(&["export", id, file]).bad(1, &["could not be written", "hint: "]);
    }
    home.run(&["export", id, ".", "--force"]).bad(1, &["it is no regular file"]);
    home.run(&["export", id, "/dev/null", "--force"]).bad(1, &["it is no regular file"]);
    home.run(&["export", "zzz"]).bad(1, &["no session begins with"]);
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn all_sessions_go_into_a_directory() {
    let (home, ids) = Home::with(&["echo: one", "echo: two"]);
    home.run(&["archive", &ids[0]]).good();
    // Two that would have one name.
    for number in [1, 2] {
        let org =
            format!(":PROPERTIES:\n:OA_SESSION: same-name-{number}\n:END:\n* USER\nsame\n** ASSISTANT\na\n");
        home.fed(&["session", "import", "-"], &org).good();
    }
    assert_eq!(home.run(&["export", "--all", "out/chats"]).good(), "4 sessions in out/chats\n");
    let directory = home.path().join("out/chats");
    let mut names: Vec<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let (one, two) = (format!("echo-one-{}.org", &ids[0][..8]), format!("echo-two-{}.org", &ids[1][..8]));
    assert_eq!(names, [one.clone(), two, "same-samename-2.org".into(), "same-samename.org".into()]);
    assert_eq!(fs::read_to_string(directory.join(&one)).unwrap(), home.run(&["export", &ids[0]]).good());
    fs::remove_file(directory.join("same-samename.org")).unwrap();
    fs::write(directory.join(&one), "mine").unwrap();
    home.run(&["export", "--all", "out/chats"]).bad(1, &["3 of the 4 files", "nothing was written"]);
    assert!(!directory.join("same-samename.org").exists());
    home.run(&["export", "--all", "out/chats", "--force"]).good();
    assert_eq!(fs::read_to_string(directory.join(&one)).unwrap(), home.run(&["export", &ids[0]]).good());
    home.run(&["export", "--all", "agent.db"]).bad(1, &["could not be written"]);
}

#[test]
fn an_import_says_what_became_of_each_session() {
    let (home, ids) = Home::with(&["echo: one"]);
    let org = home.run(&["export", &ids[0], "one.org"]).good();
    assert_eq!(org, "");
    let fresh = "* USER\nq\n** ASSISTANT\na\n";
    fs::write(home.path().join("two.org"), fresh).unwrap();
    let imported = home.run(&["import", "one.org", "two.org", "--buffer", "*mine*"]);
    let new: Vec<&str> = imported.stdout.lines().collect();
    assert_eq!((imported.status, new.len()), (0, 2), "{imported:?}");
    assert_ne!(new[0], ids[0]);
    let expected =
        format!("org-agent: session {} of one.org is here already; it is {} now\n", ids[0], new[0]);
    assert_eq!(imported.stderr, expected);
    for id in new {
        let session = home.session(id);
        assert_eq!(session["buffer"], "*mine*");
        assert!(session["imported"].as_str().unwrap().ends_with(".org"), "{session}");
    }
    // One identifier twice in a file is two sessions.
    let heading =
        "* Chat\n:PROPERTIES:\n:OA_SESSION: twice\n:END:\n** USER\n:PROPERTIES:\n:OA_EVENT:\n:END:\nq\n";
    let twice = home.fed(&["session", "import", "-"], &heading.repeat(2));
    let new: Vec<&str> = twice.stdout.lines().collect();
    assert_eq!((twice.status, new.len(), new[0]), (0, 2, "twice"), "{twice:?}");
    assert!(twice.stderr.contains("session twice of standard input is here already; it is "), "{twice:?}");
    let before = home.sessions(&["--all"]).len();
    fs::write(home.path().join("bytes.org"), b"* USER\n\xff\n").unwrap();
    for (file, error) in
        [("nowhere.org", "nowhere.org could not be read"), ("bytes.org", "bytes.org could not be read")]
    {
        // Nothing of the others is taken either.
        home.run(&["import", "two.org", file]).bad(1, &[error, "hint: "]);
    }
    home.fed(&["session", "import", "-"], "just text\n").bad(1, &["there is no session in standard input"]);
    home.fed(&["session", "import", "-"], "* USER\na\0b\n").bad(1, &["line 2 of standard input"]);
    assert_eq!(home.sessions(&["--all"]).len(), before);
    home.run(&["verify"]).good();
}

#[test]
fn the_first_import_makes_a_store() {
    let home = Home::new();
    home.fed(&["session", "import", "-"], "* USER\nq\n** ASSISTANT\na\n").good();
    assert_eq!(home.sessions(&[])[0]["title"], "q");
}

#[test]
fn exported_deleted_and_imported_it_is_the_same_text() {
    let (home, ids) = Home::with(&["echo: a\n* heading\n#+begin_src c\nx\n#+end_src"]);
    let id = ids[0].as_str();
    home.fed(&["chat", "--session", id, "echo: more"], "").good();
    let org = home.run(&["export", id]).good();
    let answer = home.run(&["delete", id, "--export", "kept.org"]).good();
    assert_eq!(answer, format!("{id}: exported to kept.org\n{id}: deleted\n"));
    assert_eq!(fs::read_to_string(home.path().join("kept.org")).unwrap(), org);
    home.run(&["show", id]).bad(1, &["no session begins with"]);
    home.run(&["search", "heading"]).bad(1, &["nothing was found"]);
    assert_eq!(home.run(&["import", "kept.org"]).good(), format!("{id}\n"));
    assert_eq!(home.run(&["export", id]).good(), org);
    home.run(&["search", "heading"]).good();
    home.run(&["verify"]).good();
}
