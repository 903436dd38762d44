//! The configuration files of the tests: one input, one output, everything else by addition.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// A configuration under construction.
#[derive(Debug, Clone)]
pub struct Config {
    bootstrap: String,
    group: String,
    kind: String,
    offsets: String,
    output: String,
    output_lines: Vec<String>,
    input: Vec<String>,
    routes: Vec<String>,
    tables: Vec<String>,
    dead_letters: String,
}

impl Config {
    /// One input of `group` at `bootstrap`, brokers separated by commas, that begins with the oldest record, and an output of
    /// kind `datakit` at `output`.
    #[must_use]
    pub fn new(bootstrap: &str, group: &str, output: &str) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            group: group.to_owned(),
            kind: "datakit".to_owned(),
            offsets: "-2".to_owned(),
            output: output.to_owned(),
            output_lines: Vec::new(),
            input: Vec::new(),
            routes: Vec::new(),
            tables: Vec::new(),
            dead_letters: String::new(),
        }
    }

    /// Another consumer group.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        group.clone_into(&mut self.group);
        self
    }

    /// Another beginning than the oldest record, as TOML.
    #[must_use]
    pub fn offsets(mut self, offsets: &str) -> Self {
        offsets.clone_into(&mut self.offsets);
        self
    }

    /// Adds a line to the input.
    #[must_use]
    pub fn input(mut self, line: impl Into<String>) -> Self {
        self.input.push(line.into());
        self
    }

    /// Makes the output one of this kind, at `endpoint` if it has one.
    #[must_use]
    pub fn output_kind(mut self, kind: &str, endpoint: Option<&str>) -> Self {
        kind.clone_into(&mut self.kind);
        self.output = endpoint.unwrap_or_default().to_owned();
        self
    }

    /// Adds a line to the output.
    #[must_use]
    pub fn output(mut self, line: impl Into<String>) -> Self {
        self.output_lines.push(line.into());
        self
    }

    /// Lets the group notice a killed member soon: a session of three seconds.
    #[must_use]
    pub fn short_session(self) -> Self {
        self.input("session_timeout = \"3s\"")
            .input("heartbeat_interval = \"500ms\"")
            .input("drain_timeout = \"2s\"")
    }

    /// Adds a route: its table below `[inputs.kafkamq.NAME]`.
    #[must_use]
    pub fn route(mut self, name: &str, lines: &str) -> Self {
        self.routes
            .push(format!("[inputs.kafkamq.{name}]\n{lines}"));
        self
    }

    /// Adds lines to `[dead_letter]`.
    #[must_use]
    pub fn dead_letters(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.dead_letters);
        self
    }

    /// Adds a table of its own, such as `[limits]`.
    #[must_use]
    pub fn table(mut self, name: &str, lines: &str) -> Self {
        self.tables.push(format!("[{name}]\n{lines}"));
        self
    }

    /// Writes the file of the process `name`, with the server on `port`, scripts in `dir/pipeline`
    /// and dead letters in `dir/NAME-dead-letter`: only one process may write to such a folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, dir: &Path, name: &str, port: u16) -> Result<PathBuf> {
        let mut text = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n\n\
             [log]\nlevel = \"info\"\n\n\
             [dead_letter]\npath = \"{dir}/{name}-dead-letter\"\n{letters}\n\n\
             [pipeline]\npath = \"{dir}/pipeline\"\n\n\
             [output]\nkind = \"{kind}\"\n{endpoint}{lines}\n\n",
            dir = dir.display(),
            letters = self.dead_letters,
            kind = self.kind,
            endpoint = match &*self.output {
                "" => String::new(),
                address => format!("endpoint = \"{address}\"\n"),
            },
            lines = self.output_lines.join("\n"),
        );
        for table in &self.tables {
            writeln!(text, "{table}\n")?;
        }
        writeln!(
            text,
            "[[inputs.kafkamq]]\naddrs = [\"{}\"]\ngroup_id = \"{}\"\noffsets = {}",
            self.bootstrap.replace(',', "\", \""),
            self.group,
            self.offsets
        )?;
        for line in &self.input {
            writeln!(text, "{line}")?;
        }
        for route in &self.routes {
            writeln!(text, "\n{route}")?;
        }
        let path = dir.join(format!("{name}.toml"));
        std::fs::create_dir_all(dir.join("pipeline"))?;
        std::fs::write(&path, text)?;
        Ok(path)
    }
}
