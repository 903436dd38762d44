//! `default_time_with_fmt`: reads a date and time in one given format.

use super::default_time::abbreviations;
use super::{Effects, 
    CallAst, CheckContext, CheckError, DefaultValue, Example, FunctionCategory, FunctionSpec, Param, prepare,
};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::time::{Layout, Zone};
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "default_time_with_fmt",
    category: FunctionCategory::Time,
    summary: "Reads a date and time in a given format",
    doc: "Reads the key's text in the format `fmt` and stores the instant under the same key, an int \
          of nanoseconds since the Unix epoch. A text that does not match, or a zone that does not \
          exist, leaves the key as it is.\n\n\
          The format is the moment *Mon Jan 2 15:04:05 MST 2006* written the way the text is \
          written: `2006` or `06` the year, `01`, `1`, `Jan` or `January` the month, `02`, `2` or \
          `_2` the day, `002` the day of the year, `Mon` or `Monday` the weekday, `15` the hour, \
          `03` or `3` with `PM` or `pm` the hour of half a day, `04` the minute, `05` the second, \
          `.000` or `,000` a fraction of exactly that many digits, `.999` one of any length, `-0700`, \
          `-07:00` or `-07` the offset (`Z0700` and so on also take `Z`), `MST` the abbreviation of \
          the zone. Everything else stands for itself.",
    params: &[
        Param::key("key", "The key that holds the text"),
        Param::literal("fmt", Types::STR, "The format"),
        Param::literal("timezone", Types::STR, "The zone of texts that name none")
            .or(DefaultValue::Str("")),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::CLOCK,
    examples: &[
        Example {
            title: "Day first",
            script: "default_time_with_fmt(_, \"02.01.2006 15:04\", \"UTC\")",
            input: "27.11.2022 21:32",
            output: &[("message", "1669584720000000000")],
        },
        Example {
            title: "A text in another format stays",
            script: "default_time_with_fmt(_, \"2006-01-02\", \"UTC\")",
            input: "27.11.2022",
            output: &[],
        },
    ],
    notes: &[
        "A fraction behind the seconds is accepted also when the format has none.",
        "Without a year in the format the date is in the current year, or in the year before when it would lie more than a day ahead.",
        "The letters `UTC` in a format stand for themselves and do not mean a zone; an abbreviation the zone does not know has its usual meaning, as for `default_time`.",
    ],
    check: Some(check),
    call,
};

struct Reader {
    layout: Layout,
    /// `None` for a zone that does not exist.
    zone: Option<Zone>,
}

fn check(cx: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    prepare(Reader {
        layout: Layout::new(call.str(1).unwrap_or_default()),
        zone: Zone::argument(call.str(2).unwrap_or_default(), cx.engine().time_zone()).ok(),
    })
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let reader: &Reader = args.prepared()?;
    if let (Some(zone), Some(key)) = (&reader.zone, args.key(0))
        && let Some(text) = cx.read_text(key)
    {
        let ns = reader
            .layout
            .parse(&text, zone, abbreviations(cx), || cx.engine().now_ns());
        drop(text);
        if let Some(ns) = ns {
            cx.set_key(key, Value::Int(ns));
        }
    }
    Ok(Value::Nil)
}
