//! What comes back for a request: an [`Answer`], or a [`TransportError`] that names the layer that failed.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// A complete HTTP response.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status code, 100 to 999.
    pub status: u16,
    /// Response headers.
    pub headers: HeaderMap,
    /// Body after decompression, cut at the transport's limit.
    pub body: Bytes,
    /// True when the body was longer than the limit or broke off, so that `body` is not all of it.
    pub truncated: bool,
    /// How long the destination asks us to stay away, if it says so.
    pub retry_after: Option<Duration>,
}

/// What a destination of any kind says to a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// An HTTP answer, whatever its status.
    Http(Answer),
    /// The disk, the stream or the brokers have all of it.
    Taken,
    /// An item will never be taken; none of the request was.
    Refused {
        /// Why, in words.
        detail: String,
    },
}

impl Reply {
    /// The answer, if it came over HTTP.
    #[must_use]
    pub(crate) fn into_answer(self) -> Option<Answer> {
        match self {
            Self::Http(answer) => Some(answer),
            Self::Taken | Self::Refused { .. } => None,
        }
    }
}

/// The layer in which an exchange failed, from the bottom up.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Layer {
    /// The host name could not be resolved.
    Dns,
    /// No TCP connection: refused, unreachable, or no answer within the connect timeout.
    Connect,
    /// The TLS handshake failed, or the peer is not trusted.
    Tls,
    /// The connection stood, but the whole answer did not come within the total timeout.
    Timeout,
    /// The peer closed the connection before it answered.
    Reset,
    /// The peer's bytes are not HTTP.
    Protocol,
    /// The answer began but its body broke off or cannot be decompressed.
    Body,
    /// The disk or the stream failed, or is full.
    Disk,
    /// The brokers did not confirm in time.
    Broker,
    /// The folder, stream or topic cannot be used; somebody has to act.
    Access,
}

impl Layer {
    /// Stable lower-case name, fit for a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::Body => "body",
            Self::Disk => "disk",
            Self::Broker => "broker",
            Self::Access => "access",
        }
    }

    /// What an operator should look at, in one clause.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Dns => "check the host name in the URL and the name server of this machine",
            Self::Connect => {
                "check that the destination is running, that the port is right and that no firewall is in between"
            }
            Self::Tls => {
                "check that the URL scheme matches the port, that the certificate names this host, and set a CA file if its issuer is private"
            }
            Self::Timeout => "check the load of the destination, or raise the timeout",
            Self::Reset => "check the log of the destination and of proxies in between",
            Self::Protocol => "check that the port speaks HTTP and that the scheme is right",
            Self::Body => "check proxies in between; the destination broke off its own answer",
            Self::Disk => "check the space left on the disk",
            Self::Broker => "check that the brokers are running and can be reached",
            Self::Access => {
                "check that the folder or topic exists and may be written to, and that somebody reads the stream"
            }
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No usable answer. Whether the destination took the request is unknown, except below
/// [`Layer::Timeout`], where it cannot have.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{layer}: {message}")]
pub struct TransportError {
    /// The layer that failed.
    pub layer: Layer,
    /// What the layer said, without secrets.
    pub message: String,
}

impl TransportError {
    /// An error of `layer` that says `message`.
    pub fn new(layer: Layer, message: impl Into<String>) -> Self {
        Self {
            layer,
            message: message.into(),
        }
    }
}

/// Reads `Retry-After` in either form: seconds, or an HTTP date.
///
/// A date is measured against the `Date` header of the same answer where there is one, since the
/// clocks of both sides may differ, and against `now` otherwise. A date in the past is zero.
#[must_use]
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds >= 0.0)
            .then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let from = headers
        .get(DATE)
        .and_then(|date| date.to_str().ok())
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .unwrap_or(now);
    Some(until.duration_since(from).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn parse(retry: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:00 GMT").unwrap();
        retry_after(&headers, now)
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(parse("7", None), Some(Duration::from_secs(7)));
        assert_eq!(parse(" 1.5 ", None), Some(Duration::from_millis(1500)));
        let at = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(parse(at, None), Some(Duration::from_secs(37)));
        let skewed = Some("Sun, 06 Nov 1994 08:49:30 GMT");
        assert_eq!(parse(at, skewed), Some(Duration::from_secs(7)));
    }

    #[test]
    fn the_past_is_now_and_nonsense_is_nothing() {
        assert_eq!(
            parse("Sun, 06 Nov 1994 08:00:00 GMT", None),
            Some(Duration::ZERO)
        );
        assert_eq!(parse("-3", None), None);
        assert_eq!(parse("soon", None), None);
        assert_eq!(parse("NaN", None), None);
        assert_eq!(parse("1e300", None), Some(Duration::MAX));
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }
}
