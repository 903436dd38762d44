//! `duration_precision`: converts between units of time.

use super::{Effects, 
    CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, prepare,
};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::time::{TimeUnit, UnknownUnit};
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "duration_precision",
    category: FunctionCategory::Time,
    summary: "Converts a whole number from one unit of time to another",
    doc: "The key has to hold an int, counted in `old_precision`; it becomes the count in \
          `new_precision`, truncated toward zero. Units are `s`, `ms`, `us` and `ns`, in any letter case.",
    params: &[
        Param::key("key", "The key that holds the number"),
        Param::literal("old_precision", Types::STR, "The unit it is in"),
        Param::literal("new_precision", Types::STR, "The unit to convert to"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Milliseconds to nanoseconds",
        script: "cost = 217\nduration_precision(cost, \"ms\", \"ns\")",
        input: "",
        output: &[("cost", "217000000")],
    }],
    notes: &[
        "A key that does not exist or does not hold an int stops the script with an error; `cast` it first.",
        "A count too large for the new unit stays as it is.",
    ],
    check: Some(check),
    call,
};

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let unit = |at: usize| -> Result<TimeUnit, CheckError> {
        call.str(at)
            .unwrap_or_default()
            .to_ascii_lowercase()
            .parse()
            .map_err(|error: UnknownUnit| call.error(at, error.to_string()))
    };
    prepare((unit(1)?, unit(2)?))
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let (old, new): &(TimeUnit, TimeUnit) = args.prepared()?;
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    let count = match cx.read(key) {
        Some(Value::Int(count)) => count,
        Some(other) => {
            let message = format!("`{}` has to be int, not {}", key.name(), other.type_name());
            return Err(args.error(0, message));
        }
        None => return Err(args.error(0, format!("there is no `{}`", key.name()))),
    };
    if let Some(count) = old.convert(count, *new) {
        cx.set_key(key, Value::Int(count));
    }
    Ok(Value::Nil)
}
