//! `exit`: ends the script.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "exit",
    category: FunctionCategory::Control,
    summary: "Ends the script",
    doc: "Nothing after the current statement runs, neither in loops nor in enclosing blocks. In a script called by `use` only that script ends. Status and time are still handled. Arguments are ignored.",
    params: &[Param::of("ignored", ParamKind::Expr, "Not used").rest()],
    named: false,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Stopping early",
        script: "add_key(a, 1)\nexit()\nadd_key(b, 2)",
        input: "GET /healthz",
        output: &[("a", "1")],
    }],
    notes: &[],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, _: Args<'_>) -> Result<Value, RunError> {
    cx.exit();
    Ok(Value::Nil)
}
