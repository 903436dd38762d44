//! One client connection: requests are read, carried out and answered strictly in turn, as the protocol demands.
//!
//! Bytes that are not a request close the connection and nothing else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api::{self, Call, Outcome};
use crate::faults::Fault;
use crate::shape;
use crate::shared::Shared;

/// Largest request other than Produce, in bytes.
const MAX_REQUEST: usize = 4 << 20;
/// What a Produce request needs besides its batches, in bytes, generously.
const PRODUCE_OVERHEAD: usize = 1 << 20;
/// Memory taken for a request before it has arrived; more is taken as it comes in.
const RESERVED: usize = 2 << 20;

/// Serves a client until it goes, sends nonsense, or a fault closes the connection.
pub(crate) async fn serve(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot disable delayed sending");
    }
    let mut connection = Connection {
        shared,
        stream,
        host: peer.ip().to_string(),
    };
    match connection.run().await {
        Ok(()) => tracing::debug!(%peer, "connection closed"),
        Err(error) => tracing::debug!(%peer, %error, "connection failed"),
    }
}

struct Connection {
    shared: Arc<Shared>,
    stream: TcpStream,
    host: String,
}

/// The fields in front of every request.
struct Header {
    key: i16,
    version: i16,
    correlation: i32,
    client: String,
}

impl Connection {
    async fn run(&mut self) -> io::Result<()> {
        while let Some(request) = self.read().await? {
            let Some((header, body)) = header(request) else {
                return Err(invalid("request header is malformed"));
            };
            let (fault, latency) = self.shared.faults.next(header.key);
            self.shared.count(header.key);
            let response = match self.answer(&header, body, fault).await? {
                Outcome::Close => return Ok(()),
                Outcome::Silence => None,
                Outcome::Answer(frame) => Some(frame),
            };
            let delay = match fault {
                Some(Fault::Delay(delay)) => delay + latency,
                _ => latency,
            };
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            if fault == Some(Fault::LoseResponse) {
                return Ok(());
            }
            if let Some(mut frame) = response {
                self.stream.write_all_buf(&mut frame).await?;
            }
        }
        Ok(())
    }

    /// Reads one request without its length; none when the client has closed the connection.
    async fn read(&mut self) -> io::Result<Option<Bytes>> {
        let mut length = [0; 4];
        match self.stream.read_exact(&mut length).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        };
        let length = usize::try_from(i32::from_be_bytes(length))
            .map_err(|_| invalid("request length is negative"))?;
        let largest = self
            .shared
            .options
            .max_batch_bytes
            .saturating_add(PRODUCE_OVERHEAD);
        if length > largest.max(MAX_REQUEST) {
            return Err(invalid("request is too long"));
        }
        let mut request = BytesMut::with_capacity(length.min(RESERVED));
        while request.len() < length {
            let missing = length - request.len();
            if request.len() == request.capacity() {
                // So much has come that the rest is believed, and taken in one go.
                request.reserve(missing);
            }
            if self
                .stream
                .read_buf(&mut (&mut request).limit(missing))
                .await?
                == 0
            {
                return Ok(None);
            }
            let produce = request.starts_with(&(ApiKey::Produce as i16).to_be_bytes());
            if length > MAX_REQUEST && request.len() >= 2 && !produce {
                return Err(invalid("request is too long"));
            }
        }
        Ok(Some(request.freeze()))
    }

    async fn answer(
        &self,
        header: &Header,
        body: Bytes,
        fault: Option<Fault>,
    ) -> io::Result<Outcome> {
        if fault == Some(Fault::Disconnect) {
            return Ok(Outcome::Close);
        }
        let Some(api) = shape::find(header.key) else {
            return Err(invalid("request kind is unknown"));
        };
        let call = Call {
            shared: &self.shared,
            version: header.version,
            correlation: header.correlation,
            client: &header.client,
            host: &self.host,
            error: match fault {
                Some(Fault::Error(code)) => Some(code),
                _ => None,
            },
        };
        if api.key == ApiKey::ApiVersions {
            return api::api_versions::answer(&call).map_err(invalid);
        }
        if !(api.min..=api.max).contains(&header.version) {
            return Err(invalid("request version is not supported"));
        }
        if !api.holds(header.version, &body) {
            return Err(invalid("request is malformed"));
        }
        tokio::select! {
            biased;
            outcome = api::answer(&call, api.key, body) => outcome.map_err(invalid),
            () = self.hung_up() => Ok(Outcome::Close),
        }
    }

    /// Ends when the client closes the connection while it waits for an answer.
    async fn hung_up(&self) {
        let mut next = [0];
        if let Ok(1..) = self.stream.peek(&mut next).await {
            // The next request is there already; what comes after it cannot be seen.
            std::future::pending::<()>().await;
        }
    }
}

fn header(mut request: Bytes) -> Option<(Header, Bytes)> {
    let key = request.try_get_i16().ok()?;
    let version = request.try_get_i16().ok()?;
    let correlation = request.try_get_i32().ok()?;
    let client = match usize::try_from(request.try_get_i16().ok()?) {
        Ok(length) if length > request.len() => return None,
        Ok(length) => String::from_utf8_lossy(&request.split_to(length)).into_owned(),
        Err(_) => String::new(),
    };
    Some((
        Header {
            key,
            version,
            correlation,
            client,
        },
        request,
    ))
}

fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
