//! Thrift's binary protocol, written: fields of structs, without the envelope of a call.

use bytes::Bytes;

const STOP: u8 = 0;
const BOOL: u8 = 2;
const DOUBLE: u8 = 4;
const I32: u8 = 8;
const I64: u8 = 10;
const STRING: u8 = 11;
const STRUCT: u8 = 12;
const LIST: u8 = 15;

/// Writes fields in the order of its calls.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// A writer with room for `capacity` bytes.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Ends the outermost struct and gives its bytes.
    pub(super) fn finish(mut self) -> Bytes {
        self.0.push(STOP);
        self.0.into()
    }

    fn field(&mut self, kind: u8, id: i16) {
        self.0.push(kind);
        self.0.extend_from_slice(&id.to_be_bytes());
    }

    /// A record is far below 2 GiB, so no length is ever cut short.
    fn length(&mut self, length: usize) {
        let length = i32::try_from(length).unwrap_or(i32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
    }

    pub(super) fn bool(&mut self, id: i16, value: bool) {
        self.field(BOOL, id);
        self.0.push(u8::from(value));
    }

    pub(super) fn double(&mut self, id: i16, value: f64) {
        self.field(DOUBLE, id);
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Enums are integers, too.
    pub(super) fn i32(&mut self, id: i16, value: i32) {
        self.field(I32, id);
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, id: i16, value: i64) {
        self.field(I64, id);
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Text and binary are the same on the wire.
    pub(super) fn string(&mut self, id: i16, value: &[u8]) {
        self.field(STRING, id);
        self.length(value.len());
        self.0.extend_from_slice(value);
    }

    pub(super) fn structure(&mut self, id: i16, fields: impl FnOnce(&mut Self)) {
        self.field(STRUCT, id);
        fields(self);
        self.0.push(STOP);
    }

    /// A list of structs.
    pub(super) fn list<T>(&mut self, id: i16, items: &[T], mut fields: impl FnMut(&mut Self, &T)) {
        self.field(LIST, id);
        self.0.push(STRUCT);
        self.length(items.len());
        for item in items {
            fields(self, item);
            self.0.push(STOP);
        }
    }
}
