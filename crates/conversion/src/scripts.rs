//! The script language as the service uses it: its engine with the services the settings name, the
//! scripts of the pipeline folder, and the points that scripts give out on their own time.

mod engine;
mod runtime;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use kafkamq_memory::{Account, Charge};
use kafkamq_pipeline::Effects;
use kafkamq_pipeline::aggregate::{AggregateSink, Aggregator};
use kafkamq_pipeline::manager::{
    Change, DefaultScripts, FolderContents, FolderProblem, LoadReport, LoadedScript, Namespace,
    ScriptProblem, ScriptStore, Snapshot, read_folder,
};
use kafkamq_pipeline::net::GeoError;
use kafkamq_pipeline::refer_table::TableError;
use kafkamq_pipeline::time::UnknownZone;
use kafkamq_pipeline::{Clock as _, Engine, SystemClock};
use kafkamq_point::{Category, Point, Text};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

pub use runtime::{GivenScript, RunTimeScript, ScriptOrigin, Trial, TrialError, shown};

use kafkamq_settings::PipelineSettings;

use engine::{Files, Renewed, ScriptMemory, engine};

/// Bytes that scripts may take in all by default: once for runs and once for what they keep between runs.
const DEFAULT_MEMORY: usize = 64 << 20;

/// Why the script engine cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptsError {
    /// The address database cannot be used.
    #[error("`pipeline.geoip`: {0}")]
    Geo(#[from] GeoError),
    /// A reference table cannot be read.
    #[error("`pipeline.refer_tables`: {path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A reference table is not one.
    #[error("`pipeline.refer_tables`: {path}: {source}")]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TableError,
    },
    /// An abbreviation is given a time zone that does not exist.
    #[error("`pipeline.time_zones`: {0}")]
    TimeZone(#[from] UnknownZone),
}

/// Points that aggregation gave out and that were not fetched yet, and how many values it refused.
#[derive(Debug, Default)]
struct Outbox {
    points: Mutex<Vec<Aggregated>>,
    refused: AtomicU64,
}

/// Points of one bucket of aggregation. Whoever sends them keeps the charge until they are settled: as long
/// as it lives no further points are given out, and the buckets go on gathering.
#[derive(Debug)]
pub struct Aggregated {
    /// One point for each group of a bucket that was flushed.
    pub points: Vec<Point>,
    /// What they take.
    pub charge: Charge,
}

impl AggregateSink for Outbox {
    fn accept(&self, _source: &str, _category: Category, points: Vec<Point>, charge: Charge) {
        self.points.lock().push(Aggregated { points, charge });
    }

    fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// What scripts keep between runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptState {
    /// Bytes of groups, and of points that were given out and are not settled yet.
    pub aggregation_bytes: usize,
    /// Values that aggregation refused because there was no room for a new group or field, since the start.
    pub refused_values: u64,
    /// Bytes of caches and windows.
    pub kept_bytes: usize,
}

/// Script texts by category and name.
type Texts = BTreeMap<Category, BTreeMap<String, String>>;

/// The scripts that one revision of the configuration works with. Scripts may change under it; a
/// revision that changes scripts and routes together begins a new one, so that no record meets the
/// scripts of one with the routes of the other.
#[derive(Debug)]
pub struct ScriptsInForce(ArcSwap<InForce>);

/// The scripts of one moment.
#[derive(Debug)]
struct InForce {
    snapshot: Arc<Snapshot>,
    /// Those that wait for answers from outside, themselves or in a script they use.
    waiting: Vec<Arc<LoadedScript>>,
}

impl InForce {
    fn of(snapshot: Arc<Snapshot>) -> Arc<Self> {
        let waits = |script: &&Arc<LoadedScript>| script.script().effects().has(Effects::EXTERNAL);
        let waiting = snapshot.scripts().filter(waits).cloned().collect();
        Arc::new(Self { snapshot, waiting })
    }
}

impl ScriptsInForce {
    fn new(snapshot: Arc<Snapshot>) -> Self {
        Self(ArcSwap::new(InForce::of(snapshot)))
    }

    /// The scripts as they are now; taken once per batch.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.load().snapshot)
    }

    /// Whether the script that `select` chooses waits for answers from outside. It is asked only if
    /// there is such a script at all; without a choice, any such script counts.
    #[must_use]
    pub(crate) fn waits(
        &self,
        select: impl FnOnce(&Snapshot) -> Option<Option<&Arc<LoadedScript>>>,
    ) -> bool {
        let now = self.0.load();
        if now.waiting.is_empty() {
            return false;
        }
        match select(&now.snapshot) {
            None => true,
            Some(None) => false,
            Some(Some(script)) => now.waiting.iter().any(|known| Arc::ptr_eq(known, script)),
        }
    }
}

/// The scripts in force and the engine they run in.
#[derive(Debug)]
pub struct Scripts {
    store: ScriptStore,
    in_force: Mutex<Arc<ScriptsInForce>>,
    state: Mutex<State>,
    outbox: Arc<Outbox>,
    memory: ScriptMemory,
}

/// What was loaded last, to notice changes.
#[derive(Debug)]
struct State {
    settings: PipelineSettings,
    texts: Texts,
    aggregator: Aggregator,
    files: Files,
    given: runtime::AllGiven,
}

/// What a change of the settings or of the folder makes of the scripts, checked and not in force.
pub struct PreparedScripts {
    settings: PipelineSettings,
    contents: FolderContents,
    /// Given only if the engine has to change.
    engine: Option<(Engine, Aggregator, Files)>,
    /// New content of files of the engine that is in force.
    renewed: Renewed,
    problems: Vec<ScriptProblem>,
    changed: Vec<String>,
    /// Whether they come from another folder.
    moved: bool,
}

impl std::fmt::Debug for PreparedScripts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedScripts")
            .field("changed", &self.changed)
            .finish_non_exhaustive()
    }
}

impl PreparedScripts {
    /// Whether anything would change.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.engine.is_some() || self.moved || !self.renewed.is_empty() || !self.changed.is_empty()
    }

    /// Whether the engine is set up anew: its services or the tags of aggregated points change.
    #[must_use]
    pub const fn changes_engine(&self) -> bool {
        self.engine.is_some()
    }

    /// Scripts that are added, changed or removed, as `category/name`.
    #[must_use]
    pub fn changed(&self) -> &[String] {
        &self.changed
    }

    /// Scripts that would not compile and whose text or engine is new.
    #[must_use]
    pub fn problems(&self) -> &[ScriptProblem] {
        &self.problems
    }

    /// Files and folders that cannot be read.
    #[must_use]
    pub fn unreadable(&self) -> &[FolderProblem] {
        &self.contents.problems
    }
}

impl Scripts {
    /// Sets the engine up and loads the scripts of the pipeline folder. Scripts that do not
    /// compile are reported, and the others work without them.
    ///
    /// # Errors
    /// When a file that the settings name for the engine cannot be used.
    pub fn load(settings: &PipelineSettings) -> Result<(Self, LoadReport), ScriptsError> {
        Self::within(settings, &Account::root("scripts", DEFAULT_MEMORY))
    }

    /// [`Scripts::load`] within an account: its limit bounds, divided by the threads, what a run may keep,
    /// and what scripts leave behind between runs is charged to it.
    ///
    /// # Errors
    /// As for [`Scripts::load`].
    pub fn within(
        settings: &PipelineSettings,
        account: &Arc<Account>,
    ) -> Result<(Self, LoadReport), ScriptsError> {
        let memory = ScriptMemory::of(account, settings.threads);
        let outbox = Arc::<Outbox>::default();
        let aggregator = aggregator(settings, &outbox, &memory);
        let (engine, files) = engine(settings, &aggregator, &memory)?;
        let store = ScriptStore::new(engine);
        store.set_default_scripts(default_scripts(settings));
        let contents = read_folder(&settings.path);
        for problem in &contents.problems {
            tracing::error!(%problem, "a script cannot be read");
        }
        let state = State {
            settings: settings.clone(),
            texts: contents.scripts.clone(),
            aggregator,
            files,
            given: runtime::AllGiven::new(),
        };
        let report = store.apply(Namespace::Default, &Change::folder(contents));
        let in_force = Mutex::new(Arc::new(ScriptsInForce::new(store.snapshot())));
        Ok((
            Self {
                store,
                in_force,
                state: Mutex::new(state),
                outbox,
                memory,
            },
            report,
        ))
    }

    /// Reads the folder that `settings` name and compiles what is new there; nothing comes into
    /// force. Scripts that are broken already and stay as they are count as no problem.
    ///
    /// # Errors
    /// When a file that the settings name for the engine cannot be used.
    pub fn prepare(&self, settings: &PipelineSettings) -> Result<PreparedScripts, ScriptsError> {
        let mut state = self.state.lock();
        let contents = read_folder(&settings.path);
        let mut renewed = Renewed::default();
        let engine = if same_engine(&state.settings, settings) {
            renewed = state.files.renew();
            None
        } else {
            let aggregator = aggregator(settings, &self.outbox, &self.memory);
            let (engine, files) = engine(settings, &aggregator, &self.memory)?;
            Some((engine, aggregator, files))
        };
        let mut changed = changes(&state.texts, &contents.scripts);
        if state.settings.default_scripts != settings.default_scripts {
            changed.push("default scripts".to_owned());
        }
        let mut problems = Vec::new();
        if engine.is_some() || !changed.is_empty() {
            let change = Change::folder(FolderContents {
                scripts: contents.scripts.clone(),
                problems: Vec::new(),
            });
            let report = match &engine {
                Some((engine, ..)) => {
                    ScriptStore::new(engine.clone()).apply(Namespace::Default, &change)
                }
                None => self.store.preview(Namespace::Default, &change).1,
            };
            problems = report.problems;
            let known = self.store.problems();
            problems.retain(|problem| {
                let text = |texts: &Texts| {
                    texts
                        .get(&problem.category)
                        .and_then(|scripts| scripts.get(&problem.name).cloned())
                };
                let broken_before = known
                    .iter()
                    .any(|old| old.category == problem.category && old.name == problem.name);
                !broken_before || text(&state.texts) != text(&contents.scripts)
            });
        }
        changed.extend(renewed.names().map(str::to_owned));
        Ok(PreparedScripts {
            settings: settings.clone(),
            contents,
            engine,
            renewed,
            problems,
            changed,
            moved: state.settings.path != settings.path,
        })
    }

    /// A digest of the scripts in the folder, the reference tables and the address database, if they differ
    /// from what is in force.
    #[must_use]
    pub fn changed(&self) -> Option<String> {
        let mut state = self.state.lock();
        let texts = read_folder(&state.settings.path).scripts;
        let files = state.files.changed();
        if texts == state.texts && files.is_empty() {
            return None;
        }
        let mut digest = Sha256::new();
        for file in files {
            digest.update(file);
        }
        for (category, scripts) in &texts {
            for (name, text) in scripts {
                digest.update(format!("{category}/{name} {} {text}", text.len()));
            }
        }
        Some(base64_simd::URL_SAFE_NO_PAD.encode_to_string(digest.finalize()))
    }

    /// Takes over what was prepared. Nobody sees it before [`Scripts::begin`].
    pub fn commit(&self, prepared: PreparedScripts) {
        let mut state = self.state.lock();
        state.files.adopt(prepared.renewed);
        if let Some((engine, aggregator, files)) = prepared.engine {
            // What it has gathered goes out under the tags it was gathered with.
            state.aggregator.flush_all(SystemClock.now_ns());
            state.aggregator = aggregator;
            state.files = files;
            report_problems(&self.store.replace_engine(engine));
        }
        self.store
            .set_default_scripts(default_scripts(&prepared.settings));
        state.texts.clone_from(&prepared.contents.scripts);
        state.settings = prepared.settings;
        self.give_way(&mut state, &prepared.contents.problems);
        let change = Change::folder(prepared.contents);
        let report = self.store.apply(Namespace::Default, &change);
        report_problems(&report);
        tracing::info!(scripts = report.loaded, "scripts changed");
    }

    /// Lets the revision in force see what was changed in the store.
    fn publish(&self) {
        let now = InForce::of(self.store.snapshot());
        self.in_force.lock().0.store(now);
    }

    /// What the revision in force works with.
    #[must_use]
    pub fn in_force(&self) -> Arc<ScriptsInForce> {
        Arc::clone(&self.in_force.lock())
    }

    /// Begins what the next revision works with. Those before it keep the scripts they had.
    #[must_use]
    pub fn begin(&self) -> Arc<ScriptsInForce> {
        let new = Arc::new(ScriptsInForce::new(self.store.snapshot()));
        *self.in_force.lock() = Arc::clone(&new);
        new
    }

    /// The scripts in force now; taken once per batch.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.in_force().snapshot()
    }

    /// What scripts keep between runs. Takes no lock.
    #[must_use]
    pub fn memory(&self) -> ScriptState {
        ScriptState {
            aggregation_bytes: self.memory.aggregation.used(),
            refused_values: self.outbox.refused.load(Ordering::Relaxed),
            kept_bytes: self.memory.kept.used(),
        }
    }

    /// Points that are due from aggregation at `now_ns`; with `all`, whatever is gathered so far.
    #[must_use]
    pub fn aggregated(&self, now_ns: i64, all: bool) -> Vec<Aggregated> {
        let state = self.state.lock();
        if all {
            state.aggregator.flush_all(now_ns);
        } else {
            state.aggregator.flush_due(now_ns);
        }
        drop(state);
        std::mem::take(&mut *self.outbox.points.lock())
    }
}

/// Logs what is wrong with scripts.
pub fn report_problems(report: &LoadReport) {
    for problem in &report.problems {
        let diagnostics: String = problem
            .diagnostics
            .iter()
            .map(ToString::to_string)
            .collect();
        tracing::error!(
            category = %problem.category, script = problem.name, kept = problem.kept, diagnostics,
            "a script does not compile; its points pass unchanged unless an earlier version is kept"
        );
    }
}

fn aggregator(
    settings: &PipelineSettings,
    outbox: &Arc<Outbox>,
    memory: &ScriptMemory,
) -> Aggregator {
    let sink = Arc::clone(outbox) as Arc<dyn AggregateSink>;
    Aggregator::within(sink, global_tags(settings), &memory.aggregation)
}

fn global_tags(settings: &PipelineSettings) -> Vec<(Text, Text)> {
    let tags = settings.global_tags.iter();
    tags.map(|(key, value)| (key.as_str().into(), value.as_str().into()))
        .collect()
}

fn default_scripts(settings: &PipelineSettings) -> DefaultScripts {
    let scripts = settings.default_scripts.iter();
    DefaultScripts(
        scripts
            .map(|(&category, script)| (category, script.clone()))
            .collect(),
    )
}

fn same_engine(a: &PipelineSettings, b: &PipelineSettings) -> bool {
    (&a.global_tags, &a.geoip_file, &a.refer_tables)
        == (&b.global_tags, &b.geoip_file, &b.refer_tables)
        && a.time_zones == b.time_zones
        && (a.http_request, a.http_request_private) == (b.http_request, b.http_request_private)
}

/// The scripts that differ, as `category/name`.
fn changes(old: &Texts, new: &Texts) -> Vec<String> {
    let flat = |texts: &Texts| -> BTreeMap<String, String> {
        let scripts = texts.iter().flat_map(|(category, scripts)| {
            scripts
                .iter()
                .map(move |(name, text)| (format!("{category}/{name}"), text.clone()))
        });
        scripts.collect()
    };
    let (old, new) = (flat(old), flat(new));
    let mut changed: Vec<String> = new
        .iter()
        .filter(|(name, text)| old.get(*name) != Some(*text))
        .map(|(name, _)| name.clone())
        .collect();
    changed.extend(old.into_keys().filter(|name| !new.contains_key(name)));
    changed.sort();
    changed
}
