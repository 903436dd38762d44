//! `url_decode`: decodes a percent-encoded text.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::net::decode_query;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "url_decode",
    category: FunctionCategory::Encoding,
    summary: "Decodes a percent-encoded text",
    doc: "One level: `+` becomes a blank, `%HH` a byte, the rest stays. A broken escape fails and \
         leaves the value as it is.",
    params: &[
        Param::key("key", "The key to work on"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A query",
            script: "url_decode(_)",
            input: "q%3D%E6%97%A5+1",
            output: &[("message", "\"q=日 1\"")],
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
    let Some(text) = cx.read_text(key) else {
        return Ok(Value::Nil);
    };
    match decode_query(&text) {
        Ok(bytes) => {
            drop(text);
            cx.set_bytes(key.name(), bytes);
            Ok(Value::Nil)
        }
        Err(error) => Err(args.error(0, error.to_string())),
    }
}
