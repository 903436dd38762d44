//! The text of keys: what names, strings and attribute expressions mean as a key of a point.

use std::fmt::Write as _;

use kafkamq_point::Text;

use crate::ast::{Expr, ExprKind, PathPart};
use crate::state::key_text;

/// The key an argument names: the text of an identifier or string, the canonical text of an
/// attribute expression; `None` for every other expression.
pub(crate) fn key_name(expr: &Expr) -> Option<Text> {
    match &expr.kind {
        ExprKind::Name(text) | ExprKind::Str(text) => Some(key_text(text)),
        ExprKind::Path(parts) => Some(path_text(parts)),
        _ => None,
    }
}

/// The canonical text of an attribute expression: parts joined by dots, indexes in brackets.
pub(crate) fn path_text(parts: &[PathPart]) -> Text {
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 && !out.is_empty() {
            out.push('.');
        }
        if let Some(name) = &part.name {
            out.push_str(&name.text);
        }
        for index in &part.indexes {
            out.push('[');
            push_expr(&mut out, &index.expr);
            out.push(']');
        }
    }
    out.into()
}

fn push_expr(out: &mut String, expr: &Expr) {
    let _infallible = match &expr.kind {
        ExprKind::Int(number) => write!(out, "{number}"),
        ExprKind::Float(number) => write!(out, "{number:.6}"),
        ExprKind::Str(text) => write!(out, "'{text}'"),
        ExprKind::Name(text) => out.write_str(text),
        ExprKind::Bool(truth) => write!(out, "{truth}"),
        ExprKind::Nil => out.write_str("nil"),
        ExprKind::Path(parts) => out.write_str(&path_text(parts)),
        ExprKind::Paren(inner) => {
            out.push('(');
            push_expr(out, inner);
            out.write_str(")")
        }
        ExprKind::Unary(op, inner) => {
            out.push_str(op.symbol());
            push_expr(out, inner);
            Ok(())
        }
        ExprKind::Chain(chain) => {
            push_expr(out, &chain.first);
            for (op, _, right) in &chain.rest {
                let _infallible = write!(out, " {} ", op.symbol());
                push_expr(out, right);
            }
            Ok(())
        }
        _ => out.write_str(&crate::printer::expr(expr)),
    };
}
