//! JSON text for scripts: parsed once, kept while the text stays the same, decoded only where touched.
//!
//! The rules are the language's own: every number is a float (but for whole numbers beyond 2^53, which are
//! ints and keep their digits), a byte order mark in front is passed over, the last of duplicate keys wins, raw
//! control characters inside strings are accepted, lone surrogates become U+FFFD, numbers too large
//! for a float make the text invalid.

mod number;
mod object;
mod scan;

use std::rc::Rc;

use kafkamq_point::{Text, Value as Field};

use crate::value::{List, Map, Value};
use number::Number;
pub(crate) use object::{Member, Object};
pub(crate) use scan::unescape;
use scan::{PADDING, Verdict, scan};

/// How deep a text may nest.
pub(crate) const MAX_DEPTH: usize = 600;

/// One element of a parsed text, in text order; the members of an object are key and value in turn.
#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    /// Bytes of the element; for strings without the quotes.
    start: u32,
    end: u32,
    /// The node after this one and all inner ones; for keys of objects their [`tag`].
    next: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
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

/// A text and its parsed form.
#[derive(Debug, Default)]
struct Document {
    /// The text, with [`PADDING`] behind it.
    text: String,
    nodes: Vec<Node>,
    verdict: Verdict,
    /// Scratch of the scanner.
    open: Vec<u32>,
}

/// Parses one text after the other. Its memory is used again, so that parsing allocates nothing once
/// the buffers have grown, unless a script still holds an object of the text before.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    last: Option<Rc<Document>>,
}

/// Whether a text is strict JSON: no raw control characters inside strings, numbers of any size.
pub(crate) fn is_valid(text: &str) -> bool {
    let text = unmarked(text);
    let mut document = Document::default();
    document.fill(text);
    document.verdict != Verdict::Bad && !scan::has_raw_controls(text)
}

/// A text without a byte order mark in front.
fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{FEFF}').unwrap_or(text)
}

/// An element of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'d> {
    document: &'d Rc<Document>,
    at: u32,
}

/// A number that equal keys share and different keys rarely do, read off both ends of the key.
#[inline]
fn tag(key: &[u8]) -> u32 {
    let ends = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
        }
        _ => match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
            }
            _ => key
                .iter()
                .fold(0, |word, &byte| word << 8 | u64::from(byte)),
        },
    };
    let mixed = (ends ^ key.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as u32
}

impl Reader {
    /// The bytes of the text parsed last and of its parsed form.
    pub(crate) fn bytes(&self) -> usize {
        self.last.as_ref().map_or(0, |document| document.bytes())
    }

    /// Parses a text unless it is the one parsed last; gives its root, `None` when it is not JSON.
    pub(crate) fn parse(&mut self, text: &str) -> Option<Element<'_>> {
        let text = unmarked(text);
        if !self.last.as_ref().is_some_and(|last| last.is_of(text)) {
            match self.last.as_mut().and_then(Rc::get_mut) {
                Some(document) => document.fill(text),
                None => {
                    let mut document = Document::default();
                    document.fill(text);
                    self.last = Some(Rc::new(document));
                }
            }
        }
        let document = self.last.as_ref()?;
        (document.verdict == Verdict::Good).then_some(Element { document, at: 0 })
    }
}

impl Document {
    /// The bytes of the text and of its parsed form.
    fn bytes(&self) -> usize {
        self.text.len() + self.nodes.len() * size_of::<Node>()
    }

    fn is_of(&self, text: &str) -> bool {
        self.text.strip_suffix(PADDING) == Some(text)
    }

    fn fill(&mut self, text: &str) {
        const KEEP: usize = 1 << 20;
        if self.text.capacity() > KEEP && text.len() < KEEP / 4 {
            *self = Self::default();
        }
        self.text.clear();
        self.text.reserve(text.len() + PADDING.len());
        self.text.push_str(text);
        self.text.push_str(PADDING);
        self.nodes.clear();
        self.open.clear();
        self.verdict = scan(&self.text, &mut self.nodes, &mut self.open);
    }

    #[inline]
    fn node(&self, at: u32) -> Node {
        self.nodes.get(at as usize).copied().unwrap_or(Node {
            kind: Kind::Null,
            start: 0,
            end: 0,
            next: at + 1,
        })
    }

    #[inline]
    fn raw(&self, node: Node) -> &str {
        self.text
            .get(node.start as usize..node.end as usize)
            .unwrap_or("")
    }

    /// The decoded text of a string or key.
    fn string(&self, node: Node) -> Text {
        match node.kind {
            Kind::Escaped => unescape(self.raw(node)),
            _ => Text::from(self.raw(node)),
        }
    }

    /// The members of an object: their keys and the places of their values.
    #[inline]
    fn members(&self, object: u32) -> impl Iterator<Item = (Node, u32)> {
        let mut at = object + 1;
        let end = match self.node(object) {
            node if node.kind == Kind::Object => node.next,
            _ => at,
        };
        std::iter::from_fn(move || {
            let key = (at < end).then(|| self.node(at))?;
            let value = at + 1;
            at = self.node(value).next;
            Some((key, value))
        })
    }

    /// The place of the value of a member; the last one of that name.
    fn member(&self, object: u32, key: &str) -> Option<u32> {
        let tag = tag(key.as_bytes());
        let is_it = |name: Node| match name.kind {
            Kind::Escaped => unescape(self.raw(name)) == key,
            _ => name.next == tag && self.raw(name) == key,
        };
        let named = self.members(object).filter(|(name, _)| is_it(*name));
        named.map(|(_, value)| value).last()
    }
}

impl<'d> Element<'d> {
    fn node(self) -> Node {
        self.document.node(self.at)
    }

    /// The value of a member; the last one of that name.
    pub(crate) fn member(self, key: &str) -> Option<Self> {
        let at = self.document.member(self.at, key)?;
        Some(Self { at, ..self })
    }

    /// The elements of an array; none of anything else.
    fn elements(self) -> impl Iterator<Item = Self> {
        let node = self.node();
        let mut at = self.at + 1;
        let end = match node.kind {
            Kind::Array => node.next,
            _ => at,
        };
        std::iter::from_fn(move || {
            let element = (at < end).then_some(Self { at, ..self })?;
            at = element.node().next;
            Some(element)
        })
    }

    /// The element of an array; negative positions count from the end.
    pub(crate) fn element(self, position: i64) -> Option<Self> {
        let position = if position < 0 {
            let length = i64::try_from(self.elements().count()).ok()?;
            position.checked_add(length)?
        } else {
            position
        };
        self.elements().nth(usize::try_from(position).ok()?)
    }

    /// How many elements this holds, itself included.
    pub(crate) fn size(self) -> usize {
        (self.node().next - self.at) as usize
    }

    /// Whether this is `null`.
    pub(crate) fn is_null(self) -> bool {
        self.node().kind == Kind::Null
    }

    /// Whether this is an array or an object.
    fn is_container(self) -> bool {
        matches!(self.node().kind, Kind::Array | Kind::Object)
    }

    /// A scalar as a field of a point, without a script value in between; `nil` for containers.
    pub(crate) fn field(self) -> Field {
        let node = self.node();
        match node.kind {
            Kind::Null | Kind::Array | Kind::Object => Field::Nil,
            Kind::True => Field::Bool(true),
            Kind::False => Field::Bool(false),
            Kind::Number => match number::number(self.document.raw(node)) {
                Number::Float(number) => Field::Float(number),
                Number::Int(number) => Field::Int(number),
            },
            Kind::Plain | Kind::Escaped => Field::Str(self.document.string(node)),
        }
    }

    /// The script value. Objects are taken apart when a script looks at them.
    pub(crate) fn value(self) -> Value {
        let node = self.node();
        match node.kind {
            Kind::Null => Value::Nil,
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Number => match number::number(self.document.raw(node)) {
                Number::Float(number) => Value::Float(number),
                Number::Int(number) => Value::Int(number),
            },
            Kind::Plain | Kind::Escaped => Value::Str(self.document.string(node)),
            Kind::Array => crate::stack::level(|| {
                Value::List(List::new(self.elements().map(Self::value).collect()))
            }),
            Kind::Object => Value::Map(Map::of(Object::new(self))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        Reader::default()
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

    proptest::proptest! {
        #[test]
        fn the_scanner_accepts_what_serde_json_does(
            text in "[\\[{]{0,2}[\\[\\]{}:,\"ab\\\\ 01.e\t-]{0,24}|(\\{\"[ab]{0,9}\" ?:[01\".ae]{1,4}[,}\\]]?){1,3}"
        ) {
            let accepted = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            proptest::prop_assert_eq!(is_valid(&text), accepted);
        }
    }

    #[test]
    fn a_byte_order_mark_in_front_hides_nothing() {
        assert_eq!(read("\u{FEFF}{\"a\":1}").as_deref(), Some("{\"a\":1}"));
        assert!(is_valid("\u{FEFF}[1]"));
        assert_eq!(read("\u{FEFF}\u{FEFF}[1]"), None);
        assert_eq!(read("[1]\u{FEFF}"), None);
    }

    #[test]
    fn deep_texts_are_refused_not_fatal() {
        let nest = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(read(&nest(MAX_DEPTH)).is_some());
        assert!(read(&nest(1_000_000)).is_none());
    }

    #[test]
    fn members_and_elements_are_found() {
        let mut reader = Reader::default();
        let root = reader.parse(r#"{"k\u0065y":[[],{"x":"y"},3]}"#).unwrap();
        let list = root.member("key").unwrap();
        assert_eq!(list.element(-1).unwrap().value().text(), "3");
        assert_eq!(
            list.element(1).unwrap().member("x").unwrap().value().text(),
            "y"
        );
        assert!(list.element(3).is_none() && list.element(-4).is_none());
        assert!(root.member("nope").is_none());
    }
}
