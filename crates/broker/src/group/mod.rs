//! One consumer group: the coordinator's side of the classic protocol, as a state machine without a clock or a socket.
//!
//! Calls take the time as an argument, answers that must wait go through channels, and `tick` does what time has made
//! due. Promised: a member gets an assignment only from the leader of its own generation; a request of another
//! generation or an unknown member is refused; and whatever happens in the group is reported as events, in order.

mod generation;
mod member;
mod offsets;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;

use crate::events::{Departure, EventKind, TopicPartition};
pub(crate) use member::{JoinReply, JoinRequest, Member, SyncReply};
pub(crate) use offsets::CommittedOffset;

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No members.
    Empty,
    /// Members are joining (again); it ends when all have, though not before `earliest`, or at `deadline`.
    Preparing {
        earliest: Instant,
        deadline: Instant,
    },
    /// All have joined; the leader owes the assignment until `deadline`.
    Completing { deadline: Instant },
    /// Everybody has an assignment.
    Stable,
}

/// A consumer group.
#[derive(Debug)]
pub(crate) struct Group {
    name: String,
    state: State,
    generation: i32,
    protocol_type: String,
    protocol: String,
    leader: String,
    members: BTreeMap<String, Member>,
    /// Static instance names and the member ids that bear them.
    instances: HashMap<String, String>,
    /// Ids given out whose bearers have yet to come back with them, and until when they may.
    expected: HashMap<String, Instant>,
    offsets: BTreeMap<TopicPartition, CommittedOffset>,
    initial_delay: Duration,
    /// Makes member ids unique.
    ids: u64,
    events: Vec<EventKind>,
}

impl Group {
    /// A group without members, whose first member will wait for others for `initial_delay`.
    pub(crate) fn new(name: &str, initial_delay: Duration) -> Self {
        Self {
            name: name.to_owned(),
            state: State::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: String::new(),
            leader: String::new(),
            members: BTreeMap::new(),
            instances: HashMap::new(),
            expected: HashMap::new(),
            offsets: BTreeMap::new(),
            initial_delay,
            ids: 0,
            events: Vec::new(),
        }
    }

    /// What has happened since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<EventKind> {
        std::mem::take(&mut self.events)
    }

    /// The state's name in the words of the protocol.
    pub(crate) fn state_name(&self) -> &'static str {
        match self.state {
            State::Empty => "Empty",
            State::Preparing { .. } => "PreparingRebalance",
            State::Completing { .. } => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }

    /// Number of the current generation.
    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    /// Whether every member has its assignment.
    pub(crate) fn is_stable(&self) -> bool {
        self.state == State::Stable
    }

    /// `consumer` for consumer groups; empty before the first member.
    pub(crate) fn protocol_type(&self) -> &str {
        &self.protocol_type
    }

    /// The assignment strategy of the current generation.
    pub(crate) fn protocol(&self) -> &str {
        &self.protocol
    }

    /// The members, sorted by id.
    pub(crate) fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    /// JoinGroup: `answer` gets the reply, at once or when the group has formed.
    pub(crate) fn join(
        &mut self,
        request: JoinRequest,
        answer: oneshot::Sender<JoinReply>,
        now: Instant,
    ) {
        match self.admit(request, now) {
            Admission::Refuse(reply) => reply_to(answer, reply),
            Admission::New(request) => self.add(request, answer, now),
            Admission::Known(request) => self.rejoin(&request, answer, now),
            Admission::Replaces(old, request) => self.replace(&old, request, answer, now),
        }
    }

    fn admit(&mut self, request: JoinRequest, now: Instant) -> Admission {
        let refuse = |code| Admission::Refuse(JoinReply::refused(&request.member, code));
        if request.session_timeout.is_zero() {
            return refuse(ResponseError::InvalidSessionTimeout);
        }
        if request.protocols.is_empty() || !self.speaks(&request) {
            return refuse(ResponseError::InconsistentGroupProtocol);
        }
        if let Some(instance) = &request.instance {
            return match self.instances.get(instance) {
                Some(id) if request.member.is_empty() => Admission::Replaces(id.clone(), request),
                Some(id) if *id != request.member => refuse(ResponseError::FencedInstanceId),
                Some(_) => Admission::Known(request),
                None if request.member.is_empty() => Admission::New(request),
                None => refuse(ResponseError::UnknownMemberId),
            };
        }
        if self.members.contains_key(&request.member) {
            return Admission::Known(request);
        }
        if request.member.is_empty() && request.asks_for_id {
            let id = self.next_id(&request);
            self.expected
                .insert(id.clone(), now + request.session_timeout);
            return Admission::Refuse(JoinReply::refused(&id, ResponseError::MemberIdRequired));
        }
        if request.member.is_empty() || self.expected.remove(&request.member).is_some() {
            return Admission::New(request);
        }
        refuse(ResponseError::UnknownMemberId)
    }

    /// Whether the group has a strategy in common with this member.
    fn speaks(&self, request: &JoinRequest) -> bool {
        let others = || {
            self.members
                .values()
                .filter(|member| member.id != request.member)
        };
        others().next().is_none()
            || self.protocol_type == request.protocol_type
                && request.protocols.iter().any(|(name, _)| {
                    others().all(|member| member.protocols.iter().any(|(known, _)| known == name))
                })
    }

    fn next_id(&mut self, request: &JoinRequest) -> String {
        self.ids += 1;
        let base = request.instance.as_deref().unwrap_or(&request.client);
        format!("{base}-{}-{}", self.name, self.ids)
    }

    fn add(&mut self, request: JoinRequest, answer: oneshot::Sender<JoinReply>, now: Instant) {
        let id = match request.member.is_empty() {
            true => self.next_id(&request),
            false => request.member.clone(),
        };
        if let Some(instance) = &request.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        if self.members.is_empty() {
            self.protocol_type.clone_from(&request.protocol_type);
        }
        self.members
            .insert(id.clone(), Member::new(id.clone(), request, answer, now));
        self.joined(&id);
        self.rebalance(now);
    }

    fn rejoin(&mut self, request: &JoinRequest, answer: oneshot::Sender<JoinReply>, now: Instant) {
        let Some(member) = self.members.get_mut(&request.member) else {
            return;
        };
        let unchanged = member.protocols == request.protocols;
        member.update(request, now);
        let settled = match self.state {
            State::Completing { .. } => unchanged,
            // The leader joins again to have the group assigned anew.
            State::Stable => unchanged && self.leader != request.member,
            State::Empty | State::Preparing { .. } => false,
        };
        if settled {
            let reply = self.reply(&request.member);
            reply_to(answer, reply);
            return;
        }
        member.joining = Some(answer);
        self.joined(&request.member);
        self.rebalance(now);
    }

    /// A static member has come back under a new id.
    fn replace(
        &mut self,
        old: &str,
        request: JoinRequest,
        answer: oneshot::Sender<JoinReply>,
        now: Instant,
    ) {
        let Some(mut member) = self.members.remove(old) else {
            return;
        };
        let fenced = ResponseError::FencedInstanceId;
        if let Some(waiting) = member.joining.take() {
            reply_to(waiting, JoinReply::refused(old, fenced));
        }
        if let Some(waiting) = member.syncing.take() {
            reply_to(waiting, Err(fenced));
        }
        let id = self.next_id(&request);
        if let Some(instance) = &request.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        let unchanged = member.protocols == request.protocols;
        member.update(&request, now);
        member.id.clone_from(&id);
        let was_leader = self.leader == old;
        if was_leader {
            self.leader.clone_from(&id);
        }
        self.members.insert(id.clone(), member);
        self.events.push(EventKind::Leave {
            group: self.name.clone(),
            member: old.to_owned(),
            reason: Departure::Replaced,
        });
        self.joined(&id);
        if self.state == State::Stable && unchanged {
            // A restart within the session timeout must not disturb the others: the member gets its assignment
            // back, and is not told that it leads, so that it does not assign anew.
            let mut reply = self.reply(&id);
            reply.members.clear();
            if was_leader {
                reply.leader = old.to_owned();
            }
            reply_to(answer, reply);
            return;
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.joining = Some(answer);
        }
        self.rebalance(now);
    }

    /// Notes that a member has asked to join, and what it keeps meanwhile.
    fn joined(&mut self, id: &str) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        member.owned = member.still_owned();
        self.events.push(EventKind::Join {
            group: self.name.clone(),
            member: id.to_owned(),
            owned: member.owned.iter().cloned().collect(),
        });
    }

    /// Finds the member a request speaks for.
    ///
    /// # Errors
    /// `UNKNOWN_MEMBER_ID`, `FENCED_INSTANCE_ID` or `ILLEGAL_GENERATION`.
    fn authenticate(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<&mut Member, ResponseError> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(known) if known != id => return Err(ResponseError::FencedInstanceId),
                Some(_) => {}
            }
        }
        let member = self
            .members
            .get_mut(id)
            .ok_or(ResponseError::UnknownMemberId)?;
        match generation == self.generation {
            true => Ok(member),
            false => Err(ResponseError::IllegalGeneration),
        }
    }

    /// SyncGroup: `answer` gets the member's assignment, at once or when the leader has sent it. `assignments`, by
    /// member id, count only if they come from the leader.
    pub(crate) fn sync(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        assignments: Vec<(String, Bytes)>,
        answer: oneshot::Sender<SyncReply>,
        now: Instant,
    ) {
        let state = self.state;
        let member = match self.authenticate(id, instance, generation) {
            Ok(member) => member,
            Err(code) => return reply_to(answer, Err(code)),
        };
        member.heard(now);
        match state {
            State::Empty => reply_to(answer, Err(ResponseError::UnknownMemberId)),
            State::Preparing { .. } => reply_to(answer, Err(ResponseError::RebalanceInProgress)),
            State::Completing { .. } => {
                member.syncing = Some(answer);
                if self.leader == id {
                    self.assign(assignments, now);
                }
            }
            State::Stable => {
                let assignment = member.assignment.clone();
                self.assigned(id);
                reply_to(answer, Ok(assignment));
            }
        }
    }

    fn assign(&mut self, assignments: Vec<(String, Bytes)>, now: Instant) {
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        self.state = State::Stable;
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            let assignment = member.assignment.clone();
            if let Some(answer) = member.syncing.take() {
                member.heard(now);
                // Reported before it is sent, so that no commit can overtake it in the order of events.
                self.assigned(&id);
                reply_to(answer, Ok(assignment));
            }
        }
    }

    fn assigned(&mut self, id: &str) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        let partitions = member::assigned_partitions(&member.assignment).unwrap_or_default();
        // What a cooperative member has to give up stays its own until it joins again.
        member.owned.extend(partitions.iter().cloned());
        self.events.push(EventKind::Assigned {
            group: self.name.clone(),
            generation: self.generation,
            member: id.to_owned(),
            partitions,
        });
    }

    /// Heartbeat.
    ///
    /// # Errors
    /// `REBALANCE_IN_PROGRESS` when the member has to join again, or what is wrong with it.
    pub(crate) fn heartbeat(
        &mut self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        self.authenticate(id, instance, generation)?.heard(now);
        match self.state {
            State::Preparing { .. } => Err(ResponseError::RebalanceInProgress),
            State::Empty | State::Completing { .. } | State::Stable => Ok(()),
        }
    }

    /// LeaveGroup for one member, by id or by static instance; also what `Broker::kick` does.
    ///
    /// # Errors
    /// `UNKNOWN_MEMBER_ID` or `FENCED_INSTANCE_ID`.
    pub(crate) fn leave(
        &mut self,
        id: &str,
        instance: Option<&str>,
        reason: Departure,
        now: Instant,
    ) -> Result<(), ResponseError> {
        let id = match instance {
            None => id.to_owned(),
            Some(instance) => {
                let known = self
                    .instances
                    .get(instance)
                    .ok_or(ResponseError::UnknownMemberId)?;
                if !id.is_empty() && known != id {
                    return Err(ResponseError::FencedInstanceId);
                }
                known.clone()
            }
        };
        if self.expected.remove(&id).is_some() {
            self.try_form(now);
            return Ok(());
        }
        if !self.members.contains_key(&id) {
            return Err(ResponseError::UnknownMemberId);
        }
        self.depart(&id, reason, now);
        Ok(())
    }

    /// When `tick` has something to do next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let state = match self.state {
            State::Preparing { earliest, deadline } => {
                let complete = self.members.values().all(Member::is_joining);
                Some(if complete && self.expected.is_empty() {
                    earliest
                } else {
                    deadline
                })
            }
            State::Completing { deadline } => Some(deadline),
            State::Empty | State::Stable => None,
        };
        let sessions = self.members.values().filter_map(Member::deadline);
        sessions
            .chain(self.expected.values().copied())
            .chain(state)
            .min()
    }

    /// Does what has become due by `now`.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.expected.retain(|_, until| *until > now);
        let mut gone: Vec<(String, Departure)> = Vec::new();
        for member in self.members.values() {
            if member.deadline().is_some_and(|deadline| deadline <= now) {
                gone.push((member.id.clone(), Departure::SessionExpired));
            }
        }
        if matches!(self.state, State::Completing { deadline } if deadline <= now) {
            let silent = self
                .members
                .values()
                .filter(|member| member.syncing.is_none());
            gone.extend(silent.map(|member| (member.id.clone(), Departure::RebalanceExpired)));
        }
        for (id, reason) in gone {
            if self.members.contains_key(&id) {
                self.depart(&id, reason, now);
            }
        }
        self.try_form(now);
    }
}

/// What to do with a JoinGroup.
enum Admission {
    Refuse(JoinReply),
    New(JoinRequest),
    Known(JoinRequest),
    /// It takes the place of the static member with this id.
    Replaces(String, JoinRequest),
}

/// Sends an answer; a client that has gone meanwhile is noticed by its session timeout.
fn reply_to<T>(answer: oneshot::Sender<T>, reply: T) {
    drop(answer.send(reply));
}
