//! `drop_key`: removes a key from the point.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "drop_key",
    category: FunctionCategory::Point,
    summary: "Removes a key from the point",
    doc: "Removes the tag or field; a key that does not exist changes nothing. Variables stay.",
    params: &[Param::key("key", "The key to remove")],
    named: false,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Removing a key",
        script: "add_key(secret, 1)\ndrop_key(secret)",
        input: "",
        output: &[],
    }],
    notes: &[],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    if let Some(key) = args.key(0) {
        cx.remove(key.name());
    }
    Ok(Value::Nil)
}
