//! Runs what the tests run, by hand: a Kafka broker, and the guard that ends processes with their
//! starter.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result, anyhow};
use clap::{Parser, Subcommand};
use kafkamq_integration::{Installation, Kafka, Release};
use serde_json::json;

/// Tools of the integration tests.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    /// Run a single-node Kafka on loopback until standard input closes; prints its address as JSON
    Kafka {
        /// Version, such as 4.4.0 or 3.9.2
        #[arg(long, default_value_t = Release::Current.version().to_owned())]
        version: String,
        /// Folder for its data; kept. A temporary one that is removed if absent
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
    /// Run a command until it ends or standard input closes
    #[command(hide = true)]
    Guard {
        #[arg(long)]
        log: PathBuf,
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().command {
        Tool::Kafka { version, dir } => kafka(&version, dir.as_deref()),
        Tool::Guard { log, command } => guard(&log, &command),
    }
}

fn kafka(version: &str, dir: Option<&Path>) -> Result<ExitCode> {
    let installation = Installation::of(version)?.map_err(|missing| anyhow!("{}", missing.0))?;
    let temporary = tempfile::tempdir()?;
    let kafka = Kafka::start(&installation, dir.unwrap_or(temporary.path()))?;
    let about = json!({"bootstrap": kafka.bootstrap(), "pid": kafka.pid(), "version": version});
    writeln!(io::stdout(), "{about}")?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the process id, then how the process ended.
fn guard(log: &Path, command: &[String]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no command")?;
    let log = OpenOptions::new().create(true).append(true).open(log)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("{program} does not start"))?;
    let pid = child.id().to_string();
    writeln!(io::stdout(), "{pid}")?;
    std::thread::spawn(move || {
        // Whoever started this holds the other end and sends nothing.
        let _closed = io::stdin().read(&mut [0]);
        let _killed = Command::new("kill")
            .args(["-KILL", &pid])
            .stderr(Stdio::null())
            .status();
    });
    let ending = ending(child.wait()?);
    // The starter may be gone.
    let _told = writeln!(io::stdout(), "{ending}");
    Ok(ExitCode::SUCCESS)
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("code {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}
