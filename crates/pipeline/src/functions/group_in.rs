//! `group_in`: names a set of values.

use super::{Effects, 
    CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind, group_between::literal, prepare,
};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::value::{Constant, Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "group_in",
    category: FunctionCategory::Value,
    summary: "Names a set of values",
    doc: "If the key's value equals an element of the list in type and value, writes `new_value` \
         to `new_key`, or to the key itself.",
    params: &[
        Param::key("key", "The key that holds the value"),
        Param::of("range", ParamKind::Expr, "A list, or the name of one"),
        Param::of("new_value", ParamKind::Expr, "What to write: a str, int, float or bool literal"),
        Param::key("new_key", "Where to write it; the key itself if left out").optional(),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "Levels",
            script: "level = \"W\"\ngroup_in(level, [\"W\", \"warn\"], \"warning\", status)",
            input: "",
            output: &[("status", "\"warning\"")],
        },
    ],
    notes: &[
        "A second argument that is not a list, and a `new_value` that is not a literal, are ignored.",
        "Numbers taken out of JSON are floats: compare them with `[200.0]`.",
    ],
    check: Some(check),
    call,
};

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    prepare(literal(call.arg(2)))
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    let Some(held) = cx.read(key) else {
        return Ok(Value::Nil);
    };
    // A list that cannot be computed is like an empty one.
    let Ok(Value::List(list)) = args.value(cx, 1) else {
        return Ok(Value::Nil);
    };
    if list.with(|items| items.iter().any(|item| item.same_within(&held, cx.meter()))) {
        let new: &Constant = args.prepared()?;
        let value = new.value();
        if !value.is_nil() {
            cx.set_key(args.key(3).unwrap_or(key), value);
        }
    }
    Ok(Value::Nil)
}
