//! The modifiers `@reverse`, `@keys`, ...

use std::borrow::Cow;

use super::Found;
use super::text::{children, key_text, trimmed, value_end};

/// Splits `@name:argument.rest`.
pub(super) fn split(path: &str) -> Option<(&str, &str, &str)> {
    let body = path.get(1..)?;
    let end = body.find(['.', '|', ':']).unwrap_or(body.len());
    let name = body.get(..end)?;
    let after = body.get(end..)?;
    let Some(argument) = after.strip_prefix(':') else {
        return Some((name, "", after.get(1..).unwrap_or("")));
    };
    let end = if argument.starts_with(['{', '[', '"', '(']) {
        value_end(argument, 0)
    } else {
        argument.find(['.', '|']).unwrap_or(argument.len())
    };
    Some((
        name,
        argument.get(..end)?,
        argument.get(end + 1..).unwrap_or(""),
    ))
}

/// Applies a modifier; `None` for an unknown one.
pub(super) fn apply<'j>(name: &str, argument: &str, json: &'j str) -> Found<'j> {
    let pieces = || children(json);
    Some(match name {
        "this" => Cow::Borrowed(json),
        "valid" => return crate::json::is_valid(json).then_some(Cow::Borrowed(json)),
        "reverse" if json.starts_with('[') => {
            let mut items: Vec<&str> = pieces().map(|(_, value)| value).collect();
            items.reverse();
            list(&items)
        }
        "reverse" if json.starts_with('{') => {
            let mut members: Vec<String> = pieces().map(member).collect();
            members.reverse();
            Cow::Owned(format!("{{{}}}", members.join(",")))
        }
        "reverse" => Cow::Borrowed(json),
        "keys" if json.starts_with('{') => {
            let keys: Vec<String> = pieces().map(|(key, _)| format!("\"{key}\"")).collect();
            Cow::Owned(format!("[{}]", keys.join(",")))
        }
        "keys" | "values" if !json.starts_with(['{', '[']) => Cow::Borrowed("[]"),
        "keys" => {
            let count = pieces().count();
            Cow::Owned(format!("[{}]", vec!["null"; count].join(",")))
        }
        "values" if json.starts_with('{') => {
            let values: Vec<&str> = pieces().map(|(_, value)| value).collect();
            list(&values)
        }
        "values" => Cow::Borrowed(json),
        "flatten" if json.starts_with('[') => flatten(json, option(argument, "deep")),
        "flatten" => Cow::Borrowed(json),
        "join" if json.starts_with('[') => join(json, option(argument, "preserve")),
        "join" => Cow::Borrowed(json),
        "ugly" => Cow::Owned(ugly(json)),
        "pretty" => Cow::Owned(pretty(json)),
        _ => return None,
    })
}

fn option(argument: &str, name: &str) -> bool {
    super::get(argument, name).as_deref() == Some("true")
}

fn list<'j>(items: &[&str]) -> Cow<'j, str> {
    Cow::Owned(format!("[{}]", items.join(",")))
}

fn member((key, value): (&str, &str)) -> String {
    format!("\"{key}\":{value}")
}

fn flatten<'j>(json: &str, deep: bool) -> Cow<'j, str> {
    let mut flat: Vec<&str> = Vec::new();
    // Pieces still to look at, the next one last, with how many levels may be opened.
    let mut open: Vec<(&str, u32)> = children(json)
        .map(|(_, value)| (value, if deep { u32::MAX } else { 1 }))
        .collect();
    open.reverse();
    while let Some((piece, levels)) = open.pop() {
        if levels > 0 && piece.starts_with('[') {
            let at = open.len();
            open.extend(children(piece).map(|(_, value)| (value, levels - 1)));
            if let Some(added) = open.get_mut(at..) {
                added.reverse();
            }
        } else {
            flat.push(piece);
        }
    }
    list(&flat)
}

/// Joins the objects of an array into one; the last of equal keys wins unless all are kept.
fn join<'j>(json: &str, preserve: bool) -> Cow<'j, str> {
    let mut members: Vec<(String, &str)> = Vec::new();
    for (_, object) in children(json).filter(|(_, value)| value.starts_with('{')) {
        for (key, value) in children(object) {
            let name: String = key_text(key).into();
            match members
                .iter_mut()
                .find(|(known, _)| !preserve && *known == name)
            {
                Some(place) => place.1 = value,
                None => members.push((name, value)),
            }
        }
    }
    let members: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("{}:{value}", serde_json::to_string(key).unwrap_or_default()))
        .collect();
    Cow::Owned(format!("{{{}}}", members.join(",")))
}

/// Without blanks between tokens.
fn ugly(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut at = 0;
    while let Some(&byte) = json.as_bytes().get(at) {
        let end = match byte {
            b'"' => value_end(json, at),
            _ => at + 1,
        };
        if !byte.is_ascii_whitespace() {
            out.push_str(json.get(at..end).unwrap_or(""));
            // Multi-byte characters outside strings are no JSON; skip them whole.
            at = end;
            while !json.is_char_boundary(at) {
                at += 1;
            }
        } else {
            at = end;
        }
    }
    out
}

/// Indented by two blanks, with a line end at the end; arrays of scalars that fit stay on a line.
fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    push_pretty(&mut out, trimmed(json), 0);
    out.push('\n');
    out
}

fn push_pretty(out: &mut String, json: &str, level: usize) {
    let object = json.starts_with('{');
    if (!object && !json.starts_with('[')) || level > super::MAX_DEPTH {
        out.push_str(json);
        return;
    }
    let pieces: Vec<(&str, &str)> = children(json).collect();
    let flat = !object
        && pieces
            .iter()
            .all(|(_, value)| !value.starts_with(['{', '[']));
    if pieces.is_empty() || (flat && json.len() + 2 * level <= 80) {
        let values: Vec<&str> = pieces.iter().map(|(_, value)| *value).collect();
        out.push(if object { '{' } else { '[' });
        out.push_str(&values.join(", "));
        out.push(if object { '}' } else { ']' });
        return;
    }
    let indent = |out: &mut String, level: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", level));
    };
    out.push(if object { '{' } else { '[' });
    for (at, (key, value)) in pieces.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        indent(out, level + 1);
        if object {
            out.push('"');
            out.push_str(key);
            out.push_str("\": ");
        }
        push_pretty(out, value, level + 1);
    }
    indent(out, level);
    out.push(if object { '}' } else { ']' });
}
