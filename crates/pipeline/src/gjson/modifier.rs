//! The modifiers `@reverse`, `@keys`, ...

use std::borrow::Cow;

use hashbrown::HashMap;

use super::text::{children, key_text, text, value_end};
use super::{Found, Walk};

/// The modifiers there are.
const NAMES: [&str; 13] = [
    "dig", "flatten", "fromstr", "group", "join", "keys", "pretty", "reverse", "this", "tostr",
    "ugly", "valid", "values",
];

/// Splits `@name:argument.rest`; `None` unless there is such a modifier. An argument that is not JSON
/// reaches to the next pipe.
pub(super) fn split(path: &str) -> Option<(&str, &str, &str)> {
    let body = path.get(1..)?;
    let end = body.find(['.', '|', ':']).unwrap_or(body.len());
    let name = body.get(..end)?;
    if !NAMES.contains(&name) {
        return None;
    }
    let after = body.get(end..)?;
    let Some(argument) = after.strip_prefix(':') else {
        return Some((name, "", after));
    };
    let end = if argument.starts_with(['{', '[', '"']) {
        value_end(argument, 0)
    } else {
        argument.find('|').unwrap_or(argument.len())
    };
    Some((name, argument.get(..end)?, argument.get(end..)?))
}

impl Walk<'_> {
    /// Applies a modifier.
    pub(super) fn modified<'j>(&self, name: &str, argument: &str, json: &'j str) -> Found<'j> {
        // Each is some passes over its input; what it makes is paid for as well.
        self.pay(json.len().saturating_mul(4))?;
        let value = match name {
            "dig" => Cow::Owned(self.dig(json, argument)?),
            "join" if json.starts_with('[') => {
                Cow::Owned(join(json, self.option(argument, "preserve")))
            }
            "flatten" if json.starts_with('[') => flatten(json, self.option(argument, "deep")),
            "pretty" => Cow::Owned(self.pretty(json, argument)?),
            _ => apply(name, json)?,
        };
        match value {
            Cow::Owned(text) => self.made(text).map(Cow::Owned),
            borrowed => Some(borrowed),
        }
    }

    fn option(&self, argument: &str, name: &str) -> bool {
        self.follow(argument, name, 0).as_deref() == Some("true")
    }

    /// What a path leads to from a value and from everything inside it, outer ones first.
    fn dig(&self, json: &str, path: &str) -> Option<String> {
        let mut out = String::from("[");
        let mut open = vec![json];
        while let Some(value) = open.pop() {
            if let Some(found) = self.follow(value, path, 1) {
                if out.len() > 1 {
                    out.push(',');
                }
                out.push_str(&found);
            }
            self.pay(2 * value.len())?;
            if out.len() > self.room.get() {
                break;
            }
            let at = open.len();
            open.extend(children(value).map(|(_, value)| value));
            if let Some(added) = open.get_mut(at..) {
                added.reverse();
            }
        }
        out.push(']');
        Some(out)
    }
}

/// Applies a modifier without arguments.
fn apply<'j>(name: &str, json: &'j str) -> Found<'j> {
    let pieces = || children(json);
    Some(match name {
        "valid" => return crate::json::is_valid(json).then_some(Cow::Borrowed(json)),
        "tostr" => Cow::Owned(serde_json::to_string(json).ok()?),
        "fromstr" => match crate::json::is_valid(json) {
            true => Cow::Owned(text(json).into()),
            false => return None,
        },
        "group" => Cow::Owned(group(json)?),
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
        "ugly" => Cow::Owned(ugly(json)),
        // `this`, and the others where there is nothing for them to do.
        _ => Cow::Borrowed(json),
    })
}

/// Objects out of an object of arrays: the first has the first element of each array, and so on.
fn group(json: &str) -> Option<String> {
    if !json.starts_with('{') {
        return None;
    }
    let mut objects: Vec<String> = Vec::new();
    for (key, value) in children(json).filter(|(_, value)| value.starts_with('[')) {
        for (at, (_, element)) in children(value).enumerate() {
            match objects.get_mut(at) {
                Some(object) => {
                    object.push(',');
                    object.push_str(&member((key, element)));
                }
                None => objects.push(member((key, element))),
            }
        }
    }
    let objects: Vec<String> = objects
        .iter()
        .map(|object| format!("{{{object}}}"))
        .collect();
    Some(format!("[{}]", objects.join(",")))
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
fn join(json: &str, preserve: bool) -> String {
    let mut members: Vec<(String, &str)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (_, object) in children(json).filter(|(_, value)| value.starts_with('{')) {
        for (key, value) in children(object) {
            let name: String = key_text(key).into();
            let known = match preserve {
                true => None,
                false => places.get(&name).and_then(|at| members.get_mut(*at)),
            };
            match known {
                Some(place) => place.1 = value,
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, value));
                }
            }
        }
    }
    let members: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("{}:{value}", serde_json::to_string(key).unwrap_or_default()))
        .collect();
    format!("{{{}}}", members.join(","))
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
            // Multi-byte characters outside strings are not JSON; skip them whole.
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
