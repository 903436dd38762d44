//! `parse_int`: reads an int in a given base.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "parse_int",
    category: FunctionCategory::Value,
    summary: "Reads an int in a given base",
    doc: "Bases 2 to 36: an optional sign and digits, in either case. Base 0 takes the base from \
         the prefix `0x`, `0o`, `0b` or `0` and allows `_` between digits. Any other text gives 0; \
         numbers beyond the range of an int give the largest or smallest int.",
    params: &[
        Param::value("val", Types::ANY, "The text"),
        Param::value("base", Types::ANY, "The base"),
    ],
    named: true,
    returns: Types::INT,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "Hexadecimal",
            script: "add_key(n, parse_int(_, 16))",
            input: "fF",
            output: &[("n", "255")],
        },
    ],
    notes: &[

    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let (text, base) = (args.value(cx, 0)?, args.value(cx, 1)?);
    let number = match (text.as_str(), base.as_int()) {
        (Some(text), Some(base)) => parse(text, base),
        _ => None,
    };
    Ok(Value::Int(number.unwrap_or(0)))
}

fn parse(text: &str, base: i64) -> Option<i64> {
    let (negative, mut digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut radix = u32::try_from(base).ok().filter(|base| *base <= 36 && *base != 1)?;
    let separators = radix == 0;
    if separators {
        radix = 10;
        if let Some(behind) = digits.strip_prefix('0')
            && !behind.is_empty()
        {
            let prefixes = [(['x', 'X'], 16), (['o', 'O'], 8), (['b', 'B'], 2)];
            (digits, radix) = prefixes
                .iter()
                .find_map(|(letters, radix)| Some((behind.strip_prefix(*letters)?, *radix)))
                // The zero stays: it is the octal prefix, and a separator may follow it.
                .unwrap_or((digits, 8));
        }
    }
    let mut value = 0i64;
    let mut last = if radix == 10 { ' ' } else { '0' };
    let mut count = 0;
    for c in digits.chars() {
        if c == '_' && separators && last != '_' && last != ' ' {
            last = c;
            continue;
        }
        let digit = i64::from(c.to_digit(radix)?);
        let signed = if negative { -digit } else { digit };
        value = value.saturating_mul(i64::from(radix)).saturating_add(signed);
        last = c;
        count += 1;
    }
    (count > 0 && last != '_').then_some(value)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn bases() {
        for (text, base, value) in [
            ("ff", 16, 255),
            ("-Zz", 36, -1295),
            ("+10", 2, 2),
            ("0x1F", 0, 31),
            ("017", 0, 15),
            ("0_7", 0, 7),
            ("0x_1", 0, 1),
            ("1_000", 0, 1000),
            ("0", 0, 0),
            ("-0b11", 0, -3),
            ("99999999999999999999", 10, i64::MAX),
            ("-9223372036854775808", 10, i64::MIN),
            ("-99999999999999999999", 10, i64::MIN),
        ] {
            assert_eq!(parse(text, base), Some(value), "{text} {base}");
        }
        for (text, base) in [
            ("", 10), ("-", 10), ("12a", 10), ("0x1F", 16), ("1_0", 10), ("_1", 0), ("1__0", 0), ("1_", 0),
            ("0x", 0), ("08", 0), ("1", 1), ("1", 37), ("1", -2), ("--1", 10), (" 1", 10),
        ] {
            assert_eq!(parse(text, base), None, "{text} {base}");
        }
    }
}
