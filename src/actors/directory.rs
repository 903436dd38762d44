//! Where every actor lives at this moment.
//!
//! The supervisor replaces the snapshot when it starts an actor anew or changes routes; everybody else
//! reads it once per batch. A message sent to an address that just died is dropped with its
//! acknowledgement, so its records come back and find the new address.

use std::collections::HashMap;
use std::sync::Arc;

use actix::Addr;
use arc_swap::ArcSwap;

use super::dead_letter::DeadLetterActor;
use super::forwarder::ForwarderActor;
use super::parser::ParserActor;
use crate::routing::RouteTable;
use kafkamq_conversion::route::DestinationId;
use kafkamq_conversion::{LaneNames, RecordRules};
use kafkamq_memory::Account;
use kafkamq_record::TopicPartition;

/// One snapshot of all addresses with the routes and rules in force.
#[derive(Clone)]
pub(crate) struct Addresses {
    pub(crate) routes: Arc<RouteTable>,
    pub(crate) rules: Arc<RecordRules>,
    /// First those for quick scripts, then those for scripts that wait.
    pub(crate) parsers: Vec<Addr<ParserActor>>,
    /// How many of them are for quick scripts.
    pub(crate) quick_parsers: usize,
    pub(crate) forwarders: HashMap<DestinationId, Addr<ForwarderActor>>,
    pub(crate) dead_letter: Addr<DeadLetterActor>,
    /// The account of the service, above those of its partitions.
    pub(crate) memory: Arc<Account>,
    /// The account of all points that wait for outputs which are not required, below the service's.
    pub(crate) backlogs: Arc<Account>,
    /// The account of what requests under way take besides their items.
    pub(crate) requests: Arc<Account>,
}

/// Shared access to the newest snapshot.
pub(crate) struct Directory {
    current: ArcSwap<Addresses>,
    lanes: LaneNames,
}

impl Directory {
    pub(crate) fn new(addresses: Addresses) -> Arc<Self> {
        Arc::new(Self {
            current: ArcSwap::from_pointee(addresses),
            lanes: LaneNames::default(),
        })
    }

    /// The newest snapshot.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Addresses>> {
        self.current.load()
    }

    /// Changes the snapshot; only the supervisor does.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Addresses)) {
        let mut addresses = Addresses::clone(&self.current.load());
        change(&mut addresses);
        self.current.store(Arc::new(addresses));
    }

    /// The parser that serves a partition: always the same one, so its batches stay in order. Topics
    /// whose scripts wait for answers from outside have parsers of their own.
    pub(crate) fn parser(&self, source: &TopicPartition, waits: bool) -> Option<Addr<ParserActor>> {
        let addresses = self.load();
        let (quick, waiting) = addresses
            .parsers
            .split_at_checked(addresses.quick_parsers)?;
        // There are none unless scripts may send requests to other hosts.
        let parsers = if waits && !waiting.is_empty() {
            waiting
        } else {
            quick
        };
        let count = u64::try_from(parsers.len())
            .ok()
            .filter(|&count| count > 0)?;
        let at = usize::try_from(self.lanes.partition_hash(source) % count).ok()?;
        parsers.get(at).cloned()
    }

    /// The names of lanes, the same in every actor of this process.
    pub(crate) const fn lane_names(&self) -> &LaneNames {
        &self.lanes
    }
}
