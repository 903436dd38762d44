//! `parse_date`: builds an instant from its parts.

use super::{Effects, DefaultValue, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::time::{NANOS_PER_SECOND, Civil, Zone, month_by_name};
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "parse_date",
    category: FunctionCategory::Time,
    summary: "Builds an instant from the texts of its parts",
    doc: "Puts year, month, day and so on together and stores the instant under `key`, an int of \
          nanoseconds since the Unix epoch. Every part is a text. Of the parts that are left out, \
          empty or `nil`, year, month, day, hour and minute are those of the host's clock now, the \
          others zero.\n\n\
          A year below 100 is in the current century. The month is a number, an English name or its \
          first three letters. `zone` is an IANA name or a short name such as `+8`; without it the \
          parts are in UTC.",
    params: &[
        Param::key("key", "The key to set"),
        part("yy", "The year"),
        part("MM", "The month"),
        part("dd", "The day of the month"),
        part("hh", "The hour, 0 to 23"),
        part("mm", "The minute"),
        part("ss", "The second"),
        part("ms", "The milliseconds, 0 to 999"),
        part("us", "The microseconds, 0 to 999999"),
        part("ns", "The nanoseconds, 0 to 999999999"),
        part("zone", "The zone of the parts"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::CLOCK,
    examples: &[
        Example {
            title: "In order",
            script: "parse_date(at, \"2022\", \"Nov\", \"27\", \"21\", \"32\", \"43\", \"118\", zone=\"+8\")",
            input: "",
            output: &[("at", "1669555963118000000")],
        },
        Example {
            title: "By name",
            script: "parse_date(key=at, yy=\"1970\", MM=\"1\", dd=\"1\", hh=\"0\", mm=\"1\")",
            input: "",
            output: &[("at", "60000000000")],
        },
    ],
    notes: &[
        "A part that is not text, is not a number or is out of range stops the script with an error, and so do dates that do not exist.",
        "The clock's parts are in the host's zone while the result is in `zone`; give all of them.",
    ],
    check: None,
    call,
};

const fn part(name: &'static str, doc: &'static str) -> Param {
    Param::of(name, ParamKind::Expr, doc).or(DefaultValue::Str(""))
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let mut parts: [Option<kafkamq_point::Text>; 11] = std::array::from_fn(|_| None);
    for (at, part) in parts.iter_mut().enumerate().skip(1) {
        *part = match args.value(cx, at)? {
            Value::Nil => None,
            Value::Str(text) if text.is_empty() => None,
            Value::Str(text) => Some(text),
            other => {
                let message = format!("a part of a date is a text, not {}", other.type_name());
                return Err(args.error(at, message));
            }
        };
    }
    let now_ns = cx.engine().now_ns();
    let now = Zone::of(cx.engine().time_zone()).at(now_ns).civil;
    let [_, year, month, day, hour, minute, second, millis, micros, nanos, zone] = &parts;
    let number = |at: usize, text: &Option<kafkamq_point::Text>, range: std::ops::RangeInclusive<i64>| {
        let Some(text) = text else {
            return Ok(None);
        };
        text.parse()
            .ok()
            .filter(|value| range.contains(value))
            .map(Some)
            .ok_or_else(|| {
                let name = SPEC.params.get(at).map_or("", |param| param.name);
                args.error(at, format!("`{name}` cannot be `{text}`"))
            })
    };
    let small = |at, text, range, otherwise: u8| {
        number(at, text, range).map(|value| {
            value.map_or(otherwise, |value| u8::try_from(value).unwrap_or(otherwise))
        })
    };
    let year = match number(1, year, 0..=9999)?.and_then(|year| i32::try_from(year).ok()) {
        None => now.year,
        Some(short) if short < 100 => now.year / 100 * 100 + short,
        Some(year) => year,
    };
    let month = match month.as_deref().and_then(month_by_name) {
        Some(month) => month,
        None => small(2, month, 1..=12, now.month)?,
    };
    // Each may hold the whole fraction on its own; what makes more than a second carries over.
    let fraction = |at, text, most| number(at, text, 0..=most).map(Option::unwrap_or_default);
    let below_second = fraction(7, millis, 999)? * 1_000_000
        + fraction(8, micros, 999_999)? * 1000
        + fraction(9, nanos, 999_999_999)?;
    let civil = Civil {
        year,
        month,
        day: small(3, day, 1..=31, now.day)?,
        hour: small(4, hour, 0..=23, now.hour)?,
        minute: small(5, minute, 0..=59, now.minute)?,
        second: small(6, second, 0..=59, 0)?,
        nanos: u32::try_from(below_second % NANOS_PER_SECOND).unwrap_or_default(),
    };
    let zone = match zone {
        None => Zone::UTC,
        Some(name) if name == "Local" => Zone::of(cx.engine().time_zone()),
        Some(name) => Zone::listed(name).map_err(|error| args.error(10, error.to_string()))?,
    };
    civil.validate().map_err(|part| {
        RunError::new(
            crate::diagnostic::Code::FunctionFailed,
            args.name_span(),
            format!("the date does not exist: {part} out of range"),
        )
    })?;
    let carried = below_second / NANOS_PER_SECOND * NANOS_PER_SECOND;
    let ns = zone.to_ns(&civil).and_then(|ns| ns.checked_add(carried));
    let ns = ns.ok_or_else(|| {
        args.error(1, format!("the year {year} is outside 1677 to 2262"))
    })?;
    if let Some(key) = args.key(0) {
        cx.set_key(key, Value::Int(ns));
    }
    Ok(Value::Nil)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kafkamq_point::{Category, Point, Value};

    use crate::{Clock, Engine, RunState, Script};

    /// 2024-07-04 15:30:45 UTC.
    struct Fixed;

    impl Clock for Fixed {
        fn now_ns(&self) -> i64 {
            1_720_107_045_000_000_000
        }
    }

    fn seconds(arguments: &str) -> Option<i64> {
        let engine = Engine::new()
            .with_clock(Arc::new(Fixed))
            .with_time_zone(jiff::tz::TimeZone::fixed(jiff::tz::offset(2)));
        let text = format!("parse_date(t, {arguments})");
        let script = Script::compile(&engine, "t.p", text).unwrap();
        let mut point = Point::new("p", Category::Metric, 1);
        script.run(&mut point, &mut RunState::new());
        match point.get("t")?.value {
            Value::Int(ns) => Some(ns / 1_000_000_000),
            _ => None,
        }
    }

    #[test]
    fn missing_parts_are_those_of_the_local_clock() {
        // 17:30 by the clock on the wall, read as UTC.
        assert_eq!(seconds("ss=\"7\""), Some(1_720_107_007 + 7200));
        assert_eq!(seconds("nothing, nothing, nothing, nothing"), Some(1_720_107_000 + 7200));
        let new_year = "MM=\"1\", dd=\"1\", hh=\"0\", mm=\"0\"";
        assert_eq!(seconds(&format!("\"70\", {new_year}")), Some(3_155_760_000));
        assert_eq!(seconds(&format!("\"1970\", {new_year}")), Some(0));
        assert_eq!(seconds(&format!("\"2024\", {new_year}, zone=\"Local\"")), Some(1_704_060_000));
    }

    #[test]
    fn dates_that_do_not_exist_are_errors() {
        for arguments in ["\"2023\", \"2\", \"29\"", "\"2300\"", "2023", "\"2023\", ms=\"1000\""] {
            assert_eq!(seconds(arguments), None, "{arguments}");
        }
    }
}
