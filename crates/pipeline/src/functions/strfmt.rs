//! `strfmt`: writes a formatted text.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::format::format;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "strfmt",
    category: FunctionCategory::Text,
    summary: "Writes a formatted text",
    doc: "Formats the values by `fmt` and stores the text under the key.\n\n\
         Verbs: `%v` any value, `%d` `%b` `%o` `%x` `%X` `%c` `%q` `%U` ints, `%f` `%e` `%g` \
         floats, `%s` `%q` `%x` text, `%t` bools, `%T` the type, `%%` a percent sign. Between `%` \
         and the verb: flags `-` (left), `+` (sign), blank, `0` (zeros), `#` (prefixes), then \
         width, then `.` and precision; `*` takes either from the next value, `[n]` selects a \
         value.\n\n\
         A mistake does not fail the run: it shows in the text, as `%!d(string=hi)` for a wrong type \
         or `%!d(MISSING)` for a missing value.",
    params: &[
        Param::key("key", "The key to write"),
        Param::literal("fmt", Types::STR, "The format"),
        Param::value("args", Types::ANY, "The values").rest(),
    ],
    named: false,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "Numbers and text",
            script: "strfmt(out, \"%s used %5.1f%% of %d\", \"disk\", 93.25, 4)",
            input: "",
            output: &[("out", "\"disk used  93.2% of 4\"")],
        },
        Example {
            title: "Mistakes show",
            script: "strfmt(out, \"%d\", \"hi\")",
            input: "",
            output: &[("out", "\"%!d(string=hi)\"")],
        },
    ],
    notes: &[
        "A value that cannot be computed prints as `<nil>`.",
        "Read a key with a dot by its quoted name (`` `a.b` ``); as an attribute expression it \
         has no value.",
        "The result is cut off at 1 MiB.",
    ],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    if let Some(key) = args.key(0) {
        let values: Vec<Value> = (2..args.len())
            .map(|at| args.value(cx, at).unwrap_or_default())
            .collect();
        let text = format(args.literal_str(1), &values);
        cx.meter().note(8 * text.len() + values.iter().map(Value::heap).sum::<usize>());
        cx.set_key(key, Value::from(text));
    }
    Ok(Value::Nil)
}
