//! `strlen`: counts the characters of a text.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "strlen",
    category: FunctionCategory::Text,
    summary: "Counts the characters of a text",
    doc: "Counts Unicode code points; `len` counts bytes.",
    params: &[
        Param::value("val", Types::ANY, "The text; anything else fails"),
    ],
    named: true,
    returns: Types::INT,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "Characters and bytes",
            script: "add_key(n, strlen(_))\nadd_key(bytes, len(_))",
            input: "日志",
            output: &[("n", "2"), ("bytes", "6")],
        },
    ],
    notes: &[

    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let text = args.str(cx, 0)?;
    let count = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    Ok(Value::Int(count))
}
