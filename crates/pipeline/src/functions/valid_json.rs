//! `valid_json`: tells whether a text is JSON.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "valid_json",
    category: FunctionCategory::Document,
    summary: "Tells whether a text is strict JSON",
    doc: "A value that is not a `str` gives `false`. Raw control characters inside strings, which `load_json` accepts, are not strict JSON.",
    params: &[Param::of("val", ParamKind::Expr, "The text")],
    named: false,
    returns: Types::BOOL,
    effects: Effects::PURE,
    examples: &[Example {
        title: "JSON or not",
        script: "add_key(good, valid_json(_))\nadd_key(bad, valid_json(\"{\"))",
        input: "{\"a\": 1}",
        output: &[("good", "true"), ("bad", "false")],
    }],
    notes: &[],
    check: None,
    call,
};

pub(super) fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    Ok(Value::Bool(match args.value(cx, 0)? {
        Value::Str(text) => {
            cx.meter().note(2 * text.len());
            crate::json::is_valid(&text)
        }
        _ => false,
    }))
}
