//! Parameters that several resources take, each with its schema, so that the description and the
//! check are the same thing.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

use kafkamq_point::Category;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::problem::{Kind, Problem};

/// A category of points, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CategoryName(pub(super) Category);

impl<'de> Deserialize<'de> for CategoryName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = Category::ALL.into_iter().find(|known| known.name() == text);
        known
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a category")))
    }
}

impl JsonSchema for CategoryName {
    fn schema_name() -> Cow<'static, str> {
        "Category".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Category::ALL
            .iter()
            .map(|category| category.name())
            .collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

/// Name of a script. Without `.p` at its end it is given one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScriptName(pub(super) String);

impl<'de> Deserialize<'de> for ScriptName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let begins = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !begins || text.len() > 128 || !text.bytes().all(plain) {
            let message = "a name of a script has up to 128 letters, digits, `.`, `_` and `-`";
            return Err(D::Error::custom(message));
        }
        let dot_p = if text.ends_with(".p") { "" } else { ".p" };
        Ok(Self(format!("{text}{dot_p}")))
    }
}

impl JsonSchema for ScriptName {
    fn schema_name() -> Cow<'static, str> {
        "ScriptName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$" })
    }
}

/// A body that is an object. Without this a list would be taken as the values of its fields in
/// order, and an empty one as a request for everything.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyMaps<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMaps<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer
            .deserialize_map(OnlyMaps(PhantomData))
            .map(Self)
    }
}

/// Reads a value that may be absent, but not null.
pub(super) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Whole numbers below this are what they were written as, as floating point numbers too
/// (RFC 8259, section 6).
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a whole number as JSON Schema understands it: `5.0` is one.
pub(super) fn whole<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let from_float = || {
        let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
        (float.abs() < EXACT).then_some(float as i64)
    };
    let whole = number.as_i64().or_else(from_float);
    whole
        .and_then(|whole| T::try_from(whole).ok())
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("`{number}` is not a whole number in range")))
}

/// The value of a parameter, or its default, if it lies in its range.
pub(super) fn within<T: PartialOrd + std::fmt::Display + Copy>(
    name: &str,
    value: Option<T>,
    default: T,
    range: &RangeInclusive<T>,
) -> Result<T, Problem> {
    let value = value.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    let (least, most) = (range.start(), range.end());
    Err(Problem::new(
        Kind::InvalidRequest,
        format!("`{name}` must be between {least} and {most}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_may_be_written_with_a_fraction_of_nothing() {
        let read = |text: &str| whole::<_, i64>(&mut serde_json::Deserializer::from_str(text)).ok();
        assert_eq!(read("5.0"), Some(Some(5)));
        assert_eq!(
            read("9007199254740990.0"),
            Some(Some(9_007_199_254_740_990))
        );
        assert_eq!(read("-7"), Some(Some(-7)));
        assert_eq!(read("null"), Some(None));
        for wrong in ["5.5", "9007199254740993.0", "1e300", "\"5\""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
