//! The programs that look at the HTTP interface from outside: Schemathesis and Prometheus.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::agents::{environment, said};
use crate::await_until::until;
use crate::guarded::Guarded;
use crate::kafkamq::Kafkamq;
use crate::paths::{Missing, cache, free_port, home};

const SCRAPE_LIMIT: Duration = Duration::from_secs(60);

/// Schemathesis of PyPI, which asks a service everything that its description allows, and more.
#[derive(Debug)]
pub struct Schemathesis(PathBuf);

impl Schemathesis {
    /// Makes its environment with `pip`, unless the cache has it. The inner error tells what the
    /// machine lacks.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn installed() -> Result<Result<Self, Missing>> {
        let requirements = home().join("schemathesis/requirements.txt");
        let python = environment("schemathesis", &requirements)?;
        Ok(python.map(|python| Self(python.with_file_name("schemathesis"))))
    }

    /// Runs every check against a service that knows `token`.
    ///
    /// # Errors
    /// It found something; the message holds what.
    pub fn run(&self, kafkamq: &Kafkamq, token: &str) -> Result<()> {
        let examples = crate::size::size("KAFKAMQ_EXAMPLES", 15, 200);
        // A change is judged by what it does, not by luck: the same requests each time, unless another
        // seed is given to look further.
        let seed = std::env::var("KAFKAMQ_SEED").unwrap_or_else(|_| "1".to_owned());
        let output = Command::new(&self.0)
            .arg("--config-file")
            .arg(home().join("schemathesis/schemathesis.toml"))
            .args(["run", &kafkamq.url("/openapi.json")])
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args(["--checks", "all", "--no-color", "--request-timeout", "20"])
            .args(["--max-examples", &examples.to_string(), "--seed", &seed])
            // Streams without end are for clients that leave.
            .args(["--exclude-path", "/v1/topics/{topic}/tap"])
            // It leaves a folder of its own behind.
            .current_dir(cache())
            .stdin(Stdio::null())
            .output()
            .context("schemathesis does not start")?;
        if !output.status.success() {
            bail!(
                "schemathesis:\n{}{}",
                String::from_utf8_lossy(&output.stdout),
                said(&output)
            );
        }
        Ok(())
    }
}

/// Prometheus as the distribution packages it.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    agent: ureq::Agent,
    process: Guarded,
}

impl Prometheus {
    /// Whether it is there; otherwise what is missing.
    ///
    /// # Errors
    /// The name of what is missing.
    pub fn installed() -> Result<(), Missing> {
        for program in ["prometheus", "promtool"] {
            let runs = Command::new(program)
                .arg("--version")
                .stdin(Stdio::null())
                .output()
                .is_ok_and(|output| output.status.success());
            if !runs {
                return Err(Missing(format!(
                    "there is no {program} (Debian: prometheus)"
                )));
            }
        }
        Ok(())
    }

    /// What `promtool check metrics` and `promtool check rules` say about the metrics of a service
    /// and the rules of `deploy`: nothing if all is well.
    ///
    /// # Errors
    /// They object; the message holds to what.
    pub fn check(metrics: &str) -> Result<()> {
        use std::io::Write as _;
        let mut tool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = tool.stdin.take().context("promtool has no input")?;
        input.write_all(metrics.as_bytes())?;
        drop(input);
        let checked = tool.wait_with_output()?;
        if !checked.status.success() {
            bail!("promtool check metrics: {}", said(&checked));
        }
        let rules = Command::new("promtool")
            .args(["check", "rules"])
            .arg(rules())
            .output()?;
        if !rules.status.success() {
            bail!("promtool check rules: {}", said(&rules));
        }
        Ok(())
    }

    /// Starts one that scrapes `kafkamq` each second and evaluates the rules of `deploy`.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(kafkamq: &Kafkamq, dir: &Path) -> Result<Self> {
        let port = free_port()?;
        let config = dir.join("prometheus.yml");
        std::fs::write(
            &config,
            format!(
                "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
                 rule_files: [\"{}\"]\n\
                 scrape_configs:\n- job_name: kafkamq\n  static_configs: [{{ targets: [\"127.0.0.1:{}\"] }}]\n",
                rules().display(),
                kafkamq.port()
            ),
        )?;
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", dir.join("prometheus").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        let log = dir.join("prometheus.log");
        Ok(Self {
            port,
            agent: ureq::Agent::new_with_defaults(),
            process: Guarded::start(Path::new("prometheus"), &arguments, &log)?,
        })
    }

    fn ask(&self, path: &str) -> Result<Value> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let text = self.agent.get(url).call()?.body_mut().read_to_string()?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits until the service was scraped and every rule was evaluated; returns how many rules.
    ///
    /// # Errors
    /// A scrape or a rule fails, or nothing happens.
    pub fn await_rules(&self) -> Result<usize> {
        let mut last = None;
        let evaluated = until("a scrape and the rules", SCRAPE_LIMIT, || {
            let Ok(targets) = self.ask("/api/v1/targets") else {
                return Ok(None);
            };
            let up = targets.pointer("/data/activeTargets/0/health") == Some(&"up".into());
            let rules = self.ask("/api/v1/rules")?;
            let groups = rules.pointer("/data/groups").and_then(Value::as_array);
            let rules: Vec<Value> = groups
                .into_iter()
                .flatten()
                .filter_map(|group| group["rules"].as_array().cloned())
                .flatten()
                .collect();
            if let Some(failed) = rules.iter().find(|rule| rule["health"] == "err") {
                bail!("a rule cannot be evaluated: {failed}");
            }
            let done = up && !rules.is_empty() && rules.iter().all(|rule| rule["health"] == "ok");
            last = Some(targets);
            Ok(done.then_some(rules.len()))
        });
        evaluated.with_context(|| {
            let log = self.process.output().unwrap_or_default();
            format!("{last:?}\n{log}")
        })
    }
}

fn rules() -> PathBuf {
    home().join("../deploy/prometheus/alerts.yml")
}
