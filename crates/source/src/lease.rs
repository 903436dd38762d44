//! The right to commit for one assigned partition.

use std::fmt;

use kafkamq_record::TopicPartition;

/// Counts assignments and leases of one input. What carries an older number is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(pub u64);

/// Kafka's topic id (KIP-516). A topic that was deleted and made again has another one, so it tells
/// two logs of one name apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId(u128);

impl LogId {
    /// The id with these halves; `None` for zero, which brokers without topic ids give.
    #[must_use]
    pub fn from_halves(most_significant: i64, least_significant: i64) -> Option<Self> {
        let halves =
            [most_significant, least_significant].map(|half| u128::from(half.cast_unsigned()));
        let id = (halves[0] << 64) | halves[1];
        (id != 0).then_some(Self(id))
    }

    /// The id that [`fmt::Display`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = u128::from_str_radix(text, 16).ok()?;
        (id != 0).then_some(Self(id))
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({self})")
    }
}

/// The right to commit for one partition: for one assignment, and for one log. It is not `Clone`; the
/// reader of the partition holds it.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    pub(super) source: TopicPartition,
    pub(super) generation: Generation,
}

impl Lease {
    /// Its number, which no other lease of the input has.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written_and_zero_is_none() {
        let id = LogId::from_halves(-1, 7).unwrap();
        assert_eq!(LogId::parse(&id.to_string()), Some(id));
        assert_eq!(LogId::from_halves(0, 0), None);
        assert_eq!(LogId::parse("0"), None);
        assert_eq!(LogId::parse("no id"), None);
    }
}
