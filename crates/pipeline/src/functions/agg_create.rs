//! `agg_create`: makes an aggregation bucket.

use kafkamq_point::Category;

use super::{Effects, 
    CallAst, CheckContext, CheckError, DefaultValue, Example, FunctionCategory, FunctionSpec, Param,
    ParamKind, prepare,
};
use crate::aggregate::{Aggregator, BucketOptions, Buckets};
use crate::args::Args;
use crate::ast::{Expr, ExprKind};
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::time::parse_duration;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "agg_create",
    category: FunctionCategory::State,
    summary: "Makes a bucket that aggregates metrics of many points",
    doc: "The first call makes the bucket, later ones do nothing. `agg_metric` fills it; it emits \
          one point per group every \
          `on_interval`, and after every `on_count` values if that is above \
          0. The points have the bucket's name, the tags of the group and `const_tags`; they go to \
          the output without running through scripts.\n\n\
          With `keep_value` a group keeps its values after it was emitted; otherwise it starts \
          empty. When the script is replaced or removed, the bucket emits what it holds.",
    params: &[
        Param::literal("bucket", Types::STR, "The name of the bucket and of its points"),
        Param::literal("on_interval", Types::STR, "The time between flushes, such as `1m30s`; `0s` for none")
            .or(DefaultValue::Str("60s")),
        Param::literal("on_count", Types::INT, "Number of values after which the bucket is flushed; 0 for none")
            .or(DefaultValue::Int(0)),
        Param::literal("keep_value", Types::BOOL, "Whether groups go on accumulating")
            .or(DefaultValue::Bool(false)),
        Param::of("const_tags", ParamKind::Expr, "A map of further tags").or(DefaultValue::Nil),
        Param::of("category", ParamKind::Expr, "The category of the points, such as `metric` or `L`")
            .or(DefaultValue::Str("M")),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::STATE.and(Effects::CLOCK),
    examples: &[Example {
        title: "Requests and their cost per service, every 30 seconds",
        script: "agg_create(\"requests\", \"30s\", const_tags={\"env\": \"prod\"})\nagg_metric(\"requests\", \"cost\", \"avg\", [\"service\"], \"cost\")",
        input: "",
        output: &[],
    }],
    notes: &[
        "The point the script runs on is not changed.",
        "A host that does not collect aggregated points ignores the call.",
        "A bucket holds 100000 groups, and all buckets share the memory for them; a further group makes it flush early; with `keep_value` the group is refused and counted.",
        "While the points of the last flush are not delivered, an interval emits nothing and the groups go on merging.",
    ],
    check: Some(check),
    call,
};

/// What the literals of a call say.
struct Options {
    interval: Option<u64>,
    count: Option<u64>,
}

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let Some(interval) = call.str(1).and_then(parse_duration) else {
        return Err(call.error(1, "`on_interval` is not a duration"));
    };
    let count = match call.arg(2).map(|expr| &expr.kind) {
        Some(ExprKind::Int(count)) => *count,
        _ => 0,
    };
    let positive = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
    let options = Options {
        interval: positive(interval),
        count: positive(count),
    };
    if options.interval.is_none() && options.count.is_none() {
        return Err(call.error(1, "the bucket would never flush")
            .with_help("set `on_interval` or `on_count` above zero"));
    }
    prepare(options)
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let options: &Options = args.prepared()?;
    let category = category(cx, args, 5)?;
    let name = args.literal_str(0);
    if let Some(buckets) = cx.instance().get::<Buckets>()
        && buckets.get(category, name).is_some()
    {
        return Ok(Value::Nil);
    }
    let const_tags = match args.value(cx, 4)? {
        Value::Nil => Vec::new(),
        Value::Map(tags) => tags.with(|tags| {
            tags.iter()
                .filter_map(|(key, value)| match value {
                    Value::Str(value) => Some((key.clone(), value.clone())),
                    _ => None,
                })
                .collect()
        }),
        other => {
            let message = format!("`const_tags` is a map, not {}", other.type_name());
            return Err(args.error(4, message));
        }
    };
    let Some(aggregator) = cx.engine().service::<Aggregator>() else {
        return Ok(Value::Nil);
    };
    let bucket = || BucketOptions {
        interval: options.interval,
        count: options.count,
        keep: args.constant(3).as_bool().unwrap_or(false),
        const_tags,
    };
    cx.instance().get_or_init(Buckets::default).create(
        aggregator,
        category,
        name,
        bucket,
        cx.engine().now_ns(),
    );
    Ok(Value::Nil)
}

/// The category an argument names; `nil` is metric.
pub(super) fn category(cx: &mut RunContext<'_>, args: Args<'_>, at: usize) -> Result<Category, RunError> {
    match args.value(cx, at)? {
        Value::Nil => Ok(Category::Metric),
        Value::Str(name) => name
            .parse()
            .map_err(|error: kafkamq_point::UnknownCategory| args.error(at, error.to_string())),
        other => {
            let message = format!("a category is a str, not {}", other.type_name());
            Err(args.error(at, message))
        }
    }
}

/// The texts of a list literal of string literals, which may not be empty.
pub(super) fn text_list(expr: Option<&Expr>) -> Option<Vec<&str>> {
    let items = expr?.as_list()?;
    let texts: Option<Vec<_>> = items.iter().map(Expr::as_str).collect();
    texts.filter(|texts| !texts.is_empty())
}
