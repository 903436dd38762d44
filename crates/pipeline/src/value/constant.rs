//! Values without shared state: literals, defaults, and what outlives a run.

use std::sync::Arc;

use kafkamq_point::Text;

use super::{List, Map, Types, Value};
use crate::stack;

/// An immutable value that threads may share, such as a literal or a cached result.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Constant {
    /// `nil`.
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
    /// A list, shared by all runs.
    List(Arc<[Constant]>),
    /// A map, in insertion order.
    Map(Arc<[(Text, Constant)]>),
}

impl Constant {
    /// A fresh script value; lists and maps are built anew each time.
    #[must_use]
    pub fn value(&self) -> Value {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Int(number) => Value::Int(*number),
            Self::Float(number) => Value::Float(*number),
            Self::Str(text) => Value::Str(text.clone()),
            Self::List(items) => {
                stack::level(|| Value::List(List::new(items.iter().map(Self::value).collect())))
            }
            Self::Map(pairs) => stack::level(|| {
                let map = Map::new();
                for (key, value) in pairs.iter() {
                    map.insert(key.clone(), value.value());
                }
                Value::Map(map)
            }),
        }
    }

    /// A deep copy of a script value. Nesting beyond `Value::MAX_DEPTH` and references back to
    /// an enclosing container become `nil`, and so does what takes more than 64 MiB.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        let mut room = 64 << 20;
        Self::copy(value, 0, &mut room)
    }

    /// [`Constant::of`], `None` if it takes more than this many bytes.
    pub(crate) fn within(value: &Value, bytes: usize) -> Option<Self> {
        let mut room = bytes;
        let copy = Self::copy(value, 0, &mut room);
        (room > 0).then_some(copy)
    }

    fn copy(value: &Value, depth: usize, room: &mut usize) -> Self {
        *room = room.saturating_sub(2 * size_of::<Self>() + value.heap());
        if depth > Value::MAX_DEPTH || *room == 0 {
            return Self::Nil;
        }
        match value {
            Value::Nil => Self::Nil,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Int(number) => Self::Int(*number),
            Value::Float(number) => Self::Float(*number),
            Value::Str(text) => Self::Str(text.clone()),
            Value::List(_) | Value::Map(_) => {
                stack::level(|| Self::copy_container(value, depth, room))
            }
        }
    }

    fn copy_container(value: &Value, depth: usize, room: &mut usize) -> Self {
        match value {
            Value::List(list) => list.with(|items| {
                let mut copies = Vec::new();
                for item in items {
                    if *room == 0 {
                        break;
                    }
                    copies.push(Self::copy(item, depth + 1, room));
                }
                Self::List(copies.into())
            }),
            Value::Map(map) => map.with(|entries| {
                let mut copies = Vec::new();
                for (key, value) in entries.iter() {
                    *room = room.saturating_sub(key.len());
                    if *room == 0 {
                        break;
                    }
                    copies.push((key.clone(), Self::copy(value, depth + 1, room)));
                }
                Self::Map(copies.into())
            }),
            _ => Self::Nil,
        }
    }

    /// The bytes this takes beyond its own size.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let each = size_of::<Self>();
        match self {
            Self::Str(text) => text.len(),
            Self::List(items) => {
                stack::level(|| items.iter().map(|item| each + item.bytes()).sum())
            }
            Self::Map(pairs) => stack::level(|| {
                pairs
                    .iter()
                    .map(|(key, value)| 2 * each + key.len() + value.bytes())
                    .sum()
            }),
            _ => 0,
        }
    }

    /// The set that holds exactly this constant's type.
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

    /// The text of a string.
    #[must_use]
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an int.
    #[must_use]
    pub(crate) const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value of a bool.
    #[must_use]
    pub(crate) const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }
}
