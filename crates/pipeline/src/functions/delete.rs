//! `delete`: removes a key from a map.

use super::{Effects, CallAst, CheckCx, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::Cx;
use crate::error::RunError;
use crate::ast::ExprKind;
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "delete",
    category: FunctionCategory::Value,
    summary: "Removes a key from a map",
    doc: "The map is changed in place, which everyone who holds it sees. Anything that is not found \
          or is not a map changes nothing.",
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

fn check(_: &mut CheckCx<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    match call.arg(0) {
        Some(expr) if !matches!(expr.kind, ExprKind::Name(_) | ExprKind::Index { .. }) => Err(call.error(
            0,
            format!("`delete` takes a name or an index expression, not {}", expr.describe()),
        )),
        _ => Ok(None),
    }
}

fn call(cx: &mut Cx<'_>, args: Args<'_>) -> Result<Value, RunError> {
    if let Ok(Value::Map(map)) = args.value(cx, 0) {
        // The entries behind it move up, and are indexed anew.
        cx.meter().note_units(map.len() / 2);
        map.remove(args.literal_str(1));
    }
    Ok(Value::Nil)
}
