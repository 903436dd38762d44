//! `json`: picks a member out of JSON text.

use kafkamq_point::Text;

use super::{Effects, 
    CallAst, CheckContext, CheckError, DefaultValue, Example, FunctionCategory, FunctionSpec, Param,
    ParamKind, prepare,
};
use crate::args::Args;
use crate::ast::{Expr, ExprKind, Index};
use crate::context::RunContext;
use crate::error::RunError;
use crate::ir::Prepared;
use crate::json::Element;
use crate::keys::{key_name, path_text};
use crate::state::key_text;
use crate::value::{Types, Value};

pub(crate) const SPEC: FunctionSpec = FunctionSpec {
    name: "json",
    category: FunctionCategory::Document,
    summary: "Reads a member of JSON text and sets a key to it",
    doc: "The path is written as a name, not as a string: `a`, `a.b`, `a[0].b`, `a.b[-1]`, `.[0].b` \
          for an array at the top, backquotes for names with other characters. Negative indexes count from the end. \
          Nothing happens when the text is not JSON, or the path leads nowhere or to `null`.\n\nNumbers \
          become floats (whole ones beyond 2^53 ints), lists and maps JSON text, strings are trimmed of surrounding white space \
          unless `trim_space=false`.\n\nWith `delete_after_extract=true` the member is removed from the \
          text, and the key `input` of the point is set to the rest with sorted keys.",
    params: &[
        Param::key("input", "The text; a variable of that name comes first"),
        Param::of("json_path", ParamKind::Path, "The path to the member"),
        Param::key("newkey", "The key to set; the path's text if left out").optional(),
        Param::literal("trim_space", Types::BOOL, "Whether to trim strings").or(DefaultValue::Bool(true)),
        Param::literal("delete_after_extract", Types::BOOL, "Whether to remove the member from the text")
            .or(DefaultValue::Bool(false)),
    ],
    named: true,
    returns: Types::NONE,
    effects: Effects::PURE,
    examples: &[
        Example {
            title: "Two members",
            script: "json(_, user.name, name)\njson(_, codes[-1], last)",
            input: "{\"user\": {\"name\": \" ann \"}, \"codes\": [1, 2]}",
            output: &[("name", "\"ann\""), ("last", "2.0")],
        },
        Example {
            title: "Taking a member out",
            script: "json(_, password, delete_after_extract=true)\ndrop_key(password)",
            input: "{\"user\": \"ann\", \"password\": \"x\"}",
            output: &[("message", "\"{\\\"user\\\":\\\"ann\\\"}\"")],
        },
    ],
    notes: &[
        "The text is parsed once for any number of calls in a row that read the same text.",
        "If a variable has the name `newkey`, it is not changed, and reading the name still gives the variable.",
    ],
    check: Some(check),
    call,
};

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Member(Text),
    Element(i64),
    /// A step that can never lead anywhere, such as a variable in brackets.
    Nowhere,
}

#[derive(Debug)]
struct Plan {
    steps: Vec<Step>,
    /// The key to set when none was given.
    default_key: Text,
}

fn check(_: &mut CheckContext<'_>, call: &CallAst<'_>) -> Result<Option<Prepared>, CheckError> {
    let Some(path) = call.arg(1) else {
        return Ok(None);
    };
    let Some(plan) = plan(path) else {
        return Err(call
            .error(1, format!("a path is written as a name, not as {}", path.describe()))
            .with_help("write `json(_, a.b[0])`"));
    };
    let deletes = call.bool(4) == Some(true);
    if deletes && !matches!(plan.steps.last(), Some(Step::Member(_))) {
        return Err(call.error(1, "an element of a list cannot be deleted"));
    }
    prepare(plan)
}

fn plan(path: &Expr) -> Option<Plan> {
    let mut steps = Vec::new();
    let default_key = match &path.kind {
        ExprKind::Name(name) => {
            steps.push(Step::Member(name.clone()));
            key_name(path)?
        }
        ExprKind::Index { base, indexes } => {
            steps.push(Step::Member(base.text.clone()));
            push_indexes(&mut steps, indexes);
            path_text(&[crate::ast::PathPart {
                name: Some(base.clone()),
                indexes: indexes.clone(),
            }])
        }
        ExprKind::Path(parts) => {
            for part in parts {
                if let Some(name) = &part.name {
                    steps.push(Step::Member(name.text.clone()));
                }
                push_indexes(&mut steps, &part.indexes);
            }
            path_text(parts)
        }
        _ => return None,
    };
    Some(Plan { steps, default_key })
}

fn push_indexes(steps: &mut Vec<Step>, indexes: &[Index]) {
    steps.extend(indexes.iter().map(|index| match index.expr.kind {
        ExprKind::Int(at) => Step::Element(at),
        ExprKind::Float(at) if at.is_finite() => Step::Element(at as i64),
        _ => Step::Nowhere,
    }));
}

fn follow<'d>(root: Element<'d>, steps: &[Step]) -> Option<Element<'d>> {
    let mut at = root;
    for step in steps {
        at = match step {
            Step::Member(name) => at.member(name)?,
            Step::Element(position) => at.element(*position)?,
            Step::Nowhere => return None,
        };
    }
    Some(at).filter(|found| !found.is_null())
}

/// Removes the member the steps lead to from a value that was built for this.
fn remove(root: &Value, steps: &[Step]) {
    let Some((Step::Member(last), path)) = steps.split_last() else {
        return;
    };
    let mut at = root.clone();
    for step in path {
        let next = match (&at, step) {
            (Value::Map(map), Step::Member(name)) => map.get(name),
            (Value::List(list), Step::Element(position)) => {
                let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
                let position = if *position < 0 { position + length } else { *position };
                usize::try_from(position).ok().and_then(|position| list.get(position))
            }
            _ => None,
        };
        match next {
            Some(value) => at = value,
            None => return,
        }
    }
    if let Value::Map(map) = at {
        map.remove(last);
    }
}

fn call(cx: &mut RunContext<'_>, args: Args<'_>) -> Result<Value, RunError> {
    let plan: &Plan = args.prepared()?;
    let Some(input) = args.key(0) else {
        return Ok(Value::Nil);
    };
    let trim = args.constant(3).as_bool() != Some(false);
    let delete = args.constant(4).as_bool() == Some(true);
    let found = cx.with_json(input, |root| {
        let root = root?;
        let value = match follow(root, &plan.steps)?.value() {
            Value::Str(text) if trim && text.trim().len() != text.len() => Value::str(text.trim()),
            container @ (Value::List(_) | Value::Map(_)) => Value::from(container.json_text()),
            scalar => scalar,
        };
        let rest = delete.then(|| {
            let whole = root.value();
            remove(&whole, &plan.steps);
            whole.json_text()
        });
        Some((value, rest))
    });
    let Some(Some((value, rest))) = found else {
        return Ok(Value::Nil);
    };
    let texts = value.heap() + rest.as_ref().map_or(0, String::len);
    cx.charge(texts, args.name_span())?;
    match args.key(2) {
        Some(key) => cx.set_key(key, value),
        None => cx.set(&key_text(&plan.default_key), value),
    }
    if let Some(rest) = rest {
        cx.set_key(input, Value::from(rest));
    }
    Ok(Value::Nil)
}
