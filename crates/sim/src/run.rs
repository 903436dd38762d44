//! Seeds, one after the other or side by side; what fails is shortened.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::bugs::Bug;
use crate::case::{Case, Fault};
use crate::oracle::{Figures, Violation};
use crate::scene::{Scene, StatedScene};
use crate::time::Micros;
use crate::world::{Outcome, World};

/// Every so many runs one is done twice, which has to give the same.
const TWICE_EVERY: u64 = 100;
/// Runs that shortening a story may take.
const SHORTENING_RUNS: usize = 150;

/// What is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The faults that may happen.
    pub faults: Vec<Fault>,
    /// How long faults go on, in microseconds; as long as a seed says, if `None`.
    pub lasts: Option<Micros>,
    /// A fault to plant.
    pub bug: Option<Bug>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            faults: Fault::ALL.iter().map(|(fault, _)| *fault).collect(),
            lasts: None,
            bug: None,
        }
    }
}

/// What one seed came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The number that the whole run was drawn from.
    pub seed: u64,
    /// The law that was broken, if one was.
    pub violation: Option<Violation>,
    /// Numbers of the run.
    pub figures: Figures,
    /// A number that equal runs share.
    pub hash: u64,
    /// Events that were run.
    pub events: u64,
    /// When the run ended, in microseconds of its own time.
    pub ended: Micros,
    /// What happened, line by line, where it was asked for.
    pub story: Vec<String>,
}

impl Report {
    fn new(seed: u64, outcome: Outcome) -> Self {
        Self {
            seed,
            violation: outcome.violation,
            figures: outcome.figures,
            hash: outcome.hash,
            events: outcome.events,
            ended: outcome.ended,
            story: outcome.story,
        }
    }
}

/// A run that failed, with as few events as were found to do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// The law that is broken in the shortened run.
    pub violation: Violation,
    /// What has to happen for it, in plain words.
    pub events: Vec<String>,
    /// How many events there were before.
    pub before: usize,
    /// Everything that happened in the shortened run.
    pub trace: Vec<String>,
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, options: &Options, keeps_trace: bool) -> Report {
    let case = Case::draw(seed, &options.faults, options.lasts);
    let scene = StatedScene { bug: options.bug };
    Report::new(seed, run_case(&case, &scene, options.bug, keeps_trace))
}

fn run_case(case: &Case, scene: &dyn Scene, bug: Option<Bug>, keeps_trace: bool) -> Outcome {
    World::new(case, scene, bug, keeps_trace).run()
}

/// Runs one seed of a scene whose records state nothing: once without faults, and once with them. The
/// same has to arrive.
#[must_use]
pub fn run_scene(seed: u64, options: &Options, scene: &dyn Scene, keeps_trace: bool) -> Report {
    let case = scene_case(seed, options, scene);
    Report::new(seed, differential(&case, scene, keeps_trace))
}

fn scene_case(seed: u64, options: &Options, scene: &dyn Scene) -> Case {
    let mut case = Case::draw(seed, &options.faults, options.lasts);
    case.fit(
        scene.topics().map_or(1, |topics| topics.len()),
        scene.outputs().unwrap_or(1),
    );
    case
}

fn differential(case: &Case, scene: &dyn Scene, keeps_trace: bool) -> Outcome {
    let quiet = case.without_faults();
    let first = World::new(&quiet, scene, None, false).gathering().run();
    if first.violation.is_some() {
        return first;
    }
    let expected = first.gathered.unwrap_or_default();
    World::new(case, scene, None, keeps_trace)
        .expecting(expected)
        .run()
}

/// Runs one seed and, if it fails, looks for a shorter way to fail by the same law.
#[must_use]
pub fn shorten(seed: u64, options: &Options) -> Option<Story> {
    let scene = StatedScene { bug: options.bug };
    let case = Case::draw(seed, &options.faults, options.lasts);
    let again = |case: &Case, keeps: bool| run_case(case, &scene, options.bug, keeps);
    story_of(case, &again)
}

/// The same for a scene whose records state nothing.
#[must_use]
pub fn shorten_scene(seed: u64, options: &Options, scene: &dyn Scene) -> Option<Story> {
    let case = scene_case(seed, options, scene);
    let again = |case: &Case, keeps: bool| differential(case, scene, keeps);
    story_of(case, &again)
}

fn story_of(case: Case, again: &dyn Fn(&Case, bool) -> Outcome) -> Option<Story> {
    let violation = again(&case, false).violation?;
    let before = case.choices.len();
    let mut runs = 0;
    let short = shortened(case, &mut |case| {
        runs += 1;
        let fails = |outcome: Outcome| outcome.violation.is_some_and(|v| v.law == violation.law);
        (runs <= SHORTENING_RUNS).then(|| fails(again(case, false)))
    });
    let outcome = again(&short, true);
    let at =
        |choice: &crate::case::Choice| format!("{} {}", crate::time::shown(choice.at), choice.what);
    Some(Story {
        violation: outcome.violation?,
        events: short.choices.iter().map(at).collect(),
        before,
        trace: outcome.story,
    })
}

/// Leaves choices out, many at once and then fewer, as long as `fails` says that it still does; it says
/// `None` when there were runs enough.
fn shortened(mut case: Case, fails: &mut dyn FnMut(&Case) -> Option<bool>) -> Case {
    let mut size = case.choices.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut shorter = false;
        while at < case.choices.len() {
            let mut candidate = case.clone();
            let end = (at + size).min(case.choices.len());
            candidate.choices.drain(at..end);
            match fails(&candidate) {
                None => return case,
                Some(true) => {
                    case = candidate;
                    shorter = true;
                }
                Some(false) => at += size,
            }
        }
        if size == 1 && !shorter {
            return case;
        }
        size = size.div_ceil(2).max(1);
    }
}

/// What many seeds came to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Seeds that were run.
    pub runs: u64,
    /// Events in all of them.
    pub events: u64,
    /// Virtual time of all of them, in microseconds.
    pub time: Micros,
    /// Runs that were done twice.
    pub twice: u64,
    /// Records in all of them.
    pub records: u64,
    /// The highest peak of memory, in bytes.
    pub peak: usize,
    /// The slowest recovery and its seed, in microseconds.
    pub slowest: (Micros, u64),
    /// The seeds that failed.
    pub failed: Vec<Report>,
}

/// Runs `seeds` on so many threads. `progress` hears how many are done.
pub fn run_many(
    seeds: std::ops::Range<u64>,
    threads: usize,
    one: &(dyn Fn(u64) -> Report + Sync),
    most_failures: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let stop = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let report = one(seed);
            let is_twice = seed.is_multiple_of(TWICE_EVERY);
            let differs = is_twice && one(seed).hash != report.hash;
            let Ok(mut all) = summary.lock() else {
                return;
            };
            all.add(report, is_twice, differs);
            if all.failed.len() >= most_failures {
                stop.store(true, Ordering::Relaxed);
            }
            progress(all.runs);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut summary = summary.into_inner().unwrap_or_default();
    summary.failed.sort_by_key(|report| report.seed);
    summary
}

impl Summary {
    fn add(&mut self, report: Report, is_twice: bool, differs: bool) {
        self.runs += 1;
        self.events += report.events;
        self.time += report.ended;
        self.twice += u64::from(is_twice);
        self.records += report.figures.records;
        self.peak = self.peak.max(report.figures.peak);
        self.slowest = self.slowest.max((report.figures.recovery, report.seed));
        if differs {
            let violation = Violation {
                law: 0,
                at: 0,
                text: "two runs of the seed differ".to_owned(),
            };
            self.failed.push(Report {
                violation: Some(violation),
                ..report
            });
        } else if report.violation.is_some() {
            self.failed.push(report);
        }
    }
}
