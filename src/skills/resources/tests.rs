//! Files of a folder, and what only looks like one.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A folder `skill` with files, beside a file that is nobody's business.
fn folder() -> (TempDir, std::path::PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("skill");
    fs::create_dir_all(root.join("references/deep")).unwrap();
    fs::create_dir_all(root.join(".git")).unwrap();
    fs::create_dir_all(home.path().join("other")).unwrap();
    for (path, text) in [
        ("SKILL.md", "---\n"),
        ("references/a.md", "alpha"),
        ("references/deep/b.md", "beta"),
        (".hidden", "h"),
        (".git/config", "g"),
        ("../secret", "s3cret"),
        ("../other/file", "s3cret"),
    ] {
        fs::write(root.join(path), text).unwrap();
    }
    (home, root)
}

/// As of a folder of the user's.
fn file(root: &Path, path: &str) -> io::Result<String> {
    let folder = Folder {
        root: root.to_owned(),
        license: None,
        compatibility: None,
        metadata: std::collections::BTreeMap::new(),
        allowed_tools: Vec::new(),
        files: None,
    };
    super::file(&folder, path)
}

fn why(root: &Path, path: &str) -> String {
    file(root, path).expect_err(path).to_string()
}

#[test]
fn a_file_is_one_in_the_folder() {
    let (home, root) = folder();
    assert_eq!(file(&root, "references/a.md").unwrap(), "alpha");
    assert_eq!(file(&root, "references/deep/b.md").unwrap(), "beta");
    let absolute = home.path().join("secret");
    for path in [
        "../secret",
        "references/../../secret",
        "references/../references/a.md",
        absolute.to_str().unwrap(),
        "/etc/passwd",
        ".hidden",
        ".git/config",
        "references/.x",
        "./references/a.md",
        "references//a.md",
        "references/a.md/",
        "",
        ".",
        "..",
        "a\0b",
        "..\\secret",
    ] {
        assert!(!why(&root, path).contains("s3cret"));
    }
    assert!(why(&root, "../secret").contains("own folder"));
    assert!(why(&root, "references").contains("not a regular file"));
    assert!(why(&root, "gone.md").contains("No such file"));
    assert!(why(&root, "references/a.md/x").contains("Not a directory"));
}

#[test]
fn links_stay_inside() {
    let (home, root) = folder();
    symlink("../secret", root.join("out.md")).unwrap();
    symlink(home.path().join("secret"), root.join("absolute.md")).unwrap();
    symlink("../other", root.join("out")).unwrap();
    symlink("references/a.md", root.join("in.md")).unwrap();
    symlink("references", root.join("in")).unwrap();
    symlink("loop.md", root.join("loop.md")).unwrap();
    symlink("nothing", root.join("dangling.md")).unwrap();
    symlink("/proc/self/environ", root.join("environ")).unwrap();
    for path in ["out.md", "absolute.md", "out/file", "environ"] {
        assert!(why(&root, path).contains("leads out of the folder"), "{path}: {}", why(&root, path));
    }
    assert_eq!(file(&root, "in.md").unwrap(), "alpha");
    assert_eq!(file(&root, "in/deep/b.md").unwrap(), "beta");
    for path in ["loop.md", "dangling.md"] {
        why(&root, path);
    }
    assert_eq!(
        list(&root),
        (vec!["in.md".into(), "references/a.md".into(), "references/deep/b.md".into()], false)
    );
    // A folder that is itself a link is the user's own doing.
    symlink(&root, home.path().join("linked")).unwrap();
    assert_eq!(file(&home.path().join("linked"), "references/a.md").unwrap(), "alpha");
}

#[test]
fn without_the_systems_help_no_link_is_followed() {
    let (_home, root) = folder();
    symlink("../secret", root.join("out.md")).unwrap();
    symlink("../other", root.join("out")).unwrap();
    symlink("references/a.md", root.join("in.md")).unwrap();
    let open = |path: &str| {
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        let directory = rustix::fs::open(&root, flags, rustix::fs::Mode::empty()).unwrap();
        step_by_step(directory, path)
    };
    let mut text = String::new();
    open("references/deep/b.md").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "beta");
    for path in ["out.md", "out/file", "in.md", "gone"] {
        open(path).expect_err(path);
    }
}

#[test]
fn a_directory_that_becomes_a_link_meanwhile_leads_nowhere_else() {
    let (home, root) = folder();
    fs::write(home.path().join("other/a.md"), "s3cret").unwrap();
    let (real, away) = (root.join("references"), root.join("away"));
    let done = std::sync::atomic::AtomicBool::new(false);
    let read = std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                fs::rename(&real, &away).unwrap();
                symlink("../other", &real).unwrap();
                fs::remove_file(&real).unwrap();
                fs::rename(&away, &real).unwrap();
            }
        });
        let read: Vec<_> = (0..5_000).filter_map(|_| file(&root, "references/a.md").ok()).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        read
    });
    assert!(read.iter().all(|text| text == "alpha"), "never what a link led to");
}

#[test]
fn what_is_no_text_or_too_much_of_it() {
    let (_home, root) = folder();
    let write = |name: &str, bytes: &[u8]| fs::write(root.join(name), bytes).unwrap();
    write("binary", b"\xff\x00");
    write("huge", &vec![b'x'; 256 * 1024 + 1]);
    write("large", "é".repeat(128 * 1024).as_bytes());
    assert!(why(&root, "binary").contains("no UTF-8"));
    assert!(why(&root, "huge").contains("more than 256 KiB"));
    let large = file(&root, "large").unwrap();
    assert!(
        large.starts_with('é') && large.ends_with("[… 229376 bytes more, which are left out …]"),
        "{}",
        large.len()
    );
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    assert!(why(&root, "pipe").contains("not a regular file"));
    assert!(!list(&root).0.contains(&"pipe".to_owned()));
}

#[test]
fn a_list_is_bounded() {
    let (_home, root) = folder();
    for n in 0..150 {
        fs::write(root.join(format!("file-{n:03}.md")), "x").unwrap();
    }
    fs::write(root.join("new\nline"), "x").unwrap();
    fs::create_dir_all(root.join("a/b/c/d/e/f/g/h/i/j")).unwrap();
    fs::write(root.join("a/b/c/d/e/f/g/h/i/j/deep"), "x").unwrap();
    let (paths, more) = list(&root);
    assert_eq!((paths.len(), more), (100, true));
    assert_eq!((paths[0].as_str(), paths[99].as_str()), ("file-000.md", "file-099.md"));
    assert_eq!(list(Path::new("/nowhere/at/all")), (Vec::new(), false));
}
