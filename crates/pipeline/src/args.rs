//! How a function sees the arguments of the call it serves.

use std::any::Any;

use crate::context::RunContext;
use crate::diagnostic::Code;
use crate::error::RunError;
use crate::functions::ParamKind;
use crate::ir::{Arg, ArgKind, CallSite, Key, Node, NodeKind};
use crate::span::Span;
use crate::value::{Constant, Types, Value};

/// The arguments of one call, in the order of the function's parameters; the arguments of a rest
/// parameter follow one by one. Borrowed from the compiled script, not from the run context.
#[derive(Debug, Clone, Copy)]
pub struct Args<'s> {
    site: &'s CallSite,
}

impl<'s> Args<'s> {
    pub(crate) const fn new(site: &'s CallSite) -> Self {
        Self { site }
    }

    fn arg(self, at: usize) -> Option<&'s Arg> {
        self.site.args.get(at)
    }

    /// How many arguments there are, defaults included.
    #[must_use]
    pub fn len(self) -> usize {
        self.site.args.len()
    }

    /// Whether there are no arguments.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.site.args.is_empty()
    }

    /// Whether the script wrote this argument, as opposed to a default.
    #[must_use]
    pub(crate) fn given(self, at: usize) -> bool {
        self.arg(at).is_some_and(|arg| arg.given)
    }

    /// The place of an argument, or of the function's name when it was not written.
    #[must_use]
    pub fn span(self, at: usize) -> Span {
        self.arg(at)
            .filter(|arg| arg.given)
            .map_or(self.site.name_span, |arg| arg.span)
    }

    /// The place of the function's name.
    #[must_use]
    pub(crate) fn name_span(self) -> Span {
        self.site.name_span
    }

    /// The key of a `ParamKind::Key` argument. A `ParamKind::Source` argument has one unless it
    /// was written as a string. `None` when the argument is absent.
    #[must_use]
    pub fn key(self, at: usize) -> Option<&'s Key> {
        match &self.arg(at)?.kind {
            ArgKind::Key(key) => Some(key),
            _ => None,
        }
    }

    /// The literal (or default) of an argument, [`Constant::Nil`] when it is not a literal.
    #[must_use]
    pub(crate) fn constant(self, at: usize) -> &'s Constant {
        const NIL: &Constant = &Constant::Nil;
        match self.arg(at) {
            Some(Arg {
                kind: ArgKind::Constant(constant),
                ..
            }) => constant,
            _ => NIL,
        }
    }

    /// The text of a string literal, empty when it is not one.
    #[must_use]
    pub(crate) fn literal_str(self, at: usize) -> &'s str {
        self.constant(at).as_str().unwrap_or("")
    }

    /// Evaluates an argument. A key reads as in `RunContext::read` (absent: `nil`); a literal or default
    /// is its value; a missing argument is `nil`.
    ///
    /// # Errors
    /// The error of the expression, or a value of a type the parameter does not take.
    pub fn value(self, cx: &mut RunContext<'_>, at: usize) -> Result<Value, RunError> {
        let Some(arg) = self.arg(at) else {
            return Ok(Value::Nil);
        };
        match &arg.kind {
            ArgKind::Constant(constant) => Ok(constant.value()),
            ArgKind::Key(key) => Ok(cx.read(key).unwrap_or_default()),
            ArgKind::Value(node) => {
                let types = match self.site.spec.param(at).map(|param| param.kind) {
                    Some(ParamKind::Value(types)) => types,
                    _ => Types::ANY,
                };
                // The result is handed on as it is; taking it apart would copy it twice.
                let result = cx.eval(node);
                match &result {
                    Ok(value) if !types.has(value.types()) => {
                        Err(self.wrong_type(at, types, value))
                    }
                    _ => result,
                }
            }
        }
    }

    /// Evaluates an argument that has to be `str`.
    ///
    /// # Errors
    /// As [`Args::value`], or a value that is not a `str`.
    pub fn str(self, cx: &mut RunContext<'_>, at: usize) -> Result<kafkamq_point::Text, RunError> {
        match self.value(cx, at)? {
            Value::Str(text) => Ok(text),
            other => Err(self.wrong_type(at, Types::STR, &other)),
        }
    }

    /// Evaluates an argument that has to be `int`.
    ///
    /// # Errors
    /// As [`Args::value`], or a value that is not an `int`.
    pub(crate) fn int(self, cx: &mut RunContext<'_>, at: usize) -> Result<i64, RunError> {
        match self.value(cx, at)? {
            Value::Int(number) => Ok(number),
            other => Err(self.wrong_type(at, Types::INT, &other)),
        }
    }

    /// Evaluates an argument that has to be `bool`.
    ///
    /// # Errors
    /// As [`Args::value`], or a value that is not a `bool`.
    pub fn bool(self, cx: &mut RunContext<'_>, at: usize) -> Result<bool, RunError> {
        if let Some(truth) = self.constant(at).as_bool() {
            return Ok(truth);
        }
        match self.value(cx, at)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(self.wrong_type(at, Types::BOOL, &other)),
        }
    }

    /// Evaluates an argument that has to be of one of these types; for parameters whose literals
    /// are not checked when the script is loaded.
    ///
    /// # Errors
    /// As [`Args::value`], or a value of another type.
    pub(crate) fn typed(
        self,
        cx: &mut RunContext<'_>,
        at: usize,
        types: Types,
    ) -> Result<Value, RunError> {
        let value = self.value(cx, at)?;
        if types.has(value.types()) {
            Ok(value)
        } else {
            Err(self.wrong_type(at, types, &value))
        }
    }

    /// Whether an argument is the call of a function that never has a result.
    #[must_use]
    pub(crate) fn yields_nothing(self, at: usize) -> bool {
        match self.arg(at).map(|arg| &arg.kind) {
            Some(ArgKind::Value(node)) => node.yields_nothing(),
            _ => false,
        }
    }

    /// The name an argument was written as, if it is a bare one that reads as `str`; lets a
    /// function look at the text where it stands instead of copying it.
    pub(crate) fn str_name(self, cx: &RunContext<'_>, at: usize) -> Option<&'s Key> {
        match &self.arg(at)?.kind {
            ArgKind::Value(Node {
                kind: NodeKind::Load(key),
                ..
            }) if cx.reads_str(key) => Some(key),
            _ => None,
        }
    }

    /// The name and the key of an argument of the form `name["key"]`.
    pub(crate) fn member(self, at: usize) -> Option<(&'s Key, &'s str)> {
        match &self.arg(at)?.kind {
            ArgKind::Value(Node {
                kind: NodeKind::Index(index),
                ..
            }) => match &*index.indexes {
                [
                    Node {
                        kind: NodeKind::Constant(Constant::Str(key)),
                        ..
                    },
                ] => Some((&index.base, key)),
                _ => None,
            },
            _ => None,
        }
    }

    /// What the function's check hook prepared for this call site.
    ///
    /// # Errors
    /// An internal error when the hook prepared nothing of this type.
    pub(crate) fn prepared<T: Any>(self) -> Result<&'s T, RunError> {
        self.site
            .prepared
            .as_deref()
            .and_then(|prepared| prepared.downcast_ref())
            .ok_or_else(|| {
                RunError::new(
                    Code::Internal,
                    self.site.name_span,
                    format!("`{}` was not prepared", self.site.spec.name),
                )
            })
    }

    /// A run error at an argument.
    #[cold]
    pub fn error(self, at: usize, message: impl Into<String>) -> RunError {
        RunError::new(Code::FunctionFailed, self.span(at), message)
    }

    #[cold]
    fn wrong_type(self, at: usize, types: Types, value: &Value) -> RunError {
        let name = self
            .site
            .spec
            .param(at)
            .map_or("argument", |param| param.name);
        self.error(
            at,
            format!(
                "`{}` of `{}` takes {}, not {}",
                name,
                self.site.spec.name,
                types.describe(),
                value.type_name()
            ),
        )
    }
}
