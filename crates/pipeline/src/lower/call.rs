//! Calls: finding the function, sorting arguments by parameter, checking their kinds.

use super::Lowerer;
use crate::ast::{Argument, Call, Expr, ExprKind};
use crate::diagnostic::{Code as ErrorCode, suggest};
use crate::functions::{self, CallAst, CheckContext, DefaultValue, FunctionSpec, Param, ParamKind};
use crate::ir::{Arg, ArgKind, CallSite};
use crate::keys::key_name;
use crate::span::Span;
use crate::value::{Constant, Types};

impl Lowerer<'_> {
    pub(super) fn call(&mut self, call: &Call) -> Option<CallSite> {
        let Some(spec) = functions::find(&call.name.text) else {
            let names = functions::ALL.iter().map(|spec| spec.name);
            let help = suggest(&call.name.text, names)
                .or_else(|| {
                    suggest(
                        &call.name.text.to_ascii_lowercase(),
                        functions::ALL.iter().map(|spec| spec.name),
                    )
                })
                .map(|name| format!("did you mean `{name}`?"));
            self.error_with(
                ErrorCode::UnknownFunction,
                call.name.span,
                format!("there is no function `{}`", call.name.text),
                help,
            );
            return None;
        };
        self.bind(spec, call)
    }

    fn bind(&mut self, spec: &'static FunctionSpec, call: &Call) -> Option<CallSite> {
        let errors_before = self.errors.len();
        let written = self.sort(spec, call)?;
        let args: Box<[Arg]> = written
            .iter()
            .enumerate()
            .map(|(at, expr)| self.argument(spec, at, *expr, call.name.span))
            .collect();
        if self.errors.len() > errors_before {
            return None;
        }
        let mut prepared = None;
        if let Some(check) = spec.check {
            let ast = CallAst {
                spec,
                name_span: call.name.span,
                args: written,
                named: call
                    .arguments
                    .iter()
                    .filter(|argument| argument.name.is_some())
                    .map(|argument| argument.value.span)
                    .collect(),
            };
            let mut uses = Vec::new();
            let find = self.find;
            let result = check(
                &mut CheckContext {
                    engine: self.engine,
                    scopes: &mut self.definitions,
                    uses: &mut uses,
                    script_names: find,
                },
                &ast,
            );
            for (name, span) in uses {
                match find(&name) {
                    Some(unit) => self.uses.push((unit, span)),
                    None => self.error(
                        ErrorCode::UseTarget,
                        span,
                        format!("there is no script `{name}`"),
                    ),
                }
            }
            match result {
                Ok(made) => prepared = made,
                Err(error) => {
                    self.error_with(error.code, error.span, error.message, error.help);
                    return None;
                }
            }
        }
        self.effects = self.effects.and(spec.effects);
        Some(CallSite {
            spec,
            name_span: call.name.span,
            args,
            prepared,
        })
    }

    /// The arguments in the order of the parameters; rest arguments at the end.
    fn sort<'a>(
        &mut self,
        spec: &'static FunctionSpec,
        call: &'a Call,
    ) -> Option<Vec<Option<&'a Expr>>> {
        let fixed = spec.params.iter().filter(|param| !param.rest).count();
        let has_rest = fixed < spec.params.len();
        if !has_rest && call.arguments.len() > fixed {
            self.wrong_count(spec, call);
            return None;
        }
        let mut sorted: Vec<Option<&Expr>> = vec![None; fixed];
        let mut names_seen = false;
        for (at, Argument { name, value }) in call.arguments.iter().enumerate() {
            match name {
                None if names_seen => {
                    self.error(
                        ErrorCode::NamedArgument,
                        name_place(spec, call, value.start()),
                        "a positional argument follows a named one",
                    );
                    return None;
                }
                None => match sorted.get_mut(at) {
                    Some(place) if at < fixed => *place = Some(value),
                    _ if has_rest => sorted.push(Some(value)),
                    _ => {
                        self.wrong_count(spec, call);
                        return None;
                    }
                },
                Some(name) => {
                    names_seen = true;
                    let position = spec
                        .params
                        .iter()
                        .position(|param| param.name == name.text && !param.rest)
                        .filter(|_| spec.named);
                    let Some(place) = position.and_then(|at| sorted.get_mut(at)) else {
                        self.unknown_name(spec, &name.text, name_place(spec, call, name.span));
                        return None;
                    };
                    *place = Some(value);
                }
            }
        }
        let missing = spec
            .params
            .iter()
            .zip(&sorted)
            .find(|(param, written)| written.is_none() && param.default.is_none());
        if let Some((param, _)) = missing {
            self.error_with(
                ErrorCode::ArgumentCount,
                call.name.span,
                format!("`{}` needs `{}`", spec.name, param.name),
                Some(functions::signature(spec)),
            );
            return None;
        }
        Some(sorted)
    }

    #[cold]
    fn wrong_count(&mut self, spec: &'static FunctionSpec, call: &Call) {
        self.error_with(
            ErrorCode::ArgumentCount,
            call.name.span,
            format!(
                "`{}` takes at most {} arguments, not {}",
                spec.name,
                spec.params.len(),
                call.arguments.len()
            ),
            Some(functions::signature(spec)),
        );
    }

    #[cold]
    fn unknown_name(&mut self, spec: &'static FunctionSpec, name: &str, span: Span) {
        if !spec.named {
            self.error(
                ErrorCode::NamedArgument,
                span,
                format!("`{}` takes no named arguments", spec.name),
            );
            return;
        }
        let help = suggest(name, spec.params.iter().map(|param| param.name)).map_or_else(
            || functions::signature(spec),
            |known| format!("did you mean `{known}`?"),
        );
        self.error_with(
            ErrorCode::NamedArgument,
            span,
            format!("`{}` has no parameter `{name}`", spec.name),
            Some(help),
        );
    }

    /// One argument in its compiled form; a wrong kind is reported.
    fn argument(
        &mut self,
        spec: &'static FunctionSpec,
        at: usize,
        expr: Option<&Expr>,
        name_span: Span,
    ) -> Arg {
        let Some(param) = spec.param(at) else {
            return absent(name_span);
        };
        let Some(expr) = expr else {
            return Arg {
                kind: ArgKind::Constant(default(param)),
                span: name_span,
                given: false,
            };
        };
        let kind = match param.kind {
            ParamKind::Key => self.key_argument(expr, true),
            ParamKind::Name => self.key_argument(expr, false),
            ParamKind::Source => match expr.as_str() {
                Some(text) => Some(ArgKind::Constant(Constant::Str(text.into()))),
                None => self.key_argument(expr, false),
            },
            ParamKind::Literal(types) => literal(expr)
                .filter(|constant| types.has(constant.types()))
                .map(ArgKind::Constant),
            ParamKind::Value(types) => {
                let fits = literal_types(expr).is_none_or(|literal| types.has(literal));
                fits.then(|| ArgKind::Value(self.value(expr)))
            }
            ParamKind::Expr => Some(ArgKind::Value(self.value(expr))),
            ParamKind::Path => Some(ArgKind::Constant(Constant::Nil)),
        };
        let span = expr.start();
        match kind {
            Some(kind) => Arg {
                kind,
                span,
                given: true,
            },
            None => {
                // A nested error is the better message.
                let before = self.errors.len();
                if !matches!(expr.kind, ExprKind::Path(_)) {
                    self.value(expr);
                }
                if self.errors.len() == before {
                    self.wrong_kind(spec, param, expr);
                }
                absent(span)
            }
        }
    }

    fn key_argument(&mut self, expr: &Expr, strings: bool) -> Option<ArgKind> {
        if !strings && expr.as_str().is_some() {
            return None;
        }
        Some(ArgKind::Key(self.key(key_name(expr)?)))
    }

    #[cold]
    fn wrong_kind(&mut self, spec: &'static FunctionSpec, param: &Param, expr: &Expr) {
        let help = match (param.kind, &expr.kind) {
            (ParamKind::Literal(_), ExprKind::Name(_)) => {
                Some("a literal is needed here, variables are not evaluated".to_owned())
            }
            (ParamKind::Key | ParamKind::Name, _) => Some(
                "a key is written as a name, `a.b` or, where strings are keys, a string".to_owned(),
            ),
            _ => None,
        };
        self.error_with(
            ErrorCode::ArgumentKind,
            expr.start(),
            format!(
                "`{}` of `{}` takes {}, not {}",
                param.name,
                spec.name,
                functions::describe_kind(param.kind),
                expr.describe()
            ),
            help,
        );
    }
}

/// Where a misplaced or unknown name is reported: at the function, but for the functions that read
/// arguments one by one at the argument.
fn name_place(spec: &FunctionSpec, call: &Call, argument: Span) -> Span {
    if !spec.named || spec.name.starts_with("pt_kvs_") {
        argument
    } else {
        call.name.span
    }
}

fn absent(span: Span) -> Arg {
    Arg {
        kind: ArgKind::Constant(Constant::Nil),
        span,
        given: false,
    }
}

fn default(param: &Param) -> Constant {
    match param.default {
        None | Some(DefaultValue::Absent | DefaultValue::Nil) => Constant::Nil,
        Some(DefaultValue::Bool(truth)) => Constant::Bool(truth),
        Some(DefaultValue::Int(number)) => Constant::Int(number),
        Some(DefaultValue::Str(text)) => Constant::Str(text.into()),
        Some(DefaultValue::List) => Constant::List([].into()),
    }
}

/// The constant a literal is; lists and maps of literals included.
pub(crate) fn literal(expr: &Expr) -> Option<Constant> {
    Some(match &expr.kind {
        ExprKind::Nil => Constant::Nil,
        ExprKind::Bool(truth) => Constant::Bool(*truth),
        ExprKind::Int(number) => Constant::Int(*number),
        ExprKind::Float(number) => Constant::Float(*number),
        ExprKind::Str(text) => Constant::Str(text.clone()),
        ExprKind::List(items) => Constant::List(
            items
                .iter()
                .map(literal)
                .collect::<Option<Vec<_>>>()?
                .into(),
        ),
        ExprKind::Map(pairs) => Constant::Map(
            pairs
                .iter()
                .map(|(key, value)| Some((key.as_str()?.into(), literal(value)?)))
                .collect::<Option<Vec<_>>>()?
                .into(),
        ),
        _ => return None,
    })
}

/// The type of an expression that is visibly of one type.
const fn literal_types(expr: &Expr) -> Option<Types> {
    Some(match &expr.kind {
        ExprKind::Nil => Types::NIL,
        ExprKind::Bool(_) => Types::BOOL,
        ExprKind::Int(_) => Types::INT,
        ExprKind::Float(_) => Types::FLOAT,
        ExprKind::Str(_) => Types::STR,
        ExprKind::List(_) => Types::LIST,
        ExprKind::Map(_) => Types::MAP,
        _ => return None,
    })
}
