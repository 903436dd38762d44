//! One value to several elements, cut out of the original bytes: nothing is decoded and encoded
//! again, so an element is byte for byte what its producer wrote.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use kafkamq_settings::SplitFormat;

/// Why a value cannot be split.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// Text that is not UTF-8 is not JSON.
    #[error("the value is not UTF-8 text")]
    NotText,
    /// The value, or what the pointer names, is no JSON array.
    #[error("not a JSON array: {0}")]
    NotAnArray(serde_json::Error),
    /// A part of the pointer is not there.
    #[error("nothing at `{0}` of the JSON pointer")]
    NothingThere(String),
    /// A line is no JSON value.
    #[error("line {line} is not JSON: {error}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        error: serde_json::Error,
    },
}

/// Cuts `value` into its elements, in order.
///
/// # Errors
/// When the value does not have the format.
pub fn split<'a>(value: &'a [u8], format: &SplitFormat) -> Result<Vec<&'a str>, SplitError> {
    let text = std::str::from_utf8(value).map_err(|_| SplitError::NotText)?;
    match format {
        SplitFormat::JsonArray { pointer } => array(descend(text, pointer)?),
        SplitFormat::NdJson => lines(text),
    }
}

fn array(text: &str) -> Result<Vec<&str>, SplitError> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(SplitError::NotAnArray)?;
    Ok(elements.into_iter().map(RawValue::get).collect())
}

/// The text at a JSON pointer (RFC 6901).
fn descend<'a>(text: &'a str, pointer: &str) -> Result<&'a str, SplitError> {
    let Some(path) = pointer.strip_prefix('/') else {
        return Ok(text);
    };
    let mut here = text;
    for token in path.split('/') {
        let key = token.replace("~1", "/").replace("~0", "~");
        let nothing = || SplitError::NothingThere(key.clone());
        here = if here.trim_start().starts_with('[') {
            let at: usize = key.parse().map_err(|_| nothing())?;
            array(here)?.get(at).copied().ok_or_else(nothing)?
        } else {
            let members: HashMap<Cow<'a, str>, &'a RawValue> =
                serde_json::from_str(here).map_err(|_| nothing())?;
            members
                .get(key.as_str())
                .map(|member| member.get())
                .ok_or_else(nothing)?
        };
    }
    Ok(here)
}

fn lines(text: &str) -> Result<Vec<&str>, SplitError> {
    let mut elements = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let _: &RawValue = serde_json::from_str(line).map_err(|error| SplitError::Line {
            line: index + 1,
            error,
        })?;
        elements.push(line);
    }
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json_array(pointer: &str) -> SplitFormat {
        SplitFormat::JsonArray {
            pointer: pointer.into(),
        }
    }

    #[test]
    fn elements_are_the_producers_bytes() {
        let value = br#" [ {"b":1,"a":9007199254740993, "h":"<&>"} , "text" ,null,[1, 2] ] "#;
        assert_eq!(
            split(value, &json_array("")).unwrap(),
            [
                r#"{"b":1,"a":9007199254740993, "h":"<&>"}"#,
                r#""text""#,
                "null",
                "[1, 2]"
            ]
        );
        assert!(split(b"[]", &json_array("")).unwrap().is_empty());
    }

    #[test]
    fn a_pointer_leads_into_objects_and_arrays() {
        let value = br#"{"meta":0,"a/b":[{"records":[1,{"x":2}]}]}"#;
        assert_eq!(
            split(value, &json_array("/a~1b/0/records")).unwrap(),
            ["1", r#"{"x":2}"#]
        );
        assert!(matches!(
            split(value, &json_array("/none")),
            Err(SplitError::NothingThere(key)) if key == "none"
        ));
    }

    #[test]
    fn lines_are_values_of_their_own() {
        assert_eq!(
            split(b"{\"a\":1}\r\n\n[2]\n", &SplitFormat::NdJson).unwrap(),
            ["{\"a\":1}", "[2]"]
        );
        let error = split(b"1\n{", &SplitFormat::NdJson).unwrap_err();
        assert!(matches!(error, SplitError::Line { line: 2, .. }));
    }

    #[test]
    fn what_is_no_array_is_an_error() {
        for value in [&b"{}"[..], b"", b"[1", b"\xff", b"[1] x"] {
            assert!(split(value, &json_array("")).is_err());
        }
    }

    proptest! {
        /// Joining the elements again gives the same array.
        #[test]
        fn splitting_loses_nothing(elements in prop::collection::vec("[a-z\"\\\\{}\u{e9}]{0,8}", 0..20)) {
            let value = serde_json::to_string(&elements).unwrap();
            let parts = split(value.as_bytes(), &json_array("")).unwrap();
            prop_assert_eq!(format!("[{}]", parts.join(",")), value);
        }
    }
}
