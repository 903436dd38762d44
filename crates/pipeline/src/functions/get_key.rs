//! `get_key`: reads a key of the point.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "get_key",
    category: FunctionCategory::Point,
    summary: "Reads a key of the point, never a variable",
    doc: "Yields `nil` when the point has no such key. This is also the way to read a key whose \
          name contains dots: `get_key(a.b)`.",
    params: &[Param::key("key", "The key to read")],
    named: false,
    returns: Types::SCALAR,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Past a variable of the same name",
        script: "add_key(level, \"info\")\nlevel = \"debug\"\nadd_key(seen, get_key(level))",
        input: "",
        output: &[("level", "\"info\""), ("seen", "\"info\"")],
    }],
    notes: &[],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    Ok(args
        .key(0)
        .and_then(|key| cx.point_value(key.name()))
        .unwrap_or_default())
}
