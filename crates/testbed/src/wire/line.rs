//! Line protocol, read strictly, as far as ids and counts need it: tags and fields are checked
//! and handed over unescaped.

use std::borrow::Cow;

/// Why a body is not line protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct LineError {
    /// Counts from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: &'static str,
}

/// One point as the reader hands it over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LinePoint<'a> {
    /// The measurement, unescaped.
    pub name: Cow<'a, str>,
    /// Tags in order, unescaped.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Fields in order, keys unescaped.
    pub fields: Vec<(Cow<'a, str>, FieldText<'a>)>,
    /// The timestamp as written.
    pub time: Option<i64>,
}

/// A field's value: strings unescaped, everything else as written.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldText<'a> {
    /// A quoted string.
    Text(Cow<'a, str>),
    /// A number, bool, binary or array as written.
    Raw(&'a str),
}

/// Reads a whole body.
///
/// # Errors
/// The first line that is not valid.
pub fn read(body: &str) -> Result<Vec<LinePoint<'_>>, LineError> {
    let mut points = Vec::new();
    let mut reader = Reader {
        text: body,
        at: 0,
        line: 1,
    };
    loop {
        while matches!(reader.peek(), Some(b' ' | b'\t' | b'\n' | b'\r' | 0)) {
            reader.line += usize::from(reader.peek() == Some(b'\n'));
            reader.at += 1;
        }
        match reader.peek() {
            None => return Ok(points),
            Some(b'#') => reader.at = reader.find(b"\n"),
            Some(_) => points.push(reader.point()?),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn error<T>(&self, reason: &'static str) -> Result<T, LineError> {
        Err(LineError {
            line: self.line,
            reason,
        })
    }

    /// The position of the first of these bytes from here, or the end.
    fn find(&self, stops: &[u8]) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at
            + rest
                .iter()
                .position(|byte| stops.contains(byte))
                .unwrap_or(rest.len())
    }

    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// A name or value up to an unescaped stop byte.
    fn word(&mut self, stops: &[u8], escaped: &[u8]) -> Cow<'a, str> {
        let start = self.at;
        let mut escapes = false;
        while let Some(byte) = self.peek() {
            if byte == b'\\'
                && self
                    .text
                    .as_bytes()
                    .get(self.at + 1)
                    .is_some_and(|next| escaped.contains(next))
            {
                escapes = true;
                self.at += 2;
            } else if stops.contains(&byte) {
                break;
            } else {
                self.at += 1;
            }
        }
        unescape(self.slice(start, self.at), escapes, escaped)
    }

    fn point(&mut self) -> Result<LinePoint<'a>, LineError> {
        let name = self.word(b", \n", b", ");
        if name.is_empty() {
            return self.error("missing measurement");
        }
        let mut point = LinePoint {
            name,
            ..LinePoint::default()
        };
        while self.peek() == Some(b',') {
            self.at += 1;
            let key = self.word(b"=, \n", b", =");
            if self.peek() != Some(b'=') || key.is_empty() {
                return self.error("missing tag key or value");
            }
            self.at += 1;
            let value = self.word(b"=, \n", b", =");
            if value.is_empty() || self.peek() == Some(b'=') {
                return self.error("invalid tag format");
            }
            if point.tags.iter().any(|(other, _)| *other == key) {
                return self.error("duplicate tags");
            }
            point.tags.push((key, value));
        }
        if self.peek() != Some(b' ') {
            return self.error("missing fields");
        }
        self.at += 1;
        loop {
            let key = self.word(b"=, \n", b", =\"");
            if key.is_empty() || self.peek() != Some(b'=') {
                return self.error("missing field key or value");
            }
            self.at += 1;
            let value = self.value()?;
            point.fields.push((key, value));
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => break,
            }
        }
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
        let start = self.at;
        self.at = self.find(b" \r\n");
        let time = self.slice(start, self.at);
        if !time.is_empty() {
            let Ok(time) = time.parse() else {
                return self.error("bad timestamp");
            };
            point.time = Some(time);
        }
        while matches!(self.peek(), Some(b' ' | b'\r')) {
            self.at += 1;
        }
        match self.peek() {
            None | Some(b'\n') => Ok(point),
            Some(_) => self.error("unexpected text after the timestamp"),
        }
    }

    fn value(&mut self) -> Result<FieldText<'a>, LineError> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => self.quoted(start),
            Some(b'[') => {
                // Strings inside an array may hold any byte, so they are walked over one by one.
                self.at += 1;
                loop {
                    match self.peek() {
                        Some(b'"') => drop(self.quoted(self.at)?),
                        Some(b']') => break self.at += 1,
                        Some(b'\n' | b'[') | None => return self.error("invalid array"),
                        Some(_) => self.at += 1,
                    }
                }
                Ok(FieldText::Raw(self.slice(start, self.at)))
            }
            _ => {
                self.at = self.find(b", \r\n");
                let raw = self.slice(start, self.at);
                if scalar(raw) {
                    Ok(FieldText::Raw(raw))
                } else {
                    self.error("invalid value")
                }
            }
        }
    }

    fn quoted(&mut self, start: usize) -> Result<FieldText<'a>, LineError> {
        let mut escapes = false;
        self.at += 1;
        loop {
            match self.peek() {
                None => return self.error("unbalanced quotes"),
                Some(b'"') => break,
                Some(b'\\')
                    if matches!(self.text.as_bytes().get(self.at + 1), Some(b'"' | b'\\')) =>
                {
                    escapes = true;
                    self.at += 2;
                }
                Some(byte) => {
                    self.line += usize::from(byte == b'\n');
                    self.at += 1;
                }
            }
        }
        let inner = self.slice(start + 1, self.at);
        self.at += 1;
        if self.peek() == Some(b'b') {
            self.at += 1;
            let valid = !inner.is_empty() && base64_simd::STANDARD.check(inner.as_bytes()).is_ok();
            let raw = self.slice(start, self.at);
            return if valid {
                Ok(FieldText::Raw(raw))
            } else {
                self.error("invalid binary value")
            };
        }
        match self.peek() {
            None | Some(b',' | b' ' | b'\n' | b'\r' | b']') => {
                Ok(FieldText::Text(unescape(inner, escapes, b"\"\\")))
            }
            Some(_) => self.error("unexpected text after a string"),
        }
    }
}

fn unescape<'a>(text: &'a str, escapes: bool, escaped: &[u8]) -> Cow<'a, str> {
    if !escapes {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let next = chars
            .peek()
            .filter(|next| u8::try_from(**next).is_ok_and(|next| escaped.contains(&next)));
        match (char, next) {
            ('\\', Some(next)) => {
                out.push(*next);
                chars.next();
            }
            _ => out.push(char),
        }
    }
    Cow::Owned(out)
}

fn scalar(raw: &str) -> bool {
    match raw.as_bytes() {
        [] => false,
        [b'-' | b'.' | b'0'..=b'9', ..] => match raw.as_bytes().last() {
            Some(b'i') => raw
                .strip_suffix('i')
                .is_some_and(|int| int.parse::<i64>().is_ok()),
            Some(b'u') => raw
                .strip_suffix('u')
                .is_some_and(|uint| uint.parse::<u64>().is_ok()),
            _ => raw.parse::<f64>().is_ok_and(f64::is_finite),
        },
        _ => matches!(
            raw,
            "t" | "T" | "true" | "True" | "TRUE" | "f" | "F" | "false" | "False" | "FALSE"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_with_escapes_and_types() {
        let body = concat!(
            "# note\n",
            r#"my\ log,a\,b=c\=d,host=x message="he said \"hi\"\\ \n",n=5i,u=7u,f=-1.5e3,ok=T,bin="AAE="b,arr=["a]","b"] 17"#,
            "\n\nm v=1\n",
        );
        let points = read(body).unwrap();
        assert_eq!(points.len(), 2);
        let point = &points[0];
        assert_eq!(point.name, "my log");
        assert_eq!(
            point.tags,
            [("a,b".into(), "c=d".into()), ("host".into(), "x".into())]
        );
        assert_eq!(
            point.fields[0].1,
            FieldText::Text(r#"he said "hi"\ \n"#.into())
        );
        assert_eq!(point.fields.len(), 7);
        assert_eq!(point.time, Some(17));
        assert_eq!(points[1].time, None);
    }

    #[test]
    fn a_line_feed_inside_a_string_belongs_to_it() {
        let points = read("m s=\"a\nb\",n=1i 5\nk v=t").unwrap();
        assert_eq!(points.len(), 2);
        assert_eq!(points[0].fields[0].1, FieldText::Text("a\nb".into()));
    }

    #[test]
    fn invalid_lines_are_refused_with_their_number() {
        for (body, line) in [
            ("m", 1),
            ("m v", 1),
            ("m v=", 1),
            ("m v=1\nm,a v=1", 2),
            ("m,a=1=2 v=1", 1),
            ("m,a=1,a=2 v=1", 1),
            ("m v=1x", 1),
            ("m v=NaN", 1),
            ("m v=1.5i", 1),
            ("m v=-1u", 1),
            ("m v=\"a", 1),
            ("m v=\"a\"c", 1),
            ("m v=\"\"b", 1),
            ("m v=1 x", 1),
            ("m v=1 5 6", 1),
            (",a=1 v=1", 1),
            ("m v=[1", 1),
            ("m,a= v=1", 1),
        ] {
            assert_eq!(
                read(body).map_err(|error| error.line),
                Err(line),
                "{body:?}"
            );
        }
    }
}
