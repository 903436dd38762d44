//! `conv_traceid_w3c_to_dd`: turns a W3C trace id into a Datadog one.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "conv_traceid_w3c_to_dd",
    category: FunctionCategory::Network,
    summary: "Turns a W3C trace id into a Datadog one",
    doc: "Of 32 hexadecimal digits the last 16 are used, 16 digits are used as they are; the key \
         then holds their value as decimal text. Anything else stays as it is.",
    params: &[
        Param::key("key", "The key to work on"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A trace id",
            script: "conv_traceid_w3c_to_dd(_)",
            input: "4bf92f3577b34da6a3ce929d0e0e4736",
            output: &[("message", "\"11803532876627986230\"")],
        },
    ],
    notes: &[

    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    if let Some(id) = cx.read_str(key).and_then(|text| convert(&text)) {
        cx.set_key(key, Value::from(id.to_string()));
    }
    Ok(Value::Nil)
}

fn convert(text: &str) -> Option<u64> {
    let digits = match text.chars().count() {
        16 => text,
        32 => text.char_indices().nth(16).and_then(|(at, _)| text.get(at..))?,
        _ => return None,
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, 16).ok())?
}
