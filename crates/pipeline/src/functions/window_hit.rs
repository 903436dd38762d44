//! `window_hit`: marks an event.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::point_window::Registration;
use super::{Effects, Example, FunctionCategory, FunctionSpec};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "window_hit",
    category: FunctionCategory::State,
    summary: "Marks the point as an event that brings back the dropped points around it",
    doc: "Works only after `point_window` has registered the point's stream in the same run, and does \
          nothing otherwise. A further event while points are still emitted for the last one starts the count again.",
    params: &[],
    named: false,
    returns: Types::NONE,
    effects: Effects::STATE,
    examples: &[Example {
        title: "An event",
        script: "point_window(2, 2, [\"host\"])\nif \"ERROR\" in _ {\n  window_hit()\n}",
        input: "ERROR disk full",
        output: &[],
    }],
    notes: &[],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, _: Args<'_>) -> Result<Value, RunError> {
    if let Some(registration) = cx.local::<Arc<Registration>>() {
        registration.hit.store(true, Ordering::Relaxed);
    }
    Ok(Value::Nil)
}
