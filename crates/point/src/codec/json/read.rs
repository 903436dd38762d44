//! JSON arrays to points.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::{Deserialize, Deserializer};

use crate::codec::error::{DecodeError, DecodeErrors, Fault, Position};
use crate::codec::{DecodeOptions, base64, json};
use crate::point::Entry;
use crate::{Point, Text, Value};

/// Reads a body: an array whose elements are simple or protobuf-style objects, told apart by `fields`,
/// which is an object in one and an array in the other.
///
/// Simple objects hold floats for numbers, and nil for objects and lists of several types, whose
/// meaning the format leaves open. An element without measurement gets an empty one, which the
/// construction rules replace. Names of members are read in any case, of several with one name the
/// last counts, and what is not Unicode is replaced: other writers of this format do all of that.
///
/// # Errors
/// The first fault with its line and column.
pub fn decode(body: &[u8], options: &DecodeOptions) -> Result<Vec<Point>, DecodeErrors> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let body = mended(body);
    let mut reader = serde_json::Deserializer::from_slice(&body);
    let points = Points(options)
        .deserialize(&mut reader)
        .and_then(|points| reader.end().map(|()| points));
    points.map_err(|error| fault(&error))
}

/// Reads one element of a body.
pub(in crate::codec) fn decode_one(
    element: &[u8],
    options: &DecodeOptions,
) -> Result<Point, Fault> {
    let element = mended(element);
    let element: Element =
        serde_json::from_slice(&element).map_err(|error| Fault::Json(error.to_string()))?;
    element.point(options)
}

/// What the JSON library says, with its position.
pub(in crate::codec) fn fault(error: &serde_json::Error) -> DecodeErrors {
    let text = error.to_string();
    // The library repeats the position at the end of its text.
    let (cause, _) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
    DecodeError {
        position: Position::Text {
            line: error.line(),
            // Faults of the first token are reported before it is consumed.
            column: error.column().max(1),
        },
        fault: Fault::Json(cause.to_owned()),
    }
    .into()
}

/// `text` with U+FFFD for bytes that are not UTF-8 and for halves of surrogate pairs.
fn mended(text: &[u8]) -> Cow<'_, [u8]> {
    let mut text = match String::from_utf8_lossy(text) {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        let half = |at: usize| surrogate(text.get(at..).unwrap_or_default());
        match (half(at), half(at + 6)) {
            (Some(Half::High), Some(Half::Low)) => at += 12,
            (Some(_), _) => {
                if let Some(digits) = text.to_mut().get_mut(at + 2..at + 6) {
                    digits.copy_from_slice(b"fffd");
                }
                at += 6;
            }
            // Another escape, of which the second character is not the start of one.
            (None, _) => at += 2,
        }
    }
    text
}

enum Half {
    High,
    Low,
}

/// The half of a surrogate pair that `text` begins with as an escape.
fn surrogate(text: &[u8]) -> Option<Half> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    match [
        digits.first()?.to_ascii_lowercase(),
        digits.get(1)?.to_ascii_lowercase(),
    ] {
        [b'd', b'8' | b'9' | b'a' | b'b'] => Some(Half::High),
        [b'd', b'c' | b'd' | b'e' | b'f'] => Some(Half::Low),
        _ => None,
    }
}

struct Points<'o>(&'o DecodeOptions);

impl<'de> DeserializeSeed<'de> for Points<'_> {
    type Value = Vec<Point>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Points<'_> {
    type Value = Vec<Point>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of points")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut points = Vec::new();
        while let Some(element) = elements.next_element::<Element>()? {
            points.push(element.point(self.0).map_err(A::Error::custom)?);
        }
        Ok(points)
    }
}

/// An object of either form.
#[derive(Default)]
struct Element {
    measurement: Option<Text>,
    name: Option<Text>,
    tags: Option<Tags>,
    fields: Option<Fields>,
    time: Option<Int<i64>>,
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Element;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a point")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
                let mut element = Element::default();
                while let Some(member) = map.next_key::<Text>()? {
                    let is = |name: &str| member.eq_ignore_ascii_case(name);
                    if is("measurement") {
                        element.measurement = map.next_value()?;
                    } else if is("name") {
                        element.name = map.next_value()?;
                    } else if is("tags") {
                        element.tags = map.next_value()?;
                    } else if is("fields") {
                        element.fields = map.next_value()?;
                    } else if is("time") {
                        element.time = map.next_value()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(element)
            }
        }
        reader.deserialize_map(Object)
    }
}

impl Element {
    fn point(self, options: &DecodeOptions) -> Result<Point, Fault> {
        let time = self.time.map_or(0, |Int(time)| time);
        let is_pb = match &self.fields {
            Some(fields) => matches!(fields, Fields::List(_)),
            None => self.name.is_some() && self.measurement.is_none() && self.tags.is_none(),
        };
        let time_ns = if time != 0 && is_pb {
            time
        } else {
            options
                .time_ns(time)
                .ok_or_else(|| Fault::InvalidTime(itoa::Buffer::new().format(time).into()))?
        };
        let mut entries = self.tags.map(|Tags(tags)| tags).unwrap_or_default();
        if let Some(Fields::Map(fields) | Fields::List(fields)) = self.fields {
            entries.extend(fields);
        }
        let name = if is_pb {
            self.name.or(self.measurement)
        } else {
            self.measurement.or(self.name)
        };
        let name = name.unwrap_or_default();
        let point = match is_pb {
            true => Point::from_entries,
            false => Point::from_tags_and_fields,
        };
        Ok(point(name, options.category, time_ns, entries))
    }
}

struct Tags(Vec<Entry>);

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Tags;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tags, A::Error> {
                let mut tags = Vec::new();
                while let Some((key, text)) = map.next_entry::<Text, Option<Text>>()? {
                    let text = text.unwrap_or_default();
                    tags.push(Entry {
                        key,
                        value: Value::Str(text),
                        tag: true,
                    });
                }
                Ok(Tags(tags))
            }
        }
        reader.deserialize_map(Object)
    }
}

/// The fields of an element in the form that tells what the element is.
enum Fields {
    Map(Vec<Entry>),
    List(Vec<Entry>),
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or an array of fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some((key, Simple(value))) = map.next_entry()? {
                    fields.push(Entry {
                        key,
                        value,
                        tag: false,
                    });
                }
                Ok(Fields::Map(fields))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = list.next_element::<PbField>()? {
                    fields.push(field.entry());
                }
                Ok(Fields::List(fields))
            }
        }
        reader.deserialize_any(Either)
    }
}

/// A field value of a simple object.
struct Simple(Value);

impl<'de> Deserialize<'de> for Simple {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Any;
        #[expect(clippy::cast_precision_loss, reason = "the format has floats only")]
        impl<'de> Visitor<'de> for Any {
            type Value = Simple;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Simple, E> {
                Ok(Simple(Value::Bool(value)))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Simple, E> {
                Ok(Simple(Value::Float(number as f64)))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Simple, E> {
                Ok(Simple(Value::Float(number as f64)))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Simple, E> {
                Ok(Simple(Value::Float(number)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Simple, E> {
                Ok(Simple(Value::Str(text.into())))
            }

            fn visit_unit<E>(self) -> Result<Simple, E> {
                Ok(Simple(Value::Nil))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Simple, A::Error> {
                let mut values = Vec::new();
                while let Some(Simple(value)) = list.next_element()? {
                    values.push(value);
                }
                Ok(Simple(if Value::is_uniform(&values) {
                    Value::Array(values.into())
                } else {
                    Value::Nil
                }))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Simple, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Simple(Value::Nil))
            }
        }
        reader.deserialize_any(Any)
    }
}

/// A field of a protobuf-style object.
#[derive(Deserialize)]
#[serde(expecting = "a field")]
struct PbField {
    #[serde(default)]
    key: Text,
    i: Option<Int<i64>>,
    u: Option<Int<u64>>,
    f: Option<Float>,
    b: Option<bool>,
    d: Option<Binary>,
    s: Option<Text>,
    a: Option<PbArray>,
    #[serde(default, alias = "isTag")]
    is_tag: bool,
}

impl PbField {
    fn entry(self) -> Entry {
        let value = first_scalar(self.i, self.u, self.f, self.b, self.d, self.s)
            .or_else(|| Some(self.a?.value()))
            .unwrap_or_default();
        Entry {
            key: self.key,
            // Only text can be a tag.
            tag: self.is_tag && matches!(value, Value::Str(_)),
            value,
        }
    }
}

#[derive(Deserialize)]
#[serde(expecting = "an array value")]
struct PbArray {
    #[serde(default)]
    arr: Vec<PbScalar>,
}

impl PbArray {
    fn value(self) -> Value {
        let scalar = |PbScalar { i, u, f, b, d, s }| first_scalar(i, u, f, b, d, s);
        let values = self.arr.into_iter().map(|x| scalar(x).unwrap_or_default());
        Value::array_or_text(values.collect())
    }
}

#[derive(Deserialize)]
#[serde(expecting = "an array element")]
struct PbScalar {
    i: Option<Int<i64>>,
    u: Option<Int<u64>>,
    f: Option<Float>,
    b: Option<bool>,
    d: Option<Binary>,
    s: Option<Text>,
}

fn first_scalar(
    i: Option<Int<i64>>,
    u: Option<Int<u64>>,
    f: Option<Float>,
    b: Option<bool>,
    d: Option<Binary>,
    s: Option<Text>,
) -> Option<Value> {
    let int = i.map(|Int(number)| Value::Int(number));
    int.or_else(|| u.map(|Int(number)| Value::Uint(number)))
        .or_else(|| f.map(|Float(number)| Value::Float(number)))
        .or_else(|| b.map(Value::Bool))
        .or_else(|| d.map(|Binary(bytes)| Value::Bytes(bytes)))
        .or_else(|| s.map(Value::Str))
}

impl Value {
    /// An array, or the JSON text of values that are not of one type.
    pub(in crate::codec) fn array_or_text(values: Vec<Self>) -> Self {
        if Self::is_uniform(&values) {
            return Self::Array(values.into());
        }
        let mut text = Vec::new();
        json::push_array(&mut text, &values);
        Self::Str(Text::from_utf8_lossy(&text))
    }
}

/// A 64-bit integer as number or as text.
struct Int<T>(T);

impl<'de, T> Deserialize<'de> for Int<T>
where
    T: TryFrom<i64> + TryFrom<u64> + std::str::FromStr,
{
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Any<T>(std::marker::PhantomData<T>);
        impl<T> Visitor<'_> for Any<T>
        where
            T: TryFrom<i64> + TryFrom<u64> + std::str::FromStr,
        {
            type Value = Int<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit integer")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Int<T>, E> {
                let error = || E::invalid_value(Unexpected::Signed(number), &self);
                T::try_from(number).map(Int).map_err(|_| error())
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Int<T>, E> {
                let error = || E::invalid_value(Unexpected::Unsigned(number), &self);
                T::try_from(number).map(Int).map_err(|_| error())
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Int<T>, E> {
                let error = |_| E::invalid_value(Unexpected::Str(text), &self);
                text.parse().map(Int).map_err(error)
            }
        }
        reader.deserialize_any(Any(std::marker::PhantomData))
    }
}

/// A float as number, as text or as the name of what numbers cannot say.
struct Float(f64);

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Any;
        #[expect(clippy::cast_precision_loss, reason = "the field is a float")]
        impl Visitor<'_> for Any {
            type Value = Float;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a float")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Float, E> {
                Ok(Float(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Float, E> {
                Ok(Float(number as f64))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Float, E> {
                Ok(Float(number))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Float, E> {
                // The standard parser knows the three names `NaN`, `Infinity` and `-Infinity` too.
                let error = |_| E::invalid_value(Unexpected::Str(text), &self);
                text.parse().map(Float).map_err(error)
            }
        }
        reader.deserialize_any(Any)
    }
}

struct Binary(Box<[u8]>);

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(reader)?;
        base64::decode_any(text.as_bytes())
            .map(Binary)
            .ok_or_else(|| D::Error::custom("invalid base64 in a binary value"))
    }
}

#[cfg(test)]
mod tests;
