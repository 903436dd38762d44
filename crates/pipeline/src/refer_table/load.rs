//! The JSON form of reference tables.

use kafkamq_point::Text;
use serde::Deserialize;
use serde_json::{Number, Value};

use super::{Cell, Column, Table};

/// Why tables were not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Not the JSON that is expected.
    #[error("not a JSON array of tables: {0}")]
    Json(#[from] serde_json::Error),
    /// A table without a name.
    #[error("table {0} has no name")]
    Unnamed(usize),
    /// The lists of column names and types differ in length.
    #[error("table `{table}` has {names} column names and {types} column types")]
    Columns {
        /// The name of the table.
        table: Text,
        /// How many names.
        names: usize,
        /// How many types.
        types: usize,
    },
    /// An empty or repeated column name, or no column at all.
    #[error("table `{table}` has an empty, repeated or missing column name")]
    ColumnName {
        /// The name of the table.
        table: Text,
    },
    /// A column type that does not exist.
    #[error("table `{table}`, column `{column}`: unknown type `{kind}`")]
    ColumnType {
        /// The name of the table.
        table: Text,
        /// The name of the column.
        column: Text,
        /// The unknown type.
        kind: Text,
    },
    /// A row that is shorter or longer than the columns.
    #[error("table `{table}`, row {row}: {found} values for {expected} columns")]
    RowLength {
        /// The name of the table.
        table: Text,
        /// The row, from 1.
        row: usize,
        /// How many values it has.
        found: usize,
        /// How many columns there are.
        expected: usize,
    },
    /// A value that cannot become its column's type.
    #[error("table `{table}`, row {row}, column `{column}`: `{value}` is not of type {kind}")]
    Value {
        /// The name of the table.
        table: Text,
        /// The row, from 1.
        row: usize,
        /// The name of the column.
        column: Text,
        /// The value, as JSON.
        value: String,
        /// The column's type.
        kind: &'static str,
    },
}

#[derive(Deserialize)]
struct RawTable {
    #[serde(default)]
    table_name: Text,
    #[serde(default)]
    column_name: Vec<Text>,
    #[serde(default)]
    column_type: Vec<Text>,
    #[serde(default)]
    row_data: Option<Vec<Vec<Value>>>,
}

#[derive(Clone, Copy)]
enum Kind {
    Str,
    Int,
    Float,
    Bool,
}

pub(super) fn tables(json: &[u8]) -> Result<Vec<Table>, TableError> {
    let raw: Vec<RawTable> = serde_json::from_slice(json)?;
    let mut tables: Vec<Table> = Vec::with_capacity(raw.len());
    for (at, raw) in raw.into_iter().enumerate() {
        let table = table(at + 1, raw)?;
        if tables.iter().all(|other| other.name != table.name) {
            tables.push(table);
        }
    }
    Ok(tables)
}

fn table(number: usize, raw: RawTable) -> Result<Table, TableError> {
    let name = raw.table_name;
    if name.is_empty() {
        return Err(TableError::Unnamed(number));
    }
    let names = raw.column_name;
    if names.len() != raw.column_type.len() {
        return Err(TableError::Columns {
            table: name,
            names: names.len(),
            types: raw.column_type.len(),
        });
    }
    let repeated = |(at, column): (usize, &Text)| names.iter().skip(at + 1).any(|c| c == column);
    if names.is_empty()
        || names.iter().any(|column| column.is_empty())
        || names.iter().enumerate().any(repeated)
    {
        return Err(TableError::ColumnName { table: name });
    }
    let mut kinds = Vec::with_capacity(names.len());
    for (column, kind) in names.iter().zip(&raw.column_type) {
        let Some(kind) = Kind::named(kind) else {
            return Err(TableError::ColumnType {
                table: name,
                column: column.clone(),
                kind: kind.clone(),
            });
        };
        kinds.push(kind);
    }
    let rows = raw.row_data.unwrap_or_default();
    let mut cells = Vec::with_capacity(rows.len() * names.len());
    for (row, values) in rows.into_iter().enumerate() {
        if values.len() != names.len() {
            return Err(TableError::RowLength {
                table: name,
                row: row + 1,
                found: values.len(),
                expected: names.len(),
            });
        }
        for ((value, kind), column) in values.into_iter().zip(&kinds).zip(&names) {
            match kind.cell(&value) {
                Some(cell) => cells.push(cell),
                None => {
                    return Err(TableError::Value {
                        table: name,
                        row: row + 1,
                        column: column.clone(),
                        value: value.to_string(),
                        kind: kind.name(),
                    });
                }
            }
        }
    }
    let columns = names
        .into_iter()
        .map(|name| Column {
            name,
            index: std::sync::OnceLock::new(),
        })
        .collect();
    Ok(Table {
        name,
        columns,
        cells,
    })
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::Str,
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Str => "string",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
        }
    }

    /// A JSON value as this type; `None` if that makes no sense.
    fn cell(self, value: &Value) -> Option<Cell> {
        Some(match self {
            Self::Str => Cell::Str(match value {
                Value::Null => Text::default(),
                Value::String(text) => text.into(),
                Value::Bool(truth) => Text::from(if *truth { "true" } else { "false" }),
                Value::Number(number) => number_text(number),
                _ => return None,
            }),
            Self::Int => Cell::Int(match value {
                Value::Null => 0,
                Value::Bool(truth) => (*truth).into(),
                Value::Number(number) => match number.as_i64() {
                    Some(number) => number,
                    None => truncated(number.as_f64()?)?,
                },
                Value::String(text) => match text.trim().parse() {
                    Ok(number) => number,
                    Err(_) => truncated(text.trim().parse().ok()?)?,
                },
                _ => return None,
            }),
            Self::Float => Cell::Float(match value {
                Value::Null => 0.0,
                Value::Bool(truth) => f64::from(u8::from(*truth)),
                Value::Number(number) => number.as_f64()?,
                Value::String(text) => text.trim().parse().ok()?,
                _ => return None,
            }),
            Self::Bool => Cell::Bool(match value {
                Value::Null => false,
                Value::Bool(truth) => *truth,
                Value::Number(number) => number.as_f64()? != 0.0,
                Value::String(text) => match text.as_str() {
                    "1" | "t" | "T" | "true" | "True" | "TRUE" => true,
                    "0" | "f" | "F" | "false" | "False" | "FALSE" | "" => false,
                    _ => return None,
                },
                _ => return None,
            }),
        })
    }
}

/// Digits without an exponent; whole floats without a fraction.
fn number_text(number: &Number) -> Text {
    match (number.as_i64(), number.as_f64()) {
        (None, Some(float)) => Text::from(float.to_string()),
        _ => Text::from(number.to_string()),
    }
}

/// A float cut to an int; `None` outside the range.
fn truncated(float: f64) -> Option<i64> {
    #[expect(clippy::cast_precision_loss, reason = "the limits are powers of two")]
    let fits = float >= i64::MIN as f64 && float < -(i64::MIN as f64);
    #[expect(clippy::cast_possible_truncation, reason = "checked")]
    fits.then_some(float as i64)
}

#[cfg(test)]
mod tests {
    use super::super::TableSet;
    use super::*;

    #[test]
    fn values_become_their_columns_type() {
        for (kind, json, cell) in [
            (Kind::Str, "12", Cell::Str("12".into())),
            (Kind::Str, "12.0", Cell::Str("12".into())),
            (Kind::Str, "1.5", Cell::Str("1.5".into())),
            (Kind::Str, "null", Cell::Str("".into())),
            (
                Kind::Int,
                "9007199254740993",
                Cell::Int(9_007_199_254_740_993),
            ),
            (Kind::Int, "3.9", Cell::Int(3)),
            (Kind::Int, "\"-7\"", Cell::Int(-7)),
            (Kind::Int, "null", Cell::Int(0)),
            (Kind::Float, "\"1.5\"", Cell::Float(1.5)),
            (Kind::Float, "2", Cell::Float(2.0)),
            (Kind::Bool, "\"false\"", Cell::Bool(false)),
            (Kind::Bool, "null", Cell::Bool(false)),
        ] {
            let value = serde_json::from_str(json).unwrap();
            assert_eq!(kind.cell(&value), Some(cell), "{json}");
        }
        for (kind, json) in [
            (Kind::Int, "\"x\""),
            (Kind::Int, "1e300"),
            (Kind::Str, "[1]"),
            (Kind::Bool, "\"yes\""),
            (Kind::Float, "{}"),
        ] {
            let value = serde_json::from_str(json).unwrap();
            assert_eq!(kind.cell(&value), None, "{json}");
        }
    }

    #[test]
    fn one_bad_table_rejects_them_all() {
        let good =
            r#"{"table_name":"t","column_name":["a"],"column_type":["int"],"row_data":[[1]]}"#;
        let text = |bad: &str| {
            TableSet::from_json(format!("[{good},{bad}]").as_bytes())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(text("{}"), "table 2 has no name");
        assert_eq!(
            text(r#"{"table_name":"u","column_name":["a"],"column_type":[]}"#),
            "table `u` has 1 column names and 0 column types"
        );
        assert_eq!(
            text(r#"{"table_name":"u","column_name":["a","a"],"column_type":["int","int"]}"#),
            "table `u` has an empty, repeated or missing column name"
        );
        assert_eq!(
            text(r#"{"table_name":"u","column_name":["a"],"column_type":["date"]}"#),
            "table `u`, column `a`: unknown type `date`"
        );
        assert_eq!(
            text(
                r#"{"table_name":"u","column_name":["a"],"column_type":["int"],"row_data":[[1,2]]}"#
            ),
            "table `u`, row 1: 2 values for 1 columns"
        );
        assert_eq!(
            text(
                r#"{"table_name":"u","column_name":["a"],"column_type":["int"],"row_data":[["x"]]}"#
            ),
            "table `u`, row 1, column `a`: `\"x\"` is not of type int"
        );
        assert!(text("7").starts_with("not a JSON array of tables"));
    }

    #[test]
    fn a_table_without_rows_is_fine() {
        let json = br#"[{"table_name":"t","column_name":["a"],"column_type":["int"]}]"#;
        let tables = TableSet::from_json(json).unwrap();
        assert_eq!(tables.summary().collect::<Vec<_>>(), [("t", 0)]);
    }
}
