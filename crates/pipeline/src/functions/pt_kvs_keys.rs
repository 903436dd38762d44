//! `pt_kvs_keys`: lists the keys of the point.

use super::{Effects, DefaultValue, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "pt_kvs_keys",
    category: FunctionCategory::Point,
    summary: "Lists the names of the point's keys",
    doc: "Tags come first, each kind in the order the keys were added. The list is a snapshot, so \
          keys may be removed while looping over it.",
    params: &[
        Param::value("tags", Types::BOOL, "Whether to list tags").or(DefaultValue::Bool(true)),
        Param::value("fields", Types::BOOL, "Whether to list fields").or(DefaultValue::Bool(true)),
    ],
    named: true,
    returns: Types::LIST,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Removing all keys with a prefix",
        script: "add_key(tmp_a, 1)\nadd_key(b, 2)\nfor k in pt_kvs_keys() {\n  if k[:4] == \"tmp_\" { pt_kvs_del(k) }\n}",
        input: "",
        output: &[("b", "2")],
    }],
    notes: &["Fields that hold `nil` are listed as well."],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let tags = args.bool(cx, 0)?;
    let fields = args.bool(cx, 1)?;
    let names = |tag: bool| {
        let entries = cx.point().entries().iter();
        entries
            .filter(move |entry| entry.tag == tag)
            .map(|entry| Value::Str(entry.key.clone()))
    };
    let mut keys = Vec::new();
    if tags {
        keys.extend(names(true));
    }
    if fields {
        keys.extend(names(false));
    }
    let texts: usize = keys.iter().map(Value::heap).sum();
    cx.charge(texts, args.name_span())?;
    Ok(keys.into())
}
