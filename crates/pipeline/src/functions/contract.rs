//! The contract between the engine and a function.

use std::any::Any;
use std::sync::Arc;

use kafkamq_point::Text;

use crate::args::Args;
use crate::ast::{Expr, ExprKind};
use crate::context::RunContext;
use crate::diagnostic::Code;
use crate::engine::Engine;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::span::Span;
use crate::value::{Types, Value};

/// Everything about a function.
#[derive(Debug)]
pub struct FunctionSpec {
    /// The name scripts call.
    pub name: &'static str,
    /// The family it is listed under.
    pub category: FunctionCategory,
    /// One line: what it does, without a full stop.
    pub summary: &'static str,
    /// Markdown paragraphs: everything a script author needs beyond the summary.
    pub(crate) doc: &'static str,
    /// The parameters in order.
    pub(crate) params: &'static [Param],
    /// Whether arguments may be given by name.
    pub named: bool,
    /// The types of the result, [`Types::NONE`] for none (the call then yields `nil`).
    pub(crate) returns: Types,
    /// What a call depends on or changes besides the point and the variables.
    pub(crate) effects: Effects,
    /// Examples: shown to readers, executed as tests.
    pub examples: &'static [Example],
    /// Remarks shown as a list: oddities, limits, differences from DataKit.
    pub notes: &'static [&'static str],
    /// Runs once per call site when a script is loaded, in text order, also in dead code.
    pub(crate) check: Option<CheckFn>,
    /// Serves a call.
    pub(crate) call: CallFn,
}

/// What calls depend on or change besides the point and the variables; a set.
///
/// A pure script gives the same points for the same record whenever and wherever it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effects(u8);

impl Effects {
    /// Nothing else.
    pub(crate) const PURE: Self = Self(0);
    /// The present time.
    pub const CLOCK: Self = Self(1);
    /// Chance.
    pub const CHANCE: Self = Self(2);
    /// What earlier runs left behind, or tables and files of the host.
    pub const STATE: Self = Self(4);
    /// The world outside: a call may take as long as others take to answer.
    pub const EXTERNAL: Self = Self(8);

    /// The effects of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all effects of `other` are among these.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_pure(self) -> bool {
        self.0 == 0
    }
}

/// Looks at a call's literals when a script is loaded; may reject the call, and may compile
/// something once for all runs (see [`prepare`]), which [`Args::prepared`] hands back.
pub(crate) type CheckFn =
    fn(&mut CheckContext<'_>, &CallAst<'_>) -> Result<Option<Prepared>, CheckError>;

/// Serves a call. Arguments are evaluated when the function asks for them.
pub(crate) type CallFn = fn(&mut RunContext<'_>, Args<'_>) -> Result<Value, RunError>;

/// Wraps what a check hook compiled.
///
/// # Errors
/// Never; the result has the shape a check hook returns.
pub fn prepare<T: Any + Send + Sync>(value: T) -> Result<Option<Prepared>, CheckError> {
    Ok(Some(Arc::new(value)))
}

/// The families functions are listed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FunctionCategory {
    /// Keys, name and fate of the point.
    Point,
    /// Types, lists, maps.
    Value,
    /// JSON, XML and key=value text.
    Document,
    /// Grok and regular expressions.
    Pattern,
    /// Cutting, joining, measuring and replacing text.
    Text,
    /// Encoding, hashing, URLs.
    Encoding,
    /// Addresses and agents.
    Network,
    /// Dates, times and durations.
    Time,
    /// Caches, aggregation, windows, reference tables, HTTP.
    State,
    /// Flow of the script.
    Control,
}

impl FunctionCategory {
    /// The heading of the family.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Point => "Point",
            Self::Value => "Types and collections",
            Self::Document => "JSON, XML and key=value text",
            Self::Pattern => "Grok and regular expressions",
            Self::Text => "Text",
            Self::Encoding => "Encoding, hashing, URLs",
            Self::Network => "Addresses and agents",
            Self::Time => "Time",
            Self::State => "State and lookups",
            Self::Control => "Control",
        }
    }
}

/// A parameter of a function: its name, what may be written for it, and its default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Param {
    /// Its name, also for named arguments.
    pub(crate) name: &'static str,
    /// What may be written for it.
    pub(crate) kind: ParamKind,
    /// What it is when left out; `None` makes it required (unless `rest`).
    pub(crate) default: Option<DefaultValue>,
    /// Takes all remaining arguments, also none. Only the last parameter.
    pub(crate) rest: bool,
    /// One sentence for the reference.
    pub(crate) doc: &'static str,
}

/// What may be written for a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParamKind {
    /// A key's name, not evaluated: identifier, attribute expression or string literal.
    Key,
    /// A key's name as identifier or attribute expression, not as a string.
    Name,
    /// Any expression, evaluated when the function asks for it. A literal of a type outside the
    /// set is a load error, a value a run error.
    Value(Types),
    /// A literal of one of these types; signs before numbers are folded in.
    Literal(Types),
    /// A string literal that means its text, or an identifier or attribute expression that is read
    /// as a key. [`Args::value`] gives the text or what the key reads as.
    Source,
    /// Whatever the function's check hook accepts; [`Args::value`] evaluates it.
    Expr,
    /// A path into a document, never a string; only the check hook looks at it.
    Path,
}

/// What a parameter is when its argument is left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum DefaultValue {
    /// Left out means absent; [`Args::given`] tells.
    Absent,
    /// `nil`.
    Nil,
    /// This bool.
    Bool(bool),
    /// This int.
    Int(i64),
    /// This text.
    Str(&'static str),
    /// An empty list.
    List,
}

impl Param {
    const fn new(name: &'static str, kind: ParamKind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            default: None,
            rest: false,
            doc,
        }
    }

    /// A required parameter that names a key of the point.
    #[must_use]
    pub(crate) const fn key(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, ParamKind::Key, doc)
    }

    /// An evaluated value of one of these types.
    #[must_use]
    pub(crate) const fn value(name: &'static str, types: Types, doc: &'static str) -> Self {
        Self::new(name, ParamKind::Value(types), doc)
    }

    /// A literal of one of these types.
    #[must_use]
    pub(crate) const fn literal(name: &'static str, types: Types, doc: &'static str) -> Self {
        Self::new(name, ParamKind::Literal(types), doc)
    }

    /// A parameter of another kind.
    #[must_use]
    pub(crate) const fn of(name: &'static str, kind: ParamKind, doc: &'static str) -> Self {
        Self::new(name, kind, doc)
    }

    /// May be left out; the function asks [`Args::given`].
    #[must_use]
    pub(crate) const fn optional(mut self) -> Self {
        self.default = Some(DefaultValue::Absent);
        self
    }

    /// May be left out and is this then.
    #[must_use]
    pub(crate) const fn or(mut self, default: DefaultValue) -> Self {
        self.default = Some(default);
        self
    }

    /// Takes all remaining arguments.
    #[must_use]
    pub(crate) const fn rest(mut self) -> Self {
        self.rest = true;
        self
    }
}

impl FunctionSpec {
    /// The parameter an argument position belongs to.
    #[must_use]
    pub(crate) fn param(&self, at: usize) -> Option<&'static Param> {
        self.params
            .get(at)
            .or_else(|| self.params.last().filter(|last| last.rest))
    }
}

/// An example: a script, its input and what the point holds afterwards.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// What it shows, one line.
    pub(crate) title: &'static str,
    /// The source text of the script.
    pub script: &'static str,
    /// The text of the field `message` of the input, a point of category tracing named `test`.
    pub input: &'static str,
    /// Keys after the run with their values as JSON (floats always with a fraction or exponent).
    /// All keys but an unchanged `message` have to be listed. Further rows: `(name)`, `(time)` in
    /// ns, `(dropped)`, `(error)` with the rendered code of a run error, all only when they differ
    /// from the input's. With [`Example::ANY`] as value the key has to exist.
    pub output: &'static [(&'static str, &'static str)],
}

impl Example {
    /// An output value that differs from run to run.
    pub(crate) const ANY: &'static str = "…";
}

/// A reason to reject a call.
#[derive(Debug, Clone)]
pub struct CheckError {
    /// What kind of problem.
    pub code: Code,
    /// The place.
    pub span: Span,
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// What the author could do.
    pub help: Option<String>,
}

impl CheckError {
    /// A bad argument at a place.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            code: Code::BadArgument,
            span,
            message: message.into(),
            help: None,
        }
    }

    /// The same with a hint.
    #[must_use]
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A call as a check hook sees it: arguments sorted by parameter, kinds already checked.
#[derive(Debug)]
pub(crate) struct CallAst<'a> {
    pub(crate) spec: &'static FunctionSpec,
    pub(crate) name_span: Span,
    pub(crate) args: Vec<Option<&'a Expr>>,
    pub(crate) named: Vec<Span>,
}

impl<'a> CallAst<'a> {
    /// The argument as written, `None` when it was left out.
    #[must_use]
    pub(crate) fn arg(&self, at: usize) -> Option<&'a Expr> {
        self.args.get(at).copied().flatten()
    }

    /// Whether an argument was given by name.
    #[must_use]
    pub(crate) fn named(&self, at: usize) -> bool {
        self.arg(at)
            .is_some_and(|expr| self.named.contains(&expr.span))
    }

    /// The text of a string literal argument, or of the parameter's default.
    #[must_use]
    pub(crate) fn str(&self, at: usize) -> Option<&'a str> {
        match self.arg(at) {
            Some(expr) => expr.as_str(),
            None => match self.spec.param(at)?.default? {
                DefaultValue::Str(text) => Some(text),
                _ => None,
            },
        }
    }

    /// The truth of a bool literal argument, or of the parameter's default.
    #[must_use]
    pub(crate) fn bool(&self, at: usize) -> Option<bool> {
        match self.arg(at) {
            Some(Expr {
                kind: ExprKind::Bool(truth),
                ..
            }) => Some(*truth),
            Some(_) => None,
            None => match self.spec.param(at)?.default? {
                DefaultValue::Bool(truth) => Some(truth),
                _ => None,
            },
        }
    }

    /// The key's name of a key argument.
    #[must_use]
    pub(crate) fn key(&self, at: usize) -> Option<Text> {
        crate::keys::key_name(self.arg(at)?)
    }

    /// The place of an argument, or of the function's name when it was left out.
    #[must_use]
    pub(crate) fn span(&self, at: usize) -> Span {
        self.arg(at).map_or(self.name_span, Expr::start)
    }

    /// A bad argument.
    #[must_use]
    pub(crate) fn error(&self, at: usize, message: impl Into<String>) -> CheckError {
        CheckError::new(self.span(at), message)
    }
}

/// What a check hook can reach: the engine, block-scoped definitions, the other scripts.
pub(crate) struct CheckContext<'c> {
    pub(crate) engine: &'c Engine,
    /// Definitions per open block, innermost last.
    pub(crate) scopes: &'c mut Vec<Vec<(Text, Arc<dyn Any + Send + Sync>)>>,
    pub(crate) uses: &'c mut Vec<(Text, Span)>,
    pub(crate) script_names: &'c dyn Fn(&str) -> Option<usize>,
}

impl CheckContext<'_> {
    /// The engine the script is compiled for.
    #[must_use]
    pub(crate) fn engine(&self) -> &Engine {
        self.engine
    }

    /// Defines something for the rest of the current block, as `add_pattern` does; the last
    /// definition of a name wins.
    pub(crate) fn define<T: Any + Send + Sync>(&mut self, name: &str, value: Arc<T>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push((Text::from(name), value));
        }
    }

    /// What a name was defined as with this type, from the innermost block outward.
    #[must_use]
    pub(crate) fn defined<T: Any + Send + Sync>(&self, name: &str) -> Option<Arc<T>> {
        self.scopes
            .iter()
            .rev()
            .flat_map(|scope| scope.iter().rev())
            .filter(|(defined, _)| defined == name)
            .find_map(|(_, value)| Arc::clone(value).downcast().ok())
    }

    /// The number of another script of the set, remembered as used from here. `None` when there
    /// is not such a script; the engine then reports it at the call.
    pub(crate) fn use_script(&mut self, name: &str, call: Span) -> Option<usize> {
        self.uses.push((Text::from(name), call));
        (self.script_names)(name)
    }
}

impl std::fmt::Debug for CheckContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckContext").finish_non_exhaustive()
    }
}
