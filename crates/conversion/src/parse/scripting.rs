//! The script step: from one point as built to the points that go on.

use std::sync::Arc;

use kafkamq_pipeline::RunState;
use kafkamq_pipeline::diagnostic::Diagnostic;
use kafkamq_pipeline::manager::{LoadedScript, ScriptRoutes, Snapshot, Tally};
use kafkamq_point::{Category, Point};

/// Runs scripts for one batch and counts the runs once at its end.
#[derive(Debug)]
pub struct ScriptStep<'a> {
    snapshot: Arc<Snapshot>,
    state: &'a mut RunState,
    tallies: Vec<(Arc<LoadedScript>, Tally)>,
}

/// What a script made of a point.
#[derive(Debug, Default)]
pub struct Scripted {
    /// The original, unless it was dropped.
    pub point: Option<Point>,
    /// The points made besides it, in order.
    pub(crate) further: Vec<Point>,
    /// Whether the script dropped the original.
    pub dropped: bool,
    /// Why the script stopped early, with its name. The original goes on as it was left.
    pub error: Option<(Arc<LoadedScript>, Box<Diagnostic>)>,
}

impl<'a> ScriptStep<'a> {
    /// A step that runs the scripts of `snapshot`.
    #[must_use]
    pub const fn new(snapshot: Arc<Snapshot>, state: &'a mut RunState) -> Self {
        Self {
            snapshot,
            state,
            tallies: Vec::new(),
        }
    }

    /// Whether points of `category` may meet a script at all.
    #[inline]
    #[must_use]
    pub(crate) fn concerns(&self, category: Category) -> bool {
        !self.snapshot.is_empty(category)
    }

    /// The name of the script that applies to `point`, if there is one.
    #[must_use]
    pub(crate) fn name_for(&self, point: &Point, routes: &ScriptRoutes) -> Option<String> {
        let script = self.snapshot.select(point.category(), point, routes)?;
        Some(script.name().to_owned())
    }

    /// Runs the script that applies to `point`, if there is one.
    pub fn run(&mut self, mut point: Point, routes: &ScriptRoutes) -> Scripted {
        let category = point.category();
        let Some(script) = self.snapshot.select(category, &point, routes) else {
            return Scripted {
                point: Some(point),
                ..Scripted::default()
            };
        };
        let at = self
            .tallies
            .iter()
            .position(|(known, _)| Arc::ptr_eq(known, script));
        let at = at.unwrap_or_else(|| {
            self.tallies.push((Arc::clone(script), Tally::default()));
            self.tallies.len() - 1
        });
        let Some((script, tally)) = self.tallies.get_mut(at) else {
            return Scripted::default();
        };
        let outcome = script.run_tallied(&mut point, self.state, tally);
        let error = outcome.error.map(|error| (Arc::clone(script), error));
        // A run that failed has decided nothing: its point goes on.
        let dropped = outcome.dropped && error.is_none();
        let mut further = Vec::new();
        if error.is_none() {
            let created = outcome.created.into_iter();
            further.extend(created.filter(|new| !new.dropped).map(|new| new.point));
        }
        further.extend(outcome.recovered);
        Scripted {
            point: (!dropped).then_some(point),
            further,
            dropped,
            error,
        }
    }

    /// Adds the counted runs to the scripts' statistics.
    pub fn finish(self) {
        for (script, tally) in self.tallies {
            script.stats().add(&tally);
        }
    }
}
