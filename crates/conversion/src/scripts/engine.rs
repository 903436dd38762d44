//! The engine of the scripts with the services the settings name, and the files these are made of.
//!
//! Tables and address database are read again when their content changes. A look compares what the file
//! system says about the files, and only where that differs their content. Files that cannot be
//! used are named once, and what was read before stays.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kafkamq_memory::Account;
use kafkamq_pipeline::aggregate::Aggregator;
use kafkamq_pipeline::cache::KeptMemory;
use kafkamq_pipeline::http::{ClientLimits, GuardedClient, HttpAccess, HttpPolicy};
use kafkamq_pipeline::net::GeoDatabase;
use kafkamq_pipeline::refer_table::{ReferTables, TableSet};
use kafkamq_pipeline::time::Abbreviations;
use kafkamq_pipeline::{Engine, Limits};
use kafkamq_settings::PipelineSettings;
use sha2::{Digest as _, Sha256};

use super::ScriptsError;

/// Longest request of a script; a script holds up its parser meanwhile.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
/// Least memory of one run, in bytes: any less would stop ordinary scripts.
const MIN_RUN: u64 = 1 << 20;

/// What scripts may take of the memory of the service.
#[derive(Debug, Clone)]
pub(super) struct ScriptMemory {
    /// For what a run keeps, in bytes, on one thread.
    pub(super) run: u64,
    /// For groups of aggregation and points given out.
    pub(super) aggregation: Arc<Account>,
    /// For caches and windows.
    pub(super) kept: Arc<Account>,
}

impl ScriptMemory {
    /// Shares out an account: its limit once over the threads that run scripts, and once for what
    /// scripts leave behind.
    pub(super) fn of(account: &Arc<Account>, threads: usize) -> Self {
        let limit = account.limit();
        Self {
            run: (limit / threads.max(1))
                .try_into()
                .unwrap_or(u64::MAX)
                .max(MIN_RUN),
            aggregation: account.child("aggregation", limit / 2),
            kept: account.child("caches and windows", limit / 2),
        }
    }
}

/// A new engine, and the files its services are made of.
pub(super) fn engine(
    settings: &PipelineSettings,
    aggregator: &Aggregator,
    memory: &ScriptMemory,
) -> Result<(Engine, Files), ScriptsError> {
    let mut engine = Engine::new()
        .with_limits(Limits {
            memory: memory.run,
            ..Limits::default()
        })
        .with_service(Arc::new(KeptMemory(Arc::clone(&memory.kept))))
        .with_service(Arc::new(aggregator.clone()));
    if !settings.time_zones.is_empty() {
        let abbreviations = Abbreviations::with(&settings.time_zones)?;
        engine = engine.with_service(Arc::new(abbreviations));
    }
    let mut files = Files::default();
    if let Some(path) = &settings.geoip_file {
        let mut source = Source::new(path);
        source.loaded = source.look();
        let database = Arc::new(GeoDatabase::open(path, None)?);
        engine = engine.with_service(Arc::clone(&database));
        files.addresses = Some((database, source));
    }
    if let Some(path) = &settings.refer_tables {
        let mut source = Source::new(path);
        source.loaded = source.look();
        let tables = Arc::new(ReferTables::new());
        tables.replace(refer_tables(path)?);
        engine = engine.with_service(Arc::clone(&tables));
        files.tables = Some((tables, source));
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
    Ok((engine, files))
}

/// The content of a file or folder.
type ContentDigest = [u8; 32];

/// The files that services of the engine were made of.
#[derive(Debug, Default)]
pub(super) struct Files {
    tables: Option<(Arc<ReferTables>, Source)>,
    addresses: Option<(Arc<GeoDatabase>, Source)>,
}

/// New content of files, read and not in force.
#[derive(Default)]
pub(super) struct Renewed {
    tables: Option<(TableSet, ContentDigest)>,
    addresses: Option<(GeoDatabase, ContentDigest)>,
}

impl Renewed {
    /// What is new, in words.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let tables = self.tables.is_some().then_some("reference tables");
        let addresses = self.addresses.is_some().then_some("address database");
        tables.into_iter().chain(addresses)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names().next().is_none()
    }
}

impl Files {
    /// Digests of files whose content differs from what is in force and was not refused before.
    pub(super) fn changed(&mut self) -> Vec<ContentDigest> {
        let tables = self.tables.as_mut().map(|(_, source)| source);
        let addresses = self.addresses.as_mut().map(|(_, source)| source);
        let sources = tables.into_iter().chain(addresses);
        sources.filter_map(Source::changed).collect()
    }

    /// Reads what changed. Files that cannot be used are named in the log, once for each content.
    pub(super) fn renew(&mut self) -> Renewed {
        let mut renewed = Renewed::default();
        if let Some((_, source)) = &mut self.tables {
            renewed.tables = source.renew("reference tables", refer_tables);
        }
        if let Some((_, source)) = &mut self.addresses {
            let open = |path: &Path| Ok(GeoDatabase::open(path, None)?);
            renewed.addresses = source.renew("address database", open);
        }
        renewed
    }

    /// Puts what was read into force.
    pub(super) fn adopt(&mut self, renewed: Renewed) {
        if let (Some((tables, source)), Some((new, digest))) = (&mut self.tables, renewed.tables) {
            let rows: usize = new.summary().map(|(_, rows)| rows).sum();
            tables.replace(new);
            source.loaded = Some(digest);
            tracing::info!(folder = %source.path.display(), rows, "reference tables were read again");
        }
        if let (Some((database, source)), Some((new, digest))) =
            (&mut self.addresses, renewed.addresses)
        {
            database.replace(new);
            source.loaded = Some(digest);
            tracing::info!(file = %source.path.display(), "the address database was read again");
        }
    }
}

/// What the file system says about a file: name, length, time of change, place.
type Stamp = Vec<(PathBuf, u64, i64, i64, u64, u64)>;

/// A file, or a folder of tables.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    stamp: Option<Stamp>,
    /// The content when the stamp was taken.
    seen: Option<ContentDigest>,
    /// The content that is in force.
    loaded: Option<ContentDigest>,
    /// The content that could not be used.
    refused: Option<ContentDigest>,
}

impl Source {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            stamp: None,
            seen: None,
            loaded: None,
            refused: None,
        }
    }

    /// The digest of the content as it is now; `None` while it cannot be read.
    fn look(&mut self) -> Option<ContentDigest> {
        let stamp = stamp(&self.path);
        if stamp.is_none() || stamp != self.stamp {
            self.seen = digest(&self.path);
            self.stamp = stamp;
        }
        self.seen
    }

    /// The digest of the content if it is new.
    fn changed(&mut self) -> Option<ContentDigest> {
        let seen = self.look();
        seen.filter(|_| seen != self.loaded && seen != self.refused)
    }

    fn renew<T>(
        &mut self,
        what: &str,
        read: impl FnOnce(&Path) -> Result<T, ScriptsError>,
    ) -> Option<(T, ContentDigest)> {
        let digest = self.changed()?;
        match read(&self.path) {
            Ok(new) => Some((new, digest)),
            Err(error) => {
                tracing::error!(%error, "new {what} cannot be used; those read before stay");
                self.refused = Some(digest);
                None
            }
        }
    }
}

/// The files of a source: itself, or the tables of the folder in the order of their names.
fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(path)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    files.sort();
    Ok(files)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let one = |path: PathBuf| {
        let of: Metadata = std::fs::metadata(&path).ok()?;
        Some((
            path,
            of.len(),
            of.mtime(),
            of.mtime_nsec(),
            of.dev(),
            of.ino(),
        ))
    };
    files(path).ok()?.into_iter().map(one).collect()
}

fn digest(path: &Path) -> Option<ContentDigest> {
    let mut digest = Sha256::new();
    for file in files(path).ok()? {
        let content = std::fs::read(&file).ok()?;
        digest.update(file.as_os_str().as_encoded_bytes());
        digest.update(content.len().to_le_bytes());
        digest.update(&content);
    }
    Some(digest.finalize().into())
}

/// All tables of the `*.json` files of a folder, in the order of the file names.
fn refer_tables(folder: &Path) -> Result<TableSet, ScriptsError> {
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |source| ScriptsError::File { path, source }
    };
    let mut tables: Vec<serde_json::Value> = Vec::new();
    for path in &files(folder).map_err(file_error(folder))? {
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

#[cfg(test)]
mod tests {
    use kafkamq_pipeline::RunState;
    use kafkamq_point::{Category, Point};
    use kafkamq_settings::{PipelineSettings, Sources, load};

    use super::super::Scripts;

    /// Scripts of a folder with further lines of `[pipeline]`.
    fn settings(folder: &std::path::Path, more: &str) -> PipelineSettings {
        let text = format!("[pipeline]\npath = \"{}\"\n{more}\n", folder.display());
        let loaded = load(&Sources::new().text("test", text));
        loaded.unwrap().settings.pipeline
    }

    #[test]
    fn abbreviations_of_zones_mean_what_the_settings_say_also_after_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let script = "add_key(time, \"2024-01-02 03:04:05 CST\")\ndefault_time(time)";
        std::fs::write(folder.path().join("a.p"), script).unwrap();
        let time = |scripts: &Scripts| {
            let snapshot = scripts.snapshot();
            let script = snapshot.get(Category::Logging, "a.p").unwrap();
            let mut point = Point::new("t", Category::Logging, 1);
            script.run(&mut point, &mut RunState::new());
            point.time_ns() / 1_000_000_000
        };
        let china = 1_704_135_845;
        let (scripts, _) = Scripts::load(&settings(folder.path(), "")).unwrap();
        assert_eq!(time(&scripts), china);

        let chicago = settings(folder.path(), "time_zones = { CST = \"-06:00\" }");
        let prepared = scripts.prepare(&chicago).unwrap();
        assert!(prepared.changes_engine());
        scripts.commit(prepared);
        let _revision = scripts.begin();
        assert_eq!(time(&scripts), china + 14 * 3600);

        let unknown = settings(folder.path(), "time_zones = { CST = \"Mars/Base\" }");
        let error = scripts.prepare(&unknown).err().unwrap().to_string();
        assert!(
            error.contains("pipeline.time_zones") && error.contains("Mars/Base"),
            "{error}"
        );
    }

    const TABLE: &str = r#"[{"table_name": "users", "column_name": ["id", "name"], "column_type": ["string", "string"], "row_data": [["u1", "NAME"]]}]"#;

    /// The name that the table has for `u1`.
    fn name(scripts: &Scripts) -> String {
        let snapshot = scripts.snapshot();
        let script = snapshot.get(Category::Logging, "a.p").unwrap();
        let mut point = Point::new("t", Category::Logging, 1);
        script.run(&mut point, &mut RunState::new());
        let name = point.get("name").and_then(|entry| entry.value.as_str());
        name.unwrap_or_default().to_owned()
    }

    #[test]
    fn reference_tables_are_read_again_and_broken_ones_leave_those_before() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            std::fs::write(folder.path().join(file), text).unwrap();
        };
        write("a.p", "query_refer_table(\"users\", \"id\", \"u1\")");
        write("users.json", &TABLE.replace("NAME", "ann"));
        let at = folder.path().display();
        let text = format!("[pipeline]\npath = \"{at}\"\nrefer_tables = \"{at}\"\n");
        let settings = load(&Sources::new().text("test", text)).unwrap().settings;
        let settings = settings.pipeline;
        let (scripts, _) = Scripts::load(&settings).unwrap();
        assert_eq!(name(&scripts), "ann");
        assert_eq!(scripts.changed(), None);

        write("users.json", &TABLE.replace("NAME", "barbara"));
        assert!(scripts.changed().is_some());
        let prepared = scripts.prepare(&settings).unwrap();
        assert!(prepared.is_change() && !prepared.changes_engine());
        assert_eq!(name(&scripts), "ann");
        scripts.commit(prepared);
        assert_eq!(name(&scripts), "barbara");
        assert_eq!(scripts.changed(), None);

        write("users.json", "no table at all");
        assert!(scripts.changed().is_some());
        assert!(!scripts.prepare(&settings).unwrap().is_change());
        // Said once: the same content is not looked at again.
        assert_eq!(scripts.changed(), None);
        assert_eq!(name(&scripts), "barbara");

        write("users.json", &TABLE.replace("NAME", "cleopatra"));
        scripts.commit(scripts.prepare(&settings).unwrap());
        assert_eq!(name(&scripts), "cleopatra");
    }
}
