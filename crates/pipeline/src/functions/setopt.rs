//! `setopt`: sets options of the run.

use super::{Effects, CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "setopt",
    category: FunctionCategory::Control,
    summary: "Sets options of this run",
    doc: "`status_mapping` switches the normalisation of the key `status` that follows the run on \
          logging points. The last call wins; a value that is not a bool is ignored.",
    params: &[Param::of("status_mapping", ParamKind::Expr, "Whether to normalise `status`").optional()],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Keeping a status of one's own",
        script: "setopt(status_mapping=false)\nadd_key(status, \"E\")",
        input: "",
        output: &[("status", "\"E\"")],
    }],
    notes: &["The argument has to be named."],
    check: Some(check),
    call,
};

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    if call.arg(0).is_some() && !call.named(0) {
        return Err(call.error(0, "the option has to be named, as in `setopt(status_mapping=false)`"));
    }
    Ok(None)
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    if args.given(0)
        && let Value::Bool(on) = args.value(cx, 0)?
    {
        cx.set_status_mapping(on);
    }
    Ok(Value::Nil)
}
