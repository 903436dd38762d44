//! `agg_metric`: puts a value into an aggregation bucket.

use kafkamq_point::{Text, Value as Field};
use smallvec::SmallVec;

use super::agg_create::{category, text_list};
use super::{
    CallAst, CheckCx, CheckError, Default, Example, FunctionCategory, FunctionSpec, Param,
    ParamKind, prepare,
};
use crate::aggregate::{Buckets, Function};
use crate::args::Args;
use crate::context::Cx;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "agg_metric",
    category: FunctionCategory::State,
    summary: "Adds a value of the point to an aggregation bucket",
    doc: "Takes the point's `agg_field` as a number and adds it, by `agg_fn`, to the field `new_field` \
          of the group that has the same values of the keys `agg_by`. Numeric text counts as its \
          number, `true` as 1, any other text as 0.\n\n\
          `agg_fn` is `sum`, `avg`, `min`, `max` or `set`, the last value. The function that is used \
          first for a field of a group stays.\n\n\
          Nothing happens without the bucket, without the field, or when one of the keys is missing \
          or no text.",
    params: &[
        Param::literal("bucket", Types::STR, "The bucket, made by `agg_create`"),
        Param::literal("new_field", Types::STR, "The field of the aggregated point"),
        Param::literal("agg_fn", Types::STR, "`sum`, `avg`, `min`, `max` or `set`"),
        Param::of("agg_by", ParamKind::Expr, "The keys whose values make a group, a list of string literals"),
        Param::literal("agg_field", Types::STR, "The key whose value is added"),
        Param::of("category", ParamKind::Expr, "The category of the bucket").or(Default::Str("M")),
    ],
    named: true,
    returns: Types::NONE,
    examples: &[Example {
        title: "The longest request per service",
        script: "agg_create(\"requests\")\nagg_metric(\"requests\", \"cost_max\", \"max\", [\"service\"], \"cost\")",
        input: "",
        output: &[],
    }],
    notes: &["The point the script runs on is not changed."],
    check: Some(check),
    call,
};

struct Plan {
    function: Function,
    by: Vec<Text>,
}

fn check(_: &mut CheckCx<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let Some(function) = call.str(2).and_then(Function::named) else {
        return Err(call.error(2, "`agg_fn` is one of `sum`, `avg`, `min`, `max`, `set`"));
    };
    let Some(by) = text_list(call.arg(3)) else {
        return Err(call.error(3, "`agg_by` is a list of one or more string literals"));
    };
    prepare(Plan {
        function,
        by: by.into_iter().map(Text::from).collect(),
    })
}

fn call(cx: &mut Cx<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let plan: &Plan = args.prepared()?;
    let category = category(cx, args, 5)?;
    let Some(bucket) = cx
        .instance()
        .get::<Buckets>()
        .and_then(|buckets| buckets.get(category, args.literal_str(0)))
    else {
        return Ok(Value::Nil);
    };
    let point = cx.point();
    let mut tags = SmallVec::<[(Text, Text); 4]>::new();
    for key in &plan.by {
        match point.get(key).map(|entry| &entry.value) {
            Some(Field::Str(value)) => tags.push((key.clone(), value.clone())),
            _ => return Ok(Value::Nil),
        }
    }
    let Some(entry) = point.get(args.literal_str(4)) else {
        return Ok(Value::Nil);
    };
    bucket.add(
        &tags,
        args.literal_str(1),
        plan.function,
        number(&entry.value),
        cx.engine().now_ns(),
    );
    Ok(Value::Nil)
}

fn number(value: &Field) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "aggregated values are floats")]
    match value {
        Field::Int(number) => *number as f64,
        Field::Uint(number) => *number as f64,
        Field::Float(number) => *number,
        Field::Bool(truth) => f64::from(u8::from(*truth)),
        Field::Str(text) => text.trim().parse().unwrap_or(0.0),
        _ => 0.0,
    }
}
