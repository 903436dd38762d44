//! `cover`: covers a part of a text.

use super::{Effects, CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind, prepare};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ast::{Expr, ExprKind};
use crate::regex::is_han;
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "cover",
    category: FunctionCategory::Text,
    summary: "Covers a part of a text",
    doc: "Replaces the characters from the first to the second position, both included and \
         counted from 1, by `*`, Han characters by `＊`. Negative positions count from the end: -1 \
         is the last character. A range that reaches beyond the text covers what there is. A key \
         that holds no text stays as it is.",
    params: &[
        Param::key("key", "The key to work on"),
        Param::of("range", ParamKind::Expr, "Two number literals in a list: the first and the last position"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A phone number",
            script: "cover(_, [4, 7])",
            input: "13812345678",
            output: &[("message", "\"138****5678\"")],
        },
    ],
    notes: &[
        "0 as the first position counts as 1.",
    ],
    check: Some(check),
    call,
};

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let wrong = || call.error(1, "`range` takes a list of two numbers");
    let Some(ExprKind::List(range)) = call.arg(1).map(|expr| &expr.kind) else {
        return Err(wrong());
    };
    let [start, end] = range.as_slice() else {
        return Err(wrong());
    };
    let range = position(start).zip(position(end)).ok_or_else(wrong)?;
    prepare(range)
}

#[expect(clippy::cast_possible_truncation, reason = "positions are truncated towards zero")]
fn position(expr: &Expr) -> Option<i64> {
    match expr.kind {
        ExprKind::Int(number) => Some(number),
        ExprKind::Float(number) => Some(number as i64),
        _ => None,
    }
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let &(start, end): &(i64, i64) = args.prepared()?;
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    let Some(text) = cx.read_str(key) else {
        return Ok(Value::Nil);
    };
    let covered = covered(&text, start, end);
    drop(text);
    if let Some(covered) = covered {
        cx.set_key(key, Value::from(covered));
    }
    Ok(Value::Nil)
}

/// The text with the positions covered, `None` if there is nothing to cover.
fn covered(text: &str, start: i64, end: i64) -> Option<String> {
    let length = i64::try_from(text.chars().count()).ok()?;
    let from_end = |position: i64| position.saturating_add(length).saturating_add(1);
    let end = if end < 0 { from_end(end) } else { end.min(length) };
    let start = if start < 0 { from_end(start) } else { start }.max(1);
    if start > end {
        return None;
    }
    let cover = |(at, c): (i64, char)| match c {
        _ if at < start || at > end => c,
        c if is_han(c) => '＊',
        _ => '*',
    };
    Some((1..).zip(text.chars()).map(cover).collect())
}

#[cfg(test)]
mod tests {
    use super::covered;

    #[test]
    fn positions() {
        for (start, end, result) in [
            (1, 1, Some("*bc中d")),
            (2, 4, Some("a**＊d")),
            (-2, -1, Some("abc＊*")),
            (-99, 2, Some("**c中d")),
            (4, 99, Some("abc＊*")),
            (0, 1, Some("*bc中d")),
            (4, 2, None),
            (1, -9, None),
        ] {
            assert_eq!(covered("abc中d", start, end).as_deref(), result, "{start} {end}");
        }
        assert_eq!(covered("", 1, 1), None);
    }
}
