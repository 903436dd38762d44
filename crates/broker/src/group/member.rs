//! A member of a consumer group, and the bytes it exchanges with the other members through the broker.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;

use crate::events::TopicPartition;

/// A member as it introduces itself in JoinGroup.
#[derive(Debug, Clone)]
pub(crate) struct JoinRequest {
    /// Empty for a new member.
    pub(crate) member: String,
    /// Static membership: the name that outlives the member id.
    pub(crate) instance: Option<String>,
    pub(crate) client: String,
    pub(crate) host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: String,
    /// Strategies in order of preference, each with the member's subscription.
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// Whether the client knows how to come back with the id it is given (JoinGroup version 4).
    pub(crate) asks_for_id: bool,
}

/// The answer to JoinGroup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JoinReply {
    pub(crate) error: Option<ResponseError>,
    pub(crate) generation: i32,
    pub(crate) protocol: String,
    pub(crate) leader: String,
    pub(crate) member: String,
    /// For the leader: id, instance and subscription of every member.
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
}

impl JoinReply {
    /// The answer to a member that is not admitted, with `error` as the reason.
    pub(crate) fn refused(member: &str, error: ResponseError) -> Self {
        Self {
            error: Some(error),
            generation: -1,
            member: member.to_owned(),
            ..Self::default()
        }
    }
}

/// The answer to SyncGroup: the member's assignment.
pub(crate) type SyncReply = Result<Bytes, ResponseError>;

/// A member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) client: String,
    pub(crate) host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) assignment: Bytes,
    /// When it is given up unless it is heard of.
    pub(crate) expires: Instant,
    /// Where the answer to its JoinGroup goes, while that waits.
    pub(crate) joining: Option<oneshot::Sender<JoinReply>>,
    /// Where the answer to its SyncGroup goes, while that waits.
    pub(crate) syncing: Option<oneshot::Sender<SyncReply>>,
    /// Partitions it may rightly commit: assigned, and not given up by joining again without them.
    pub(crate) owned: BTreeSet<TopicPartition>,
}

impl Member {
    /// A member that has just introduced itself and waits for the answer.
    pub(crate) fn new(
        id: String,
        request: JoinRequest,
        joining: oneshot::Sender<JoinReply>,
        now: Instant,
    ) -> Self {
        Self {
            id,
            instance: request.instance,
            client: request.client,
            host: request.host,
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocols: request.protocols,
            assignment: Bytes::new(),
            expires: now + request.session_timeout,
            joining: Some(joining),
            syncing: None,
            owned: BTreeSet::new(),
        }
    }

    /// Takes over what the member says when it joins again.
    pub(crate) fn update(&mut self, request: &JoinRequest, now: Instant) {
        self.session_timeout = request.session_timeout;
        self.rebalance_timeout = request.rebalance_timeout;
        self.protocols.clone_from(&request.protocols);
        self.heard(now);
    }

    /// The member has shown that it lives.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.expires = now + self.session_timeout;
    }

    /// Whether its JoinGroup waits for an answer on a connection that is still open.
    pub(crate) fn is_joining(&self) -> bool {
        self.joining
            .as_ref()
            .is_some_and(|answer| !answer.is_closed())
    }

    /// When its session ends; none while the broker owes it an answer, so that silence is not its fault.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let owed = self.is_joining()
            || self
                .syncing
                .as_ref()
                .is_some_and(|answer| !answer.is_closed());
        (!owed).then_some(self.expires)
    }

    /// Its subscription under a strategy.
    pub(crate) fn subscription(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found
            .map(|(_, subscription)| subscription.clone())
            .unwrap_or_default()
    }

    /// The partitions its subscriptions say it still holds.
    pub(crate) fn still_owned(&self) -> BTreeSet<TopicPartition> {
        self.protocols
            .iter()
            .filter_map(|(_, bytes)| owned_partitions(bytes))
            .flatten()
            .collect()
    }
}

/// The partitions a subscription claims to hold; none if the bytes are something else, or of the first version.
fn owned_partitions(subscription: &Bytes) -> Option<Vec<TopicPartition>> {
    let mut bytes = subscription.clone();
    if bytes.try_get_i16().ok()? < 1 {
        return None;
    }
    for _ in 0..count(&mut bytes)? {
        text(&mut bytes)?;
    }
    let user = bytes.try_get_i32().ok()?;
    if user > 0 {
        let user = usize::try_from(user)
            .ok()
            .filter(|user| *user <= bytes.len())?;
        bytes.advance(user);
    }
    partitions(&mut bytes)
}

/// The partitions in an assignment; none if the bytes are something else.
pub(crate) fn assigned_partitions(assignment: &Bytes) -> Option<Vec<TopicPartition>> {
    let mut bytes = assignment.clone();
    bytes.try_get_i16().ok()?;
    partitions(&mut bytes)
}

fn partitions(bytes: &mut Bytes) -> Option<Vec<TopicPartition>> {
    let mut found = Vec::new();
    for _ in 0..count(bytes)? {
        let topic = text(bytes)?;
        for _ in 0..count(bytes)? {
            found.push((topic.clone(), bytes.try_get_i32().ok()?));
        }
    }
    Some(found)
}

fn count(bytes: &mut Bytes) -> Option<usize> {
    usize::try_from(bytes.try_get_i32().ok()?)
        .ok()
        .filter(|count| *count <= bytes.len())
}

fn text(bytes: &mut Bytes) -> Option<String> {
    let length = usize::try_from(bytes.try_get_i16().ok()?).ok()?;
    if length > bytes.len() {
        return None;
    }
    String::from_utf8(bytes.split_to(length).to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use kafka_protocol::messages::consumer_protocol_assignment as assignment;
    use kafka_protocol::messages::consumer_protocol_subscription as subscription;
    use kafka_protocol::messages::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName,
    };
    use kafka_protocol::protocol::{Encodable, StrBytes};
    use proptest::prelude::*;

    fn versioned(version: i16, message: &impl Encodable) -> Bytes {
        let mut bytes = BytesMut::from(&version.to_be_bytes()[..]);
        message.encode(&mut bytes, version).unwrap();
        bytes.freeze()
    }

    #[test]
    fn partitions_are_read_from_what_clients_send() {
        let topic = TopicName(StrBytes::from_static_str("logs"));
        let expected = vec![("logs".to_owned(), 0), ("logs".to_owned(), 5)];
        let assigned = assignment::TopicPartition::default()
            .with_topic(topic.clone())
            .with_partitions(vec![0, 5]);
        let assigned =
            ConsumerProtocolAssignment::default().with_assigned_partitions(vec![assigned]);
        assert_eq!(
            assigned_partitions(&versioned(0, &assigned)),
            Some(expected.clone())
        );
        let owned = subscription::TopicPartition::default()
            .with_topic(topic)
            .with_partitions(vec![0, 5]);
        let subscription = ConsumerProtocolSubscription::default()
            .with_topics(vec![StrBytes::from_static_str("logs")])
            .with_user_data(Some(Bytes::from_static(b"xyz")))
            .with_owned_partitions(vec![owned]);
        for version in 1..=3 {
            let bytes = versioned(version, &subscription);
            assert_eq!(owned_partitions(&bytes), Some(expected.clone()));
        }
    }

    proptest! {
        #[test]
        fn other_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let bytes = Bytes::from(bytes);
            owned_partitions(&bytes);
            assigned_partitions(&bytes);
        }
    }
}
