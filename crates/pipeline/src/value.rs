//! Script values. Lists and maps are shared references that live for one run on one thread.
//!
//! Promises: dropping, comparing and printing never recurse without bound, whatever a script
//! nests or ties into a knot.

mod constant;
mod list;
mod map;
mod text;

use std::borrow::Cow;

use kafkamq_point::{Text, Value as Field};

use crate::meter::Meter;
use crate::stack;
pub use constant::Constant;
pub use list::List;
pub use map::Map;
pub(crate) use text::push_float;

/// A value of the script language.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// `nil`, also what a function without a result yields.
    #[default]
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// A 64-bit float.
    Float(f64),
    /// UTF-8 text.
    Str(Text),
    /// A list, shared by everyone who holds it.
    List(List),
    /// A map with string keys, shared by everyone who holds it.
    Map(Map),
}

impl Value {
    /// A string value.
    pub fn str(text: impl AsRef<str>) -> Self {
        Self::Str(Text::from(text.as_ref()))
    }

    /// The set that holds exactly this value's type.
    #[must_use]
    pub(crate) const fn types(&self) -> Types {
        match self {
            Self::Nil => Types::NIL,
            Self::Bool(_) => Types::BOOL,
            Self::Int(_) => Types::INT,
            Self::Float(_) => Types::FLOAT,
            Self::Str(_) => Types::STR,
            Self::List(_) => Types::LIST,
            Self::Map(_) => Types::MAP,
        }
    }

    /// `nil`, `bool`, `int`, `float`, `str`, `list` or `map`.
    #[must_use]
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }

    /// The text of a `str`.
    #[must_use]
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an `int`.
    #[must_use]
    pub(crate) const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value of a `bool`.
    #[must_use]
    pub(crate) const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// Whether this is `nil`.
    #[must_use]
    pub(crate) const fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Whether this is a list or a map.
    #[must_use]
    pub(crate) const fn is_container(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(_))
    }

    /// Truth in a condition: `nil`, `false`, zero, empty text and empty containers are false.
    #[must_use]
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
        }
    }

    /// The bytes a text takes beyond the value itself; 0 for everything else.
    #[inline]
    pub(crate) fn heap(&self) -> usize {
        match self {
            Self::Str(text) => text.len(),
            _ => 0,
        }
    }

    /// The value of a point's field. Text stays text, byte strings become text with U+FFFD for
    /// what is not UTF-8, arrays become their JSON text.
    #[must_use]
    pub(crate) fn from_field(field: &Field) -> Self {
        match field {
            Field::Nil => Self::Nil,
            Field::Int(number) => Self::Int(*number),
            Field::Uint(number) => {
                i64::try_from(*number).map_or_else(|_| Self::Float(*number as f64), Self::Int)
            }
            Field::Float(number) => Self::Float(*number),
            Field::Bool(truth) => Self::Bool(*truth),
            Field::Str(text) => Self::Str(text.clone()),
            Field::Bytes(bytes) => Self::str(String::from_utf8_lossy(bytes)),
            Field::Array(items) => {
                let list = List::new(items.iter().map(Self::from_field).collect());
                Self::str(Self::List(list).json_text())
            }
        }
    }

    /// The value as a field of a point; lists and maps become their JSON text.
    #[must_use]
    pub(crate) fn into_field(self) -> Field {
        match self {
            Self::Nil => Field::Nil,
            Self::Bool(truth) => Field::Bool(truth),
            Self::Int(number) => Field::Int(number),
            Self::Float(number) => Field::Float(number),
            Self::Str(text) => Field::Str(text),
            container @ (Self::List(_) | Self::Map(_)) => Field::Str(container.json_text().into()),
        }
    }

    /// The canonical text: what a tag or a cast to `str` holds. Integers in decimal, floats as the
    /// shortest digits without an exponent, `nil` as nothing, lists and maps as JSON text.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Nil => Cow::Borrowed(""),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Str(text) => Cow::Borrowed(text),
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::Float(number) => {
                let mut out = String::new();
                push_float(&mut out, *number);
                Cow::Owned(out)
            }
            Self::List(_) | Self::Map(_) => Cow::Owned(self.json_text()),
        }
    }

    /// [`Value::text`] as an owned point text, without a copy when this already is text.
    #[must_use]
    pub(crate) fn into_text(self) -> Text {
        match self {
            Self::Str(text) => text,
            other => Text::from(other.text()),
        }
    }

    /// Compact JSON with sorted keys. A container inside itself, nesting beyond
    /// [`Value::MAX_DEPTH`] and output beyond [`Value::MAX_TEXT`] bytes are cut off as `null`.
    #[must_use]
    pub(crate) fn json_text(&self) -> String {
        self.json_text_within(Self::MAX_TEXT)
    }

    /// [`Value::json_text`], cut off somewhere behind this many bytes.
    #[must_use]
    pub(crate) fn json_text_within(&self, bytes: usize) -> String {
        let mut out = String::new();
        text::push_json(&mut out, self, true, bytes);
        out
    }

    /// How deep lists and maps may nest before printing and comparing give up.
    pub(crate) const MAX_DEPTH: usize = 600;

    /// How many bytes [`Value::json_text`] writes at most, roughly.
    pub(crate) const MAX_TEXT: usize = 64 << 20;

    /// Equality within containers: types have to agree, so `1` is not `1.0`.
    #[must_use]
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.same_within(other, &Meter::new(4_000_000, std::time::Duration::MAX))
    }

    /// [`Value::same`], paid for; unequal when the budget is used up.
    #[must_use]
    pub(crate) fn same_within(&self, other: &Self, meter: &Meter) -> bool {
        same(self, other, meter, 0)
    }
}

/// Structural, type-strict equality; gives up (unequal) when the budget is used up.
fn same(left: &Value, right: &Value, meter: &Meter, depth: usize) -> bool {
    if depth > Value::MAX_DEPTH || meter.pass(left.heap().min(right.heap())).is_err() {
        return false;
    }
    match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            a.is(b)
                || (a.len() == b.len()
                    && stack::level(|| {
                        a.with(|a| {
                            b.with(|b| a.iter().zip(b).all(|(a, b)| same(a, b, meter, depth + 1)))
                        })
                    }))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.is(b)
                || (a.len() == b.len()
                    && stack::level(|| {
                        a.with(|a| {
                            b.with(|b| {
                                a.iter().all(|(key, value)| {
                                    b.get(key)
                                        .is_some_and(|other| same(value, other, meter, depth + 1))
                                })
                            })
                        })
                    }))
        }
        _ => false,
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Str(value.into())
    }
}

impl From<Text> for Value {
    fn from(value: Text) -> Self {
        Self::Str(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::List(List::new(items))
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

/// A set of value types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Types(u8);

impl Types {
    /// `nil`.
    pub(crate) const NIL: Self = Self(1);
    /// `bool`.
    pub(crate) const BOOL: Self = Self(2);
    /// `int`.
    pub(crate) const INT: Self = Self(4);
    /// `float`.
    pub(crate) const FLOAT: Self = Self(8);
    /// `str`.
    pub(crate) const STR: Self = Self(16);
    /// `list`.
    pub(crate) const LIST: Self = Self(32);
    /// `map`.
    pub(crate) const MAP: Self = Self(64);
    /// Everything but lists and maps.
    pub(crate) const SCALAR: Self = Self(1 | 2 | 4 | 8 | 16);
    /// Everything.
    pub(crate) const ANY: Self = Self(127);
    /// Nothing: the function has no result.
    pub(crate) const NONE: Self = Self(0);

    /// The types of either set.
    #[must_use]
    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every type of `other` is in this set.
    #[must_use]
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the types, such as `int or str`; `any` for all, `nothing` for none.
    #[must_use]
    pub(crate) fn describe(self) -> String {
        if self == Self::ANY {
            return "any".to_owned();
        }
        const NAMES: [&str; 7] = ["nil", "bool", "int", "float", "str", "list", "map"];
        // `nil` reads best at the end: `str or nil`.
        let names: Vec<&str> = (0..7)
            .map(|at| (at + 1) % 7)
            .filter(|at| self.0 & (1 << at) != 0)
            .filter_map(|at| NAMES.get(at).copied())
            .collect();
        match names.split_last() {
            None => "nothing".to_owned(),
            Some((last, [])) => (*last).to_owned(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_small() {
        assert!(size_of::<Value>() <= 24, "{}", size_of::<Value>());
        assert!(size_of::<Option<Value>>() <= 24);
    }

    #[test]
    fn texts_are_canonical() {
        for (value, text) in [
            (Value::Float(1.0), "1"),
            (Value::Float(1e21), "1000000000000000000000"),
            (Value::Float(1e-7), "0.0000001"),
            (Value::Float(f64::INFINITY), "+Inf"),
            (Value::Int(-5), "-5"),
            (Value::Nil, ""),
        ] {
            assert_eq!(value.text(), text);
        }
        let map = Map::new();
        map.insert("b", Value::Float(1e21));
        map.insert("a", Value::from(vec![Value::str("<\u{1}\n"), Value::Nil]));
        assert_eq!(
            Value::Map(map).text(),
            r#"{"a":["\u003c\u0001\n",null],"b":1e+21}"#
        );
    }

    #[test]
    fn knots_and_towers_are_harmless() {
        let list = List::new(vec![Value::Int(1)]);
        list.set(0, Value::List(list.clone()));
        assert_eq!(Value::List(list.clone()).json_text(), "[null]");
        assert!(Value::List(list.clone()).same(&Value::List(list.clone())));
        list.clear();

        let mut tower = Value::Nil;
        for _ in 0..200_000 {
            tower = Value::from(vec![tower]);
        }
        assert!(tower.json_text().len() < 2000);
        drop(tower);
    }

    #[test]
    fn type_sets_read_well() {
        assert_eq!(Types::STR.or(Types::NIL).describe(), "str or nil");
        assert_eq!(Types::INT.or(Types::FLOAT).describe(), "int or float");
        assert_eq!(Types::ANY.describe(), "any");
    }
}
