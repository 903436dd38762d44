//! `timestamp`: the current time.

use super::{Effects, DefaultValue, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::time::{TimeUnit, UnknownUnit};
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "timestamp",
    category: FunctionCategory::Time,
    summary: "Gives the current Unix time",
    doc: "An int in the unit asked for: `s`, `ms`, `us` or `ns`.",
    params: &[
        Param::value("precision", Types::STR, "The unit").or(DefaultValue::Str("ns")),
    ],
    named: true,
    returns: Types::INT,
    effects: Effects::CLOCK,
    examples: &[Example {
        title: "When the record was processed",
        script: "add_key(processed_at, timestamp(\"ms\"))",
        input: "",
        output: &[("processed_at", Example::ANY)],
    }],
    notes: &[],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let unit: TimeUnit = args
        .str(cx, 0)?
        .parse()
        .map_err(|error: UnknownUnit| args.error(0, error.to_string()))?;
    let now = cx.engine().now_ns();
    Ok(Value::Int(now.div_euclid(unit.nanos())))
}
