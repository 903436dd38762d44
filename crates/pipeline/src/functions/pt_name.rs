//! `pt_name`: reads and sets the measurement.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "pt_name",
    category: FunctionCategory::Point,
    summary: "Reads the point's measurement, and sets it when given one",
    doc: "Sets the measurement if the value is a `str`; anything else, also a value that fails, \
          changes nothing. Yields the measurement as it is then.",
    params: &[Param::of("value", ParamKind::Expr, "The new measurement").optional()],
    named: false,
    returns: Types::STR,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Adding a prefix",
        script: "pt_name(\"app_\" + pt_name())",
        input: "",
        output: &[("(name)", "\"app_test\"")],
    }],
    notes: &[],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    if args.given(0)
        && let Ok(Value::Str(name)) = args.value(cx, 0)
    {
        cx.point_mut().set_name(name);
    }
    Ok(Value::str(cx.point().name()))
}
