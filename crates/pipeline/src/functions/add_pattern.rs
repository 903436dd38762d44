//! `add_pattern`: defines a grok pattern.

use std::sync::Arc;

use super::{Effects, CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::grok::{Definition, GrokError};
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "add_pattern",
    category: FunctionCategory::Pattern,
    summary: "Defines a grok pattern",
    doc: "Defines `%{name}` for the `grok` calls and definitions that follow in the same block \
         and in blocks inside it. The expression may refer to patterns that are visible here. A \
         definition hides a built-in pattern, or one of an outer block, of the same name, for \
         direct references only: patterns built from the hidden one stay as they are. A second \
         definition in the same block replaces the first.\n\n\
         A definition takes effect when the script is loaded, even if the call is never reached.",
    params: &[
        Param::literal("name", Types::STR, "The name"),
        Param::literal("pattern", Types::STR, "The expression"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "A pattern of one's own",
            script: "add_pattern(\"order\", '''ORD-\\d+''')\ngrok(_, \"%{order:order}\")",
            input: "paid ORD-17",
            output: &[("order", "\"ORD-17\"")],
        },
    ],
    notes: &[

    ],
    check: Some(check),
    call,
};

fn check(cx: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let (name, expression) = (call.str(0).unwrap_or_default(), call.str(1).unwrap_or_default());
    let library = super::grok::library(cx);
    let own = |name: &str| cx.defined::<Definition>(name);
    let definition = Definition::new(name, expression, &library, own).map_err(|error| {
        let at = usize::from(!matches!(error, GrokError::Name(_)));
        call.error(at, error.to_string())
    })?;
    cx.define(name, Arc::new(definition));
    Ok(None)
}

fn call(_: &mut RunContext<'_>, _: Args<'_>) -> Result<Value, RunError> {
    Ok(Value::Nil)
}
