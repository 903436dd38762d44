//! Points to items: each output's points are encoded once, into one buffer whose slices travel.

use std::sync::Arc;

use kafkamq_memory::Account;
use kafkamq_point::codec::EncodeError;
use kafkamq_point::{Category, Point};

use crate::route::OutputRoute;
use kafkamq_delivery::lanes::Item;
use kafkamq_record::PartId;

/// Encoded points of one output, category and lane.
#[derive(Debug)]
struct Body<'a> {
    output: &'a OutputRoute,
    category: Category,
    lane: u64,
    buffer: Vec<u8>,
    /// The points in order, and the end of the bytes of each.
    parts: Vec<PartId>,
    ends: Vec<usize>,
}

/// Everything that a batch gave to its outputs so far.
#[derive(Debug, Default)]
pub struct Bodies<'a> {
    bodies: Vec<Body<'a>>,
    /// Bytes to reserve for a new buffer.
    expected_bytes: usize,
    /// Bytes of all items, and of what they are kept in.
    bytes: usize,
}

/// The items for one output, category and lane.
#[derive(Debug)]
pub struct OutputItems<'a> {
    /// The output that takes them.
    pub output: &'a OutputRoute,
    /// The category of the points.
    pub category: Category,
    /// The lane they keep the order of.
    pub lane: u64,
    /// What each item is a part of.
    pub parts: Vec<PartId>,
    /// The items in order; each is named by its place in `parts`.
    pub items: Vec<Item>,
}

impl<'a> Bodies<'a> {
    /// No points yet, of which about `expected_bytes` bytes will come.
    #[must_use]
    pub const fn with_capacity(expected_bytes: usize) -> Self {
        Self {
            bodies: Vec::new(),
            expected_bytes,
            bytes: 0,
        }
    }

    /// Encodes `point`, which is the part `id`, for `output`. Returns whether that
    /// made an item: an output that does not take the point's category makes none.
    ///
    /// # Errors
    /// When no destination could take the point, for instance because it has no field.
    pub fn push(
        &mut self,
        output: &'a OutputRoute,
        point: &Point,
        id: PartId,
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
                parts: Vec::new(),
                ends: Vec::new(),
            });
            self.bodies.len() - 1
        });
        let Some(body) = self.bodies.get_mut(at) else {
            return Ok(false);
        };
        let before = body.buffer.len();
        output.encoding.encode(point, &mut body.buffer)?;
        body.parts.push(id);
        body.ends.push(body.buffer.len());
        self.bytes += body.buffer.len() - before + ITEM_BYTES;
        Ok(true)
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bodies.iter().map(|body| body.ends.len()).sum()
    }

    /// Bytes of memory that the items take.
    #[inline]
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
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
                parts,
                ends,
            } = body;
            OutputItems {
                output,
                category,
                lane,
                parts,
                items: slices(buffer, numbered(&ends), account),
            }
        })
    }
}

/// Memory that an item takes beside its bytes: itself on its way, in a queue and in a request.
pub(super) const ITEM_BYTES: usize = 2 * size_of::<Item>() + size_of::<PartId>();

/// Ends with the numbers of their items.
fn numbered(ends: &[usize]) -> impl ExactSizeIterator<Item = (u32, usize)> {
    let name = |(number, &end)| (u32::try_from(number).unwrap_or(u32::MAX), end);
    ends.iter().enumerate().map(name)
}

/// Cuts a buffer into items at `ends`: the name of each item and the end of its bytes.
/// The buffer and the items are charged to `account` as long as one of them lives.
#[must_use]
pub fn slices(
    buffer: Vec<u8>,
    ends: impl ExactSizeIterator<Item = (u32, usize)>,
    account: &Arc<Account>,
) -> Vec<Item> {
    if ends.len() == 0 {
        return Vec::new();
    }
    let charge = account.charge_beyond(buffer.capacity());
    let buffer = charge.seal_with(buffer, ends.len() * ITEM_BYTES);
    let mut start = 0;
    ends.map(|(record, end)| {
        let body = buffer.slice(start..end);
        start = end;
        Item { record, body }
    })
    .collect()
}
