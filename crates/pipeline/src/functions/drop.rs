//! `drop`: marks the point as dropped.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "drop",
    category: FunctionCategory::Control,
    summary: "Marks the point as dropped",
    doc: "The script goes on, and the mark cannot be removed. Arguments are ignored.",
    params: &[Param::of("ignored", ParamKind::Expr, "Not used").rest()],
    named: false,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Dropping health checks",
        script: "if \"/healthz\" in _ { drop() }",
        input: "GET /healthz",
        output: &[("(dropped)", "true")],
    }],
    notes: &[],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, _: Args<'_>) -> Result<Value, RunError> {
    cx.drop_point();
    Ok(Value::Nil)
}
