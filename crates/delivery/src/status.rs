//! What an answer means for the records of a request.
//!
//! A [`Profile`] is a table from status codes to a [`Class`]; a [`Policy`] is a profile with the
//! user's exceptions in front. [`classify`] applies it to one answer and yields the [`Verdict`] the
//! owner of the request acts on. The rules that hold whatever the profile: no answer at all is
//! retried without limit, a fault of configuration (credentials, path) holds and never drops, and
//! nothing is rejected on an answer to a request that held other items as well.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::answer::{Answer, Layer, TransportError};

mod body;
#[cfg(test)]
mod tests;

/// Longest text of a destination that is kept in a reason, in characters.
const MAX_DETAIL_CHARS: usize = 400;

/// Which kind of receiver answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Profile {
    /// DataKit's trace and log inputs (SkyWalking, Jaeger, OpenTelemetry routes).
    DatakitTrace,
    /// DataKit's or Dataway's `/v1/write`.
    DatakitWrite,
    /// A receiver that keeps to OTLP/HTTP strictly.
    Otlp,
    /// The user's own handler.
    Handle,
    /// Kafka brokers, which the client speaks to: their refusals stand under HTTP's codes.
    Broker,
    /// Any other: Jaeger collector, InfluxDB, VictoriaMetrics, Telegraf.
    #[default]
    Generic,
}

/// What is done about a status code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// The records are delivered.
    Deliver,
    /// The destination is not well: send the same bytes again, without limit.
    Retry,
    /// Send again a few times, then treat as [`Class::Reject`].
    RetryBounded,
    /// The configuration is wrong: send again after a long pause, without limit, and raise an alarm.
    Hold,
    /// Send fewer items at a time.
    TooLarge,
    /// The destination will never take it: dead letter.
    Reject,
    /// Settle without delivery and without dead letter; only where the user asks for it.
    Drop,
}

/// A set of status codes: one code, a range `500-599`, or a class `5xx`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StatusSet {
    first: u16,
    last: u16,
}

/// A status set that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no status code, range (500-599) or class (5xx)")]
pub struct StatusSetError(pub String);

impl StatusSet {
    /// True if `status` is in the set.
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl std::str::FromStr for StatusSet {
    type Err = StatusSetError;

    fn from_str(text: &str) -> Result<Self, StatusSetError> {
        let fault = || StatusSetError(text.to_owned());
        let trimmed = text.trim();
        let code = |part: &str| {
            part.trim()
                .parse()
                .ok()
                .filter(|code| (100..=999).contains(code))
                .ok_or_else(fault)
        };
        if let Some(class) = trimmed.to_ascii_lowercase().strip_suffix("xx") {
            let class: u16 = class.parse().map_err(|_| fault())?;
            if !(1..=9).contains(&class) {
                return Err(fault());
            }
            return Ok(Self {
                first: class * 100,
                last: class * 100 + 99,
            });
        }
        match trimmed.split_once('-') {
            Some((first, last)) => {
                let set = Self {
                    first: code(first)?,
                    last: code(last)?,
                };
                if set.first <= set.last {
                    Ok(set)
                } else {
                    Err(fault())
                }
            }
            None => code(trimmed).map(|code| Self {
                first: code,
                last: code,
            }),
        }
    }
}

/// One line of a status table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Rule {
    codes: StatusSet,
    class: Class,
}

const fn on(first: u16, last: u16, class: Class) -> Rule {
    Rule {
        codes: StatusSet { first, last },
        class,
    }
}

// Tables are read top to bottom, the first match counts. What these do not name is in [`COMMON`].

/// 400 also means "worker queue full" there, and a 5xx that no proxy gives can be one record that
/// crashes the handler every time; neither tells a busy destination from a poison record.
const DATAKIT_TRACE: &[Rule] = &[
    on(400, 400, Class::RetryBounded),
    on(502, 504, Class::Retry),
    on(500, 599, Class::RetryBounded),
];

/// The standard names four retryable codes and forbids to retry any other.
const OTLP: &[Rule] = &[
    on(408, 408, Class::Reject),
    on(425, 425, Class::Reject),
    on(502, 504, Class::Retry),
    on(500, 599, Class::Reject),
];

/// A user's handler may be half deployed: a few tries before its records are set aside.
const HANDLE: &[Rule] = &[
    on(400, 400, Class::RetryBounded),
    on(406, 406, Class::RetryBounded),
    on(409, 409, Class::RetryBounded),
    on(411, 412, Class::RetryBounded),
    on(414, 424, Class::RetryBounded),
    on(426, 428, Class::RetryBounded),
    on(430, 499, Class::RetryBounded),
];

/// Brokers take records one by one, so that a smaller request helps nobody.
const BROKER: &[Rule] = &[on(413, 413, Class::Reject)];

const fn table(profile: Profile) -> &'static [Rule] {
    match profile {
        Profile::DatakitTrace => DATAKIT_TRACE,
        Profile::Otlp => OTLP,
        Profile::Handle => HANDLE,
        Profile::Broker => BROKER,
        Profile::DatakitWrite | Profile::Generic => &[],
    }
}

/// What holds for every profile unless its own table says otherwise. Covers every code.
const COMMON: &[Rule] = &[
    on(200, 299, Class::Deliver),
    on(300, 399, Class::Hold),
    // 402: quota or licence; 407: a proxy wants credentials; 410: the path is gone.
    on(401, 405, Class::Hold),
    on(407, 407, Class::Hold),
    on(408, 408, Class::Retry),
    on(410, 410, Class::Hold),
    on(413, 413, Class::TooLarge),
    on(425, 425, Class::Retry),
    on(429, 429, Class::Retry),
    on(400, 499, Class::Reject),
    on(500, 599, Class::Retry),
    on(0, u16::MAX, Class::RetryBounded),
];

/// A profile with the user's exceptions and its bound of tries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    profile: Profile,
    exceptions: Vec<Rule>,
    bounded_tries: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self::new(Profile::default())
    }
}

impl Policy {
    /// How often a request is sent in all before an ambiguous refusal counts as final.
    pub const DEFAULT_BOUNDED_TRIES: u32 = 3;

    /// The rules of `profile` without exceptions.
    #[must_use]
    pub const fn new(profile: Profile) -> Self {
        Self {
            profile,
            exceptions: Vec::new(),
            bounded_tries: Self::DEFAULT_BOUNDED_TRIES,
        }
    }

    /// Adds exceptions that all get `class`. Exceptions added earlier win.
    #[must_use]
    pub fn with(mut self, codes: impl IntoIterator<Item = StatusSet>, class: Class) -> Self {
        self.exceptions
            .extend(codes.into_iter().map(|codes| Rule { codes, class }));
        self
    }

    /// Sets how often a request is sent in all before an ambiguous refusal is final; at least 1.
    #[must_use]
    pub fn with_bounded_tries(mut self, tries: u32) -> Self {
        self.bounded_tries = tries.max(1);
        self
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// True if the answer's body carries points, so that a success without its whole body is none.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        self.profile == Profile::Handle
    }

    /// The class of a status code.
    #[must_use]
    pub fn class(&self, status: u16) -> Class {
        self.exceptions
            .iter()
            .chain(table(self.profile))
            .chain(COMMON)
            .find(|rule| rule.codes.contains(status))
            .map_or(Class::RetryBounded, |rule| rule.class)
    }
}

/// Why a request was not simply delivered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reason {
    /// Status code, if there was an answer.
    pub status: Option<u16>,
    /// Stable short name, fit for a metric label: `status_429`, `connect`, `timeout`.
    pub code: Cow<'static, str>,
    /// What the destination or the transport said; at most 400 characters, printable.
    pub detail: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => {
                let name = http::StatusCode::from_u16(status)
                    .ok()
                    .and_then(|status| status.canonical_reason())
                    .unwrap_or("unknown status");
                write!(f, "{status} {name}")?;
            }
            None => f.write_str(&self.code)?,
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

/// What the owner of the request does now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// All items are delivered.
    Delivered,
    /// The destination took the request and refused `rejected` of its entries for good. Not to be
    /// sent again: the items are settled, the refusal is counted and logged.
    PartialSuccess {
        /// Spans, data points or log records refused; 0 is a mere warning.
        rejected: u64,
        /// What the destination says about it.
        message: String,
    },
    /// Send the same bytes again when the destination is well; no limit. Concerns the destination.
    Retry {
        /// The destination's own wish.
        after: Option<Duration>,
        /// Why.
        reason: Reason,
    },
    /// Send the same bytes again, and count the try. Concerns this request.
    RetryBounded {
        /// The destination's own wish.
        after: Option<Duration>,
        /// Why.
        reason: Reason,
    },
    /// As [`Verdict::Retry`] with a long back-off and an alarm: somebody has to act.
    Hold {
        /// The destination's own wish.
        after: Option<Duration>,
        /// Why, and what to look at.
        reason: Reason,
    },
    /// The request is too large and holds several items: send fewer at a time.
    TooLarge {
        /// Why.
        reason: Reason,
    },
    /// The request holds several items and is refused for good: find the item that is at fault.
    Bisect {
        /// Why.
        reason: Reason,
    },
    /// The one item of the request is refused for good: dead letter.
    Rejected {
        /// Why.
        reason: Reason,
    },
    /// The user wants records with this answer settled and forgotten.
    Dropped {
        /// Why.
        reason: Reason,
    },
}

/// Reads the outcome of one try.
///
/// `counted` is how many earlier tries of the same request ended in [`Verdict::RetryBounded`];
/// `items` is how many items the request holds.
#[must_use]
pub fn classify(
    policy: &Policy,
    outcome: &Result<Answer, TransportError>,
    counted: u32,
    items: usize,
) -> Verdict {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(error) => {
            let reason = Reason {
                status: None,
                code: Cow::Borrowed(error.layer.as_str()),
                detail: printable(&error.message),
            };
            let after = None;
            return match error.layer {
                Layer::Access => Verdict::Hold { after, reason },
                _ => Verdict::Retry { after, reason },
            };
        }
    };
    let class = policy.class(answer.status);
    if class == Class::Deliver {
        return delivered(policy, answer, items);
    }
    let reason = refusal(answer);
    let after = answer.retry_after;
    match class {
        Class::Deliver => Verdict::Delivered,
        Class::Retry => Verdict::Retry { after, reason },
        Class::Hold => Verdict::Hold { after, reason },
        Class::Drop => Verdict::Dropped { reason },
        Class::RetryBounded if counted.saturating_add(1) < policy.bounded_tries => {
            Verdict::RetryBounded { after, reason }
        }
        Class::TooLarge if items > 1 => Verdict::TooLarge { reason },
        Class::RetryBounded | Class::Reject if items > 1 => Verdict::Bisect { reason },
        Class::RetryBounded | Class::Reject | Class::TooLarge => Verdict::Rejected { reason },
    }
}

fn delivered(policy: &Policy, answer: &Answer, items: usize) -> Verdict {
    if policy.needs_body() && answer.truncated {
        // Fewer records a request make a shorter answer.
        let reason = Reason {
            status: Some(answer.status),
            code: Cow::Borrowed("answer_too_large"),
            detail: "the answer exceeds the size limit, its points are lost".to_owned(),
        };
        return if items > 1 {
            Verdict::TooLarge { reason }
        } else {
            Verdict::Rejected { reason }
        };
    }
    if policy.profile == Profile::Otlp
        && let Some((rejected, message)) = body::partial_success(answer)
    {
        return Verdict::PartialSuccess {
            rejected,
            message: printable(&message),
        };
    }
    Verdict::Delivered
}

fn refusal(answer: &Answer) -> Reason {
    let mut detail = body::error_text(answer);
    let hint = match answer.status {
        300..=399 => {
            let to = answer
                .headers
                .get(http::header::LOCATION)
                .and_then(|to| to.to_str().ok());
            match to {
                // A redirect target can repeat the token of the request; its path is enough.
                Some(to) => {
                    let path = to.split(['?', '#']).next().unwrap_or_default();
                    format!(
                        "redirects are not followed, configure the final URL; it points to {path}"
                    )
                }
                None => "redirects are not followed, configure the final URL".to_owned(),
            }
        }
        401 => "check the token or user and password of this destination".to_owned(),
        403 => "check the token, and whether the destination admits this address".to_owned(),
        404 => {
            "check the path of the URL, and that the input is enabled at the destination".to_owned()
        }
        405 => "check the path of the URL: it does not take POST".to_owned(),
        407 => "a proxy in between wants credentials".to_owned(),
        _ => String::new(),
    };
    if !hint.is_empty() {
        let said = printable(&detail);
        detail = if said.is_empty() {
            hint
        } else {
            format!("{hint} (it says: {said})")
        };
    }
    Reason {
        status: Some(answer.status),
        code: Cow::Owned(format!("status_{}", answer.status)),
        detail: printable(&detail),
    }
}

/// One line of at most [`MAX_DETAIL_CHARS`] characters without control characters.
fn printable(text: &str) -> String {
    let mut out = String::new();
    for (count, word) in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .enumerate()
    {
        if count > 0 {
            out.push(' ');
        }
        out.push_str(word);
        if out.len() > MAX_DETAIL_CHARS * 4 {
            break;
        }
    }
    if let Some((cut, _)) = out.char_indices().nth(MAX_DETAIL_CHARS) {
        out.truncate(cut);
        out.push('…');
    }
    out
}
