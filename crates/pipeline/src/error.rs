//! The error of a run: small on the way up, a full [`Diagnostic`] once it reaches the host.

use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Source, Span};

/// Why a run stopped. What the script changed before stays changed.
#[derive(Debug)]
pub struct RunError(Box<Fault>);

#[derive(Debug)]
struct Fault {
    code: Code,
    message: String,
    span: Span,
    source: Option<Source>,
    help: Option<String>,
    /// The budget that was used up, until the function that did so is known.
    budget: Option<&'static str>,
    frames: Vec<(Source, Span)>,
}

impl RunError {
    /// An error at a place of the script that is running.
    #[cold]
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self(Box::new(Fault {
            code,
            message: message.into(),
            span,
            source: None,
            help: None,
            budget: None,
            frames: Vec::new(),
        }))
    }

    /// A budget of the run (`work`, `time` or `memory`) is used up.
    #[cold]
    pub(crate) fn over_budget(span: Span, budget: &'static str) -> Self {
        let message = format!("the script used up its budget of {budget}");
        let mut error = Self::new(Code::OverBudget, span, message);
        error.0.budget = Some(budget);
        error.0.help = Some(
            match budget {
                "memory" => "the run keeps too many or too large values or points",
                _ => "a loop may never end, or the text is too large for what is done with it",
            }
            .to_owned(),
        );
        error
    }

    /// Says which function used a budget up, unless one was named already or the error comes from
    /// another script.
    #[cold]
    pub(crate) fn in_function(mut self, name: &str) -> Self {
        if self.0.source.is_none()
            && let Some(budget) = self.0.budget.take()
        {
            self.0.message = format!("`{name}` used up the script's budget of {budget}");
        }
        self
    }

    /// The same with a hint for the author.
    #[must_use]
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Leaves the script `source`; the error keeps the innermost one.
    pub(crate) fn leave(&mut self, source: &Source) {
        if self.0.source.is_none() {
            self.0.source = Some(source.clone());
        }
    }

    /// Adds the call that led here.
    pub(crate) fn called_from(&mut self, source: &Source, span: Span) {
        self.0.frames.push((source.clone(), span));
    }

    /// The report; `source` is the script that was running outermost.
    pub(crate) fn into_diagnostic(mut self, source: &Source) -> Diagnostic {
        self.leave(source);
        let fault = *self.0;
        let mut diagnostic = Diagnostic::new(
            fault.code,
            fault.source.as_ref().unwrap_or(source),
            fault.span,
            fault.message,
        )
        .with_help(fault.help);
        diagnostic.frames = fault.frames;
        diagnostic
    }
}
