//! Points to items: each output's points are encoded once, into one buffer whose slices travel.

use std::sync::Arc;

use kafkamq_memory::Account;
use kafkamq_point::codec::EncodeError;
use kafkamq_point::{Category, Point};

use crate::routing::OutputRoute;
use kafkamq_delivery::lanes::Item;

/// Encoded points of one output, category and lane.
#[derive(Debug)]
struct Body<'a> {
    output: &'a OutputRoute,
    category: Category,
    lane: u64,
    buffer: Vec<u8>,
    /// For each point, the index of its record and the end of its bytes.
    ends: Vec<(u32, usize)>,
}

/// Everything that a batch gave to its outputs so far.
#[derive(Debug, Default)]
pub struct Bodies<'a> {
    bodies: Vec<Body<'a>>,
    /// Bytes to reserve for a new buffer.
    expected_bytes: usize,
}

/// The items for one output, category and lane.
#[derive(Debug)]
pub struct OutputItems<'a> {
    /// The output.
    pub output: &'a OutputRoute,
    /// The category of the points.
    pub category: Category,
    /// The lane they keep the order of.
    pub lane: u64,
    /// The items in order.
    pub items: Vec<Item>,
}

impl<'a> Bodies<'a> {
    /// No points yet, of which about `expected_bytes` bytes will come.
    #[must_use]
    pub const fn with_capacity(expected_bytes: usize) -> Self {
        Self {
            bodies: Vec::new(),
            expected_bytes,
        }
    }

    /// Encodes `point`, made from the record at index `record`, for `output`. Returns whether that
    /// made an item: an output that does not take the point's category makes none.
    ///
    /// # Errors
    /// When no destination could take the point, for instance because it has no field.
    pub fn push(
        &mut self,
        output: &'a OutputRoute,
        point: &Point,
        record: u32,
        lane: u64,
    ) -> Result<bool, EncodeError> {
        let category = point.category();
        if output.endpoint(category).is_none() {
            return Ok(false);
        }
        let same = |body: &Body<'a>| {
            body.lane == lane && body.category == category && std::ptr::eq(body.output, output)
        };
        let at = self.bodies.iter().rposition(same).unwrap_or_else(|| {
            self.bodies.push(Body {
                output,
                category,
                lane,
                buffer: Vec::with_capacity(self.expected_bytes),
                ends: Vec::new(),
            });
            self.bodies.len() - 1
        });
        let Some(body) = self.bodies.get_mut(at) else {
            return Ok(false);
        };
        output.encoding.encode(point, &mut body.buffer)?;
        body.ends.push((record, body.buffer.len()));
        Ok(true)
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bodies.iter().map(|body| body.ends.len()).sum()
    }

    /// Bytes of encoded points in the largest buffer.
    #[must_use]
    pub fn largest(&self) -> usize {
        let lengths = self.bodies.iter().map(|body| body.buffer.len());
        lengths.max().unwrap_or(0)
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items, output by output, charged to `account` as long as one of them lives. Framing comes
    /// between them when a request is formed.
    pub fn into_items(self, account: &Arc<Account>) -> impl Iterator<Item = OutputItems<'a>> {
        self.bodies.into_iter().map(|body| {
            let Body {
                output,
                category,
                lane,
                buffer,
                ends,
            } = body;
            OutputItems {
                output,
                category,
                lane,
                items: slices(buffer, &ends, account),
            }
        })
    }
}

/// Memory that an item takes beside its bytes: itself on its way, in a queue and in a request.
const ITEM_BYTES: usize = 2 * size_of::<Item>();

/// Cuts a buffer into items at `ends`: the index of each item's record and the end of its bytes.
/// The buffer and the items are charged to `account` as long as one of them lives.
#[must_use]
pub fn slices(buffer: Vec<u8>, ends: &[(u32, usize)], account: &Arc<Account>) -> Vec<Item> {
    if ends.is_empty() {
        return Vec::new();
    }
    let charge = account.charge_beyond(buffer.capacity());
    let buffer = charge.seal_with(buffer, ends.len() * ITEM_BYTES);
    let mut start = 0;
    ends.iter()
        .map(|&(record, end)| {
            let body = buffer.slice(start..end);
            start = end;
            Item { record, body }
        })
        .collect()
}
