//! Grok: patterns made of named patterns, and the values they take out of a text.
//!
//! Owns the built-in patterns, those of pattern files, and the expansion into regular expressions
//! (nested references, typed and repeated captures). Expansion happens when a script
//! is checked; a run only searches. Cycles, unknown names, wrong types and expansions beyond
//! `MAX_EXPANDED` are errors, never a hang.

mod built_in;
mod expand;
mod library;
#[cfg(test)]
mod tests;

pub(crate) use expand::GrokError;
pub(crate) use library::SharedLibrary;
pub use library::{Definition, Library};

use crate::meter::{Meter, Spent};
use crate::regex::{Captures, Groups, Regex};
use expand::Expanded;
use kafkamq_point::Text;
use smallvec::SmallVec;
use std::sync::Arc;

/// The type a capture is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// `str`, `string` or no type.
    #[default]
    Str,
    /// `int`
    Int,
    /// `float`
    Float,
    /// `bool`
    Bool,
}

/// A value taken out of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Captured<'t> {
    /// Text of the input.
    Str(&'t str),
    /// An integer.
    Int(i64),
    /// A 64-bit float.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

/// One key that a pattern writes.
#[derive(Debug, Clone, PartialEq)]
struct Field {
    key: Text,
    kind: Kind,
    /// The groups of this name, in order of appearance.
    groups: SmallVec<[u32; 2]>,
}

/// A compiled grok pattern.
#[derive(Debug, Clone)]
pub struct Grok {
    regex: Arc<Regex>,
    fields: Box<[Field]>,
}

impl Grok {
    /// Expands and compiles a pattern; `own` finds the script's patterns visible at this place, which hide
    /// those of the library.
    ///
    /// # Errors
    /// If a referenced pattern is unknown, a type is unknown, or the expression is invalid or too large.
    pub fn compile(
        pattern: &str,
        library: &Library,
        own: impl Fn(&str) -> Option<Arc<Definition>>,
    ) -> Result<Self, GrokError> {
        Self::build(&library.expand(pattern, own)?)
    }

    fn build(expanded: &Expanded) -> Result<Self, GrokError> {
        let regex = Regex::cached(&expanded.text, Groups::Named)?;
        let mut fields: Vec<Field> = Vec::new();
        for (at, name) in regex.names().enumerate() {
            let Some(name) = name else { continue };
            let key = if name == "_" { "message" } else { name };
            let group = regex.number(at + 1).and_then(|n| u32::try_from(n).ok());
            match fields.iter_mut().find(|field| field.key == key) {
                Some(field) => field.groups.extend(group),
                None => fields.push(Field {
                    key: key.into(),
                    kind: expanded.kind(name),
                    groups: group.into_iter().collect(),
                }),
            }
        }
        Ok(Self {
            regex,
            fields: fields.into(),
        })
    }

    /// Whether the text contains a match.
    ///
    /// # Errors
    /// When the meter's budget is used up.
    pub fn is_match(&self, text: &str, meter: &Meter) -> Result<bool, Spent> {
        self.regex.is_match(text, meter)
    }

    /// Searches the text; on a match calls `write` for every key and its value and returns true. A key
    /// whose groups took no part has empty text, or, when typed, is left out. `trim` strips white space from both
    /// ends of a value before its type is applied.
    ///
    /// # Errors
    /// When the meter's budget is used up; nothing is written then.
    pub fn search<'t>(
        &self,
        text: &'t str,
        trim: bool,
        captures: &mut Captures,
        meter: &Meter,
        write: impl FnMut(&Text, Captured<'t>),
    ) -> Result<bool, Spent> {
        if !self.find(text, captures, meter)? {
            return Ok(false);
        }
        self.write(text, trim, captures, write);
        Ok(true)
    }

    /// The first half of [`Grok::search`]: finds the match.
    pub(crate) fn find(
        &self,
        text: &str,
        captures: &mut Captures,
        meter: &Meter,
    ) -> Result<bool, Spent> {
        self.regex.captures_at(text, 0, captures, meter)
    }

    /// The second half of [`Grok::search`]: hands the values of the match out.
    pub(crate) fn write<'t>(
        &self,
        text: &'t str,
        trim: bool,
        captures: &Captures,
        mut write: impl FnMut(&Text, Captured<'t>),
    ) {
        for field in &self.fields {
            let last = |group: &u32| captures.get(*group as usize);
            let Some(range) = field.groups.iter().rev().find_map(last) else {
                if field.kind == Kind::Str {
                    write(&field.key, Captured::Str(""));
                }
                continue;
            };
            let mut part = text.get(range).unwrap_or_default();
            if trim {
                part = part.trim();
            }
            write(&field.key, field.kind.read(part));
        }
    }
}

impl Kind {
    /// The type of this name in a token.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "str" | "string" => Self::Str,
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            _ => return None,
        })
    }

    /// Reads a capture as this type; what is not such a value is 0, 0.0 or false.
    fn read(self, text: &str) -> Captured<'_> {
        match self {
            Self::Str => Captured::Str(text),
            Self::Int => Captured::Int(integer(text).unwrap_or(0)),
            Self::Float => Captured::Float(crate::number::float(text).unwrap_or(0.0)),
            Self::Bool => Captured::Bool(crate::number::truth(text)),
        }
    }
}

/// Decimal digits with an optional sign and a fraction of zeros, or digits after `0x`, `0o`, `0b`.
fn integer(text: &str) -> Option<i64> {
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    let whole = match text.rsplit_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole.strip_prefix('+').unwrap_or(whole)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}
