//! `pt_kvs_get`: reads a key whose name is computed.

use kafkamq_point::Value as Field;

use super::pt_kvs_set::RawMaps;
use super::{Effects, DefaultValue, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::state::key_text;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "pt_kvs_get",
    category: FunctionCategory::Point,
    summary: "Reads a key of the point whose name is computed",
    doc: "Yields `nil` when the point has no such key.",
    params: &[
        Param::value("name", Types::STR, "The key to read"),
        Param::value("raw", Types::BOOL, "Whether arrays come back as lists instead of JSON text")
            .or(DefaultValue::Bool(false)),
    ],
    named: true,
    returns: Types::ANY,
    effects: Effects::PURE,
    examples: &[Example {
        title: "By a computed name",
        script: "add_key(used_cpu, 7)\nadd_key(copy, pt_kvs_get(\"used_\" + \"cpu\"))",
        input: "",
        output: &[("used_cpu", "7"), ("copy", "7")],
    }],
    notes: &[],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let name = key_text(&args.str(cx, 0)?);
    let raw = args.bool(cx, 1)?;
    if raw {
        match cx.point().get(&name).map(|entry| &entry.value) {
            Some(Field::Array(items)) => {
                let items: Vec<Value> = items.iter().map(Value::from_field).collect();
                let texts: usize = items.iter().map(Value::heap).sum();
                cx.charge(texts, args.name_span())?;
                return Ok(items.into());
            }
            Some(Field::Str(text)) => {
                let maps = cx.local::<RawMaps>();
                let known = maps.as_ref().and_then(|maps| {
                    maps.0.iter().find(|(key, stored, _)| *key == name && stored == text)
                });
                if let Some((_, _, map)) = known {
                    cx.charge(map.bytes(), args.name_span())?;
                    return Ok(map.value());
                }
            }
            _ => {}
        }
    }
    Ok(cx.point_value(&name).unwrap_or_default())
}
