//! Files of the state folder, which outlive the process.
//!
//! A file is written whole and put in place by renaming, so that a crash leaves the old one or the new
//! one; it is readable by its owner alone, since what is kept holds secrets.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use kafkamq_delivery::private_files;

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StateError {
    /// The folder or file cannot be used.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not one of this service.
    #[error("{path}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The content of `file` in `folder`; `None` if there is no such file.
///
/// # Errors
/// When it cannot be read, or is something else.
pub(crate) fn read<T: DeserializeOwned>(
    folder: &Path,
    file: &str,
) -> Result<Option<T>, StateError> {
    let path = folder.join(file);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StateError::File { path, source }),
    };
    let content = serde_json::from_slice(&text);
    content.map(Some).map_err(|error| StateError::Content {
        path,
        reason: error.to_string(),
    })
}

/// Writes `file` into `folder`, which is made if it is not there.
///
/// # Errors
/// When it cannot be written; the old content is still there then.
pub(crate) fn write(folder: &Path, file: &str, content: &impl Serialize) -> Result<(), StateError> {
    let path = folder.join(file);
    let part = folder.join(format!("{file}.part"));
    let text = serde_json::to_vec_pretty(content).map_err(|error| StateError::Content {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    let put = || {
        private_files::create_folder(folder)?;
        // A part that a crash left may have other rights.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private_files::options()
            .write(true)
            .create_new(true)
            .open(&part)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&part, &path)?;
        File::open(folder)?.sync_all()
    };
    put().map_err(|source| StateError::File {
        path: path.clone(),
        source,
    })
}

/// Puts a file that cannot be used out of the way of the next [`write`], for people to look at.
pub(crate) fn set_aside(folder: &Path, file: &str) {
    // It is reported as unusable already; if it cannot be moved either it is overwritten.
    drop(fs::rename(
        folder.join(file),
        folder.join(format!("{file}.broken")),
    ));
}
