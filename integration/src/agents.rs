//! The Python environment with the real agents.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Result, bail};

use crate::paths::{Missing, cache, free_port, home};

/// An interpreter that has the agents of `agents/requirements.txt`.
#[derive(Debug)]
pub struct Agents {
    python: PathBuf,
}

impl Agents {
    /// Makes the environment with `pip`, unless the cache has it. The inner error tells what the
    /// machine lacks.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn installed() -> Result<Result<Self, Missing>> {
        let requirements = home().join("agents/requirements.txt");
        let folder = cache().join("agents");
        let python = folder.join("bin/python");
        // Written last, with what was asked for then.
        let mark = folder.join("installed.txt");
        let wanted = std::fs::read_to_string(&requirements)?;
        if std::fs::read_to_string(&mark).is_ok_and(|there| there == wanted) {
            return Ok(Ok(Self { python }));
        }
        std::fs::create_dir_all(cache())?;
        let steps: [(&Path, Vec<String>); 2] = [
            (
                Path::new("python3"),
                vec!["-m".into(), "venv".into(), folder.display().to_string()],
            ),
            (
                &python,
                ["-m", "pip", "install", "-q", "-r"]
                    .map(String::from)
                    .into_iter()
                    .chain([requirements.display().to_string()])
                    .collect(),
            ),
        ];
        for (program, arguments) in steps {
            let done = Command::new(program)
                .args(&arguments)
                .stdin(Stdio::null())
                .output();
            let why = match done {
                Ok(output) if output.status.success() => continue,
                Ok(output) => said(&output),
                Err(error) => error.to_string(),
            };
            let what = format!("the agents cannot be installed with Python and pip: {why}");
            return Ok(Err(Missing(what)));
        }
        std::fs::write(mark, wanted)?;
        Ok(Ok(Self { python }))
    }

    /// A free port for the receiver, which the script opens.
    ///
    /// # Errors
    /// None is free.
    pub fn port() -> Result<u16> {
        free_port()
    }

    /// Runs `agents/agents.py` to its end; returns what it printed.
    ///
    /// # Errors
    /// It found something wrong; the message holds what.
    pub fn run(&self, bootstrap: &str, namespace: &str, port: u16) -> Result<String> {
        let output = Command::new(&self.python)
            .arg(home().join("agents/agents.py"))
            .args(["--bootstrap", bootstrap, "--namespace", namespace])
            .args(["--port", &port.to_string()])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            bail!("the agents: {}", said(&output));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().last().unwrap_or_default().to_owned())
    }
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text.lines().rev().take(12).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
