//! `add_key`: writes a key of the point.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "add_key",
    category: FunctionCategory::Point,
    summary: "Sets a key of the point",
    doc: "With one argument the key gets what its name reads as, usually a variable; a name that \
          does not exist changes nothing. An existing tag stays a tag and holds the value's text. \
          Lists and maps are stored as JSON text, so later changes to them do not show.",
    params: &[
        Param::key("key", "The key to set"),
        Param::value("value", Types::ANY, "The value; the variable named like the key if left out")
            .optional(),
    ],
    named: false,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A constant and a variable",
            script: "city = \"Shanghai\"\nadd_key(city)\nadd_key(code, 21)",
            input: "",
            output: &[("city", "\"Shanghai\""), ("code", "21")],
        },
    ],
    notes: &["If a variable has the same name, reading the name still gives the variable."],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    if let Some((name, member)) = args.member(1)
        && cx.set_member(key, name, member)
    {
        return Ok(Value::Nil);
    }
    if args.given(1) {
        let value = args.value(cx, 1)?;
        cx.set_key(key, value);
    } else if let Some(value) = cx.read(key) {
        cx.set_key(key, value);
    }
    Ok(Value::Nil)
}
