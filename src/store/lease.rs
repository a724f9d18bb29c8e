//! The lease of a session: one server at a time works on it. An OS lock on a file, so that a dead holder's
//! lease is gone with its process. It knows nothing of what a session is.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::envelope::sha256;
use super::files::private;
use crate::error::{Error, Result};
use crate::ids::SessionId;

/// The right to work on a session, held until it is dropped. The lock file stays behind, empty: removing
/// it would let two holders lock two files of one name.
#[derive(Debug)]
pub struct Lease {
    // The lock goes with the open file.
    _file: File,
}

/// Takes the lease of `session` in `dir`; `None` if another holder has it. Never waits.
///
/// # Errors
/// `internal` if the lock file cannot be made.
pub(super) fn take(dir: &Path, session: &SessionId) -> Result<Option<Lease>> {
    let path = dir.join(file_name(session.as_str()));
    let fail = |error: std::io::Error| {
        Error::internal(format!("cannot lock the session with {}", path.display()))
            .because(error)
            .hint("check that the data directory belongs to you and is writable")
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fail)?;
    let file = private(&path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lease { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(fail(error)),
    }
}

/// Notes in `dir` that this process writes to the store, for as long as the file is open: several may.
///
/// # Errors
/// `internal` if the file cannot be made.
pub(super) fn share(dir: &Path) -> Result<File> {
    // No session's: those have no such character.
    let path = dir.join("_store.lock");
    let fail = |error: std::io::Error| {
        Error::internal(format!("cannot lock the store with {}", path.display()))
            .because(error)
            .hint("check that the data directory belongs to you and is writable; it is being recovered if this lasts")
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fail)?;
    let file = private(&path).map_err(fail)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(file),
        Err(error) => Err(fail(error.into())),
    }
}

/// Whether any process writes to the store, or holds a lease in `dir`.
pub(super) fn any_held(dir: &Path) -> bool {
    let Ok(files) = std::fs::read_dir(dir) else { return false };
    files
        .filter_map(|file| File::open(file.ok()?.path()).ok())
        .any(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// A session's identifier may come from a client: what is no plain name becomes its hash.
fn file_name(session: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if (1..=64).contains(&session.len()) && session.bytes().all(plain) {
        format!("{session}.lock")
    } else {
        format!("sha256-{}.lock", sha256(session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let leases = dir.path().join("leases");
        for session in ["a", "../../etc/passwd", "", "a/b", &"x".repeat(300)] {
            let session = SessionId::from(session);
            let held = take(&leases, &session).unwrap();
            assert!(held.is_some());
            assert!(take(&leases, &session).unwrap().is_none());
            drop(held);
            assert!(take(&leases, &session).unwrap().is_some());
        }
        assert_eq!(std::fs::read_dir(&leases).unwrap().count(), 5);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
