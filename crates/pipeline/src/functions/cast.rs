//! `cast`: converts a key to another type.

use super::{Effects, CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, prepare};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::number::{float, truth};
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "cast",
    category: FunctionCategory::Value,
    summary: "Converts a key to another type",
    doc: "`dst_type` is `int`, `float`, `bool` or `str` (also `string`). Reads the key and writes \
         the converted value to the point; a tag stays text.\n\n\
         To `int`: floats and number text are truncated towards zero, `true` is 1; text that is \
         not a number is 0. To `float`: the same without truncation. To `bool`: numbers are true \
         unless zero, text is true if it is one of `1 t T true True TRUE`. To `str`: the text of \
         the value, lists and maps as JSON.",
    params: &[
        Param::key("key", "The key to convert"),
        Param::literal("dst_type", Types::STR, "The type"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A number",
            script: "cast(_, \"int\")",
            input: "0031.9",
            output: &[("message", "31")],
        },
    ],
    notes: &[
        "Digits with a prefix (`0x1F`) or separators (`1,000`) are not numbers.",
        "Numbers beyond the range of an int become the largest or smallest int.",
    ],
    check: Some(check),
    call,
};

#[derive(Clone, Copy)]
enum Target {
    Int,
    Float,
    Bool,
    Str,
}

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    prepare(match call.str(1).unwrap_or_default() {
        "int" => Target::Int,
        "float" => Target::Float,
        "bool" => Target::Bool,
        "str" | "string" => Target::Str,
        _ => return Err(call.error(1, "`dst_type` is int, float, bool or str")),
    })
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let target: &Target = args.prepared()?;
    if let Some(key) = args.key(0)
        && let Some(value) = cx.read(key)
    {
        let value = match target {
            Target::Int => Value::Int(to_int(&value)),
            Target::Float => Value::Float(to_float(&value)),
            Target::Bool => Value::Bool(match &value {
                Value::Str(text) => truth(text),
                Value::List(_) | Value::Map(_) => false,
                scalar => scalar.truth(),
            }),
            Target::Str => Value::Str(value.into_text()),
        };
        cx.set_key(key, value);
    }
    Ok(Value::Nil)
}

#[expect(clippy::cast_possible_truncation, reason = "floats saturate, not-a-number is zero")]
fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        Value::Float(number) => *number as i64,
        Value::Bool(truth) => i64::from(*truth),
        Value::Str(text) => match text.parse() {
            Ok(number) => number,
            Err(_) => float(text).unwrap_or(0.0) as i64,
        },
        Value::Nil | Value::List(_) | Value::Map(_) => 0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "large ints are rounded")]
fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Str(text) => float(text).unwrap_or(0.0),
        Value::Nil | Value::List(_) | Value::Map(_) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::{to_int, Value};

    #[test]
    fn to_int_is_exact_and_saturates() {
        for (value, number) in [
            (Value::str("9007199254740993"), 9_007_199_254_740_993),
            (Value::str("-3.9"), -3),
            (Value::str("3.1e2"), 310),
            (Value::str("0x1F"), 0),
            (Value::str(" 1"), 0),
            (Value::str("99999999999999999999"), i64::MAX),
            (Value::Float(-1e300), i64::MIN),
            (Value::Float(f64::NAN), 0),
            (Value::Bool(true), 1),
        ] {
            assert_eq!(to_int(&value), number, "{value:?}");
        }
    }
}
