//! Bodies of requests: framed items, copied only where that is cheaper than not to.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};

use super::super::answer::{Layer, TransportError};
use super::super::endpoint::Framing;
use super::super::lanes::Item;
use kafkamq_address::Compression;

/// Items from this size on are handed to the socket as they are. Below it, copying into one piece
/// costs less than another entry in the list of pieces.
const SHARE_FROM_BYTES: usize = 16 * 1024;

/// Bodies below this size are not compressed: the frame of the format eats the gain.
const COMPRESS_FROM_BYTES: usize = 256;

/// Bytes of memory that the body of a request takes besides its items: small ones are copied into one
/// piece, and a compressed body is at most about as long as what it was made of.
#[must_use]
pub(super) fn bytes_beyond(framing: &Framing, items: &[Item], compression: Compression) -> usize {
    let copied = match is_one_plain(framing, items) {
        true => 0,
        false => copied_bytes(framing, items),
    };
    let packed = match compression {
        Compression::None => 0,
        _ => {
            let bodies = items.iter().map(|item| item.body.len());
            frame_bytes(framing, items) + bodies.sum::<usize>()
        }
    };
    copied + packed
}

/// Whether the body is the only item as it is.
fn is_one_plain(framing: &Framing, items: &[Item]) -> bool {
    items.len() == 1 && framing.prefix.is_empty() && framing.suffix.is_empty()
}

/// Bytes around and between items.
fn frame_bytes(framing: &Framing, items: &[Item]) -> usize {
    framing.prefix.len() + framing.suffix.len() + framing.separator.len() * items.len()
}

/// Bytes that are copied into pieces of the body's own: the frame and small items.
fn copied_bytes(framing: &Framing, items: &[Item]) -> usize {
    let lengths = items.iter().map(|item| item.body.len());
    let small = lengths.filter(|bytes| *bytes < SHARE_FROM_BYTES);
    frame_bytes(framing, items) + small.sum::<usize>()
}

/// A body of known length, in pieces.
#[derive(Debug, Default)]
pub struct RequestBody {
    pieces: VecDeque<Bytes>,
    remaining: u64,
    content_encoding: Option<&'static str>,
}

impl RequestBody {
    /// This body compressed, if that is asked for and it is long enough.
    ///
    /// # Errors
    /// If the compressor fails, which means that there is no memory for it.
    pub fn compressed(self, compression: Compression) -> Result<Self, TransportError> {
        if compression == Compression::None || self.remaining < COMPRESS_FROM_BYTES as u64 {
            return Ok(self);
        }
        let packed = pack(&self.pieces, compression).map_err(|error| {
            TransportError::new(Layer::Protocol, format!("compression: {error}"))
        })?;
        Ok(Self {
            remaining: packed.len() as u64,
            pieces: VecDeque::from([packed.into()]),
            content_encoding: compression.content_encoding(),
        })
    }

    /// The coding of these very bytes.
    #[must_use]
    pub fn content_encoding(&self) -> Option<&'static str> {
        self.content_encoding
    }

    /// What is left to be sent, in pieces.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| &**piece)
    }

    /// Puts `items` together.
    #[must_use]
    pub fn frame(framing: &Framing, items: &[Item]) -> Self {
        let Framing {
            prefix,
            separator,
            suffix,
        } = framing;
        if let [only] = items
            && is_one_plain(framing, items)
        {
            return Self::of([only.body.clone()]);
        }
        let mut buffer = BytesMut::with_capacity(copied_bytes(framing, items));
        let mut pieces = VecDeque::new();
        buffer.extend_from_slice(prefix);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                buffer.extend_from_slice(separator);
            }
            if item.body.len() < SHARE_FROM_BYTES {
                buffer.extend_from_slice(&item.body);
            } else {
                pieces.push_back(buffer.split().freeze());
                pieces.push_back(item.body.clone());
            }
        }
        buffer.extend_from_slice(suffix);
        pieces.push_back(buffer.freeze());
        Self::of(pieces)
    }

    fn of(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let pieces: VecDeque<Bytes> = pieces
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .collect();
        let remaining = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self {
            pieces,
            remaining,
            content_encoding: None,
        }
    }
}

fn pack(pieces: &VecDeque<Bytes>, compression: Compression) -> std::io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(pieces.iter().flatten().copied().collect()),
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            for piece in pieces {
                encoder.write_all(piece)?;
            }
            encoder.finish()
        }
        Compression::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1)?;
            for piece in pieces {
                encoder.write_all(piece)?;
            }
            encoder.finish()
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _ctx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        if let Some(piece) = &piece {
            self.remaining -= piece.len() as u64;
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn items(bodies: &[&[u8]]) -> Vec<Item> {
        bodies
            .iter()
            .map(|body| Item {
                record: 0,
                body: Bytes::copy_from_slice(body),
            })
            .collect()
    }

    fn bytes(body: &RequestBody) -> Vec<u8> {
        assert_eq!(
            body.remaining,
            body.pieces
                .iter()
                .map(|piece| piece.len() as u64)
                .sum::<u64>()
        );
        body.pieces.iter().flatten().copied().collect()
    }

    #[test]
    fn items_are_framed() {
        let of = |framing: &Framing, bodies: &[&[u8]]| {
            let body = RequestBody::frame(framing, &items(bodies))
                .compressed(Compression::None)
                .unwrap();
            String::from_utf8(bytes(&body)).unwrap()
        };
        assert_eq!(of(&Framing::json_array(), &[b"1", b"2", b"3"]), "[1,2,3]");
        assert_eq!(of(&Framing::lines(), &[b"a", b"b"]), "a\nb");
        assert_eq!(of(&Framing::lines(), &[b"a"]), "a");
        assert_eq!(of(&Framing::none(), &[b""]), "");
    }

    #[test]
    fn one_plain_item_and_large_items_are_not_copied() {
        let large = vec![b'x'; SHARE_FROM_BYTES];
        let work = items(&[b"s", &large, b"t", b"u", &large]);
        let body = RequestBody::frame(&Framing::lines(), &work)
            .compressed(Compression::None)
            .unwrap();
        let shared: Vec<_> = body
            .pieces
            .iter()
            .filter(|piece| piece.len() == SHARE_FROM_BYTES)
            .collect();
        assert_eq!(shared[0].as_ptr(), work[1].body.as_ptr());
        assert_eq!(shared[1].as_ptr(), work[4].body.as_ptr());
        let expected = [b"s\n".as_slice(), &large, b"\nt\nu\n", &large].concat();
        assert_eq!(bytes(&body), expected);
        let body = RequestBody::frame(&Framing::none(), &work[..1])
            .compressed(Compression::None)
            .unwrap();
        assert_eq!(body.pieces[0].as_ptr(), work[0].body.as_ptr());
    }

    #[test]
    fn what_a_body_takes_besides_its_items_is_known_before_it_is_made() {
        let large = vec![b'x'; SHARE_FROM_BYTES];
        for framing in [Framing::none(), Framing::lines(), Framing::json_array()] {
            for work in [items(&[b"one"]), items(&[b"a", &large, b"bb", &large])] {
                let own = |body: &RequestBody| {
                    let shared = |piece: &&Bytes| {
                        let same = |item: &Item| item.body.as_ptr() == piece.as_ptr();
                        !work.iter().any(same)
                    };
                    let own = body.pieces.iter().filter(shared);
                    own.map(Bytes::len).sum::<usize>()
                };
                let plain = RequestBody::frame(&framing, &work);
                let copied = own(&plain);
                let whole = usize::try_from(plain.remaining).unwrap();
                let expected = bytes_beyond(&framing, &work, Compression::None);
                assert!(
                    (copied..=copied + 1).contains(&expected),
                    "{expected} {copied}"
                );
                let packed = bytes_beyond(&framing, &work, Compression::Gzip);
                assert!((copied + whole..=copied + whole + 2).contains(&packed));
            }
        }
    }

    #[test]
    fn compression_is_undone_by_any_decoder() {
        let text = b"line of text\n".repeat(200);
        let work = items(&[&text, b"end"]);
        let expected = [&text[..], b"end"].concat();
        let gzip = RequestBody::frame(&Framing::none(), &work)
            .compressed(Compression::Gzip)
            .unwrap();
        assert_eq!(gzip.content_encoding(), Some("gzip"));
        let mut plain = Vec::new();
        let packed = bytes(&gzip);
        assert!(packed.len() < expected.len() / 4);
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_end(&mut plain)
            .unwrap();
        assert_eq!(plain, expected);
        let packed = RequestBody::frame(&Framing::none(), &work)
            .compressed(Compression::Zstd)
            .unwrap();
        assert_eq!(zstd::decode_all(&bytes(&packed)[..]).unwrap(), expected);
        let tiny =
            RequestBody::frame(&Framing::none(), &items(&[b"x"])).compressed(Compression::Gzip);
        assert_eq!(tiny.unwrap().content_encoding(), None);
    }
}
