//! The glue to the `config` crate, which does the layering.

use std::fmt;

use config::{
    Config, ConfigError, Map as LayerMap, Source as LayerSource, Value as LayerValue, ValueKind,
};
use serde_json::Value;

use super::join;

pub(super) const WRONG_NAME: &str = "the variable names no configuration key";

/// Turns `INPUTS__0__GROUP_ID` into `inputs.kafkamq[0].group_id`. An index may name the element
/// after the last, which it adds.
pub(super) fn variable_path(tree: &Value, name: &str) -> Result<String, &'static str> {
    let mut path = String::new();
    let mut node = Some(tree);
    for segment in name.to_ascii_lowercase().split("__") {
        if segment.is_empty() {
            return Err(WRONG_NAME);
        }
        let Ok(index) = segment.parse::<usize>() else {
            path = join(&path, segment);
            node = node.and_then(|node| node.get(segment));
            continue;
        };
        if path == "inputs" {
            path.push_str(".kafkamq");
            node = node.and_then(|node| node.get("kafkamq"));
        }
        // A single [output] is its own first element.
        if index == 0 && path == "output" && !node.is_some_and(Value::is_array) {
            continue;
        }
        let elements = node.and_then(Value::as_array).map_or(0, Vec::len);
        if index > elements {
            return Err("the variable names an element beyond the end of the list");
        }
        path.push_str(&format!("[{index}]"));
        node = node.and_then(|node| node.get(index));
    }
    Ok(path)
}

/// Structured text becomes a list or table, anything else stays text for the key's own parser.
pub(super) fn env_value(text: &str) -> ValueKind {
    if text.starts_with(['[', '{']) {
        let whole = format!("value = {text}");
        if let Ok(Value::Object(mut table)) = toml::from_str::<Value>(&whole)
            && let Some(value) = table.remove("value")
        {
            return layer_of(value);
        }
    }
    ValueKind::String(text.to_owned())
}

pub(super) fn merge(layers: Vec<Value>) -> Result<Value, ConfigError> {
    let mut builder = Config::builder();
    for layer in layers {
        builder = builder.add_source(LayerOf(layer));
    }
    Ok(json_of(builder.build()?.cache))
}

/// One layer as the `config` crate wants it.
#[derive(Clone)]
pub(super) struct LayerOf(pub(super) Value);

impl fmt::Debug for LayerOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LayerOf")
    }
}

impl LayerSource for LayerOf {
    fn clone_into_box(&self) -> Box<dyn LayerSource + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<LayerMap<String, LayerValue>, ConfigError> {
        match layer_of(self.0.clone()) {
            ValueKind::Table(table) => Ok(table),
            _ => Ok(LayerMap::new()),
        }
    }
}

pub(super) fn layer_of(value: Value) -> ValueKind {
    match value {
        Value::Null => ValueKind::Nil,
        Value::Bool(flag) => ValueKind::Boolean(flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => ValueKind::I64(number),
            (None, Some(number)) => ValueKind::U64(number),
            (None, None) => ValueKind::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => ValueKind::String(text),
        Value::Array(items) => ValueKind::Array(
            items
                .into_iter()
                .map(|item| LayerValue::new(None, layer_of(item)))
                .collect(),
        ),
        Value::Object(table) => ValueKind::Table(
            table
                .into_iter()
                .map(|(key, value)| (key, LayerValue::new(None, layer_of(value))))
                .collect(),
        ),
    }
}

pub(super) fn json_of(value: LayerValue) -> Value {
    match value.kind {
        ValueKind::Nil => Value::Null,
        ValueKind::Boolean(flag) => Value::Bool(flag),
        ValueKind::I64(number) => Value::from(number),
        ValueKind::U64(number) => Value::from(number),
        ValueKind::I128(number) => Value::String(number.to_string()),
        ValueKind::U128(number) => Value::String(number.to_string()),
        ValueKind::Float(number) => Value::from(number),
        ValueKind::String(text) => Value::String(text),
        ValueKind::Array(items) => Value::Array(items.into_iter().map(json_of).collect()),
        ValueKind::Table(table) => Value::Object(
            table
                .into_iter()
                .map(|(key, value)| (key, json_of(value)))
                .collect(),
        ),
    }
}
