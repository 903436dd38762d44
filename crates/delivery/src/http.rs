//! Sends one request and brings back its whole answer, or the layer that failed.
//!
//! A [`Transport`] owns the connections to one destination. It promises that every exchange ends
//! within the total timeout, that an answer takes bounded memory, that bodies are drained so that
//! connections are used again, that redirects are not followed, and that certificates are verified
//! unless the user says otherwise. It never sends a request twice on its own, except one that the
//! peer cannot have seen because a kept connection had closed before it was written.
//!
//! It belongs to the runtime it first sends on: build it in the thread that uses it.

use std::error::Error as _;
use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT,
};
use http::{HeaderMap, Request, Uri};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

use super::answer::{Answer, Layer, TransportError, retry_after};
use super::endpoint::{Endpoint, OffsetRange, idempotency_key, package_headers};
use super::lanes::Item;

mod body;
mod connect;
mod proxy;
#[cfg(test)]
mod tests;
mod tls;

pub use body::RequestBody;
use connect::{ConnectedAt, Connector};
pub use proxy::Proxies;
pub use tls::{TlsError, TlsOptions};

/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How a [`Transport`] behaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransportOptions {
    /// Time for name resolution, TCP and TLS handshake together.
    pub connect_timeout: Duration,
    /// Time for a whole exchange, connecting and reading the answer included.
    pub total_timeout: Duration,
    /// Most unused connections kept per host; as many as requests may be in flight.
    pub max_idle: usize,
    /// How long a connection is used at most; `None` is as long as both sides keep it.
    pub max_age: Option<Duration>,
    /// Which proxy requests go through.
    pub proxies: Proxies,
    /// Bytes of an answer's body that are kept, before and after decompression.
    pub max_answer_bytes: usize,
    /// Trust and identity for `https`.
    pub tls: TlsOptions,
    /// `User-Agent`, unless the endpoint sets its own.
    pub user_agent: String,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(30),
            max_idle: 256,
            max_age: None,
            proxies: Proxies::None,
            max_answer_bytes: 4 << 20,
            tls: TlsOptions::default(),
            user_agent: concat!("kafkamq/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// One POST.
#[derive(Clone, Debug)]
pub struct Post {
    /// Where it goes.
    pub endpoint: Arc<Endpoint>,
    /// What it carries; framed and compressed as the endpoint says.
    pub items: Arc<[Item]>,
    /// The offsets of its records, for the idempotency key where the endpoint wants one.
    pub ranges: Vec<OffsetRange>,
}

impl Post {
    /// Bytes of memory that the request takes besides its items, which are charged where they were made.
    #[must_use]
    pub fn bytes_beyond(&self) -> usize {
        let endpoint = &self.endpoint;
        body::bytes_beyond(endpoint.framing(), &self.items, endpoint.compression())
    }

    /// The request as it goes to the client: body framed and compressed, headers complete.
    /// `user_agent` is sent unless the endpoint sets its own.
    ///
    /// # Errors
    /// If the compressor fails, which means that there is no memory for it.
    pub fn into_request(
        self,
        user_agent: &HeaderValue,
    ) -> Result<Request<RequestBody>, TransportError> {
        let Self {
            endpoint,
            items,
            ranges,
        } = self;
        let body = RequestBody::frame(endpoint.framing(), &items);
        // Of the body that was just put together: its bytes are at hand, those of the items were not.
        let key = endpoint
            .is_identified()
            .then(|| idempotency_key(&ranges, body.pieces()));
        let body = body.compressed(endpoint.compression())?;
        let mut all: HeaderMap = endpoint.headers().clone();
        if let Some(encoding) = body.content_encoding() {
            all.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        if endpoint.policy().needs_body() {
            all.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(key) = key {
            if endpoint.is_package() {
                all.extend(package_headers(items.len(), &key));
            }
            if let Some(name) = endpoint.idempotency_header() {
                all.insert(name.clone(), key);
            }
        }
        all.entry(USER_AGENT).or_insert_with(|| user_agent.clone());
        if body.is_end_stream() {
            // The client leaves it out, and receivers answer 411 or wait for a body.
            all.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = Uri::clone(endpoint.uri());
        *request.headers_mut() = all;
        Ok(request)
    }
}

/// Why a destination cannot be reached, and what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{endpoint}: {error}; {}", error.layer.remedy())]
pub struct DialError {
    /// The endpoint, secrets masked.
    pub endpoint: String,
    /// The layer that failed and what it said.
    pub error: TransportError,
}

/// The connections to one destination. Clones share them.
#[derive(Clone)]
pub struct Transport {
    client: Client<Connector, RequestBody>,
    connector: Connector,
    total_timeout: Duration,
    max_age: Option<Duration>,
    max_answer_bytes: usize,
    user_agent: HeaderValue,
}

impl Transport {
    /// Prepares connections; none is made yet.
    ///
    /// # Errors
    /// If a file named in the TLS options cannot be read or used.
    pub fn try_new(options: &TransportOptions) -> Result<Self, TlsError> {
        let connector = Connector::try_new(options)?;
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(options.max_idle);
        Ok(Self {
            client: builder.build(connector.clone()),
            connector,
            total_timeout: options.total_timeout,
            max_age: options.max_age,
            max_answer_bytes: options.max_answer_bytes,
            user_agent: super::endpoint::header_value(options.user_agent.as_bytes()),
        })
    }

    /// Sends one request and reads its answer, whatever its status.
    ///
    /// A success whose body breaks off, or does not end in time, fails the exchange: it is unknown
    /// whether the destination got as far as its status promised. With any other status, or where
    /// nothing but the decompression fails and the endpoint's policy does not need the body of a
    /// success, the answer is marked as truncated.
    ///
    /// # Errors
    /// The layer that failed. Dropping the future calls the exchange off and closes its connection.
    pub async fn send(&self, post: Post) -> Result<Answer, TransportError> {
        let deadline = Instant::now() + self.total_timeout;
        let needs_body = post.endpoint.policy().needs_body();
        let mut request = post.into_request(&self.user_agent)?;
        if let Some(value) = self.connector.proxy_authorization(request.uri()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        let connection = self
            .max_age
            .map(|max_age| (max_age, capture_connection(&mut request)));
        let response = match timeout_at(deadline, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => return Err(self.timed_out("no answer")),
        };
        if let Some((max_age, connection)) = connection {
            retire_after(max_age, &connection);
        }
        let (head, incoming) = response.into_parts();
        let mut answer = Answer {
            status: head.status.as_u16(),
            retry_after: retry_after(&head.headers, SystemTime::now()),
            headers: head.headers,
            ..Answer::default()
        };
        if incoming.is_end_stream() {
            return Ok(answer);
        }
        let read = match timeout_at(deadline, read(incoming, self.max_answer_bytes)).await {
            Ok(read) => read,
            Err(_) => Err(self.timed_out("the body of the answer did not end")),
        };
        let success = (200..300).contains(&answer.status);
        let (body, truncated) = match read {
            Ok(read) => read,
            Err(error) if success => return Err(error),
            Err(_) => {
                answer.truncated = true;
                return Ok(answer);
            }
        };
        match decompress(&mut answer.headers, body, self.max_answer_bytes) {
            Ok((body, cut)) => {
                answer.body = body;
                answer.truncated = truncated || cut;
                Ok(answer)
            }
            Err(error) if needs_body && success => Err(error),
            Err(_) => {
                answer.truncated = true;
                Ok(answer)
            }
        }
    }

    /// Connects to an endpoint as a request would (name, TCP, TLS) and hangs up.
    ///
    /// # Errors
    /// The layer that failed, with a remedy.
    pub async fn dial(&self, endpoint: &Endpoint) -> Result<(), DialError> {
        match self.connector.dial(endpoint.uri()).await {
            Ok(_stream) => Ok(()),
            Err(error) => Err(DialError {
                endpoint: endpoint.to_string(),
                error,
            }),
        }
    }

    fn timed_out(&self, what: &str) -> TransportError {
        TransportError::new(
            Layer::Timeout,
            format!("{what} within {:?}", self.total_timeout),
        )
    }
}

/// Takes a connection that has become older than `max_age` out of use; the request on it ends well.
fn retire_after(max_age: Duration, connection: &CaptureConnection) {
    let metadata = connection.connection_metadata();
    let Some(connected) = metadata.as_ref() else {
        return;
    };
    let mut extras = http::Extensions::new();
    connected.get_extras(&mut extras);
    if extras
        .get::<ConnectedAt>()
        .is_some_and(|ConnectedAt(since)| since.elapsed() >= max_age)
    {
        connected.poison();
    }
}

/// Reads a body up to `limit` and then as much again for nothing, so that the connection can be
/// used for the next request. Returns what was kept and whether that is not all.
async fn read(mut incoming: Incoming, limit: usize) -> Result<(Bytes, bool), TransportError> {
    let mut first = Bytes::new();
    let mut kept = BytesMut::new();
    let mut surplus = 0_usize;
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let Ok(mut chunk) = frame.into_data() else {
            continue;
        };
        let room = limit - first.len() - kept.len();
        surplus += chunk.len().saturating_sub(room);
        chunk.truncate(room);
        if first.is_empty() {
            first = chunk;
        } else {
            kept.extend_from_slice(&chunk);
        }
        if surplus > limit {
            break;
        }
    }
    if kept.is_empty() {
        return Ok((first, surplus > 0));
    }
    let mut whole = BytesMut::with_capacity(first.len() + kept.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&kept);
    Ok((whole.freeze(), surplus > 0))
}

/// Undoes gzip and takes its mark off the headers. Returns whether the result was cut.
fn decompress(
    headers: &mut HeaderMap,
    body: Bytes,
    limit: usize,
) -> Result<(Bytes, bool), TransportError> {
    let is_gzip = headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip"));
    if !is_gzip || body.is_empty() {
        return Ok((body, false));
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(&body[..])
        .take(limit as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|error| TransportError::new(Layer::Body, format!("gzip: {error}")))?;
    headers.remove(CONTENT_ENCODING);
    let cut = plain.len() > limit;
    plain.truncate(limit);
    Ok((plain.into(), cut))
}

fn broken(error: &hyper::Error) -> TransportError {
    TransportError::new(
        Layer::Body,
        format!("the body of the answer broke off: {}", chain(error)),
    )
}

/// Finds the layer of a failed request.
fn failed(error: &ClientError) -> TransportError {
    let mut source = error.source();
    while let Some(cause) = source {
        // What our own connector said.
        if let Some(error) = cause.downcast_ref::<TransportError>() {
            return error.clone();
        }
        if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            let layer = if error.is_parse() || error.is_user() || error.is_parse_too_large() {
                Layer::Protocol
            } else if error.is_timeout() {
                Layer::Timeout
            } else {
                Layer::Reset
            };
            return TransportError::new(layer, chain(error));
        }
        source = cause.source();
    }
    TransportError::new(Layer::Reset, chain(error))
}

/// An error and its causes in one line, without repetition.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}
