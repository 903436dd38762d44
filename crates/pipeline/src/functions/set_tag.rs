//! `set_tag`: makes a key a tag.

use super::{Effects, CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind, prepare};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ast::ExprKind;
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "set_tag",
    category: FunctionCategory::Point,
    summary: "Makes a key a tag",
    doc: "The tag holds the value's text; a field of that name is replaced. With one argument the \
          value is what the key's name reads as, and an unknown name gives an empty tag.",
    params: &[
        Param::key("key", "The key that becomes a tag"),
        Param::of("value", ParamKind::Source, "A string, or a name whose value is taken").optional(),
    ],
    named: false,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "A field and a constant",
        script: "add_key(code, 200)\nset_tag(code)\nset_tag(env, \"prod\")",
        input: "",
        output: &[("code", "\"200\""), ("env", "\"prod\"")],
    }],
    notes: &["An attribute expression as value gives an empty tag; use `pt_kvs_set` with `as_tag=true` for computed values."],
    check: Some(check),
    call,
};

/// Whether the value was written as an attribute expression, which has no value.
struct HasNoValue(bool);

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let path = call.arg(1).is_some_and(|expr| matches!(expr.kind, ExprKind::Path(_)));
    prepare(HasNoValue(path))
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    let HasNoValue(no_value) = args.prepared()?;
    let value = if *no_value {
        Value::Nil
    } else if args.given(1) {
        args.value(cx, 1)?
    } else {
        cx.read(key).unwrap_or_default()
    };
    cx.set_tag(key.name(), value);
    Ok(Value::Nil)
}
