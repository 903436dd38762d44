//! `agg_metric`: puts a value into an aggregation bucket.

use kafkamq_point::{Text, Value as Field};
use smallvec::SmallVec;

use super::agg_create::{category, text_list};
use super::{Effects, 
    CallAst, CheckContext, CheckError, DefaultValue, Example, FunctionCategory, FunctionSpec, Param,
    ParamKind, prepare,
};
use crate::aggregate::{Buckets, Function};
use crate::args::Args;
use crate::context::RunContext;
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
          `agg_fn` is `sum`, `avg`, `min`, `max` or `set`, the last value. The function of a field \
          is the one of its first value.\n\n\
          Nothing happens without the bucket, without the field, or when one of the keys is \
          missing or not text.",
    params: &[
        Param::literal("bucket", Types::STR, "The bucket, made by `agg_create`"),
        Param::literal("new_field", Types::STR, "The field of the aggregated point"),
        Param::literal("agg_fn", Types::STR, "`sum`, `avg`, `min`, `max` or `set`"),
        Param::of("agg_by", ParamKind::Expr, "The keys whose values make a group, a list of string literals"),
        Param::literal("agg_field", Types::STR, "The key whose value is added"),
        Param::of("category", ParamKind::Expr, "The category of the bucket").or(DefaultValue::Str("M")),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::STATE.and(Effects::CLOCK),
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

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
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

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kafkamq_point::{Category, Point};
    use parking_lot::Mutex;

    use crate::aggregate::{AggregateSink, Aggregator};
    use crate::{Engine, RunState, Script};

    #[derive(Default)]
    struct Sink(Mutex<Vec<Point>>);

    impl AggregateSink for Sink {
        fn accept(
            &self,
            source: &str,
            category: Category,
            points: Vec<Point>,
            _: kafkamq_memory::Charge,
        ) {
            assert_eq!((source, category), ("pl_agg/requests", Category::Logging));
            self.0.lock().extend(points);
        }
    }

    #[test]
    fn many_points_become_few() {
        let sink = Arc::new(Sink::default());
        let global = vec![("host".into(), "h".into()), ("env".into(), "none".into())];
        let aggregator = Aggregator::new(Arc::clone(&sink) as _, global);
        let engine = Engine::new().with_service(Arc::new(aggregator));
        let text = r#"
            agg_create("requests", "1h", const_tags={"env": "prod", "n": 1}, category="L")
            agg_metric("requests", "total", "sum", ["service"], "cost", "L")
            agg_metric("requests", "longest", "max", ["service"], "cost", "L")
            agg_metric("requests", "other bucket", "max", ["service"], "cost", "M")
            agg_metric("requests", "no field", "max", ["service"], "missing", "L")
            agg_metric("requests", "no text", "max", ["size"], "cost", "L")"#;
        let script = Script::compile(&engine, "t.p", text).unwrap();
        for (service, cost) in [("a", "5"), ("b", "-4"), ("a", "2.5"), ("b", "-2")] {
            let mut point = Point::new("p", Category::Logging, 1);
            point.set_tag("service", service);
            point.set_field("size", 3i64);
            // Text counts as its number.
            match cost {
                "5" => point.set_field("cost", 5i64),
                cost => point.set_field("cost", cost),
            }
            let before = point.clone();
            let outcome = script.run(&mut point, &mut RunState::new());
            assert!(outcome.error.is_none(), "{:?}", outcome.error);
            point.remove("status");
            assert_eq!(point, before);
        }
        drop(script);
        let mut seen: Vec<_> = sink.0.lock().iter().map(show).collect();
        seen.sort();
        assert_eq!(
            seen,
            [
                "requests env=prod host=h service=a longest=Float(5.0) total=Float(7.5)",
                "requests env=prod host=h service=b longest=Float(-2.0) total=Float(-6.0)",
            ]
        );
    }

    fn show(point: &Point) -> String {
        let mut tags: Vec<_> = point.tags().map(|(k, v)| format!("{k}={v}")).collect();
        let mut fields: Vec<_> = point
            .fields()
            .map(|(k, v)| format!("{k}={v:?}"))
            .collect();
        tags.sort();
        fields.sort();
        format!("{} {} {}", point.name(), tags.join(" "), fields.join(" "))
    }
}
