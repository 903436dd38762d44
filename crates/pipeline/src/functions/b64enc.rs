//! `b64enc`: encodes a text in base64.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "b64enc",
    category: FunctionCategory::Encoding,
    summary: "Encodes a text in base64",
    doc: "Standard alphabet with padding. A key that holds no text stays as it is.",
    params: &[
        Param::key("key", "The key to work on"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A text",
            script: "b64enc(_)",
            input: "hello",
            output: &[("message", "\"aGVsbG8=\"")],
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
    if cx.read_str(key).is_some()
        && let Some(bytes) = cx.read_bytes(key)
    {
        let text = base64_simd::STANDARD.encode_to_string(&*bytes);
        drop(bytes);
        cx.set_key(key, Value::from(text));
    }
    Ok(Value::Nil)
}
