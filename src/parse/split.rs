//! One value to several elements, cut out of the original bytes: nothing is decoded and encoded
//! again, so an element is byte for byte what its producer wrote.
//!
//! A value is checked as a whole first; then its elements come one after the other, so that what is
//! made of one can be sent before the next is looked at. A byte order mark in front of the value is
//! not part of it, and bytes that are not UTF-8 do not keep a value from being split: whoever reads
//! an element as text replaces them.

use serde::de::IgnoredAny;

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

/// Where the next element of a value begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    at: usize,
    number: u32,
    lines: bool,
}

/// The elements of a value, in order.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    value: &'a [u8],
    next: Position,
}

impl<'a> Elements<'a> {
    /// Checks `value` and finds its first element.
    ///
    /// # Errors
    /// When the value does not have the format.
    pub fn of(value: &'a [u8], format: &SplitFormat) -> Result<Self, SplitError> {
        let text = without_mark(value);
        let (lines, start) = match format {
            SplitFormat::JsonArray { pointer } => (false, array(text, pointer)?),
            SplitFormat::NdJson => {
                check_lines(text)?;
                (true, 0)
            }
        };
        let at = value.len() - text.len() + start;
        let number = 0;
        Ok(Self {
            value,
            next: Position { at, number, lines },
        })
    }

    /// The elements of a value that was checked before, from `next` on.
    #[must_use]
    pub const fn from(value: &'a [u8], next: Position) -> Self {
        Self { value, next }
    }

    /// Where the next element begins.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.next
    }

    /// How many elements there were before the next one.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.next.number
    }

    fn next_of_array(&mut self) -> Option<&'a [u8]> {
        let rest = self.value.get(self.next.at..)?;
        let element = without_space(rest);
        if matches!(element.first(), None | Some(b']')) {
            self.next.at = self.value.len();
            return None;
        }
        let end = value_end(element)?;
        let behind = without_space(element.get(end..)?);
        let at = self.value.len() - behind.len();
        self.next.at = match behind.first() {
            Some(b',') => at + 1,
            _ => self.value.len(),
        };
        element.get(..end)
    }

    fn next_line(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = self
                .value
                .get(self.next.at..)
                .filter(|rest| !rest.is_empty())?;
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            self.next.at = (self.next.at + end + 1).min(self.value.len());
            let line = rest.get(..end)?.trim_ascii();
            if !line.is_empty() {
                return Some(line);
            }
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let element = match self.next.lines {
            true => self.next_line(),
            false => self.next_of_array(),
        };
        self.next.number = self
            .next
            .number
            .saturating_add(u32::from(element.is_some()));
        element
    }
}

/// `text` without a byte order mark in front.
#[must_use]
pub fn without_mark(text: &[u8]) -> &[u8] {
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
            let next = Position {
                at: 1,
                number: 0,
                lines: false,
            };
            let element = Elements::from(here, next).nth(key.parse().ok()?)?;
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
        let elements: Vec<_> = Elements::of(value, &json_array("")).unwrap().collect();
        assert_eq!(elements, [&b"\"a\xff\""[..], b"{\"\xe9\":1}"]);
        let lines = Elements::of(b"\xef\xbb\xbf1\n\"\xff\"", &SplitFormat::NdJson);
        assert_eq!(lines.unwrap().count(), 2);
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
        /// Joining the elements again gives the same array, wherever the work was interrupted.
        #[test]
        fn splitting_loses_nothing(
            elements in prop::collection::vec("[a-z\"\\\\{}\\[\\],\u{e9}]{0,8}", 0..20),
            stop in 0usize..20,
        ) {
            let value = serde_json::to_string(&elements).unwrap();
            let mut first = Elements::of(value.as_bytes(), &json_array("")).unwrap();
            let mut parts: Vec<&[u8]> = first.by_ref().take(stop).collect();
            prop_assert_eq!(first.number() as usize, stop.min(elements.len()));
            parts.extend(Elements::from(value.as_bytes(), first.position()));
            let joined = parts.join(&b","[..]);
            prop_assert_eq!([b"[", &joined[..], b"]"].concat(), value.as_bytes());
        }
    }
}
