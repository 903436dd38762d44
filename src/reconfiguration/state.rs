//! Revisions that outlive the process.
//!
//! The history is one file in the state folder, written whole and put in place by renaming, readable
//! by its owner alone since documents hold secrets. What the environment says is never written.
//!
//! Who wins at a start: the files. Only if they are byte by byte what they were when the last revision
//! was made, and that revision was made at run time, it goes on. A revision that lost stays in the
//! history and can be activated.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::revisions::{History, Revision};
use crate::settings::{Loaded, Sources, load_change};

const FILE: &str = "revisions.json";
/// The version of the file's shape.
const VERSION: u32 = 1;

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
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

/// The file.
#[derive(Serialize, Deserialize)]
struct State {
    version: u32,
    revisions: Vec<Entry>,
}

/// A revision with its document.
#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    revision: Revision,
    document: Value,
}

/// Reads the history in `folder`; empty if there is none.
pub(super) fn read(folder: &Path) -> Result<Vec<Revision>, StateError> {
    let path = folder.join(FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(StateError::File { path, source }),
    };
    let content = |reason: String| StateError::Content {
        path: path.clone(),
        reason,
    };
    let state: State = serde_json::from_slice(&text).map_err(|error| content(error.to_string()))?;
    if state.version != VERSION {
        let reason = format!("version {} is not known", state.version);
        return Err(content(reason));
    }
    let revisions = state.revisions.into_iter().map(|entry| Revision {
        document: entry.document,
        ..entry.revision
    });
    Ok(revisions.collect())
}

/// Writes the history into `folder`, which is made if it is not there. A crash leaves the old file or
/// the new one, never half of it.
pub(super) fn write(folder: &Path, history: &History) -> Result<(), StateError> {
    let state = State {
        version: VERSION,
        revisions: history
            .iter()
            .map(|revision| Entry {
                revision: revision.clone(),
                document: revision.document.clone(),
            })
            .collect(),
    };
    let path = folder.join(FILE);
    let part = folder.join(format!("{FILE}.part"));
    let text = serde_json::to_vec_pretty(&state).map_err(|error| StateError::Content {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    let put = || {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        // A part that a crash left may have other rights.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
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

/// What a process begins with.
#[derive(Debug)]
pub struct Beginning {
    /// The configuration.
    pub(super) loaded: Loaded,
    /// The revisions of earlier processes, oldest first.
    pub(super) earlier: Vec<Revision>,
    /// The revision made at run time that goes on, if one does.
    pub(super) resumed: Option<u64>,
    /// Digest of the files.
    pub(super) files: String,
    /// What the files say, while a revision made at run time goes on.
    fallback: Option<Loaded>,
}

impl Beginning {
    /// The settings to start with.
    #[must_use]
    pub fn settings(&self) -> &crate::settings::Settings {
        &self.loaded.settings
    }

    /// The same with what the files say, if something else was to go on.
    #[must_use]
    pub fn back_to_files(self) -> Option<Self> {
        let loaded = self.fallback?;
        Some(Self {
            loaded,
            resumed: None,
            fallback: None,
            ..self
        })
    }

    /// Decides between the files, as `loaded` from `sources`, and what a state folder remembers.
    /// Trouble with the folder is logged and leaves the files.
    #[must_use]
    pub fn decide(loaded: Loaded, sources: &Sources) -> Self {
        let files = sources.files_digest();
        let mut beginning = Self {
            loaded,
            earlier: Vec::new(),
            resumed: None,
            files,
            fallback: None,
        };
        let Some(folder) = beginning.loaded.settings.server.state_dir.clone() else {
            return beginning;
        };
        beginning.earlier = match read(&folder) {
            Ok(revisions) => revisions,
            Err(error) => {
                tracing::error!(%error, "earlier revisions are lost; the files decide");
                Vec::new()
            }
        };
        let Some(last) = beginning.earlier.last() else {
            return beginning;
        };
        if !last.origin.is_run_time() {
            return beginning;
        }
        let number = last.number;
        if last.files != beginning.files {
            tracing::warn!(
                revision = number,
                "the files have changed since this revision was made at run time: the files decide; \
                 it can be activated again"
            );
            return beginning;
        }
        let tree = last.document.clone();
        let wanted = sources.only_environment().json(tree);
        match load_change(&wanted, &beginning.loaded.document) {
            Ok(loaded) => {
                tracing::info!(revision = number, "a revision made at run time goes on");
                beginning.fallback = Some(std::mem::replace(&mut beginning.loaded, loaded));
                beginning.resumed = Some(number);
            }
            Err(found) => {
                tracing::error!(
                    revision = number, %found,
                    "a revision made at run time is no longer valid: the files decide"
                );
            }
        }
        beginning
    }
}
