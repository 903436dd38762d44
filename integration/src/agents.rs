//! The Python environment with the real agents.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Result, bail};

use crate::paths::{Missing, cache, free_port, home};

/// An interpreter with everything that one script of `agents/` needs.
#[derive(Debug)]
pub struct Agents {
    python: PathBuf,
    script: PathBuf,
}

impl Agents {
    /// `agents.py`: the agents of SkyWalking and OpenTelemetry. The inner error tells what the
    /// machine lacks.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn installed() -> Result<Result<Self, Missing>> {
        Self::of("agents", "requirements.txt")
    }

    /// `spans.py`: the exporters of Jaeger and Zipkin, which need older packages.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn exporters() -> Result<Result<Self, Missing>> {
        Self::of("spans", "spans-requirements.txt")
    }

    fn of(name: &str, requirements: &str) -> Result<Result<Self, Missing>> {
        let script = home().join(format!("agents/{name}.py"));
        let requirements = home().join("agents").join(requirements);
        Ok(environment(name, &requirements)?.map(|python| Self { python, script }))
    }

    /// A free port for the receiver, which the script opens.
    ///
    /// # Errors
    /// None is free.
    pub fn port() -> Result<u16> {
        free_port()
    }

    /// Runs the script to its end; returns the last line it printed.
    ///
    /// # Errors
    /// It found something wrong; the message holds what.
    pub fn run(&self, bootstrap: &str, namespace: &str, port: u16) -> Result<String> {
        let text = self.call(bootstrap, namespace, port, &[])?;
        Ok(text.lines().last().unwrap_or_default().to_owned())
    }

    /// The inputs that `spans.py` wants a service to have, as TOML.
    ///
    /// # Errors
    /// It does not tell.
    pub fn inputs(&self, bootstrap: &str, namespace: &str, port: u16) -> Result<String> {
        self.call(bootstrap, namespace, port, &["--inputs"])
    }

    fn call(&self, bootstrap: &str, namespace: &str, port: u16, more: &[&str]) -> Result<String> {
        let output = Command::new(&self.python)
            .arg(&self.script)
            .args(["--bootstrap", bootstrap, "--namespace", namespace])
            .args(["--port", &port.to_string()])
            .args(more)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            bail!("the agents: {}", said(&output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The interpreter of the Python environment `name` with what `requirements` asks for, made with
/// `pip` unless the cache has it.
pub(crate) fn environment(name: &str, requirements: &Path) -> Result<Result<PathBuf, Missing>> {
    let folder = cache().join(name);
    let python = folder.join("bin/python");
    // Written last, with what was asked for then.
    let mark = folder.join("installed.txt");
    let wanted = std::fs::read_to_string(requirements)?;
    if std::fs::read_to_string(&mark).is_ok_and(|there| there == wanted) {
        return Ok(Ok(python));
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
        let what = format!("{name} cannot be installed with Python and pip: {why}");
        return Ok(Err(Missing(what)));
    }
    std::fs::write(mark, wanted)?;
    Ok(Ok(python))
}

pub(crate) fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text.lines().rev().take(12).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
