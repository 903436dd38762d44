//! The `kafkamq` binary at work.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::agents::said;
use crate::await_until::until;
use crate::config::Config;
use crate::guarded::{Ending, Guarded};
use crate::paths::{binary, free_port};

const START_LIMIT: Duration = Duration::from_secs(30);
const READY_LIMIT: Duration = Duration::from_secs(60);

/// An answer of its HTTP server.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.body)?)
    }
}

/// A running service; dropping it kills it.
#[derive(Debug)]
pub struct Kafkamq {
    process: Guarded,
    configs: Vec<PathBuf>,
    log: PathBuf,
    port: u16,
    agent: ureq::Agent,
}

impl Kafkamq {
    /// Writes `config` into `dir` and starts the service with it; returns when its HTTP server
    /// answers. `name` names its files.
    ///
    /// # Errors
    /// It does not start; the message holds its output.
    pub fn start(config: &Config, dir: &Path, name: &str) -> Result<Self> {
        let port = free_port()?;
        let file = config.write(dir, name, port)?;
        Self::start_files(vec![file], port, dir, name)
    }

    /// Starts the service with a file of somebody's own, and a second one for what has to be the
    /// test's: the server's port, the folders, and an output of kind `datakit` at `output`.
    ///
    /// # Errors
    /// It does not start; the message holds its output.
    pub fn start_with(file: &Path, output: &str, dir: &Path, name: &str) -> Result<Self> {
        let port = free_port()?;
        let own = dir.join(format!("{name}.toml"));
        std::fs::create_dir_all(dir.join("pipeline"))?;
        std::fs::write(
            &own,
            format!(
                "[server]\nlisten = \"127.0.0.1:{port}\"\n\
                 [dead_letter]\npath = \"{dir}/{name}-dead-letter\"\n\
                 [pipeline]\npath = \"{dir}/pipeline\"\n\
                 [output]\nendpoint = \"{output}\"\n",
                dir = dir.display()
            ),
        )?;
        Self::start_files(vec![file.to_owned(), own], port, dir, name)
    }

    fn start_files(configs: Vec<PathBuf>, port: u16, dir: &Path, name: &str) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .new_agent();
        let kafkamq = Self {
            process: Self::spawn(&configs, &log)?,
            configs,
            log,
            port,
            agent,
        };
        kafkamq.started()
    }

    fn program() -> Result<PathBuf> {
        match std::env::var_os("KAFKAMQ_BINARY") {
            Some(path) => Ok(PathBuf::from(path)),
            None => binary("kafkamq"),
        }
    }

    /// Starts a service that is expected to refuse its start; returns how it ended and what it said.
    ///
    /// # Errors
    /// It runs.
    pub fn refused(config: &Config, dir: &Path, name: &str) -> Result<(Ending, String)> {
        let file = config.write(dir, name, free_port()?)?;
        let mut process = Self::spawn(&[file], &dir.join(format!("{name}.log")))?;
        match process.wait(START_LIMIT)? {
            Some(ending) => Ok((ending, process.output()?)),
            None => bail!("kafkamq starts: {}", process.output()?),
        }
    }

    /// Runs another command of the binary, with the configuration of this service, to its end;
    /// returns its standard output.
    ///
    /// # Errors
    /// It fails; the message holds what it said.
    pub fn command(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(Self::program()?);
        command.args(arguments).stdin(Stdio::null());
        for config in &self.configs {
            command.arg("--config").arg(config);
        }
        let output = command.output()?;
        if !output.status.success() {
            bail!("kafkamq {arguments:?}: {}", said(&output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn spawn(configs: &[PathBuf], log: &Path) -> Result<Guarded> {
        let path = Self::program()?;
        let mut arguments = vec!["run".to_owned()];
        for config in configs {
            arguments.push("--config".to_owned());
            arguments.push(config.display().to_string());
        }
        Guarded::start(&path, &arguments, log)
    }

    fn started(mut self) -> Result<Self> {
        let outcome = until("kafkamq to answer", START_LIMIT, || {
            if let Some(ending) = self.process.wait(Duration::ZERO)? {
                bail!("kafkamq ended at once: {ending:?}");
            }
            Ok(self.get("/livez").ok())
        });
        match outcome {
            Ok(_) => Ok(self),
            Err(error) => Err(error.context(self.process.output().unwrap_or_default())),
        }
    }

    /// SIGKILL and a new process with the same configuration.
    ///
    /// # Errors
    /// It was not running or does not start again.
    pub fn kill_and_restart(mut self) -> Result<Self> {
        self.process.kill()?;
        self.start_again()
    }

    /// A new process with the same configuration, after the end of this one.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(self) -> Result<Self> {
        let next = Self {
            process: Self::spawn(&self.configs, &self.log)?,
            ..self
        };
        next.started()
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// It was not running.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Sends a signal by its name, such as `HUP`.
    ///
    /// # Errors
    /// It was not running.
    pub fn signal(&mut self, name: &str) -> Result<()> {
        self.process.signal(name)
    }

    /// SIGTERM; returns how it ended.
    ///
    /// # Errors
    /// It does not end within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<Ending> {
        self.process.signal("TERM")?;
        match self.process.wait(limit)? {
            Some(ending) => Ok(ending),
            None => bail!("kafkamq does not end within {limit:?} after SIGTERM"),
        }
    }

    /// What it wrote to its log, over all restarts.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> Result<String> {
        self.process.output()
    }

    /// The process.
    #[must_use]
    pub const fn process(&self) -> &Guarded {
        &self.process
    }

    /// Where its HTTP server listens, on loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address of a path of its HTTP server.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// `GET` of a path.
    ///
    /// # Errors
    /// No answer.
    pub fn get(&self, path: &str) -> Result<Answer> {
        let mut answer = self.agent.get(self.url(path)).call()?;
        Ok(Answer {
            status: answer.status().as_u16(),
            body: answer.body_mut().read_to_string()?,
        })
    }

    /// A request with a JSON body.
    ///
    /// # Errors
    /// No answer.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("content-type", "application/json")
            .body(body.to_string())?;
        let mut answer = self.agent.run(request)?;
        Ok(Answer {
            status: answer.status().as_u16(),
            body: answer.body_mut().read_to_string()?,
        })
    }

    /// `GET /v1/status`.
    ///
    /// # Errors
    /// No answer, or not 200.
    pub fn status(&self) -> Result<Value> {
        let answer = self.get("/v1/status")?;
        if answer.status != 200 {
            bail!("status {}: {}", answer.status, answer.body);
        }
        answer.json()
    }

    /// How many partitions are assigned to it.
    ///
    /// # Errors
    /// No answer.
    pub fn assigned(&self) -> Result<usize> {
        let status = self.status()?;
        let inputs = status["inputs"].as_array().context("no inputs")?;
        Ok(inputs
            .iter()
            .filter_map(|input| input["partitions"].as_array())
            .map(Vec::len)
            .sum())
    }

    /// Waits until it is a member of its group with `count` partitions.
    ///
    /// # Errors
    /// It is not within a minute.
    pub fn await_assigned(&self, count: usize) -> Result<()> {
        until(&format!("{count} partitions"), READY_LIMIT, || {
            Ok((self.assigned()? == count).then_some(()))
        })
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Errors
    /// It does not within a minute.
    pub fn await_ready(&self) -> Result<()> {
        let mut last = None;
        let ready = until("readiness", READY_LIMIT, || {
            let answer = self.get("/readyz")?;
            let ready = answer.status == 200;
            last = Some(answer.body);
            Ok(ready.then_some(()))
        });
        ready.with_context(|| format!("{last:?}"))
    }

    /// The sum of a metric's series that have all of `labels`; 0 if there is none.
    ///
    /// # Errors
    /// No answer.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        let text = self.get("/metrics")?.body;
        let wanted: Vec<_> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{value}\""))
            .collect();
        let values = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let rest = series.strip_prefix(name)?;
            let named = rest.is_empty() || rest.starts_with('{');
            let labelled = wanted.iter().all(|label| rest.contains(label));
            value.parse::<f64>().ok().filter(|_| named && labelled)
        });
        Ok(values.sum())
    }
}

/// What `kafkamq check --connect` finds: its exit code and the list of connections.
///
/// # Errors
/// It says nothing that can be read.
pub fn check_connections(
    config: &Config,
    dir: &Path,
    name: &str,
) -> Result<(Option<i32>, Vec<Value>)> {
    let file = config.write(dir, name, free_port()?)?;
    let output = Command::new(Kafkamq::program()?)
        .args(["check", "--connect", "--json", "--config"])
        .arg(file)
        .stdin(Stdio::null())
        .output()?;
    let found: Value = serde_json::from_slice(&output.stdout).with_context(|| said(&output))?;
    let connections = found["connections"].as_array().cloned();
    Ok((output.status.code(), connections.unwrap_or_default()))
}
