//! `set_measurement`: names the point after a key.

use super::{Effects, CallAst, CheckContext, CheckError, DefaultValue, Example, FunctionCategory, FunctionSpec, Param, ParamKind, prepare};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ast::ExprKind;
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "set_measurement",
    category: FunctionCategory::Point,
    summary: "Sets the point's measurement",
    doc: "A string is the name itself; the value of a name is read. Values that are not a `str` \
          change nothing. With `delete` the key of that name is removed from the point as well.",
    params: &[
        Param::of("value", ParamKind::Source, "The measurement, or a name that holds it"),
        Param::literal("delete", Types::BOOL, "Whether to remove the key").or(DefaultValue::Bool(false)),
    ],
    named: false,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "From a key that goes away",
        script: "add_key(app, \"shop\")\nset_measurement(app, true)",
        input: "",
        output: &[("(name)", "\"shop\"")],
    }],
    notes: &["A string never removes a key. An attribute expression has no value and only removes."],
    check: Some(check),
    call,
};

/// Whether the value was written as an attribute expression, which has no value.
struct HasNoValue(bool);

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let path = call.arg(0).is_some_and(|expr| matches!(expr.kind, ExprKind::Path(_)));
    prepare(HasNoValue(path))
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let HasNoValue(no_value) = args.prepared()?;
    if !no_value
        && let Value::Str(name) = args.value(cx, 0)?
    {
        cx.point_mut().set_name(name);
    }
    if let (Some(key), Some(true)) = (args.key(0), args.constant(1).as_bool()) {
        cx.remove(key.name());
    }
    Ok(Value::Nil)
}
