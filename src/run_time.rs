//! What operators set at run time beside the configuration: scripts and pauses.
//!
//! With a state folder it outlives the process, in one file there. Who wins is what holds for the
//! configuration: the last change. A script that was put goes on until the file of its name in the
//! pipeline folder is no longer what it was then, whether the process runs meanwhile or not. A pause
//! stands in no file and goes on until the topic is resumed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::controls::{Controls, Pause};
use crate::state_folder::{self, StateError};
use kafkamq_conversion::scripts::{RunTimeScript, Scripts};

const FILE: &str = "run_time.json";
/// The version of the file's shape.
const VERSION: u32 = 1;

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    version: u32,
    scripts: Vec<RunTimeScript>,
    paused: Vec<PausedTopic>,
}

/// A topic that an operator paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PausedTopic {
    /// Its name.
    pub(crate) topic: String,
    /// Name of the token that asked for it.
    pub(crate) by: String,
    /// Since when, in RFC 3339.
    pub(crate) time: String,
}

/// What the status page says about it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct RunTimeStatus {
    /// Scripts that were put and are in force.
    pub(crate) scripts: Vec<RunTimeScriptStatus>,
    /// Topics that are paused.
    pub(crate) paused: Vec<PausedTopic>,
    /// What becomes of them at the next start, in one sentence.
    pub(crate) next_start: &'static str,
    /// What could not be taken over at the start, and why nothing can be kept at present.
    pub(crate) problems: Vec<String>,
}

/// A script that was put.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct RunTimeScriptStatus {
    /// Category of the points it runs on.
    pub(crate) category: String,
    /// Its file name, which ends in `.p`.
    pub(crate) name: String,
    /// Name of the token that put it.
    pub(crate) by: String,
    /// When, in RFC 3339.
    pub(crate) time: String,
}

/// Keeper of what was set at run time.
#[derive(Debug)]
pub(crate) struct RunTime {
    folder: Option<PathBuf>,
    scripts: Arc<Scripts>,
    controls: Arc<Controls>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// What the file holds; `None` if that is not known.
    written: Option<State>,
    /// What could not be taken over at the start.
    lost: Vec<String>,
    /// Why nothing can be kept at present.
    unwritable: Option<String>,
}

impl RunTime {
    /// Puts into force what `folder` remembers, before the first record is read. A file that cannot
    /// be used is set aside, and the pipeline folder alone counts.
    #[must_use]
    pub(crate) fn resume(
        folder: Option<&Path>,
        scripts: Arc<Scripts>,
        controls: Arc<Controls>,
    ) -> Self {
        let mut memory = Memory::default();
        let state = folder.map_or(Ok(None), read);
        match state {
            Ok(None) => {}
            Ok(Some(state)) => {
                memory.lost = scripts.resume(state.scripts.clone());
                for paused in &state.paused {
                    let since = paused.time.parse().unwrap_or_else(|_| Timestamp::now());
                    tracing::warn!(
                        topic = paused.topic,
                        by = paused.by,
                        since = %since,
                        "a topic is paused since before the start"
                    );
                    controls.topic(&paused.topic).stop_since(Pause {
                        since,
                        by: paused.by.clone(),
                    });
                }
                memory.written = Some(state);
            }
            Err(error) => {
                if let Some(folder) = folder {
                    state_folder::set_aside(folder, FILE);
                }
                memory.lost.push(format!(
                    "scripts and pauses of earlier processes are lost; the files decide: {error}"
                ));
            }
        }
        for lost in &memory.lost {
            tracing::error!("{lost}");
        }
        let run_time = Self {
            folder: folder.map(Path::to_owned),
            scripts,
            controls,
            memory: Mutex::new(memory),
        };
        run_time.keep();
        run_time
    }

    /// Writes what is set now, if that is not what the file holds. What is in force stays in force
    /// when that fails; the next change tries again. Blocks.
    pub(crate) fn keep(&self) {
        let Some(folder) = &self.folder else {
            return;
        };
        // Taken under the lock, so that the last writer writes the latest.
        let mut memory = self.memory.lock();
        let state = self.state();
        let nothing = state.scripts.is_empty() && state.paused.is_empty();
        if memory.written.as_ref() == Some(&state) || (nothing && memory.written.is_none()) {
            return;
        }
        match state_folder::write(folder, FILE, &state) {
            Ok(()) => {
                memory.written = Some(state);
                memory.unwritable = None;
            }
            Err(error) => {
                tracing::error!(%error, "scripts and pauses cannot be kept; a restart forgets the last change");
                memory.unwritable = Some(format!("the last change cannot be kept: {error}"));
            }
        }
    }

    fn state(&self) -> State {
        State {
            version: VERSION,
            scripts: self.scripts.of_run_time(),
            paused: self.paused(),
        }
    }

    fn paused(&self) -> Vec<PausedTopic> {
        let paused = self.controls.paused().into_iter();
        paused
            .map(|(topic, pause)| PausedTopic {
                topic: topic.to_string(),
                by: pause.by,
                time: pause.since.to_string(),
            })
            .collect()
    }

    /// What becomes of a script that was put, or of a pause, at the next start.
    #[must_use]
    pub(crate) const fn next_start(&self) -> &'static str {
        match self.folder {
            Some(_) => {
                "all stay, but a script whose file in the pipeline folder has changed by then gives way to it"
            }
            None => "all are forgotten, since `server.state_dir` is not set",
        }
    }

    /// For the status page.
    #[must_use]
    pub(crate) fn status(&self) -> RunTimeStatus {
        let memory = self.memory.lock();
        let problems = memory.lost.iter().chain(&memory.unwritable).cloned();
        let problems = problems.collect();
        drop(memory);
        let scripts = self.scripts.of_run_time().into_iter();
        RunTimeStatus {
            scripts: scripts
                .map(|script| RunTimeScriptStatus {
                    category: script.category,
                    name: script.name,
                    by: script.by,
                    time: script.time,
                })
                .collect(),
            paused: self.paused(),
            next_start: self.next_start(),
            problems,
        }
    }
}

fn read(folder: &Path) -> Result<Option<State>, StateError> {
    let state = state_folder::read::<State>(folder, FILE)?;
    match state {
        Some(state) if state.version != VERSION => Err(StateError::Content {
            path: folder.join(FILE),
            reason: format!("version {} is not known", state.version),
        }),
        state => Ok(state),
    }
}

#[cfg(test)]
mod tests;
