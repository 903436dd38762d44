//! Answers to the client library's callbacks, and what goes with them.
//!
//! Rebalances run inside `poll`, on the poll thread, while the group waits, so nothing here asks the
//! brokers anything. On assignment each partition's queue is split off *before* the partition is
//! assigned, so that no record can reach the common queue; the partition is paused until its position
//! is found. On revocation the listener drains what is in flight up to a deadline, the leases end, and
//! what they settled is committed before the partitions are given up.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::lookup::{FoundPosition, Lookup, LookupAnswer, NotFound, Question};
use super::native;
use super::partition::{PartitionReader, Placement};
use super::poll_loop::Reading;
use super::report::{is_about_certificate, is_close, judged, meaning, reported, trouble};
use super::{AssignmentListener, KafkaError, PartitionStanding, Standing, Statistics};
use kafkamq_record::{NextOffset, Position, TopicPartition};
use kafkamq_settings::ClusterSettings;
use kafkamq_source::commits::{CommitEntry, CommitResult, Commits, Confirmed};
use kafkamq_source::lease::{Generation, Lease};
use kafkamq_source::positions::{Positions, Sought, Wanted};

/// The last commit of partitions that go is waited for this long beyond their drain.
const LAST_COMMIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The context of one consumer.
pub(super) struct PollContext {
    pub(super) listener: Arc<dyn AssignmentListener>,
    pub(super) consumer: OnceLock<Weak<BaseConsumer<Self>>>,
    /// Numbers assignments and leases, over all clients of the input.
    pub(super) generation: Arc<AtomicU64>,
    pub(super) commits: Mutex<Commits>,
    pub(super) positions: Mutex<Positions>,
    /// Readers that found themselves where they should not be.
    jumps: Mutex<Vec<(TopicPartition, Sought)>>,
    /// Whether the lookup thread holds the client while it waits for brokers.
    pub(super) looking: AtomicBool,
    /// Whether the client itself goes where `offset_out_of_range` says.
    pub(super) client_resets: bool,
    pub(super) drain_timeout: Duration,
    pub(super) reading: Reading,
    cluster: Arc<ClusterSettings>,
    /// Whether the certificate of a broker is being looked at.
    judging: Arc<AtomicBool>,
    /// Whether the cluster was once seen to take this client.
    was_connected: AtomicBool,
}

impl fmt::Debug for PollContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollContext")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

type Client = BaseConsumer<PollContext>;

impl PollContext {
    pub(super) fn new(
        listener: Arc<dyn AssignmentListener>,
        generation: Arc<AtomicU64>,
        commit_interval: Duration,
        client_resets: bool,
        drain_timeout: Duration,
        reading: Reading,
        cluster: ClusterSettings,
    ) -> Self {
        Self {
            listener,
            consumer: OnceLock::new(),
            generation,
            commits: Mutex::new(Commits::new(commit_interval)),
            positions: Mutex::default(),
            jumps: Mutex::default(),
            looking: AtomicBool::new(false),
            client_resets,
            drain_timeout,
            reading,
            cluster: Arc::new(cluster),
            judging: Arc::default(),
            was_connected: AtomicBool::new(false),
        }
    }

    fn next_generation(&self) -> Generation {
        Generation(self.generation.fetch_add(1, Ordering::AcqRel) + 1)
    }

    fn assign(&self, consumer: &Client, partitions: &mut TopicPartitionList) {
        let generation = self.next_generation();
        let assigned: Vec<_> = sources(partitions).collect();
        let mut readers = Vec::with_capacity(assigned.len());
        if let Some(owner) = self.consumer.get().and_then(Weak::upgrade) {
            for source in &assigned {
                match PartitionReader::split(&owner, source.clone(), generation) {
                    Ok(reader) => readers.push(reader),
                    Err(error) => self.listener.error(&error),
                }
            }
        }
        // With a given position the client does not look for one by its own rules. It fetches
        // nothing there, since the partition is paused at once.
        for mut element in partitions.elements() {
            self.told(element.set_offset(Offset::Offset(0)));
        }
        let given = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions),
            _ => consumer.assign(partitions),
        };
        if let Err(error) = given {
            self.listener.error(&KafkaError::from_client(error));
            return;
        }
        let client = consumer.client().native_ptr();
        if let Err(error) = native::pause(client, partitions, true) {
            self.listener.error(&error);
        }
        self.positions
            .lock()
            .assigned(Instant::now(), generation, assigned);
        self.listener.joined(true);
        self.listener.assigned(generation, readers);
    }

    /// Assigns what is read outside the group; a member's partitions come by the group.
    pub(super) fn assign_ranges(&self, consumer: &Client) {
        let Reading::Once(ranges) = &self.reading else {
            return;
        };
        let generation = self.next_generation();
        let mut partitions = TopicPartitionList::new();
        let mut readers = Vec::with_capacity(ranges.len());
        let owner = self.consumer.get().and_then(Weak::upgrade);
        for range in ranges.iter().filter(|range| !range.is_done()) {
            let (source, start) = (range.source().clone(), range.begin());
            let at = Offset::Offset(start.0);
            self.told(partitions.add_partition_offset(&source.topic, source.partition, at));
            let reader = owner
                .as_ref()
                .map(|owner| PartitionReader::split(owner, source, generation));
            match reader {
                Some(Ok(reader)) => readers.push(reader.within(Arc::clone(range), start)),
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
    pub(super) fn release(&self, consumer: &Client) {
        match consumer.assignment() {
            Ok(assigned) => self.give_up(consumer, sources(&assigned).collect()),
            Err(error) => self.listener.error(&KafkaError::from_client(error)),
        }
    }

    fn revoke(&self, consumer: &Client, partitions: &TopicPartitionList) {
        self.give_up(consumer, sources(partitions).collect());
        let taken = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
            _ => consumer.unassign(),
        };
        self.told(taken);
    }

    /// Drains partitions, ends their leases, and commits what they settled. The list is sent within
    /// what is left of the drain's time, and its answer is waited for a little longer.
    fn give_up(&self, consumer: &Client, going: Vec<TopicPartition>) {
        if going.is_empty() {
            return;
        }
        let lost = consumer.assignment_lost();
        let deadline = Instant::now() + self.drain_timeout;
        self.listener.revoked(going.clone(), lost, deadline);
        self.positions.lock().revoked(&going);
        let last = self.commits.lock().end(&going);
        if lost || last.is_empty() {
            return;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let client = consumer.client().native_ptr();
        match native::commit_and_wait(client, &last, left + LAST_COMMIT_TIMEOUT) {
            Ok(answers) => {
                let refused = answers.iter().find_map(|answer| answer.error);
                if let Some(code) = refused {
                    self.listener.commit_refused(&meaning(code));
                }
                let taken = answers.into_iter().filter(|answer| answer.error.is_none());
                let taken: Vec<_> = taken.map(|answer| answer.source).collect();
                let taken = last
                    .into_iter()
                    .filter(|entry| taken.contains(&entry.source));
                let confirmed: Vec<_> = taken.map(confirmed).collect();
                if !confirmed.is_empty() {
                    self.listener.committed(confirmed);
                }
            }
            Err(error) => {
                self.listener.commit_refused(&error.to_string());
                tracing::warn!(
                    partitions = last.len(), %error,
                    "the last commit was not confirmed; the next owner may deliver some records again"
                );
            }
        }
    }

    /// What the holder of `lease` settled.
    pub(super) fn settle(
        &self,
        consumer: &Client,
        now: Instant,
        lease: &Lease,
        at: Position,
        hurry: bool,
    ) {
        let in_force = self.commits.lock().settle(now, lease, at);
        if in_force && hurry {
            self.hurry(consumer, now, lease);
        }
    }

    /// Records from `end` on were taken back.
    pub(super) fn retreat(&self, lease: &Lease, end: NextOffset) {
        self.commits.lock().retreat(Instant::now(), lease, end);
    }

    /// Commits what the holder of `lease` settled without waiting for the interval.
    pub(super) fn hurry(&self, consumer: &Client, now: Instant, lease: &Lease) {
        self.commits.lock().hurry(lease);
        self.send_due(consumer, now);
    }

    /// Sends the commit that is due, if one is.
    fn send_due(&self, consumer: &Client, now: Instant) {
        let due = self.commits.lock().due(now);
        if let Some(list) = due
            && let Err(error) = native::commit(consumer.client().native_ptr(), &list.entries)
        {
            let why = error.to_string();
            self.commits.lock().not_sent(now, list.id, &why);
            self.listener.commit_refused(&why);
        }
    }

    /// A reader found itself where it did not expect to be.
    pub(super) fn jumped(&self, source: &TopicPartition, how: Sought) {
        self.jumps.lock().push((source.clone(), how));
    }

    /// Does what is due: asks for positions, sends commits. Returns whether an answer is awaited.
    pub(super) fn drive(&self, consumer: &Client, lookup: &Lookup, now: Instant) -> bool {
        let jumps = std::mem::take(&mut *self.jumps.lock());
        let mut positions = self.positions.lock();
        for (source, how) in jumps {
            tracing::warn!(partition = %source, ?how, "the offset is out of range");
            positions.seek(now, &source, how);
        }
        let wanted = positions.due(now);
        let asking = positions.is_asking();
        drop(positions);
        if !wanted.is_empty() {
            lookup.ask(Question::Positions(wanted));
        }
        self.send_due(consumer, now);
        asking
    }

    /// Takes what the brokers answered. Returns whether topics were described.
    pub(super) fn answered(&self, answer: LookupAnswer, now: Instant) -> bool {
        match answer {
            LookupAnswer::Position(answer) => match *answer {
                (wanted, Ok(found)) => self.found(&wanted, found, now),
                (wanted, Err(NotFound::Failed(cause))) => {
                    let partition = &wanted.source;
                    tracing::debug!(%partition, cause, "the position is not known yet");
                    self.positions.lock().failed(now, &wanted, &cause);
                }
                (wanted, Err(NotFound::Stopped(cause))) => {
                    self.positions.lock().stopped(now, &wanted, &cause);
                }
            },
            LookupAnswer::Topics(topics) => {
                if !topics.is_empty() {
                    self.listener.described(topics.keys().cloned().collect());
                }
                for (topic, described) in topics {
                    let Some(log) = described.log else { continue };
                    let replaced = self.positions.lock().described(now, &topic, log);
                    if !replaced.is_empty() {
                        tracing::warn!(
                            topic, partitions = replaced.len(), id = %log,
                            "the topic was deleted and made again; it is read from its oldest record"
                        );
                        // What is open belongs to the old log: it is delivered and never committed.
                        self.commits.lock().end(&replaced);
                    }
                }
                return true;
            }
        }
        false
    }

    fn found(&self, wanted: &Wanted, found: FoundPosition, now: Instant) {
        let source = &wanted.source;
        if !self.positions.lock().found(wanted, found.log) {
            return;
        }
        let lease = found.new_lease.then(|| {
            let generation = self.next_generation();
            let start = (found.start, found.memo);
            let mut commits = self.commits.lock();
            commits.begin(now, source.clone(), generation, start, found.known)
        });
        tracing::info!(
            partition = %source, offset = found.start.next.0, because = %found.why,
            "reading begins"
        );
        let placement = Placement {
            start: found.start,
            lease,
            why: found.why,
        };
        self.listener
            .placed(source.clone(), wanted.generation, placement);
    }

    /// How the partitions stand.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        let commits = self.commits.lock();
        let positions = self.positions.lock();
        let unknown = positions.unknown();
        let overdue = commits.overdue(now);
        let read = commits.sources().filter_map(|source| {
            let standing = PartitionStanding {
                committed: commits.committed(source),
                basis: commits.basis(source)?,
            };
            Some((source.clone(), standing))
        });
        Standing {
            unknown: unknown.map(|one| (one.source.clone(), one)).collect(),
            overdue: overdue.map(|one| (one.source.clone(), one)).collect(),
            read: read.collect(),
        }
    }

    /// Finds out what is wrong with the certificate of a broker, on a thread of its own: polling waits
    /// for nobody. What is reported meanwhile will be reported again.
    fn judge(&self, code: RDKafkaErrorCode, reason: String) {
        if self.judging.swap(true, Ordering::AcqRel) {
            return;
        }
        let (listener, cluster) = (Arc::clone(&self.listener), Arc::clone(&self.cluster));
        let judging = Arc::clone(&self.judging);
        let judge = move || {
            if let Some(trouble) = judged(code, &reason, &cluster) {
                listener.error(&KafkaError::InTheWay(trouble));
            }
            judging.store(false, Ordering::Release);
        };
        let thread = std::thread::Builder::new().name("kafka-cert".to_owned());
        if let Err(error) = thread.spawn(judge) {
            self.judging.store(false, Ordering::Release);
            self.listener.error(&KafkaError::Thread(error));
        }
    }

    /// Reports an error of a call that goes on without.
    fn told(&self, result: KafkaResult<()>) {
        if let Err(error) = result {
            self.listener.error(&KafkaError::from_client(error));
        }
    }
}

fn confirmed(entry: CommitEntry) -> Confirmed {
    Confirmed {
        source: entry.source,
        generation: entry.generation,
        next: entry.position.next,
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

impl ClientContext for PollContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // What a broker that hangs up may mean is known only before it ever did something else.
        if is_close(level, facility) && !self.was_connected.load(Ordering::Acquire) {
            let code = RDKafkaErrorCode::BrokerTransportFailure;
            if let Some(trouble) = trouble(code, message, &self.cluster.addrs) {
                self.listener.error(&KafkaError::InTheWay(trouble));
            }
        }
        match level {
            // Said once and in words, not with every retry.
            _ if facility == "FAIL" => {
                tracing::debug!(target: "librdkafka", facility, message);
            }
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
            Ok(statistics) => {
                if !statistics.connected.is_empty() {
                    self.was_connected.store(true, Ordering::Release);
                }
                self.listener.statistics(statistics);
            }
            Err(error) => tracing::warn!(%error, "cannot read the client's statistics"),
        }
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, reason, "client error");
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        if let Some(code) = code
            && is_about_certificate(code, reason)
        {
            self.judge(code, reason.to_owned());
            return;
        }
        let trouble = code.and_then(|code| trouble(code, reason, &self.cluster.addrs));
        self.listener.error(&match trouble {
            Some(trouble) => KafkaError::InTheWay(trouble),
            None => KafkaError::Reported(reported(reason)),
        });
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
                self.told(consumer.unassign());
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let whole = result.err().map(|error| {
            let code = error.rdkafka_error_code();
            code.map_or_else(|| error.to_string(), meaning)
        });
        let results: Vec<CommitResult> = native::listed(offsets)
            .into_iter()
            .filter_map(|listed| {
                let own = listed.error.map(meaning);
                Some(CommitResult {
                    source: listed.source,
                    next: NextOffset(listed.offset?),
                    refused: own.or_else(|| whole.clone()),
                })
            })
            .collect();
        let now = Instant::now();
        let confirmed = self.commits.lock().answered(now, &results);
        if let Some(why) = results.into_iter().find_map(|result| result.refused) {
            self.listener.commit_refused(&why);
        }
        if !confirmed.is_empty() {
            self.listener.committed(confirmed);
        }
        if let Some(consumer) = self.consumer.get().and_then(Weak::upgrade) {
            self.send_due(&consumer, now);
        }
    }
}
