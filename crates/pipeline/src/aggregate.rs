//! Aggregation: buckets that gather metrics from many points and give out few.
//!
//! A script fills buckets; they live with the loaded script. The host's side is the [`Aggregator`]:
//! it knows every bucket alive, hands finished points to the host's sink, and is asked by the
//! host's timer to flush what is due. Nothing is lost when a script is replaced: a bucket that is removed
//! flushes what it holds.
//!
//! Nothing grows without bound. Groups and the points given out are charged to an account; while the points
//! of the last flush wait somewhere, no interval gives out more and the groups go on merging. A
//! bucket without room flushes early if it may, else it refuses what is new, counts it and says so.

use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use kafkamq_memory::{Account, Charge, Exhausted};
use kafkamq_point::{Category, Point, Text};
use parking_lot::{Mutex, RwLock};

use crate::engine::{Clock, SystemClock};

/// How many groups a bucket holds at most.
pub(crate) const MAX_GROUPS: usize = 100_000;

/// How many bytes groups and points given out may take unless the host says so.
pub const MAX_BYTES: usize = 32 << 20;

/// Takes the points that buckets give out.
pub trait AggregateSink: Send + Sync {
    /// Takes points of one category; `source` is `pl_agg/` and the bucket's name. The charge is for their
    /// bytes: whoever holds the points keeps it, and until it is dropped nothing further is given out.
    fn accept(&self, source: &str, category: Category, points: Vec<Point>, charge: Charge);

    /// Called for each value that is refused because there is no room for a new group or field.
    fn refused(&self) {}
}

/// How values of a group become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// The sum of all values.
    Sum,
    /// The mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The last.
    Set,
}

impl Function {
    /// The function of a name in a script.
    #[must_use]
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "set" => Self::Set,
            _ => return None,
        })
    }
}

/// What a script asks of a bucket.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BucketOptions {
    /// Nanoseconds between flushes by time; `None` for none.
    pub(crate) interval: Option<u64>,
    /// Successful calls between flushes by count; `None` for none.
    pub(crate) count: Option<u64>,
    /// Whether groups go on accumulating after a flush.
    pub(crate) keep: bool,
    /// Tags for every point the bucket gives out.
    pub(crate) const_tags: Vec<(Text, Text)>,
}

/// The host's side of aggregation; a service of the engine. A handle: clones are the same one.
#[derive(Clone)]
pub struct Aggregator(Arc<Shared>);

struct Shared {
    sink: Arc<dyn AggregateSink>,
    global_tags: Vec<(Text, Text)>,
    buckets: Mutex<Vec<Weak<Bucket>>>,
    /// Bytes of groups, and of points that were given out and are not settled yet.
    groups: Arc<Account>,
    given: Arc<Account>,
}

impl std::fmt::Debug for Aggregator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aggregator")
            .field("buckets", &self.0.buckets.lock().len())
            .finish_non_exhaustive()
    }
}

impl Aggregator {
    /// Gives finished points to `sink`, each with `global_tags` unless the bucket has others. Groups and
    /// points may take [`MAX_BYTES`].
    #[must_use]
    pub fn new(sink: Arc<dyn AggregateSink>, global_tags: Vec<(Text, Text)>) -> Self {
        let account = Account::root("aggregation", MAX_BYTES);
        Self::within(sink, global_tags, &account)
    }

    /// [`Aggregator::new`] within an account of the host: half of its limit is for groups, half for points
    /// that were given out.
    #[must_use]
    pub fn within(
        sink: Arc<dyn AggregateSink>,
        global_tags: Vec<(Text, Text)>,
        account: &Arc<Account>,
    ) -> Self {
        let half = account.limit() / 2;
        Self(Arc::new(Shared {
            sink,
            global_tags,
            buckets: Mutex::default(),
            groups: account.child("groups of aggregation", half),
            given: account.child("points of aggregation", half),
        }))
    }

    /// Flushes every bucket whose interval has passed and returns when the next one is due, both
    /// in nanoseconds since the Unix epoch. Call it from a timer, once a second or when due.
    ///
    /// While points given out before wait, nothing is flushed and the groups go on merging.
    pub fn flush_due(&self, now_ns: i64) -> Option<i64> {
        let waits = self.waits();
        let mut next = None;
        for bucket in self.alive() {
            if let Some(due) = bucket.flush_due(now_ns, waits) {
                next = Some(next.map_or(due, |earliest: i64| earliest.min(due)));
            }
        }
        next
    }

    /// Flushes every bucket now, as before the host stops.
    pub fn flush_all(&self, now_ns: i64) {
        for bucket in self.alive() {
            bucket.flush(now_ns);
        }
    }

    /// Whether points given out before are not settled yet.
    #[must_use]
    pub(crate) fn waits(&self) -> bool {
        self.0.given.used() > 0
    }

    /// Whether a flush that cannot wait for the clock may go out: points given out before take little.
    fn has_room(&self) -> bool {
        self.0.given.used() <= self.0.given.limit() / 2
    }

    /// Bytes of groups and of points that are not settled yet.
    #[must_use]
    pub(crate) fn used_bytes(&self) -> usize {
        self.0.groups.used() + self.0.given.used()
    }

    fn alive(&self) -> Vec<Arc<Bucket>> {
        let mut buckets = self.0.buckets.lock();
        buckets.retain(|bucket| bucket.strong_count() > 0);
        buckets.iter().filter_map(Weak::upgrade).collect()
    }
}

/// The buckets of one loaded script. Dropping it flushes them.
#[derive(Debug, Default)]
pub struct Buckets(RwLock<HashMap<(Category, Text), Arc<Bucket>>>);

impl Buckets {
    /// Makes a bucket unless there is one of this category and name; its interval starts now.
    pub(crate) fn create(
        &self,
        aggregator: &Aggregator,
        category: Category,
        name: &str,
        options: impl FnOnce() -> BucketOptions,
        now_ns: i64,
    ) {
        if self.get(category, name).is_some() {
            return;
        }
        if let Entry::Vacant(place) = self.0.write().entry((category, Text::from(name))) {
            let options = options();
            let bucket = Arc::new(Bucket {
                name: Text::from(name),
                category,
                state: Mutex::new(State {
                    due: options.next_due(now_ns),
                    ..State::default()
                }),
                options,
                aggregator: aggregator.clone(),
            });
            aggregator.0.buckets.lock().push(Arc::downgrade(&bucket));
            place.insert(bucket);
        }
    }

    /// The bucket of this category and name.
    #[must_use]
    pub(crate) fn get(&self, category: Category, name: &str) -> Option<Arc<Bucket>> {
        let buckets = self.0.read();
        // A script has a handful of buckets; comparing them needs no owned key.
        buckets
            .iter()
            .find(|((of, bucket), _)| *of == category && bucket == name)
            .map(|(_, bucket)| Arc::clone(bucket))
    }
}

/// One bucket: groups of points with equal tags, each with its aggregated fields.
pub struct Bucket {
    name: Text,
    category: Category,
    options: BucketOptions,
    aggregator: Aggregator,
    state: Mutex<State>,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.name)
            .field("category", &self.category)
            .finish_non_exhaustive()
    }
}

/// The tags that make a group, in the order the script names them.
type GroupKey = Box<[(Text, Text)]>;

#[derive(Default)]
struct State {
    groups: HashMap<GroupKey, Group>,
    /// What the groups take.
    charge: Option<Charge>,
    /// How many of the groups of a flush were given out, where there was no room for all at once.
    given: usize,
    /// Whether the last value was refused; said once until there is room again.
    full: bool,
    calls: u64,
    due: Option<i64>,
}

/// The bytes of a group beyond its fields, and as a point.
fn group_bytes(tags: &[(Text, Text)]) -> usize {
    let each = |(key, value): &(Text, Text)| 2 * size_of::<Text>() + key.len() + value.len();
    128 + tags.iter().map(each).sum::<usize>()
}

/// The bytes of a field of a group.
fn field_bytes(name: &str) -> usize {
    size_of::<(Text, Gathered)>() + name.len()
}

impl State {
    /// Charges a group or a field that is about to be made.
    fn charge(&mut self, account: &Arc<Account>, bytes: usize) -> Result<(), Exhausted> {
        match &mut self.charge {
            Some(charge) => charge.grow(bytes),
            None => {
                self.charge = Some(account.try_charge(bytes)?);
                Ok(())
            }
        }
    }
}

/// The aggregated fields of a group: few, so a list.
type Group = Vec<(Text, Gathered)>;

#[derive(Debug, Clone, Copy)]
struct Gathered {
    function: Function,
    value: f64,
    count: u64,
}

impl Gathered {
    const fn new(function: Function, value: f64) -> Self {
        Self {
            function,
            value,
            count: 1,
        }
    }

    fn add(&mut self, value: f64) {
        self.count += 1;
        self.value = match self.function {
            Function::Sum | Function::Avg => self.value + value,
            Function::Min => self.value.min(value),
            Function::Max => self.value.max(value),
            Function::Set => value,
        };
    }

    fn result(&self) -> f64 {
        match self.function {
            #[expect(clippy::cast_precision_loss, reason = "a mean is a float anyway")]
            Function::Avg => self.value / self.count as f64,
            _ => self.value,
        }
    }
}

impl BucketOptions {
    fn next_due(&self, now_ns: i64) -> Option<i64> {
        let interval = i64::try_from(self.interval?).unwrap_or(i64::MAX);
        Some(now_ns.saturating_add(interval))
    }
}

impl Bucket {
    /// Adds a value to the field `field` of the group of `tags`. The first function used for a
    /// field of a group stays. Returns whether the value was taken: a new group or field is refused where
    /// there is no room.
    pub(crate) fn add(
        &self,
        tags: &[(Text, Text)],
        field: &str,
        function: Function,
        value: f64,
        now_ns: i64,
    ) -> bool {
        let mut state = self.state.lock();
        let mut early = Vec::new();
        let mut taken = self.try_add(&mut state, tags, field, function, value);
        if !taken && !self.options.keep && self.aggregator.has_room() {
            early.extend(self.take(&mut state, now_ns, Room::Bounded));
            taken = self.try_add(&mut state, tags, field, function, value);
        }
        if taken {
            state.full = false;
            state.calls += 1;
            let counted = self.options.count.is_some_and(|count| state.calls >= count);
            if counted && early.is_empty() && self.aggregator.has_room() {
                state.calls = 0;
                early.extend(self.take(&mut state, now_ns, Room::Bounded));
            }
        } else {
            self.aggregator.0.sink.refused();
            if !std::mem::replace(&mut state.full, true) {
                tracing::error!(
                    bucket = %self.name,
                    groups = state.groups.len(),
                    bytes = self.aggregator.used_bytes(),
                    "a bucket of aggregation is full: new groups are refused and counted until \
                     points were given out; known groups go on"
                );
            }
        }
        drop(state);
        self.emit(early);
        taken
    }

    /// Adds a value if its group and field are there, or there is room for them.
    fn try_add(
        &self,
        state: &mut State,
        tags: &[(Text, Text)],
        field: &str,
        function: Function,
        value: f64,
    ) -> bool {
        let account = &self.aggregator.0.groups;
        let gathered = Gathered::new(function, value);
        match state.groups.get_mut(tags) {
            Some(group) => {
                if let Some((_, gathered)) = group.iter_mut().find(|(name, _)| name == field) {
                    gathered.add(value);
                    return true;
                }
                if state.charge(account, field_bytes(field)).is_err() {
                    return false;
                }
                if let Some(group) = state.groups.get_mut(tags) {
                    group.push((field.into(), gathered));
                }
            }
            None => {
                let bytes = group_bytes(tags) + field_bytes(field);
                if state.groups.len() >= MAX_GROUPS || state.charge(account, bytes).is_err() {
                    return false;
                }
                state
                    .groups
                    .insert(tags.into(), vec![(field.into(), gathered)]);
            }
        }
        true
    }

    /// Flushes if the interval has passed and nothing given out before waits; returns when that will be
    /// the case next.
    fn flush_due(&self, now_ns: i64, waits: bool) -> Option<i64> {
        let mut state = self.state.lock();
        let due = state.due?;
        if due > now_ns {
            return Some(due);
        }
        if waits {
            return Some(now_ns.saturating_add(RETRY_NS));
        }
        let points = self.take(&mut state, now_ns, Room::Bounded);
        if state.given == 0 {
            state.due = self.options.next_due(now_ns);
        }
        // What had no room is due as soon as the points before it are settled.
        let next = match state.given {
            0 => state.due,
            _ => Some(now_ns.saturating_add(RETRY_NS)),
        };
        drop(state);
        self.emit(points);
        next
    }

    fn flush(&self, now_ns: i64) {
        let mut state = self.state.lock();
        state.given = 0;
        let points = self.take(&mut state, now_ns, Room::Whatever);
        drop(state);
        self.emit(points);
    }

    /// One point per group, as many as there is room for; the groups go unless the bucket keeps them.
    fn take(&self, state: &mut State, now_ns: i64, room: Room) -> Option<Given> {
        let account = &self.aggregator.0.given;
        if self.options.keep {
            let mut points = Vec::new();
            let mut charge: Option<Charge> = None;
            let begin = state.given;
            for (tags, fields) in state.groups.iter().skip(begin) {
                if !grow(&mut charge, account, self.point_bytes(tags, fields), room) {
                    break;
                }
                points.push(self.point(tags, fields, now_ns));
            }
            let given = begin + points.len();
            state.given = if given < state.groups.len() { given } else { 0 };
            return charge.map(|charge| Given { points, charge });
        }
        let mut points = Vec::with_capacity(state.groups.len());
        // What the groups took becomes what the points take.
        state.charge = None;
        let mut bytes = 0;
        for (tags, fields) in state.groups.drain() {
            bytes += self.point_bytes(&tags, &fields);
            points.push(self.point(&tags, &fields, now_ns));
        }
        (!points.is_empty()).then(|| Given {
            charge: account.charge_beyond(bytes),
            points,
        })
    }

    fn point_bytes(&self, tags: &[(Text, Text)], fields: &[(Text, Gathered)]) -> usize {
        let each = |(key, value): &(Text, Text)| 64 + key.len() + value.len();
        let constant = self.aggregator.0.global_tags.iter();
        let constant = constant.chain(&self.options.const_tags).map(each);
        let fields = fields.iter().map(|(name, _)| 64 + name.len());
        128 + fields.sum::<usize>() + constant.sum::<usize>() + tags.iter().map(each).sum::<usize>()
    }

    fn point(&self, tags: &[(Text, Text)], fields: &[(Text, Gathered)], now_ns: i64) -> Point {
        let mut point = Point::new(self.name.clone(), self.category, now_ns);
        for (name, gathered) in fields {
            point.set_field(name.clone(), gathered.result());
        }
        let layers = [
            &*self.aggregator.0.global_tags,
            &*self.options.const_tags,
            tags,
        ];
        for (key, value) in layers.into_iter().flatten() {
            point.set_tag(key.clone(), value.clone());
        }
        point
    }

    /// Hands points on, without holding the lock.
    fn emit(&self, given: impl IntoIterator<Item = Given>) {
        for Given { points, charge } in given {
            let source = format!("pl_agg/{}", self.name);
            let sink = &self.aggregator.0.sink;
            sink.accept(&source, self.category, points, charge);
        }
    }
}

/// How soon a bucket that could not give out all looks again, in nanoseconds.
const RETRY_NS: i64 = 1_000_000_000;

/// Points on their way to the sink.
struct Given {
    points: Vec<Point>,
    charge: Charge,
}

/// Whether points that do not fit stay in their groups, or have to go because these end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Bounded,
    Whatever,
}

/// Charges a further point; the first one always fits, so that a flush comes to its end.
fn grow(charge: &mut Option<Charge>, account: &Arc<Account>, bytes: usize, room: Room) -> bool {
    match charge {
        None => *charge = Some(account.charge_beyond(bytes)),
        Some(charge) if room == Room::Whatever => charge.grow_beyond(bytes),
        Some(charge) => return charge.grow(bytes).is_ok(),
    }
    true
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // With `keep` everything up to the last flush has been given out already, but what came
        // after it has not.
        self.flush(SystemClock.now_ns());
    }
}

#[cfg(test)]
mod tests;
