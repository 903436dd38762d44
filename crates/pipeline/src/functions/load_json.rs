//! `load_json`: parses JSON text.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::json::Element;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "load_json",
    category: FunctionCategory::Document,
    summary: "Parses JSON text into a value",
    doc: "Objects become maps, arrays lists, and every number a float, except whole numbers beyond \
          2^53, which are ints and keep their digits. A byte order mark at the start is ignored. \
          Text that is not JSON yields \
          `nil`; a value that is not a `str` is a run error. The last of duplicate keys wins, raw control \
          characters inside strings are accepted, a lone surrogate becomes U+FFFD.",
    params: &[Param::value("val", Types::ANY, "The text")],
    named: false,
    returns: Types::ANY,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Members of an object",
        script: "data = load_json(_)\nadd_key(level, data[\"level\"])\nadd_key(first, data[\"ids\"][0])",
        input: "{\"level\": \"warn\", \"ids\": [7, 8]}",
        output: &[("level", "\"warn\""), ("first", "7.0")],
    }],
    notes: &[
        "Use `cast` to make an int of a number.",
        "Texts nested more than 600 levels deep are refused.",
    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    // A name is parsed where its text stands, without a copy into a value first.
    let (value, nodes) = match args.str_name(cx, 0) {
        Some(key) => cx.with_json(key, load).unwrap_or_default(),
        None => {
            let text = args.str(cx, 0)?;
            cx.parse_json(&text, load)
        }
    };
    cx.charge(nodes * 2 * size_of::<Value>(), args.name_span())?;
    Ok(value)
}

fn load(root: Option<Element<'_>>) -> (Value, usize) {
    root.map_or((Value::Nil, 0), |root| (root.value(), root.size()))
}
