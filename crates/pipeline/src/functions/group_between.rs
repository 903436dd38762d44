//! `group_between`: names a range of numbers.

use super::{Effects, CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind, prepare};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ast::{Expr, ExprKind};
use crate::number::float;
use crate::ir::Prepared;
use crate::value::{Constant, Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "group_between",
    category: FunctionCategory::Value,
    summary: "Names a range of numbers",
    doc: "If the key's number lies between the two bounds, both included, writes `new_value` to \
         `new_key`, or to the key itself. Bools count as 0 and 1, text as the number it holds.",
    params: &[
        Param::key("key", "The key that holds the number"),
        Param::of("between", ParamKind::Expr, "Two number literals in a list: the bounds"),
        Param::of("new_value", ParamKind::Expr, "What to write: a str, int, float or bool literal"),
        Param::key("new_key", "Where to write it; the key itself if left out").optional(),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A class of status codes",
            script: "code = 404\ngroup_between(code, [400, 499], \"client error\", class)",
            input: "",
            output: &[("class", "\"client error\"")],
        },
    ],
    notes: &[
        "Text that is not a number, `nil`, lists and maps count as 0.",
        "A `new_value` that is not a literal fails, but only when the number is in range.",
    ],
    check: Some(check),
    call,
};

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let wrong = || call.error(1, "`between` takes a list of two numbers, the smaller one first");
    let Some(ExprKind::List(bounds)) = call.arg(1).map(|expr| &expr.kind) else {
        return Err(wrong());
    };
    let [low, high] = bounds.as_slice() else {
        return Err(wrong());
    };
    match (number(low), number(high)) {
        (Some(low), Some(high)) if low <= high => prepare((low, high, literal(call.arg(2)))),
        _ => Err(wrong()),
    }
}

/// The literal a call writes, `nil` for any other expression.
pub(super) fn literal(expr: Option<&Expr>) -> Constant {
    match expr.map(|expr| &expr.kind) {
        Some(ExprKind::Int(number)) => Constant::Int(*number),
        Some(ExprKind::Float(number)) => Constant::Float(*number),
        Some(ExprKind::Bool(truth)) => Constant::Bool(*truth),
        Some(ExprKind::Str(text)) => Constant::Str(text.clone()),
        _ => Constant::Nil,
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers are compared as floats")]
fn number(expr: &Expr) -> Option<f64> {
    match expr.kind {
        ExprKind::Int(number) => Some(number as f64),
        ExprKind::Float(number) => Some(number),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers are compared as floats")]
fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let (low, high, new): &(f64, f64, Constant) = args.prepared()?;
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    let held = match cx.read(key) {
        Some(Value::Int(number)) => number as f64,
        Some(Value::Float(number)) => number,
        Some(Value::Bool(truth)) => f64::from(u8::from(truth)),
        Some(Value::Str(text)) => float(&text).unwrap_or(0.0),
        Some(Value::Nil | Value::List(_) | Value::Map(_)) => 0.0,
        None => return Ok(Value::Nil),
    };
    if (*low..=*high).contains(&held) {
        let target = args.key(3).unwrap_or(key);
        match new.value() {
            Value::Nil => return Err(args.error(2, "`new_value` has to be a literal")),
            value => cx.set_key(target, value),
        }
    }
    Ok(Value::Nil)
}
