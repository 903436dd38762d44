//! One request and its answer, free of sockets: what a receiver decides from.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::found::Found;
use crate::record::RecordId;

/// A request that has arrived completely.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The HTTP method.
    pub(crate) method: &'a Method,
    /// The path without the query, as it was sent.
    pub path: &'a str,
    /// The query without its question mark.
    pub query: Option<&'a str>,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body as sent.
    pub body: &'a Bytes,
}

impl Request<'_> {
    /// A header's text; empty if absent or not ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// A query argument.
    #[must_use]
    pub(crate) fn argument(&self, name: &str) -> Option<Cow<'_, str>> {
        url::form_urlencoded::parse(self.query?.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }
}

/// What a receiver answers and accounts for.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status; ids count as delivered only with 2xx.
    pub status: StatusCode,
    /// Headers besides `content-length` and `date`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, not compressed.
    pub body: Bytes,
    /// The ids found in the request, in order.
    pub ids: Vec<RecordId>,
    /// Points, spans or values without an id.
    pub anonymous: u64,
    /// What a real receiver would accept silently although something was lost or odd; shown in
    /// the request heads so that tests can insist on none.
    pub notes: Vec<&'static str>,
}

impl Answer {
    /// An answer without a body.
    #[must_use]
    pub const fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            ids: Vec::new(),
            anonymous: 0,
            notes: Vec::new(),
        }
    }

    /// An answer with a body.
    #[must_use]
    pub(crate) fn with_body(
        status: StatusCode,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        Self {
            body: body.into(),
            ..Self::empty(status)
        }
        .header(CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Accounts for what was found.
    pub(super) fn with_found(mut self, found: Found) -> Self {
        self.ids = found.ids;
        self.anonymous = found.anonymous;
        self.notes = found.notes;
        self
    }
}

/// What makes one receiver differ from another. Methods run on the receiver's own thread and must
/// not block.
pub trait Surface: Send + Sync + 'static {
    /// Decodes a request and decides the answer.
    fn answer(&self, request: &Request<'_>) -> Answer;

    /// The receiver's usual answer for a status, for faults.
    fn failure(&self, request: &Request<'_>, status: StatusCode) -> Answer {
        let _ = request;
        Answer::empty(status)
    }

    /// The answer of a partial success, where the protocol has one.
    fn partial(&self, request: &Request<'_>, rejected: u32, message: &str) -> Option<Answer> {
        let _ = (request, rejected, message);
        None
    }

    /// The decoded content in which poison is looked for; empty if it cannot be decoded.
    fn content<'a>(&self, request: &Request<'a>) -> Cow<'a, [u8]> {
        let encoding = request.header("content-encoding");
        super::body::decompress(encoding, request.body).unwrap_or_default()
    }
}
