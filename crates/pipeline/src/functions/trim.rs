//! `trim`: strips characters from both ends of a text.

use kafkamq_point::Text;

use super::{Effects, DefaultValue, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "trim",
    category: FunctionCategory::Text,
    summary: "Strips characters from both ends of a text",
    doc: "Without `cutset`, or with an empty one, strips Unicode white space; otherwise every \
         character that `cutset` contains. The key holds text afterwards, also when nothing was \
         stripped.",
    params: &[
        Param::key("key", "The key to work on"),
        Param::literal("cutset", Types::STR, "The characters to strip").or(DefaultValue::Str("")),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "White space",
            script: "trim(_)",
            input: "  a b\t",
            output: &[("message", "\"a b\"")],
        },
        Example {
            title: "A set of characters",
            script: "trim(_, \"[]\")",
            input: "[x]]",
            output: &[("message", "\"x\"")],
        },
    ],
    notes: &[
        "U+200B and U+FEFF are not white space.",
    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    if let Some(key) = args.key(0)
        && let Some(text) = cx.read_text(key)
    {
        cx.meter().note(text.len().saturating_mul(args.literal_str(1).len() / 8));
        let result = match args.literal_str(1) {
            "" => Text::from(text.trim()),
            set => Text::from(text.trim_matches(|c| set.contains(c))),
        };
        drop(text);
        cx.set_key(key, Value::from(result));
    }
    Ok(Value::Nil)
}
