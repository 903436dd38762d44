//! `mquery_refer_table`: looks a row up by several columns.

use kafkamq_point::Text;

use super::query_refer_table::{add_row, cell};
use super::{Effects, 
    CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind,
};
use crate::args::Args;
use crate::ast::{Expr, ExprKind};
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "mquery_refer_table",
    category: FunctionCategory::State,
    summary: "Adds the row of a reference table that has given values in several columns",
    doc: "Finds the first row of the table in which every column of `keys` equals the value at the \
          same place of `values`, and sets a key of the point for every column of that row. Tags stay \
          tags, fields are overwritten. Without such a row, column or table, and when the lists \
          differ in length or are empty, nothing happens.",
    params: &[
        Param::of("table_name", ParamKind::Source, "The table"),
        Param::of("keys", ParamKind::Expr, "The columns: a list of texts and names, or the name of a list or text"),
        Param::of("values", ParamKind::Expr, "The values: a list of literals and names, or the name of a list"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::STATE,
    examples: &[Example {
        title: "Without tables nothing happens",
        script: "region = \"eu\"\nmquery_refer_table(\"hosts\", [\"region\", \"id\"], [region, 7])\nadd_key(done, true)",
        input: "",
        output: &[("done", "true")],
    }],
    notes: &[
        "A name without a value, or a column that is not text, stops the script with an error.",
        "Types count: the int 1 equals neither `\"1\"` nor 1.0. Numbers from `json` are floats.",
    ],
    check: Some(check),
    call,
};

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let fits = |at: usize, element: fn(&Expr) -> bool| match call.arg(at).map(|expr| &expr.kind) {
        Some(ExprKind::List(items)) => items.iter().all(element),
        Some(ExprKind::Name(_) | ExprKind::Path(_)) => true,
        _ => false,
    };
    if !fits(1, is_text) {
        return Err(call.error(1, "`keys` is a list of texts and names, or a name"));
    }
    if !fits(2, is_scalar) {
        return Err(call.error(2, "`values` is a list of literals and names, or a name"));
    }
    Ok(None)
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Str(_) | ExprKind::Name(_) | ExprKind::Path(_))
}

fn is_scalar(expr: &Expr) -> bool {
    is_text(expr) || matches!(expr.kind, ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_))
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let table = args.str(cx, 0)?;
    let columns = match args.value(cx, 1)? {
        Value::List(columns) => columns.to_vec(),
        text @ Value::Str(_) => vec![text],
        other => {
            let message = format!("`keys` is a list or a text, not {}", other.type_name());
            return Err(args.error(1, message));
        }
    };
    let columns = columns
        .into_iter()
        .map(|column| match column {
            Value::Str(column) => Ok(column),
            other => {
                let message = format!("a column is a text, not {}", other.type_name());
                Err(args.error(1, message))
            }
        })
        .collect::<Result<Vec<Text>, _>>()?;
    let values = match args.value(cx, 2)? {
        Value::List(values) => values.to_vec(),
        other => {
            let message = format!("`values` is a list, not {}", other.type_name());
            return Err(args.error(2, message));
        }
    };
    if values.iter().any(Value::is_nil) {
        return Err(args.error(2, "a value to look up is `nil`"));
    }
    if columns.len() != values.len() {
        return Ok(Value::Nil);
    }
    let wanted: Option<Vec<_>> = columns
        .into_iter()
        .zip(values)
        .map(|(column, value)| Some((column, cell(value)?)))
        .collect();
    if let Some(wanted) = wanted {
        add_row(cx, &table, &wanted);
    }
    Ok(Value::Nil)
}
