//! Why a partition is not read.

use std::fmt;

/// What keeps a partition from being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// Its position is not known; the text tells why.
    PositionUnknown(String),
    /// Commits are not confirmed; the text is the broker's, if it answered.
    CommitsUnconfirmed(Option<String>),
    /// So much is in flight that nothing more may be read; the text tells what it waits for.
    InFlight(Option<String>),
    /// Dead letters cannot be written.
    DeadLetters,
    /// An operator paused the topic.
    Paused,
    /// The rate limit is used up.
    RateLimit,
    /// The routes of the topic change.
    RoutesChange,
    /// No broker is connected.
    NoBrokers,
    /// There are records and nothing else is known.
    Unexplained,
}

impl Blocked {
    /// The label of metrics, from a closed set.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::PositionUnknown(_) => "position_unknown",
            Self::CommitsUnconfirmed(_) => "commits_unconfirmed",
            Self::InFlight(_) => "in_flight",
            Self::DeadLetters => "dead_letters",
            Self::Paused => "paused",
            Self::RateLimit => "rate_limit",
            Self::RoutesChange => "routes_change",
            Self::NoBrokers => "no_brokers",
            Self::Unexplained => "unexplained",
        }
    }

    /// Whether the service is not ready while it lasts: somebody has to look, and no other part says
    /// so.
    #[must_use]
    pub const fn is_alarm(&self) -> bool {
        match self {
            Self::PositionUnknown(_)
            | Self::CommitsUnconfirmed(_)
            | Self::DeadLetters
            | Self::Unexplained => true,
            Self::InFlight(_)
            | Self::Paused
            | Self::RateLimit
            | Self::RoutesChange
            | Self::NoBrokers => false,
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PositionUnknown(cause) => write!(f, "position unknown: {cause}"),
            Self::CommitsUnconfirmed(None) => f.write_str("commits are not answered"),
            Self::CommitsUnconfirmed(Some(why)) => write!(f, "commits are refused: {why}"),
            Self::InFlight(None) => f.write_str("its records in flight use up its share"),
            Self::InFlight(Some(what)) => {
                write!(f, "its records in flight use up its share: {what}")
            }
            Self::DeadLetters => f.write_str("dead letters cannot be written"),
            Self::Paused => f.write_str("the topic is paused"),
            Self::RateLimit => f.write_str("the rate limit is used up"),
            Self::RoutesChange => f.write_str("the routes of the topic change"),
            Self::NoBrokers => f.write_str("no broker is connected"),
            Self::Unexplained => f.write_str("there are records and none is read"),
        }
    }
}
