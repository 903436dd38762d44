//! What a change of the configuration will do, before anything is done.
//!
//! Pure: two configurations in, a [`Plan`] out. The same plan is shown by a dry run and carried out
//! by the router, so what was announced is what happens. Keys that cannot change while the process
//! runs are named, and [`deferred`] keeps their running value until the next start.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::kafka::client::prefetch_kib;
use crate::routing::RouteTable;
use kafkamq_settings::keys::TakesEffect;
use kafkamq_settings::{Assignor, ChangedKey, GroupProtocol, InputSettings, Settings};

/// Everything that differs between two configurations, by what has to be done about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Plan {
    /// One line for people.
    pub(crate) summary: String,
    /// Every input with what happens to its client.
    pub(crate) inputs: Vec<InputPlan>,
    /// Routes that come, go or change.
    pub(crate) routes: Vec<RoutePlan>,
    /// Destinations that come, go or change.
    pub(crate) destinations: Vec<DestinationPlan>,
    /// What happens to scripts.
    pub(crate) scripts: ScriptsPlan,
    /// Keys that take effect at once without touching anything else.
    pub(crate) in_place: Vec<String>,
    /// Keys that take effect when the process starts next, or as far as they say so with the next
    /// client of an input.
    pub(crate) at_next_start: Vec<String>,
}

/// What happens to an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct InputPlan {
    /// Name in the configuration.
    pub(crate) name: String,
    /// What happens to its client.
    pub(crate) action: InputAction,
    /// How the group sees it.
    pub(crate) rebalance: Rebalance,
    /// The keys that make a new client necessary.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) reasons: Vec<String>,
    /// Topics that are subscribed to in addition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) topics_added: Vec<String>,
    /// Topics that are given up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) topics_removed: Vec<String>,
}

/// What happens to the client of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InputAction {
    /// It is not touched.
    Keep,
    /// It subscribes to other topics and stays a member.
    Subscribe,
    /// It drains, commits and leaves; a new one joins in its place.
    Recreate,
    /// A new one joins.
    Start,
    /// It drains, commits and leaves.
    Stop,
}

/// What the members of a consumer group notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rebalance {
    /// Nothing.
    None,
    /// The group rebalances; partitions that stay where they are go on without a pause.
    Incremental,
    /// The group rebalances; every member gives up its partitions for a moment.
    Full,
}

/// What happens to a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct RoutePlan {
    /// Name of the input that reads the topic.
    pub(crate) input: String,
    /// Name or pattern of the topic.
    pub(crate) topic: String,
    /// What happens.
    pub(crate) change: RouteChange,
    /// Whether what is in flight is settled before the new route takes over, because it leads
    /// elsewhere.
    pub(crate) settles_first: bool,
}

/// What happens to a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RouteChange {
    /// It is new.
    Added,
    /// It is different.
    Changed,
    /// It goes.
    Removed,
}

/// What happens to a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct DestinationPlan {
    /// Name in the configuration.
    pub(crate) name: String,
    /// What happens.
    pub(crate) change: DestinationChange,
}

/// What happens to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DestinationChange {
    /// It is new.
    Start,
    /// Its limits or back-off change; its connections stay.
    Adjust,
    /// It is reached in another way; what it has to deliver stays.
    Reconnect,
    /// It stops when it has delivered what it has.
    Stop,
}

/// What happens to scripts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ScriptsPlan {
    /// Scripts that are added, changed or removed, as `category/name`.
    pub(crate) changed: Vec<String>,
    /// Whether the engine is set up anew, so that caches and windows of scripts begin empty.
    pub(crate) engine: bool,
}

impl Plan {
    /// The difference between what runs and what is wanted.
    #[must_use]
    pub(crate) fn between(
        running: (&Settings, &RouteTable),
        wanted: (&Settings, &RouteTable),
        scripts: ScriptsPlan,
    ) -> Self {
        let mut plan = Self {
            inputs: inputs(running.0, wanted.0),
            routes: routes(running.1, wanted.1),
            destinations: destinations(running.1, wanted.1),
            scripts,
            in_place: in_place(running.0, wanted.0),
            at_next_start: at_next_start(running.0, wanted.0),
            summary: String::new(),
        };
        plan.summary = plan.in_words();
        plan
    }

    /// Whether nothing would happen, now or at the next start.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.inputs
            .iter()
            .all(|input| input.action == InputAction::Keep)
            && self.routes.is_empty()
            && self.destinations.is_empty()
            && self.scripts == ScriptsPlan::default()
            && self.in_place.is_empty()
            && self.at_next_start.is_empty()
    }

    /// Whether some consumer group takes notice.
    #[must_use]
    pub(crate) fn rebalances(&self) -> bool {
        self.inputs
            .iter()
            .any(|input| input.rebalance != Rebalance::None)
    }

    fn in_words(&self) -> String {
        let mut parts = Vec::new();
        for (action, words) in [
            (InputAction::Start, "started"),
            (InputAction::Stop, "stopped"),
            (InputAction::Recreate, "with a new client"),
            (InputAction::Subscribe, "with other topics"),
        ] {
            let names = self
                .inputs
                .iter()
                .filter(|input| input.action == action)
                .map(|input| match input.reasons.is_empty() {
                    true => input.name.clone(),
                    false => format!("{}: {}", input.name, input.reasons.join(", ")),
                });
            named(&mut parts, "input", words, names.collect());
        }
        for (change, words) in [
            (RouteChange::Added, "added"),
            (RouteChange::Changed, "changed"),
            (RouteChange::Removed, "removed"),
        ] {
            let routes = self.routes.iter().filter(|route| route.change == change);
            let names = routes.map(|route| route.topic.clone());
            named(&mut parts, "route", words, names.collect());
        }
        for (change, words) in [
            (DestinationChange::Start, "started"),
            (DestinationChange::Adjust, "adjusted"),
            (DestinationChange::Reconnect, "reached in another way"),
            (DestinationChange::Stop, "stopped"),
        ] {
            let matching = self.destinations.iter().filter(|d| d.change == change);
            let names = matching.map(|destination| destination.name.clone());
            named(&mut parts, "destination", words, names.collect());
        }
        let scripts = self.scripts.changed.clone();
        named(&mut parts, "script", "changed", scripts);
        if self.scripts.engine {
            parts.push("script engine set up anew".to_owned());
        }
        let keys = self.in_place.clone();
        named(&mut parts, "setting", "changed in place", keys);
        let keys = self.at_next_start.clone();
        named(&mut parts, "setting", "at the next start", keys);
        if parts.is_empty() {
            return "nothing changes".to_owned();
        }
        let group = match self.rebalances() {
            true => "groups rebalance",
            false => "no group rebalances",
        };
        parts.push(group.to_owned());
        parts.join("; ")
    }
}

/// Adds `2 routes changed (a, b)`; long lists are cut.
fn named(parts: &mut Vec<String>, noun: &str, words: &str, names: Vec<String>) {
    const SHOWN: usize = 3;
    let count = names.len();
    if count == 0 {
        return;
    }
    let plural = if count == 1 { "" } else { "s" };
    let mut shown = names.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
    if count > SHOWN {
        shown.push_str(", ...");
    }
    parts.push(format!("{count} {noun}{plural} {words} ({shown})"));
}

fn topics(input: &InputSettings) -> BTreeSet<String> {
    let subscriptions = input.subscriptions();
    subscriptions
        .iter()
        .map(|subscription| subscription.topic.to_owned())
        .collect()
}

fn inputs(running: &Settings, wanted: &Settings) -> Vec<InputPlan> {
    let mut plans = BTreeMap::new();
    for old in &running.inputs {
        plans.insert(
            &*old.name,
            InputPlan {
                name: old.name.clone(),
                action: InputAction::Stop,
                rebalance: Rebalance::Full,
                reasons: Vec::new(),
                topics_added: Vec::new(),
                topics_removed: topics(old).into_iter().collect(),
            },
        );
    }
    for new in &wanted.inputs {
        let old = running.inputs.iter().find(|old| old.name == new.name);
        let (now, then) = (topics(new), old.map(topics).unwrap_or_default());
        let reasons = old.map(|old| client_keys(old, new)).unwrap_or_default();
        let added: Vec<String> = now.difference(&then).cloned().collect();
        let removed: Vec<String> = then.difference(&now).cloned().collect();
        let action = match old {
            None => InputAction::Start,
            Some(_) if !reasons.is_empty() => InputAction::Recreate,
            Some(old) if old.selection() == new.selection() => InputAction::Keep,
            Some(_) => InputAction::Subscribe,
        };
        let rebalance = match action {
            InputAction::Keep => Rebalance::None,
            // A member that changes its topics tells the coordinator so by joining again.
            _ if new.assignor == Assignor::CooperativeSticky
                || new.group_protocol == GroupProtocol::Consumer =>
            {
                Rebalance::Incremental
            }
            _ => Rebalance::Full,
        };
        plans.insert(
            &*new.name,
            InputPlan {
                name: new.name.clone(),
                action,
                rebalance,
                reasons,
                topics_added: added,
                topics_removed: removed,
            },
        );
    }
    plans.into_values().collect()
}

/// The keys of an input that its client is made with.
fn client_keys(old: &InputSettings, new: &InputSettings) -> Vec<String> {
    let (a, b) = (&old.cluster, &new.cluster);
    let checks = [
        ("addrs", a.addrs == b.addrs),
        ("security", a.security == b.security),
        ("client_id", a.client_id == b.client_id),
        ("librdkafka", a.librdkafka == b.librdkafka),
        ("group_id", old.group_id == new.group_id),
        (
            "group_instance_id",
            old.group_instance_id == new.group_instance_id,
        ),
        ("client_rack", old.client_rack == new.client_rack),
        ("kafka_version", old.old_version == new.old_version),
        ("group_protocol", old.group_protocol == new.group_protocol),
        ("assignor", old.assignor == new.assignor),
        ("offset_out_of_range", old.out_of_range == new.out_of_range),
        (
            "session_timeout",
            old.session_timeout == new.session_timeout,
        ),
        (
            "heartbeat_interval",
            old.heartbeat_interval == new.heartbeat_interval,
        ),
        (
            "max_poll_interval",
            old.max_poll_interval == new.max_poll_interval,
        ),
        (
            "commit_interval",
            old.commit_interval == new.commit_interval,
        ),
    ];
    different(&checks)
}

fn different(checks: &[(&str, bool)]) -> Vec<String> {
    checks
        .iter()
        .filter(|(_, same)| !same)
        .map(|(key, _)| (*key).to_owned())
        .collect()
}

fn routes(running: &RouteTable, wanted: &RouteTable) -> Vec<RoutePlan> {
    let mut plans = Vec::new();
    for new in &wanted.known_routes() {
        let old = running.route(&new.input, &new.topic);
        let (change, settles_first) = match old {
            None => (RouteChange::Added, false),
            Some(old) if old.is_same(new) => continue,
            Some(old) => (RouteChange::Changed, !old.goes_same_way(new)),
        };
        plans.push(RoutePlan {
            input: new.input.to_string(),
            topic: new.topic.to_string(),
            change,
            settles_first,
        });
    }
    for old in &running.known_routes() {
        if wanted.route(&old.input, &old.topic).is_none() {
            plans.push(RoutePlan {
                input: old.input.to_string(),
                topic: old.topic.to_string(),
                change: RouteChange::Removed,
                settles_first: true,
            });
        }
    }
    plans.sort_by(|a, b| (&a.input, &a.topic).cmp(&(&b.input, &b.topic)));
    plans
}

fn destinations(running: &RouteTable, wanted: &RouteTable) -> Vec<DestinationPlan> {
    let mut plans = Vec::new();
    for new in wanted.destinations() {
        let change = match running.destination(&new.id) {
            None => DestinationChange::Start,
            Some(old) if old == new => continue,
            Some(old) if old.is_carried_like(new) => DestinationChange::Adjust,
            Some(_) => DestinationChange::Reconnect,
        };
        plans.push(DestinationPlan {
            name: new.id.to_string(),
            change,
        });
    }
    for old in running.destinations() {
        if wanted.destination(&old.id).is_none() {
            plans.push(DestinationPlan {
                name: old.id.to_string(),
                change: DestinationChange::Stop,
            });
        }
    }
    plans.sort_by(|a, b| a.name.cmp(&b.name));
    plans
}

/// The keys of the service's own tables whose values differ.
fn changed(running: &Settings, wanted: &Settings) -> Vec<ChangedKey> {
    [
        running.server.changed(&wanted.server),
        running.pipeline.changed(&wanted.pipeline),
        running.dead_letter.changed(&wanted.dead_letter),
        running.recorder.changed(&wanted.recorder),
        running.limits.changed(&wanted.limits),
        running.log.changed(&wanted.log),
    ]
    .concat()
}

/// The names of those that take effect at this time.
fn taking_effect(when: TakesEffect, running: &Settings, wanted: &Settings) -> Vec<String> {
    let named = |changed: ChangedKey| match changed.key {
        // Prefetch waits for the next client.
        "limits.memory" => "limits.memory: credits of records in flight".to_owned(),
        key => key.to_owned(),
    };
    let changed = changed(running, wanted).into_iter();
    changed
        .filter(|changed| changed.takes_effect == when)
        .map(named)
        .collect()
}

fn in_place(running: &Settings, wanted: &Settings) -> Vec<String> {
    let mut keys = taking_effect(TakesEffect::InPlace, running, wanted);
    for new in &wanted.inputs {
        let Some(old) = running.inputs.iter().find(|old| old.name == new.name) else {
            continue;
        };
        let flows = (&old.flow, &old.topic_flow) == (&new.flow, &new.topic_flow);
        let own = different(&[
            ("max_in_flight", old.max_in_flight == new.max_in_flight),
            ("sampling, limits and empty values", flows),
        ]);
        keys.extend(own.iter().map(|key| format!("{}: {key}", new.name)));
    }
    keys
}

fn at_next_start(running: &Settings, wanted: &Settings) -> Vec<String> {
    let mut keys = taking_effect(TakesEffect::NextStart, running, wanted);
    for new in &wanted.inputs {
        let Some(old) = running.inputs.iter().find(|old| old.name == new.name) else {
            continue;
        };
        if !client_keys(old, new).is_empty() {
            continue;
        }
        // The number of partitions waits, too, so only the memory makes a difference.
        let mut limits = wanted.limits;
        limits.partitions = running.limits.partitions;
        let prefetch = prefetch_kib(&running.limits) == prefetch_kib(&limits);
        let own = different(&[
            ("limits.memory: prefetch, with the next client", prefetch),
            ("offsets", old.offsets == new.offsets),
            ("drain_timeout", old.drain_timeout == new.drain_timeout),
        ]);
        keys.extend(own.iter().map(|key| format!("{}: {key}", new.name)));
    }
    keys
}

/// `wanted` with the running value of every key that takes effect at the next start, which is what
/// the process works with until then.
#[must_use]
pub(crate) fn deferred(running: &Settings, wanted: &Settings) -> Settings {
    let mut effective = wanted.clone();
    effective.server.defer(&running.server);
    effective.pipeline.defer(&running.pipeline);
    effective.dead_letter.defer(&running.dead_letter);
    effective.recorder.defer(&running.recorder);
    effective.limits.defer(&running.limits);
    effective.log.defer(&running.log);
    // Clients are not asked for a certificate, so none identifies them.
    let tls = effective.server.tls.as_ref();
    let verified = tls.is_some_and(|tls| tls.client_ca_file.is_some());
    effective.server.client_role = effective.server.client_role.filter(|_| verified);
    for new in &mut effective.inputs {
        if let Some(old) = running.inputs.iter().find(|old| old.name == new.name)
            && client_keys(old, new).is_empty()
        {
            new.offsets = old.offsets;
            new.drain_timeout = old.drain_timeout;
        }
    }
    effective
}

#[cfg(test)]
mod tests;
