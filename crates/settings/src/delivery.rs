//! How requests leave: the endpoint, its headers and TLS, and what is done with each answer.

use std::time::Duration;

use http::HeaderMap;
use kafkamq_address::Compression;
use std::path::PathBuf;
use url::Url;

use super::ClientIdentity;

/// One HTTP destination.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSettings {
    /// Base address; path and query are part of it and are kept when a route appends its own path.
    pub endpoint: Url,
    /// Headers added to every request; values are marked sensitive, so `Debug` hides them.
    pub headers: HeaderMap,
    /// Compression of request bodies.
    pub compression: Compression,
    /// PEM bundle of trusted roots in addition to the system's own.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate and host name.
    pub insecure_skip_verify: bool,
    /// Certificate shown to the server.
    pub identity: Option<ClientIdentity>,
    /// Requests that may be under way at once.
    pub concurrency: usize,
    /// Time-outs, retries and status rules.
    pub delivery: DeliverySettings,
}

impl HttpSettings {
    /// The endpoint with `path` appended to its own path; the query of the endpoint is kept.
    #[must_use]
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.endpoint.clone();
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let path = path.trim_start_matches('/');
        if !path.is_empty() {
            let base = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("{base}/{path}"));
        }
        if let Some(query) = query {
            let joined = match url.query() {
                Some(own) if !own.is_empty() => format!("{own}&{query}"),
                _ => query.to_owned(),
            };
            url.set_query(Some(&joined));
        }
        url
    }
}

/// Time-outs, retries and status rules of one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliverySettings {
    /// Limit for DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Limit for a whole request, answer included.
    pub timeout: Duration,
    /// How long a connection is used at most; `None` is as long as both sides keep it.
    pub connection_max_age: Option<Duration>,
    /// Whether requests go through the proxies that the environment names.
    pub proxy_from_environment: bool,
    /// Refusals of a request, for a reason that may be its own fault, after which the destination is
    /// probed with other work; at least 1.
    pub max_retries: u32,
    /// Whether what stands behind such a request in its lane may be sent before it.
    pub probe_past: bool,
    /// First pause after a transient failure.
    pub backoff_min: Duration,
    /// Longest pause after transient failures.
    pub backoff_max: Duration,
    /// Pause between tries while a configuration fault (401, 403, 404, 405, 3xx) holds the topic.
    pub hold_backoff: Duration,
    /// Longest `Retry-After` that is obeyed.
    pub retry_after_max: Duration,
    /// Exceptions from the built-in table of answers.
    pub status: StatusPolicy,
}

/// What is done with the records of a request that got a certain status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusAction {
    /// Try again, for ever, with back-off.
    Retry,
    /// Stop the topic, raise an alarm, probe with a long back-off.
    Hold,
    /// Write to the dead letters and go on.
    DeadLetter,
    /// Count and go on.
    Drop,
}

/// An inclusive range of HTTP status codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// First code.
    pub first: u16,
    /// Last code.
    pub last: u16,
}

/// The operator's exceptions from the built-in table of answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusPolicy {
    /// Rules; single codes stand before ranges, so the first match is the most precise.
    pub rules: Vec<(StatusRange, StatusAction)>,
}

impl StatusPolicy {
    /// The operator's rule for `status`, or `None` where the built-in table applies.
    #[must_use]
    pub fn action(&self, status: u16) -> Option<StatusAction> {
        self.rules
            .iter()
            .find(|(range, _)| (range.first..=range.last).contains(&status))
            .map(|&(_, action)| action)
    }
}
