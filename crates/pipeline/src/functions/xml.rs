//! `xml`: takes a value out of XML text.

use super::{Effects, CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, prepare};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::xml::Query;
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "xml",
    category: FunctionCategory::Document,
    summary: "Takes a value out of XML text",
    doc: "Evaluates an XPath 1.0 expression on the text and writes the text of the first node it \
         selects, in document order: for an element the text of all its descendants, for an \
         attribute its value. Without a match, and for text that is not well-formed XML, nothing \
         is written.\n\n\
         Names are matched as they are written: `//s:to` finds `<s:to>`, `//to` does not. A \
         default namespace is ignored. `ends-with` is understood besides the functions of \
         XPath 1.0.",
    params: &[
        Param::key("input", "The key that holds the XML"),
        Param::literal("xpath", Types::STR, "The expression"),
        Param::key("target", "The key to write"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "An attribute",
            script: "xml(_, \"//item[2]/@sku\", sku)",
            input: "<order><item sku=\"p1\"/><item sku=\"p2\"/></order>",
            output: &[("sku", "\"p2\"")],
        },
    ],
    notes: &[
        "An expression that gives a number, a text or a truth value writes nothing.",
        "A fragment with several roots is accepted.",
    ],
    check: Some(check),
    call,
};

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    prepare(Query::compile(call.str(1).unwrap_or_default()))
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let query: &Option<Query> = args.prepared()?;
    let (Some(query), Some(input), Some(target)) = (query, args.key(0), args.key(2)) else {
        return Ok(Value::Nil);
    };
    let found = match cx.read_text(input) {
        Some(text) => query.first(&text, cx.meter()),
        None => Ok(None),
    };
    let found = found.map_err(|spent| RunError::spent(spent, args.name_span()))?;
    if let Some(found) = found {
        cx.set_key(target, Value::from(found));
    }
    Ok(Value::Nil)
}
