//! The body of an answer, whole or broken off on purpose, and the socket that can end in a reset.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Asks for a reset instead of an orderly end when the connection is dropped.
#[derive(Debug, Clone, Default)]
pub(super) struct ResetMark(Arc<AtomicBool>);

impl ResetMark {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A TCP stream that sends a reset when it is dropped with its mark set.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    pub(super) mark: ResetMark,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.mark.0.load(Ordering::Acquire)
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "cannot reset the connection, closing it");
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// The length a broken answer announces, and how much of it is sent.
const ANNOUNCED: u64 = 4096;
const SENT: &[u8] = b"{\"accepted\":";
/// Time for what was sent to leave before the reset.
const FLUSH: Duration = Duration::from_millis(5);

/// The body of an answer.
pub(super) enum Reply {
    /// Sent completely.
    Whole(Option<Bytes>),
    /// Broken off by a reset.
    Broken {
        sent: bool,
        mark: ResetMark,
        pause: Option<Pin<Box<tokio::time::Sleep>>>,
    },
}

impl Reply {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    pub(super) const fn broken(mark: ResetMark) -> Self {
        Self::Broken {
            sent: false,
            mark,
            pause: None,
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Broken {
                sent: sent @ false, ..
            } => {
                *sent = true;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(SENT)))))
            }
            Self::Broken { mark, pause, .. } => {
                let pause = pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(FLUSH)));
                ready!(pause.as_mut().poll(cx));
                mark.set();
                Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Broken { .. } => SizeHint::with_exact(ANNOUNCED),
        }
    }
}
