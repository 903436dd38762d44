//! `grok`: takes keys out of a text with a grok pattern.

use std::cell::RefCell;
use std::sync::Arc;

use super::{Effects, CallAst, CheckContext, CheckError, DefaultValue, Example, FunctionCategory, FunctionSpec, Param, prepare};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::meter::Spent;
use crate::grok::{Captured, Definition, Grok, Library, SharedLibrary};
use crate::regex::Captures;
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "grok",
    category: FunctionCategory::Pattern,
    summary: "Takes keys out of a text with a grok pattern",
    doc: "The pattern is a regular expression (RE2 dialect) in which `%{NAME}` stands for a named \
         pattern, `%{NAME:alias}` also captures it under the key `alias` (`-` and `.` become \
         `_`), and `%{NAME:alias:type}` gives the capture a type: `int`, `float`, `bool` or \
         `str`. Named groups `(?P<key>...)` capture as well.\n\n\
         The pattern is searched anywhere in the text; anchor it with `^` and `$`. On the first \
         match every capture is written to the point, in order of appearance, and the call yields \
         `true`. Without a match nothing is written and it yields `false`.\n\n\
         `add_pattern` defines further patterns.",
    params: &[
        Param::key("input", "The key that holds the text"),
        Param::literal("pattern", Types::STR, "The pattern"),
        Param::literal("trim_space", Types::BOOL, "Whether to strip white space from both ends of captures").or(DefaultValue::Bool(true)),
    ],
    named: true,
    returns: Types::BOOL,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "An access line",
            script: "grok(_, \"%{IP:client} %{WORD:method} %{NOTSPACE:url} %{INT:status:int} %{NUMBER:cost:float}\")",
            input: "10.0.0.7 GET /index 200 0.031",
            output: &[("client", "\"10.0.0.7\""), ("method", "\"GET\""), ("url", "\"/index\""), ("status", "200"), ("cost", "0.031")],
        },
        Example {
            title: "One pattern after the other",
            script: "if grok(_, \"^id=%{INT:id:int}$\") {\n  add_key(kind, \"id\")\n} elif grok(_, \"^name=%{GREEDYDATA:name}$\") {\n  add_key(kind, \"name\")\n}",
            input: "name=a b",
            output: &[("name", "\"a b\""), ("kind", "\"name\"")],
        },
    ],
    notes: &[
        "A capture that was not part of the match is written as empty text; with a type it is \
         left out.",
        "Of two captures of the same name the last one that was part of the match counts.",
        "`int` reads plain digits as decimal, also with leading zeros, and drops a fraction of \
         zeros; anything else is 0. Text that is not a float is 0.0.",
        "A match is cheapest when the pattern begins with `^` and uses `NOTSPACE` and `[^x]*` \
         rather than `DATA` and `IPORHOST`.",
    ],
    check: Some(check),
    call,
};

/// What one match wrote, kept between calls so that nothing is allocated anew.
#[derive(Default)]
struct Scratch {
    captures: Captures,
    text: String,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fn check(cx: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let own = |name: &str| cx.defined::<Definition>(name);
    let library = library(cx);
    let grok = Grok::compile(call.str(1).unwrap_or_default(), &library, own);
    prepare(grok.map_err(|error| call.error(1, error.to_string()))?)
}

/// The patterns every script of the engine sees.
pub(super) fn library(cx: &CheckContext<'_>) -> Arc<Library> {
    cx.engine()
        .service::<SharedLibrary>()
        .map_or_else(Library::built_in, |shared| Arc::clone(&shared.0))
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let grok: &Grok = args.prepared()?;
    let Some(key) = args.key(0) else {
        return Ok(Value::Bool(false));
    };
    let trim = args.constant(2).value().as_bool().unwrap_or(true);
    // The text is copied because the match is written to the point it comes from.
    let mut scratch = SCRATCH.take();
    scratch.text.clear();
    let known = match cx.read_text(key) {
        Some(text) => {
            scratch.text.push_str(&text);
            true
        }
        None => false,
    };
    let found = match known {
        true => search(cx, grok, trim, &mut scratch),
        false => Ok(false),
    };
    if scratch.text.capacity() <= MAX_KEPT {
        SCRATCH.set(scratch);
    }
    match found {
        Ok(found) => Ok(Value::Bool(found)),
        Err(spent) => Err(RunError::spent(spent, args.name_span())),
    }
}

/// Searches the text and writes what was found to the point.
fn search(cx: &mut RunContext<'_>, grok: &Grok, trim: bool, scratch: &mut Scratch) -> Result<bool, Spent> {
    let Scratch { captures, text } = scratch;
    if !grok.find(text, captures, cx.meter())? {
        return Ok(false);
    }
    grok.write(text, trim, captures, |key, value| {
        cx.set(key, match value {
            Captured::Str(text) => Value::str(text),
            Captured::Int(number) => Value::Int(number),
            Captured::Float(number) => Value::Float(number),
            Captured::Bool(truth) => Value::Bool(truth),
        });
    });
    Ok(true)
}

/// The largest text buffer that is kept, in bytes.
const MAX_KEPT: usize = 1 << 20;
