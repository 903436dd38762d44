//! `parse_duration`: reads a duration.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::time::parse_duration;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "parse_duration",
    category: FunctionCategory::Time,
    summary: "Reads a duration such as `1h30m` as nanoseconds",
    doc: "If the key holds the text of a duration, the key becomes an int of nanoseconds; otherwise \
          it stays as it is. A duration is an optional sign and then numbers, whole or with a \
          fraction, each directly followed by `ns`, `us`, `µs`, `ms`, `s`, `m` or `h`; `0` alone is \
          one too.",
    params: &[Param::key("key", "The key that holds the text")],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "A response time",
        script: "parse_duration(_)",
        input: "1.5ms",
        output: &[("message", "1500000")],
    }],
    notes: &["Days and weeks, blanks and numbers without a unit are not understood."],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    if let Some(key) = args.key(0)
        && let Some(nanos) = cx.read_str(key).and_then(|text| parse_duration(&text))
    {
        cx.set_key(key, Value::Int(nanos));
    }
    Ok(Value::Nil)
}
