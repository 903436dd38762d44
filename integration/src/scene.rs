//! What a test plays in: a folder, a broker, receivers.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use kafkamq_testbed::receiver::HandleOptions;
use kafkamq_testbed::{IdSet, Receiver, Testbed};
use tempfile::TempDir;

use crate::broker::Broker;
use crate::config::Config;
use crate::kafka::{Installation, Kafka, Release};
use crate::kafkamq::Kafkamq;
use crate::paths::skip_or_fail;
use crate::producer::Producer;

/// A broker with the folder it lives in.
#[derive(Debug)]
struct Stage {
    kafka: Mutex<Kafka>,
    bootstrap: String,
    folder: TempDir,
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
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let stage = match shared.upgrade() {
            Some(stage) => stage,
            None => match Self::stage(Release::Current, true)? {
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
        let mut kafka = Kafka::prepare(&installation, folder.path())?;
        if running {
            let started = kafka.resume();
            folder.disable_cleanup(started.is_err());
            started?;
        }
        Ok(Some(Stage {
            bootstrap: kafka.bootstrap(),
            kafka: Mutex::new(kafka),
            folder,
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
