//! One shape for everything that keeps a configuration from being accepted, wherever it was found.

use std::fmt;

use kafkamq_pipeline::manager::ScriptProblem;
use schemars::JsonSchema;
use serde::Serialize;

use crate::actors::StartError;
use kafkamq_conversion::scripts::PreparedScripts;
use kafkamq_settings::{Diagnostic, Severity, steps};

/// A finding, for a machine to point at and for people to act on. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ConfigurationFinding")]
pub(crate) struct Finding {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// A stable code, such as `config` or that of the script language.
    pub(crate) code: String,
    /// What is wrong, in one sentence.
    pub(crate) message: String,
    /// JSON pointer into the document, if it is about a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pointer: Option<String>,
    /// The file or script, if it is about a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// Line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// Column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<usize>,
    /// The environment variable it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) variable: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl Finding {
    fn new(severity: Severity, code: &str, message: String) -> Self {
        Self {
            severity,
            code: code.to_owned(),
            message,
            pointer: None,
            file: None,
            line: None,
            column: None,
            variable: None,
            hint: None,
        }
    }

    /// An error that neither the reader of the document nor the script language found.
    pub(super) fn error(code: &str, message: String) -> Self {
        Self::new(Severity::Error, code, message)
    }
}

impl fmt::Display for Finding {
    /// One line: place, what is wrong, what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let (Some(line), Some(column)) = (self.line, self.column) {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        } else if let Some(variable) = &self.variable {
            write!(f, "{variable}: ")?;
        } else if let Some(pointer) = &self.pointer {
            write!(f, "{pointer}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl From<&Diagnostic> for Finding {
    fn from(found: &Diagnostic) -> Self {
        let mut finding = Self::new(found.severity, "config", found.message.clone());
        finding.pointer = (!found.key.is_empty()).then(|| pointer(&found.key));
        if let Some(position) = &found.position {
            finding.file = Some(position.file.clone());
            finding.line = Some(position.line);
            finding.column = Some(position.column);
        }
        finding.variable.clone_from(&found.variable);
        finding.hint.clone_from(&found.hint);
        finding
    }
}

impl From<&StartError> for Finding {
    fn from(error: &StartError) -> Self {
        Self::new(Severity::Error, "start", error.to_string())
    }
}

/// A path of keys as a JSON pointer (RFC 6901).
fn pointer(key: &str) -> String {
    steps(key)
        .iter()
        .map(|step| format!("/{}", escaped(step)))
        .collect()
}

/// One step of a JSON pointer.
pub(super) fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// What is wrong with scripts.
pub(super) fn of_scripts(scripts: &PreparedScripts) -> Vec<Finding> {
    let unreadable = scripts
        .unreadable()
        .iter()
        .map(|problem| Finding::new(Severity::Error, "script", problem.to_string()));
    let broken = scripts.problems().iter().flat_map(of_script);
    unreadable.chain(broken).collect()
}

fn of_script(problem: &ScriptProblem) -> Vec<Finding> {
    let file = Some(format!("{}/{}", problem.category, problem.name));
    if problem.diagnostics.is_empty() {
        let mut finding = Finding::new(Severity::Error, "script", problem.to_string());
        finding.file = file;
        return vec![finding];
    }
    let of = |error: &kafkamq_pipeline::diagnostic::Diagnostic| {
        let position = error.source.position(error.span.start);
        let mut finding = Finding::new(
            Severity::Error,
            error.code.as_str(),
            error.message.to_string(),
        );
        finding.file.clone_from(&file);
        finding.line = Some(position.line);
        finding.column = Some(position.column);
        finding.hint = error.help.as_ref().map(ToString::to_string);
        finding
    };
    problem.diagnostics.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_where_it_is_and_what_to_do() {
        let mut finding = Finding::error("R1", "expected an expression".to_owned());
        assert_eq!(finding.to_string(), "expected an expression");
        finding.pointer = Some("/output/path".to_owned());
        assert_eq!(finding.to_string(), "/output/path: expected an expression");
        finding.file = Some("logging/a.p".to_owned());
        (finding.line, finding.column) = (Some(3), Some(6));
        finding.hint = Some("close it".to_owned());
        assert_eq!(
            finding.to_string(),
            "logging/a.p:3:6: expected an expression (close it)"
        );
    }

    #[test]
    fn keys_become_pointers() {
        assert_eq!(
            pointer("inputs.kafkamq[0].custom.log_topic_map.\"a.b/c\""),
            "/inputs/kafkamq/0/custom/log_topic_map/a.b~1c"
        );
        assert_eq!(pointer("output[1]"), "/output/1");
    }
}
