//! Files that are written whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Puts `text` into `path`: in a file beside it first, which takes its place once it is on disk. Whoever reads sees the old
/// text or the new one, also after a power failure. The directory has to be there. A file that is new is its owner's alone.
///
/// # Errors
/// Those of the file system; then what was there is as it was.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or_else(|| io::Error::other("this is no name of a file"))?);
    name.push(format!(".{}", crate::ids::token().map_err(io::Error::other)?));
    let fresh = path.with_file_name(name);
    // Nobody else's, and not through a link that somebody put there.
    let mode = fs::metadata(path).map_or(0o600, |data| data.permissions().mode() & 0o7777);
    let written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh).and_then(|mut out| {
            out.write_all(text.as_bytes())?;
            out.sync_all()
        });
    let placed = written.and_then(|()| fs::rename(&fresh, path));
    if placed.is_err() {
        // What is left of it is of no use to anybody.
        drop(fs::remove_file(&fresh));
    }
    placed?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_or_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        let there = dir.path().join("directory");
        fs::create_dir(&there).unwrap();
        fs::write(there.join("in it"), "").unwrap();
        assert!(write(&there, "three").is_err());
        assert!(write(&dir.path().join("nowhere/a"), "four").is_err());
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}
