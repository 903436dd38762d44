//! `cache_get`: reads the script's cache.

use super::{Effects, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::cache::ScriptCache;
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "cache_get",
    category: FunctionCategory::State,
    summary: "Gives what `cache_set` stored",
    doc: "The value stored under this name, also by an earlier run on another record; `nil` if \
          there is none or it has expired. A list or map is a copy.",
    params: &[Param::of("key", ParamKind::Expr, "The name, a str")],
    named: true,
    returns: Types::ANY,
    effects: Effects::STATE.and(Effects::CLOCK),
    examples: &[Example {
        title: "A miss",
        script: "add_key(hit, cache_get(\"nothing\") != nil)",
        input: "",
        output: &[("hit", "false")],
    }],
    notes: &["Every loaded script has a cache of its own, which the scripts it calls share."],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let name = args.str(cx, 0)?;
    let now = cx.engine().now_ns();
    let found = cx.instance().get::<ScriptCache>();
    let Some(kept) = found.and_then(|cache| cache.get(&name, now)) else {
        return Ok(Value::Nil);
    };
    cx.charge(kept.bytes(), args.name_span())?;
    Ok(kept.value())
}
