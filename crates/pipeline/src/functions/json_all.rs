//! `json_all`: kept for old scripts, does nothing.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "json_all",
    category: FunctionCategory::Document,
    summary: "Does nothing, kept for old scripts",
    doc: "Accepts any arguments. Use `load_json` and a loop instead.",
    params: &[Param::of("ignored", ParamKind::Expr, "Not used").rest()],
    named: false,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Nothing happens",
        script: "json_all()",
        input: "{\"a\": 1}",
        output: &[],
    }],
    notes: &[],
    check: None,
    call,
};

fn call(_: &mut RunContext<'_>, _: Args<'_>) -> Result<Value, RunError> {
    Ok(Value::Nil)
}
