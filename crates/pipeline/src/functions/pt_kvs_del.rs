//! `pt_kvs_del`: removes a key whose name is computed.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::state::key_text;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "pt_kvs_del",
    category: FunctionCategory::Point,
    summary: "Removes a key of the point whose name is computed",
    doc: "A key that does not exist changes nothing.",
    params: &[Param::value("name", Types::STR, "The key to remove")],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "By a computed name",
        script: "add_key(tmp_a, 1)\npt_kvs_del(\"tmp_\" + \"a\")",
        input: "",
        output: &[],
    }],
    notes: &[],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let name = key_text(&args.str(cx, 0)?);
    cx.remove(&name);
    Ok(Value::Nil)
}
