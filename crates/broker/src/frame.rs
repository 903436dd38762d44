//! A response on its way to a client: pieces of memory written to the socket as they are, without being joined.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Pieces up to this size are copied, as a piece of its own costs more.
const COPIED: usize = 1024;

/// Builds a frame: written numbers and texts go into one piece until a large piece of shared memory comes between.
pub(crate) struct FrameBuilder {
    length: usize,
    written: BytesMut,
    pieces: VecDeque<Bytes>,
}

impl FrameBuilder {
    /// A response to the request with this correlation id.
    pub(crate) fn new(correlation: i32) -> Self {
        let mut frame = Self {
            length: 0,
            written: BytesMut::with_capacity(256),
            pieces: VecDeque::new(),
        };
        frame.written.put_i32(correlation);
        frame
    }

    /// Where to write.
    pub(crate) fn out(&mut self) -> &mut BytesMut {
        &mut self.written
    }

    /// Adds bytes, without copying them if there are many.
    pub(crate) fn share(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPIED {
            self.written.extend_from_slice(bytes);
        } else {
            self.flush();
            self.length += bytes.len();
            self.pieces.push_back(bytes.clone());
        }
    }

    fn flush(&mut self) {
        if !self.written.is_empty() {
            self.length += self.written.len();
            self.pieces.push_back(self.written.split().freeze());
        }
    }

    /// The frame, its length in front.
    pub(crate) fn finish(mut self) -> Frame {
        self.flush();
        let length = u32::try_from(self.length).unwrap_or(u32::MAX);
        self.pieces
            .push_front(Bytes::copy_from_slice(&length.to_be_bytes()));
        Frame {
            left: self.length + 4,
            pieces: self.pieces,
        }
    }
}

/// A frame that is being written.
#[derive(Debug)]
pub(crate) struct Frame {
    left: usize,
    pieces: VecDeque<Bytes>,
}

impl Buf for Frame {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece);
            used += 1;
        }
        used
    }

    fn advance(&mut self, mut written: usize) {
        self.left -= written;
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_out_in_order_whatever_is_written_at_once() {
        for step in [1, 3, 1000, 5000] {
            let big = Bytes::from(vec![7; COPIED + 1]);
            let mut builder = FrameBuilder::new(0x0102_0304);
            builder.share(&Bytes::from_static(b"ab"));
            builder.share(&big);
            builder.share(&big);
            builder.out().put_u8(9);
            let mut frame = builder.finish();
            let mut read = Vec::new();
            while frame.has_remaining() {
                let chunk = frame.chunk();
                let taken = step.min(chunk.len());
                read.extend_from_slice(&chunk[..taken]);
                frame.advance(taken);
            }
            let length = (read.len() - 4) as u32;
            let mut expected = length.to_be_bytes().to_vec();
            expected.extend([1, 2, 3, 4, b'a', b'b']);
            expected.extend(vec![7; 2 * (COPIED + 1)]);
            expected.push(9);
            assert_eq!(read, expected);
        }
    }
}
