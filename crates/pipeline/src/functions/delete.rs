//! `delete`: removes a key from a map.

use super::{Effects, CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ast::ExprKind;
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "delete",
    category: FunctionCategory::Value,
    summary: "Removes a key from a map",
    doc: "The map is changed in place, so the change shows wherever the map is used. Nothing \
          happens if the key does not exist or the value is not a map.",
    params: &[
        Param::of("src", ParamKind::Expr, "A name or index expression that leads to a map"),
        Param::literal("key", Types::STR, "The key to remove"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Within a structure",
        script: "a = {\"b\": [{\"c\": 1, \"d\": 2}]}\ndelete(a[\"b\"][0], \"c\")\nadd_key(a)",
        input: "",
        output: &[("a", "\"{\\\"b\\\":[{\\\"d\\\":2}]}\"")],
    }],
    notes: &[],
    check: Some(check),
    call,
};

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    match call.arg(0) {
        Some(expr) if !matches!(expr.kind, ExprKind::Name(_) | ExprKind::Index { .. }) => Err(call.error(
            0,
            format!("`delete` takes a name or an index expression, not {}", expr.describe()),
        )),
        _ => Ok(None),
    }
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    if let Ok(Value::Map(map)) = args.value(cx, 0) {
        // The entries behind it move up, and are indexed anew.
        cx.meter().note_units(map.len() / 2);
        map.remove(args.literal_str(1));
    }
    Ok(Value::Nil)
}
