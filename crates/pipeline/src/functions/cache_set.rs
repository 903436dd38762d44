//! `cache_set`: writes the script's cache.

use super::{Effects, DefaultValue, Example, FunctionCategory, FunctionSpec, Param, ParamKind};
use crate::args::Args;
use crate::cache::{KeptMemory, ScriptCache};
use crate::context::RunContext;
use crate::error::RunError;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "cache_set",
    category: FunctionCategory::State,
    summary: "Keeps a value for later runs of the script",
    doc: "Stores a copy of the value under a name for `exp` seconds, visible to all runs at once. \
          Storing under the same name again replaces the value and starts its time again. With `exp` \
          of 0 or less nothing is stored.",
    params: &[
        Param::of("key", ParamKind::Expr, "The name, a str"),
        Param::of("value", ParamKind::Expr, "The value, of any type"),
        Param::of("exp", ParamKind::Expr, "Seconds to live, an int").or(DefaultValue::Int(100)),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::STATE.and(Effects::CLOCK),
    examples: &[Example {
        title: "Remember a session's user",
        script: "cache_set(\"s1\", \"alice\", 600)\nadd_key(user, cache_get(\"s1\"))",
        input: "",
        output: &[("user", "\"alice\"")],
    }],
    notes: &["A cache holds about 64 MiB, and all caches share the memory for them; when it is full, the values used least recently are removed."],
    check: None,
    call,
};

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let name = args.str(cx, 0)?;
    let value = args.value(cx, 1)?;
    let seconds = args.int(cx, 2)?;
    let now = cx.engine().now_ns();
    let value = cx.copy_out(&value, args.name_span())?;
    let made = || match cx.engine().service::<KeptMemory>() {
        Some(KeptMemory(account)) => ScriptCache::within(account),
        None => ScriptCache::default(),
    };
    cx.instance()
        .get_or_init(made)
        .set(name, value, seconds, now);
    Ok(Value::Nil)
}
