//! The scripts of a service: where they come from, which one runs on a point, and how they fare.
//!
//! A [`ScriptStore`] holds texts by namespace and category and compiles them. What readers see is a
//! [`Snapshot`]: immutable, replaced as a whole, so that a look-up sees the scripts from before or
//! after a change and never a mixture. A script that stops compiling does not take its working
//! version down: that one stays in force, and the problems of the store hold the diagnostics.
//!
//! A snapshot can be made without being published ([`ScriptStore::preview`]). Its new scripts share
//! no caches, windows and buckets with those in force, so that a new version can run beside the old
//! one on the same records without leaving a trace.

mod change;
mod folder;
mod loaded;
mod select;
mod snapshot;
mod stats;
mod store;

pub use change::{Change, LoadReport, ScriptProblem};
pub use folder::{FolderContents, FolderProblem, read_folder};
pub use loaded::{LoadedScript, Namespace};
pub use select::{ScriptRoutes, feature_text};
pub use snapshot::{DefaultScripts, Snapshot};
pub(crate) use stats::ScriptStats;
pub use stats::Tally;
pub use store::{ScriptChangeError, ScriptStore};
