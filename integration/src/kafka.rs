//! Real Apache Kafka: fetches its jars once, formats a KRaft node, starts and stops it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::await_until::until;
use crate::broker::Broker;
use crate::guarded::Guarded;
use crate::node_plan::NodePlan;
use crate::paths::{Missing, cache, home};

/// One download at a time.
static FETCHING: Mutex<()> = Mutex::new(());

const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Formats storage; any well-formed id will do.
const CLUSTER_ID: &str = "a2Fma2FtcS1pbnRlZ3Jh";

/// The versions that tests run against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The newest 4.x.
    Current,
    /// The last 3.x.
    Previous,
}

impl Release {
    /// Its version on Maven Central.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::Current => "4.4.0",
            Self::Previous => "3.9.2",
        }
    }
}

/// The jars of one version, and the Java that runs them.
#[derive(Debug, Clone)]
pub struct Installation {
    jars: PathBuf,
}

impl Installation {
    /// Fetches the jars through Maven, unless the cache has them. The inner error tells what the
    /// machine lacks: Java, Maven, or the way to Maven Central.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn of(version: &str) -> Result<Result<Self, Missing>> {
        if !runs("java", "-version") {
            return Ok(Err(Missing("there is no `java`".to_owned())));
        }
        let jars = cache().join("jars").join(version);
        let _fetching = FETCHING.lock();
        if jars.is_dir() {
            return Ok(Ok(Self { jars }));
        }
        if !runs("mvn", "-version") {
            return Ok(Err(Missing(
                "there is no `mvn` to fetch Kafka's jars with".to_owned(),
            )));
        }
        // The folder gets its name when it is complete.
        let part = cache().join(format!("{version}.part-{}", std::process::id()));
        let fetched = Command::new("mvn")
            .args(["-B", "-q", "dependency:copy-dependencies"])
            .arg(format!("-Dkafka.version={version}"))
            .arg(format!("-Dkafka.jars={}", part.display()))
            .arg("-f")
            .arg(home().join("kafka/pom.xml"))
            .stdin(Stdio::null())
            .output()?;
        if !fetched.status.success() {
            let said = String::from_utf8_lossy(&fetched.stdout);
            let said = said.lines().next().unwrap_or("it did not say why");
            return Ok(Err(Missing(format!(
                "Maven cannot fetch Kafka {version}: {said}"
            ))));
        }
        std::fs::create_dir_all(cache().join("jars"))?;
        if let Err(error) = std::fs::rename(&part, &jars) {
            // Another process was faster.
            std::fs::remove_dir_all(&part)?;
            if !jars.is_dir() {
                return Err(error).context("Kafka's jars cannot be put in place");
            }
        }
        Ok(Ok(Self { jars }))
    }

    fn java(&self, heap: &str, main: &str, arguments: &[&str]) -> Vec<String> {
        let classes = format!("{}/*", self.jars.display());
        [
            heap,
            "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-cp",
            &classes,
            main,
        ]
        .iter()
        .chain(arguments)
        .map(ToString::to_string)
        .collect()
    }
}

fn runs(program: &str, argument: &str) -> bool {
    Command::new(program)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A single node, broker and controller in one, on loopback.
#[derive(Debug)]
pub struct Kafka {
    installation: Installation,
    dir: PathBuf,
    plan: NodePlan,
    process: Option<Guarded>,
}

impl Kafka {
    /// Formats storage in `dir`, starts the node and waits until it answers.
    ///
    /// # Errors
    /// It does not start; the message holds the end of its log.
    pub fn start(installation: &Installation, dir: &Path) -> Result<Self> {
        let mut kafka = Self::prepare(installation, dir)?;
        kafka.resume()?;
        Ok(kafka)
    }

    /// Formats storage in `dir` and chooses an address, but starts nothing yet.
    ///
    /// # Errors
    /// The storage cannot be formatted.
    pub fn prepare(installation: &Installation, dir: &Path) -> Result<Self> {
        Self::planned(installation, dir, NodePlan::single()?)
    }

    /// The same for a node of another kind.
    ///
    /// # Errors
    /// The storage cannot be formatted.
    pub fn planned(installation: &Installation, dir: &Path, plan: NodePlan) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let data = dir.join("data");
        let file = dir.join("server.properties");
        std::fs::write(&file, plan.properties(&data)?)?;
        if !data.join("meta.properties").is_file() {
            let file = file.to_string_lossy();
            let mut arguments = vec!["format", "-t", CLUSTER_ID, "-c", &file];
            arguments.extend(plan.format_arguments().iter().map(String::as_str));
            let formatted = Command::new("java")
                .args(installation.java("-Xmx128m", "kafka.tools.StorageTool", &arguments))
                .stdin(Stdio::null())
                .output()?;
            if !formatted.status.success() {
                bail!(
                    "Kafka's storage cannot be formatted: {}{}",
                    String::from_utf8_lossy(&formatted.stdout),
                    String::from_utf8_lossy(&formatted.stderr)
                );
            }
        }
        Ok(Self {
            installation: installation.clone(),
            dir: dir.to_owned(),
            plan,
            process: None,
        })
    }

    /// `127.0.0.1:PORT`; stays the same over restarts.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.plan.bootstrap()
    }

    /// The process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Guarded::pid)
    }

    /// A client for topics and groups.
    ///
    /// # Errors
    /// The client library refuses.
    pub fn broker(&self) -> Result<Broker> {
        Broker::at(&self.bootstrap())
    }

    /// Starts the node, if it is not running, and waits until it answers.
    ///
    /// # Errors
    /// It does not start; the message holds the end of its log.
    pub fn resume(&mut self) -> Result<()> {
        self.launch()?;
        self.await_answer()
    }

    /// Starts the node, if it is not running, and does not wait.
    ///
    /// # Errors
    /// Java does not start.
    pub fn launch(&mut self) -> Result<()> {
        if self.process.as_mut().is_some_and(Guarded::is_running) {
            return Ok(());
        }
        let properties = self.dir.join("server.properties");
        let arguments = self.installation.java(
            self.plan.java_heap(),
            "kafka.Kafka",
            &[&properties.to_string_lossy()],
        );
        let log = self.dir.join("kafka.log");
        self.process = Some(Guarded::start(Path::new("java"), &arguments, &log)?);
        Ok(())
    }

    /// Waits until a node that was launched answers.
    ///
    /// # Errors
    /// It does not; the message holds the end of its log.
    pub fn await_answer(&mut self) -> Result<()> {
        let broker = self.broker()?;
        let process = self.process.as_mut().context("Kafka was not started")?;
        let ready = until("Kafka to answer", START_LIMIT, || {
            if !process.is_running() {
                bail!("Kafka ended");
            }
            Ok(broker.answers(Duration::from_millis(500)).then_some(()))
        });
        if let Err(error) = ready {
            let log = process.output().unwrap_or_default();
            let tail: Vec<_> = log.lines().rev().take(25).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            self.process = None;
            return Err(error.context(tail.join("\n")));
        }
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.signal("TERM")?;
            if process.wait(STOP_LIMIT)?.is_none() {
                bail!("Kafka does not stop");
            }
        }
        Ok(())
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// It was not running.
    pub fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill(),
            None => bail!("Kafka is not running"),
        }
    }

    /// Stops it in order and starts it again, at the same address and with its data.
    ///
    /// # Errors
    /// It does not stop or does not start.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.resume()
    }
}
