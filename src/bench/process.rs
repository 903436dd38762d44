//! The processes of a run as their parent sees them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::de::DeserializeOwned;

use super::part::Ready;

/// How long a part may take to end by itself.
const END: Duration = Duration::from_secs(30);
const HTTP_TIMEOUT: Duration = Duration::from_secs(5);

/// A part in a process of its own; dropping it kills it.
#[derive(Debug)]
pub(super) struct Part {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Part {
    /// Starts `binary` as the part that `arguments` describe, on `cores`.
    pub(super) fn start(
        binary: &Path,
        cores: &[usize],
        arguments: &[String],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(binary);
        command.arg("bench-part");
        if !cores.is_empty() {
            let cores: Vec<_> = cores.iter().map(usize::to_string).collect();
            command.arg("--cores").arg(cores.join(","));
        }
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let commands = child.stdin.take();
        let answers = child.stdout.take().context("no pipe to the part")?;
        Ok(Self {
            child,
            commands,
            answers: BufReader::new(answers),
        })
    }

    /// Waits until the part is ready; the host and port it listens on.
    pub(super) fn ready(&mut self) -> anyhow::Result<String> {
        Ok(self.hear::<Ready>()?.address)
    }

    /// The next line that the part says.
    pub(super) fn hear<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        anyhow::ensure!(!line.is_empty(), "a part ended before its time");
        serde_json::from_str(&line).with_context(|| format!("a part said {line:?}"))
    }

    /// Asks the part and returns its answer.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, question: &str) -> anyhow::Result<T> {
        self.say(question)?;
        self.hear()
    }

    /// Tells the part to do something and waits until it has.
    pub(super) fn tell(&mut self, command: &str) -> anyhow::Result<()> {
        self.say(command)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        anyhow::ensure!(line == "\n", "a part said {line:?} to {command:?}");
        Ok(())
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let commands = self.commands.as_mut().context("the part was ended")?;
        writeln!(commands, "{line}").context("a part ended before its time")
    }

    /// Has the part end, without waiting for that.
    pub(super) fn close(&mut self) {
        self.commands = None;
    }

    /// Ends the part and returns how long that took.
    #[expect(
        clippy::disallowed_methods,
        reason = "the benchmark runs on a thread of its own"
    )]
    pub(super) fn end(mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.close();
        while began.elapsed() < END {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "a part ended with {status}");
                return Ok(began.elapsed());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        anyhow::bail!("a part does not end")
    }

    /// A line `name: n kB` of the process's status, in bytes.
    pub(super) fn memory(&self, name: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .with_context(|| format!("no {name}"))?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Fails if it has ended already, and then there is nothing left to do.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The counters of a running service.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    /// Records read.
    pub(super) received: u64,
    /// Their bytes.
    pub(super) received_bytes: u64,
    /// Records settled, whatever became of them.
    pub(super) settled: u64,
    /// Of those, records that ended otherwise than delivered or acknowledged.
    pub(super) odd: u64,
    /// Whether the input is a member of its group.
    pub(super) joined: bool,
}

/// Partitions that the service at `address` reads; `None` while it does not answer or join.
pub(super) fn assigned(address: &str) -> Option<usize> {
    let status = get(address, "/v1/status")?;
    let body = status.split_once("\r\n\r\n")?.1;
    let status: serde_json::Value = serde_json::from_str(body).ok()?;
    let inputs = status["inputs"].as_array()?;
    let partitions = inputs
        .iter()
        .map(|input| Some(input["partitions"].as_array()?.len()));
    let joined = inputs.iter().all(|input| input["joined"] == true);
    joined.then(|| partitions.sum()).flatten()
}

fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(HTTP_TIMEOUT)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Reads the metrics of the service at `address`, `host:port`; `None` while it does not answer.
pub(super) fn counters(address: &str) -> Option<Counters> {
    let text = get(address, "/metrics")?;
    let mut counters = Counters::default();
    for line in text.lines() {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let name = series.split('{').next().unwrap_or_default();
        let value = || value.parse::<f64>().map_or(0, |value| value as u64);
        match name {
            "kafkamq_records_received_total" => counters.received += value(),
            "kafkamq_received_bytes_total" => counters.received_bytes += value(),
            "kafkamq_records_processed_total" => {
                counters.settled += value();
                let usual = ["\"delivered\"", "\"acknowledged\""];
                if !usual.iter().any(|outcome| series.contains(outcome)) {
                    counters.odd += value();
                }
            }
            "kafkamq_input_joined" => counters.joined |= value() > 0,
            _ => {}
        }
    }
    Some(counters)
}
