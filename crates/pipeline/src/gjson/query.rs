//! The conditions in `#(...)`.

use super::Walk;
use super::text::{text, trimmed, value_end};

/// A condition: `path op value`, or a path that has to lead somewhere.
#[derive(Debug, PartialEq)]
pub(super) struct Query<'q> {
    path: &'q str,
    op: Op,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Op {
    Exists,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Like,
    NotLike,
}

/// One past the bracket that closes the one a text begins with.
pub(super) fn end(text: &str) -> Option<usize> {
    let end = value_end(text, 0);
    text.get(..end)?.ends_with([')', ']']).then_some(end)
}

/// Splits a condition at its operator.
pub(super) fn parse(condition: &str) -> Query<'_> {
    const OPS: [(&str, Op); 10] = [
        ("==", Op::Equal),
        ("!=", Op::NotEqual),
        ("!%", Op::NotLike),
        ("<=", Op::LessEqual),
        (">=", Op::GreaterEqual),
        ("=", Op::Equal),
        ("<", Op::Less),
        (">", Op::Greater),
        ("%", Op::Like),
        ("!", Op::NotEqual),
    ];
    let bytes = condition.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'(' | b'[' | b'{' | b'"' => at = value_end(condition, at),
            b'=' | b'!' | b'<' | b'>' | b'%' => {
                let rest = condition.get(at..).unwrap_or("");
                let Some((symbol, op)) = OPS.iter().find(|(symbol, _)| rest.starts_with(symbol))
                else {
                    break;
                };
                let value = trimmed(rest.get(symbol.len()..).unwrap_or(""));
                return Query {
                    path: trimmed(condition.get(..at).unwrap_or("")),
                    op: *op,
                    value: text(value).into(),
                };
            }
            _ => at += 1,
        }
    }
    Query {
        path: trimmed(condition),
        op: Op::Exists,
        value: String::new(),
    }
}

impl Query<'_> {
    /// Whether the condition holds for an element.
    pub(super) fn holds(&self, walk: &Walk<'_>, element: &str, depth: usize) -> bool {
        let Some(value) = walk.follow(element, self.path, depth) else {
            return false;
        };
        if self.op == Op::Exists {
            return true;
        }
        match value.bytes().next() {
            Some(b'"') => self.compare_text(walk, &text(&value)),
            Some(b'-' | b'0'..=b'9') => {
                let number = value.parse::<f64>().unwrap_or(0.0);
                let wanted = self.value.parse::<f64>().unwrap_or(0.0);
                match self.op {
                    Op::Like => self.like(walk, &value),
                    Op::NotLike => !self.like(walk, &value),
                    _ => self.ordered(number.partial_cmp(&wanted)),
                }
            }
            Some(b't') => match self.op {
                Op::Equal => self.value == "true",
                Op::NotEqual => self.value != "true",
                Op::Greater => self.value == "false",
                Op::GreaterEqual => true,
                _ => false,
            },
            Some(b'f') => match self.op {
                Op::Equal => self.value == "false",
                Op::NotEqual => self.value != "false",
                Op::Less => self.value == "true",
                Op::LessEqual => true,
                _ => false,
            },
            _ => false,
        }
    }

    fn like(&self, walk: &Walk<'_>, value: &str) -> bool {
        walk.wildcard(value, &self.value).unwrap_or(false)
    }

    fn compare_text(&self, walk: &Walk<'_>, value: &str) -> bool {
        match self.op {
            Op::Like => self.like(walk, value),
            Op::NotLike => !self.like(walk, value),
            _ => self.ordered(Some(value.cmp(&self.value))),
        }
    }

    fn ordered(&self, ordering: Option<std::cmp::Ordering>) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match self.op {
            Op::Equal => ordering == Some(Equal),
            Op::NotEqual => ordering != Some(Equal),
            Op::Less => ordering == Some(Less),
            Op::LessEqual => matches!(ordering, Some(Less | Equal)),
            Op::Greater => ordering == Some(Greater),
            Op::GreaterEqual => matches!(ordering, Some(Greater | Equal)),
            _ => false,
        }
    }
}
