//! Files that hold records: only the user of the service can read them, and no link leads a
//! write somewhere else.
//!
//! What is in a record is as confidential as its topic. So everything that the service writes to
//! disk (dead letters, points, recordings, state) is opened here: folders with mode 0700, files with
//! 0600, and a symbolic link in the place of a file is an error.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Options to open a file with; the caller adds what it wants to do.
#[must_use]
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    options.mode(0o600).custom_flags(flags);
    options
}

/// Makes a folder and those above it where they are missing. One that is there stays as it is.
///
/// # Errors
/// What the system says.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn others_read_nothing_and_links_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        create_folder(&inner).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inner), 0o700);
        let file = inner.join("file");
        options().write(true).create(true).open(&file).unwrap();
        assert_eq!(mode(&file), 0o600);

        let target = folder.path().join("target");
        std::fs::write(&target, "precious").unwrap();
        let link = inner.join("link");
        symlink(&target, &link).unwrap();
        let opened = options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&link);
        assert!(opened.is_err());
        assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    }
}
