//! `use`: runs another script of the set.

use super::{Effects, 
    CallAst, CheckContext, CheckError, FunctionCategory, FunctionSpec, Param, Example, prepare,
};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "use",
    category: FunctionCategory::Control,
    summary: "Runs another script on the same point",
    doc: "The other script belongs to the same category and has variables of its own; changes to the \
          point, `drop()` and `setopt()` act on the shared point. `exit()` there ends only that \
          script, a run error there stops the caller too. A script that does not exist, has errors \
          or uses the caller again is an error of the caller when it is loaded.",
    params: &[Param::literal("name", Types::STR, "The script's name, such as `common.p`")],
    named: false,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "A name that does not exist is only an error when loaded, so nothing is run here",
        script: "# use(\"common.p\")",
        input: "",
        output: &[],
    }],
    notes: &[],
    check: Some(check),
    call,
};

/// The number of the script to run.
struct Target(usize);

fn check(cx: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let name = call.str(0).unwrap_or_default();
    prepare(Target(cx.use_script(name, call.name_span).unwrap_or(usize::MAX)))
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let Target(unit) = args.prepared()?;
    cx.use_unit(*unit, args.name_span())?;
    Ok(Value::Nil)
}
