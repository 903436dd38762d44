//! How one generation of a group gives way to the next.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::{Group, JoinReply, Member, State, reply_to};
use crate::events::{Departure, EventKind};

impl Group {
    /// Makes all members join again.
    pub(crate) fn rebalance(&mut self, now: Instant) {
        let longest = self
            .members
            .values()
            .map(|member| member.rebalance_timeout)
            .max();
        let Some(longest) = longest else { return };
        let delay = match self.state {
            State::Preparing { .. } => return self.try_form(now),
            State::Empty => self.initial_delay,
            State::Completing { .. } | State::Stable => Duration::ZERO,
        };
        for member in self.members.values_mut() {
            if let Some(waiting) = member.syncing.take() {
                reply_to(waiting, Err(ResponseError::RebalanceInProgress));
                member.heard(now);
            }
        }
        let earliest = now + delay;
        self.state = State::Preparing {
            earliest,
            deadline: now + longest.max(delay),
        };
        self.events.push(EventKind::Rebalance {
            group: self.name.clone(),
            generation: self.generation,
        });
        self.try_form(now);
    }

    /// Starts the new generation if nothing has to be waited for any more.
    pub(super) fn try_form(&mut self, now: Instant) {
        let State::Preparing { earliest, deadline } = self.state else {
            return;
        };
        let complete = self.expected.is_empty() && self.members.values().all(Member::is_joining);
        if now >= deadline || complete && now >= earliest {
            self.form(now);
        }
    }

    fn form(&mut self, now: Instant) {
        // A static member may be restarting: only its session timeout removes it.
        let late = self.members.values().filter(|member| !member.is_joining());
        let late: Vec<String> = late
            .filter(|member| member.instance.is_none())
            .map(|m| m.id.clone())
            .collect();
        for id in late {
            self.remove(&id, Departure::RebalanceExpired);
        }
        let longest = self
            .members
            .values()
            .map(|member| member.rebalance_timeout)
            .max();
        let Some(longest) = longest else {
            self.empty();
            return;
        };
        let Some(first) = self
            .members
            .values()
            .find(|m| m.is_joining())
            .map(|m| m.id.clone())
        else {
            self.state = State::Preparing {
                earliest: now,
                deadline: now + longest,
            };
            return;
        };
        self.generation += 1;
        self.protocol = self.vote();
        if !self
            .members
            .get(&self.leader)
            .is_some_and(Member::is_joining)
        {
            self.leader = first;
        }
        self.state = State::Completing {
            deadline: now + longest,
        };
        self.events.push(EventKind::Generation {
            group: self.name.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members: self.members.keys().cloned().collect(),
        });
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let reply = self.reply(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = Bytes::new();
                member.heard(now);
                if let Some(answer) = member.joining.take() {
                    reply_to(answer, reply);
                }
            }
        }
    }

    /// The strategy most members like best, among those all of them know.
    fn vote(&self) -> String {
        let common = |name: &str| {
            self.members
                .values()
                .all(|m| m.protocols.iter().any(|(known, _)| known == name))
        };
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| common(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes
            .into_iter()
            .max_by_key(|(_, votes)| *votes)
            .map(|(n, _)| n.to_owned())
            .unwrap_or_default()
    }

    pub(super) fn reply(&self, id: &str) -> JoinReply {
        let members = match self.leader == id {
            true => self
                .members
                .values()
                .map(|m| {
                    (
                        m.id.clone(),
                        m.instance.clone(),
                        m.subscription(&self.protocol),
                    )
                })
                .collect(),
            false => Vec::new(),
        };
        JoinReply {
            error: None,
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            member: id.to_owned(),
            members,
        }
    }

    pub(super) fn empty(&mut self) {
        self.state = State::Empty;
        self.generation += 1;
        self.protocol.clear();
        self.leader.clear();
    }

    pub(super) fn remove(&mut self, id: &str, reason: Departure) {
        let Some(member) = self.members.remove(id) else {
            return;
        };
        if let Some(instance) = &member.instance {
            self.instances.remove(instance);
        }
        if let Some(answer) = member.joining {
            reply_to(
                answer,
                JoinReply::refused(id, ResponseError::UnknownMemberId),
            );
        }
        if let Some(answer) = member.syncing {
            reply_to(answer, Err(ResponseError::UnknownMemberId));
        }
        self.events.push(EventKind::Leave {
            group: self.name.clone(),
            member: id.to_owned(),
            reason,
        });
    }

    /// Removes a member and has the rest share its partitions.
    pub(super) fn depart(&mut self, id: &str, reason: Departure, now: Instant) {
        self.remove(id, reason);
        match self.members.is_empty() {
            true => self.empty(),
            false => self.rebalance(now),
        }
    }
}
