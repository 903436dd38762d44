//! What a test plays in: a folder, a broker, receivers.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kafkamq_testbed::receiver::HandleOptions;
use kafkamq_testbed::{IdSet, Receiver, Testbed};
use tempfile::TempDir;

use crate::broker::Broker;
use crate::config::Config;
use crate::kafka::{Installation, Kafka, Release};
use crate::kafkamq::Kafkamq;
use crate::node_plan::NodePlan;
use crate::paths::{Missing, skip_or_fail};
use crate::producer::Producer;
use crate::secure::Doors;

/// A broker with the folder it lives in.
#[derive(Debug)]
struct Stage {
    kafka: Mutex<Kafka>,
    bootstrap: String,
    folder: TempDir,
    /// Its listeners with security, if it has them.
    doors: Option<Doors>,
    /// Whether a test failed on it, so that its log is worth reading.
    failed: AtomicBool,
}

impl Drop for Stage {
    #[expect(clippy::print_stderr, reason = "tells where to look after a failure")]
    fn drop(&mut self) {
        if self.failed.load(Ordering::Relaxed) {
            self.folder.disable_cleanup(true);
            eprintln!(
                "the broker's files are kept in {}",
                self.folder.path().display()
            );
        }
    }
}

/// The broker that tests of one process share, as long as one of them runs.
static SHARED: Mutex<Weak<Stage>> = Mutex::new(Weak::new());

/// The same for the broker with security.
static SECURED: Mutex<Weak<Stage>> = Mutex::new(Weak::new());

/// One test's surroundings. Folder and logs are removed only if [`Scene::passed`] was called.
#[derive(Debug)]
pub struct Scene {
    name: String,
    folder: Option<TempDir>,
    dir: PathBuf,
    stage: Arc<Stage>,
    /// The receivers.
    pub testbed: Testbed,
}

impl Scene {
    /// A scene whose broker other tests use, too. `None` if the machine lacks something, which was
    /// said.
    ///
    /// # Errors
    /// The broker does not start; in CI also if the machine lacks something.
    pub fn shared(name: &str) -> Result<Option<Self>> {
        Self::sharing(name, &SHARED, || Self::stage(Release::Current, true))
    }

    /// The same with a broker that has listeners with security and an authorizer; see
    /// [`Scene::doors`].
    ///
    /// # Errors
    /// As for [`Scene::shared`].
    pub fn secured(name: &str) -> Result<Option<Self>> {
        Self::sharing(name, &SECURED, Self::secured_stage)
    }

    fn sharing(
        name: &str,
        shared: &Mutex<Weak<Stage>>,
        set: impl FnOnce() -> Result<Option<Stage>>,
    ) -> Result<Option<Self>> {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let stage = match shared.upgrade() {
            Some(stage) => stage,
            None => match set()? {
                Some(stage) => Arc::new(stage),
                None => return Ok(None),
            },
        };
        *shared = Arc::downgrade(&stage);
        drop(shared);
        Self::on(name, stage).map(Some)
    }

    /// A scene with a broker of its own, of this release.
    ///
    /// # Errors
    /// As for [`Scene::shared`].
    pub fn alone(name: &str, release: Release) -> Result<Option<Self>> {
        match Self::stage(release, true)? {
            Some(stage) => Self::on(name, Arc::new(stage)).map(Some),
            None => Ok(None),
        }
    }

    /// A scene whose broker is prepared and not started.
    ///
    /// # Errors
    /// As for [`Scene::shared`].
    pub fn without_broker(name: &str) -> Result<Option<Self>> {
        match Self::stage(Release::Current, false)? {
            Some(stage) => Self::on(name, Arc::new(stage)).map(Some),
            None => Ok(None),
        }
    }

    fn stage(release: Release, running: bool) -> Result<Option<Stage>> {
        Self::planned_stage(release, running, |_| Ok(Ok((None, NodePlan::single()?))))
    }

    fn secured_stage() -> Result<Option<Stage>> {
        Self::planned_stage(Release::Current, true, |dir| {
            let planned = Doors::plan(&dir.join("certificates"))?;
            Ok(planned.map(|(doors, plan)| (Some(doors), plan)))
        })
    }

    fn planned_stage(
        release: Release,
        running: bool,
        plan: impl FnOnce(&Path) -> Result<Result<(Option<Doors>, NodePlan), Missing>>,
    ) -> Result<Option<Stage>> {
        let installation = match Installation::of(release.version())? {
            Ok(installation) => installation,
            Err(missing) => {
                skip_or_fail(&missing)?;
                return Ok(None);
            }
        };
        let mut folder = tempfile::Builder::new()
            .prefix("kafkamq-kafka-")
            .tempdir()?;
        let (doors, plan) = match plan(folder.path())? {
            Ok(planned) => planned,
            Err(missing) => {
                skip_or_fail(&missing)?;
                return Ok(None);
            }
        };
        let mut kafka = Kafka::planned(&installation, folder.path(), plan)?;
        if running {
            let started = kafka.resume();
            folder.disable_cleanup(started.is_err());
            started?;
        }
        Ok(Some(Stage {
            bootstrap: kafka.bootstrap(),
            kafka: Mutex::new(kafka),
            folder,
            doors,
            failed: AtomicBool::new(false),
        }))
    }

    fn on(name: &str, stage: Arc<Stage>) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("kafkamq-{name}-"))
            .tempdir()?;
        Ok(Self {
            name: name.to_owned(),
            dir: folder.path().to_owned(),
            folder: Some(folder),
            stage,
            testbed: Testbed::start(HandleOptions::default())?,
        })
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its consumer group.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.name
    }

    /// The address of the broker.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.stage.bootstrap
    }

    /// The broker's listeners with security.
    ///
    /// # Errors
    /// It has none.
    pub fn doors(&self) -> Result<&Doors> {
        self.stage.doors.as_ref().context("the broker has no doors")
    }

    /// The broker's process; stop it only in a scene that has it alone.
    pub fn kafka(&self) -> MutexGuard<'_, Kafka> {
        self.stage
            .kafka
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A client for administration.
    ///
    /// # Errors
    /// The client library refuses.
    pub fn broker(&self) -> Result<Broker> {
        Broker::at(self.bootstrap())
    }

    /// A producer without compression.
    ///
    /// # Errors
    /// The client library refuses.
    pub fn producer(&self) -> Result<Producer> {
        Producer::new(self.bootstrap(), "none")
    }

    /// Creates a topic whose name begins with the scene's, and returns its name.
    ///
    /// # Errors
    /// The broker refuses.
    pub fn topic(&self, suffix: &str, partitions: i32) -> Result<String> {
        let name = format!("{}-{suffix}", self.name);
        self.broker()?.create_topic(&name, partitions)?;
        Ok(name)
    }

    /// A configuration with the scene's group; points go to the DataKit stand-in.
    #[must_use]
    pub fn config(&self) -> Config {
        Config::new(
            self.bootstrap(),
            self.group(),
            &self.testbed.datakit.url(""),
        )
    }

    /// Puts a script for log topics into place.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn script(&self, name: &str, text: &str) -> Result<()> {
        let folder = self.dir.join("pipeline");
        std::fs::create_dir_all(&folder)?;
        Ok(std::fs::write(folder.join(name), text)?)
    }

    /// Starts a service in the scene's folder.
    ///
    /// # Errors
    /// It does not start.
    pub fn kafkamq(&self, config: &Config, name: &str) -> Result<Kafkamq> {
        Kafkamq::start(config, &self.dir, name)
    }

    /// Waits until `receiver` has every id of `expected`.
    ///
    /// # Errors
    /// Some are missing when `limit` is over; the message names the first.
    pub fn await_all(&self, receiver: &Receiver, expected: &IdSet, limit: Duration) -> Result<()> {
        let ledger = receiver.ledger();
        let count = expected.iter().count() as u64;
        if !ledger.wait_until(limit, |ledger| ledger.total() >= count) {
            bail!(
                "{} of {count} ids arrived within {limit:?}; first missing: {:?}",
                ledger.total(),
                ledger.missing(expected, 5),
            );
        }
        let missing = ledger.missing(expected, 5);
        ensure!(missing.is_empty(), "missing: {missing:?}");
        Ok(())
    }

    /// Ends a test that showed what it should: nothing of it is kept.
    pub fn passed(mut self) {
        if let Some(folder) = self.folder.take() {
            // What cannot be removed lies in the system's temporary folder.
            let _removed = folder.close();
        }
    }
}

impl Drop for Scene {
    #[expect(clippy::print_stderr, reason = "tells where to look after a failure")]
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take() {
            self.stage.failed.store(true, Ordering::Relaxed);
            eprintln!(
                "{}: its files are kept in {}",
                self.name,
                folder.keep().display()
            );
        }
    }
}
