//! `append`: adds an element to a copy of a list.

use super::{Effects, CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "append",
    category: FunctionCategory::Value,
    summary: "Yields a list with one more element",
    doc: "The list itself keeps its length; the result is always a new list. A list given as element \
          is one element. When the name does not hold a list, the call yields `nil`.",
    params: &[
        Param::of("list", ParamKind::Expr, "The name of a list"),
        Param::value("value", Types::ANY, "The element to add"),
    ],
    named: false,
    returns: Types::LIST.or(Types::NIL),
    effects: Effects::PURE,
    examples: &[Example {
        title: "Growing a list",
        script: "a = [1]\na = append(a, 2)\nadd_key(a)",
        input: "",
        output: &[("a", "\"[1,2]\"")],
    }],
    notes: &["`a = append(a, x)` turns `a` into `nil` when `a` is not a list."],
    check: Some(check),
    call,
};

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    match call.arg(0) {
        Some(expr) if expr.as_name().is_none() => {
            Err(call.error(0, format!("`append` takes the name of a list, not {}", expr.describe())))
        }
        _ => Ok(None),
    }
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let Value::List(list) = args.value(cx, 0)? else {
        return Ok(Value::Nil);
    };
    let value = args.value(cx, 1)?;
    let texts: usize = list.with(|old| old.iter().map(Value::heap).sum());
    cx.charge(texts, args.name_span())?;
    let mut items = Vec::with_capacity(list.len() + 1);
    list.with(|old| items.extend_from_slice(old));
    items.push(value);
    Ok(items.into())
}
