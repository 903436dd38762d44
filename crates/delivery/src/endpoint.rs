//! Where requests go: URL, headers, framing of the body, and the rules its answers are read by.
//!
//! An [`Endpoint`] is checked once, when it is built, and immutable after. Work for the same
//! endpoint shares one `Arc`, which is how the scheduler knows what may travel in one request.
//! The promise: nothing secret (credentials in the URL, tokens in path, query or headers) shows in
//! `Display`, `Debug` or an error.

use kafkamq_address::Compression;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use twox_hash::XxHash3_128;
use url::Url;

use super::status::Policy;
use kafkamq_record::TopicPartition;

mod mask;
mod package;

pub use package::package_headers;

use mask::{MASK, is_secret_name, mask_text, mask_url};

/// Longest header value that is sent; more is cut.
const MAX_HEADER_VALUE_BYTES: usize = 8 * 1024;

/// Bytes around and between the items of a request body.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Framing {
    /// Before the first item.
    pub prefix: Bytes,
    /// Between two items.
    pub separator: Bytes,
    /// After the last item.
    pub suffix: Bytes,
}

impl Framing {
    /// Items back to back.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// One item a line, no newline after the last.
    #[cfg(test)]
    pub(crate) fn lines() -> Self {
        Self {
            separator: Bytes::from_static(b"\n"),
            ..Self::default()
        }
    }

    /// A JSON array whose elements are the items.
    #[must_use]
    pub fn json_array() -> Self {
        Self {
            prefix: Bytes::from_static(b"["),
            separator: Bytes::from_static(b","),
            suffix: Bytes::from_static(b"]"),
        }
    }
}

/// What an [`Endpoint`] is built from.
#[derive(Clone, Default)]
pub struct EndpointOptions {
    /// Absolute `http` or `https` URL. User and password in it become an `Authorization` header.
    pub url: String,
    /// Extra headers in order; a later one of the same name is added, not replaced.
    pub headers: Vec<(String, String)>,
    /// `Content-Type` of requests.
    pub content_type: Option<String>,
    /// How items make up a body.
    pub framing: Framing,
    /// How bodies are compressed.
    pub compression: Compression,
    /// How answers are read.
    pub policy: Policy,
    /// Name of the header that carries the idempotency key; none is sent without it.
    pub idempotency_header: Option<String>,
    /// Whether each request says how many items it holds and which package it is; see
    /// [`package_headers`].
    pub package: bool,
}

/// Why an endpoint cannot be built. Holds no secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL at all.
    #[error("`{url}` is not a URL: {reason}")]
    Url {
        /// The URL with secrets masked.
        url: String,
        /// What the parser said.
        reason: String,
    },
    /// A URL without `http://` or `https://`.
    #[error("`{url}` needs a scheme: http:// or https:// in front")]
    Scheme {
        /// The URL with secrets masked.
        url: String,
    },
    /// A header name that HTTP does not allow.
    #[error("`{name}` is not a valid header name")]
    HeaderName {
        /// The name as it was configured.
        name: String,
    },
    /// A header that belongs to the transport.
    #[error("header `{name}` is set by the client and cannot be configured")]
    ReservedHeader {
        /// The name as it was configured.
        name: String,
    },
}

/// A destination address with everything needed to form a request to it.
#[derive(Clone, Eq, PartialEq)]
pub struct Endpoint {
    uri: Uri,
    shown: Arc<str>,
    headers: HeaderMap,
    framing: Framing,
    compression: Compression,
    policy: Policy,
    idempotency_header: Option<HeaderName>,
    package: bool,
}

impl Endpoint {
    /// Checks `options` and builds the endpoint.
    ///
    /// # Errors
    /// If the URL is not an absolute `http(s)` URL, or a header name is invalid or reserved.
    pub fn try_new(options: EndpointOptions) -> Result<Self, EndpointError> {
        let mut url = parse_url(&options.url)?;
        let mut headers = HeaderMap::new();
        if let Some(content_type) = &options.content_type {
            headers.insert(CONTENT_TYPE, header_value(content_type.as_bytes()));
        }
        if let Some(credentials) = kafkamq_address::basic_authorization(&url) {
            let mut value = header_value(credentials.as_bytes());
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let shown = mask_url(&url);
        let stripped = url.set_username("").and_then(|()| url.set_password(None));
        url.set_fragment(None);
        let uri = stripped
            .map_err(|()| "user and password cannot be taken out".to_owned())
            .and_then(|()| {
                url.as_str()
                    .parse::<Uri>()
                    .map_err(|error| error.to_string())
            })
            .map_err(|reason| EndpointError::Url {
                url: shown.clone(),
                reason,
            })?;
        for (name, value) in &options.headers {
            let name = header_name(name)?;
            let mut value = header_value(value.as_bytes());
            value.set_sensitive(is_secret_name(name.as_str()));
            headers.append(name, value);
        }
        let idempotency_header = options
            .idempotency_header
            .as_deref()
            .map(header_name)
            .transpose()?;
        Ok(Self {
            uri,
            shown: shown.into(),
            headers,
            framing: options.framing,
            compression: options.compression,
            policy: options.policy,
            idempotency_header,
            package: options.package,
        })
    }

    /// The endpoint called `name` of a destination that is not spoken to over HTTP: a topic, or a
    /// folder. Its items travel as they are.
    #[must_use]
    pub fn named(name: &str, policy: Policy) -> Self {
        Self {
            uri: Uri::default(),
            shown: name.into(),
            headers: HeaderMap::new(),
            framing: Framing::none(),
            compression: Compression::None,
            policy,
            idempotency_header: None,
            package: false,
        }
    }

    /// What it is shown as: the name it was given, or its URL with secrets masked.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.shown
    }

    /// Request URI, secrets included. Not for display.
    #[must_use]
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Headers every request carries, secrets included (those are marked sensitive).
    #[must_use]
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The same headers as they may be shown.
    #[must_use]
    pub fn shown_headers(&self) -> Vec<(String, String)> {
        let headers = self.headers.iter();
        headers
            .map(|(name, value)| (name.to_string(), shown_value(name, value).to_owned()))
            .collect()
    }

    /// How items make up a body.
    #[must_use]
    pub fn framing(&self) -> &Framing {
        &self.framing
    }

    /// How bodies are compressed.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// How answers are read.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Header that carries the idempotency key, if the endpoint wants one.
    #[must_use]
    pub fn idempotency_header(&self) -> Option<&HeaderName> {
        self.idempotency_header.as_ref()
    }

    /// Whether requests carry what an [`idempotency_key`] is needed for.
    #[must_use]
    pub fn is_identified(&self) -> bool {
        self.package || self.idempotency_header.is_some()
    }

    /// Whether each request carries [`package_headers`].
    #[must_use]
    pub fn is_package(&self) -> bool {
        self.package
    }

    /// Bytes of a body of `items` items whose bodies sum up to `item_bytes`, before compression.
    #[must_use]
    pub(crate) fn body_bytes(&self, items: usize, item_bytes: usize) -> usize {
        let Framing {
            prefix,
            separator,
            suffix,
        } = &self.framing;
        prefix.len() + suffix.len() + separator.len() * items.saturating_sub(1) + item_bytes
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.shown)
            .field("headers", &MaskedHeaders(&self.headers))
            .field("compression", &self.compression)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EndpointOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointOptions")
            .field("url", &mask_text(&self.url))
            .finish_non_exhaustive()
    }
}

struct MaskedHeaders<'a>(&'a HeaderMap);

impl fmt::Debug for MaskedHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter();
        let shown = shown.map(|(name, value)| (name, shown_value(name, value)));
        f.debug_map().entries(shown).finish()
    }
}

/// The value of a header, or a mask if it is a secret.
fn shown_value<'a>(name: &HeaderName, value: &'a HeaderValue) -> &'a str {
    if value.is_sensitive() || is_secret_name(name.as_str()) {
        return MASK;
    }
    value.to_str().unwrap_or("(bytes)")
}

/// Turns any bytes into one header value: control characters become spaces, blanks at the ends go,
/// and what exceeds 8 KiB is cut, so that no value can start a header of its own.
#[must_use]
pub(crate) fn header_value(bytes: &[u8]) -> HeaderValue {
    let cut = bytes.get(..MAX_HEADER_VALUE_BYTES).unwrap_or(bytes);
    let clean: Vec<u8> = cut
        .iter()
        .map(|&byte| {
            if byte < 0x20 || byte == 0x7f {
                b' '
            } else {
                byte
            }
        })
        .collect();
    HeaderValue::from_bytes(clean.trim_ascii()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A range of offsets of one partition, for [`idempotency_key`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OffsetRange {
    /// Topic and partition.
    pub source: TopicPartition,
    /// First offset in the request.
    pub first: i64,
    /// Last offset in the request, included.
    pub last: i64,
}

/// A key that is the same whenever the same bytes of the same offsets are sent again, also by
/// another process after a restart, and different otherwise. `body` is the framed body in pieces,
/// before compression; how it is cut does not count.
///
/// The content counts, since one record can be cut into items that travel in several requests. The
/// digest is XXH3, which costs next to nothing; it guards against accidents, not against forgers.
/// A key of one range is readable: `topic/partition/first-last/digest`.
pub fn idempotency_key<'a>(
    ranges: &[OffsetRange],
    body: impl IntoIterator<Item = &'a [u8]>,
) -> HeaderValue {
    let mut digest = XxHash3_128::new();
    for range in ranges {
        let topic = &range.source.topic;
        digest.write(&(topic.len() as u64).to_be_bytes());
        digest.write(topic.as_bytes());
        digest.write(&range.source.partition.to_be_bytes());
        digest.write(&range.first.to_be_bytes());
        digest.write(&range.last.to_be_bytes());
    }
    digest.write(&(ranges.len() as u64).to_be_bytes());
    for piece in body {
        digest.write(piece);
    }
    let hex = format!("{:032x}", digest.finish_128());
    match ranges {
        [range] => {
            let TopicPartition { topic, partition } = &range.source;
            let (first, last) = (range.first, range.last);
            header_value(format!("{topic}/{partition}/{first}-{last}/{hex}").as_bytes())
        }
        _ => header_value(hex.as_bytes()),
    }
}

fn parse_url(text: &str) -> Result<Url, EndpointError> {
    let text = text.trim();
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => EndpointError::Scheme {
            url: mask_text(text),
        },
        other => EndpointError::Url {
            url: mask_text(text),
            reason: other.to_string(),
        },
    })?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(EndpointError::Scheme {
            url: mask_text(text),
        }),
    }
}

fn header_name(name: &str) -> Result<HeaderName, EndpointError> {
    let parsed: HeaderName = name.trim().parse().map_err(|_| EndpointError::HeaderName {
        name: name.to_owned(),
    })?;
    match parsed.as_str() {
        "content-length" | "transfer-encoding" | "connection" | "upgrade" | "te" | "trailer"
        | "content-encoding" | "accept-encoding" | "expect" => Err(EndpointError::ReservedHeader {
            name: name.to_owned(),
        }),
        _ => Ok(parsed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint::try_new(EndpointOptions {
            url: url.to_owned(),
            ..Default::default()
        })
        .unwrap()
    }

    #[test]
    fn secrets_are_sent_but_not_shown() {
        let endpoint = Endpoint::try_new(EndpointOptions {
            url: "https://me:pa%20ss@gate.example:9528/v1/write/logging?token=tkn_abc&precision=ns"
                .to_owned(),
            headers: vec![
                ("X-Api-Key".to_owned(), "k-secret".to_owned()),
                ("X-Tenant".to_owned(), "blue".to_owned()),
            ],
            ..Default::default()
        })
        .unwrap();
        assert_eq!(
            endpoint.uri().to_string(),
            "https://gate.example:9528/v1/write/logging?token=tkn_abc&precision=ns"
        );
        assert_eq!(endpoint.headers()[AUTHORIZATION], "Basic bWU6cGEgc3M=");
        assert_eq!(
            endpoint.to_string(),
            "https://***@gate.example:9528/v1/write/logging?token=***&precision=ns"
        );
        let debug = format!("{endpoint:?}");
        for secret in ["tkn_abc", "k-secret", "bWU6", "pa%20ss"] {
            assert!(!debug.contains(secret), "{secret} in {debug}");
        }
        assert!(debug.contains("blue"), "{debug}");
    }

    #[test]
    fn tokens_in_a_path_are_masked() {
        let endpoint = endpoint("http://h/in/tokn_0123/x?tkn_9");
        assert_eq!(endpoint.to_string(), "http://h/in/***/x?***");
    }

    #[test]
    fn errors_name_the_fault_without_the_secret() {
        let error = |url: &str| {
            Endpoint::try_new(EndpointOptions {
                url: url.to_owned(),
                ..Default::default()
            })
            .unwrap_err()
            .to_string()
        };
        assert_eq!(
            error("127.0.0.1:9529/x?token=tkn_1"),
            "`127.0.0.1:9529/x?***` needs a scheme: http:// or https:// in front"
        );
        assert_eq!(
            error("localhost:9529"),
            "`localhost:9529` needs a scheme: http:// or https:// in front"
        );
        assert_eq!(
            error("http://u:p@h:99999/"),
            "`***@h:99999/` is not a URL: invalid port number"
        );
    }

    #[test]
    fn header_values_cannot_start_a_header() {
        assert_eq!(header_value(b"a\r\nX-Evil: 1\n"), "a  X-Evil: 1");
        assert_eq!(header_value(&[0xc3, 0xa9]).as_bytes(), &[0xc3, 0xa9]);
        assert_eq!(
            header_value(&vec![b'x'; 9000]).len(),
            MAX_HEADER_VALUE_BYTES
        );
    }

    #[test]
    fn names_that_break_framing_are_refused() {
        let with = |name: &str| {
            Endpoint::try_new(EndpointOptions {
                url: "http://h/".to_owned(),
                headers: vec![(name.to_owned(), "1".to_owned())],
                ..Default::default()
            })
            .unwrap_err()
        };
        assert!(matches!(
            with("Content-Length"),
            EndpointError::ReservedHeader { .. }
        ));
        assert!(matches!(with("a b"), EndpointError::HeaderName { .. }));
    }

    #[test]
    fn body_size_counts_the_framing() {
        let mut endpoint = endpoint("http://h/");
        endpoint.framing = Framing::json_array();
        assert_eq!(endpoint.body_bytes(3, 30), "[".len() + 30 + 2 + "]".len());
        assert_eq!(endpoint.body_bytes(0, 0), 2);
    }

    #[test]
    fn idempotency_keys_tell_content_and_offsets_apart() {
        let range = OffsetRange {
            source: TopicPartition::new("t.x", 3),
            first: 10,
            last: 12,
        };
        let key = |range: &OffsetRange, body: &[&'static [u8]]| {
            let key = idempotency_key(std::slice::from_ref(range), body.iter().copied());
            key.to_str().unwrap().to_owned()
        };
        let first = key(&range, &[b"ab,", b"c"]);
        assert!(first.starts_with("t.x/3/10-12/"), "{first}");
        assert_eq!(first, key(&range, &[b"ab", b",c"]));
        assert_ne!(first, key(&range, &[b"a,bc"]));
        let longer = OffsetRange {
            last: 13,
            ..range.clone()
        };
        assert_ne!(first, key(&longer, &[b"ab,c"]));
        let two = idempotency_key(&[range.clone(), range], [b"x".as_slice()]);
        assert_eq!(two.len(), 32);
    }
}
