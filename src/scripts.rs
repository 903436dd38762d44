//! The script language as the service uses it: its engine with the services the settings name, the
//! scripts of the pipeline folder, and the points that scripts give out on their own time.

mod runtime;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kafkamq_pipeline::Engine;
use kafkamq_pipeline::aggregate::{AggregateSink, Aggregator};
use kafkamq_pipeline::http::{ClientLimits, GuardedClient, HttpAccess, HttpPolicy};
use kafkamq_pipeline::manager::{
    Change, DefaultScripts, LoadReport, Namespace, ScriptStore, Snapshot, read_folder,
};
use kafkamq_pipeline::net::{GeoDatabase, GeoError};
use kafkamq_pipeline::refer_table::{ReferTables, TableError, TableSet};
use kafkamq_point::{Category, Point};
use parking_lot::Mutex;

pub use runtime::{Evaluated, GivenScript, Origin as ScriptOrigin, Trial, TrialError, shown};

use crate::settings::PipelineSettings;

/// Longest request of a script; a script holds up its parser meanwhile.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);

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
}

/// Points that aggregation gave out and nobody fetched yet.
#[derive(Debug, Default)]
struct Outbox(Mutex<Vec<Point>>);

impl AggregateSink for Outbox {
    fn accept(&self, _source: &str, _category: Category, points: Vec<Point>) {
        self.0.lock().extend(points);
    }
}

/// Script texts by category and name.
type Texts = BTreeMap<Category, BTreeMap<String, String>>;

/// The scripts in force and the engine they run in.
#[derive(Debug)]
pub struct Scripts {
    store: ScriptStore,
    folder: PathBuf,
    /// The texts loaded last, to notice changes.
    loaded: Mutex<Texts>,
    aggregator: Aggregator,
    outbox: Arc<Outbox>,
}

impl Scripts {
    /// Sets the engine up and loads the scripts of the pipeline folder. Scripts that do not
    /// compile are reported, and the others work without them.
    ///
    /// # Errors
    /// When a file that the settings name for the engine cannot be used.
    pub fn load(settings: &PipelineSettings) -> Result<(Self, LoadReport), ScriptsError> {
        let outbox = Arc::<Outbox>::default();
        let global_tags = settings
            .global_tags
            .iter()
            .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
            .collect();
        let aggregator =
            Aggregator::new(Arc::clone(&outbox) as Arc<dyn AggregateSink>, global_tags);
        let store = ScriptStore::new(engine(settings, &aggregator)?);
        store.set_default_scripts(DefaultScripts {
            local: settings
                .default_scripts
                .iter()
                .map(|(&category, script)| (category, script.clone()))
                .collect(),
            ..DefaultScripts::default()
        });
        let contents = read_folder(&settings.path);
        for problem in &contents.problems {
            tracing::error!(%problem, "a script cannot be read");
        }
        let loaded = Mutex::new(contents.scripts.clone());
        let report = store.apply(Namespace::Default, &Change::folder(contents));
        Ok((
            Self {
                store,
                folder: settings.path.clone(),
                loaded,
                aggregator,
                outbox,
            },
            report,
        ))
    }

    /// Compares the pipeline folder with what was loaded last and puts changes into force. Scripts
    /// that do not compile are reported, and the versions before them stay.
    pub fn reload_if_changed(&self) {
        let contents = read_folder(&self.folder);
        let mut loaded = self.loaded.lock();
        if contents.scripts == *loaded {
            return;
        }
        loaded.clone_from(&contents.scripts);
        let report = self
            .store
            .apply(Namespace::Default, &Change::folder(contents));
        report_problems(&report);
        tracing::info!(scripts = report.loaded, "scripts changed");
    }

    /// The scripts in force now; taken once per batch.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.store.snapshot()
    }

    /// Points that are due from aggregation at `now_ns`; with `all`, whatever is gathered so far.
    #[must_use]
    pub fn aggregated(&self, now_ns: i64, all: bool) -> Vec<Point> {
        if all {
            self.aggregator.flush_all(now_ns);
        } else {
            self.aggregator.flush_due(now_ns);
        }
        std::mem::take(&mut *self.outbox.0.lock())
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

fn engine(settings: &PipelineSettings, aggregator: &Aggregator) -> Result<Engine, ScriptsError> {
    let mut engine = Engine::new().with_service(Arc::new(aggregator.clone()));
    if let Some(file) = &settings.geoip_file {
        engine = engine.with_service(Arc::new(GeoDatabase::open(file, None)?));
    }
    if let Some(folder) = &settings.refer_tables {
        let tables = ReferTables::new();
        tables.replace(refer_tables(folder)?);
        engine = engine.with_service(Arc::new(tables));
    }
    if settings.http_request {
        let policy = HttpPolicy {
            internal: settings.http_request_private,
            ..HttpPolicy::default()
        };
        let limits = ClientLimits {
            timeout: HTTP_TIMEOUT,
            ..ClientLimits::default()
        };
        let client = GuardedClient::new(policy, limits);
        engine = engine.with_service(Arc::new(HttpAccess::new(Arc::new(client))));
    }
    Ok(engine)
}

/// All tables of the `*.json` files of a folder, in the order of the file names.
fn refer_tables(folder: &Path) -> Result<TableSet, ScriptsError> {
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |source| ScriptsError::File { path, source }
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(file_error(folder))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    paths.sort();
    let mut tables: Vec<serde_json::Value> = Vec::new();
    for path in &paths {
        let text = std::fs::read(path).map_err(file_error(path))?;
        let table_error = |source| ScriptsError::Table {
            path: path.clone(),
            source,
        };
        // Each file is checked on its own first, so that an error names it.
        TableSet::from_json(&text).map_err(table_error)?;
        match serde_json::from_slice(&text) {
            Ok(serde_json::Value::Array(more)) => tables.extend(more),
            Ok(one) => tables.push(one),
            Err(_) => {}
        }
    }
    let all = serde_json::Value::Array(tables).to_string();
    TableSet::from_json(all.as_bytes()).map_err(|source| ScriptsError::Table {
        path: folder.to_owned(),
        source,
    })
}
