//! `gjson`: picks a piece out of JSON text by a GJSON path.

use super::{Effects, 
    CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, ParamKind,
};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::json::Reader;
use crate::state::key_text;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "gjson",
    category: FunctionCategory::Document,
    summary: "Reads a part of JSON text by a GJSON path and sets a key to it",
    doc: "Paths are strings: `a.b`, `list.0`, `list.#` (count), `list.#.name` (of each), \
          `list.#(age>40).name` (first match), `list.#(age>40)#.name` (all), `*` and `?` in names, \
          `\\\\.` for a dot in a name, modifiers such as `|@reverse` and `|@keys`, `{a,b}` and `[a,b]` for \
          several at once, `!\"x\"` for a literal value, `..` in front for a text of JSON \
          lines (`..#`, `..0.name`, `..#(n>4)`).\n\n\
          Modifiers: `@this @valid @keys @values @reverse @flatten @join @ugly @pretty @tostr @fromstr @group`, and \
          `@dig:name` for all members with that name at any depth; \
          `@pretty:{\"indent\":\" \",\"prefix\":\"\",\"width\":80,\"sortKeys\":true}` chooses the form.\n\n\
          Text before the first bracket is ignored. Numbers become floats (whole ones beyond 2^53 \
          ints, which keep their digits), strings are decoded, objects and arrays keep their text \
          from the source. When the path leads nowhere or to `null` nothing happens. The \
          text need not be valid JSON as a whole.",
    params: &[
        Param::key("input", "The text; a variable of that name comes first"),
        Param::of("json_path", ParamKind::Expr, "The path, a string or the name of a variable that holds it"),
        Param::of("key_name", ParamKind::Expr, "The key to set; the path if left out").optional(),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[Example {
        title: "First match and all of them",
        script: "gjson(_, \"users.#(age>40).name\", \"older\")\ngjson(_, \"users.#.name\", \"names\")",
        input: "{\"users\": [{\"name\": \"ann\", \"age\": 30}, {\"name\": \"bob\", \"age\": 50}]}",
        output: &[("older", "\"bob\""), ("names", "\"[\\\"ann\\\",\\\"bob\\\"]\"")],
    }],
    notes: &["A path or key name that is not a `str` at run time is a run error."],
    check: Some(check),
    call,
};

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    for at in 1..3 {
        if let Some(expr) = call.arg(at)
            && expr.as_str().is_none()
            && expr.as_name().is_none()
        {
            let what = if at == 1 { "json_path" } else { "key_name" };
            return Err(call.error(
                at,
                format!("`{what}` is a string or a name, not {}", expr.describe()),
            ));
        }
    }
    Ok(None)
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let path = args.str(cx, 1)?;
    let target = if args.given(2) { args.str(cx, 2)? } else { path.clone() };
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    let room = cx.room();
    let value = cx.read_text(key).and_then(|text| {
        let found = crate::gjson::get(&text, &path, cx.meter(), room)?;
        Some(match found.bytes().next()? {
            b'{' | b'[' => Value::str(&found),
            _ => Reader::default().parse(&found)?.value(),
        })
    });
    match value {
        None | Some(Value::Nil) => {}
        Some(value) => {
            cx.charge(value.as_str().map_or(0, str::len), args.name_span())?;
            cx.set(&key_text(&target), value);
        }
    }
    Ok(Value::Nil)
}
