//! Expansion of `%{NAME}`, `%{NAME:alias}` and `%{NAME:alias:type}` into a regular expression.

use super::Kind;
use crate::regex::RegexError;
use std::collections::BTreeMap;

/// The longest expression an expansion may give, in bytes.
pub(crate) const MAX_EXPANDED: usize = 256 * 1024;

/// Why a grok pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrokError {
    /// A token names a pattern that is not visible here.
    #[error("unknown pattern `{0}`")]
    Unknown(String),
    /// A token's type is not int, float, bool, str or string.
    #[error("unknown type `{0}`: expected int, float, bool or str")]
    Type(String),
    /// Something that looks like a token but is not one.
    #[error("malformed token `%{{{0}}}`")]
    Token(String),
    /// A name that no token could mention.
    #[error("`{0}` cannot be the name of a pattern")]
    Name(String),
    /// Patterns that refer to each other in a circle.
    #[error("pattern `{0}` refers to itself")]
    Cycle(String),
    /// The expansion is longer than [`MAX_EXPANDED`].
    #[error("the expanded pattern is longer than {MAX_EXPANDED} bytes")]
    TooLarge,
    /// The expanded text is not a regular expression.
    #[error(transparent)]
    Regex(#[from] RegexError),
}

/// An expression without tokens, and the types of its captures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Expanded {
    pub(super) text: String,
    types: BTreeMap<Box<str>, Kind>,
}

impl Expanded {
    /// The type of the captures of this name.
    pub(super) fn kind(&self, name: &str) -> Kind {
        self.types.get(name).copied().unwrap_or_default()
    }
}

/// Whether tokens that are not well formed are errors, or text as in some built-in patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    Refuse,
    Keep,
}

/// Whether a token can mention this name: word characters with single `-` or `.` between them.
pub(super) fn valid_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .split(['-', '.'])
            .all(|part| !part.is_empty() && part.bytes().all(word))
}

const fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Expands `pattern`; `lookup` gives the expansion of a name.
pub(super) fn expand(
    pattern: &str,
    malformed: Malformed,
    mut lookup: impl FnMut(&str) -> Result<Expanded, GrokError>,
) -> Result<Expanded, GrokError> {
    let mut text = String::with_capacity(pattern.len() * 2);
    let mut explicit: BTreeMap<Box<str>, Kind> = BTreeMap::new();
    let mut nested: BTreeMap<Box<str>, Kind> = BTreeMap::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("%{") {
        text.push_str(before);
        let inner = after.split_once('}');
        let Some((parts, tail)) = inner.and_then(|(inner, tail)| Some((token(inner)?, tail)))
        else {
            let inner = inner.map_or("", |(inner, _)| inner);
            if malformed == Malformed::Refuse
                && inner.starts_with(|c: char| c.is_ascii_alphabetic())
            {
                return Err(GrokError::Token(inner.to_owned()));
            }
            text.push_str("%{");
            rest = after;
            continue;
        };
        rest = tail;
        let (name, alias, kind) = parts;
        if !valid_name(name) {
            return Err(GrokError::Unknown(name.to_owned()));
        }
        let alias = alias.map(|alias| alias.replace(['-', '.'], "_"));
        if let (Some(alias), Some(kind)) = (&alias, kind) {
            let kind = Kind::named(kind).ok_or_else(|| GrokError::Type(kind.to_owned()))?;
            explicit.insert(alias.as_str().into(), kind);
        }
        let found = lookup(name)?;
        for (name, kind) in found.types {
            nested.entry(name).or_insert(kind);
        }
        match alias {
            Some(alias) => {
                text.push_str("(?P<");
                text.push_str(&alias);
                text.push('>');
            }
            None => text.push_str("(?:"),
        }
        text.push_str(&found.text);
        text.push(')');
        if text.len() > MAX_EXPANDED {
            return Err(GrokError::TooLarge);
        }
    }
    text.push_str(rest);
    if text.len() > MAX_EXPANDED {
        return Err(GrokError::TooLarge);
    }
    nested.extend(explicit);
    Ok(Expanded {
        text,
        types: nested,
    })
}

/// The parts of a token: name, alias, type.
fn token(inner: &str) -> Option<(&str, Option<&str>, Option<&str>)> {
    let mut parts = inner.split(':');
    let result = (parts.next()?, parts.next(), parts.next());
    let fine =
        |part: &str| !part.is_empty() && part.bytes().all(|b| word(b) || matches!(b, b'-' | b'.'));
    let all = [Some(result.0), result.1, result.2];
    (parts.next().is_none() && all.iter().flatten().all(|part| fine(part))).then_some(result)
}
