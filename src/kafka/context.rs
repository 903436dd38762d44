//! Answers to the client library's callbacks.
//!
//! Rebalances run inside `poll`, on the poll thread, while the group waits. On assignment each
//! partition's queue is split off *before* the partition is assigned, so that no record can reach
//! the common queue. On revocation the listener drains what is in flight up to a deadline; the
//! client then commits what is stored before it gives the partitions up.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::partition::{PartitionReader, store};
use super::stretch::Stretch;
use super::{AssignmentListener, Generation, KafkaError, Statistics};
use kafkamq_record::NextOffset;
use kafkamq_record::TopicPartition;

/// Longest wait for the brokers while a group rebalances.
const POSITION_TIMEOUT: Duration = Duration::from_secs(5);

/// Where to begin in a partition for which the group has no committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitialOffset {
    /// Behind the last record there is now.
    Newest,
    /// At the first record still there.
    Oldest,
    /// At the first record of this time or later.
    At(SystemTime),
    /// At the first record that is not older than this when the partition is assigned.
    Ago(Duration),
}

impl From<kafkamq_settings::Offset> for InitialOffset {
    fn from(offset: kafkamq_settings::Offset) -> Self {
        use kafkamq_settings::Offset as Wanted;
        match offset {
            Wanted::Newest => Self::Newest,
            Wanted::Oldest => Self::Oldest,
            Wanted::At(time) => Self::At(time),
            Wanted::Ago(span) => Self::Ago(span),
        }
    }
}

impl InitialOffset {
    /// What to ask the brokers for.
    fn query(self) -> Offset {
        match self {
            Self::Newest => Offset::End,
            Self::Oldest => Offset::Beginning,
            Self::At(time) => Offset::Offset(millis(time)),
            Self::Ago(span) => {
                let now = SystemTime::now();
                Offset::Offset(millis(now.checked_sub(span).unwrap_or(UNIX_EPOCH)))
            }
        }
    }
}

/// The context of one consumer.
pub(super) struct PollContext {
    pub(super) listener: Arc<dyn AssignmentListener>,
    pub(super) consumer: OnceLock<Weak<BaseConsumer<Self>>>,
    pub(super) generation: Arc<AtomicU64>,
    pub(super) initial: InitialOffset,
    /// Where a partition goes on whose committed offset no longer exists, if that is a time.
    pub(super) out_of_range: Option<InitialOffset>,
    pub(super) rebuild: AtomicBool,
    pub(super) drain_timeout: Duration,
    /// What is read outside the group; `None` is a member of it.
    pub(super) stretches: Option<Arc<[Arc<Stretch>]>>,
}

impl fmt::Debug for PollContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollContext")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl PollContext {
    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &mut TopicPartitionList) {
        let generation = Generation(self.generation.fetch_add(1, Ordering::AcqRel) + 1);
        let (starts, fresh) = self.positions(consumer, partitions);
        let mut readers = Vec::with_capacity(partitions.count());
        if let Some(owner) = self.consumer.get().and_then(Weak::upgrade) {
            for source in sources(partitions) {
                let start = starts.get(&source).copied();
                match PartitionReader::split(&owner, source, start) {
                    Ok(reader) => readers.push(reader),
                    Err(error) => self.listener.error(&error),
                }
            }
        }
        let assigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions),
            _ => consumer.assign(partitions),
        };
        if let Err(error) = assigned {
            self.listener.error(&KafkaError::from_client(error));
            return;
        }
        // Storing the first position makes the group remember where it began, so that records
        // written between this start and the first commit are not skipped by a restart.
        for (source, next) in fresh {
            if let Err(error) = store(consumer, &source, next) {
                self.listener.error(&error);
            }
        }
        self.listener.joined(true);
        self.listener.assigned(generation, readers);
    }

    /// Assigns what is read outside the group; a member's partitions come by the group.
    pub(super) fn assign_stretches(&self, consumer: &BaseConsumer<Self>) {
        let Some(stretches) = &self.stretches else {
            return;
        };
        let generation = Generation(self.generation.fetch_add(1, Ordering::AcqRel) + 1);
        let mut partitions = TopicPartitionList::new();
        let mut readers = Vec::with_capacity(stretches.len());
        let owner = self.consumer.get().and_then(Weak::upgrade);
        for stretch in stretches.iter().filter(|stretch| !stretch.is_done()) {
            let (source, start) = (stretch.source().clone(), stretch.begin());
            self.ask(&mut partitions, &source, Offset::Offset(start.0));
            let reader = owner
                .as_ref()
                .map(|owner| PartitionReader::split(owner, source, Some(start)));
            match reader {
                Some(Ok(reader)) => readers.push(reader.within(Arc::clone(stretch))),
                Some(Err(error)) => self.listener.error(&error),
                None => {}
            }
        }
        if let Err(error) = consumer.assign(&partitions) {
            self.listener.error(&KafkaError::from_client(error));
            return;
        }
        self.listener.joined(true);
        self.listener.assigned(generation, readers);
    }

    /// Gives all partitions up without leaving the group: what is in flight is drained and
    /// committed, and the group keeps this member's place until its session ends.
    pub(super) fn release(&self, consumer: &BaseConsumer<Self>) {
        let assigned = match consumer.assignment() {
            Ok(assigned) => assigned,
            Err(error) => {
                self.listener.error(&KafkaError::from_client(error));
                return;
            }
        };
        let going: Vec<_> = sources(&assigned).collect();
        if going.is_empty() {
            return;
        }
        let lost = consumer.assignment_lost();
        self.listener
            .revoked(going, lost, Instant::now() + self.drain_timeout);
        if self.stretches.is_some() {
            return;
        }
        match consumer.commit_consumer_state(CommitMode::Sync) {
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::NoOffset) => {}
            Err(error) => self.listener.error(&KafkaError::from_client(error)),
            Ok(()) => {}
        }
    }

    /// A partition's offset turned out not to exist. Returns whether it goes on by itself: at a
    /// time, which the client does not know, so it is made anew and begins there.
    pub(super) fn lost_offset(&self) -> bool {
        let known = self.out_of_range.is_some();
        self.rebuild.fetch_or(known, Ordering::AcqRel);
        known
    }

    /// Whether a client has to be made anew since this was last asked.
    pub(super) fn take_rebuild(&self) -> bool {
        self.rebuild.swap(false, Ordering::AcqRel)
    }

    /// Whether a committed offset lies outside what the partition holds.
    fn is_out_of_range(
        &self,
        consumer: &BaseConsumer<Self>,
        source: &TopicPartition,
        next: i64,
    ) -> bool {
        match consumer.fetch_watermarks(&source.topic, source.partition, POSITION_TIMEOUT) {
            Ok((low, high)) => next < low || next > high,
            Err(error) => {
                self.listener.error(&KafkaError::from_client(error));
                false
            }
        }
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let lost = consumer.assignment_lost();
        let going = sources(partitions).collect();
        self.listener
            .revoked(going, lost, Instant::now() + self.drain_timeout);
        let unassigned = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
            _ => consumer.unassign(),
        };
        if let Err(error) = unassigned {
            self.listener.error(&KafkaError::from_client(error));
        }
    }

    /// Sets the starting offset of each partition, and returns the known ones together with those
    /// that the group has not committed yet.
    fn positions(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &mut TopicPartitionList,
    ) -> (
        HashMap<TopicPartition, NextOffset>,
        Vec<(TopicPartition, NextOffset)>,
    ) {
        let mut starts = HashMap::new();
        if partitions.count() == 0 {
            return (starts, Vec::new());
        }
        let committed = match consumer.committed_offsets(partitions.clone(), POSITION_TIMEOUT) {
            Ok(committed) => committed,
            Err(error) => {
                // The client asks again by itself; only the rule for new groups is lost meanwhile.
                self.listener.error(&KafkaError::from_client(error));
                return (starts, Vec::new());
            }
        };
        let mut query = TopicPartitionList::new();
        for element in committed.elements() {
            let source = TopicPartition::new(element.topic(), element.partition());
            match element.offset() {
                Offset::Offset(next) => match self.out_of_range {
                    Some(policy) if self.is_out_of_range(consumer, &source, next) => {
                        tracing::warn!(
                            partition = %source, committed = next, ?policy,
                            "the committed offset no longer exists"
                        );
                        self.ask(&mut query, &source, policy.query());
                    }
                    _ => {
                        starts.insert(source, NextOffset(next));
                    }
                },
                _ if element.error().is_err() => {}
                _ => {
                    if self.initial == InitialOffset::Oldest {
                        self.set(partitions, &source, Offset::Beginning);
                        continue;
                    }
                    self.ask(&mut query, &source, self.initial.query());
                }
            }
        }
        let fresh = self.resolve(consumer, query);
        for (source, next) in &fresh {
            starts.insert(source.clone(), *next);
            self.set(partitions, source, Offset::Offset(next.0));
        }
        (starts, fresh)
    }

    /// Looks up the offsets that `query` names by time or as the end.
    fn resolve(
        &self,
        consumer: &BaseConsumer<Self>,
        query: TopicPartitionList,
    ) -> Vec<(TopicPartition, NextOffset)> {
        if query.count() == 0 {
            return Vec::new();
        }
        let found = match consumer.offsets_for_times(query, POSITION_TIMEOUT) {
            Ok(found) => found,
            Err(error) => {
                self.listener.error(&KafkaError::from_client(error));
                return Vec::new();
            }
        };
        let mut fresh = Vec::with_capacity(found.count());
        for element in found.elements() {
            let source = TopicPartition::new(element.topic(), element.partition());
            let next = match element.offset() {
                Offset::Offset(next) => Some(next),
                // No record is that young: the end is the answer.
                _ => consumer
                    .fetch_watermarks(&source.topic, source.partition, POSITION_TIMEOUT)
                    .map_err(|error| self.listener.error(&KafkaError::from_client(error)))
                    .ok()
                    .map(|(_, high)| high),
            };
            fresh.extend(next.map(|next| (source, NextOffset(next))));
        }
        fresh
    }

    fn ask(&self, query: &mut TopicPartitionList, source: &TopicPartition, at: Offset) {
        if let Err(error) = query.add_partition_offset(&source.topic, source.partition, at) {
            self.listener.error(&KafkaError::from_client(error));
        }
    }

    fn set(&self, partitions: &mut TopicPartitionList, source: &TopicPartition, at: Offset) {
        if let Err(error) = partitions.set_partition_offset(&source.topic, source.partition, at) {
            self.listener.error(&KafkaError::from_client(error));
        }
    }
}

fn sources(partitions: &TopicPartitionList) -> impl Iterator<Item = TopicPartition> {
    let mut topics: HashMap<String, Arc<str>> = HashMap::new();
    partitions
        .elements()
        .into_iter()
        .map(|element| {
            let topic = topics
                .entry(element.topic().to_owned())
                .or_insert_with(|| element.topic().into());
            TopicPartition::new(Arc::clone(topic), element.partition())
        })
        .collect::<Vec<_>>()
        .into_iter()
}

/// The offsets of an answered commit that the broker took.
fn committed(offsets: &TopicPartitionList) -> Vec<(TopicPartition, NextOffset)> {
    let elements = offsets.elements();
    elements
        .iter()
        .filter(|element| element.error().is_ok())
        .filter_map(|element| {
            let next = NextOffset(element.offset().to_raw().filter(|&next| next >= 0)?);
            let source = TopicPartition::new(element.topic(), element.partition());
            Some((source, next))
        })
        .collect()
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl ClientContext for PollContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, message),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", facility, message);
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, message),
        }
    }

    fn stats_raw(&self, report: &[u8]) {
        match Statistics::parse(report) {
            Ok(statistics) => self.listener.statistics(statistics),
            Err(error) => tracing::warn!(%error, "cannot read the client's statistics"),
        }
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, reason, "client error");
        self.listener.error(&KafkaError::from_client(error));
    }

    fn generate_oauth_token(
        &self,
        _config: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        Err("OAUTHBEARER needs a token source".into())
    }
}

impl ConsumerContext for PollContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.assign(consumer, partitions);
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                self.revoke(consumer, partitions);
            }
            other => {
                let code = RDKafkaErrorCode::from(other);
                let error = rdkafka::error::KafkaError::Rebalance(code);
                self.listener.error(&KafkaError::Client(error));
                if let Err(error) = consumer.unassign() {
                    self.listener.error(&KafkaError::from_client(error));
                }
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        match result {
            Ok(()) => self.listener.committed(committed(offsets)),
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::NoOffset) => {}
            Err(error) => self.listener.commit_failed(&KafkaError::from_client(error)),
        }
    }
}
