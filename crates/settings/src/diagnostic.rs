//! What is wrong with a configuration, where, and what to do about it.

use std::fmt::{self, Write as _};

use schemars::JsonSchema;
use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is not accepted.
    Error,
    /// It is accepted; the operator should know.
    Warning,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place in a source text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// File name as given, or what else the text is.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters marked from there, at least 1.
    pub(crate) length: usize,
    /// The line itself; empty when it may hold a secret.
    #[serde(skip)]
    pub text: String,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A second place that belongs to a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Related {
    /// Where.
    #[serde(flatten)]
    pub(crate) position: Position,
    /// What is there.
    pub(crate) message: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Path of the key, such as `inputs.kafkamq[0].group_id`; empty for the whole file.
    pub key: String,
    /// What is wrong, in one sentence without a full stop. Never holds a secret.
    pub message: String,
    /// Where, if it is in a text.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The environment variable it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Other places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) related: Vec<Related>,
}

impl Diagnostic {
    /// An error at no particular place.
    #[must_use]
    pub fn error(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            key: key.into(),
            message: message.into(),
            position: None,
            variable: None,
            hint: None,
            related: Vec::new(),
        }
    }

    /// A warning at no particular place.
    #[must_use]
    pub fn warning(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(key, message)
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    /// The finding as a compiler would print it, without colours.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}: {}", self.message)?;
        let positions = self.position.iter().map(|at| (at, None)).chain(
            self.related
                .iter()
                .map(|related| (&related.position, Some(related.message.as_str()))),
        );
        let width = positions
            .clone()
            .map(|(at, _)| at.line.to_string().len())
            .max()
            .unwrap_or(1);
        for (at, label) in positions {
            let arrow = if label.is_none() { "-->" } else { ":::" };
            writeln!(f, "{:width$}{arrow} {at}", "")?;
            if !at.text.is_empty() {
                let indent = " ".repeat(at.column.saturating_sub(1));
                let mark = if label.is_none() { "^" } else { "-" }.repeat(at.length);
                writeln!(f, "{:width$} |", "")?;
                writeln!(f, "{:>width$} | {}", at.line, at.text)?;
                writeln!(
                    f,
                    "{:width$} | {indent}{mark} {}",
                    "",
                    label.unwrap_or_default()
                )?;
            }
        }
        if let Some(variable) = &self.variable {
            writeln!(f, "{:width$}--> environment variable {variable}", "")?;
        }
        if self.position.is_none() && self.variable.is_none() && !self.key.is_empty() {
            writeln!(f, "{:width$}--> {}", "", self.key)?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "{:width$} = help: {hint}", "")?;
        }
        Ok(())
    }
}

/// Findings in the order of the sources.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Number of errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.0
            .iter()
            .filter(|found| found.severity == Severity::Error)
            .count()
    }

    /// Number of warnings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.0.len() - self.errors()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for found in &self.0 {
            writeln!(text, "{found}")?;
        }
        // A mark at the end of a line has no label and would leave a blank behind it.
        for line in text.lines() {
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
