//! `value_type`: names the type of a value.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "value_type",
    category: FunctionCategory::Value,
    summary: "Names the type of a value",
    doc: "Yields `bool`, `int`, `float`, `str`, `list` or `map`, and an empty text for `nil` and for a \
          value that fails.",
    params: &[Param::of("val", ParamKind::Expr, "Any value")],
    named: true,
    returns: Types::STR,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Numbers out of JSON are floats",
        script: "add_key(a, value_type(1))\nadd_key(b, value_type(load_json(\"1\")))",
        input: "",
        output: &[("a", "\"int\""), ("b", "\"float\"")],
    }],
    notes: &[],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let name = match args.value(cx, 0) {
        Err(_) | Ok(Value::Nil) => "",
        Ok(value) => value.type_name(),
    };
    Ok(Value::str(name))
}
