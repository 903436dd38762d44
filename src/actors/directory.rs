//! Where every actor lives at this moment.
//!
//! The router replaces the snapshot when it starts an actor anew or changes routes; everybody else
//! reads it once per batch. A message sent to an address that just died is dropped with its
//! acknowledgement, so its records come back and find the new address.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use actix::Addr;
use arc_swap::ArcSwap;
use kafkamq_point::Text;

use super::dead_letter::DeadLetterActor;
use super::forwarder::ForwarderActor;
use super::parser::ParserActor;
use crate::recorder::Recorder;
use crate::routing::{DestinationId, RouteTable};
use crate::scripts::ScriptsInForce;
use kafkamq_memory::Account;
use kafkamq_record::TopicPartition;
use kafkamq_settings::{AgeRule, ScriptFailure, Settings};

/// What a revision of the configuration says about the work on records, besides their routes. A
/// batch keeps the terms it was read under.
pub(crate) struct Terms {
    pub(crate) scripts: Arc<ScriptsInForce>,
    pub(crate) script_failure: ScriptFailure,
    /// Larger values go to the dead letters, in bytes.
    pub(crate) record_bytes: u64,
    /// Tags for points that do not have them.
    pub(crate) global_tags: Box<[(Text, Text)]>,
    /// What is done with points far from now.
    pub(crate) age: Option<AgeRule>,
    /// Where copies of points go; the same for the life of the process.
    pub(crate) recorder: Option<Recorder>,
}

impl Terms {
    pub(crate) fn new(
        settings: &Settings,
        scripts: Arc<ScriptsInForce>,
        recorder: Option<Recorder>,
    ) -> Self {
        let tags = settings.pipeline.global_tags.iter();
        Self {
            scripts,
            script_failure: settings.pipeline.on_error,
            record_bytes: settings.limits.record_bytes,
            global_tags: tags
                .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
                .collect(),
            age: settings.pipeline.age,
            recorder,
        }
    }
}

/// One snapshot of all addresses with the routes and terms in force.
#[derive(Clone)]
pub(crate) struct Addresses {
    pub(crate) routes: Arc<RouteTable>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) parsers: Vec<Addr<ParserActor>>,
    pub(crate) forwarders: HashMap<DestinationId, Addr<ForwarderActor>>,
    pub(crate) dead_letter: Addr<DeadLetterActor>,
    /// The account of the service, above those of its partitions.
    pub(crate) memory: Arc<Account>,
}

/// Shared access to the newest snapshot.
pub(crate) struct Directory {
    current: ArcSwap<Addresses>,
    hasher: RandomState,
}

impl Directory {
    pub(crate) fn new(addresses: Addresses) -> Arc<Self> {
        Arc::new(Self {
            current: ArcSwap::from_pointee(addresses),
            hasher: RandomState::new(),
        })
    }

    /// The newest snapshot.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Addresses>> {
        self.current.load()
    }

    /// Changes the snapshot; only the router does.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Addresses)) {
        let mut addresses = Addresses::clone(&self.current.load());
        change(&mut addresses);
        self.current.store(Arc::new(addresses));
    }

    /// The parser that serves a partition: always the same one, so its batches stay in order.
    pub(crate) fn parser(&self, source: &TopicPartition) -> Option<Addr<ParserActor>> {
        let addresses = self.load();
        let count = u64::try_from(addresses.parsers.len())
            .ok()
            .filter(|&count| count > 0)?;
        let at = usize::try_from(self.hasher.hash_one(source) % count).ok()?;
        addresses.parsers.get(at).cloned()
    }

    /// A hash of a record key, the same in every actor of this process.
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The name of lane `key_lane` of `source`, unique over all partitions but for collisions,
    /// which merely make two lanes share an order.
    pub(crate) fn lane(&self, source: &TopicPartition, key_lane: u64) -> u64 {
        self.hasher.hash_one((source, key_lane))
    }
}
