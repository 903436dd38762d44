//! Faults that a receiver shows on demand, switchable while it runs.
//!
//! Promise: a fault fires for exactly the requests it names (path, share, window, count), and the
//! requests of a fault with a share of 0.2 are the same ones in every run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// One fault: what happens, to which requests, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// Only requests whose path starts with this; absent: all. [`FaultKind::Refuse`] concerns the
    /// whole receiver whatever stands here.
    #[serde(default)]
    pub path: Option<String>,
    /// The share of requests hit, 0 to 1.
    #[serde(default = "everything")]
    pub(crate) fraction: f64,
    /// The fault starts this many milliseconds after it is set.
    #[serde(default)]
    pub(crate) after_ms: u64,
    /// It ends this many milliseconds after it starts; absent: when it is replaced.
    #[serde(default)]
    pub(crate) for_ms: Option<u64>,
    /// It ends after hitting this many requests.
    #[serde(default)]
    pub count: Option<u64>,
    /// The receiver keeps what it got although its answer says otherwise, as a server does that
    /// fails after storing; what is sent again is then a duplicate.
    #[serde(default)]
    pub(crate) accept: bool,
}

const fn everything() -> f64 {
    1.0
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum FaultKind {
    /// The port is closed: open connections are reset and new ones refused.
    Refuse,
    /// The request is read and never answered.
    Hang,
    /// The connection is reset while the request's body is being sent.
    ResetRequest,
    /// The connection is reset in the middle of a 200 answer.
    ResetResponse,
    /// This status, with an optional `Retry-After`.
    Status {
        /// The HTTP status.
        status: u16,
        /// The `Retry-After` header.
        #[serde(default)]
        retry_after: Option<RetryAfter>,
        /// The body; absent: the receiver's usual one for this status.
        #[serde(default)]
        body: Option<String>,
    },
    /// The answer comes late; other faults still apply.
    Delay {
        /// How late.
        ms: u64,
    },
    /// 400 for every request whose decoded content holds the marker, which may be the text of a
    /// record id: then exactly that record is poison.
    Poison {
        /// Looked for in the body after decompression, and inside base64 values for a handle.
        marker: String,
        /// Another status than 400.
        #[serde(default = "bad_request")]
        status: u16,
    },
    /// 413 for bodies above this size as sent.
    TooLarge {
        /// The largest body accepted, in bytes.
        bytes: u64,
    },
    /// OTLP only: 200 with a partial success; the first `rejected` ids are not accounted.
    PartialSuccess {
        /// How many items are rejected; 0 is a warning.
        rejected: u32,
        /// The text of `error_message` in the answer.
        #[serde(default)]
        message: String,
    },
}

const fn bad_request() -> u16 {
    400
}

/// The two forms of a `Retry-After` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// Seconds from now.
    Seconds(u32),
    /// An HTTP date this many seconds from now.
    Date(u32),
}

impl RetryAfter {
    /// The header's value at this moment.
    #[must_use]
    pub fn header(self) -> String {
        match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::Date(seconds) => httpdate::fmt_http_date(
                std::time::SystemTime::now() + Duration::from_secs(u64::from(seconds)),
            ),
        }
    }
}

impl Fault {
    /// A fault for all requests from now on.
    #[must_use]
    pub const fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            path: None,
            fraction: 1.0,
            after_ms: 0,
            for_ms: None,
            count: None,
            accept: false,
        }
    }

    /// A plain status for all requests.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::new(FaultKind::Status {
            status,
            retry_after: None,
            body: None,
        })
    }

    /// 400 for every request that holds the marker.
    #[must_use]
    pub fn poison(marker: impl ToString) -> Self {
        Self::new(FaultKind::Poison {
            marker: marker.to_string(),
            status: 400,
        })
    }

    /// Only for paths with this start.
    #[must_use]
    pub fn on_path(self, path: impl Into<String>) -> Self {
        Self {
            path: Some(path.into()),
            ..self
        }
    }

    /// Only for this share of requests.
    #[must_use]
    pub const fn for_fraction(mut self, fraction: f64) -> Self {
        self.fraction = fraction;
        self
    }

    /// Only for the next `count` requests.
    #[must_use]
    pub const fn times(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// Only for this long.
    #[must_use]
    pub const fn lasting(mut self, time: Duration) -> Self {
        self.for_ms = Some(time.as_millis() as u64);
        self
    }

    /// Only after this much time.
    #[cfg(test)]
    pub(crate) const fn starting_after(mut self, time: Duration) -> Self {
        self.after_ms = time.as_millis() as u64;
        self
    }

    /// The receiver keeps the data although it answers otherwise.
    #[cfg(test)]
    pub(crate) const fn accepting(mut self) -> Self {
        self.accept = true;
        self
    }
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    from: Instant,
    until: Option<Instant>,
    hits: u64,
    rng: Rng,
}

impl Armed {
    fn live(&self, now: Instant) -> bool {
        now >= self.from
            && self.until.is_none_or(|until| now < until)
            && self.fault.count.is_none_or(|count| self.hits < count)
    }
}

/// What happens to one request.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Decision {
    /// The sum of all delays.
    pub(crate) delay: Duration,
    /// The first fault that decides the answer, and whether the data is kept nonetheless.
    pub(crate) action: Option<(FaultKind, bool)>,
    /// Faults that depend on the body, with their index for [`Faults::hit`].
    pub(crate) conditions: Vec<(usize, FaultKind, bool)>,
}

/// The faults of one receiver.
#[derive(Debug, Default)]
pub struct Faults {
    armed: Mutex<Vec<Armed>>,
    any: AtomicBool,
}

impl Faults {
    /// Replaces all faults; windows count from now.
    pub(crate) fn set(&self, faults: Vec<Fault>) {
        let now = Instant::now();
        let armed: Vec<_> = faults
            .into_iter()
            .enumerate()
            .map(|(at, fault)| {
                let from = now + Duration::from_millis(fault.after_ms);
                let until = fault.for_ms.map(|ms| from + Duration::from_millis(ms));
                Armed {
                    fault,
                    from,
                    until,
                    hits: 0,
                    rng: Rng::with_seed(at as u64),
                }
            })
            .collect();
        let mut current = self.armed.lock();
        self.any.store(!armed.is_empty(), Ordering::Release);
        *current = armed;
    }

    /// The faults with the number of requests each has hit so far.
    #[must_use]
    pub(crate) fn list(&self) -> Vec<(Fault, u64)> {
        self.armed
            .lock()
            .iter()
            .map(|armed| (armed.fault.clone(), armed.hits))
            .collect()
    }

    /// Chooses what happens to a request, and counts it as hit by what is certain already.
    pub(crate) fn decide(&self, path: &str) -> Decision {
        let mut decision = Decision::default();
        if !self.any.load(Ordering::Acquire) {
            return decision;
        }
        let now = Instant::now();
        for (at, armed) in self.armed.lock().iter_mut().enumerate() {
            let Fault {
                kind,
                path: prefix,
                fraction,
                accept,
                ..
            } = &armed.fault;
            if matches!(kind, FaultKind::Refuse)
                || !armed.live(now)
                || prefix
                    .as_ref()
                    .is_some_and(|prefix| !path.starts_with(prefix.as_str()))
                || (*fraction < 1.0 && armed.rng.f64() >= *fraction)
            {
                continue;
            }
            match kind {
                FaultKind::Delay { ms } => decision.delay += Duration::from_millis(*ms),
                FaultKind::Poison { .. } | FaultKind::TooLarge { .. } => {
                    decision.conditions.push((at, kind.clone(), *accept));
                    continue;
                }
                _ if decision.action.is_some() => continue,
                _ => decision.action = Some((kind.clone(), *accept)),
            }
            armed.hits += 1;
        }
        decision
    }

    /// Counts a request as hit by a condition of its decision.
    pub(crate) fn hit(&self, at: usize) {
        if let Some(armed) = self.armed.lock().get_mut(at) {
            armed.hits += 1;
        }
    }

    /// Whether the port should be closed now, and when to ask again at the latest.
    pub(crate) fn refusing(&self) -> (bool, Option<Instant>) {
        let now = Instant::now();
        let armed = self.armed.lock();
        let refusals = || {
            armed
                .iter()
                .filter(|armed| armed.fault.kind == FaultKind::Refuse)
        };
        let refusing = refusals().any(|armed| armed.live(now));
        let next = refusals()
            .flat_map(|armed| [Some(armed.from), armed.until])
            .flatten()
            .filter(|at| *at > now)
            .min();
        (refusing, next)
    }
}

/// Whether content holds a marker. A marker that ends in a digit must not be followed by another
/// one, so that the id of record 17 does not mark record 170.
pub(crate) fn holds(content: &[u8], marker: &str) -> bool {
    let open_end = marker.ends_with(|last: char| last.is_ascii_digit());
    memchr::memmem::find_iter(content, marker).any(|at| {
        !open_end
            || !content
                .get(at + marker.len())
                .is_some_and(u8::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(faults: &Faults, requests: usize) -> Vec<bool> {
        (0..requests)
            .map(|_| faults.decide("/v3/trace").action.is_some())
            .collect()
    }

    #[test]
    fn a_count_ends_a_fault() {
        let faults = Faults::default();
        faults.set(vec![Fault::status(503).times(2)]);
        assert_eq!(hits(&faults, 4), [true, true, false, false]);
        assert_eq!(faults.list()[0].1, 2);
    }

    #[test]
    fn a_path_limits_a_fault() {
        let faults = Faults::default();
        faults.set(vec![Fault::status(503).on_path("/otel")]);
        assert_eq!(hits(&faults, 1), [false]);
        assert!(faults.decide("/otel/v1/traces").action.is_some());
    }

    #[test]
    fn a_fraction_hits_its_share_and_the_same_requests_each_time() {
        let faults = Faults::default();
        faults.set(vec![Fault::status(500).for_fraction(0.2)]);
        let first = hits(&faults, 2000);
        faults.set(vec![Fault::status(500).for_fraction(0.2)]);
        assert_eq!(first, hits(&faults, 2000));
        let share = first.iter().filter(|hit| **hit).count();
        assert!((320..480).contains(&share), "{share}");
    }

    #[test]
    fn a_window_opens_and_closes() {
        let faults = Faults::default();
        let hour = Duration::from_secs(3600);
        faults.set(vec![
            Fault::status(503).starting_after(hour),
            Fault::status(429).lasting(Duration::ZERO),
        ]);
        assert_eq!(hits(&faults, 1), [false]);
        faults.set(vec![Fault::status(503).lasting(hour)]);
        assert_eq!(hits(&faults, 1), [true]);
        faults.set(vec![Fault::new(FaultKind::Refuse).starting_after(hour)]);
        let (refusing, next) = faults.refusing();
        assert!(!refusing && next.is_some());
    }

    #[test]
    fn delays_add_up_and_the_first_answer_wins() {
        let faults = Faults::default();
        let delay = |ms| Fault::new(FaultKind::Delay { ms });
        faults.set(vec![
            delay(5),
            Fault::status(503),
            delay(7),
            Fault::status(429),
        ]);
        let decision = faults.decide("/");
        assert_eq!(decision.delay, Duration::from_millis(12));
        assert!(matches!(
            decision.action,
            Some((FaultKind::Status { status: 503, .. }, false))
        ));
        assert_eq!(faults.list()[3].1, 0);
    }

    #[test]
    fn an_id_as_marker_means_that_record_only() {
        assert!(holds(b"x kmq:custom-log/0/17 y", "kmq:custom-log/0/17"));
        assert!(holds(b"kmq:custom-log/0/17", "kmq:custom-log/0/17"));
        assert!(!holds(b"kmq:custom-log/0/170", "kmq:custom-log/0/17"));
        assert!(holds(b"a POISON b", "POISON"));
    }

    #[test]
    fn faults_are_written_as_json() {
        let fault: Fault = serde_json::from_str(
            r#"{"kind":{"status":{"status":503,"retry_after":{"seconds":2}}},"path":"/v3","for_ms":120000}"#,
        )
        .unwrap();
        assert_eq!(fault.for_ms, Some(120_000));
        assert_eq!(fault.fraction, 1.0);
        let refuse: Fault = serde_json::from_str(r#"{"kind":"refuse"}"#).unwrap();
        assert_eq!(refuse, Fault::new(FaultKind::Refuse));
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"refuse","pth":"/"}"#).is_err());
        assert!(RetryAfter::Date(1).header().ends_with("GMT"));
    }
}
