//! The store: texts in, snapshots out.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use kafkamq_point::Category;
use parking_lot::Mutex;

use super::change::Batch;
use super::{
    Change, DefaultScripts, LoadReport, LoadedScript, Namespace, ScriptProblem, ScriptStats,
    Snapshot,
};
use crate::engine::Engine;
use crate::script::ScriptSet;

/// The scripts of a service. Share it by reference or `Arc`; changes are made one after the other,
/// readers never wait.
#[derive(Debug)]
pub struct ScriptStore {
    current: ArcSwap<Snapshot>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    engine: Engine,
    batches: Batches,
    stats: HashMap<(Category, Namespace, Arc<str>), Arc<ScriptStats>>,
    defaults: Arc<DefaultScripts>,
}

type Batches = BTreeMap<(Category, Namespace), Arc<Held>>;

/// What is held of one category of one namespace.
#[derive(Debug)]
struct Held {
    texts: BTreeMap<String, String>,
    set: ScriptSet,
    /// Every script that works, the newest version that does.
    live: BTreeMap<Arc<str>, Arc<LoadedScript>>,
    problems: Vec<ScriptProblem>,
}

/// Why a single script was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ScriptChangeError {
    /// The script does not compile; nothing was changed.
    #[error("{0}")]
    Broken(Box<ScriptProblem>),
    /// There is no such script.
    #[error("there is no script `{0}`")]
    Missing(String),
}

impl ScriptStore {
    /// A store without scripts, for an engine.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self {
            current: ArcSwap::default(),
            state: Mutex::new(State {
                engine,
                batches: Batches::new(),
                stats: HashMap::new(),
                defaults: Arc::default(),
            }),
        }
    }

    /// What is in force now. A thread that works through a batch of records takes it once.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Puts a change of one namespace into force. Scripts that do not compile are reported, and the
    /// versions before them stay in force as long as they are part of the change.
    ///
    /// Scripts whose text stays the same keep their caches, windows and buckets.
    pub fn apply(&self, namespace: Namespace, change: &Change) -> LoadReport {
        let mut state = self.state.lock();
        let (batches, report) = state.compile(namespace, change, Sharing::Takeover);
        self.publish(&mut state, batches);
        report
    }

    /// What a change would bring into force. The scripts of the changed categories share no state
    /// with those in force; the snapshot can be run beside the current one.
    #[must_use]
    pub fn preview(&self, namespace: Namespace, change: &Change) -> (Arc<Snapshot>, LoadReport) {
        let mut state = self.state.lock();
        let (batches, report) = state.compile(namespace, change, Sharing::Nothing);
        (Arc::new(state.index(&batches)), report)
    }

    /// Adds a script or replaces its text. If the new text does not compile nothing changes.
    ///
    /// # Errors
    /// What is wrong with the script.
    pub fn put(
        &self,
        namespace: Namespace,
        category: Category,
        name: &str,
        text: &str,
    ) -> Result<LoadReport, ScriptChangeError> {
        let mut state = self.state.lock();
        let mut texts = state.texts(category, namespace);
        texts.insert(name.to_owned(), text.to_owned());
        let change = Change::new().replace(category, texts);
        // Compile apart first: a refused script must not touch the state of those in force.
        let (_, mut report) = state.compile(namespace, &change, Sharing::Nothing);
        if let Some(at) = report.problems.iter().position(|p| p.name == name) {
            let problem = report.problems.swap_remove(at);
            log_problem(&problem);
            return Err(ScriptChangeError::Broken(Box::new(problem)));
        }
        let (batches, report) = state.compile(namespace, &change, Sharing::Takeover);
        self.publish(&mut state, batches);
        Ok(report)
    }

    /// Removes a script. Scripts that `use` it go on with the version they know and are reported.
    ///
    /// # Errors
    /// If there is no such script.
    pub fn remove(
        &self,
        namespace: Namespace,
        category: Category,
        name: &str,
    ) -> Result<LoadReport, ScriptChangeError> {
        let mut state = self.state.lock();
        let mut texts = state.texts(category, namespace);
        if texts.remove(name).is_none() {
            return Err(ScriptChangeError::Missing(name.to_owned()));
        }
        let change = Change::new().replace(category, texts);
        let (batches, report) = state.compile(namespace, &change, Sharing::Takeover);
        self.publish(&mut state, batches);
        Ok(report)
    }

    /// Compiles everything again for another engine, as after a change of limits or services.
    pub fn replace_engine(&self, engine: Engine) -> LoadReport {
        let mut state = self.state.lock();
        state.engine = engine;
        let mut report = LoadReport::default();
        for namespace in Namespace::ALL {
            let mut change = Change::new();
            for ((category, of), held) in &state.batches {
                if *of == namespace {
                    change = change.replace(*category, held.texts.clone());
                }
            }
            let (batches, part) = state.compile(namespace, &change, Sharing::Takeover);
            report.loaded += part.loaded;
            report.problems.extend(part.problems);
            state.batches = batches;
        }
        let batches = state.batches.clone();
        self.publish(&mut state, batches);
        report
    }

    /// Replaces the default scripts.
    pub fn set_default_scripts(&self, defaults: DefaultScripts) {
        let mut state = self.state.lock();
        state.defaults = Arc::new(defaults);
        let batches = state.batches.clone();
        self.publish(&mut state, batches);
    }

    /// The text of a script as it was given last, also when it does not compile.
    #[must_use]
    pub fn text(&self, namespace: Namespace, category: Category, name: &str) -> Option<String> {
        let state = self.state.lock();
        let held = state.batches.get(&(category, namespace))?;
        held.texts.get(name).cloned()
    }

    /// All scripts that do not compile at present.
    #[must_use]
    pub fn problems(&self) -> Vec<ScriptProblem> {
        let state = self.state.lock();
        state
            .batches
            .values()
            .flat_map(|held| held.problems.iter().cloned())
            .collect()
    }

    /// Puts batches into force.
    fn publish(&self, state: &mut State, batches: Batches) {
        state.batches = batches;
        self.current.store(Arc::new(state.index(&state.batches)));
    }
}

/// Whether new scripts take over the state and statistics of those in force.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Takeover,
    Nothing,
}

impl State {
    fn texts(&self, category: Category, namespace: Namespace) -> BTreeMap<String, String> {
        self.batches
            .get(&(category, namespace))
            .map(|held| held.texts.clone())
            .unwrap_or_default()
    }

    /// The batches after a change.
    fn compile(
        &mut self,
        namespace: Namespace,
        change: &Change,
        sharing: Sharing,
    ) -> (Batches, LoadReport) {
        let mut batches = self.batches.clone();
        let mut report = LoadReport::default();
        for (category, batch) in &change.batches {
            let old = self.batches.get(&(*category, namespace)).cloned();
            if old.is_none() && batch.texts.is_empty() {
                continue;
            }
            let held = self.hold(namespace, *category, batch, old.as_deref(), sharing);
            report.loaded += held.texts.len() - held.problems.len();
            report.problems.extend(held.problems.iter().cloned());
            if sharing == Sharing::Takeover {
                held.problems.iter().for_each(log_problem);
            }
            batches.insert((*category, namespace), Arc::new(held));
        }
        (batches, report)
    }

    fn hold(
        &mut self,
        namespace: Namespace,
        category: Category,
        batch: &Batch,
        old: Option<&Held>,
        sharing: Sharing,
    ) -> Held {
        let mut texts = batch.texts.clone();
        for name in &batch.unreadable {
            if let Some(text) = old.and_then(|old| old.texts.get(name)) {
                texts.insert(name.clone(), text.clone());
            }
        }
        let previous = old
            .map(|old| &old.set)
            .filter(|_| sharing == Sharing::Takeover);
        let set = ScriptSet::compile(&self.engine, texts.clone(), previous);
        let mut live = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, text) in &texts {
            let script = set.get(name).filter(|_| name.ends_with(".p"));
            let before = old.and_then(|old| old.live.get(name.as_str()));
            let key: Arc<str> = before.map_or_else(
                || Arc::from(name.as_str()),
                |before| Arc::clone(&before.name),
            );
            let stats = match sharing {
                Sharing::Takeover => self.stats(category, namespace, &key),
                Sharing::Nothing => Arc::default(),
            };
            let loaded = if let Some(script) = script {
                LoadedScript {
                    category,
                    namespace,
                    name: Arc::clone(&key),
                    text: Arc::from(text.as_str()),
                    script,
                    stats,
                }
            } else {
                problems.push(ScriptProblem {
                    namespace,
                    category,
                    name: name.clone(),
                    diagnostics: set.errors(name).to_vec(),
                    kept: before.is_some(),
                });
                let Some(before) = before else {
                    continue;
                };
                LoadedScript {
                    category,
                    namespace,
                    name: Arc::clone(&key),
                    text: Arc::clone(&before.text),
                    script: before.script.clone(),
                    stats,
                }
            };
            live.insert(key, Arc::new(loaded));
        }
        Held {
            texts,
            set,
            live,
            problems,
        }
    }

    fn stats(
        &mut self,
        category: Category,
        namespace: Namespace,
        name: &Arc<str>,
    ) -> Arc<ScriptStats> {
        let key = (category, namespace, Arc::clone(name));
        Arc::clone(self.stats.entry(key).or_default())
    }

    /// The highest script of every name.
    fn index(&self, batches: &Batches) -> Snapshot {
        let mut index: HashMap<_, HashMap<Arc<str>, Arc<LoadedScript>>> = HashMap::new();
        // Lower namespaces come first and are overwritten.
        for ((category, _), held) in batches {
            let scripts = index.entry(*category).or_default();
            for (name, script) in &held.live {
                if let Some(stem) = name.strip_suffix(".p") {
                    scripts.insert(Arc::from(stem), Arc::clone(script));
                }
            }
        }
        Snapshot {
            index,
            defaults: Arc::clone(&self.defaults),
        }
    }
}

fn log_problem(problem: &ScriptProblem) {
    tracing::warn!(
        category = %problem.category,
        script = problem.name,
        namespace = %problem.namespace,
        kept = problem.kept,
        "a script does not compile: {problem}"
    );
}

#[cfg(test)]
mod tests;
