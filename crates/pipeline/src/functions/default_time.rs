//! `default_time`: recognises a date and time in any common format.

use std::sync::LazyLock;

use super::{Effects, 
    CallAst, CheckContext, CheckError, DefaultValue, Example, FunctionCategory, FunctionSpec, Param, prepare,
};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::{Key, Prepared};
use crate::time::{Abbreviations, Unrecognised, UnknownZone, Zone, recognise};
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "default_time",
    category: FunctionCategory::Time,
    summary: "Recognises a date and time in any common format",
    doc: "Reads the key's text and stores the instant it names under the same key, an int of \
          nanoseconds since the Unix epoch. Renamed to `time`, it becomes the time of the point.\n\n\
          It reads Unix times of 10, 13, 16 and 19 digits (also with a fraction), `20220318`, \
          `20220318091011`, ISO 8601 and RFC 3339, RFC 822, 850 and 1123, syslog, the time formats \
          of nginx, Apache, Redis, MySQL, PostgreSQL and Gin, and dates with month names or with \
          numbers separated by `-`, `/`, `.` or `:`, each with or without a time of day, a fraction, \
          AM and PM, and a zone. `1/2/2022` is always the second of January.\n\n\
          `timezone` applies when the text names no zone; without it that is the zone of the host. \
          It takes IANA names (`Asia/Shanghai`), short names (`+8`, `CST`) and offsets (`+08:00`).\n\n\
          A text that cannot be read sets the key to the point's own time, and the key `pl_msg` \
          to the reason.",
    params: &[
        Param::key("key", "The key that holds the text"),
        Param::literal("timezone", Types::STR, "The zone of texts that name none")
            .or(DefaultValue::Str("")),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::CLOCK,
    examples: &[
        Example {
            title: "The time of an access log line",
            script: "default_time(_)",
            input: "27/Nov/2022:21:32:43 +0800",
            output: &[("message", "1669555963000000000")],
        },
        Example {
            title: "A time without a zone",
            script: "ts = \"2022-11-27 21:32:43.118\"\ndefault_time(ts, \"Asia/Shanghai\")\nrename(time, ts)",
            input: "",
            output: &[("(time)", "1669555963118000000")],
        },
        Example {
            title: "A text that is not a time",
            script: "default_time(_)",
            input: "tomorrow",
            output: &[("message", Example::ANY), ("pl_msg", Example::ANY)],
        },
    ],
    notes: &[
        "A date without a year, as in syslog, is in the current year, or in the year before when it would lie more than a day ahead.",
        "A short name such as `-5` follows its city, here New York, in daylight saving time; `-05` is always five hours.",
        "A time that daylight saving skips is read with the offset before the change, one that occurs twice as the first.",
        "`Z`, `UTC`, `GMT` and offsets count wherever they stand behind a time. Another abbreviation (`CST`, `PST`, `CEST`) means what it does in the zone at hand, else its most common meaning: `CST` is China's, `IST` India's, `BST` Britain's.",
        "An hour without minutes is read only with AM or PM, and then as midnight or noon; `7:04 PM` is read in full.",
        "Text without digits behind the time is ignored; digits that stay unread fail.",
    ],
    check: Some(check),
    call,
};

fn check(cx: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let name = call.str(1).unwrap_or_default();
    prepare(Zone::argument(name, cx.engine().time_zone()))
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let zone: &Result<Zone, UnknownZone> = args.prepared()?;
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    if !holds_text(cx, key) {
        return Ok(Value::Nil);
    }
    let Some(text) = cx.read_text(key) else {
        return Ok(Value::Nil);
    };
    let failure = match zone {
        Ok(zone) => match recognise(&text, zone, abbreviations(cx), || cx.engine().now_ns()) {
            Ok(ns) => {
                drop(text);
                cx.set_key(key, Value::Int(ns));
                return Ok(Value::Nil);
            }
            Err(error) => reason(error, &text),
        },
        Err(UnknownZone(name)) if name.starts_with(['+', '-']) => {
            format!("fail to parse timezone {name}")
        }
        Err(UnknownZone(name)) => format!("unknown time zone {name}"),
    };
    drop(text);
    let failure = format!("time convert failed: {failure}");
    cx.set("pl_msg", Value::from(failure));
    let ns = match cx.point().time_ns() {
        0 => cx.engine().now_ns(),
        ns => ns,
    };
    cx.set_key(key, Value::Int(ns));
    Ok(Value::Nil)
}

/// What abbreviations mean where the zone at hand does not know them.
pub(super) fn abbreviations<'c>(cx: &'c RunContext<'_>) -> &'c Abbreviations {
    static USUAL: LazyLock<Abbreviations> = LazyLock::new(Abbreviations::default);
    cx.engine().service::<Abbreviations>().unwrap_or(&*USUAL)
}

/// Why a text is not an instant, in the words that DataKit's users filter for.
fn reason(error: Unrecognised, text: &str) -> String {
    // The text may be a whole record; its beginning tells enough.
    let shown: String = text.chars().take(256).collect();
    let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match error {
        Unrecognised::Shape if only_digits && (1..4).contains(&text.len()) => {
            format!("unrecognized format, too short {shown}")
        }
        // 19 digits beyond 64 bits are not a format of their own.
        Unrecognised::Span if only_digits => format!("Could not find format for {shown:?}"),
        Unrecognised::Shape => format!("Could not find format for {shown:?}"),
        error => format!("parsing time {shown:?}: {error}"),
    }
}

/// Whether a key exists and holds something that has a text: no list, map or nil.
fn holds_text(cx: &RunContext<'_>, key: &Key) -> bool {
    match cx.variable(key) {
        Some(value) => !value.is_nil() && !value.is_container(),
        None => cx
            .point()
            .get(key.name())
            .is_some_and(|entry| !entry.value.is_nil()),
    }
}
