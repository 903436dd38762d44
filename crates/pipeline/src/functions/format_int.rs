//! `format_int`: writes an int in a given base.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "format_int",
    category: FunctionCategory::Value,
    summary: "Writes an int in a given base",
    doc: "Bases 2 to 36, lower-case digits, `-` in front of negative numbers. With another base, \
         or a value that is not an int, the result is empty text.",
    params: &[
        Param::value("val", Types::ANY, "The number"),
        Param::value("base", Types::ANY, "The base"),
    ],
    named: true,
    returns: Types::STR,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "Hexadecimal",
            script: "add_key(hex, format_int(-255, 16))",
            input: "",
            output: &[("hex", "\"-ff\"")],
        },
    ],
    notes: &[

    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let (number, base) = (args.value(cx, 0)?, args.value(cx, 1)?);
    let text = match (number.as_int(), base.as_int().map(u32::try_from)) {
        (Some(number), Some(Ok(base @ 2..=36))) => digits(number, base),
        _ => String::new(),
    };
    Ok(Value::from(text))
}

fn digits(number: i64, base: u32) -> String {
    let mut rest = number.unsigned_abs();
    let mut out = Vec::new();
    loop {
        let digit = u32::try_from(rest % u64::from(base)).unwrap_or(0);
        out.push(char::from_digit(digit, base).unwrap_or('0'));
        rest /= u64::from(base);
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push('-');
    }
    out.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn bases() {
        assert_eq!(digits(0, 2), "0");
        assert_eq!(digits(i64::MIN, 16), "-8000000000000000");
        assert_eq!(digits(35, 36), "z");
    }
}
