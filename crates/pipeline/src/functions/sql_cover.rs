//! `sql_cover`: masks the values in SQL text.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::sql;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "sql_cover",
    category: FunctionCategory::Text,
    summary: "Masks the values in SQL text",
    doc: "Replaces literals by `?`, drops comments and aliases, and puts one blank between \
         tokens, so that statements of the same shape become the same text. Runs of values \
         collapse into one `?`. A text that cannot be read as SQL stays as it is.",
    params: &[
        Param::key("key", "The key to work on"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A statement",
            script: "sql_cover(_)",
            input: "SELECT * FROM t WHERE id IN (1, 2) AND n = 'x'",
            output: &[("message", "\"SELECT * FROM t WHERE id IN ( ? ) AND n = ?\"")],
        },
    ],
    notes: &[
        "What cannot be read, such as an open quote, is left unmasked: do not rely on this \
         function alone to keep secrets.",
    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    if let Some(key) = args.key(0)
        && let Some(text) = cx.read_text(key)
    {
        // Up to two passes of a reader that takes some nanoseconds a byte.
        cx.meter().note(16 * text.len());
        let masked = sql::mask(&text);
        drop(text);
        if let Some(masked) = masked {
            cx.set_key(key, Value::from(masked));
        }
    }
    Ok(Value::Nil)
}
