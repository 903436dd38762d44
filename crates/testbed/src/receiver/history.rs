//! The heads of recent requests and counts of traffic, for assertions about how a client behaves.

use std::collections::{BTreeMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Method, Uri};
use parking_lot::Mutex;
use serde::Serialize;

/// How many heads are kept.
const KEPT: usize = 2048;

/// The head of a request, with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestHead {
    /// When it had arrived, milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
    /// Counts the connections of the receiver from 1: equal numbers share a connection.
    pub(crate) connection: u64,
    /// The HTTP method.
    pub(crate) method: String,
    /// The path without the query, as it was sent.
    pub path: String,
    /// The query without its question mark.
    pub query: Option<String>,
    /// Headers in order, names in lower case, values with invalid UTF-8 replaced.
    pub headers: Vec<(String, String)>,
    /// The size of the body as sent.
    pub body_bytes: u64,
    /// The status answered; 0 if the request was hung or reset.
    pub status: u16,
    /// How many record ids were found in it.
    pub ids: usize,
    /// Whether a fault decided the answer.
    pub(crate) faulted: bool,
    /// What a real receiver would have accepted silently although something was lost or odd.
    pub notes: Vec<&'static str>,
}

impl RequestHead {
    /// The first value of a header, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Counts of requests, connections and answers since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Requests read completely, or reset while being read.
    pub requests: u64,
    /// Connections accepted.
    pub(crate) connections: u64,
    /// Answers by status; 0 counts those hung or reset.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Requests that a fault decided.
    pub(crate) faulted: u64,
    /// Requests with notes.
    pub(crate) noted: u64,
    /// Requests being served now.
    pub(crate) in_flight: u64,
    /// The most requests that were being served at one moment.
    pub(crate) peak_in_flight: u64,
    /// Bytes of all bodies as sent.
    pub body_bytes: u64,
}

/// A head as it is kept: rendered only when asked for.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) at: SystemTime,
    pub(super) connection: u64,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body_bytes: u64,
    pub(super) status: u16,
    pub(super) ids: usize,
    pub(super) faulted: bool,
    pub(super) notes: Vec<&'static str>,
}

#[derive(Debug, Default)]
pub(super) struct History {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<Kept>,
    traffic: Traffic,
}

impl History {
    pub(super) fn connected(&self) {
        self.state.lock().traffic.connections += 1;
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(super) fn enter(&self) -> InFlight<'_> {
        let traffic = &mut self.state.lock().traffic;
        traffic.in_flight += 1;
        traffic.peak_in_flight = traffic.peak_in_flight.max(traffic.in_flight);
        InFlight(self)
    }

    pub(super) fn note(&self, kept: Kept) {
        let mut state = self.state.lock();
        let State {
            kept: heads,
            traffic,
        } = &mut *state;
        traffic.requests += 1;
        traffic.body_bytes += kept.body_bytes;
        traffic.faulted += u64::from(kept.faulted);
        traffic.noted += u64::from(!kept.notes.is_empty());
        *traffic.statuses.entry(kept.status).or_default() += 1;
        if heads.len() == KEPT {
            heads.pop_front();
        }
        heads.push_back(kept);
    }

    pub(super) fn recent(&self, path: &str, limit: usize) -> Vec<RequestHead> {
        let state = self.state.lock();
        let matching = state
            .kept
            .iter()
            .rev()
            .filter(|kept| kept.uri.path().starts_with(path));
        let mut heads: Vec<_> = matching.take(limit).map(render).collect();
        heads.reverse();
        heads
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.state.lock().traffic.clone()
    }

    /// Forgets everything but what is in flight.
    pub(super) fn reset(&self) {
        let mut state = self.state.lock();
        let in_flight = state.traffic.in_flight;
        *state = State::default();
        state.traffic.in_flight = in_flight;
        state.traffic.peak_in_flight = in_flight;
    }
}

pub(super) struct InFlight<'a>(&'a History);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.state.lock().traffic.in_flight -= 1;
    }
}

fn render(kept: &Kept) -> RequestHead {
    RequestHead {
        at_ms: kept
            .at
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64),
        connection: kept.connection,
        method: kept.method.to_string(),
        path: kept.uri.path().to_owned(),
        query: kept.uri.query().map(str::to_owned),
        headers: kept
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body_bytes: kept.body_bytes,
        status: kept.status,
        ids: kept.ids,
        faulted: kept.faulted,
        notes: kept.notes.clone(),
    }
}
