//! Protobuf to points.

use super::{ARRAY_TYPE, DELIMITED, FIXED32, FIXED64, VARINT};
use crate::codec::DecodeOptions;
use crate::codec::error::{DecodeError, DecodeErrors, Fault, Position, excerpt};
use crate::point::Entry;
use crate::{Point, Text, Value};

/// Reads a `PBPoints` message. Unknown fields are skipped; of alternatives the last one counts; a field
/// without value reads as nil; arrays of several types become their JSON text. Times are nanoseconds,
/// whatever the options say about precision.
///
/// # Errors
/// The first fault and the byte where it is.
pub fn decode(body: &[u8], options: &DecodeOptions) -> Result<Vec<Point>, DecodeErrors> {
    let mut points = Vec::new();
    let reader = Reader { body, at: 0 };
    let read = reader.fields(|number, content| {
        match (number, content) {
            (1, Content::Delimited(message)) => points.push(point(message, options)?),
            (1, other) => return Err(other.unexpected(number)),
            _ => {}
        }
        Ok(())
    });
    match read {
        Ok(()) => Ok(points),
        Err((offset, fault)) => Err(DecodeError {
            position: Position::Byte(offset),
            fault,
        }
        .into()),
    }
}

/// Reads the next point of a `PBPoints` message at or behind byte `at`, and says where to go on.
pub(in crate::codec) fn decode_at(
    body: &[u8],
    at: usize,
    options: &DecodeOptions,
) -> (Option<Located<Point>>, usize) {
    let mut reader = Reader { body, at };
    while reader.at < body.len() {
        match reader.field() {
            Ok((1, Content::Delimited(message))) => {
                return (Some(point(message, options)), reader.at);
            }
            Ok((1, other)) => return (Some(Err(other.unexpected(1))), body.len()),
            Ok(_) => {}
            Err(fault) => return (Some(Err(fault)), body.len()),
        }
    }
    (None, body.len())
}

/// A fault and the offset where it is.
pub(in crate::codec) type Located<T> = Result<T, (usize, Fault)>;

fn point(reader: Reader<'_>, options: &DecodeOptions) -> Located<Point> {
    let mut name = Text::default();
    let mut time_ns = 0;
    let mut entries = Vec::with_capacity(16);
    reader.fields(|number, content| {
        match (number, content) {
            (1, Content::Delimited(text)) => name = text.text(),
            (2, Content::Delimited(message)) => entries.push(field(message)?),
            (3, Content::Varint(_, number)) => time_ns = number.cast_signed(),
            (1..=3, other) => return Err(other.unexpected(number)),
            _ => {}
        }
        Ok(())
    })?;
    if time_ns == 0 {
        time_ns = options.now_ns;
    }
    Ok(Point::from_entries(
        name,
        options.category,
        time_ns,
        entries,
    ))
}

fn field(reader: Reader<'_>) -> Located<Entry> {
    let mut key = Text::default();
    let mut value = Value::Nil;
    let mut is_tag = false;
    reader.fields(|number, content| {
        match (number, content) {
            (1, Content::Delimited(text)) => key = text.text(),
            (2, Content::Varint(_, number)) => value = Value::Int(number.cast_signed()),
            (3, Content::Varint(_, number)) => value = Value::Uint(number),
            (4, Content::Fixed64(_, bits)) => value = Value::Float(f64::from_bits(bits)),
            (5, Content::Varint(_, number)) => value = Value::Bool(number != 0),
            (6, Content::Delimited(bytes)) => value = Value::Bytes(bytes.rest().into()),
            (7, Content::Delimited(message)) => value = any(message)?,
            (8, Content::Varint(_, number)) => is_tag = number != 0,
            (11, Content::Delimited(text)) => value = Value::Str(text.text()),
            (1..=8 | 11, other) => return Err(other.unexpected(number)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Entry {
        key,
        // Only text can be a tag.
        tag: is_tag && matches!(value, Value::Str(_)),
        value,
    })
}

fn any(reader: Reader<'_>) -> Located<Value> {
    let start = reader.at;
    let mut name = Text::default();
    let mut array = Reader {
        body: &[],
        at: start,
    };
    reader.fields(|number, content| {
        match (number, content) {
            (1, Content::Delimited(text)) => name = text.text(),
            (2, Content::Delimited(message)) => array = message,
            (1 | 2, other) => return Err(other.unexpected(number)),
            _ => {}
        }
        Ok(())
    })?;
    if name != ARRAY_TYPE {
        return Err((start, Fault::UnknownType(excerpt(&name))));
    }
    let mut values = Vec::new();
    array.fields(|number, content| {
        match (number, content) {
            (1, Content::Delimited(message)) => values.push(basic(message)?),
            (1, other) => return Err(other.unexpected(number)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Value::array_or_text(values))
}

fn basic(reader: Reader<'_>) -> Located<Value> {
    let mut value = Value::Nil;
    reader.fields(|number, content| {
        value = match (number, content) {
            (1, Content::Varint(_, number)) => Value::Int(number.cast_signed()),
            (2, Content::Varint(_, number)) => Value::Uint(number),
            (3, Content::Fixed64(_, bits)) => Value::Float(f64::from_bits(bits)),
            (4, Content::Varint(_, number)) => Value::Bool(number != 0),
            (5, Content::Delimited(bytes)) => Value::Bytes(bytes.rest().into()),
            (6, Content::Delimited(text)) => Value::Str(text.text()),
            (1..=6, other) => return Err(other.unexpected(number)),
            _ => return Ok(()),
        };
        Ok(())
    })?;
    Ok(value)
}

/// What a field holds, with the offset of the content.
enum Content<'a> {
    Varint(usize, u64),
    Fixed64(usize, u64),
    Fixed32(usize),
    Delimited(Reader<'a>),
}

impl Content<'_> {
    const fn unexpected(&self, number: u64) -> (usize, Fault) {
        let (at, wire) = match self {
            Self::Varint(at, _) => (*at, VARINT),
            Self::Fixed64(at, _) => (*at, FIXED64),
            Self::Fixed32(at) => (*at, FIXED32),
            Self::Delimited(reader) => (reader.at, DELIMITED),
        };
        (at, Fault::UnexpectedWireType { number, wire })
    }
}

/// The content of one message: the body up to its end, and where reading stands.
#[derive(Clone, Copy)]
struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Hands each field to `each` until the message ends.
    fn fields(mut self, mut each: impl FnMut(u64, Content<'a>) -> Located<()>) -> Located<()> {
        while self.at < self.body.len() {
            let (number, content) = self.field()?;
            each(number, content)?;
        }
        Ok(())
    }

    /// The next field of the message.
    #[inline(always)]
    fn field(&mut self) -> Located<(u64, Content<'a>)> {
        let start = self.at;
        let key = self.varint()?;
        let (number, wire) = (key >> 3, (key & 7) as u8);
        if !(1..1 << 29).contains(&number) {
            return Err((start, Fault::InvalidFieldNumber(number)));
        }
        let at = self.at;
        let content = match wire {
            VARINT => Content::Varint(at, self.varint()?),
            FIXED64 => Content::Fixed64(at, u64::from_le_bytes(self.chunk()?)),
            FIXED32 => {
                self.chunk::<4>()?;
                Content::Fixed32(at)
            }
            DELIMITED => Content::Delimited(self.delimited()?),
            _ => return Err((start, Fault::UnexpectedWireType { number, wire })),
        };
        Ok((number, content))
    }

    fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    /// The content as text; what is not UTF-8 is replaced.
    fn text(&self) -> Text {
        let bytes = self.rest();
        match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => Text::from(String::from_utf8_lossy(bytes)),
        }
    }

    fn varint(&mut self) -> Located<u64> {
        let start = self.at;
        let mut number = 0;
        for (at, &byte) in self.rest().iter().enumerate() {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && byte > 1 {
                return Err((start, Fault::InvalidVarint));
            }
            number |= bits << (7 * at);
            if byte < 0x80 {
                self.at += at + 1;
                return Ok(number);
            }
        }
        Err((start, Fault::Truncated))
    }

    fn chunk<const N: usize>(&mut self) -> Located<[u8; N]> {
        let chunk = self.rest().first_chunk::<N>();
        let chunk = *chunk.ok_or((self.at, Fault::Truncated))?;
        self.at += N;
        Ok(chunk)
    }

    fn delimited(&mut self) -> Located<Self> {
        let start = self.at;
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        let end = self.at.saturating_add(length);
        let body = self.body.get(..end).ok_or((start, Fault::Truncated))?;
        let message = Self { body, at: self.at };
        self.at = end;
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Category;
    use crate::codec::protobuf::encode;
    use crate::codec::tests::OPTIONS;

    fn error(body: &[u8]) -> String {
        decode(body, &OPTIONS).unwrap_err().to_string()
    }

    #[test]
    fn faults_say_what_and_where() {
        let field = |field: &[u8]| {
            let length = u8::try_from(field.len()).unwrap();
            [&[0x0a, length + 2, 0x12, length], field].concat()
        };
        let report = [
            error(&[0x0a]),
            error(&[0x0a, 5, 1]),
            error(&[0x08, 1]),
            error(&[0x0b]),
            error(&[0x02, 0]),
            error(&[0xff; 11]),
            error(&[0x0a, 2, 0x10, 1]),
            error(&field(&[0x21, 0, 0])),
            error(&field(&[0x3a, 3, 0x0a, 1, b'x'])),
        ];
        insta::assert_snapshot!(report.join("\n"), @r"
    byte 1: the data ends inside a value
    byte 1: the data ends inside a value
    byte 1: field 1 has the unexpected wire type 0
    byte 0: field 1 has the unexpected wire type 3
    byte 0: 0 is not a field number
    byte 0: an integer exceeds 64 bits
    byte 3: field 2 has the unexpected wire type 0
    byte 5: the data ends inside a value
    byte 6: values of type `x` are not supported
    ");
    }

    #[test]
    fn unknown_parts_are_skipped_and_defaults_kept() {
        let body = [
            0x0a, 21, 0x0a, 1, b'm', // a point named m
            0x12, 7, 0x0a, 1, b'a', 0x10, 0, 0x48, 3, // a = 0 of some type
            0x12, 3, 0x0a, 1, b'n', // n without value
            0x22, 2, 0x0a, 0, // a warning
            0x7d, 1, 2, 3, 4, // an unknown fixed field behind the point
        ];
        let points = decode(&body, &OPTIONS).unwrap();
        assert_eq!(points[0].time_ns(), 77);
        let fields: Vec<_> = points[0].fields().collect();
        assert_eq!(fields, [("a", &Value::Int(0)), ("n", &Value::Nil)]);
    }

    #[test]
    fn encoded_points_concatenate() {
        let mut body = Vec::new();
        let mut expected = Vec::new();
        for time in [-1, 1, i64::MAX] {
            let mut point = Point::new("m", Category::Logging, time);
            point.set_tag("t", "");
            point.set_field("a", Value::Array(Box::new([true.into(), false.into()])));
            point.set_field("none", Value::Array(Box::new([])));
            point.set_field("min", i64::MIN);
            encode(&point, &mut body).unwrap();
            expected.push(point);
        }
        assert_eq!(decode(&body, &OPTIONS), Ok(expected));
    }

    #[test]
    fn a_point_without_fields_is_refused() {
        let mut point = Point::new("m", Category::Logging, 1);
        point.set_tag("t", "v");
        point.set_field("nil", Value::Nil);
        let mut out = b"before".to_vec();
        assert!(encode(&point, &mut out).is_err());
        assert_eq!(out, b"before");
    }
}
