//! The node's signing key: one file, made on the first run. It knows nothing of what is signed.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use ed25519_dalek::SigningKey;

use super::envelope::unhex;
use super::files::{private, restrict};
use crate::error::{Error, Result};
use crate::ids::hex;

/// The key's length in the file: 64 hexadecimal digits and a newline.
const LENGTH: usize = 65;

/// Reads the key in `path`, or makes one if there is none yet. Processes that race get the same one: an OS
/// lock on the file decides who writes. The file's mode becomes 0600.
///
/// # Errors
/// `internal` if the file cannot be read or written, or holds something else.
pub(super) fn load(path: &Path) -> Result<SigningKey> {
    let fail = |error: std::io::Error| {
        Error::internal(format!("cannot read or make the signing key {}", path.display()))
            .because(error)
            .hint("check that the directory exists, belongs to you and is writable")
    };
    if let Ok(mut file) = File::open(path)
        && let Ok(Some(key)) = read(&mut file)
    {
        restrict(path);
        return Ok(key);
    }
    let mut file = private(path).map_err(fail)?;
    file.lock().map_err(fail)?;
    if let Some(key) = read(&mut file).map_err(fail)? {
        restrict(path);
        return Ok(key);
    }
    if !is_blank(&mut file).map_err(fail)? {
        return Err(Error::internal(format!("the signing key {} is damaged", path.display()))
            .because("it is not 64 lower-case hexadecimal digits and a newline")
            .hint("restore it from a backup, or move it away to go on with a new key"));
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    file.set_len(0).and_then(|()| file.rewind()).map_err(fail)?;
    // In one write: a process that is killed leaves a whole key or none.
    file.write_all(format!("{}\n", hex(&secret)).as_bytes()).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    Ok(SigningKey::from_bytes(&secret))
}

/// The key in `path`, for those who only read; if there is none, one that signed nothing.
pub(super) fn read_only(path: &Path) -> SigningKey {
    let found = File::open(path).and_then(|mut file| read(&mut file)).ok().flatten();
    found.unwrap_or_else(|| SigningKey::from_bytes(&[0; 32]))
}

/// Whether nothing was ever written to the file, or nothing of it reached the disk before the power failed: its length
/// may be there without its bytes. Nothing is signed before the key is on disk.
fn is_blank(file: &mut File) -> std::io::Result<bool> {
    let mut bytes = Vec::with_capacity(LENGTH + 1);
    file.rewind()?;
    file.take(LENGTH as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes.len() <= LENGTH && bytes.iter().all(|byte| *byte == 0))
}

/// The key, or `None` if the file holds none.
fn read(file: &mut File) -> std::io::Result<Option<SigningKey>> {
    let mut text = Vec::with_capacity(LENGTH + 1);
    file.take(LENGTH as u64 + 1).read_to_end(&mut text)?;
    let secret = std::str::from_utf8(&text).ok().and_then(|text| unhex(text.strip_suffix('\n')?));
    Ok(secret.map(|secret| SigningKey::from_bytes(&secret)))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn processes_that_race_get_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let start = std::sync::Barrier::new(8);
        let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        load(&path).unwrap().to_bytes()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_ne!(keys[0], [0; 32]);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{}\n", hex(&keys[0])));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_open_to_others_is_closed_and_a_damaged_one_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let key = load(&path).unwrap().to_bytes();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load(&path).unwrap().to_bytes(), key);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        for damaged in ["x", "00\n", &hex(&key), &format!("{}\n", hex(&key).to_uppercase().replace('0', "A"))]
        {
            std::fs::write(&path, damaged).unwrap();
            let error = load(&path).unwrap_err();
            assert!(error.what.contains("damaged"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
        }
    }
}
