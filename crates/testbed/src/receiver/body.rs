//! Compressed bodies.

use std::borrow::Cow;
use std::io::{self, Read};

/// The largest decompressed body.
const LIMIT: u64 = 256 << 20;

/// Undoes a content coding: `gzip`, `deflate` (with or without the zlib frame), `zstd`; none and
/// `identity` leave the body as it is.
///
/// # Errors
/// An unknown coding, damaged bytes, or more than 256 MiB of content.
pub(super) fn decompress<'a>(encoding: &str, body: &'a [u8]) -> io::Result<Cow<'a, [u8]>> {
    match encoding {
        "" | "identity" => Ok(Cow::Borrowed(body)),
        "gzip" => read(flate2::read::MultiGzDecoder::new(body)),
        "deflate" => read(flate2::read::ZlibDecoder::new(body))
            .or_else(|_| read(flate2::read::DeflateDecoder::new(body))),
        "zstd" => read(zstd::stream::read::Decoder::new(body)?),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "unknown content coding",
        )),
    }
}

fn read(from: impl Read) -> io::Result<Cow<'static, [u8]>> {
    let mut content = Vec::new();
    if from.take(LIMIT + 1).read_to_end(&mut content)? as u64 > LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "content too large",
        ));
    }
    Ok(Cow::Owned(content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write};
    use std::io::Write;

    #[test]
    fn every_coding_is_undone_and_damage_is_refused() {
        let text = b"some text some text".as_slice();
        let mut gzip = write::GzEncoder::new(Vec::new(), Compression::fast());
        let mut zlib = write::ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut raw = write::DeflateEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text).unwrap();
        zlib.write_all(text).unwrap();
        raw.write_all(text).unwrap();
        let gzip = gzip.finish().unwrap();
        for (coding, body) in [
            ("", text.to_vec()),
            ("gzip", gzip.clone()),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", raw.finish().unwrap()),
            ("zstd", zstd::encode_all(text, 1).unwrap()),
        ] {
            assert_eq!(*decompress(coding, &body).unwrap(), *text, "{coding}");
        }
        assert!(decompress("gzip", &gzip[..gzip.len() - 4]).is_err());
        assert!(decompress("GZIP", &gzip).is_err());
        assert!(decompress("br", text).is_err());
    }
}
