//! `replace`: replaces every match of a regular expression.

use std::sync::Arc;

use super::{Effects, CallAst, CheckContext, CheckError, Example, FunctionCategory, FunctionSpec, Param, prepare};
use crate::args::Args;
use crate::context::RunContext;
use crate::error::RunError;
use crate::regex::{Captures, Groups, Regex};
use crate::ir::Prepared;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "replace",
    category: FunctionCategory::Pattern,
    summary: "Replaces every match of a regular expression",
    doc: "In the replacement `$1` or `${1}` is a group by number, `$name` or `${name}` by name, \
         `$0` the whole match, `$$` a dollar sign. A name after a bare `$` is as long as letters, \
         digits and `_` go on: write `${1}x`, not `$1x`. Groups that do not exist or were not part \
         of the match are empty. The key holds text afterwards, also when nothing matched.",
    params: &[
        Param::key("key", "The key to work on"),
        Param::literal("regex", Types::STR, "The regular expression"),
        Param::literal("replace_str", Types::STR, "The replacement"),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "Mask a number",
            script: "replace(_, '''(\\d{3})\\d{4}(\\d{4})''', \"$1****$2\")",
            input: "tel 13812345678",
            output: &[("message", "\"tel 138****5678\"")],
        },
    ],
    notes: &[
        "An empty match directly behind another match does not count: `z*` replaced by `.` turns \
         `azzb` into `.a.b.`.",
    ],
    check: Some(check),
    call,
};

/// A replacement, taken apart.
struct Plan {
    regex: Arc<Regex>,
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    /// The first of these groups that took part.
    Groups(Vec<usize>),
}

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let regex = Regex::cached(call.str(1).unwrap_or_default(), Groups::All)
        .map_err(|error| call.error(1, format!("invalid regular expression: {error}")))?;
    let parts = parts(call.str(2).unwrap_or_default(), &regex);
    prepare(Plan { regex, parts })
}

fn parts(mut template: &str, regex: &Regex) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    while let Some((before, after)) = template.split_once('$') {
        text.push_str(before);
        if let Some(rest) = after.strip_prefix('$') {
            text.push('$');
            template = rest;
        } else if let Some((name, rest)) = reference(after) {
            parts.push(Part::Text(std::mem::take(&mut text)));
            parts.push(Part::Groups(groups(name, regex)));
            template = rest;
        } else {
            text.push('$');
            template = after;
        }
    }
    text.push_str(template);
    parts.push(Part::Text(text));
    parts
}

/// The name behind a `$`, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (inner, braces) = match text.strip_prefix('{') {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let end = inner.find(|c| !word(c)).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    if name.is_empty() {
        return None;
    }
    Some((name, if braces { rest.strip_prefix('}')? } else { rest }))
}

/// The groups a name means.
fn groups(name: &str, regex: &Regex) -> Vec<usize> {
    let plain = name.bytes().all(|byte| byte.is_ascii_digit());
    if plain && (name == "0" || !name.starts_with('0')) {
        return match name.parse() {
            Ok(0) => vec![0],
            Ok(written) => regex.number(written).into_iter().collect(),
            Err(_) => Vec::new(),
        };
    }
    let names = regex.names().enumerate();
    names
        .filter(|(_, known)| *known == Some(name))
        .filter_map(|(at, _)| regex.number(at + 1))
        .collect()
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let plan: &Plan = args.prepared()?;
    let Some(key) = args.key(0) else {
        return Ok(Value::Nil);
    };
    let room = cx.room().min(MAX_RESULT);
    let Some(text) = cx.read_text(key) else {
        return Ok(Value::Nil);
    };
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let mut captures = Captures::default();
    let meter = cx.meter();
    let searched = plan.regex.each_match(&text, &mut captures, meter, |captures| {
        let Some(found) = captures.get(0) else {
            return false;
        };
        out.push_str(text.get(done..found.start).unwrap_or_default());
        done = found.end;
        for part in &plan.parts {
            match part {
                Part::Text(part) => out.push_str(part),
                Part::Groups(groups) => {
                    let range = groups.iter().find_map(|&group| captures.get(group));
                    out.push_str(range.and_then(|range| text.get(range)).unwrap_or_default());
                }
            }
        }
        out.len() <= room
    });
    meter.note(out.len());
    searched.map_err(|spent| RunError::spent(spent, args.name_span()))?;
    if out.len() > MAX_RESULT {
        return Err(args.error(2, "the result is larger than 64 MiB"));
    }
    if out.len() > room {
        return Err(RunError::over_budget(args.name_span(), "memory"));
    }
    out.push_str(text.get(done..).unwrap_or_default());
    drop(text);
    cx.set_key(key, Value::from(out));
    Ok(Value::Nil)
}

/// The longest result, in bytes.
const MAX_RESULT: usize = 64 << 20;
