//! `len`: counts bytes or elements.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "len",
    category: FunctionCategory::Value,
    summary: "Counts the bytes of a text or the elements of a list or map",
    doc: "Everything else, `nil` included, counts 0. `strlen` counts characters.",
    params: &[Param::value("value", Types::ANY, "What to count")],
    named: false,
    returns: Types::INT,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Bytes and elements",
        script: "add_key(bytes, len(\"日本\"))\nadd_key(items, len([1, 2]))",
        input: "",
        output: &[("bytes", "6"), ("items", "2")],
    }],
    notes: &[],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let length = match args.value(cx, 0)? {
        Value::Str(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        _ => 0,
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}
