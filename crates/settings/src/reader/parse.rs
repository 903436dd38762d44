//! One value at a time: from the tree to a type, or a sentence for the operator.
//!
//! The second argument of the parsers says that the value comes from the environment, where
//! everything is text.

use std::time::Duration;

use serde_json::{Map, Value};

use super::super::keys::Key;
use super::super::quantity;

/// The default of a key as a value; `None` when it has none.
pub(crate) fn default_value(key: &Key) -> Option<Value> {
    let whole = format!("value = {}", key.default);
    toml::from_str::<Map<String, Value>>(&whole)
        .ok()?
        .remove("value")
}

/// The known name that is most like `name`, unless all are too different.
pub(crate) fn nearest(name: &str, known: impl IntoIterator<Item = String>) -> Option<String> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= 2.max(candidate.len() / 3))
        .min()
        .map(|(_, candidate)| candidate)
}

pub(super) fn unknown_word(word: &str, known: &[&str]) -> String {
    let list = known
        .iter()
        .filter(|word| !word.is_empty())
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ");
    match nearest(word, known.iter().map(|word| (*word).to_owned())).filter(|near| !near.is_empty())
    {
        Some(near) => format!("unknown value `{word}`, did you mean `{near}`? Known are {list}"),
        None => format!("unknown value `{word}`; known are {list}"),
    }
}

pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// The sentence about a value of the wrong type.
pub(crate) fn expected(what: &str, value: &Value) -> String {
    format!("expected {what}, found {}", type_name(value))
}

pub(super) fn text(value: &Value, _: bool) -> Result<String, String> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| expected("a string", value))
}

/// Reads a boolean; the environment may spell it as text.
pub(crate) fn flag(value: &Value, variable: bool) -> Result<bool, String> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if variable => match text.as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(format!("expected `true` or `false`, found `{text}`")),
        },
        _ => Err(expected("true or false", value)),
    }
}

pub(super) fn integer(value: &Value, variable: bool) -> Result<i64, String> {
    match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| {
                number
                    .as_f64()
                    .filter(|n| n.fract() == 0.0 && n.abs() < 9e15)
                    .map(|n| n as i64)
            })
            .ok_or_else(|| expected("an integer", value)),
        Value::String(text) if variable => text
            .trim()
            .parse()
            .map_err(|_| format!("expected an integer, found `{text}`")),
        _ => Err(expected("an integer", value)),
    }
}

/// Negative numbers count as 0: old files use them for "off".
pub(super) fn count(value: &Value, variable: bool) -> Result<u64, String> {
    Ok(u64::try_from(integer(value, variable)?).unwrap_or(0))
}

pub(super) fn number(value: &Value, variable: bool) -> Result<f64, String> {
    match value {
        Value::Number(number) => number.as_f64().ok_or_else(|| expected("a number", value)),
        Value::String(text) if variable => text
            .trim()
            .parse()
            .map_err(|_| format!("expected a number, found `{text}`")),
        _ => Err(expected("a number", value)),
    }
}

pub(super) fn duration(value: &Value, _: bool) -> Result<Duration, String> {
    match value {
        Value::String(text) => quantity::duration(text),
        Value::Number(number) => quantity::duration(&number.to_string()),
        _ => Err(expected("a duration such as \"30s\"", value)),
    }
}

pub(super) fn bytes(value: &Value, _: bool) -> Result<u64, String> {
    match value {
        Value::String(text) => quantity::bytes(text),
        Value::Number(number) => quantity::bytes(&number.to_string()),
        _ => Err(expected("a size such as \"64MiB\"", value)),
    }
}

pub(super) fn list(value: &Value, variable: bool) -> Result<Vec<String>, String> {
    match value {
        Value::Array(items) => items.iter().map(|item| text(item, false)).collect(),
        Value::String(text) if variable => Ok(text
            .split(',')
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()),
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text.clone()]),
        _ => Err(expected("a list of strings", value)),
    }
}
