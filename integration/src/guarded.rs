//! A process that cannot outlive the test: it is started by `kafkamq-integration guard`, which
//! kills it when its own standard input closes, however the test ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::paths::binary;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::str::FromStr for Ending {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(' ') {
            Some(("code", number)) => Ok(Self::Code(number.parse()?)),
            Some(("signal", number)) => Ok(Self::Signal(number.parse()?)),
            _ => bail!("`{text}` is not an ending"),
        }
    }
}

/// A running process whose output goes to a file.
#[derive(Debug)]
pub struct Guarded {
    guard: Child,
    pid: u32,
    ending: Receiver<String>,
    ended: Option<Ending>,
    log: PathBuf,
}

impl Guarded {
    /// Starts `program`; standard output and error are appended to `log`.
    ///
    /// # Errors
    /// The guard or the program cannot be started.
    pub fn start(program: &Path, arguments: &[String], log: &Path) -> Result<Self> {
        let mut guard = Command::new(binary("kafkamq-integration")?)
            .args(["guard", "--log"])
            .arg(log)
            .arg("--")
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the guard does not start")?;
        let output = guard.stdout.take().context("the guard has no output")?;
        let (sender, ending) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let first = ending
            .recv_timeout(Duration::from_secs(20))
            .map_err(|_| anyhow!("{} does not start", program.display()))?;
        Ok(Self {
            guard,
            pid: first.parse().context("the guard printed no process id")?,
            ending,
            ended: None,
            log: log.to_owned(),
        })
    }

    /// The process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Its output so far.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn output(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.wait(Duration::ZERO), Ok(None))
    }

    /// Sends a signal by its name, such as `TERM`.
    ///
    /// # Errors
    /// It has ended already.
    pub fn signal(&mut self, name: &str) -> Result<()> {
        if let Some(ended) = self.wait(Duration::ZERO)? {
            bail!("process {} has ended already: {ended:?}", self.pid);
        }
        let status = Command::new("kill")
            .args([format!("-{name}"), self.pid.to_string()])
            .status()
            .context("kill does not start")?;
        if !status.success() {
            bail!("process {} takes no signal", self.pid);
        }
        Ok(())
    }

    /// Waits for the end; `None` if it does not come within `limit`.
    ///
    /// # Errors
    /// The guard died without a word.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<Ending>> {
        if self.ended.is_none() {
            match self.ending.recv_timeout(limit) {
                Ok(line) => self.ended = Some(line.parse()?),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the guard died"),
            }
        }
        Ok(self.ended)
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// It has ended before.
    pub fn kill(&mut self) -> Result<()> {
        self.signal("KILL")?;
        match self.wait(Duration::from_secs(20))? {
            Some(_) => Ok(()),
            None => bail!("process {} survived SIGKILL", self.pid),
        }
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// It has ended, or the system does not tell.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("the system tells no resident size")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // It was told to end; there is nothing better to do if it does not answer.
        let _ended = self.guard.wait();
    }
}
