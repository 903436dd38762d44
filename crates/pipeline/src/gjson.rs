//! The GJSON path language on JSON text: the answer is a piece of the text itself wherever
//! possible, and the text need not be valid as a whole.

mod modifier;
mod pretty;
mod query;
mod text;

use std::borrow::Cow;
use std::cell::Cell;

use memchr::memchr;

use crate::meter::Meter;
use text::{children, key_text, trimmed, value_end, values, wildcard};

/// How many path components, queries and selectors may nest in each other.
const MAX_DEPTH: usize = 128;

/// The piece of JSON a path leads to.
type Found<'j> = Option<Cow<'j, str>>;

/// Follows a path; `None` when it leads nowhere. The result is JSON text of one value. Work is paid for,
/// and what is made on the way may take `room` bytes; where one of them ends the path leads nowhere and
/// the meter's budget is used up.
pub(crate) fn get<'j>(json: &'j str, path: &str, meter: &Meter, room: usize) -> Found<'j> {
    let walk = Walk {
        meter,
        room: Cell::new(room),
    };
    let json = json.strip_prefix('\u{FEFF}').unwrap_or(json);
    walk.follow(json, path, 0)
}

/// One walk along a path.
struct Walk<'m> {
    meter: &'m Meter,
    room: Cell<usize>,
}

impl Walk<'_> {
    /// Pays for looking at some bytes.
    fn pay(&self, bytes: usize) -> Option<()> {
        self.meter.pass(bytes).ok()
    }

    /// Pays for a text that was made, and takes its room.
    fn made(&self, text: String) -> Option<String> {
        self.pay(text.len())?;
        match self.room.get().checked_sub(text.len()) {
            Some(room) => {
                self.room.set(room);
                Some(text)
            }
            None => {
                self.meter.exhaust();
                None
            }
        }
    }

    /// Follows a path from the beginning, or behind a pipe, a modifier or selectors.
    fn follow<'j>(&self, json: &'j str, path: &str, depth: usize) -> Found<'j> {
        if depth > MAX_DEPTH {
            return None;
        }
        crate::stack::level(|| self.begin(json, path, depth))
    }

    fn begin<'j>(&self, json: &'j str, path: &str, depth: usize) -> Found<'j> {
        self.pay(json.len() + path.len())?;
        let json = trimmed(json);
        match path.bytes().next() {
            None => return Some(Cow::Borrowed(json)),
            Some(b'@') => {
                if let Some((name, argument, rest)) = modifier::split(path) {
                    let value = self.modified(name, argument, json)?;
                    return self.go_on(value, after_separator(rest), depth);
                }
            }
            Some(b'!') => {
                if let Some((value, rest)) = literal(path) {
                    let value = Cow::Owned(value.to_owned());
                    return self.go_on(value, after_separator(rest), depth);
                }
            }
            Some(b'{' | b'[') => {
                let end = value_end(path, 0);
                let inner = path.get(1..end.checked_sub(1)?)?;
                let value = self.selectors(json, inner, path.starts_with('{'), depth)?;
                let rest = after_separator(path.get(end..)?);
                return self.go_on(Cow::Owned(value), rest, depth);
            }
            Some(_) => {}
        }
        if let Some(path) = path.strip_prefix("..") {
            return self.element(json, path, true, depth);
        }
        // Text in front of the JSON is passed over.
        let start = memchr::memchr2(b'{', b'[', json.as_bytes())?;
        self.component(json.get(start..)?, path, depth)
    }

    /// Follows the rest of a path from a value that may be text of our own.
    fn go_on<'j>(&self, value: Cow<'j, str>, rest: &str, depth: usize) -> Found<'j> {
        if rest.is_empty() {
            return Some(value);
        }
        match value {
            Cow::Borrowed(json) => self.follow(json, rest, depth + 1),
            Cow::Owned(json) => self
                .follow(&json, rest, depth + 1)
                .map(|found| Cow::Owned(found.into_owned())),
        }
    }
}

fn after_separator(rest: &str) -> &str {
    rest.strip_prefix(['.', '|']).unwrap_or(rest)
}

/// Splits `!value.rest`, a value that stands in the path itself.
fn literal(path: &str) -> Option<(&str, &str)> {
    let body = path.get(1..)?;
    match body.bytes().next()? {
        b'{' | b'[' | b'"' => Some(body.split_at(value_end(body, 0))),
        b'+' | b'-' | b'0'..=b'9' => Some((body, "")),
        _ => {
            let end = body.find(['.', '|']).unwrap_or(body.len());
            let (name, rest) = body.split_at(end);
            let known = ["true", "false", "null", "nan", "inf"];
            let is_known = known.iter().any(|known| known.eq_ignore_ascii_case(name));
            is_known.then_some((name, rest))
        }
    }
}

/// One component of a path.
struct Component<'p> {
    /// The component as written.
    raw: &'p str,
    /// What follows its separator.
    rest: &'p str,
    /// Whether the rest begins anew from the value, as behind a pipe.
    anew: bool,
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
    let rest = path.get(at + 1..).unwrap_or("");
    let anew = bytes.get(at) == Some(&b'|')
        || rest.starts_with(['[', '{', '!'])
        || (rest.starts_with('@') && modifier::split(rest).is_some());
    Component {
        raw: path.get(..at).unwrap_or(""),
        rest,
        anew,
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

impl Walk<'_> {
    /// Follows a path into an object or array.
    fn component<'j>(&self, json: &'j str, path: &str, depth: usize) -> Found<'j> {
        if depth > MAX_DEPTH {
            return None;
        }
        crate::stack::level(|| self.inside(json, path, depth))
    }

    fn inside<'j>(&self, json: &'j str, path: &str, depth: usize) -> Found<'j> {
        match json.bytes().next()? {
            b'{' => {
                let component = split(path);
                let found = self.member(json, &component)?;
                self.behind(found, &component, depth)
            }
            b'[' => self.element(json, path, false, depth),
            _ => None,
        }
    }

    /// Follows what stands behind a component from the value it led to.
    fn behind<'j>(&self, value: &'j str, component: &Component<'_>, depth: usize) -> Found<'j> {
        if component.rest.is_empty() {
            return Some(Cow::Borrowed(value));
        }
        if component.anew {
            return self.follow(value, component.rest, depth + 1);
        }
        self.pay(value.len() + component.rest.len())?;
        self.component(value, component.rest, depth + 1)
    }

    /// Follows a path into an array, or into the values of a text of lines.
    fn element<'j>(&self, json: &'j str, path: &str, lines: bool, depth: usize) -> Found<'j> {
        if path.starts_with('#') {
            return self.hash(json, path, lines, depth);
        }
        let component = split(path);
        let position: usize = component.raw.parse().ok()?;
        let found = values(json, lines).nth(position)?;
        self.behind(found, &component, depth)
    }

    /// The first member whose key a component names.
    fn member<'j>(&self, json: &'j str, component: &Component<'_>) -> Option<&'j str> {
        let plain;
        let wanted = if component.escaped && !component.wild {
            plain = unescaped(component.raw);
            plain.as_str()
        } else {
            component.raw
        };
        for (key, value) in children(json) {
            let decoded;
            let key = if memchr(b'\\', key.as_bytes()).is_some() {
                decoded = key_text(key);
                decoded.as_str()
            } else {
                key
            };
            let is_it = match component.wild {
                true => self.wildcard(key, wanted)?,
                false => key == wanted,
            };
            if is_it {
                return Some(value);
            }
        }
        None
    }

    /// [`wildcard`], paid for.
    fn wildcard(&self, text: &str, pattern: &str) -> Option<bool> {
        self.pay(text.len().saturating_mul(pattern.len()).saturating_mul(4))?;
        Some(wildcard(text, pattern))
    }

    /// `#`, `#.rest`, `#(query)` and `#(query)#`.
    fn hash<'j>(&self, json: &'j str, path: &str, lines: bool, depth: usize) -> Found<'j> {
        let after = path.get(1..)?;
        if after.starts_with(['(', '[']) {
            return self.queried(json, after, lines, depth);
        }
        let count = || Cow::Owned(values(json, lines).count().to_string());
        match after.as_bytes().first() {
            None => Some(count()),
            Some(b'.') => self.map_over(values(json, lines), after.get(1..)?, depth),
            Some(b'|') => self.go_on(count(), after.get(1..)?, depth),
            Some(_) => None,
        }
    }

    fn queried<'j>(&self, json: &'j str, after: &str, lines: bool, depth: usize) -> Found<'j> {
        let end = query::end(after)?;
        let condition = query::parse(after.get(1..end - 1)?);
        let tail = after.get(end..)?;
        let (all, tail) = match tail.strip_prefix('#') {
            Some(tail) => (true, tail),
            None => (false, tail),
        };
        let mut hits = values(json, lines).filter(|value| condition.holds(self, value, depth + 1));
        if !all {
            return self.go_on(Cow::Borrowed(hits.next()?), after_separator(tail), depth);
        }
        let hits: Vec<&str> = hits.collect();
        match tail.strip_prefix('.') {
            Some(rest) => self.map_over(hits.into_iter(), rest, depth),
            None => {
                let list = self.made(format!("[{}]", hits.join(",")))?;
                self.go_on(Cow::Owned(list), after_separator(tail), depth)
            }
        }
    }

    /// Follows a path from each element and lists what is found. A pipe in the path ends the mapping
    /// and goes on from the list.
    fn map_over<'j>(
        &self,
        elements: impl Iterator<Item = &'j str>,
        path: &str,
        depth: usize,
    ) -> Found<'j> {
        let (inner, outer) = split_at_pipe(path);
        let mut list = String::from("[");
        for element in elements {
            if let Some(found) = self.follow(element, inner, depth + 1) {
                if list.len() > 1 {
                    list.push(',');
                }
                list.push_str(&found);
                self.pay(found.len())?;
            }
        }
        list.push(']');
        let list = self.made(list)?;
        if outer.is_empty() {
            return Some(Cow::Owned(list));
        }
        let found = self.follow(&list, outer, depth + 1);
        Some(Cow::Owned(found.map_or_else(String::new, Cow::into_owned)))
    }
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

impl Walk<'_> {
    /// `{a,b}` and `[a,b]`: several paths at once; those that lead nowhere are left out.
    fn selectors(&self, json: &str, inner: &str, object: bool, depth: usize) -> Option<String> {
        let (open, close) = if object { ('{', '}') } else { ('[', ']') };
        let mut out = String::from(open);
        for selector in split_selectors(inner) {
            let (name, path) = named_selector(selector);
            let value = self.follow(json, path, depth + 1);
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                self.pay(0)?;
                continue;
            };
            if out.len() > 1 {
                out.push(',');
            }
            if object {
                let name = name.map_or_else(|| last_name(path), str::to_owned);
                out.push_str(&serde_json::to_string(&name).ok()?);
                out.push(':');
            }
            out.push_str(&value);
            if out.len() > self.room.get() {
                break;
            }
        }
        out.push(close);
        self.made(out)
    }
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
mod tests;
