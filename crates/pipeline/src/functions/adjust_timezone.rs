//! `adjust_timezone`: repairs a time that was read in a wrong zone.

use super::{Effects, DefaultValue, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "adjust_timezone",
    category: FunctionCategory::Time,
    summary: "Moves a time by whole hours so that it lies within the last hour",
    doc: "For records that arrive without delay but whose time was read in a zone that is wrong by whole hours. The key \
          has to hold an int of nanoseconds; it is moved by whole hours until it lies at most \
          `minute` minutes ahead of now and less than an hour behind that.",
    params: &[
        Param::key("key", "The key that holds the time"),
        Param::literal("minute", Types::INT, "How far ahead of now a time may be, 0 to 15 minutes")
            .or(DefaultValue::Int(2)),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::CLOCK,
    examples: &[Example {
        title: "Eight hours off",
        script: "t = timestamp() - 28800000000000\nadjust_timezone(t)",
        input: "",
        output: &[("t", Example::ANY)],
    }],
    notes: &[
        "A time that really is older than an hour is moved to the present.",
        "Zones that are half an hour off are not repaired.",
        "A value that is not an int stops the script with an error; a key that does not exist does nothing.",
    ],
    check: None,
    call,
};

const MINUTE: i64 = 60_000_000_000;
const HOUR: i64 = 60 * MINUTE;

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    let ahead = args.constant(1).as_int().unwrap_or(2).clamp(0, 15) * MINUTE;
    match cx.read(key) {
        None => {}
        Some(Value::Int(time)) => {
            let adjusted = adjust(time, cx.engine().now_ns(), ahead);
            cx.set_key(key, Value::Int(adjusted));
        }
        Some(other) => {
            let message = format!("`{}` has to be int, not {}", key.name(), other.type_name());
            return Err(args.error(0, message));
        }
    }
    Ok(Value::Nil)
}

/// The time congruent to `time` modulo an hour that lies in `now + ahead - 1 h < t <= now + ahead`.
fn adjust(time: i64, now: i64, ahead: i64) -> i64 {
    let latest = now.saturating_add(ahead);
    let back = latest.rem_euclid(HOUR) - time.rem_euclid(HOUR);
    latest.saturating_sub(back.rem_euclid(HOUR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_within_the_hour() {
        let now = 1_700_000_000 * 1_000_000_000;
        let ahead = 2 * MINUTE;
        for (off, left) in [
            (0, 0),
            (-8 * HOUR, 0),
            (24 * HOUR, 0),
            (-330 * MINUTE, -30 * MINUTE),
            (MINUTE, MINUTE),
            (2 * MINUTE, 2 * MINUTE),
            (2 * MINUTE + 1, 1 - 58 * MINUTE),
            (-58 * MINUTE, 2 * MINUTE),
            (1 - 58 * MINUTE, 1 - 58 * MINUTE),
        ] {
            assert_eq!(adjust(now + off, now, ahead) - now, left, "{off}");
        }
        adjust(i64::MIN, i64::MAX, ahead);
    }
}
