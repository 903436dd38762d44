//! A script in force.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use kafkamq_point::{Category, Point};

use super::{ScriptStats, Tally};
use crate::script::Script;
use crate::state::{Outcome, RunState};

/// Where scripts come from. Of two scripts with the same category and name the one of the higher
/// namespace is in force; `Default` is the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespace {
    /// The script folder of the service.
    Default,
    /// The service's own interface.
    Remote,
}

/// A text that names no namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown namespace `{0}`")]
pub struct UnknownNamespace(pub String);

impl Namespace {
    /// Every namespace, lowest first.
    pub const ALL: [Self; 2] = [Self::Default, Self::Remote];

    /// The name in configuration, metrics and tags.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Remote => "remote",
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Namespace {
    type Err = UnknownNamespace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|namespace| namespace.name() == text)
            .ok_or_else(|| UnknownNamespace(text.to_owned()))
    }
}

/// A compiled script with what is known about it.
#[derive(Debug)]
pub struct LoadedScript {
    pub(super) category: Category,
    pub(super) namespace: Namespace,
    pub(super) name: Arc<str>,
    pub(super) text: Arc<str>,
    pub(super) script: Script,
    pub(super) stats: Arc<ScriptStats>,
}

impl LoadedScript {
    /// The category whose points it runs on.
    #[must_use]
    pub const fn category(&self) -> Category {
        self.category
    }

    /// Where it comes from.
    #[must_use]
    pub const fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// Its name, which ends in `.p`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text that is in force.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The compiled script, for callers that keep their own statistics.
    #[must_use]
    pub const fn script(&self) -> &Script {
        &self.script
    }

    /// What happened when it ran; shared with the versions before and after.
    #[must_use]
    pub fn stats(&self) -> &ScriptStats {
        &self.stats
    }

    /// Runs the script on a point as [`Script::run`] does, and counts the run.
    pub fn run(&self, point: &mut Point, state: &mut RunState) -> Outcome {
        let mut tally = Tally::default();
        let outcome = self.run_tallied(point, state, &mut tally);
        self.stats.add(&tally);
        outcome
    }

    /// [`LoadedScript::run`] that counts into `tally`. A thread that runs many points adds the
    /// tally to [`LoadedScript::stats`] once per batch, so that threads do not fight for counters.
    pub fn run_tallied(
        &self,
        point: &mut Point,
        state: &mut RunState,
        tally: &mut Tally,
    ) -> Outcome {
        let start = Instant::now();
        let outcome = self.script.run(point, state);
        tally.count(&outcome, start.elapsed());
        outcome
    }
}
