//! A server whose store cannot be opened: it says why and leaves, whatever the client does meanwhile.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

#[test]
fn a_store_that_cannot_be_opened_ends_the_server() {
    let check = |messages: &[&str], stays: bool| {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("agent.db"), "no database at all\n".repeat(100)).unwrap();
        let mut server = Command::new(env!("CARGO_BIN_EXE_org-agent"))
            .arg("serve")
            .env_clear()
            .env("ORG_AGENT_HOME", home.path())
            .env("ORG_AGENT_LOCAL_PORTS", "none")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = server.stdin.take();
        for message in messages {
            let frame = format!("Content-Length: {}\r\n\r\n{message}", message.len());
            // It may have left already.
            input.as_mut().unwrap().write_all(frame.as_bytes()).ok();
        }
        if !stays {
            input = None;
        }
        let (sender, said) = channel();
        let mut stderr = server.stderr.take().unwrap();
        thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            sender.send(text).unwrap();
        });
        let said = said.recv_timeout(Duration::from_secs(60)).expect("the server does not leave");
        drop(input);
        assert_eq!(server.wait().unwrap().code(), Some(1), "{messages:?}");
        for part in [
            "org-agent: cannot use the database",
            "\n  hint: keep what can be read",
            "restore agent.db from a backup",
        ] {
            assert!(said.contains(part), "{messages:?}: {said}");
        }
    };
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}"#;
    let shutdown = r#"{"jsonrpc":"2.0","id":2,"method":"shutdown"}"#;
    let exit = r#"{"jsonrpc":"2.0","method":"exit"}"#;
    check(&[], true);
    check(&[], false);
    check(&[initialize], true);
    check(&[initialize, shutdown, exit], true);
    check(&[initialize, shutdown], false);
}

/// A full disk must not end the server by its own log.
#[test]
#[cfg(target_os = "linux")]
fn a_log_that_cannot_be_written_is_no_reason_to_end() {
    use std::io::BufRead;
    use std::os::unix::fs::PermissionsExt;

    let home = tempfile::tempdir().unwrap();
    // A database that others may read is worth a line.
    let database = home.path().join("agent.db");
    std::fs::write(&database, "").unwrap();
    std::fs::set_permissions(&database, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(home.path().join("key"), "").unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_org-agent"))
        .arg("serve")
        .env("ORG_AGENT_HOME", home.path())
        .env("ORG_AGENT_MODEL", "offline")
        .env("ORG_AGENT_LOG", "trace")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap())
        .spawn()
        .unwrap();
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}"#;
    let frame = format!("Content-Length: {}\r\n\r\n{message}", message.len());
    server.stdin.as_mut().unwrap().write_all(frame.as_bytes()).unwrap();
    let mut line = String::new();
    std::io::BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("Content-Length: "), "{line:?}");
    server.kill().unwrap();
    server.wait().unwrap();
}
