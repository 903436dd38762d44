//! The values a field can hold.

use crate::Text;

/// The value of a field; a tag always holds [`Value::Str`].
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// The key exists but holds nothing: it counts as present for scripts, and outputs leave it out.
    #[default]
    Nil,
    /// A signed 64-bit integer.
    Int(i64),
    /// An unsigned 64-bit integer.
    Uint(u64),
    /// A 64-bit float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// UTF-8 text.
    Str(Text),
    /// Raw bytes.
    Bytes(Box<[u8]>),
    /// Scalars of one type.
    Array(Box<[Value]>),
}

impl Value {
    /// The text, if this is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is [`Value::Nil`].
    #[must_use]
    pub const fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Whether all of `values` are scalars of one type, as arrays on the wire have to be. True for none.
    #[must_use]
    pub(crate) fn is_uniform(values: &[Self]) -> bool {
        let Some(first) = values.first() else {
            return true;
        };
        !matches!(first, Self::Nil | Self::Array(_))
            && values
                .iter()
                .all(|value| std::mem::discriminant(value) == std::mem::discriminant(first))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Uint(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.into())
    }
}

impl From<Text> for Value {
    fn from(value: Text) -> Self {
        Self::Str(value)
    }
}
