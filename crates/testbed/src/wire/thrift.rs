//! Thrift binary protocol, as far as a Jaeger `Batch` needs it: a writer for struct contents and a
//! reader that walks every field and refuses bytes that are not one complete `Batch`.

/// Thrift type numbers of the binary protocol.
mod kind {
    pub(super) const STOP: u8 = 0;
    pub(super) const BOOL: u8 = 2;
    pub(super) const I8: u8 = 3;
    pub(super) const DOUBLE: u8 = 4;
    pub(super) const I16: u8 = 6;
    pub(super) const I32: u8 = 8;
    pub(super) const I64: u8 = 10;
    pub(super) const STRING: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
    pub(super) const MAP: u8 = 13;
    pub(super) const SET: u8 = 14;
    pub(super) const LIST: u8 = 15;
}

/// Deeper nesting is refused.
const MAX_DEPTH: u8 = 16;

/// Writes the fields of structs in the binary protocol.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// The bytes written so far; the caller has closed every struct with [`Writer::stop`].
    #[must_use]
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn field(&mut self, kind: u8, id: i16) {
        self.0.push(kind);
        self.0.extend_from_slice(&id.to_be_bytes());
    }

    /// A bool field.
    pub fn bool(&mut self, id: i16, value: bool) {
        self.field(kind::BOOL, id);
        self.0.push(u8::from(value));
    }

    /// An i32 field; enums use it too.
    pub(crate) fn i32(&mut self, id: i16, value: i32) {
        self.field(kind::I32, id);
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// An i64 field.
    pub fn i64(&mut self, id: i16, value: i64) {
        self.field(kind::I64, id);
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// A string field.
    pub(crate) fn string(&mut self, id: i16, value: &str) {
        self.field(kind::STRING, id);
        self.len(value.len());
        self.0.extend_from_slice(value.as_bytes());
    }

    /// A struct field: `fields` writes its contents, the end mark is added.
    pub(crate) fn structure(&mut self, id: i16, fields: impl FnOnce(&mut Self)) {
        self.field(kind::STRUCT, id);
        fields(self);
        self.stop();
    }

    /// A list of structs: `item` writes the contents of each, end marks are added.
    pub(crate) fn list<T>(&mut self, id: i16, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.field(kind::LIST, id);
        self.0.push(kind::STRUCT);
        self.len(items.len());
        for value in items {
            item(self, value);
            self.stop();
        }
    }

    /// Ends the struct being written.
    pub(crate) fn stop(&mut self) {
        self.0.push(kind::STOP);
    }

    fn len(&mut self, len: usize) {
        self.0
            .extend_from_slice(&i32::try_from(len).unwrap_or(i32::MAX).to_be_bytes());
    }
}

/// Why bytes are not a Jaeger `Batch`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThriftError {
    /// The bytes end inside a value.
    #[error("thrift: unexpected end at byte {0}")]
    Truncated(usize),
    /// A type number that the binary protocol does not know.
    #[error("thrift: unknown type {0} at byte {1}")]
    UnknownType(u8, usize),
    /// Structs nested too deeply.
    #[error("thrift: nesting too deep")]
    TooDeep,
    /// A required field is missing or of another type.
    #[error("thrift: not a jaeger batch: {0}")]
    NotABatch(&'static str),
    /// Bytes after the end of the batch.
    #[error("thrift: {0} bytes after the batch")]
    Trailing(usize),
}

/// A decoded tag with a string value; others are walked over.
type StringTag<'a> = (&'a [u8], &'a [u8]);

/// What is kept of a decoded span.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThriftSpan {
    /// Both halves of the trace id, high first.
    pub trace_id: (i64, i64),
    /// The id of the span, 64 bits.
    pub span_id: i64,
    /// The parent's span id, 0 for a root.
    pub parent_span_id: i64,
    /// The name of the operation that the span measures.
    pub operation_name: String,
    /// Start in microseconds since the Unix epoch.
    pub start_time: i64,
    /// Duration in microseconds.
    pub duration: i64,
    /// Tags with string values.
    pub tags: Vec<(String, String)>,
}

/// What is kept of a decoded batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThriftBatch {
    /// The service name of the process.
    pub service: String,
    /// Tags of the process with string values.
    pub tags: Vec<(String, String)>,
    /// The spans in order.
    pub spans: Vec<ThriftSpan>,
}

/// Decodes one Thrift binary `jaeger.Batch`.
///
/// # Errors
/// The bytes are not Thrift, not a batch with a process and a list of spans, or go on after it.
pub fn read_batch(bytes: &[u8]) -> Result<ThriftBatch, ThriftError> {
    let mut reader = Reader { bytes, at: 0 };
    let mut batch = ThriftBatch::default();
    let (mut process, mut spans) = (false, false);
    while let Some((kind, id)) = reader.field()? {
        match (id, kind) {
            (1, kind::STRUCT) => {
                process = true;
                reader.process(&mut batch)?;
            }
            (2, kind::LIST) => {
                spans = true;
                reader.structs(|reader| {
                    batch.spans.push(reader.span()?);
                    Ok(())
                })?;
            }
            _ => reader.skip(kind, 0)?,
        }
    }
    match (process, spans, bytes.len() - reader.at) {
        (false, ..) => Err(ThriftError::NotABatch("no process")),
        (_, false, _) => Err(ThriftError::NotABatch("no spans")),
        (_, _, 0) => Ok(batch),
        (_, _, rest) => Err(ThriftError::Trailing(rest)),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], ThriftError> {
        let taken = self
            .at
            .checked_add(len)
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or(ThriftError::Truncated(self.at))?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ThriftError> {
        let at = self.at;
        self.take(N)?
            .try_into()
            .map_err(|_| ThriftError::Truncated(at))
    }

    fn u8(&mut self) -> Result<u8, ThriftError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn i64(&mut self) -> Result<i64, ThriftError> {
        self.array().map(i64::from_be_bytes)
    }

    fn len(&mut self) -> Result<usize, ThriftError> {
        let at = self.at;
        usize::try_from(self.array().map(i32::from_be_bytes)?)
            .map_err(|_| ThriftError::Truncated(at))
    }

    fn bytes(&mut self) -> Result<&'a [u8], ThriftError> {
        let len = self.len()?;
        self.take(len)
    }

    fn text(&mut self) -> Result<String, ThriftError> {
        self.bytes().map(lossy)
    }

    fn field(&mut self) -> Result<Option<(u8, i16)>, ThriftError> {
        match self.u8()? {
            kind::STOP => Ok(None),
            kind => Ok(Some((kind, i16::from_be_bytes(self.array()?)))),
        }
    }

    fn structs(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), ThriftError>,
    ) -> Result<(), ThriftError> {
        let kind = self.u8()?;
        let len = self.len()?;
        if len > 0 && kind != kind::STRUCT {
            return Err(ThriftError::NotABatch("a list that should hold structs"));
        }
        (0..len).try_for_each(|_| each(self))
    }

    fn process(&mut self, batch: &mut ThriftBatch) -> Result<(), ThriftError> {
        let mut named = false;
        while let Some((kind, id)) = self.field()? {
            match (id, kind) {
                (1, kind::STRING) => {
                    named = true;
                    batch.service = self.text()?;
                }
                (2, kind::LIST) => self.tags(&mut batch.tags)?,
                _ => self.skip(kind, 0)?,
            }
        }
        if named {
            Ok(())
        } else {
            Err(ThriftError::NotABatch("a process without a service name"))
        }
    }

    fn span(&mut self) -> Result<ThriftSpan, ThriftError> {
        let mut span = ThriftSpan::default();
        let mut required = 0u8;
        while let Some((kind, id)) = self.field()? {
            match (id, kind) {
                (1, kind::I64) => span.trace_id.1 = self.i64()?,
                (2, kind::I64) => span.trace_id.0 = self.i64()?,
                (3, kind::I64) => span.span_id = self.i64()?,
                (4, kind::I64) => span.parent_span_id = self.i64()?,
                (5, kind::STRING) => span.operation_name = self.text()?,
                (8, kind::I64) => span.start_time = self.i64()?,
                (9, kind::I64) => span.duration = self.i64()?,
                (10, kind::LIST) => self.tags(&mut span.tags)?,
                _ => {
                    self.skip(kind, 0)?;
                    // Flags (7) are required as well; anything else skipped is optional.
                    required += u8::from(id == 7 && kind == kind::I32);
                    continue;
                }
            }
            required += u8::from(id != 10);
        }
        if required >= 8 {
            Ok(span)
        } else {
            Err(ThriftError::NotABatch("a span without its required fields"))
        }
    }

    fn tags(&mut self, tags: &mut Vec<(String, String)>) -> Result<(), ThriftError> {
        self.structs(|reader| {
            if let Some((key, value)) = reader.tag()? {
                tags.push((lossy(key), lossy(value)));
            }
            Ok(())
        })
    }

    fn tag(&mut self) -> Result<Option<StringTag<'a>>, ThriftError> {
        let (mut key, mut value) = (None, None);
        while let Some((kind, id)) = self.field()? {
            match (id, kind) {
                (1, kind::STRING) => key = Some(self.bytes()?),
                (3, kind::STRING) => value = Some(self.bytes()?),
                _ => self.skip(kind, 0)?,
            }
        }
        let key = key.ok_or(ThriftError::NotABatch("a tag without a key"))?;
        Ok(value.map(|value| (key, value)))
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Result<(), ThriftError> {
        if depth > MAX_DEPTH {
            return Err(ThriftError::TooDeep);
        }
        match kind {
            kind::BOOL | kind::I8 => self.take(1).map(drop),
            kind::I16 => self.take(2).map(drop),
            kind::I32 => self.take(4).map(drop),
            kind::DOUBLE | kind::I64 => self.take(8).map(drop),
            kind::STRING => self.bytes().map(drop),
            kind::STRUCT => {
                while let Some((kind, _)) = self.field()? {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            kind::LIST | kind::SET => {
                let item = self.u8()?;
                let len = self.len()?;
                (0..len).try_for_each(|_| self.skip(item, depth + 1))
            }
            kind::MAP => {
                let (key, value) = (self.u8()?, self.u8()?);
                let len = self.len()?;
                (0..len).try_for_each(|_| {
                    self.skip(key, depth + 1)?;
                    self.skip(value, depth + 1)
                })
            }
            other => Err(ThriftError::UnknownType(other, self.at)),
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn small_batch() -> Vec<u8> {
        let mut out = Writer::default();
        out.structure(1, |process| process.string(1, "shop"));
        out.list(2, &[7i64, 8], |span, id| {
            span.i64(1, 1);
            span.i64(2, 2);
            span.i64(3, *id);
            span.i64(4, 0);
            span.string(5, "GET /");
            span.i32(7, 1);
            span.i64(8, 1_000);
            span.i64(9, 10);
            span.list(10, &["a"], |tag, key| {
                tag.string(1, key);
                tag.i32(2, 0);
                tag.string(3, "b");
            });
        });
        out.stop();
        out.into_bytes()
    }

    #[test]
    fn a_batch_starts_as_real_clients_write_it_and_reads_back() {
        let bytes = small_batch();
        assert_eq!(&bytes[..6], [0x0c, 0, 1, 0x0b, 0, 1]);
        let batch = read_batch(&bytes).unwrap();
        assert_eq!(batch.service, "shop");
        assert_eq!(
            batch
                .spans
                .iter()
                .map(|span| span.span_id)
                .collect::<Vec<_>>(),
            [7, 8]
        );
        assert_eq!(batch.spans[0].tags, [("a".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn every_truncation_and_any_trailer_is_refused() {
        let mut bytes = small_batch();
        for end in 0..bytes.len() {
            assert!(read_batch(&bytes[..end]).is_err(), "{end} bytes");
        }
        bytes.push(1);
        assert_eq!(read_batch(&bytes), Err(ThriftError::Trailing(1)));
    }

    #[test]
    fn a_span_without_required_fields_is_refused() {
        let mut out = Writer::default();
        out.structure(1, |process| process.string(1, "shop"));
        out.list(2, &[()], |span, ()| span.i64(1, 1));
        out.stop();
        assert!(matches!(
            read_batch(&out.into_bytes()),
            Err(ThriftError::NotABatch(_))
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let outcome = read_batch(&bytes);
            prop_assert!(outcome.is_err() || bytes.len() > 10);
        }
    }
}
