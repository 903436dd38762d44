//! `match`: tells whether a text contains a match of a regular expression.

use std::sync::Arc;

use super::{Effects, CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind, prepare};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::regex::{Groups, Regex};
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "match",
    category: FunctionCategory::Pattern,
    summary: "Tells whether a text contains a match of a regular expression",
    doc: "Searches anywhere in the text; anchor with `^` and `$`. The dialect is that of RE2: \
         linear time, `\\d`, `\\w`, `\\s` and `\\b` mean ASCII, no back references and no \
         look-around. A missing key, and a value that is not text, do not match.",
    params: &[
        Param::literal("pattern", Types::STR, "The regular expression"),
        Param::of("s", ParamKind::Source, "The text, or the key that holds it"),
    ],
    named: true,
    returns: Types::BOOL,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A word",
            script: "if match(\"(?i)timeout\", _) {\n  add_key(kind, \"timeout\")\n}",
            input: "connect Timeout",
            output: &[("kind", "\"timeout\"")],
        },
    ],
    notes: &[
        "Write expressions in `'''` quotes: there, backslashes stand for themselves.",
    ],
    check: Some(check),
    call,
};

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let regex = Regex::cached(call.str(0).unwrap_or_default(), Groups::Named);
    prepare(regex.map_err(|error| call.error(0, format!("invalid regular expression: {error}")))?)
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let regex: &Arc<Regex> = args.prepared()?;
    let found = match args.key(1) {
        Some(key) => match cx.read_str(key) {
            Some(text) => regex.is_match(&text, cx.meter()),
            None => Ok(false),
        },
        None => match args.value(cx, 1)?.as_str() {
            Some(text) => regex.is_match(text, cx.meter()),
            None => Ok(false),
        },
    };
    let found = found.map_err(|spent| RunError::spent(spent, args.name_span()))?;
    Ok(Value::Bool(found))
}
