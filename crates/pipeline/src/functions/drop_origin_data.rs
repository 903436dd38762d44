//! `drop_origin_data`: removes the original text.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "drop_origin_data",
    category: FunctionCategory::Point,
    summary: "Removes the key `message`, the original text",
    doc: "Removes the tag or field. Arguments are ignored.",
    params: &[Param::of("ignored", ParamKind::Expr, "Not used").rest()],
    named: false,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Keeping only what was extracted",
        script: "first = _[:3]\nadd_key(first)\ndrop_origin_data()",
        input: "GET /",
        output: &[("first", "\"GET\"")],
    }],
    notes: &[],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, _: Args<'_>) -> Result<Value, RunError> {
    cx.remove("message");
    Ok(Value::Nil)
}
