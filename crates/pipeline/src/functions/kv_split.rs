//! `kv_split`: picks keys out of key=value text.

use std::sync::Arc;

use hashbrown::HashSet;

use kafkamq_point::Text;

use super::{Effects, 
    CallAst, CheckContext, CheckError, DefaultValue, Example, FunctionCategory, FunctionSpec, Param,
    ParamKind, prepare,
};
use crate::args::Args;
use crate::ast::ExprKind;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::regex::{Captures, Groups, Regex};
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "kv_split",
    category: FunctionCategory::Document,
    summary: "Sets keys from key=value text",
    doc: "Splits the text at every match of `field_split_pattern`, each piece at the first match \
          of `value_split_pattern`, and sets the keys that `include_keys` lists. Pieces without a \
          value separator are skipped, a repeated key keeps its last value. Yields whether a key \
          was set.",
    params: &[
        Param::key("key", "The text to split"),
        Param::literal("field_split_pattern", Types::STR, "Regular expression between fields")
            .or(DefaultValue::Str(" ")),
        Param::literal("value_split_pattern", Types::STR, "Regular expression between key and value")
            .or(DefaultValue::Str("=")),
        Param::literal("trim_key", Types::STR, "Characters to strip from both ends of keys")
            .or(DefaultValue::Str("")),
        Param::literal("trim_value", Types::STR, "Characters to strip from both ends of values")
            .or(DefaultValue::Str("")),
        Param::of("include_keys", ParamKind::Expr, "The keys to set, a list or the name of one")
            .or(DefaultValue::List),
        Param::literal("prefix", Types::STR, "Put before every key that is set")
            .or(DefaultValue::Str("")),
    ],
    named: true,
    returns: Types::BOOL,
    effects: Effects::PURE,
    examples: &[Example {
        title: "Two keys of three",
        script: "kv_split(_, include_keys=[\"a\", \"c\"], prefix=\"kv_\")",
        input: "a=1 b=2 c=3",
        output: &[("kv_a", "\"1\""), ("kv_c", "\"3\"")],
    }],
    notes: &[
        "Without `include_keys`, or with an empty list, nothing is set.",
        "Quotes in the text have no special meaning.",
    ],
    check: Some(check),
    call,
};

struct Patterns {
    field: Arc<Regex>,
    value: Arc<Regex>,
}

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let compile = |at: usize| {
        Regex::cached(call.str(at).unwrap_or_default(), Groups::Named)
            .map_err(|error| call.error(at, format!("invalid regular expression: {error}")))
    };
    let patterns = Patterns {
        field: compile(1)?,
        value: compile(2)?,
    };
    match call.arg(5).map(|expr| &expr.kind) {
        None | Some(ExprKind::List(_) | ExprKind::Name(_)) => prepare(patterns),
        Some(_) => Err(CheckError::new(
            call.name_span,
            "`include_keys` takes a list or the name of one",
        )),
    }
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let Value::List(include) = args.value(cx, 5)? else {
        return Ok(Value::Bool(false));
    };
    let patterns: &Patterns = args.prepared()?;
    let Some(key) = args.key(0) else {
        return Ok(Value::Bool(false));
    };
    let Some(text) = cx.read_text(key) else {
        return Ok(Value::Bool(false));
    };
    let (trim_key, trim_value) = (args.literal_str(3), args.literal_str(4));
    let mut found: Vec<(Text, Text)> = Vec::new();
    let mut captures = Captures::default();
    let meter = cx.meter();
    let spent = |spent| RunError::spent(spent, args.name_span());
    let wanted: HashSet<Text> = include.with(|keys| {
        keys.iter().filter_map(Value::as_str).map(Text::from).collect()
    });
    meter.note_units(wanted.len());
    let fields = patterns.field.split(&text, usize::MAX, &mut captures, meter);
    for field in fields.map_err(spent)? {
        let pieces = patterns.value.split(field, 2, &mut captures, meter).map_err(spent)?;
        let [name, value] = *pieces else {
            continue;
        };
        let name = name.trim_matches(|c| trim_key.contains(c));
        if !name.is_empty() && wanted.contains(name) {
            let value = value.trim_matches(|c| trim_value.contains(c));
            found.push((Text::from(args.literal_str(6)) + name, value.into()));
        }
    }
    let any = !found.is_empty();
    for (name, value) in found {
        cx.set(&name, Value::Str(value));
    }
    Ok(Value::Bool(any))
}
