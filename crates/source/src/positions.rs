//! The position of every assigned partition, sought until it is found.
//!
//! An assigned partition without a position is not read, and that is said. Whatever keeps the brokers
//! from answering, they are asked again, with growing pauses, for as long as the partition is assigned.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafkamq_record::TopicPartition;

use super::lease::{Generation, LogId};

/// First pause before the brokers are asked again; doubles with each attempt.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often partitions that somebody has to decide about are looked at again.
const STOPPED_PAUSE: Duration = Duration::from_secs(5);

/// Why a position is sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought {
    /// The partition was assigned.
    Assigned,
    /// Its log was replaced under the reader.
    NewLog,
    /// The offset is out of range.
    OutOfRange {
        /// The offset that was to be read.
        at: i64,
        /// Where the client went on by itself.
        seen: i64,
        /// Whether it knew the epoch of the record before, so that it went where the log was cut.
        compares: bool,
    },
}

/// A partition whose position is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The partition.
    pub source: TopicPartition,
    /// The assignment it was sought for.
    pub generation: Generation,
    /// Why.
    pub sought: Sought,
    /// The log that is read now, if one is.
    pub log: Option<LogId>,
}

/// An assigned partition whose position is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The partition.
    pub source: TopicPartition,
    /// Since when.
    pub since: Instant,
    /// What keeps it from being found.
    pub cause: String,
}

#[derive(Debug)]
struct Search {
    sought: Sought,
    since: Instant,
    attempts: u32,
    due: Instant,
    asked: bool,
    cause: Option<String>,
}

#[derive(Debug)]
struct Seat {
    generation: Generation,
    log: Option<LogId>,
    search: Option<Search>,
}

/// The assigned partitions of one client.
#[derive(Debug, Default)]
pub struct Positions {
    seats: BTreeMap<TopicPartition, Seat>,
}

impl Positions {
    /// Partitions were assigned; their positions are sought.
    pub fn assigned(
        &mut self,
        now: Instant,
        generation: Generation,
        sources: impl IntoIterator<Item = TopicPartition>,
    ) {
        for source in sources {
            let seat = Seat {
                generation,
                log: None,
                search: Some(Search::new(now, Sought::Assigned)),
            };
            self.seats.insert(source, seat);
        }
    }

    /// Partitions went.
    pub fn revoked<'a>(&mut self, sources: impl IntoIterator<Item = &'a TopicPartition>) {
        for source in sources {
            self.seats.remove(source);
        }
    }

    /// A position is needed anew.
    pub fn seek(&mut self, now: Instant, source: &TopicPartition, sought: Sought) {
        if let Some(seat) = self.seats.get_mut(source)
            && seat.search.is_none()
        {
            seat.search = Some(Search::new(now, sought));
        }
    }

    /// The topic has this id now. Returns the partitions that read another log, whose positions are
    /// sought from now on.
    pub fn described(&mut self, now: Instant, topic: &str, log: LogId) -> Vec<TopicPartition> {
        let mut replaced = Vec::new();
        for (source, seat) in &mut self.seats {
            if *source.topic != *topic || seat.log.is_none_or(|known| known == log) {
                continue;
            }
            seat.log = None;
            seat.search = Some(Search::new(now, Sought::NewLog));
            replaced.push(source.clone());
        }
        replaced
    }

    /// What to ask the brokers for now; it counts as asked.
    pub fn due(&mut self, now: Instant) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for (source, seat) in &mut self.seats {
            if let Some(search) = &mut seat.search
                && !search.asked
                && search.due <= now
            {
                search.asked = true;
                wanted.push(Wanted {
                    source: source.clone(),
                    generation: seat.generation,
                    sought: search.sought,
                    log: seat.log,
                });
            }
        }
        wanted
    }

    /// The brokers did not say where. They are asked again after a pause.
    pub fn failed(&mut self, now: Instant, wanted: &Wanted, cause: &str) {
        if let Some(search) = self.search(wanted) {
            search.asked = false;
            let pause = PAUSE * 2u32.saturating_pow(search.attempts.min(16));
            search.attempts += 1;
            search.due = now + pause.min(PAUSE_MAX);
            search.cause = Some(cause.to_owned());
        }
    }

    /// Somebody has to decide first. It is looked at again now and then.
    pub fn stopped(&mut self, now: Instant, wanted: &Wanted, cause: &str) {
        self.failed(now, wanted, cause);
        if let Some(search) = self.search(wanted) {
            search.due = now + STOPPED_PAUSE;
        }
    }

    /// The position was found, in this log. Returns whether anybody still wants it.
    pub fn found(&mut self, wanted: &Wanted, log: Option<LogId>) -> bool {
        if self.search(wanted).is_none() {
            return false;
        }
        if let Some(seat) = self.seats.get_mut(&wanted.source) {
            seat.search = None;
            seat.log = log.or(seat.log);
        }
        true
    }

    fn search(&mut self, wanted: &Wanted) -> Option<&mut Search> {
        let seat = self.seats.get_mut(&wanted.source)?;
        let search = seat.search.as_mut()?;
        let same = seat.generation == wanted.generation && search.sought == wanted.sought;
        (same && search.asked).then_some(search)
    }

    /// Partitions whose position is not known.
    pub fn unknown(&self) -> impl Iterator<Item = Unknown> + '_ {
        self.seats.iter().filter_map(|(source, seat)| {
            let search = seat.search.as_ref()?;
            let waiting = match search.sought {
                Sought::Assigned => "the brokers have not said yet where the group stands",
                Sought::NewLog => "the topic was made again and its start is being looked up",
                Sought::OutOfRange { .. } => {
                    "the offset is out of range and the log is being looked at"
                }
            };
            Some(Unknown {
                source: source.clone(),
                since: search.since,
                cause: search.cause.clone().unwrap_or_else(|| waiting.to_owned()),
            })
        })
    }

    /// Whether an answer is awaited.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        let searches = self.seats.values().filter_map(|seat| seat.search.as_ref());
        searches.into_iter().any(|search| search.asked)
    }

    /// The topics of assigned partitions, sorted.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = self
            .seats
            .keys()
            .map(|source| source.topic.to_string())
            .collect();
        topics.dedup();
        topics
    }
}

impl Search {
    fn new(now: Instant, sought: Sought) -> Self {
        Self {
            sought,
            since: now,
            attempts: 0,
            due: now,
            asked: false,
            cause: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn log(id: i64) -> Option<LogId> {
        LogId::from_halves(0, id)
    }

    #[test]
    fn a_partition_is_sought_until_it_is_found_however_often_that_fails() {
        let mut now = Instant::now();
        let mut positions = Positions::default();
        positions.assigned(now, Generation(1), [source(0)]);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let began = now;
            let wanted = loop {
                if let Some(wanted) = positions.due(now).pop() {
                    break wanted;
                }
                now += Duration::from_millis(50);
            };
            pauses.push(now - began);
            assert!(positions.due(now).is_empty(), "one question at a time");
            positions.failed(now, &wanted, "not coordinator");
            let unknown: Vec<_> = positions.unknown().collect();
            assert_eq!(unknown[0].cause, "not coordinator");
        }
        assert!(pauses.is_sorted() && pauses[8] == PAUSE_MAX);
        now += PAUSE_MAX;
        let wanted = positions.due(now).pop().unwrap();
        assert!(positions.found(&wanted, log(1)));
        assert_eq!(positions.unknown().count(), 0);
        assert!(!positions.found(&wanted, log(1)), "found once");
    }

    #[test]
    fn a_log_with_another_id_is_begun_anew() {
        let now = Instant::now();
        let mut positions = Positions::default();
        positions.assigned(now, Generation(1), [source(0), source(1)]);
        for wanted in positions.due(now) {
            positions.found(&wanted, log(1));
        }
        assert!(positions.described(now, "t", log(1).unwrap()).is_empty());
        assert!(
            positions
                .described(now, "other", log(2).unwrap())
                .is_empty()
        );
        assert_eq!(positions.described(now, "t", log(2).unwrap()).len(), 2);
        assert_eq!(positions.unknown().count(), 2);
        let wanted = positions.due(now);
        assert!(wanted.iter().all(|wanted| wanted.sought == Sought::NewLog));
    }

    #[test]
    fn an_answer_for_an_older_assignment_is_not_taken() {
        let now = Instant::now();
        let mut positions = Positions::default();
        positions.assigned(now, Generation(1), [source(0)]);
        let old = positions.due(now).pop().unwrap();
        positions.revoked(&[source(0)]);
        positions.assigned(now, Generation(2), [source(0)]);
        assert!(!positions.found(&old, log(1)));
        positions.failed(now, &old, "late");
        let new = positions.due(now).pop().unwrap();
        assert!(
            !positions.found(&old, log(1)),
            "only the newer question is open"
        );
        assert!(positions.found(&new, log(1)));
    }

    proptest! {
        /// Whatever happens, a partition that is assigned and not found is either asked about or will
        /// be within the longest pause.
        #[test]
        fn no_assigned_partition_is_forgotten(
            steps in prop::collection::vec((0..6u8, 0..3i32), 1..80),
        ) {
            let mut now = Instant::now();
            let mut positions = Positions::default();
            let mut asked: Vec<Wanted> = Vec::new();
            let mut numbers = 0;
            for (step, partition) in steps {
                match step {
                    0 => {
                        numbers += 1;
                        positions.assigned(now, Generation(numbers), [source(partition)]);
                    }
                    1 => positions.revoked(&[source(partition)]),
                    2 => asked.extend(positions.due(now)),
                    3 => if let Some(wanted) = asked.pop() { positions.failed(now, &wanted, "no") },
                    4 => if let Some(wanted) = asked.pop() { positions.found(&wanted, log(1)); },
                    _ => positions.seek(now, &source(partition), Sought::OutOfRange { at: 5, seen: 0, compares: true }),
                }
                now += Duration::from_millis(70);
            }
            for wanted in asked {
                positions.failed(now, &wanted, "no");
            }
            let unknown = positions.unknown().count();
            prop_assert_eq!(positions.due(now + PAUSE_MAX).len(), unknown);
        }
    }
}
