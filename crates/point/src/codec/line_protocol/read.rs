//! Lines to points.

use std::borrow::Cow;

use super::MAX_LINE_KEY;
use super::escape::Place;
use crate::codec::error::{DecodeError, DecodeErrors, Fault, Position, excerpt};
use crate::codec::{DecodeOptions, base64};
use crate::point::Entry;
use crate::{Point, Text, Value};

/// Reads a whole body: every line is tried, and one bad line refuses the body with the faults of all.
///
/// Bytes that are not UTF-8 are replaced by U+FFFD first, since senders of log lines often do not know
/// the encoding of what they pass on. Carriage returns before line feeds are ignored.
///
/// # Errors
/// The position and cause of each line's first fault.
pub fn decode(body: &[u8], options: &DecodeOptions) -> Result<Vec<Point>, DecodeErrors> {
    let text: Cow<'_, str> = String::from_utf8_lossy(body);
    let mut points = Vec::new();
    let mut errors = DecodeErrors::new();
    for line in Lines::new(&text, *options) {
        match line {
            Ok(point) => points.push(point),
            Err(error) => errors.push(error),
        }
    }
    if errors.errors.is_empty() {
        Ok(points)
    } else {
        Err(errors)
    }
}

/// The points of a text, one after the other; after a fault the next line follows.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a str,
    options: DecodeOptions,
    at: usize,
    /// A position at a line's start and its number, so that counting lines for errors stays linear.
    counted: (usize, usize),
}

/// A fault and the offset where it is.
type Located<T> = Result<T, (usize, Fault)>;

impl<'a> Lines<'a> {
    /// Reads `text` from its start.
    #[must_use]
    pub const fn new(text: &'a str, options: DecodeOptions) -> Self {
        Self {
            text,
            options,
            at: 0,
            counted: (0, 1),
        }
    }

    /// Goes on where another reader of the same text stood.
    pub(in crate::codec) const fn at(
        text: &'a str,
        options: DecodeOptions,
        at: usize,
        counted: (usize, usize),
    ) -> Self {
        Self {
            text,
            options,
            at,
            counted,
        }
    }

    /// Where it stands, for [`Lines::at`].
    pub(in crate::codec) const fn stand(&self) -> (usize, (usize, usize)) {
        (self.at, self.counted)
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<Point, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while matches!(self.peek(), Some(b' ' | b'\t' | 0 | b'\n'))
                || (self.peek() == Some(b'\r') && self.at_line_end())
            {
                self.at += 1;
            }
            match self.peek()? {
                b'#' => self.at = self.line_feed_from(self.at),
                _ => break,
            }
        }
        let result = self.point();
        Some(result.map_err(|(offset, fault)| {
            let position = self.position(offset);
            self.skip_line(offset);
            DecodeError { position, fault }
        }))
    }
}

impl<'a> Lines<'a> {
    fn point(&mut self) -> Located<Point> {
        let start = self.at;
        let measurement = self.name(Place::Measurement);
        if measurement.is_empty() {
            return Err((self.at, Fault::MissingMeasurement));
        }
        let name = unescape(measurement, Place::Measurement);
        let mut entries = Vec::with_capacity(16);
        while self.take(b',') {
            entries.push(self.tag()?);
        }
        refuse_repeated_tags(&entries).map_err(|fault| (start, fault))?;
        let line_key = self.at - start;
        if !self.skip_spaces() || self.at_line_end() {
            return Err((self.at, Fault::NoFields));
        }
        let tags = entries.len();
        loop {
            let key_at = self.at;
            let (key, value) = self.field()?;
            if line_key + key.len() > MAX_LINE_KEY {
                return Err((key_at, Fault::LineKeyTooLong));
            }
            if !value.is_nil() {
                entries.push(Entry {
                    key: unescape(key, Place::FieldKey),
                    value,
                    tag: false,
                });
            }
            if !self.take(b',') {
                break;
            }
        }
        if entries.len() == tags {
            return Err((start, Fault::NoFields));
        }
        let time_ns = self.time()?;
        Ok(Point::from_tags_and_fields(
            name,
            self.options.category,
            time_ns,
            entries,
        ))
    }

    fn tag(&mut self) -> Located<Entry> {
        let start = self.at;
        let key = self.name(Place::Tag);
        if key.is_empty() || !self.take(b'=') {
            return Err((start, Fault::InvalidTag));
        }
        let value = self.name(Place::Tag);
        if value.is_empty() || self.peek() == Some(b'=') {
            return Err((start, Fault::InvalidTag));
        }
        Ok(Entry {
            key: unescape(key, Place::Tag),
            value: Value::Str(unescape(value, Place::Tag)),
            tag: true,
        })
    }

    fn field(&mut self) -> Located<(&'a str, Value)> {
        let start = self.at;
        let key = self.name(Place::FieldKey);
        if key.is_empty() || !self.take(b'=') {
            return Err((start, Fault::InvalidField));
        }
        let value = self.value()?;
        if !(self.at_line_end() || matches!(self.peek(), Some(b',' | b' '))) {
            return Err((self.at, Fault::UnexpectedText));
        }
        Ok((key, value))
    }

    fn value(&mut self) -> Located<Value> {
        match self.peek() {
            Some(b'"') => self.text(),
            Some(b'[') => self.array(),
            _ => self.scalar(),
        }
    }

    /// An array; nil for the empty one, which the format reads as no value.
    fn array(&mut self) -> Located<Value> {
        let start = self.at;
        self.at += 1;
        if self.take(b']') {
            return Ok(Value::Nil);
        }
        let mut values = Vec::new();
        loop {
            if self.peek() == Some(b'[') {
                return Err((self.at, Fault::NestedArray));
            }
            values.push(self.value()?);
            if self.take(b']') {
                break;
            }
            if !self.take(b',') {
                return Err((self.at, Fault::UnexpectedText));
            }
        }
        if !Value::is_uniform(&values) {
            return Err((start, Fault::MixedArray));
        }
        Ok(Value::Array(values.into()))
    }

    /// Quoted text, or binary data if a `b` follows.
    fn text(&mut self) -> Located<Value> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        let bytes = self.text.as_bytes();
        let end = loop {
            let found = bytes
                .get(at..)
                .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
                .ok_or((start - 1, Fault::UnterminatedText))?;
            at += found;
            if bytes.get(at) == Some(&b'"') {
                break at;
            }
            // Whatever follows a backslash is data: at most it is a quote or a backslash.
            at += if matches!(bytes.get(at + 1), Some(b'"' | b'\\')) {
                escaped = true;
                2
            } else {
                1
            };
        };
        self.at = end + 1;
        let raw = self.slice(start, end);
        if !self.take(b'b') {
            return Ok(Value::Str(if escaped {
                without_backslashes(raw, |byte| matches!(byte, b'"' | b'\\'))
            } else {
                raw.into()
            }));
        }
        match base64::decode(raw.as_bytes()) {
            Some(data) if !data.is_empty() => Ok(Value::Bytes(data)),
            _ => Err((start - 1, Fault::InvalidBinary)),
        }
    }

    /// A number or a truth value.
    fn scalar(&mut self) -> Located<Value> {
        let start = self.at;
        while !self.at_line_end()
            && self
                .peek()
                .is_some_and(|byte| !matches!(byte, b',' | b' ' | b']'))
        {
            self.at += 1;
        }
        let token = self.slice(start, self.at);
        let value = match token.as_bytes() {
            [] => return Err((start, Fault::MissingValue)),
            [b'-' | b'.' | b'0'..=b'9' | b'N' | b'n', ..] => {
                number(token).ok_or_else(|| Fault::InvalidNumber(excerpt(token)))
            }
            b"t" | b"T" | b"true" | b"True" | b"TRUE" => Ok(Value::Bool(true)),
            b"f" | b"F" | b"false" | b"False" | b"FALSE" => Ok(Value::Bool(false)),
            _ => Err(Fault::InvalidValue(excerpt(token))),
        };
        value.map_err(|fault| (start, fault))
    }

    /// The time up to the end of the line, in nanoseconds.
    fn time(&mut self) -> Located<i64> {
        self.skip_spaces();
        if self.at_line_end() {
            return Ok(self.options.now_ns);
        }
        let start = self.at;
        while self
            .peek()
            .is_some_and(|byte| !matches!(byte, b' ' | b'\n' | b'\r'))
        {
            self.at += 1;
        }
        let token = self.slice(start, self.at);
        self.skip_spaces();
        // The standard parser also takes a plus sign.
        if self.at_line_end()
            && !token.starts_with('+')
            && let Ok(time) = token.parse()
            && let Some(time_ns) = self.options.time_ns(time)
        {
            return Ok(time_ns);
        }
        let rest = self.slice(start, self.line_feed_from(start));
        Err((start, Fault::InvalidTime(excerpt(rest.trim_end()))))
    }

    /// Everything up to the next separator of `place` that no backslash precedes.
    fn name(&mut self, place: Place) -> &'a str {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut previous = 0;
        while let Some(&byte) = bytes.get(self.at) {
            let separates = byte != b'"' && place.escapes(byte) && previous != b'\\';
            if separates || byte == b'\n' {
                break;
            }
            previous = byte;
            self.at += 1;
        }
        self.slice(start, self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn skip_spaces(&mut self) -> bool {
        let start = self.at;
        while self.take(b' ') {}
        self.at > start
    }

    fn at_line_end(&self) -> bool {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        matches!(rest, [] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..])
    }

    /// Every offset this reader stops at is one of an ASCII byte or the end.
    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    fn line_feed_from(&self, at: usize) -> usize {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        memchr::memchr(b'\n', rest).map_or(self.text.len(), |found| at + found)
    }

    /// Moves to the end of the line that has a fault at `offset`. Text values that open behind the
    /// fault may hold line feeds; those belong to the line.
    fn skip_line(&mut self, offset: usize) {
        let bytes = self.text.as_bytes();
        self.at = self.at.max(offset);
        loop {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'\n', b'"', rest) else {
                self.at = bytes.len();
                return;
            };
            self.at += found;
            if self.peek() == Some(b'\n') {
                return;
            }
            let opens = self
                .at
                .checked_sub(1)
                .and_then(|before| bytes.get(before))
                .is_some_and(|byte| matches!(byte, b'=' | b'[' | b','));
            if !(opens && self.text().is_ok()) {
                self.at += 1;
            }
        }
    }

    fn position(&mut self, offset: usize) -> Position {
        let (from, number) = self.counted;
        let passed = self.slice(from, offset);
        let line = number + memchr::memchr_iter(b'\n', passed.as_bytes()).count();
        let start =
            memchr::memrchr(b'\n', passed.as_bytes()).map_or(from, |found| from + found + 1);
        self.counted = (start, line);
        let column = 1 + self.slice(start, offset).chars().count();
        Position::Text { line, column }
    }
}

fn refuse_repeated_tags(tags: &[Entry]) -> Result<(), Fault> {
    if tags.is_sorted_by(|a, b| a.key < b.key) {
        return Ok(());
    }
    let mut keys: Vec<&Text> = tags.iter().map(|entry| &entry.key).collect();
    keys.sort_unstable();
    let repeated = keys.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(Fault::DuplicateTag(excerpt(a))),
        _ => None,
    });
    repeated.map_or(Ok(()), Err)
}

fn number(token: &str) -> Option<Value> {
    if let Some(digits) = token.strip_suffix('i') {
        return digits.parse().ok().map(Value::Int);
    }
    if let Some(digits) = token.strip_suffix('u') {
        return digits.parse().ok().map(Value::Uint);
    }
    // The standard parser also takes words such as `inf`.
    let plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
    let number: f64 = token.bytes().all(plain).then(|| token.parse().ok())??;
    number.is_finite().then_some(Value::Float(number))
}

fn unescape(name: &str, place: Place) -> Text {
    if memchr::memchr(b'\\', name.as_bytes()).is_none() {
        return name.into();
    }
    without_backslashes(name, |byte| place.escapes(byte))
}

/// `text` without the backslashes that stand before a byte for which `escaped` holds.
fn without_backslashes(text: &str, escaped: impl Fn(u8) -> bool) -> Text {
    let mut plain = Text::with_capacity(text.len());
    let mut from = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += found + 1;
        if bytes.get(at).copied().is_some_and(&escaped) {
            plain.push_str(text.get(from..at - 1).unwrap_or_default());
            from = at;
            // The byte behind a dropped backslash is data, even if it is a backslash itself.
            at += 1;
        }
    }
    plain.push_str(text.get(from..).unwrap_or_default());
    plain
}

#[cfg(test)]
mod tests;
