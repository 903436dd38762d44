//! Decompression of record batches, for the in-process side only: clients get batches as they came.

use std::io::{self, Read};

use bytes::Bytes;

use crate::error::BatchError;

/// Largest batch that is unpacked, in bytes, so that a crafted one cannot exhaust the memory.
const LIMIT: u64 = 1 << 30;
/// What the Java client writes before its snappy chunks: a magic and two version numbers, 16 bytes in all.
const XERIAL: &[u8] = b"\x82SNAPPY\0";

/// Unpacks the records of a batch compressed with `codec` (0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd).
///
/// # Errors
/// When the codec is unknown or the bytes are not its output.
pub(crate) fn decompress(codec: i16, bytes: Bytes) -> Result<Bytes, BatchError> {
    let unpacked = match codec {
        0 => return Ok(bytes),
        1 => read(flate2::read::MultiGzDecoder::new(&*bytes)),
        2 => snappy(&bytes),
        3 => read(lz4_flex::frame::FrameDecoder::new(&*bytes)),
        4 => zstd::stream::read::Decoder::new(&*bytes).and_then(read),
        other => return Err(BatchError::Codec(other)),
    };
    unpacked.map(Bytes::from).map_err(BatchError::Compression)
}

fn read(from: impl Read) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    from.take(LIMIT).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

/// Snappy comes either as one raw block or as the Java client's sequence of length-prefixed blocks.
fn snappy(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let Some(mut rest) = bytes.strip_prefix(XERIAL).and_then(|rest| rest.get(8..)) else {
        return block(bytes);
    };
    let mut unpacked = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (one, tail) = tail
            .split_at_checked(length)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        unpacked.extend(block(one)?);
        rest = tail;
    }
    Ok(unpacked)
}

fn block(bytes: &[u8]) -> io::Result<Vec<u8>> {
    if snap::raw::decompress_len(bytes)? as u64 > LIMIT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(snap::raw::Decoder::new().decompress_vec(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_snappy_are_read() {
        let text = b"one two three one two three".repeat(20);
        let raw = snap::raw::Encoder::new().compress_vec(&text).unwrap();
        let mut framed = [XERIAL, &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
        for _ in 0..2 {
            framed.extend((raw.len() as u32).to_be_bytes());
            framed.extend(&raw);
        }
        assert_eq!(decompress(2, raw.into()).unwrap(), text);
        assert_eq!(decompress(2, framed.into()).unwrap(), text.repeat(2));
    }
}
