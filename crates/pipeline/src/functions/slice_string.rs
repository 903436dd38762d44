//! `slice_string`: cuts a part out of a text.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "slice_string",
    category: FunctionCategory::Text,
    summary: "Cuts a part out of a text",
    doc: "Yields the code points from `start` up to but not including `end`. An `end` behind the \
         text means its end; a negative `start`, and a `start` behind `end`, give empty text.",
    params: &[
        Param::value("name", Types::STR, "The text"),
        Param::value("start", Types::INT, "The first character, counted from 0"),
        Param::value("end", Types::INT, "The first character that is left out"),
    ],
    named: true,
    returns: Types::STR,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "Two characters",
            script: "add_key(part, slice_string(_, 1, 3))",
            input: "日志平台",
            output: &[("part", "\"志平\"")],
        },
    ],
    notes: &[
        "A negative `end` does not count from the end; it gives empty text. The slice `text[-3:]` \
         does count.",
    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let text = args.str(cx, 0)?;
    let (start, end) = (args.int(cx, 1)?, args.int(cx, 2)?);
    let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else {
        return Ok(Value::str(""));
    };
    let place = |at| text.char_indices().nth(at).map(|(place, _)| place);
    let from = place(start).unwrap_or(text.len());
    let to = place(end).unwrap_or(text.len());
    Ok(Value::str(text.get(from..to).unwrap_or_default()))
}
