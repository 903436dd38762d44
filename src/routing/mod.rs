//! Routing: which topic's records go where, compiled whole from the settings.
//!
//! A [`RouteTable`] is immutable and shared; a change of configuration compiles a new one and swaps
//! it. Work that is under way keeps the route it began with.

mod compile;
mod key_limit;
mod limit;
mod pattern;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(crate) use compile::RoutingError;
pub(crate) use key_limit::KeyLimit;
pub(crate) use limit::RateLimit;
use pattern::Patterns;

use crate::outputs::Reach;
use kafkamq_conversion::route::{DestinationId, InputId, OutputRoute, Route};
use kafkamq_delivery::delivery::DeliveryOptions;

/// One destination: how its actor reaches it and how much it may do at once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Destination {
    /// Its name.
    pub(crate) id: DestinationId,
    /// How it is reached.
    pub(crate) reach: Reach,
    /// Limits of requests, back-off, and the rule of refusals.
    pub(crate) delivery: DeliveryOptions,
    /// If its output is not required: the bytes that may wait for it. What is more is dropped.
    pub(crate) backlog: Option<usize>,
}

impl Destination {
    /// Whether what carries requests to `other` is built as for this one.
    #[must_use]
    pub(crate) fn is_carried_like(&self, other: &Self) -> bool {
        self.reach.kind().is_carried_like(&other.reach)
    }

    /// The address without secrets, for people.
    #[must_use]
    pub(crate) fn shown_url(&self) -> String {
        self.reach.kind().shown_url()
    }
}

/// All routes and destinations of one configuration revision.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    /// Number of the revision.
    pub(crate) revision: u64,
    /// Where points go that belong to no record, such as those of aggregation.
    pub(crate) outputs: Arc<[OutputRoute]>,
    routes: HashMap<InputId, HashMap<Arc<str>, Arc<Route>>>,
    patterns: Patterns,
    destinations: BTreeMap<DestinationId, Destination>,
}

impl RouteTable {
    /// The route of `topic` as read by `input`: its own, else that of the first pattern that takes
    /// it.
    #[must_use]
    pub(crate) fn route(&self, input: &InputId, topic: &str) -> Option<Arc<Route>> {
        match self.routes.get(input)?.get(topic) {
            Some(route) => Some(Arc::clone(route)),
            None => self.patterns.route(input, topic),
        }
    }

    /// Every route there is so far: those of topics that are named, and those of topics that a
    /// pattern has found.
    #[must_use]
    pub(crate) fn known_routes(&self) -> Vec<Arc<Route>> {
        let mut all: Vec<_> = self.routes().cloned().collect();
        all.extend(self.patterns.found());
        all
    }

    /// Every route of a topic that is named.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.values().flat_map(HashMap::values)
    }

    /// Takes over from `before` every route that is the same there, so that only what changed is
    /// new.
    pub(crate) fn inherit(&mut self, before: &Self) {
        for (input, routes) in &mut self.routes {
            for (topic, route) in routes {
                if let Some(old) = before.route(input, topic)
                    && old.is_same(route)
                {
                    *route = old;
                }
            }
        }
        self.patterns.inherit(&before.patterns);
        if self.outputs == before.outputs {
            self.outputs = Arc::clone(&before.outputs);
        }
    }

    /// Every destination, by name.
    pub(crate) fn destinations(&self) -> impl Iterator<Item = &Destination> {
        self.destinations.values()
    }

    /// The destination called `id`.
    #[must_use]
    pub(crate) fn destination(&self, id: &DestinationId) -> Option<&Destination> {
        self.destinations.get(id)
    }
}
