//! One value to several elements, cut out of the original bytes: nothing is decoded and encoded
//! again, so an element is byte for byte what its producer wrote.
//!
//! A value is checked as a whole first; then its elements come one after the other, so that what is
//! made of one can be sent before the next is looked at. A byte order mark in front of the value is
//! not part of it, and bytes that are not UTF-8 do not keep a value from being split: whoever reads
//! an element as text replaces them.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use kafkamq_settings::SplitFormat;

use kafkamq_point::codec::json::{value_end, without_space};

/// Why a value cannot be split.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// The value, or what the pointer names, is not a JSON array.
    #[error("not a JSON array: {0}")]
    NotAnArray(serde_json::Error),
    /// A part of the pointer is not there.
    #[error("nothing at `{0}` of the JSON pointer")]
    NothingThere(String),
    /// A line is not a JSON value.
    #[error("line {line} is not JSON: {error}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        error: serde_json::Error,
    },
}

/// Elements of an array whose places are kept from the check, which is what most arrays hold; those
/// behind them are sought again. A record that waits for memory holds no more than this.
const KNOWN: usize = 256;

/// The elements of a value, in order, between one and the next. It does not hold the value.
#[derive(Debug, Clone, Default)]
pub struct Elements {
    /// Where the next element is sought.
    at: usize,
    /// How many elements there were before it.
    number: u32,
    lines: bool,
    /// Begin and end of the first elements.
    known: Vec<(usize, usize)>,
}

impl Elements {
    /// Checks `value` and finds its first element.
    ///
    /// # Errors
    /// When the value does not have the format.
    pub fn of(value: &[u8], format: &SplitFormat) -> Result<Self, SplitError> {
        let text = without_mark(value);
        let mark = value.len() - text.len();
        match format {
            SplitFormat::JsonArray { pointer } => {
                if pointer.is_empty()
                    && let Some(known) = places(text, mark)
                {
                    // What comes after the known ones is sought where the last of them ends.
                    let at = if known.is_empty() { value.len() } else { 0 };
                    return Ok(Self {
                        at,
                        known,
                        ..Self::default()
                    });
                }
                let at = mark + array(text, pointer)?;
                Ok(Self {
                    at,
                    ..Self::default()
                })
            }
            SplitFormat::NdJson => {
                check_lines(text)?;
                Ok(Self {
                    at: mark,
                    lines: true,
                    ..Self::default()
                })
            }
        }
    }

    /// How many elements there were before the next one.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The next element of `value`, which is the one that was checked.
    pub fn next<'a>(&mut self, value: &'a [u8]) -> Option<&'a [u8]> {
        let known = self.known.get(self.number as usize).copied();
        let element = match (known, self.lines) {
            (Some((begin, end)), _) => {
                self.at = behind(value, end);
                value.get(begin..end)
            }
            (None, true) => self.next_line(value),
            (None, false) => self.next_of_array(value),
        };
        let one = u32::from(element.is_some());
        self.number = self.number.saturating_add(one);
        element
    }

    /// All elements of `value` from the next one on.
    pub fn all(mut self, value: &[u8]) -> impl Iterator<Item = &[u8]> {
        std::iter::from_fn(move || self.next(value))
    }

    fn next_of_array<'a>(&mut self, value: &'a [u8]) -> Option<&'a [u8]> {
        let rest = value.get(self.at..)?;
        let element = without_space(rest);
        if matches!(element.first(), None | Some(b']')) {
            self.at = value.len();
            return None;
        }
        let begin = value.len() - element.len();
        let end = begin + value_end(element)?;
        self.at = behind(value, end);
        value.get(begin..end)
    }

    fn next_line<'a>(&mut self, value: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            let rest = value.get(self.at..).filter(|rest| !rest.is_empty())?;
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            self.at = (self.at + end + 1).min(value.len());
            let line = rest.get(..end)?.trim_ascii();
            if !line.is_empty() {
                return Some(line);
            }
        }
    }
}

/// Where the element after the one that ends at `end` is sought.
fn behind(value: &[u8], end: usize) -> usize {
    let rest = without_space(value.get(end..).unwrap_or_default());
    match rest.first() {
        Some(b',') => value.len() - rest.len() + 1,
        _ => value.len(),
    }
}

/// Checks an array of which every element is text, in one pass that also finds where the first
/// [`KNOWN`] elements lie, counted from `mark` bytes before `text`; `None` where it is anything else.
fn places(text: &[u8], mark: usize) -> Option<Vec<(usize, usize)>> {
    struct Places(usize);

    impl<'de> Visitor<'de> for Places {
        type Value = Vec<(usize, usize)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut known = Vec::new();
            while known.len() < KNOWN {
                let Some(element) = seq.next_element::<&RawValue>()? else {
                    return Ok(known);
                };
                let text = element.get();
                let begin = (text.as_ptr() as usize).wrapping_sub(self.0);
                known.push((begin, begin.wrapping_add(text.len())));
            }
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(known)
        }
    }

    let mut from = serde_json::Deserializer::from_slice(text);
    let begin = (text.as_ptr() as usize).wrapping_sub(mark);
    let known = from.deserialize_seq(Places(begin)).ok()?;
    from.end().ok()?;
    Some(known)
}

/// `text` without a byte order mark in front.
#[must_use]
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// A value that splits into `element` alone: what is sent again when only that element is.
#[must_use]
pub fn wrapped(element: &[u8], format: &SplitFormat) -> Vec<u8> {
    let SplitFormat::JsonArray { pointer } = format else {
        return element.to_vec();
    };
    let mut value = [b"[", element, b"]"].concat();
    let path = pointer.strip_prefix('/').into_iter();
    for token in path.flat_map(|path| path.split('/')).rev() {
        let key = serde_json::Value::from(unescaped(token)).to_string();
        value = [b"{", key.as_bytes(), b":", &value, b"}"].concat();
    }
    value
}

/// Where the first element of the array at `pointer` begins in `text`.
fn array(text: &[u8], pointer: &str) -> Result<usize, SplitError> {
    let _: IgnoredAny = serde_json::from_slice(text).map_err(SplitError::NotAnArray)?;
    let mut here = without_space(text);
    if let Some(path) = pointer.strip_prefix('/') {
        // RFC 6901.
        for token in path.split('/') {
            let key = unescaped(token);
            here = descend(here, &key).ok_or(SplitError::NothingThere(key))?;
        }
    }
    if here.first() != Some(&b'[') {
        let end = value_end(here).unwrap_or(here.len());
        let found = here.get(..end).unwrap_or_default();
        let error = serde_json::from_slice::<Vec<IgnoredAny>>(found).err();
        return error.map_or(Ok(text.len()), |error| Err(SplitError::NotAnArray(error)));
    }
    Ok(text.len() - here.len() + 1)
}

fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// The value of a member or element of `here`, up to the end of the text.
fn descend<'a>(here: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut found = None;
    match here.first()? {
        b'[' => {
            let mut elements = Elements {
                at: 1,
                ..Elements::default()
            }
            .all(here);
            let element = elements.nth(key.parse().ok()?)?;
            let start = element.as_ptr() as usize - here.as_ptr() as usize;
            return here.get(start..);
        }
        b'{' => {
            let mut rest = without_space(here.get(1..)?);
            while rest.first() == Some(&b'"') {
                let end = value_end(rest)?;
                let name = String::from_utf8_lossy(rest.get(..end)?);
                let name: String = serde_json::from_str(&name).unwrap_or_default();
                let value = without_space(rest.get(end..)?).strip_prefix(b":")?;
                let value = without_space(value);
                if name == key {
                    // Of several members with one name the last counts.
                    found = Some(value);
                }
                let behind = without_space(value.get(value_end(value)?..)?);
                rest = without_space(behind.strip_prefix(b",").unwrap_or_default());
            }
        }
        _ => {}
    }
    found
}

fn check_lines(text: &[u8]) -> Result<(), SplitError> {
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let _: IgnoredAny = serde_json::from_slice(line).map_err(|error| SplitError::Line {
            line: index + 1,
            error,
        })?;
    }
    Ok(())
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

    fn split<'a>(value: &'a [u8], format: &SplitFormat) -> Result<Vec<&'a str>, SplitError> {
        let elements = Elements::of(value, format)?;
        Ok(elements
            .all(value)
            .map(|element| std::str::from_utf8(element).unwrap())
            .collect())
    }

    #[test]
    fn elements_are_the_producers_bytes() {
        let value = br#" [ {"b":1,"a":9007199254740993, "h":"<&>]\""} , "text" ,null,[1, 2] ] "#;
        assert_eq!(
            split(value, &json_array("")).unwrap(),
            [
                r#"{"b":1,"a":9007199254740993, "h":"<&>]\""}"#,
                r#""text""#,
                "null",
                "[1, 2]"
            ]
        );
        assert!(split(b"[]", &json_array("")).unwrap().is_empty());
        assert!(split(b" [ ] ", &json_array("")).unwrap().is_empty());
    }

    #[test]
    fn a_pointer_leads_into_objects_and_arrays() {
        let value = br#"{"meta":0,"a/b":[{"records":[1,{"x":2}]}], "a/b" : [ {"records":[3, {"x":4} ]} ] }"#;
        assert_eq!(
            split(value, &json_array("/a~1b/0/records")).unwrap(),
            ["3", r#"{"x":4}"#]
        );
        assert!(matches!(
            split(value, &json_array("/none")),
            Err(SplitError::NothingThere(key)) if key == "none"
        ));
        assert!(matches!(
            split(value, &json_array("/meta")),
            Err(SplitError::NotAnArray(_))
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
    fn what_is_not_an_array_is_an_error() {
        for value in [&b"{}"[..], b"", b"[1", b"\xff", b"[1] x", b"[1,]", b"5"] {
            assert!(split(value, &json_array("")).is_err());
        }
    }

    #[test]
    fn a_byte_order_mark_and_bytes_that_are_not_text_do_not_keep_a_value_from_being_split() {
        let value = b"\xef\xbb\xbf[\"a\xff\", {\"\xe9\":1}]";
        let elements: Vec<_> = Elements::of(value, &json_array(""))
            .unwrap()
            .all(value)
            .collect();
        assert_eq!(elements, [&b"\"a\xff\""[..], b"{\"\xe9\":1}"]);
        let value = b"\xef\xbb\xbf1\n\"\xff\"";
        let lines = Elements::of(value, &SplitFormat::NdJson).unwrap();
        assert_eq!(lines.all(value).count(), 2);
    }

    #[test]
    fn an_element_by_itself_splits_into_itself() {
        for pointer in ["", "/a~1b/0/\"records"] {
            let format = json_array(pointer);
            let value = wrapped(b"{\"x\": 1}", &format);
            assert_eq!(split(&value, &format).unwrap(), ["{\"x\": 1}"]);
        }
        assert_eq!(wrapped(b"{}", &SplitFormat::NdJson), b"{}");
    }

    proptest! {
        /// Joining the elements again gives the same array, however many there are, and whether or
        /// not the bytes are text, which decides how they are found.
        #[test]
        fn splitting_loses_nothing(
            elements in prop::collection::vec("[a-z\"\\\\{}\\[\\],\u{e9}]{0,8}", 0..20),
            repeated in 1usize..40,
            is_text: bool,
        ) {
            let elements: Vec<_> = elements.iter().cycle().take(elements.len() * repeated).collect();
            let mut value = serde_json::to_vec(&elements).unwrap();
            if !is_text {
                value.splice(1..1, *b"\"\xff\",");
                if elements.is_empty() {
                    value = b"[\"\xff\"]".to_vec();
                }
            }
            let mut found = Elements::of(&value, &json_array("")).unwrap();
            let mut parts = Vec::new();
            while let Some(part) = found.next(&value) {
                parts.push(part);
                prop_assert_eq!(found.number() as usize, parts.len());
            }
            prop_assert_eq!(parts.len(), elements.len() + usize::from(!is_text));
            let joined = parts.join(&b","[..]);
            prop_assert_eq!([b"[", &joined[..], b"]"].concat(), value);
        }
    }
}
