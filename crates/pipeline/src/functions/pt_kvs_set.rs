//! `pt_kvs_set`: writes a key whose name is computed.

use super::{Default, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::Cx;
use crate::error::RunError;
use crate::state::key_text;
use crate::value::{Types, Value};

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
            .or(Default::Bool(false)),
        Param::value("raw", Types::BOOL, "Whether lists and maps may stay structures")
            .or(Default::Bool(false)),
    ],
    named: true,
    returns: Types::BOOL,
    examples: &[Example {
        title: "A key per element",
        script: "for part in [\"cpu\", \"mem\"] {\n  pt_kvs_set(\"used_\" + part, 1)\n}\npt_kvs_set(\"host\", \"a\", as_tag=true)",
        input: "",
        output: &[("host", "\"a\""), ("used_cpu", "1"), ("used_mem", "1")],
    }],
    notes: &[
        "Points carry no lists and maps to outputs, so `raw` makes no difference: they are stored as JSON text.",
    ],
    check: None,
    call,
};

fn call(cx: &mut Cx<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let name = key_text(&args.str(cx, 0)?);
    let value = args.value(cx, 1)?;
    let as_tag = args.bool(cx, 2)?;
    args.bool(cx, 3)?;
    if as_tag {
        cx.set_tag(&name, value);
    } else {
        cx.set(&name, value);
    }
    Ok(Value::Bool(true))
}
