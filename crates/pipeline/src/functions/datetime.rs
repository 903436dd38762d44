//! `datetime`: prints a Unix time.

use super::{Effects, 
    CallAst, CheckContext, CheckError, DefaultValue, Example, FunctionCategory, FunctionSpec, Param, prepare,
};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::time::{TimeFormat, TimeUnit, UnknownZone, Zone};
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "datetime",
    category: FunctionCategory::Time,
    summary: "Prints a Unix time as text",
    doc: "Takes the key's number as a Unix time in `precision` and stores it under the same key as \
          text. A float is truncated, a text of decimal digits counts as its number; anything else stays \
          as it is.\n\n\
          `fmt` is one of the names `ANSIC`, `UnixDate`, `RubyDate`, `RFC822`, `RFC822Z`, `RFC850`, \
          `RFC1123`, `RFC1123Z`, `RFC3339`, `RFC3339Nano`, `Kitchen`, `Stamp`, `StampMilli`, \
          `StampMicro`, `StampNano`, or a text with directives: `%Y` `%y` `%C` year, `%m` `%b` `%B` \
          month, `%d` `%e` `%j` day, `%a` `%A` `%u` `%w` weekday, `%H` `%k` `%I` `%l` hour, `%p` `%P` \
          AM or PM, `%M` minute, `%S` second, `%f` microseconds, `%s` Unix seconds, `%z` `%:z` offset, \
          `%Z` zone, `%g` `%G` `%V` `%U` `%W` weeks, `%F` `%D` `%x` `%v` dates, `%T` `%X` `%R` `%r` \
          times, `%c` `%+` both, `%n` `%t` `%%`. Between the percent sign and the letter `-` \
          removes padding, `_` pads with blanks, `0` with zeros, `^` writes capitals, and a number sets \
          the width.",
    params: &[
        Param::key("key", "The key that holds the Unix time"),
        Param::literal("precision", Types::STR, "`s`, `ms`, `us` or `ns`"),
        Param::literal("fmt", Types::STR, "The format"),
        Param::literal("tz", Types::STR, "The zone to print in; the host's if left out")
            .or(DefaultValue::Str("")),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A named format",
            script: "datetime(_, \"s\", \"RFC3339\", \"Asia/Shanghai\")",
            input: "1669584763",
            output: &[("message", "\"2022-11-28T05:32:43+08:00\"")],
        },
        Example {
            title: "Directives",
            script: "ts = 1669584763118\ndatetime(ts, \"ms\", \"%d.%m.%Y %H:%M:%S.%f\", tz=\"UTC\")",
            input: "",
            output: &[("ts", "\"27.11.2022 21:32:43.118000\"")],
        },
    ],
    notes: &[
        "A zone that does not exist is an error when the function runs.",
        "Unknown directives are printed as they are.",
    ],
    check: Some(check),
    call,
};

struct Printer {
    unit: TimeUnit,
    format: TimeFormat,
    zone: Result<Zone, UnknownZone>,
}

fn check(cx: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let unit = call
        .str(1)
        .unwrap_or_default()
        .parse()
        .map_err(|error: crate::time::UnknownUnit| call.error(1, error.to_string()))?;
    prepare(Printer {
        unit,
        format: TimeFormat::new(call.str(2).unwrap_or_default()),
        zone: Zone::argument(call.str(3).unwrap_or_default(), cx.engine().time_zone()),
    })
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let printer: &Printer = args.prepared()?;
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    let Some(value) = cx.read(key) else {
        return Ok(Value::Nil);
    };
    let zone = printer
        .zone
        .as_ref()
        .map_err(|error| args.error(3, error.to_string()))?;
    let ns = count(&value).and_then(|count| printer.unit.convert(count, TimeUnit::Nanos));
    if let Some(ns) = ns {
        cx.set_key(key, Value::from(printer.format.format(ns, zone)));
    }
    Ok(Value::Nil)
}

/// The whole number a value stands for.
fn count(value: &Value) -> Option<i64> {
    match value {
        Value::Int(count) => Some(*count),
        Value::Float(count) => {
            // Beyond 2^63 there is no nanosecond count anyway.
            #[expect(clippy::cast_possible_truncation, reason = "cutting is what is asked for")]
            (count.abs() < 9.2e18).then_some(*count as i64)
        }
        Value::Str(text) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
            let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
            let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            (plain(digits) && plain(fraction)).then(|| whole.parse().ok())?
        }
        _ => None,
    }
}
