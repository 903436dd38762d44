//! Revisions that outlive the process.
//!
//! The history is one file in the state folder. What the environment says is never written.
//!
//! Who wins at a start: the files. Only if they are byte by byte what they were when the last revision
//! was made, and that revision was made at run time, it goes on. A revision that lost stays in the
//! history and can be activated.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::revisions::{History, Revision};
use crate::state_folder::{self, StateError};
use kafkamq_settings::{ChangeBy, Loaded, Sources, load_change};

const FILE: &str = "revisions.json";
/// The version of the file's shape.
const VERSION: u32 = 1;

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

/// Reads the history in `folder`; empty if it does not exist.
pub(super) fn read(folder: &Path) -> Result<Vec<Revision>, StateError> {
    let Some(state) = state_folder::read::<State>(folder, FILE)? else {
        return Ok(Vec::new());
    };
    if state.version != VERSION {
        return Err(StateError::Content {
            path: folder.join(FILE),
            reason: format!("version {} is not known", state.version),
        });
    }
    let revisions = state.revisions.into_iter().map(|entry| Revision {
        document: entry.document,
        ..entry.revision
    });
    Ok(revisions.collect())
}

/// Writes the history into `folder`.
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
    state_folder::write(folder, FILE, &state)
}

/// What a process begins with.
#[derive(Debug)]
pub(crate) struct Beginning {
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
    pub(crate) fn settings(&self) -> &kafkamq_settings::Settings {
        &self.loaded.settings
    }

    /// The same with what the files say, if something else was to go on.
    #[must_use]
    pub(crate) fn back_to_files(self) -> Option<Self> {
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
    pub(crate) fn decide(loaded: Loaded, sources: &Sources) -> Self {
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
        match load_change(&wanted, &beginning.loaded.document, ChangeBy::Operator) {
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
