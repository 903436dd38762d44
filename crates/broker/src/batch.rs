//! The record batch as producers send it: reading its fixed header, and making one.
//!
//! The broker keeps batches as bytes. It looks only at the header, and at the records themselves when a test asks
//! for them or an offset is looked up by time.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::codec;
use crate::error::BatchError;
use crate::record::Record;

/// Bytes of the header, before the (possibly compressed) records.
pub(crate) const HEADER: usize = 61;
/// Bytes of the base offset, the first field, which the broker assigns.
pub(crate) const BASE_OFFSET: usize = 8;
/// Where the part covered by the checksum begins.
const CHECKED: usize = 21;
const MAGIC: i8 = 2;

/// The fields of a batch header which the broker uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// Length of the whole batch in bytes.
    pub(crate) length: usize,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) record_count: i32,
}

impl BatchHeader {
    /// Reads and checks the header of the first batch in `bytes`, its checksum included.
    ///
    /// # Errors
    /// When the batch is cut off, of an older format, damaged, or contradicts itself.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let mut head = bytes.get(..HEADER).ok_or(BatchError::Truncated)?;
        head.advance(BASE_OFFSET);
        let length = usize::try_from(head.get_i32()).map_err(|_| BatchError::Malformed)? + 12;
        head.advance(4);
        let magic = head.get_i8();
        if magic != MAGIC {
            return Err(BatchError::Magic(magic));
        }
        if length < HEADER {
            return Err(BatchError::Malformed);
        }
        let checked = bytes.get(CHECKED..length).ok_or(BatchError::Truncated)?;
        if head.get_u32() != crc32c::crc32c(checked) {
            return Err(BatchError::Checksum);
        }
        let header = Self {
            length,
            attributes: head.get_i16(),
            last_offset_delta: head.get_i32(),
            base_timestamp: head.get_i64(),
            max_timestamp: head.get_i64(),
            producer_id: head.get_i64(),
            producer_epoch: head.get_i16(),
            base_sequence: head.get_i32(),
            record_count: head.get_i32(),
        };
        let consistent = header.record_count > 0
            && header.last_offset_delta == header.record_count - 1
            && (0..=4).contains(&header.codec());
        if consistent {
            Ok(header)
        } else {
            Err(BatchError::Malformed)
        }
    }

    /// Number of the compression codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub(crate) fn codec(&self) -> i16 {
        self.attributes & 7
    }
}

/// Decodes the records of a batch whose header has been parsed from the same `bytes`.
///
/// # Errors
/// When the records do not decompress or are not laid out as the header says.
pub(crate) fn decode(
    header: &BatchHeader,
    base_offset: i64,
    bytes: &Bytes,
) -> Result<Vec<Record>, BatchError> {
    if bytes.len() < header.length {
        return Err(BatchError::Truncated);
    }
    let mut body = codec::decompress(header.codec(), bytes.slice(HEADER..header.length))?;
    let mut records = Vec::new();
    for _ in 0..header.record_count {
        let length = usize::try_from(varint(&mut body)?).map_err(|_| BatchError::Malformed)?;
        if length > body.len() {
            return Err(BatchError::Truncated);
        }
        let mut record = body.split_to(length);
        if record.is_empty() {
            return Err(BatchError::Malformed);
        }
        record.advance(1);
        let timestamp = header.base_timestamp.wrapping_add(varint(&mut record)?);
        let offset = base_offset.wrapping_add(varint(&mut record)?);
        let key = nullable(&mut record)?;
        let value = nullable(&mut record)?;
        let mut headers = Vec::new();
        for _ in 0..varint(&mut record)? {
            let name = nullable(&mut record)?.ok_or(BatchError::Malformed)?;
            let name = String::from_utf8_lossy(&name).into_owned();
            headers.push((name, nullable(&mut record)?));
        }
        records.push(Record {
            offset,
            timestamp,
            key,
            value,
            headers,
        });
    }
    Ok(records)
}

/// Makes one uncompressed batch of `records` with base offset 0; their own offsets are ignored.
pub(crate) fn encode(records: &[Record]) -> Bytes {
    let first = records.first().map_or(0, |record| record.timestamp);
    let newest = records
        .iter()
        .map(|record| record.timestamp)
        .max()
        .unwrap_or(0);
    let count = i32::try_from(records.len()).unwrap_or(i32::MAX);
    let mut body = BytesMut::new();
    let mut one = BytesMut::new();
    for (delta, record) in (0i64..).zip(records) {
        one.clear();
        one.put_u8(0);
        put_varint(&mut one, record.timestamp.wrapping_sub(first));
        put_varint(&mut one, delta);
        put_nullable(&mut one, record.key.as_deref());
        put_nullable(&mut one, record.value.as_deref());
        put_varint(&mut one, record.headers.len() as i64);
        for (name, value) in &record.headers {
            put_nullable(&mut one, Some(name.as_bytes()));
            put_nullable(&mut one, value.as_deref());
        }
        put_varint(&mut body, one.len() as i64);
        body.extend_from_slice(&one);
    }
    let mut checked = BytesMut::with_capacity(HEADER - CHECKED + body.len());
    checked.put_i16(0);
    checked.put_i32(count - 1);
    checked.put_i64(first);
    checked.put_i64(newest);
    checked.put_i64(-1);
    checked.put_i16(-1);
    checked.put_i32(-1);
    checked.put_i32(count);
    checked.extend_from_slice(&body);
    let mut batch = BytesMut::with_capacity(CHECKED + checked.len());
    batch.put_i64(0);
    batch.put_i32(i32::try_from(CHECKED - 12 + checked.len()).unwrap_or(i32::MAX));
    batch.put_i32(0);
    batch.put_i8(MAGIC);
    batch.put_u32(crc32c::crc32c(&checked));
    batch.extend_from_slice(&checked);
    batch.freeze()
}

fn varint(bytes: &mut Bytes) -> Result<i64, BatchError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        if bytes.is_empty() {
            return Err(BatchError::Truncated);
        }
        let byte = bytes.get_u8();
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err(BatchError::Malformed)
}

fn put_varint(bytes: &mut BytesMut, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)) as u64;
    while value >= 0x80 {
        bytes.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.put_u8(value as u8);
}

fn nullable(bytes: &mut Bytes) -> Result<Option<Bytes>, BatchError> {
    match varint(bytes)? {
        -1 => Ok(None),
        length => {
            let length = usize::try_from(length).map_err(|_| BatchError::Malformed)?;
            if length > bytes.len() {
                return Err(BatchError::Truncated);
            }
            Ok(Some(bytes.split_to(length)))
        }
    }
}

fn put_nullable(bytes: &mut BytesMut, value: Option<&[u8]>) {
    match value {
        None => put_varint(bytes, -1),
        Some(value) => {
            put_varint(bytes, value.len() as i64);
            bytes.extend_from_slice(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Option<Bytes>> {
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from))
    }

    fn records() -> impl Strategy<Value = Vec<Record>> {
        let one = (
            any::<u32>(),
            bytes(),
            bytes(),
            proptest::collection::vec(("[a-z]{0,5}", bytes()), 0..4),
        );
        proptest::collection::vec(one, 1..20).prop_map(|rows| {
            (0..)
                .zip(rows)
                .map(|(offset, (timestamp, key, value, headers))| Record {
                    offset,
                    timestamp: i64::from(timestamp),
                    key,
                    value,
                    headers,
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn a_batch_reads_back_as_it_was_made(records in records()) {
            let bytes = encode(&records);
            let header = BatchHeader::parse(&bytes).unwrap();
            prop_assert_eq!(header.length, bytes.len());
            prop_assert_eq!(decode(&header, 0, &bytes).unwrap(), records);
        }

        #[test]
        fn a_damaged_batch_is_refused(records in records(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let mut bytes = encode(&records).to_vec();
            let at = 16 + at.index(bytes.len() - 16);
            bytes[at] ^= 1 << bit;
            prop_assert!(BatchHeader::parse(&bytes).is_err());
        }

        #[test]
        fn any_body_under_a_good_header_is_survived(body in proptest::collection::vec(any::<u8>(), 0..200), codec in 0..5i16) {
            let bytes = Bytes::from([&[0; HEADER][..], &body].concat());
            let header = BatchHeader {
                length: bytes.len(), attributes: codec, last_offset_delta: 9, base_timestamp: 0, max_timestamp: 0,
                producer_id: -1, producer_epoch: -1, base_sequence: -1, record_count: 10,
            };
            drop(decode(&header, 0, &bytes));
        }
    }
}
