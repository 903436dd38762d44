//! The coordinator of the group: who is a member, who owns which partition.
//!
//! A rebalance takes partitions away first, waits until their owners let go, and gives them out then.
//! Who lost its session hears of that later than the others get its partitions.

use std::collections::{BTreeMap, BTreeSet};

use kafkamq_record::TopicPartition;

use crate::cluster::Cluster;

/// Names a membership: every join has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Session(pub(crate) u32);

#[derive(Debug)]
struct Membership {
    seat: usize,
    topics: BTreeSet<String>,
    owned: BTreeSet<TopicPartition>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Stable,
    /// These have to let go of something.
    Revoking(BTreeSet<Session>),
    /// The new assignment is on its way.
    Completing,
}

/// What a member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    Revoke(Vec<TopicPartition>),
    Assign(Vec<TopicPartition>),
}

/// The group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    members: BTreeMap<Session, Membership>,
    phase: Phase,
    wanted: bool,
    /// Whether everything is taken away in a rebalance.
    is_eager: bool,
    sessions: u32,
    turns: usize,
    seen: Vec<TopicPartition>,
}

impl Group {
    pub(crate) fn new(is_eager: bool) -> Self {
        Self {
            is_eager,
            ..Self::default()
        }
    }

    pub(crate) fn join(&mut self, seat: usize, topics: BTreeSet<String>) -> Session {
        self.sessions += 1;
        let session = Session(self.sessions);
        let membership = Membership {
            seat,
            topics,
            owned: BTreeSet::new(),
        };
        self.members.insert(session, membership);
        self.wanted = true;
        session
    }

    pub(crate) fn subscribe(&mut self, session: Session, topics: BTreeSet<String>) {
        if let Some(member) = self.members.get_mut(&session)
            && member.topics != topics
        {
            member.topics = topics;
            self.wanted = true;
        }
    }

    /// A member left, or its session is over.
    pub(crate) fn remove(&mut self, session: Session) {
        if self.members.remove(&session).is_some() {
            self.wanted = true;
        }
        if let Phase::Revoking(waiting) = &mut self.phase {
            waiting.remove(&session);
        }
    }

    pub(crate) const fn want(&mut self) {
        self.wanted = true;
    }

    pub(crate) fn is_member(&self, session: Session) -> bool {
        self.members.contains_key(&session)
    }

    pub(crate) fn seat(&self, session: Session) -> Option<usize> {
        self.members.get(&session).map(|member| member.seat)
    }

    /// The sessions of a seat.
    pub(crate) fn sessions_of(&self, seat: usize) -> Vec<Session> {
        let own = self.members.iter().filter(|(_, one)| one.seat == seat);
        own.map(|(session, _)| *session).collect()
    }

    pub(crate) fn owner(&self, source: &TopicPartition) -> Option<Session> {
        let own = |member: &Membership| member.owned.contains(source);
        let mut owners = self.members.iter().filter(|(_, member)| own(member));
        owners.next().map(|(session, _)| *session)
    }

    /// Whether commits are refused because the assignment is on its way.
    pub(crate) fn is_completing(&self) -> bool {
        self.phase == Phase::Completing
    }

    pub(crate) fn is_stable(&self) -> bool {
        self.phase == Phase::Stable && !self.wanted
    }

    /// A member let go of partitions.
    pub(crate) fn revoked(&mut self, session: Session, partitions: &[TopicPartition]) {
        if let Some(member) = self.members.get_mut(&session) {
            for source in partitions {
                member.owned.remove(source);
            }
        }
        if let Phase::Revoking(waiting) = &mut self.phase {
            waiting.remove(&session);
        }
    }

    /// Looks whether the partitions are still those that were given out.
    pub(crate) fn look(&mut self, cluster: &Cluster) {
        if self.phase == Phase::Stable && self.subscribed(cluster) != self.seen {
            self.wanted = true;
        }
    }

    fn subscribed(&self, cluster: &Cluster) -> Vec<TopicPartition> {
        let all = cluster.sources().into_iter();
        let taken = |source: &TopicPartition| {
            let mut members = self.members.values();
            members.any(|member| member.topics.contains(&*source.topic))
        };
        all.filter(taken).collect()
    }

    /// Goes one step on. Returns what members are told.
    pub(crate) fn step(&mut self, cluster: &Cluster) -> Vec<(Session, Order)> {
        match &self.phase {
            Phase::Stable if self.wanted => self.begin(cluster),
            Phase::Revoking(waiting) if waiting.is_empty() => {
                self.phase = Phase::Completing;
                Vec::new()
            }
            Phase::Completing => self.complete(cluster),
            _ => Vec::new(),
        }
    }

    fn begin(&mut self, cluster: &Cluster) -> Vec<(Session, Order)> {
        self.wanted = false;
        self.turns += 1;
        let target = self.balance(cluster);
        let mut orders = Vec::new();
        let mut waiting = BTreeSet::new();
        for (session, member) in &self.members {
            let keeps =
                |source: &&TopicPartition| !self.is_eager && target.get(*source) == Some(session);
            let going: Vec<_> = member.owned.iter().filter(|s| !keeps(s)).cloned().collect();
            if !going.is_empty() {
                waiting.insert(*session);
                orders.push((*session, Order::Revoke(going)));
            }
        }
        self.phase = Phase::Revoking(waiting);
        orders
    }

    fn complete(&mut self, cluster: &Cluster) -> Vec<(Session, Order)> {
        self.phase = Phase::Stable;
        self.seen = self.subscribed(cluster);
        let target = self.balance(cluster);
        let mut given: BTreeMap<Session, Vec<TopicPartition>> = BTreeMap::new();
        for (source, session) in target {
            match self.owner(&source) {
                None => given.entry(session).or_default().push(source),
                Some(owner) if owner != session => self.wanted = true,
                Some(_) => {}
            }
        }
        let mut orders = Vec::new();
        for (session, partitions) in given {
            if let Some(member) = self.members.get_mut(&session) {
                member.owned.extend(partitions.iter().cloned());
                orders.push((session, Order::Assign(partitions)));
            }
        }
        orders
    }

    /// Who should own what: evenly, and where it can stay, where it is.
    fn balance(&self, cluster: &Cluster) -> BTreeMap<TopicPartition, Session> {
        let mut target = BTreeMap::new();
        if self.members.is_empty() {
            return target;
        }
        let sources = self.subscribed(cluster);
        let most = sources.len().div_ceil(self.members.len());
        let mut load: BTreeMap<Session, usize> =
            self.members.keys().map(|session| (*session, 0)).collect();
        let mut open = Vec::new();
        for source in sources {
            let owner = self.owner(&source).filter(|_| !self.is_eager);
            match owner.and_then(|owner| load.get_mut(&owner).map(|load| (owner, load))) {
                Some((owner, load)) if *load < most => {
                    *load += 1;
                    target.insert(source, owner);
                }
                _ => open.push(source),
            }
        }
        for (index, source) in open.into_iter().enumerate() {
            let takes = |session: &Session| {
                let member = self.members.get(session);
                member.is_some_and(|member| member.topics.contains(&*source.topic))
            };
            let candidates = load.iter().filter(|(session, _)| takes(session));
            let turn = self.turns + index;
            let count = self.members.len();
            let least = candidates
                .min_by_key(|(session, load)| (**load, (session.0 as usize + turn) % count));
            if let Some(session) = least.map(|(session, _)| *session) {
                *load.entry(session).or_default() += 1;
                target.insert(source, session);
            }
        }
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_given_out_only_after_its_owner_let_go() {
        let mut cluster = Cluster::default();
        cluster.create(&"t".into(), 2);
        let topics = || BTreeSet::from(["t".to_owned()]);
        let mut group = Group::default();
        let first = group.join(0, topics());
        for _ in 0..3 {
            group.step(&cluster);
        }
        let both = cluster.sources();
        assert!(both.iter().all(|source| group.owner(source) == Some(first)));
        let second = group.join(1, topics());
        let orders = group.step(&cluster);
        let [(session, Order::Revoke(going))] = &orders[..] else {
            panic!("{orders:?}");
        };
        assert_eq!((*session, going.len()), (first, 1));
        assert!(group.step(&cluster).is_empty(), "it waits");
        group.revoked(first, going);
        group.step(&cluster);
        assert!(group.is_completing());
        group.step(&cluster);
        assert_eq!(group.owner(&going[0]), Some(second));
        group.remove(second);
        for _ in 0..3 {
            group.step(&cluster);
        }
        assert_eq!(group.owner(&going[0]), Some(first));
    }
}
