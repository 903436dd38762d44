//! `create_point`: makes a further point.

use kafkamq_point::{Category, Entry, Point, Rules, Text};

use super::{Effects, CallAst, CheckContext, CheckError, DefaultValue, Example, FunctionCategory, FunctionSpec, Param, prepare};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::state::Created;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "create_point",
    category: FunctionCategory::Point,
    summary: "Makes a further point, emitted in addition to the input",
    doc: "The point is built by the rules of its category, so a metric loses string fields. Tags keep \
          only `str` values, fields only numbers, bools and `str`; a key in both is a tag. A `time` \
          field becomes the point's time.\n\nWith `after_use` the named script then runs on the new \
          point, with variables of its own; `drop()` there drops the new point, a run error there \
          is also an error of the caller.",
    params: &[
        Param::value("name", Types::ANY, "The measurement"),
        Param::value("tags", Types::ANY, "The tags"),
        Param::value("fields", Types::ANY, "The fields"),
        Param::value("ts", Types::ANY, "The time in ns; the input point's time unless above 0")
            .or(DefaultValue::Int(0)),
        Param::value("category", Types::ANY, "The category, such as `logging` or `L`")
            .or(DefaultValue::Str("M")),
        Param::literal("after_use", Types::STR, "A script to run on the new point").or(DefaultValue::Str("")),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "A metric out of a log line",
        script: "create_point(\"requests\", {\"host\": \"a\"}, {\"count\": 1}, category=\"M\")",
        input: "GET /",
        output: &[],
    }],
    notes: &["The new point is emitted even when the input point is dropped.", "A point is not made for an unknown category, nor for `keyevent`, `profiling` or `object_change`."],
    check: Some(check),
    call,
};

/// The number of the script to run on the new point.
struct AfterUse(Option<usize>);

fn check(cx: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let unit = match call.str(5) {
        None | Some("") => None,
        Some(name) => Some(cx.use_script(name, call.span(5)).unwrap_or(usize::MAX)),
    };
    prepare(AfterUse(unit))
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let AfterUse(after) = args.prepared()?;
    let name = args.str(cx, 0)?;
    let tags = args.typed(cx, 1, Types::MAP.or(Types::NIL))?;
    let fields = args.typed(cx, 2, Types::MAP.or(Types::NIL))?;
    let ts = args.typed(cx, 3, Types::INT.or(Types::NIL))?.as_int().unwrap_or(0);
    let category = match args.typed(cx, 4, Types::STR.or(Types::NIL))? {
        Value::Str(name) => category(&name),
        _ => Some(Category::Metric),
    };
    let Some(category) = category else {
        return Ok(Value::Nil);
    };
    let time_ns = if ts > 0 { ts } else { cx.point().time_ns() };
    // Paid for before anything is copied.
    cx.charge(size_of::<Point>() + map_bytes(&tags) + map_bytes(&fields), args.name_span())?;
    let mut point = Point::from_entries(name, category, time_ns, entries(&tags, &fields));
    Rules::of(category).apply(&mut point);
    let dropped = match after {
        Some(unit) => cx.run_on(*unit, args.name_span(), &mut point)?,
        None => false,
    };
    cx.emit(Created { point, dropped }, args.name_span())?;
    Ok(Value::Nil)
}

/// The keys of the point, none twice: tags with text, and fields that no tag hides.
fn entries(tags: &Value, fields: &Value) -> Vec<Entry> {
    let mut entries = Vec::new();
    if let Value::Map(tags) = tags {
        tags.with(|tags| {
            entries.extend(tags.iter().filter_map(|(key, value)| match value {
                Value::Str(text) => Some(Entry {
                    key: key.clone(),
                    value: text.clone().into(),
                    tag: true,
                }),
                _ => None,
            }));
        });
    }
    let is_tag = |key: &str| match tags {
        Value::Map(tags) => tags.with(|tags| matches!(tags.get(key), Some(Value::Str(_)))),
        _ => false,
    };
    if let Value::Map(fields) = fields {
        fields.with(|fields| {
            let kept = fields.iter().filter(|(key, value)| {
                !value.is_nil() && !value.is_container() && !is_tag(key)
            });
            entries.extend(kept.map(|(key, value)| Entry {
                key: key.clone(),
                value: value.clone().into_field(),
                tag: false,
            }));
        });
    }
    entries
}

/// The bytes the entries of a map take as keys of a point.
fn map_bytes(map: &Value) -> usize {
    let Value::Map(map) = map else { return 0 };
    map.with(|entries| {
        let each = |(key, value): &(Text, Value)| 64 + key.len() + value.heap();
        entries.iter().map(each).sum()
    })
}

/// The category of a name or an alias; only exact spellings of these categories count.
fn category(name: &str) -> Option<Category> {
    name.parse().ok().filter(|category| {
        name != "metrics"
            && !matches!(
                category,
                Category::KeyEvent | Category::Profiling | Category::ObjectChange
            )
    })
}
