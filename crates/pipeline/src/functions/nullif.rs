//! `nullif`: removes a key that holds a given value.

use super::{Effects, 
    CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind,
    group_between::literal, prepare,
};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::value::{Constant, Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "nullif",
    category: FunctionCategory::Value,
    summary: "Removes a key that holds a given value",
    doc: "Removes the key from the point if its value equals `value` in type and value: 3 is \
         neither 3.0 nor \"3\". If a variable has that name, its value is compared, and it is not removed.",
    params: &[
        Param::key("key", "The key"),
        Param::of("value", ParamKind::Expr, "The value: a str, int, float, bool or nil literal"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A placeholder",
            script: "user = \"-\"\nadd_key(user)\nnullif(user, \"-\")",
            input: "",
            output: &[],
        },
    ],
    notes: &[

    ],
    check: Some(check),
    call,
};

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    prepare(literal(call.arg(1)))
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let value = args.prepared::<Constant>()?.value();
    if let Some(key) = args.key(0)
        && cx.read(key).is_some_and(|held| held.same(&value))
    {
        cx.remove(key.name());
    }
    Ok(Value::Nil)
}
