//! `pt_kvs_set`: writes a key whose name is computed.

use kafkamq_point::{Text, Value as Field};

use super::{Effects, DefaultValue, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::state::key_text;
use crate::value::{Constant, Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "pt_kvs_set",
    category: FunctionCategory::Point,
    summary: "Sets a key of the point whose name is computed",
    doc: "An existing tag stays a tag. With `as_tag=true` the key becomes a tag that holds the \
          value's text. Always yields `true`.",
    params: &[
        Param::value("name", Types::STR, "The key to set"),
        Param::value("value", Types::ANY, "The value, also `nil`"),
        Param::value("as_tag", Types::BOOL, "Whether to make the key a tag")
            .or(DefaultValue::Bool(false)),
        Param::value("raw", Types::BOOL, "Whether lists and maps may stay structures")
            .or(DefaultValue::Bool(false)),
    ],
    named: true,
    returns: Types::BOOL,
    effects: Effects::PURE,
    examples: &[Example {
        title: "A key per element",
        script: "for part in [\"cpu\", \"mem\"] {\n  pt_kvs_set(\"used_\" + part, 1)\n}\npt_kvs_set(\"host\", \"a\", as_tag=true)",
        input: "",
        output: &[("host", "\"a\""), ("used_cpu", "1"), ("used_mem", "1")],
    }],
    notes: &[
        "With `raw` a list of one scalar type stays an array; other lists and maps are stored as JSON text, and `pt_kvs_get` with `raw` gives the map back within the run.",
    ],
    check: None,
    call,
};

/// Maps stored with `raw`: key, the text on the point, and the map itself.
#[derive(Debug, Clone, Default)]
pub(super) struct RawMaps(pub(super) Vec<(Text, Text, Constant)>);

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let name = key_text(&args.str(cx, 0)?);
    let value = args.value(cx, 1)?;
    if args.yields_nothing(1) {
        return Err(args.error(1, "this function has no result to store"));
    }
    let as_tag = args.bool(cx, 2)?;
    let raw = args.bool(cx, 3)?;
    if as_tag {
        cx.set_tag(&name, value);
    } else if raw && !cx.point().get(&name).is_some_and(|entry| entry.tag) {
        set_raw(cx, &name, value, args)?;
    } else {
        cx.set(&name, value);
    }
    Ok(Value::Bool(true))
}

/// A list of one scalar type becomes an array of the point; a map becomes text, and is remembered
/// so that `pt_kvs_get` with `raw` gives it back during this run.
fn set_raw(
    cx: &mut RunContext<'_>,
    name: &str,
    value: Value,
    args: Args<'_>,
) -> Result<(), RunError> {
    match &value {
        Value::List(list) => {
            let uniform = list.with(|items| {
                let first = items.first().map(Value::types);
                items
                    .iter()
                    .all(|item| !item.is_container() && !item.is_nil() && Some(item.types()) == first)
            });
            if uniform && !list.is_empty() {
                let items: Box<[Field]> = list.to_vec().into_iter().map(Value::into_field).collect();
                let texts: usize = list.with(|items| items.iter().map(Value::heap).sum());
                cx.charge(items.len() * size_of::<Field>() + texts, args.name_span())?;
                cx.note_look(0);
                cx.point_mut().set_field(name, Field::Array(items));
                return Ok(());
            }
        }
        Value::Map(_) => {
            let text = Text::from(cx.json_text(&value));
            let copy = cx.copy_out(&value, args.name_span())?;
            // It stays until the run ends, and those before it are copied.
            cx.keep(text.len() + copy.bytes(), args.name_span())?;
            let mut maps = cx.local::<RawMaps>().map_or_else(RawMaps::default, |maps| (*maps).clone());
            maps.0.retain(|(known, ..)| known != name);
            maps.0.push((name.into(), text, copy));
            let texts: usize = maps.0.iter().map(|(_, text, _)| 64 + text.len()).sum();
            cx.meter().note(texts);
            cx.set_local(maps);
        }
        _ => {}
    }
    cx.set(name, value);
    Ok(())
}
