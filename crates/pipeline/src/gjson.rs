//! The GJSON path language on JSON text: the answer is a piece of the text itself wherever
//! possible, and the text need not be valid as a whole.

mod modifier;
mod query;
mod text;

use std::borrow::Cow;

use memchr::memchr;

use text::{children, key_text, trimmed, value_end, wildcard};

/// How many path components, queries and selectors may nest in each other.
const MAX_DEPTH: usize = 128;

/// The piece of JSON a path leads to.
type Found<'j> = Option<Cow<'j, str>>;

/// Follows a path; `None` when it leads nowhere. The result is JSON text of one value.
pub(crate) fn get<'j>(json: &'j str, path: &str) -> Found<'j> {
    follow(json, path, 0)
}

fn follow<'j>(json: &'j str, path: &str, depth: usize) -> Found<'j> {
    if depth > MAX_DEPTH {
        return None;
    }
    let json = trimmed(json);
    match path.bytes().next() {
        None => Some(Cow::Borrowed(json)),
        Some(b'@') => {
            let (name, argument, rest) = modifier::split(path)?;
            let value = modifier::apply(name, argument, json)?;
            go_on(value, rest, depth)
        }
        Some(b'{' | b'[') => {
            let end = value_end(path, 0);
            let inner = path.get(1..end.checked_sub(1)?)?;
            let value = selectors(json, inner, path.starts_with('{'), depth)?;
            go_on(Cow::Owned(value), after_separator(path.get(end..)?), depth)
        }
        Some(_) => component(json, path, depth),
    }
}

/// Follows the rest of a path from a value that may be text of our own.
fn go_on<'j>(value: Cow<'j, str>, rest: &str, depth: usize) -> Found<'j> {
    if rest.is_empty() {
        return Some(value);
    }
    match value {
        Cow::Borrowed(json) => follow(json, rest, depth + 1),
        Cow::Owned(json) => {
            follow(&json, rest, depth + 1).map(|found| Cow::Owned(found.into_owned()))
        }
    }
}

fn after_separator(rest: &str) -> &str {
    rest.strip_prefix(['.', '|']).unwrap_or(rest)
}

/// One component of a path.
struct Component<'p> {
    /// The component as written.
    raw: &'p str,
    /// What follows its separator.
    rest: &'p str,
    /// Whether `*` or `?` stand in it unescaped.
    wild: bool,
    escaped: bool,
}

fn split(path: &str) -> Component<'_> {
    let bytes = path.as_bytes();
    let (mut at, mut wild, mut escaped) = (0, false, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => {
                escaped = true;
                at += 1;
            }
            b'.' | b'|' => break,
            b'*' | b'?' => wild = true,
            _ => {}
        }
        at += 1;
    }
    let at = at.min(path.len());
    Component {
        raw: path.get(..at).unwrap_or(""),
        rest: path.get(at + 1..).unwrap_or(""),
        wild,
        escaped,
    }
}

fn unescaped(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

fn component<'j>(json: &'j str, path: &str, depth: usize) -> Found<'j> {
    match json.bytes().next()? {
        b'{' => {
            let component = split(path);
            let found = member(json, &component)?;
            go_on(Cow::Borrowed(found), component.rest, depth)
        }
        b'[' if path.starts_with('#') => hash(json, path, depth),
        b'[' => {
            let component = split(path);
            let position: usize = component.raw.parse().ok()?;
            let found = children(json).nth(position)?.1;
            go_on(Cow::Borrowed(found), component.rest, depth)
        }
        _ => None,
    }
}

/// The first member whose key a component names.
fn member<'j>(json: &'j str, component: &Component<'_>) -> Option<&'j str> {
    let plain;
    let wanted = if component.escaped && !component.wild {
        plain = unescaped(component.raw);
        plain.as_str()
    } else {
        component.raw
    };
    children(json)
        .find(|(key, _)| {
            let decoded;
            let key = if memchr(b'\\', key.as_bytes()).is_some() {
                decoded = key_text(key);
                decoded.as_str()
            } else {
                key
            };
            if component.wild {
                wildcard(key, wanted)
            } else {
                key == wanted
            }
        })
        .map(|(_, value)| value)
}

/// `#`, `#.rest`, `#(query)` and `#(query)#`.
fn hash<'j>(json: &'j str, path: &str, depth: usize) -> Found<'j> {
    let after = path.get(1..)?;
    if after.starts_with(['(', '[']) {
        let end = query::end(after)?;
        let condition = query::parse(after.get(1..end - 1)?);
        let tail = after.get(end..)?;
        let (all, tail) = match tail.strip_prefix('#') {
            Some(tail) => (true, tail),
            None => (false, tail),
        };
        let mut hits = children(json)
            .map(|(_, value)| value)
            .filter(|value| condition.holds(value, depth + 1));
        if !all {
            return go_on(Cow::Borrowed(hits.next()?), after_separator(tail), depth);
        }
        let hits: Vec<&str> = hits.collect();
        return match tail.strip_prefix('.') {
            Some(rest) => Some(Cow::Owned(map_over(hits.into_iter(), rest, depth))),
            None => go_on(
                Cow::Owned(format!("[{}]", hits.join(","))),
                after_separator(tail),
                depth,
            ),
        };
    }
    match after.as_bytes().first() {
        None => Some(Cow::Owned(children(json).count().to_string())),
        Some(b'.') => {
            let elements = children(json).map(|(_, value)| value);
            Some(Cow::Owned(map_over(elements, after.get(1..)?, depth)))
        }
        Some(b'|') => go_on(
            Cow::Owned(children(json).count().to_string()),
            after.get(1..)?,
            depth,
        ),
        Some(_) => None,
    }
}

/// Follows a path from each element and lists what is found. A pipe in the path ends the mapping
/// and goes on from the list.
fn map_over<'j>(elements: impl Iterator<Item = &'j str>, path: &str, depth: usize) -> String {
    let (inner, outer) = split_at_pipe(path);
    let found: Vec<Cow<'j, str>> = elements
        .filter_map(|element| follow(element, inner, depth + 1))
        .collect();
    let list = format!("[{}]", found.join(","));
    if outer.is_empty() {
        return list;
    }
    follow(&list, outer, depth + 1).map_or_else(String::new, Cow::into_owned)
}

/// Splits a path at its first `|` outside brackets, strings and escapes.
fn split_at_pipe(path: &str) -> (&str, &str) {
    let bytes = path.as_bytes();
    let (mut at, mut open, mut quoted) = (0usize, 0usize, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b'|' if open == 0 => {
                return (
                    path.get(..at).unwrap_or(""),
                    path.get(at + 1..).unwrap_or(""),
                );
            }
            _ => {}
        }
        at += 1;
    }
    (path, "")
}

/// `{a,b}` and `[a,b]`: several paths at once; those that lead nowhere are left out.
fn selectors(json: &str, inner: &str, object: bool, depth: usize) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for selector in split_selectors(inner) {
        let (name, path) = named_selector(selector);
        let Some(value) = follow(json, path, depth + 1).filter(|value| !value.is_empty()) else {
            continue;
        };
        if object {
            let name = name.map_or_else(|| last_name(path), str::to_owned);
            parts.push(format!("{}:{value}", serde_json::to_string(&name).ok()?));
        } else {
            parts.push(value.into_owned());
        }
    }
    let (open, close) = if object { ('{', '}') } else { ('[', ']') };
    Some(format!("{open}{}{close}", parts.join(",")))
}

fn split_selectors(inner: &str) -> Vec<&str> {
    let bytes = inner.as_bytes();
    let mut parts = Vec::new();
    let (mut start, mut at, mut open, mut quoted) = (0, 0usize, 0usize, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b',' if open == 0 => {
                parts.extend(inner.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    parts.extend(inner.get(start..).filter(|last| !last.is_empty()));
    parts
}

/// `"name":path`
fn named_selector(selector: &str) -> (Option<&str>, &str) {
    if !selector.starts_with('"') {
        return (None, selector);
    }
    let end = value_end(selector, 0);
    match (
        selector.get(1..end.saturating_sub(1)),
        selector.get(end..).and_then(|rest| rest.strip_prefix(':')),
    ) {
        (Some(name), Some(path)) => (Some(name), path),
        _ => (None, selector),
    }
}

/// The name a selector's value gets when none is given: the last component.
fn last_name(path: &str) -> String {
    let at = path.rfind(['.', '|']).map_or(0, |at| at + 1);
    let name = unescaped(path.get(at..).unwrap_or(path));
    if name.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        name
    } else {
        "_".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"name":{"first":"Tom","last":"Anderson"},"age":37,"children":["Sara","Alex","Jack"],"fav.movie":"Deer Hunter","friends":[{"first":"Dale","last":"Murphy","age":44,"nets":["ig","fb","tw"]},{"first":"Roger","last":"Craig","age":68,"nets":["fb","tw"]},{"first":"Jane","last":"Murphy","age":47,"nets":["ig","tw"]}],"n":null}"#;

    #[test]
    fn paths_lead_where_the_language_says() {
        for (path, want) in [
            ("name.last", Some("\"Anderson\"")),
            ("age", Some("37")),
            ("children", Some(r#"["Sara","Alex","Jack"]"#)),
            ("children.#", Some("3")),
            ("children.1", Some("\"Alex\"")),
            ("children.-1", None),
            ("child*.2", Some("\"Jack\"")),
            ("c?ildren.0", Some("\"Sara\"")),
            (r"fav\.movie", Some("\"Deer Hunter\"")),
            ("friends.#.first", Some(r#"["Dale","Roger","Jane"]"#)),
            ("friends.1.last", Some("\"Craig\"")),
            (r#"friends.#(last=="Murphy").first"#, Some("\"Dale\"")),
            (
                r#"friends.#(last=="Murphy")#.first"#,
                Some(r#"["Dale","Jane"]"#),
            ),
            ("friends.#(age>45)#.last", Some(r#"["Craig","Murphy"]"#)),
            (r#"friends.#(first%"D*").last"#, Some("\"Murphy\"")),
            (r#"friends.#(first!%"D*").last"#, Some("\"Craig\"")),
            (
                r#"friends.#(nets.#(=="fb"))#.first"#,
                Some(r#"["Dale","Roger"]"#),
            ),
            (r#"children.#(!="Sara")"#, Some("\"Alex\"")),
            ("friends.#(age>100)#.first", Some("[]")),
            ("friends.#(age>100).first", None),
            (r#"friends.#(last=="Murphy")#|0.first"#, Some("\"Dale\"")),
            ("friends.#.nets.#", Some("[3,2,2]")),
            ("friends.#.nets|1", Some(r#"["fb","tw"]"#)),
            ("children|@reverse", Some(r#"["Jack","Alex","Sara"]"#)),
            ("children.@reverse.0", Some("\"Jack\"")),
            ("name|@keys", Some(r#"["first","last"]"#)),
            ("name.@values", Some(r#"["Tom","Anderson"]"#)),
            (
                "{name.first,age,\"pal\":friends.0.first}",
                Some(r#"{"first":"Tom","age":37,"pal":"Dale"}"#),
            ),
            ("[name.first,nope,age]", Some(r#"["Tom",37]"#)),
            (
                "friends.0.{first,age}",
                Some(r#"{"first":"Dale","age":44}"#),
            ),
            (
                "friends.#.nets|@flatten",
                Some(r#"["ig","fb","tw","fb","tw","ig","tw"]"#),
            ),
            ("nope.a", None),
        ] {
            assert_eq!(get(TEXT, path).as_deref(), want, "{path}");
        }
        assert_eq!(
            get("[{\"a\":1},{\"b\":2}]", "@join").as_deref(),
            Some(r#"{"a":1,"b":2}"#)
        );
        assert_eq!(
            get("{\"a\": [1, 2]}", "@ugly").as_deref(),
            Some(r#"{"a":[1,2]}"#)
        );
        assert_eq!(
            get("{\"a\": 1}", "@pretty").as_deref(),
            Some("{\n  \"a\": 1\n}\n")
        );
        assert_eq!(get("{\"a\":1", "a").as_deref(), Some("1"));
        assert_eq!(get("{\"a\":1", "@valid"), None);
    }

    #[test]
    fn hostile_paths_and_texts_end() {
        let deep = "[".repeat(100_000);
        for path in [
            &deep,
            &"a.".repeat(100_000),
            &"#(".repeat(10_000),
            &"{".repeat(10_000),
            &"@reverse|".repeat(10_000),
        ] {
            let _any = get(&deep, path);
            let _any = get(TEXT, path);
        }
        for json in [
            "", "{", "[", "{\"", "{\"a", "{\"a\"", "{\"a\":", "[1", "[,", "\\", "\"\\",
        ] {
            for path in [
                "a", "0", "#", "#.a", "@flatten", "@keys", "@pretty", "#(a>1)#", "*",
            ] {
                let _any = get(json, path);
            }
        }
    }
}
