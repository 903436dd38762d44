//! `vaild_json`: tells whether a text is JSON.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::value::Types;

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "vaild_json",
    category: FunctionCategory::Document,
    summary: "The misspelt alias of `valid_json`",
    doc: "Kept because published scripts use it; write `valid_json`.",
    params: &[Param::of("val", ParamKind::Expr, "The text")],
    named: false,
    returns: Types::BOOL,
    effects: Effects::PURE,
    examples: &[Example {
        title: "JSON or not",
        script: "add_key(good, vaild_json(_))\nadd_key(bad, vaild_json(\"{\"))",
        input: "{\"a\": 1}",
        output: &[("good", "true"), ("bad", "false")],
    }],
    notes: &[],
    check: None,
    call: super::valid_json::call,
};
