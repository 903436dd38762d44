//! What goes into [`Lanes`](super::Lanes) and what comes out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Endpoint;

/// A sequence within which order holds: a partition, or the records of a partition whose keys fall
/// into the same lane. Two lanes that share an id by accident of hashing merely share an order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LaneId(pub u64);

/// The smallest unit that can be delivered by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// Index of the record in its batch; several items may come from one record.
    pub record: u32,
    /// Encoded bytes, without framing.
    pub body: Bytes,
}

/// Work of one lane for one endpoint.
#[derive(Clone, Debug)]
pub struct Parcel<P> {
    /// The lane whose order it keeps.
    pub lane: LaneId,
    /// Where it goes. Parcels share a request only if they share this very `Arc`.
    pub endpoint: Arc<Endpoint>,
    /// The items in order.
    pub items: VecDeque<Item>,
    /// When it came in, which is what waiting for a fuller request is measured from.
    pub arrived: Instant,
    /// Whatever the owner wants back once all items are settled.
    pub payload: P,
}

/// Limits of requests and of their number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Most items in one request; at least 1.
    pub max_items: usize,
    /// Most bytes in the body of one request before compression, framing included.
    pub max_bytes: usize,
    /// How long the oldest item waits for a request to fill up. Zero: never.
    pub max_age: Duration,
    /// Most requests in flight; at least 1.
    pub max_requests: usize,
}

/// Names a request from the time it is formed until it is settled.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub(super) u64);

/// A request to be sent now.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its name; the outcome is reported with it.
    pub id: RequestId,
    /// The number of this sending. The name stays when the request is sent again, whole or in part; the
    /// outcome of an earlier sending says nothing about this one.
    pub sending: u64,
    /// Where it goes.
    pub endpoint: Arc<Endpoint>,
    /// The items of its body, in order; never empty.
    pub items: Arc<[Item]>,
    /// Tries before this one, with exactly these items.
    pub(crate) tries: u32,
}

/// The items of a request that belong to one parcel.
#[derive(Clone, Copy, Debug)]
pub struct RequestPart<'a, P> {
    /// The attachment of the parcel.
    pub payload: &'a P,
    /// Its items in the request, in order.
    pub items: &'a [Item],
}

/// What is under way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Load {
    /// Items that wait, those of failed requests included.
    pub queued_items: usize,
    /// Bytes of those items.
    pub(crate) queued_bytes: usize,
    /// Items of requests that were sent and have no outcome yet; cancelled ones included.
    pub in_flight_items: usize,
    /// Bytes of those items.
    pub(crate) in_flight_bytes: usize,
    /// Requests that were sent and have no outcome yet.
    pub in_flight_requests: usize,
    /// When the oldest unsettled parcel came in.
    pub oldest: Option<Instant>,
}

/// What `Lanes::cancel` took out.
#[derive(Debug)]
pub struct Cancelled<P> {
    /// The attachments of the parcels.
    pub payloads: Vec<P>,
    /// Requests in flight that hold nothing any more. They may be aborted; their outcome must
    /// still be reported, by any method.
    pub void: Vec<RequestId>,
}

impl Limits {
    /// Limits that let at least something pass.
    pub(super) fn sane(self) -> Self {
        Self {
            max_items: self.max_items.max(1),
            max_requests: self.max_requests.max(1),
            ..self
        }
    }
}
