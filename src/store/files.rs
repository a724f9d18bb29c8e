//! Files that belong to their owner only. It knows nothing of what is in them.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Result;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Opens `path` to read and write; makes it, for its owner only, if it is not there.
pub(super) fn private(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Takes away what others may do with the file, and says so unless the file is still empty: one that was
/// copied in by hand often has a wider mode. By name, because closing a second descriptor of a database
/// would drop this process's locks on it.
pub(super) fn restrict(path: &Path) {
    let Ok(data) = std::fs::metadata(path) else { return };
    if data.permissions().mode() & 0o077 == 0 {
        return;
    }
    match std::fs::set_permissions(path, Permissions::from_mode(0o600)) {
        Ok(()) if data.len() == 0 => {}
        Ok(()) => tracing::warn!("{} was open to other users; its mode is 0600 now", path.display()),
        Err(error) => tracing::warn!("{} is open to other users: {error}", path.display()),
    }
}
