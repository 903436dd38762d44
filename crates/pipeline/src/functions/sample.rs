//! `sample`: draws lots.

use super::{Effects, 
    CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind,
};
use crate::args::Args;
use crate::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "sample",
    category: FunctionCategory::Control,
    summary: "Is true with a given probability",
    doc: "`p` is a number or an arithmetic expression. 0 and below is never true, 1 and above always. \
          Every call draws a new random number.",
    params: &[Param::of("p", ParamKind::Expr, "The probability, 0 to 1")],
    named: true,
    returns: Types::BOOL,
    effects: Effects::CHANCE,
    examples: &[Example {
        title: "Certain and impossible",
        script: "if sample(1) {\n  add_key(always, true)\n}\nadd_key(never, sample(0))",
        input: "",
        output: &[("always", "true"), ("never", "false")],
    }],
    notes: &["A name is refused; write `sample(p * 1)` for a probability that is computed elsewhere."],
    check: Some(check),
    call,
};

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    match call.arg(0) {
        Some(expr) if is_arithmetic(expr) => Ok(None),
        _ => Err(call.error(0, "`sample` takes a number or an arithmetic expression")),
    }
}

fn is_arithmetic(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Int(_) | ExprKind::Float(_) => true,
        ExprKind::Paren(inner) => is_arithmetic(inner),
        ExprKind::Unary(UnaryOp::Minus | UnaryOp::Plus, _) => true,
        ExprKind::Chain(chain) => chain.rest.iter().all(|(op, _, _)| {
            matches!(
                op,
                BinaryOp::Add
                    | BinaryOp::Subtract
                    | BinaryOp::Multiply
                    | BinaryOp::Divide
                    | BinaryOp::Remainder
            )
        }),
        _ => false,
    }
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let probability = match args.value(cx, 0)? {
        #[expect(clippy::cast_precision_loss, reason = "only 0 and 1 matter")]
        Value::Int(number) => number as f64,
        Value::Float(number) => number,
        other => {
            let message = format!("a probability is a number, not {}", other.type_name());
            return Err(args.error(0, message));
        }
    };
    if !(0.0..=1.0).contains(&probability) {
        return Ok(Value::Nil);
    }
    // `f64` draws from 0 up to but not including 1.
    Ok(Value::Bool(fastrand::f64() < probability))
}
