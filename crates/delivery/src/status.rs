//! What an answer means for the records of a request.
//!
//! A [`Profile`] is a table from status codes to a [`Class`]; a [`Policy`] is a profile with the
//! user's exceptions in front. [`classify`] applies it to one answer and yields the [`Verdict`] the
//! owner of the request acts on. The rules that hold whatever the profile: only an answer that blames
//! the content ([`Class::Reject`], [`Class::TooLarge`]) rejects at once, and nothing is rejected on an
//! answer to a request that held other items as well. What becomes of any other refusal is decided by
//! [`Delivery`](super::delivery::Delivery), which knows what else the destination has accepted.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::answer::{Answer, Layer, Reply, TransportError};

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
    /// Any other: Jaeger collector, InfluxDB, VictoriaMetrics, Telegraf.
    #[default]
    Generic,
}

/// What is done about a status code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// The records are delivered.
    Deliver,
    /// The destination is busy or away: send the same bytes again, without limit. Never taken for
    /// the fault of a record.
    Retry,
    /// The fault of the destination or of a record, which the status does not tell. Sent again; a
    /// record is given up only on evidence, see [`Delivery`](super::delivery::Delivery).
    Unclear,
    /// Credentials or a path are wrong: an alarm and long pauses. Given up only on the same evidence
    /// as [`Class::Unclear`].
    Access,
    /// As [`Class::Access`], but never given up; where the user asks for it.
    Hold,
    /// Send fewer items at a time.
    TooLarge,
    /// The content is at fault: dead letter, once the record at fault stands alone.
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
#[error("`{0}` is not a status code, range (500-599) or class (5xx)")]
pub struct StatusSetError(pub String);

impl StatusSet {
    /// True if `status` is in the set.
    #[must_use]
    pub(crate) fn contains(self, status: u16) -> bool {
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

/// 400 also means "worker queue full" there, so it does not tell a busy receiver from a poison record.
const DATAKIT_TRACE: &[Rule] = &[on(400, 400, Class::Unclear)];

const fn table(profile: Profile) -> &'static [Rule] {
    match profile {
        Profile::DatakitTrace => DATAKIT_TRACE,
        Profile::DatakitWrite | Profile::Otlp | Profile::Handle | Profile::Generic => &[],
    }
}

/// What holds for every profile unless its own table says otherwise. Covers every code.
const COMMON: &[Rule] = &[
    on(200, 299, Class::Deliver),
    on(300, 399, Class::Access),
    on(400, 400, Class::Reject),
    // 402: quota or licence; 407: a proxy wants credentials; 410: the path is gone.
    on(401, 405, Class::Access),
    on(407, 407, Class::Access),
    on(408, 408, Class::Retry),
    on(410, 410, Class::Access),
    on(413, 413, Class::TooLarge),
    on(415, 415, Class::Reject),
    on(422, 422, Class::Reject),
    on(425, 425, Class::Retry),
    on(429, 429, Class::Retry),
    on(503, 503, Class::Retry),
    on(0, u16::MAX, Class::Unclear),
];

/// A profile with the user's exceptions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    profile: Profile,
    exceptions: Vec<Rule>,
}

impl Policy {
    /// The rules of `profile` without exceptions.
    #[must_use]
    pub const fn new(profile: Profile) -> Self {
        Self {
            profile,
            exceptions: Vec::new(),
        }
    }

    /// Adds exceptions that all get `class`. Exceptions added earlier win.
    #[must_use]
    pub fn with(mut self, codes: impl IntoIterator<Item = StatusSet>, class: Class) -> Self {
        self.exceptions
            .extend(codes.into_iter().map(|codes| Rule { codes, class }));
        self
    }

    /// True if the answer's body carries points, so that a success without its whole body does not count.
    #[must_use]
    pub(crate) fn needs_body(&self) -> bool {
        self.profile == Profile::Handle
    }

    /// The class of a status code.
    #[must_use]
    pub(crate) fn class(&self, status: u16) -> Class {
        self.exceptions
            .iter()
            .chain(table(self.profile))
            .chain(COMMON)
            .find(|rule| rule.codes.contains(status))
            .map_or(Class::Unclear, |rule| rule.class)
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
    pub(crate) detail: String,
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

/// What an answer may mean that is not a success and does not blame the content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The destination is busy or cannot be reached.
    Busy,
    /// The destination's fault or that of a record.
    Unclear,
    /// Credentials or path are wrong, or the destination will not have this record.
    Access,
    /// Somebody has to act; the records are not at fault.
    Hold,
}

impl Refusal {
    /// Whether a record may be at fault, so that it is given up on evidence.
    #[must_use]
    pub(crate) fn may_be_the_record(self) -> bool {
        matches!(self, Self::Unclear | Self::Access)
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
    /// Not accepted, and nothing says that the content is at fault: send the same bytes again.
    Refused {
        /// What the answer may mean.
        refusal: Refusal,
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
    /// The user wants records with this answer counted and dropped.
    Dropped {
        /// Why.
        reason: Reason,
    },
}

impl Verdict {
    /// Why the request was not accepted, if it was not.
    #[must_use]
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Delivered | Self::PartialSuccess { .. } => None,
            Self::Refused { reason, .. }
            | Self::TooLarge { reason }
            | Self::Bisect { reason }
            | Self::Rejected { reason }
            | Self::Dropped { reason } => Some(reason),
        }
    }
}

/// Reads the outcome of one try with a request of `items` items.
#[must_use]
pub fn classify(policy: &Policy, outcome: &Result<Reply, TransportError>, items: usize) -> Verdict {
    let answer = match outcome {
        Ok(Reply::Http(answer)) => answer,
        Ok(Reply::Taken) => return Verdict::Delivered,
        Ok(Reply::Refused { detail }) => {
            let reason = Reason {
                status: None,
                code: Cow::Borrowed("refused"),
                detail: printable(detail),
            };
            return if items > 1 {
                Verdict::Bisect { reason }
            } else {
                Verdict::Rejected { reason }
            };
        }
        Err(error) => {
            let reason = Reason {
                status: None,
                code: Cow::Borrowed(error.layer.as_str()),
                detail: printable(&error.message),
            };
            return Verdict::Refused {
                refusal: unanswered(error.layer),
                after: None,
                reason,
            };
        }
    };
    let class = policy.class(answer.status);
    if class == Class::Deliver {
        return delivered(policy, answer, items);
    }
    let reason = refusal(answer);
    let refused = |refusal, reason| Verdict::Refused {
        refusal,
        after: answer.retry_after,
        reason,
    };
    match class {
        Class::Deliver => Verdict::Delivered,
        Class::Retry => refused(Refusal::Busy, reason),
        Class::Unclear => refused(Refusal::Unclear, reason),
        Class::Access => refused(Refusal::Access, reason),
        Class::Hold => refused(Refusal::Hold, reason),
        Class::Drop => Verdict::Dropped { reason },
        Class::TooLarge if items > 1 => Verdict::TooLarge { reason },
        Class::Reject if items > 1 => Verdict::Bisect { reason },
        Class::Reject | Class::TooLarge => Verdict::Rejected { reason },
    }
}

/// What it may mean that no answer came: from the time the request was on its way, its content can
/// be the cause.
fn unanswered(layer: Layer) -> Refusal {
    match layer {
        Layer::Dns | Layer::Connect | Layer::Tls | Layer::Disk | Layer::Broker => Refusal::Busy,
        Layer::Timeout | Layer::Reset | Layer::Protocol | Layer::Body => Refusal::Unclear,
        Layer::Access => Refusal::Hold,
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
