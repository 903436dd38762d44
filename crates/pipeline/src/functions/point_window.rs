//! `point_window`: keeps what happens before an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kafkamq_point::{Text, Value as Field};

use super::{Effects, DefaultValue, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::cache::KeptMemory;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};
use crate::window::{Stream, Windows};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "point_window",
    category: FunctionCategory::State,
    summary: "Keeps dropped points so that an event can bring them back",
    doc: "Points that the script drops are kept for a while. When `window_hit` marks an event, the \
          dropped ones among the last `before` points are emitted after all, and so are dropped \
          ones among the next `after`, the event included. They go to the output as the script \
          left them.\n\n\
          Each stream of points has its own window; a stream is identified by the values of the \
          keys `stream_tags`, which all have to exist and be text. The first call for a stream decides its sizes, and the \
          first call of a run its stream.",
    params: &[
        Param::of("before", ParamKind::Expr, "How many points before an event to keep, an int"),
        Param::of("after", ParamKind::Expr, "How many points from an event on to keep, an int"),
        Param::of("stream_tags", ParamKind::Expr, "The keys that make a stream, a list; `[\"filepath\", \"host\"]` if left out or empty")
            .or(DefaultValue::List),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::STATE.and(Effects::CLOCK),
    examples: &[Example {
        title: "Drop everything but errors and what is around them",
        script: "point_window(5, 5, [\"host\"])\nif \"ERROR\" in _ {\n  window_hit()\n} else {\n  add_key(quiet, true)\n}",
        input: "INFO started",
        output: &[("quiet", "true")],
    }],
    notes: &[
        "A window holds 10000 points at most, and a script follows 16384 streams; beyond that, the least recently used are removed.",
        "Points that are not dropped also count in the window.",
    ],
    check: None,
    call,
};

/// What the first call of a run registered.
pub(super) struct Registration {
    stream: Stream,
    sizes: (usize, usize),
    pub(super) hit: AtomicBool,
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let sizes = (args.int(cx, 0)?, args.int(cx, 1)?);
    let tags = match args.value(cx, 2)? {
        Value::List(tags) => tags,
        other => {
            let message = format!("`stream_tags` is a list, not {}", other.type_name());
            return Err(args.error(2, message));
        }
    };
    if cx.local::<Arc<Registration>>().is_some() {
        return Ok(Value::Nil);
    }
    let stream = if tags.is_empty() {
        stream(cx, ["filepath", "host"].into_iter().map(Some))
    } else {
        tags.with(|tags| stream(cx, tags.iter().map(Value::as_str)))
    };
    let Some(stream) = stream else {
        return Ok(Value::Nil);
    };
    let size = |size: i64| usize::try_from(size).unwrap_or(0);
    let registration = Arc::new(Registration {
        stream,
        sizes: (size(sizes.0), size(sizes.1)),
        hit: AtomicBool::new(false),
    });
    cx.set_local(Arc::clone(&registration));
    let made = || match cx.engine().service::<KeptMemory>() {
        Some(KeptMemory(account)) => Windows::within(account),
        None => Windows::default(),
    };
    let windows = cx.instance().get_or_init(made);
    let now = cx.engine().now_ns();
    cx.after_run(Box::new(move |finish| {
        let recovered = windows.finish(
            registration.stream.clone(),
            registration.sizes,
            registration.hit.load(Ordering::Relaxed),
            finish.point,
            finish.dropped,
            now,
        );
        finish.recovered.extend(recovered);
    }));
    Ok(Value::Nil)
}

/// The names and values of the stream's keys, if all exist and hold text.
fn stream<'t>(cx: &RunContext<'_>, names: impl Iterator<Item = Option<&'t str>>) -> Option<Stream> {
    names
        .map(|name| {
            let name = name?;
            match &cx.point().get(name)?.value {
                Field::Str(value) => Some((Text::from(name), value.clone())),
                _ => None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use kafkamq_point::{Category, Point};

    use crate::{Engine, RunState, Script};

    #[test]
    fn an_event_brings_back_what_was_dropped_around_it() {
        let text = r#"
            point_window(2, 2, ["host"])
            point_window(9, 9, ["other"])
            if kind == "event" {
              window_hit()
            }
            add_key(seen, true)
            drop()"#;
        let script = Script::compile(&Engine::new(), "t.p", text).unwrap();
        let mut state = RunState::new();
        let mut run = |name: &str, host: Option<&str>| {
            let mut point = Point::new(name, Category::Logging, 1);
            point.set_field("kind", if name == "H" { "event" } else { "quiet" });
            if let Some(host) = host {
                point.set_tag("host", host);
            }
            let outcome = script.run(&mut point, &mut state);
            assert!(outcome.error.is_none() && outcome.dropped);
            assert!(outcome.recovered.iter().all(|point| point.get("seen").is_some()));
            let names: Vec<_> = outcome.recovered.iter().map(Point::name).collect();
            names.join(" ")
        };
        let names = ["1", "2", "3", "4", "H", "5", "6", "7"];
        let mut recovered = Vec::new();
        for name in names {
            // Another host and a point without one are other streams, or none.
            run("x", Some("b"));
            run("y", None);
            recovered.push(run(name, Some("a")));
        }
        assert_eq!(recovered, ["", "", "", "", "3 4 H", "5", "", ""]);
    }

    #[test]
    fn a_hit_without_a_window_and_a_failed_run_do_nothing() {
        let text = "if last {\n  point_window(1, 1, [\"host\"])\n}\nwindow_hit()\ndrop()\nif !last {\n  point_window(1, 1, [\"host\"])\n  x = 1 + nil\n}";
        let script = Script::compile(&Engine::new(), "t.p", text).unwrap();
        let mut state = RunState::new();
        let mut run = |last: bool| {
            let mut point = Point::new("p", Category::Logging, 1);
            point.set_tag("host", "a");
            point.set_field("last", last);
            script.run(&mut point, &mut state).recovered.len()
        };
        assert_eq!((run(false), run(true)), (0, 1));
    }
}
