//! `rename`: renames a key.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "rename",
    category: FunctionCategory::Point,
    summary: "Renames a key of the point",
    doc: "The value and its kind, tag or field, stay; an existing target is replaced. When the old \
          key does not exist nothing happens. Variables are not looked at.",
    params: &[
        Param::key("new", "The key afterwards"),
        Param::of("old", ParamKind::Name, "The key before"),
    ],
    named: false,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "A clearer name",
        script: "add_key(lvl, \"warn\")\nrename(level, lvl)",
        input: "",
        output: &[("level", "\"warn\"")],
    }],
    notes: &["The new name comes first."],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let (Some(new), Some(old)) = (args.key(0), args.key(1)) else {
        return Ok(Value::Nil);
    };
    cx.note_look(0);
    cx.point_mut().rename(old.name(), new.name().into());
    Ok(Value::Nil)
}
