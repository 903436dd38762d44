//! Compiled scripts, the sets they are compiled in, and running them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hashbrown::HashMap;
use kafkamq_point::{Category, Point, Value as Field, normalise_point_status};

use crate::ast;
use crate::context::RunContext;
use crate::diagnostic::{Code as ErrorCode, Diagnostic};
use crate::engine::Engine;
use crate::functions::Effects;
use crate::ir::Code;
use crate::lower::lower;
use crate::memory::{Memory, input_bytes};
use crate::parser::parse;
use crate::span::{Source, Span};
use crate::state::{Finish, Instance, Outcome, RunState};

/// The scripts compiled together; `use` resolves within.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) engine: Engine,
    pub(crate) units: Vec<Unit>,
}

/// One script of a set.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) source: Source,
    /// Absent when the script has errors.
    pub(crate) code: Option<Code>,
    pub(crate) instance: Arc<Instance>,
    pub(crate) errors: Vec<Diagnostic>,
    /// Those of the scripts it uses included.
    pub(crate) effects: Effects,
}

impl Unit {
    /// How many levels the script nests.
    pub(crate) fn levels(&self) -> usize {
        self.code.as_ref().map_or(0, |code| code.levels)
    }
}

/// Scripts compiled together. They can call each other by `use`; a broken one breaks only those
/// that use it. Immutable, cheap to clone, shared by all threads.
#[derive(Debug, Clone)]
pub struct ScriptSet {
    set: Arc<Set>,
}

/// A compiled script, ready to run on any thread.
#[derive(Debug, Clone)]
pub struct Script {
    set: Arc<Set>,
    unit: usize,
}

impl ScriptSet {
    /// Compiles scripts given as name and text. A name given twice keeps its last text. Scripts
    /// whose text is the same as in `previous` take over its caches, windows and buckets.
    #[must_use]
    pub fn compile<N, T>(
        engine: &Engine,
        scripts: impl IntoIterator<Item = (N, T)>,
        previous: Option<&Self>,
    ) -> Self
    where
        N: Into<String>,
        T: Into<String>,
    {
        let mut sources: Vec<Source> = Vec::new();
        let mut numbers: HashMap<String, usize> = HashMap::new();
        for (name, text) in scripts {
            let source = Source::new(name, text);
            let next = sources.len();
            let at = *numbers.entry(source.name().to_owned()).or_insert(next);
            match sources.get_mut(at) {
                Some(place) => *place = source,
                None => sources.push(source),
            }
        }
        let find = |name: &str| numbers.get(name).copied();
        let mut units = Vec::with_capacity(sources.len());
        let mut uses = Vec::with_capacity(sources.len());
        for source in sources {
            let (code, errors, used, effects) = match parse(&source) {
                Ok(tree) => {
                    let lowered = lower(engine, &source, &tree, &find);
                    (
                        Some(lowered.code),
                        lowered.errors,
                        lowered.uses,
                        lowered.effects,
                    )
                }
                Err(errors) => (None, errors, Vec::new(), Effects::PURE),
            };
            let instance = previous
                .and_then(|previous| previous.unit(source.name()))
                .filter(|unit| unit.source.text() == source.text())
                .map_or_else(Arc::default, |unit| Arc::clone(&unit.instance));
            units.push(Unit {
                source,
                code: code.filter(|_| errors.is_empty()),
                instance,
                errors,
                effects,
            });
            uses.push(used);
        }
        link(&mut units, &uses);
        Self {
            set: Arc::new(Set {
                engine: engine.clone(),
                units,
            }),
        }
    }

    fn unit(&self, name: &str) -> Option<&Unit> {
        self.set
            .units
            .iter()
            .find(|unit| unit.source.name() == name)
    }

    /// The script of this name; `None` when it does not exist or has errors.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Script> {
        let unit = self
            .set
            .units
            .iter()
            .position(|unit| unit.source.name() == name)?;
        self.set.units.get(unit)?.code.as_ref()?;
        Some(Script {
            set: Arc::clone(&self.set),
            unit,
        })
    }

    /// What is wrong with a script, in source order; empty when it is fine or does not exist.
    #[must_use]
    pub fn errors(&self, name: &str) -> &[Diagnostic] {
        self.unit(name).map_or(&[], |unit| &unit.errors)
    }

    /// The names of all scripts, broken ones included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.set.units.iter().map(|unit| unit.source.name())
    }
}

/// Breaks the scripts that use broken ones or call each other in a circle.
fn link(units: &mut [Unit], uses: &[Vec<(usize, Span)>]) {
    // Which scripts can reach themselves, found by a walk from each; sets are small.
    let circular: Vec<bool> = (0..uses.len())
        .map(|at| {
            let used = uses.get(at).into_iter().flatten();
            used.into_iter()
                .any(|(target, _)| reaches(uses, *target, at))
        })
        .collect();
    for (at, used) in uses.iter().enumerate() {
        for (target, span) in used {
            if !circular.get(*target).copied().unwrap_or(false) {
                continue;
            }
            let name = units.get(*target).map(|unit| unit.source.name().to_owned());
            if let (Some(unit), Some(name)) = (units.get_mut(at), name) {
                let error = Diagnostic::new(
                    ErrorCode::UseTarget,
                    &unit.source,
                    *span,
                    format!("`{name}` uses itself, directly or through others"),
                );
                unit.errors.push(error);
                unit.code = None;
            }
        }
    }
    spread_effects(units, uses);
    // Errors travel from used to using scripts until nothing changes.
    loop {
        let mut changed = false;
        for (at, used) in uses.iter().enumerate() {
            for (target, span) in used {
                if *target == at || units.get(at).is_none_or(|unit| !unit.errors.is_empty()) {
                    continue;
                }
                let Some(mut error) = units
                    .get(*target)
                    .and_then(|unit| unit.errors.first().cloned())
                else {
                    continue;
                };
                if let Some(unit) = units.get_mut(at) {
                    error.frames.push((unit.source.clone(), *span));
                    unit.errors.push(error);
                    unit.code = None;
                    changed = true;
                }
            }
        }
        if !changed {
            return;
        }
    }
}

/// Adds the effects of used scripts to those that use them.
fn spread_effects(units: &mut [Unit], uses: &[Vec<(usize, Span)>]) {
    loop {
        let mut changed = false;
        for (at, used) in uses.iter().enumerate() {
            for (target, _) in used {
                let below = units
                    .get(*target)
                    .map_or(Effects::PURE, |unit| unit.effects);
                if let Some(unit) = units.get_mut(at).filter(|unit| !unit.effects.has(below)) {
                    unit.effects = unit.effects.and(below);
                    changed = true;
                }
            }
        }
        if !changed {
            return;
        }
    }
}

/// Whether a walk from one script over its uses arrives at another.
fn reaches(uses: &[Vec<(usize, Span)>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; uses.len()];
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if std::mem::replace(seen.get_mut(at).unwrap_or(&mut true), true) {
            continue;
        }
        open.extend(
            uses.get(at)
                .into_iter()
                .flatten()
                .map(|(target, _)| *target),
        );
    }
    false
}

impl Script {
    /// Compiles a single script that uses no others.
    ///
    /// # Errors
    /// Everything wrong with it, in source order.
    pub fn compile(
        engine: &Engine,
        name: &str,
        text: impl Into<String>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let set = ScriptSet::compile(engine, [(name, text)], None);
        set.get(name).ok_or_else(|| set.errors(name).to_vec())
    }

    /// The script's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.set
            .units
            .get(self.unit)
            .map_or("", |unit| unit.source.name())
    }

    /// What a run depends on or changes besides the point, by the functions that this script and those it
    /// uses call anywhere, also where they are never reached.
    #[must_use]
    pub fn effects(&self) -> Effects {
        self.set
            .units
            .get(self.unit)
            .map_or(Effects::PURE, |unit| unit.effects)
    }

    /// State that outlives runs, for hosts that flush buckets or drop caches.
    #[must_use]
    pub fn instance(&self) -> Option<&Instance> {
        self.set.units.get(self.unit).map(|unit| &*unit.instance)
    }

    /// Runs the script on a point and changes it in place, also when the run fails.
    ///
    /// On success the status of a logging point is normalised and the key `time` becomes the
    /// point's time. A panic inside the engine ends as an error of code `R901`, never beyond.
    pub fn run(&self, point: &mut Point, state: &mut RunState) -> Outcome {
        let result = catch_unwind(AssertUnwindSafe(|| self.execute(point, state)));
        match result {
            Ok(outcome) => outcome,
            Err(panic) => {
                *state = RunState::new();
                let what = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_default();
                Outcome {
                    error: self.set.units.get(self.unit).map(|unit| {
                        Box::new(Diagnostic::new(
                            ErrorCode::Internal,
                            &unit.source,
                            Span::default(),
                            format!("the script engine failed: {what}"),
                        ))
                    }),
                    ..Outcome::default()
                }
            }
        }
    }

    fn execute(&self, point: &mut Point, state: &mut RunState) -> Outcome {
        let limits = self.set.engine.limits();
        state.meter.start(limits.work, limits.time);
        state.memory = Memory::new(limits.memory.saturating_add(input_bytes(point) as u64));
        let result = RunContext {
            set: &self.set,
            unit: self.unit,
            root: self.unit,
            base: 0,
            levels: self.set.units.get(self.unit).map_or(0, Unit::levels),
            point,
            state,
        }
        .run_unit();
        if state.raw_bytes {
            settle_bytes(point);
        }
        let mut outcome = Outcome {
            dropped: state.marks.dropped,
            created: std::mem::take(&mut state.created),
            units: state.meter.used(),
            ..Outcome::default()
        };
        match (result, self.set.units.get(self.unit)) {
            (Err(error), Some(unit)) => {
                outcome.error = Some(Box::new(error.into_diagnostic(&unit.source)));
            }
            _ => {
                if state.marks.status_mapping {
                    self.status(point, &mut outcome);
                }
                take_time(point);
                for created in &mut outcome.created {
                    take_time(&mut created.point);
                }
                for work in std::mem::take(&mut state.after) {
                    work(&mut Finish {
                        point,
                        dropped: outcome.dropped,
                        recovered: &mut outcome.recovered,
                    });
                }
            }
        }
        state.reset();
        outcome
    }

    /// Status normalisation of logging points by the engine's policy.
    fn status(&self, point: &mut Point, outcome: &mut Outcome) {
        if point.category() != Category::Logging {
            return;
        }
        let policy = self.set.engine.status();
        if !policy.keep {
            if point
                .get("status")
                .is_none_or(|entry| entry.value.as_str().is_none())
            {
                point.set_field("status", "info");
            }
            normalise_point_status(point);
        }
        if policy.ignore.is_empty() {
            return;
        }
        let status = point.get("status").and_then(|entry| entry.value.as_str());
        let status = status.unwrap_or("info");
        if policy
            .ignore
            .iter()
            .any(|ignored| ignored.eq_ignore_ascii_case(status))
        {
            outcome.dropped = true;
        }
    }
}

/// Takes the key `time` off a point; a field with an int other than zero becomes its time.
fn take_time(point: &mut Point) {
    if let Some(entry) = point.remove("time")
        && let Field::Int(time_ns @ (..=-1 | 1..)) = entry.value
        && !entry.tag
    {
        point.set_time_ns(time_ns);
    }
}

/// Turns the byte strings left on a point into text.
fn settle_bytes(point: &mut Point) {
    for entry in point.entries_mut() {
        if let Field::Bytes(bytes) = &entry.value {
            entry.value = Field::Str(String::from_utf8_lossy(bytes).as_ref().into());
        }
    }
}

/// Parses a script without checking it, for tools that look at its form.
///
/// # Errors
/// Everything wrong with its form, in source order.
pub fn parse_script(name: &str, text: &str) -> Result<ast::Script, Vec<Diagnostic>> {
    parse(&Source::new(name, text))
}
