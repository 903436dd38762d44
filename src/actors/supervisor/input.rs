//! One input as the supervisor knows it.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use actix::Addr;

use super::blocked::Blocks;
use crate::actors::status::LastError;
use crate::actors::topic::{TopicActor, TopicBounds, View};
use crate::kafka::{ConsumerThread, Generation, PreparedConsumer, Standing, Statistics};
use crate::routing::RateLimit;
use kafkamq_memory::Account;
use kafkamq_record::{PartitionAccounts, TopicPartition};
use kafkamq_settings::{FlowSettings, InputSettings, Settings};
use kafkamq_source::supervision::Watch;
use kafkamq_source::trouble::Troubles;

/// One input and its membership.
pub(super) struct Input {
    pub(super) settings: InputSettings,
    pub(super) thread: Option<ConsumerThread>,
    /// The thread of a client that leaves its group, and what comes after it.
    pub(super) leaving: Option<Leaving>,
    pub(super) topics: HashMap<TopicPartition, Assigned>,
    /// Rate limits by topic; `None` is what topics without rules of their own share.
    pub(super) limits: HashMap<Option<Arc<str>>, (Rates, Arc<RateLimit>)>,
    /// What the work in flight of each topic is charged to.
    pub(super) accounts: HashMap<Arc<str>, Arc<Account>>,
    pub(super) joined: bool,
    pub(super) statistics: Statistics,
    pub(super) standing: Standing,
    pub(super) blocks: Blocks,
    pub(super) watch: Watch,
    /// What is in the way between it and its brokers.
    pub(super) troubles: Troubles,
    pub(super) last_error: Option<LastError>,
    /// Errors logged lately; a client repeats itself, and mixes several, while a broker is away.
    pub(super) logged: HashMap<String, Instant>,
    /// What somebody has to act on; ends with the next progress or assignment.
    pub(super) alarm: Option<String>,
    /// When that was last reported.
    pub(super) alarmed: Instant,
}

/// An assigned partition.
pub(super) struct Assigned {
    pub(super) generation: Generation,
    pub(super) address: Addr<TopicActor>,
    /// What its actor shows.
    pub(super) view: Arc<View>,
}

/// Records and bytes per second.
pub(super) type Rates = (Option<u64>, Option<u64>);

/// An input whose client drains, commits and leaves its group.
pub(super) struct Leaving {
    pub(super) thread: JoinHandle<()>,
    /// The client that takes its place, if the input stays.
    pub(super) next: Option<PreparedConsumer>,
}

impl Input {
    pub(super) fn new(settings: InputSettings, now: Instant) -> Self {
        Self {
            settings,
            thread: None,
            leaving: None,
            topics: HashMap::new(),
            limits: HashMap::new(),
            accounts: HashMap::new(),
            joined: false,
            statistics: Statistics::default(),
            standing: Standing::default(),
            blocks: Blocks::default(),
            watch: Watch::new(now),
            troubles: Troubles::default(),
            last_error: None,
            logged: HashMap::new(),
            alarm: None,
            alarmed: now,
        }
    }

    /// Accounts for a partition of `topic`, each with an allowance of `bytes`.
    pub(super) fn accounts(
        &mut self,
        service: &Arc<Account>,
        topic: &Arc<str>,
        bytes: usize,
    ) -> PartitionAccounts {
        let own = self
            .accounts
            .entry(Arc::clone(topic))
            .or_insert_with(|| service.child(Arc::clone(topic), usize::MAX));
        PartitionAccounts::below(service, own, bytes)
    }

    /// What the settings allow `topic`.
    pub(super) fn bounds(
        &mut self,
        topic: &Arc<str>,
        settings: &Settings,
        now: Instant,
    ) -> TopicBounds {
        let limits = settings.limits;
        TopicBounds {
            max_in_flight: self.settings.max_in_flight,
            batch_records: limits.batch_records,
            batch_bytes: usize::try_from(limits.batch_bytes).unwrap_or(usize::MAX),
            max_attempts: settings.dead_letter.max_attempts.saturating_add(1),
            limit: self.limit(topic, now),
            limit_key: self.settings.flow(topic).limit_key,
        }
    }

    /// Whether there are records behind `position` of an assigned partition, as far as that is known.
    pub(super) fn has_unread(&self, source: &TopicPartition, position: Option<i64>) -> bool {
        let end = self
            .statistics
            .partitions
            .get(source)
            .and_then(|known| known.end);
        end.zip(position)
            .is_some_and(|(end, position)| end > position)
    }

    /// Whether the client does not hear where an assigned partition ends, so that it is unknown whether
    /// there are records to be read.
    pub(super) fn is_deaf(&self, source: &TopicPartition) -> bool {
        let known = self.statistics.partitions.get(source);
        known.is_some_and(|known| known.end.is_none())
    }

    /// Records of an assigned partition that are not committed, if that is known.
    pub(super) fn lag(&self, source: &TopicPartition) -> Option<i64> {
        let stands = self.standing.read.get(source)?;
        let end = self.statistics.partitions.get(source)?.end?;
        Some((end - stands.basis.0).max(0))
    }

    /// The limit that `topic` is read under, shared by its partitions; a topic without a limit of
    /// its own shares the input's. A limit whose rate stays keeps its level.
    pub(super) fn limit(&mut self, topic: &Arc<str>, now: Instant) -> Option<Arc<RateLimit>> {
        let rates = |flow: &FlowSettings| (flow.limit_records, flow.limit_bytes);
        let limited = |(records, bytes): &Rates| records.or(*bytes).is_some();
        let own = self.settings.own_flow(topic).map(rates).filter(limited);
        let (key, rates) = match own {
            Some(rates) => (Some(Arc::clone(topic)), rates),
            None => (None, rates(&self.settings.flow)),
        };
        match self.limits.get(&key) {
            Some((known, limit)) if *known == rates => Some(Arc::clone(limit)),
            _ => {
                self.limits.remove(&key);
                let limit = Arc::new(RateLimit::new(rates.0, rates.1, now)?);
                self.limits.insert(key, (rates, Arc::clone(&limit)));
                Some(limit)
            }
        }
    }
}
