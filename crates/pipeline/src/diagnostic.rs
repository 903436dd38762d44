//! What is reported to the author of a script: stable codes, places, help, and the rendered form.

use std::fmt;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::span::{Source, Span};

/// The stable code of a kind of problem. Codes are never reused: `L` lexical, `S` syntax, `C`
/// check (found when the script is loaded), `R` run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// A character that starts no token.
    BadCharacter,
    /// A string without its closing quote.
    OpenString,
    /// An escape sequence the language does not have.
    BadEscape,
    /// A malformed number.
    BadNumber,
    /// A token that does not fit.
    Unexpected,
    /// A bracket that is never closed, or closes nothing.
    Unbalanced,
    /// Nesting beyond the limit.
    TooDeep,
    /// A word the language keeps for itself.
    Reserved,
    /// A script beyond the size limit.
    TooLong,
    /// A call of a function that does not exist.
    UnknownFunction,
    /// Too many or too few arguments.
    ArgumentCount,
    /// An argument of the wrong kind or type.
    ArgumentKind,
    /// An unknown or misplaced named argument.
    NamedArgument,
    /// Division by a literal zero.
    ZeroDivisor,
    /// A slice bound that can never be an int.
    SliceBound,
    /// Something that cannot be assigned to.
    AssignTarget,
    /// A loop source or variable that cannot be one.
    LoopHeader,
    /// `break` or `continue` outside a loop.
    OutsideLoop,
    /// A map key that is not a string.
    MapKey,
    /// An attribute expression where it has no meaning.
    PathValue,
    /// A `use` target that is missing, broken or cyclic.
    UseTarget,
    /// An argument the function cannot work with, such as a malformed regular expression.
    BadArgument,
    /// An operator on values it does not take.
    Operands,
    /// Division or remainder by zero.
    DividedByZero,
    /// An index on nothing, of a wrong type or out of range.
    BadIndex,
    /// A slice of a wrong type, or with a bad bound or step.
    BadSlice,
    /// A loop over something that cannot be walked.
    NotIterable,
    /// A function failed or got a value of a wrong type.
    FunctionFailed,
    /// The budget of steps or memory is used up, or scripts call each other too deep.
    OverBudget,
    /// The engine itself failed.
    Internal,
}

impl Code {
    /// The code as shown, such as `C101`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadCharacter => "L101",
            Self::OpenString => "L102",
            Self::BadEscape => "L103",
            Self::BadNumber => "L104",
            Self::Unexpected => "S101",
            Self::Unbalanced => "S102",
            Self::TooDeep => "S103",
            Self::Reserved => "S104",
            Self::TooLong => "S105",
            Self::UnknownFunction => "C101",
            Self::ArgumentCount => "C102",
            Self::ArgumentKind => "C103",
            Self::NamedArgument => "C104",
            Self::BadArgument => "C105",
            Self::ZeroDivisor => "C201",
            Self::SliceBound => "C202",
            Self::AssignTarget => "C203",
            Self::LoopHeader => "C204",
            Self::OutsideLoop => "C205",
            Self::MapKey => "C206",
            Self::PathValue => "C207",
            Self::UseTarget => "C301",
            Self::Operands => "R101",
            Self::DividedByZero => "R102",
            Self::BadIndex => "R103",
            Self::BadSlice => "R104",
            Self::NotIterable => "R105",
            Self::FunctionFailed => "R201",
            Self::OverBudget => "R301",
            Self::Internal => "R901",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One problem in one script.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// What kind of problem.
    pub code: Code,
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// The script it is in.
    pub source: Source,
    /// The place in that script.
    pub span: Span,
    /// What the author could do, if there is something to say.
    pub help: Option<String>,
    /// The calls that lead there, innermost first: script and place of each.
    pub(crate) frames: Vec<(Source, Span)>,
}

impl Diagnostic {
    /// A problem without help and frames.
    #[must_use]
    pub fn new(code: Code, source: &Source, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            source: source.clone(),
            span,
            help: None,
            frames: Vec::new(),
        }
    }

    /// The same with a hint for the author.
    #[must_use]
    pub(crate) fn with_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// The report for people: message, the source line, carets under the place, help and frames.
    /// `color` adds terminal colours.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        self.render_at(Level::ERROR, color)
    }

    /// The same, called a warning: the script is left out and the service runs on.
    #[must_use]
    pub fn render_warning(&self, color: bool) -> String {
        self.render_at(Level::WARNING, color)
    }

    fn render_at(&self, level: Level<'_>, color: bool) -> String {
        let text = self.source.text();
        let start = floor_boundary(text, self.span.start as usize);
        let end = floor_boundary(text, (self.span.end as usize).max(start)).max(start);
        // A place that spans lines is shown by its first line.
        let end = text
            .get(start..end)
            .and_then(|covered| covered.find('\n'))
            .map_or(end, |line| start + line);
        let snippet = Snippet::source(text)
            .path(self.source.name())
            .annotation(AnnotationKind::Primary.span(start..end));
        let mut group = level
            .primary_title(self.message.as_str())
            .id(self.code.as_str())
            .element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        for (source, span) in &self.frames {
            group =
                group.element(Level::NOTE.message(format!("called from {}", source.locate(*span))));
        }
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group])
    }
}

/// The largest character boundary at or before an offset.
fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Diagnostic {
    /// `script:line:column: [code] message`, then a line per frame.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: [{}] {}",
            self.source.locate(self.span),
            self.code,
            self.message
        )?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        for (source, span) in &self.frames {
            write!(f, "\n{}:", source.locate(*span))?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// The candidate closest to what was written, when it is close enough to be a slip.
#[must_use]
pub fn suggest<'c>(
    written: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let limit = (written.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(written, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *candidate != written)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
