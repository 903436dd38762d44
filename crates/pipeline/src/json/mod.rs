//! JSON text for scripts: parsed once, kept while the text stays the same, decoded only where touched.
//!
//! The rules are the language's own: every number is a float, the last of duplicate keys wins, raw
//! control characters inside strings are accepted, lone surrogates become U+FFFD, numbers too large
//! for a float make the text invalid.

mod scan;

use kafkamq_point::Text;

use crate::value::{List, Map, Value};
pub(crate) use scan::unescape;
use scan::{Verdict, scan};

/// How deep a text may nest.
pub(crate) const MAX_DEPTH: usize = 600;

/// One element of a parsed text, in text order; the members of an object are key and value in turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    kind: Kind,
    /// Bytes of the element; for strings without the quotes.
    start: u32,
    end: u32,
    /// For arrays and objects: the node after the last inner one. For numbers: unused.
    next: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    True,
    False,
    Number,
    /// A string without escapes.
    Plain,
    /// A string with escapes.
    Escaped,
    Array,
    Object,
}

/// A text and its parsed form. Reused from text to text, so that parsing allocates nothing once
/// the buffers have grown.
#[derive(Debug, Default)]
pub(crate) struct Document {
    text: String,
    nodes: Vec<Node>,
    verdict: Verdict,
    /// Scratch of the scanner.
    open: Vec<u32>,
}

/// Whether a text is strict JSON: no raw control characters inside strings, numbers of any size.
pub(crate) fn is_valid(text: &str) -> bool {
    let verdict = scan(text, &mut Vec::new(), &mut Vec::new());
    verdict != Verdict::Bad && !scan::has_raw_controls(text)
}

/// An element of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'d> {
    document: &'d Document,
    at: u32,
}

impl Document {
    /// Parses a text unless it is the one parsed last; gives its root, `None` when it is not JSON.
    pub(crate) fn parse(&mut self, text: &str) -> Option<Element<'_>> {
        if self.text != text || self.nodes.is_empty() {
            self.text.clear();
            self.text.push_str(text);
            self.nodes.clear();
            self.open.clear();
            self.verdict = scan(&self.text, &mut self.nodes, &mut self.open);
            if self.nodes.is_empty() {
                // Remember the verdict about an empty or hopeless text as well.
                self.nodes.push(Node {
                    kind: Kind::Null,
                    start: 0,
                    end: 0,
                    next: 1,
                });
            }
            const KEEP: usize = 1 << 20;
            if self.text.capacity() > KEEP && text.len() < KEEP / 4 {
                self.text.shrink_to(KEEP);
            }
        }
        (self.verdict == Verdict::Good).then_some(Element {
            document: self,
            at: 0,
        })
    }

    fn node(&self, at: u32) -> Node {
        self.nodes.get(at as usize).copied().unwrap_or(Node {
            kind: Kind::Null,
            start: 0,
            end: 0,
            next: at + 1,
        })
    }

    /// The node after an element and everything in it.
    fn after(&self, at: u32) -> u32 {
        let node = self.node(at);
        match node.kind {
            Kind::Array | Kind::Object => node.next,
            _ => at + 1,
        }
    }

    fn raw(&self, node: Node) -> &str {
        self.text
            .get(node.start as usize..node.end as usize)
            .unwrap_or("")
    }
}

impl<'d> Element<'d> {
    fn node(self) -> Node {
        self.document.node(self.at)
    }

    /// The value of a member; the last one of that name.
    pub(crate) fn member(self, key: &str) -> Option<Self> {
        let node = self.node();
        if node.kind != Kind::Object {
            return None;
        }
        let mut found = None;
        let mut at = self.at + 1;
        while at < node.next {
            let name = self.document.node(at);
            let hit = match name.kind {
                Kind::Plain => self.document.raw(name) == key,
                _ => scan::unescape(self.document.raw(name)) == key,
            };
            if hit {
                found = Some(at + 1);
            }
            at = self.document.after(at + 1);
        }
        found.map(|at| Self { at, ..self })
    }

    /// The element of an array; negative positions count from the end.
    pub(crate) fn element(self, position: i64) -> Option<Self> {
        let node = self.node();
        if node.kind != Kind::Array {
            return None;
        }
        let mut left = if position < 0 {
            let mut length = 0i64;
            let mut at = self.at + 1;
            while at < node.next {
                length += 1;
                at = self.document.after(at);
            }
            position.checked_add(length).filter(|&at| at >= 0)?
        } else {
            position
        };
        let mut at = self.at + 1;
        while at < node.next {
            if left == 0 {
                return Some(Self { at, ..self });
            }
            left -= 1;
            at = self.document.after(at);
        }
        None
    }

    /// How many elements this holds, itself included.
    pub(crate) fn size(self) -> usize {
        (self.document.after(self.at) - self.at) as usize
    }

    /// Whether this is `null`.
    pub(crate) fn is_null(self) -> bool {
        self.node().kind == Kind::Null
    }

    /// The decoded text, if this is a string.
    pub(crate) fn text(self) -> Option<Text> {
        let node = self.node();
        match node.kind {
            Kind::Plain => Some(Text::from(self.document.raw(node))),
            Kind::Escaped => Some(scan::unescape(self.document.raw(node))),
            _ => None,
        }
    }

    /// The script value, built completely.
    pub(crate) fn value(self) -> Value {
        let node = self.node();
        match node.kind {
            Kind::Null => Value::Nil,
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Number => Value::Float(scan::number(self.document.raw(node)).unwrap_or(f64::NAN)),
            Kind::Plain => Value::Str(Text::from(self.document.raw(node))),
            Kind::Escaped => Value::Str(scan::unescape(self.document.raw(node))),
            Kind::Array => {
                let mut items = Vec::new();
                let mut at = self.at + 1;
                while at < node.next {
                    items.push(Self { at, ..self }.value());
                    at = self.document.after(at);
                }
                Value::List(List::new(items))
            }
            Kind::Object => {
                let map = Map::with_capacity(((node.next - self.at) / 2).min(32) as usize);
                let mut at = self.at + 1;
                while at < node.next {
                    let key = Self { at, ..self }.text().unwrap_or_default();
                    map.insert(key, Self { at: at + 1, ..self }.value());
                    at = self.document.after(at + 1);
                }
                Value::Map(map)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        Document::default()
            .parse(text)
            .map(|root| root.value().json_text())
    }

    #[test]
    fn the_rules_of_the_language_hold() {
        assert_eq!(read(r#"{"a":1,"a":2}"#).as_deref(), Some(r#"{"a":2}"#));
        assert_eq!(
            read("[\"a\tb\u{1}\"]").as_deref(),
            Some(r#"["a\tb\u0001"]"#)
        );
        assert_eq!(
            read(r#""\ud800x \ud83d\ude00""#).as_deref(),
            Some("\"\u{FFFD}x 😀\"")
        );
        assert_eq!(
            read(" [1e3, -0.5,12345678901234567890] ").as_deref(),
            Some("[1000,-0.5,12345678901234567000]")
        );
        for bad in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "01",
            "1.",
            "-",
            "1e",
            "1e400",
            "nul",
            "truex",
            "[1] 2",
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "[1}",
            "{\"a\":1,}",
            "+1",
            ".5",
            "NaN",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn deep_texts_are_refused_not_fatal() {
        let nest = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(read(&nest(MAX_DEPTH)).is_some());
        assert!(read(&nest(1_000_000)).is_none());
    }

    #[test]
    fn members_and_elements_are_found() {
        let mut document = Document::default();
        let root = document.parse(r#"{"k\u0065y":[[],{"x":"y"},3]}"#).unwrap();
        let list = root.member("key").unwrap();
        assert_eq!(list.element(-1).unwrap().value().text(), "3");
        assert_eq!(
            list.element(1)
                .unwrap()
                .member("x")
                .unwrap()
                .text()
                .as_deref(),
            Some("y")
        );
        assert!(list.element(3).is_none() && list.element(-4).is_none());
        assert!(root.member("nope").is_none());
    }
}
