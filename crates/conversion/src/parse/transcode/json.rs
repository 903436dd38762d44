//! The protobuf mapping of JSON, as far as `serde` needs help with it: 64-bit integers that are
//! numbers or strings, floats with names, bytes in base64 or hexadecimal, `null` for "not there".

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer};

use super::TranscodeError;

/// Reads a message.
///
/// # Errors
/// A value that is not a JSON object of this message. `serde` would accept a list, which is not one.
pub(super) fn message<T: DeserializeOwned>(value: &[u8]) -> Result<T, TranscodeError> {
    if !is_object(value) {
        return Err(TranscodeError::NotAnObject);
    }
    serde_json::from_slice(value).map_err(TranscodeError::Json)
}

/// Whether a value begins like a JSON object.
pub(super) fn is_object(value: &[u8]) -> bool {
    value.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// What is absent for `null`: the default of the type.
pub(super) fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// An integer, given as a number or as text.
pub(super) struct Int<T>(T);

impl<'de, T: TryFrom<i128>> Deserialize<'de> for Int<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Seen<T>(PhantomData<T>);

        impl<T: TryFrom<i128>> Seen<T> {
            fn fit<E: Error>(value: i128) -> Result<Int<T>, E> {
                T::try_from(value)
                    .map(Int)
                    .map_err(|_| E::custom(format_args!("{value} is out of range")))
            }
        }

        impl<T: TryFrom<i128>> Visitor<'_> for Seen<T> {
            type Value = Int<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer, as a number or as text")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
                Self::fit(value.into())
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
                Self::fit(value.into())
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
                // The cast saturates, which `fit` then refuses for every type in use.
                match value.fract() == 0.0 {
                    true => Self::fit(value as i128),
                    false => Err(E::custom(format_args!("{value} is not an integer"))),
                }
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
                let number = value.trim().parse::<i128>();
                Self::fit(
                    number.map_err(|_| E::custom(format_args!("`{value}` is not an integer")))?,
                )
            }
        }

        from.deserialize_any(Seen(PhantomData))
    }
}

/// A float, given as a number or as text such as `NaN` and `-Infinity`.
pub(super) struct Float(f64);

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Seen;

        impl Visitor<'_> for Seen {
            type Value = Float;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, as a number or as text")
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Float(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Float(value as f64))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Float(value as f64))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
                // Rust reads the names of the mapping, too.
                let number = value.trim().parse().map(Float);
                number.map_err(|_| E::custom(format_args!("`{value}` is not a number")))
            }
        }

        from.deserialize_any(Seen)
    }
}

/// An integer; `null` is 0.
pub(super) fn int<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i128> + Default,
{
    optional_int(from).map(Option::unwrap_or_default)
}

/// An integer, or none for `null`.
pub(super) fn optional_int<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i128>,
{
    let value = Option::<Int<T>>::deserialize(from)?;
    Ok(value.map(|Int(value)| value))
}

/// A list of integers.
pub(super) fn ints<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i128>,
{
    let values = Option::<Vec<Int<T>>>::deserialize(from)?.unwrap_or_default();
    Ok(values.into_iter().map(|Int(value)| value).collect())
}

/// A float; `null` is 0.
pub(super) fn float<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    optional_float(from).map(Option::unwrap_or_default)
}

/// A float, or none for `null`.
pub(super) fn optional_float<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let value = Option::<Float>::deserialize(from)?;
    Ok(value.map(|Float(value)| value))
}

/// A list of floats.
pub(super) fn floats<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let values = Option::<Vec<Float>>::deserialize(from)?.unwrap_or_default();
    Ok(values.into_iter().map(|Float(value)| value).collect())
}

/// Bytes in hexadecimal, upper or lower case.
pub(super) fn hex<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(from)?.unwrap_or_default();
    read_hex(&text).ok_or_else(|| D::Error::custom(format_args!("`{text}` is not hexadecimal")))
}

/// Bytes in base64.
pub(super) fn base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    optional_base64(from).map(Option::unwrap_or_default)
}

/// Bytes in base64, or none for `null`.
pub(super) fn optional_base64<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Vec<u8>>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| {
        read_base64(&text).ok_or_else(|| D::Error::custom(format_args!("`{text}` is not base64")))
    })
    .transpose()
}

fn read_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}

/// Standard or URL alphabet, padded or not: readers of the mapping take all four.
fn read_base64(text: &str) -> Option<Vec<u8>> {
    let bare: Vec<u8> = text
        .trim_end_matches('=')
        .bytes()
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        })
        .collect();
    base64_simd::STANDARD_NO_PAD.decode_to_vec(bare).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Every {
        #[serde(deserialize_with = "int")]
        int: i64,
        #[serde(deserialize_with = "int")]
        small: u32,
        #[serde(deserialize_with = "optional_float")]
        float: Option<f64>,
        #[serde(deserialize_with = "ints")]
        ints: Vec<u64>,
        #[serde(deserialize_with = "floats")]
        floats: Vec<f64>,
        #[serde(deserialize_with = "hex")]
        hex: Vec<u8>,
        #[serde(deserialize_with = "base64")]
        base64: Vec<u8>,
    }

    fn read(text: &str) -> Result<Every, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn numbers_may_be_text_and_null_is_nothing() {
        let every = read(
            r#"{"int":"-9223372036854775808","small":7.0,"float":"-Infinity",
                "ints":[1,"18446744073709551615"],"floats":[1,"2.5",3e0],"hex":"00aAFf"}"#,
        )
        .unwrap();
        let expected = Every {
            int: i64::MIN,
            small: 7,
            float: Some(f64::NEG_INFINITY),
            ints: vec![1, u64::MAX],
            floats: vec![1.0, 2.5, 3.0],
            hex: vec![0, 0xAA, 0xFF],
            base64: Vec::new(),
        };
        assert_eq!(every, expected);
        let nulls = r#"{"int":null,"small":null,"float":null,"ints":null,"floats":null,"hex":null,"base64":null}"#;
        assert_eq!(read(nulls).unwrap(), Every::default());
    }

    #[test]
    fn base64_comes_in_four_kinds() {
        for text in ["+/8=", "+/8", "-_8=", "-_8"] {
            let every = read(&format!(r#"{{"base64":"{text}"}}"#)).unwrap();
            assert_eq!(every.base64, [0xFB, 0xFF], "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for text in [
            r#"{"small":-1}"#,
            r#"{"small":1.5}"#,
            r#"{"small":1e300}"#,
            r#"{"int":"9223372036854775808"}"#,
            r#"{"int":"twelve"}"#,
            r#"{"hex":"abc"}"#,
            r#"{"hex":"+1"}"#,
            r#"{"base64":"a"}"#,
            r#"{"base64":"a b="}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
