//! Changing the configuration while records flow.
//!
//! Whoever asks for a change (a request, a signal, a file on disk) goes through
//! [`Reconfiguration::change`], one at a time: the wanted document is read and checked whole, a
//! [`Plan`] of the difference is made, everything that can fail is done beside the running service,
//! and only then the router changes over. A change that is refused has changed nothing, and all that
//! is wrong with it is said at once.
//!
//! What is in force has a number, and the latest revisions are remembered with their author and
//! their difference, to go back to. The last change wins, whoever made it: files that change on disk
//! replace what was asked for over HTTP, and the other way round.

mod finding;
mod guard;
pub(crate) mod plan;
pub(crate) mod revisions;
mod state;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub(crate) use self::finding::Finding;
pub(crate) use self::plan::Plan;
pub(crate) use self::revisions::{Change, ConfigurationOrigin, History, Revision};
pub(crate) use self::state::Beginning;
use crate::actors::{Prepared, Router};
use crate::metrics::Metrics;
use kafkamq_settings::{
    ChangeBy, Diagnostics, Document, Loaded, ServerSettings, Settings, Severity, Sources, load,
    load_change,
};

/// What a change asks for.
#[derive(Clone)]
pub(crate) enum Wanted {
    /// This document instead of the one in force; masks keep the secrets that are there.
    Document(Sources),
    /// The document in force with this merge patch (RFC 7396).
    Patch(Value),
    /// An earlier revision.
    Revision(u64),
    /// What the files say.
    Files,
    /// The document in force, with scripts and other files as they are now.
    Same,
}

/// Who asks for a change, and under which conditions.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Name of the token, or what else it is known by.
    pub(crate) author: String,
    /// What caused it.
    pub(crate) origin: ConfigurationOrigin,
    /// The revisions that the change is meant for, as [`Current::etag`] names them; `None` takes any.
    pub(crate) if_match: Option<Vec<String>>,
    /// Only say what would happen.
    pub(crate) dry_run: bool,
}

/// What came of a change.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Outcome {
    /// Number of the revision in force now.
    pub(crate) revision: u64,
    /// Whether nothing was done because that was asked for.
    pub(crate) dry_run: bool,
    /// What was or would be done.
    pub(crate) plan: Plan,
    /// The keys that differ.
    pub(crate) changes: Vec<Change>,
    /// What the operator should know all the same.
    pub(crate) warnings: Vec<Finding>,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// The configuration is not accepted, for these reasons.
    #[error("the configuration is not accepted: {}", told(.0))]
    Invalid(Vec<Finding>),
    /// Another revision is in force than the change was made for.
    #[error("the configuration has changed meanwhile; it is {0} now")]
    Changed(String),
    /// No such revision is remembered.
    #[error("revision {0} is not remembered")]
    Unknown(u64),
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
}

impl Refusal {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Changed(_) => "conflict",
            Self::Unknown(_) => "unknown",
            Self::Stopping => "stopping",
        }
    }
}

/// Errors that one line lists.
const TOLD: usize = 3;

/// The first errors with their places, and how many more there are.
fn told(findings: &[Finding]) -> String {
    let errors = || {
        findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
    };
    let first: Vec<_> = errors().take(TOLD).map(ToString::to_string).collect();
    let text = first.join("; ");
    match errors().count().saturating_sub(TOLD) {
        0 => text,
        more => format!("{text}; and {more} more"),
    }
}

/// The configuration in force.
pub(crate) struct Current {
    /// Its number.
    pub(crate) revision: u64,
    /// Changes with every revision, over restarts too; quoted, as HTTP wants it.
    pub(crate) etag: String,
    /// What was asked for.
    pub(crate) document: Arc<Document>,
    /// What the process works with: some keys wait for the next start.
    pub(crate) settings: Arc<Settings>,
    /// What caused it.
    pub(crate) origin: ConfigurationOrigin,
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current")
            .field("revision", &self.revision)
            .field("etag", &self.etag)
            .finish_non_exhaustive()
    }
}

impl Current {
    fn new(
        revision: u64,
        document: Document,
        settings: Arc<Settings>,
        origin: ConfigurationOrigin,
    ) -> Self {
        // Of what may be shown, so that the tag tells nothing about secrets.
        let digest = Sha256::digest(document.masked().to_string());
        let short = digest.iter().take(6).map(|byte| format!("{byte:02x}"));
        Self {
            revision,
            etag: format!("\"{revision}-{}\"", short.collect::<String>()),
            document: Arc::new(document),
            settings,
            origin,
        }
    }
}

/// A change that was refused last, for the status page.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Refused {
    /// Who asked for it.
    pub(crate) author: String,
    /// What caused it.
    pub(crate) origin: ConfigurationOrigin,
    /// When, in RFC 3339.
    pub(crate) time: String,
    /// Why it was refused.
    pub(crate) reason: String,
}

/// What the status page says about the configuration.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct ConfigurationStatus {
    /// Number of the revision in force.
    pub(crate) revision: u64,
    /// Who asked for it.
    pub(crate) author: String,
    /// What caused it.
    pub(crate) origin: ConfigurationOrigin,
    /// When it came into force, in RFC 3339.
    pub(crate) time: String,
    /// Whether it is what the files say: `files`, or `run_time` after a change over HTTP.
    pub(crate) source: &'static str,
    /// What decides at the next start, in one sentence.
    pub(crate) next_start: &'static str,
    /// The change that was refused last, unless one succeeded since.
    pub(crate) last_refused: Option<Refused>,
}

/// Owner of the configuration in force. Clones share it.
#[derive(Clone)]
pub(crate) struct Reconfiguration {
    inner: Arc<Inner>,
}

struct Inner {
    router: Router,
    metrics: Metrics,
    /// Files and environment, as at the start.
    sources: Sources,
    current: ArcSwap<Current>,
    memory: Mutex<Memory>,
    /// Told of every configuration that comes into force.
    listeners: Mutex<Vec<Listener>>,
    /// Held while a change is under way.
    turn: tokio::sync::Mutex<()>,
}

/// Hears of a configuration that has come into force.
type Listener = Box<dyn Fn(&Settings) + Send + Sync>;

#[derive(Default)]
struct Memory {
    history: History,
    /// Digest of the files as they were taken up last, or refused.
    files: String,
    refused: Option<Refused>,
}

impl fmt::Debug for Reconfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconfiguration")
            .field("current", &*self.inner.current.load())
            .finish_non_exhaustive()
    }
}

impl Reconfiguration {
    /// Takes charge of the configuration that `router` was started with.
    #[must_use]
    pub(crate) fn new(
        router: Router,
        metrics: Metrics,
        beginning: Beginning,
        sources: Sources,
    ) -> Self {
        let Beginning {
            loaded,
            earlier,
            resumed,
            files,
            ..
        } = beginning;
        let settings = Arc::new(loaded.settings);
        let limit = settings.server.revisions;
        let mut memory = Memory {
            files: files.clone(),
            ..Memory::default()
        };
        let last = earlier.last().map_or(0, |last| last.number);
        for revision in earlier {
            memory.history.push(revision, limit);
        }
        let (number, origin) = match resumed {
            Some(number) => (number, ConfigurationOrigin::Http),
            None => (last + 1, ConfigurationOrigin::Start),
        };
        if resumed.is_none() {
            let revision = Revision {
                number,
                author: origin.as_str().to_owned(),
                origin,
                time: now(),
                summary: "the process started".to_owned(),
                result: "in force".to_owned(),
                seconds: 0.0,
                files,
                changes: Vec::new(),
                document: loaded.document.without_environment(),
            };
            memory.history.push(revision, limit);
        }
        metrics.config_last_reload_success.set(1);
        metrics
            .config_revision
            .set(i64::try_from(number).unwrap_or(i64::MAX));
        let folder = settings.server.state_dir.clone();
        keep(folder.as_deref(), &memory.history);
        let current = Current::new(number, loaded.document, settings, origin);
        Self {
            inner: Arc::new(Inner {
                router,
                metrics,
                sources,
                current: ArcSwap::from_pointee(current),
                memory: Mutex::new(memory),
                listeners: Mutex::default(),
                turn: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// Has `listener` told of every configuration that comes into force from now on.
    pub(crate) fn listen(&self, listener: impl Fn(&Settings) + Send + Sync + 'static) {
        self.inner.listeners.lock().push(Box::new(listener));
    }

    /// The configuration in force.
    #[must_use]
    pub(crate) fn current(&self) -> Arc<Current> {
        self.inner.current.load_full()
    }

    /// The sources that the environment alone makes, to lay a document under.
    #[must_use]
    pub(crate) fn environment(&self) -> Sources {
        self.inner.sources.only_environment()
    }

    /// The remembered revisions, newest first.
    #[must_use]
    pub(crate) fn revisions(&self) -> Vec<Revision> {
        let memory = self.inner.memory.lock();
        memory.history.iter().rev().cloned().collect()
    }

    /// For the status page.
    #[must_use]
    pub(crate) fn status(&self) -> ConfigurationStatus {
        let current = self.current();
        let memory = self.inner.memory.lock();
        let last = memory.history.get(current.revision);
        let run_time = current.origin.is_run_time();
        ConfigurationStatus {
            revision: current.revision,
            author: last.map(|last| last.author.clone()).unwrap_or_default(),
            origin: current.origin,
            time: last.map(|last| last.time.clone()).unwrap_or_default(),
            source: if run_time { "run_time" } else { "files" },
            next_start: match (run_time, &current.settings.server.state_dir) {
                (false, _) => "the files decide",
                (true, None) => "the files decide, and this revision is forgotten",
                (true, Some(_)) => {
                    "this revision stays in force, unless the files have changed by then"
                }
            },
            last_refused: memory.refused.clone(),
        }
    }

    /// Makes a change, or says what it would do.
    ///
    /// # Errors
    /// Why it was refused; nothing has changed then.
    pub(crate) async fn change(
        &self,
        wanted: Wanted,
        request: Request,
    ) -> Result<Outcome, Refusal> {
        let this = self.clone();
        // Whoever asks may go away; a change that has begun is brought to its end all the same.
        let change = actix_rt::spawn(async move { this.one_change(wanted, request).await });
        change.await.unwrap_or(Err(Refusal::Stopping))
    }

    async fn one_change(&self, wanted: Wanted, request: Request) -> Result<Outcome, Refusal> {
        let began = Instant::now();
        let _turn = self.inner.turn.lock().await;
        let outcome = self.attempt(wanted, &request, began).await;
        if request.dry_run {
            return outcome;
        }
        let metrics = &self.inner.metrics;
        let result = match &outcome {
            Ok(outcome) => {
                metrics.config_reload_seconds.observe(outcome.seconds);
                self.inner.memory.lock().refused = None;
                "applied"
            }
            Err(refusal) => {
                tracing::error!(
                    author = request.author, origin = request.origin.as_str(), %refusal,
                    "a change of the configuration was refused; everything runs on as it was"
                );
                self.inner.memory.lock().refused = Some(Refused {
                    author: request.author.clone(),
                    origin: request.origin,
                    time: now(),
                    reason: refusal.to_string(),
                });
                refusal.as_str()
            }
        };
        metrics
            .config_last_reload_success
            .set(i64::from(outcome.is_ok()));
        metrics
            .config_reloads
            .with_label_values(&[request.origin.as_str(), result])
            .inc();
        outcome
    }

    async fn attempt(
        &self,
        wanted: Wanted,
        request: &Request,
        began: Instant,
    ) -> Result<Outcome, Refusal> {
        let current = self.current();
        if let Some(wanted) = &request.if_match
            && !wanted.contains(&current.etag)
        {
            return Err(Refusal::Changed(current.etag.clone()));
        }
        let number = current.revision + 1;
        let inner = Arc::clone(&self.inner);
        let before = Arc::clone(&current);
        let (dry_run, origin) = (request.dry_run, request.origin);
        // Reads files, compiles scripts and makes clients, which would block the threads of actors.
        let prepared = tokio::task::spawn_blocking(move || {
            inner.load_and_prepare(&wanted, &before, number, dry_run, origin)
        });
        let (loaded, prepared, files) = prepared.await.map_err(|_| Refusal::Stopping)??;
        let plan = prepared.plan.clone();
        let changes = revisions::changes(&current.document, &loaded.document);
        let mut outcome = Outcome {
            revision: current.revision,
            dry_run: request.dry_run,
            warnings: loaded.warnings.0.iter().map(Finding::from).collect(),
            plan,
            changes,
            seconds: 0.0,
        };
        let nothing = outcome.plan.is_empty() && outcome.changes.is_empty();
        if request.dry_run
            || (nothing && current.origin.is_run_time() == request.origin.is_run_time())
        {
            outcome.seconds = began.elapsed().as_secs_f64();
            return Ok(outcome);
        }
        let settings = Arc::clone(prepared.settings());
        let adopted = self.inner.router.adopt(prepared).await;
        adopted.map_err(|_| Refusal::Stopping)?;
        outcome.revision = number;
        outcome.seconds = began.elapsed().as_secs_f64();
        let revision = Revision {
            number,
            author: request.author.clone(),
            origin: request.origin,
            time: now(),
            summary: outcome.plan.summary.clone(),
            result: "applied".to_owned(),
            seconds: outcome.seconds,
            files,
            changes: outcome.changes.clone(),
            document: loaded.document.without_environment(),
        };
        tracing::info!(
            revision = number,
            author = request.author,
            origin = request.origin.as_str(),
            seconds = outcome.seconds,
            "configuration changed: {}",
            outcome.plan.summary
        );
        for listener in &*self.inner.listeners.lock() {
            listener(&settings);
        }
        self.inner.remember(revision, &settings.server);
        let current = Current::new(number, loaded.document, settings, request.origin);
        self.inner.current.store(Arc::new(current));
        Ok(outcome)
    }
}

impl Inner {
    /// Reads what is wanted and prepares the change to revision `number`. Returns it with a digest of
    /// the files as they were before they were read.
    fn load_and_prepare(
        &self,
        wanted: &Wanted,
        before: &Current,
        number: u64,
        dry_run: bool,
        origin: ConfigurationOrigin,
    ) -> Result<(Loaded, Prepared, String), Refusal> {
        let files = self.sources.files_digest();
        if matches!(wanted, Wanted::Files) && !dry_run {
            self.memory.lock().files.clone_from(&files);
        }
        let loaded = self.read(wanted, before)?;
        let prepared = self.prepare(&loaded.settings, before, number)?;
        let (running, in_force) = (&before.settings.server, &prepared.settings().server);
        if let Some(opened) = guard::opened(running, &loaded.settings.server, in_force, origin) {
            return Err(Refusal::Invalid(vec![opened]));
        }
        Ok((loaded, prepared, files))
    }

    /// Adds `revision` to the history, in memory and in the folder of state.
    fn remember(&self, revision: Revision, server: &ServerSettings) {
        let mut memory = self.memory.lock();
        memory.history.push(revision, server.revisions);
        keep(server.state_dir.as_deref(), &memory.history);
    }

    /// Reads what is wanted, whole and checked.
    fn read(&self, wanted: &Wanted, current: &Current) -> Result<Loaded, Refusal> {
        let environment = self.sources.only_environment();
        let loaded = match wanted {
            Wanted::Files => load(&self.sources),
            Wanted::Document(sources) => load_change(sources, &current.document, ChangeBy::Caller),
            Wanted::Patch(patch) => {
                let tree = current.document.patched(patch);
                load_change(&environment.json(tree), &current.document, ChangeBy::Caller)
            }
            Wanted::Same => {
                let tree = current.document.without_environment();
                load_change(
                    &environment.json(tree),
                    &current.document,
                    ChangeBy::Operator,
                )
            }
            Wanted::Revision(number) => {
                let memory = self.memory.lock();
                let revision = memory.history.get(*number);
                let tree = revision.map(|revision| revision.document.clone());
                drop(memory);
                let tree = tree.ok_or(Refusal::Unknown(*number))?;
                load_change(
                    &environment.json(tree),
                    &current.document,
                    ChangeBy::Operator,
                )
            }
        };
        loaded.map_err(|found: Diagnostics| {
            Refusal::Invalid(found.0.iter().map(Finding::from).collect())
        })
    }

    /// Does what can fail.
    fn prepare(
        &self,
        wanted: &Settings,
        current: &Current,
        number: u64,
    ) -> Result<Prepared, Refusal> {
        let prepared = self.router.prepare(&current.settings, wanted, number);
        let prepared = prepared.map_err(|errors| {
            Refusal::Invalid(errors.iter().map(Finding::from).collect::<Vec<_>>())
        })?;
        let found = prepared
            .scripts()
            .map(finding::of_scripts)
            .unwrap_or_default();
        if found.is_empty() {
            Ok(prepared)
        } else {
            Err(Refusal::Invalid(found))
        }
    }
}

/// Writes the history where it outlives the process, if that is asked for. What is in force stays in
/// force when that fails.
fn keep(folder: Option<&std::path::Path>, history: &History) {
    if let Some(folder) = folder
        && let Err(error) = state::write(folder, history)
    {
        tracing::error!(%error, "the revisions cannot be kept; a restart goes back to the files");
    }
}

/// The time, in RFC 3339.
fn now() -> String {
    jiff::Timestamp::now().to_string()
}

#[cfg(test)]
mod tests;
