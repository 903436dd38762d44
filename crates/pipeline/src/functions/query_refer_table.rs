//! `query_refer_table`: looks a row up by one column.

use kafkamq_point::Text;

use super::{Effects, 
    CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind,
    prepare,
};
use crate::args::Args;
use crate::ast::ExprKind;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::refer_table::{Cell, ReferTables};
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "query_refer_table",
    category: FunctionCategory::State,
    summary: "Adds the row of a reference table that has a value in a column",
    doc: "Finds the first row of the table in which the column `key` equals `value`, and sets a key of \
          the point for every column of that row. Tags stay tags, fields are overwritten. Without \
          such a row, column or table nothing happens.\n\n\
          A string is the text itself; a name stands for what the variable or key of that name holds.",
    params: &[
        Param::of("table_name", ParamKind::Source, "The table"),
        Param::of("key", ParamKind::Source, "The column"),
        Param::of("value", ParamKind::Expr, "The value, a literal or a name"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::STATE,
    examples: &[Example {
        title: "Without tables nothing happens",
        script: "query_refer_table(\"users\", \"uid\", \"u1\")\nadd_key(done, true)",
        input: "",
        output: &[("done", "true")],
    }],
    notes: &[
        "Types count: the int 1 equals neither `\"1\"` nor 1.0. Numbers from `json` are floats.",
    ],
    check: Some(check),
    call,
};

/// The point's key that the value argument names, when it is an attribute expression.
struct ValueKey(Option<Text>);

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    match call.arg(2).map(|expr| &expr.kind) {
        Some(ExprKind::Path(_)) => prepare(ValueKey(call.key(2))),
        Some(
            ExprKind::Str(_)
            | ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Bool(_)
            | ExprKind::Name(_),
        ) => prepare(ValueKey(None)),
        _ => Err(call.error(2, "a value to look up is a text, a number, a bool or a name")),
    }
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let ValueKey(key) = args.prepared()?;
    let table = args.str(cx, 0)?;
    let column = args.str(cx, 1)?;
    let value = match key {
        Some(key) => cx.point_value(key).unwrap_or_default(),
        None => args.value(cx, 2)?,
    };
    if let Some(cell) = cell(value) {
        add_row(cx, &table, &[(column, cell)]);
    }
    Ok(Value::Nil)
}

/// A value as a condition; lists, maps and `nil` match nothing.
pub(super) fn cell(value: Value) -> Option<Cell> {
    match value {
        Value::Str(text) => Some(Cell::Str(text)),
        Value::Int(number) => Some(Cell::Int(number)),
        Value::Float(number) => Some(Cell::Float(number)),
        Value::Bool(truth) => Some(Cell::Bool(truth)),
        Value::Nil | Value::List(_) | Value::Map(_) => None,
    }
}

/// Sets the columns of the first row that fits.
pub(super) fn add_row(cx: &mut RunContext<'_>, table: &str, wanted: &[(Text, Cell)]) {
    let Some(tables) = cx
        .engine()
        .service::<ReferTables>()
        .map(ReferTables::current)
    else {
        return;
    };
    tables.look_up(table, wanted, |column, cell| {
        let value = match cell {
            Cell::Str(text) => Value::Str(text.clone()),
            Cell::Int(number) => Value::Int(*number),
            Cell::Float(number) => Value::Float(*number),
            Cell::Bool(truth) => Value::Bool(*truth),
        };
        cx.set(column, value);
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kafkamq_point::{Category, Point, Value as Field};

    use crate::refer_table::{ReferTables, TableSet};
    use crate::{Engine, RunState, Script};

    const TABLES: &str = r#"[{"table_name": "hosts",
        "column_name": ["region", "id", "rate", "up", "owner"],
        "column_type": ["string", "int", "float", "bool", "string"],
        "row_data": [["eu", 1, 0.5, true, "a"], ["eu", 2, 4, false, "b"], ["us", 1, 4, true, "c"]]}]"#;

    /// The owner a script finds.
    fn owner(script: &str) -> Option<String> {
        let tables = ReferTables::new();
        tables.replace(TableSet::from_json(TABLES.as_bytes()).unwrap());
        let engine = Engine::new().with_service(Arc::new(tables));
        let script = Script::compile(&engine, "t.p", script).unwrap();
        let mut point = Point::new("p", Category::Metric, 1);
        point.set_tag("region", "eu");
        point.set_field("a.b", 2i64);
        let outcome = script.run(&mut point, &mut RunState::new());
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        assert!(point.get("region").is_some_and(|entry| entry.tag));
        let owner = point.get("owner")?.value.as_str()?.to_owned();
        assert!(matches!(point.get("id").unwrap().value, Field::Int(_)));
        assert!(matches!(point.get("rate").unwrap().value, Field::Float(_)));
        assert!(matches!(point.get("up").unwrap().value, Field::Bool(_)));
        Some(owner)
    }

    #[test]
    fn rows_are_found_by_one_column_or_several() {
        for (script, expected) in [
            (r#"query_refer_table("hosts", "region", "us")"#, Some("c")),
            (r#"query_refer_table("hosts", "region", region)"#, Some("a")),
            (r#"t = "hosts"; k = "id"; query_refer_table(t, k, 2)"#, Some("b")),
            (r#"query_refer_table("hosts", "id", a.b)"#, Some("b")),
            (r#"query_refer_table("hosts", "rate", 4.0)"#, Some("b")),
            (r#"query_refer_table("hosts", "rate", 4)"#, None),
            (r#"query_refer_table("hosts", "id", "1")"#, None),
            (r#"query_refer_table("hosts", "up", false)"#, Some("b")),
            (r#"query_refer_table("nothing", "id", 1)"#, None),
            (r#"query_refer_table("hosts", "nothing", 1)"#, None),
            (r#"v = [1]; query_refer_table("hosts", "id", v)"#, None),
            (r#"mquery_refer_table("hosts", ["region", "id"], [region, 2])"#, Some("b")),
            (r#"k = ["id", "up"]; v = [1, true]; mquery_refer_table("hosts", k, v)"#, Some("a")),
            (r#"k = "id"; mquery_refer_table("hosts", k, [2])"#, Some("b")),
            (r#"mquery_refer_table("hosts", ["region", "id"], ["us", 2])"#, None),
            (r#"mquery_refer_table("hosts", ["region", "id"], ["us"])"#, None),
            (r#"mquery_refer_table("hosts", [], [])"#, None),
            (r#"v = [[1]]; mquery_refer_table("hosts", ["id"], v)"#, None),
        ] {
            assert_eq!(owner(script).as_deref(), expected, "{script}");
        }
    }
}
