//! Aggregation: buckets that gather metrics from many points and give out few.
//!
//! A script fills buckets; they live with the loaded script. The host's side is the [`Aggregator`]:
//! it knows every bucket alive, hands finished points to the host's sink, and is asked by the
//! host's timer to flush what is due. Nothing is lost when a script is replaced: a bucket that dies
//! flushes what it holds. Nothing grows without bound: a bucket with too many groups flushes early,
//! or, when it keeps its values, refuses further groups and counts what it refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use kafkamq_point::{Category, Point, Text};
use parking_lot::{Mutex, RwLock};

use crate::engine::{Clock, SystemClock};

/// How many groups a bucket holds at most.
pub const MAX_GROUPS: usize = 100_000;

/// Takes the points that buckets give out.
pub trait AggregateSink: Send + Sync {
    /// Takes points of one category; `source` is `pl_agg/` and the bucket's name.
    fn accept(&self, source: &str, category: Category, points: Vec<Point>);
}

/// How values of a group become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The sum.
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
    pub fn named(name: &str) -> Option<Self> {
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
pub struct BucketOptions {
    /// Nanoseconds between flushes by time; `None` for none.
    pub interval: Option<u64>,
    /// Successful calls between flushes by count; `None` for none.
    pub count: Option<u64>,
    /// Whether groups go on accumulating after a flush.
    pub keep: bool,
    /// Tags for every point the bucket gives out.
    pub const_tags: Vec<(Text, Text)>,
}

/// The host's side of aggregation; a service of the engine. A handle: clones are the same one.
#[derive(Clone)]
pub struct Aggregator(Arc<Shared>);

struct Shared {
    sink: Arc<dyn AggregateSink>,
    global_tags: Vec<(Text, Text)>,
    buckets: Mutex<Vec<Weak<Bucket>>>,
    refused: AtomicU64,
}

impl std::fmt::Debug for Aggregator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aggregator")
            .field("buckets", &self.0.buckets.lock().len())
            .finish_non_exhaustive()
    }
}

impl Aggregator {
    /// Gives finished points to `sink`, each with `global_tags` unless the bucket has others.
    #[must_use]
    pub fn new(sink: Arc<dyn AggregateSink>, global_tags: Vec<(Text, Text)>) -> Self {
        Self(Arc::new(Shared {
            sink,
            global_tags,
            buckets: Mutex::default(),
            refused: AtomicU64::new(0),
        }))
    }

    /// Flushes every bucket whose interval has passed and returns when the next one is due, both
    /// in nanoseconds since the Unix epoch. Call it from a timer, once a second or when due.
    pub fn flush_due(&self, now_ns: i64) -> Option<i64> {
        let mut next = None;
        for bucket in self.alive() {
            if let Some(due) = bucket.flush_due(now_ns) {
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

    /// How many values were refused because a bucket that keeps its values was full.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
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
    pub fn create(
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
    pub fn get(&self, category: Category, name: &str) -> Option<Arc<Bucket>> {
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
    calls: u64,
    due: Option<i64>,
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
    /// field of a group stays.
    pub fn add(
        &self,
        tags: &[(Text, Text)],
        field: &str,
        function: Function,
        value: f64,
        now_ns: i64,
    ) {
        let mut state = self.state.lock();
        let mut early = Vec::new();
        if state.groups.len() >= MAX_GROUPS && !state.groups.contains_key(tags) {
            if self.options.keep {
                self.aggregator.0.refused.fetch_add(1, Ordering::Relaxed);
                return;
            }
            early = self.take(&mut state, now_ns);
        }
        match state.groups.get_mut(tags) {
            Some(group) => match group.iter_mut().find(|(name, _)| name == field) {
                Some((_, gathered)) => gathered.add(value),
                None => group.push((field.into(), Gathered::new(function, value))),
            },
            None => {
                let group = vec![(field.into(), Gathered::new(function, value))];
                state.groups.insert(tags.into(), group);
            }
        }
        state.calls += 1;
        if self.options.count.is_some_and(|count| state.calls >= count) {
            state.calls = 0;
            early.extend(self.take(&mut state, now_ns));
        }
        drop(state);
        self.emit(early);
    }

    /// Flushes if the interval has passed; returns when that will be the case next.
    fn flush_due(&self, now_ns: i64) -> Option<i64> {
        let mut state = self.state.lock();
        let due = state.due?;
        if due > now_ns {
            return Some(due);
        }
        let points = self.take(&mut state, now_ns);
        state.due = self.options.next_due(now_ns);
        let next = state.due;
        drop(state);
        self.emit(points);
        next
    }

    fn flush(&self, now_ns: i64) {
        let points = self.take(&mut self.state.lock(), now_ns);
        self.emit(points);
    }

    /// One point per group; empties the groups unless the bucket keeps them.
    fn take(&self, state: &mut State, now_ns: i64) -> Vec<Point> {
        if self.options.keep {
            return state
                .groups
                .iter()
                .map(|(tags, fields)| self.point(tags, fields, now_ns))
                .collect();
        }
        state
            .groups
            .drain()
            .map(|(tags, fields)| self.point(&tags, &fields, now_ns))
            .collect()
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
    fn emit(&self, points: Vec<Point>) {
        if !points.is_empty() {
            let source = format!("pl_agg/{}", self.name);
            self.aggregator
                .0
                .sink
                .accept(&source, self.category, points);
        }
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // With `keep` everything up to the last flush has been given out already, but what came
        // after it has not.
        self.flush(SystemClock.now_ns());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafkamq_point::Value;

    #[derive(Default)]
    struct Sink(Mutex<Vec<Point>>);

    impl AggregateSink for Sink {
        fn accept(&self, source: &str, category: Category, points: Vec<Point>) {
            assert_eq!(source, "pl_agg/b");
            assert_eq!(category, Category::Metric);
            self.0.lock().extend(points);
        }
    }

    impl Sink {
        /// Group and value of the points taken since the last call, sorted.
        fn taken(&self) -> Vec<(String, f64)> {
            let mut taken: Vec<_> = std::mem::take(&mut *self.0.lock())
                .into_iter()
                .map(|point| {
                    let group = point.get("g").unwrap().value.as_str().unwrap().to_owned();
                    let Value::Float(value) = point.get("f").unwrap().value else {
                        panic!("not a float");
                    };
                    (group, value)
                })
                .collect();
            taken.sort_by(|a, b| a.partial_cmp(b).unwrap());
            taken
        }
    }

    const VALUES: [(&str, f64); 5] = [("a", 5.0), ("b", -4.0), ("a", 3.0), ("b", -2.0), ("a", 9.0)];

    fn run(options: &BucketOptions, function: Function) -> (Arc<Sink>, Buckets) {
        let sink = Arc::new(Sink::default());
        let aggregator = Aggregator::new(Arc::clone(&sink) as _, vec![("g".into(), "no".into())]);
        let buckets = Buckets::default();
        buckets.create(&aggregator, Category::Metric, "b", || options.clone(), 0);
        buckets.create(
            &aggregator,
            Category::Metric,
            "b",
            || panic!("made twice"),
            0,
        );
        let bucket = buckets.get(Category::Metric, "b").unwrap();
        for (group, value) in VALUES {
            bucket.add(&[("g".into(), group.into())], "f", function, value, 1);
        }
        (sink, buckets)
    }

    fn options() -> BucketOptions {
        BucketOptions {
            interval: Some(100),
            count: None,
            keep: false,
            const_tags: Vec::new(),
        }
    }

    #[test]
    fn every_function_is_right() {
        for (function, a, b) in [
            (Function::Sum, 17.0, -6.0),
            (Function::Avg, 17.0 / 3.0, -3.0),
            (Function::Min, 3.0, -4.0),
            (Function::Max, 9.0, -2.0),
            (Function::Set, 9.0, -2.0),
        ] {
            let (sink, buckets) = run(&options(), function);
            assert!(sink.taken().is_empty());
            drop(buckets);
            assert_eq!(
                sink.taken(),
                [("a".into(), a), ("b".into(), b)],
                "{function:?}"
            );
        }
    }

    #[test]
    fn flushes_by_count_and_the_rest_at_the_end() {
        let counted = BucketOptions {
            count: Some(2),
            ..options()
        };
        let (sink, buckets) = run(&counted, Function::Sum);
        let expected: Vec<(String, f64)> = [("a", 3.0), ("a", 5.0), ("b", -4.0), ("b", -2.0)]
            .map(|(group, value)| (group.to_owned(), value))
            .into();
        assert_eq!(sink.taken(), expected);
        drop(buckets);
        assert_eq!(sink.taken(), [("a".into(), 9.0)]);
    }

    #[test]
    fn flushes_by_time_and_keeps_what_it_shall() {
        let kept = BucketOptions {
            keep: true,
            ..options()
        };
        let (sink, buckets) = run(&kept, Function::Sum);
        let bucket = buckets.get(Category::Metric, "b").unwrap();
        let aggregator = bucket.aggregator.clone();
        let both = || [("a".to_owned(), 17.0), ("b".to_owned(), -6.0)];
        assert_eq!(aggregator.flush_due(99), Some(100));
        assert!(sink.taken().is_empty());
        assert_eq!(aggregator.flush_due(100), Some(200));
        assert_eq!(sink.taken(), both());
        assert_eq!(aggregator.flush_due(230), Some(330));
        assert_eq!(sink.taken(), both());
        drop((bucket, buckets));
        assert_eq!(aggregator.flush_due(1000), None);
    }

    #[test]
    fn no_value_is_lost_between_threads() {
        let sink = Arc::new(Sink::default());
        let aggregator = Aggregator::new(Arc::clone(&sink) as _, Vec::new());
        let buckets = Buckets::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    buckets.create(&aggregator, Category::Metric, "b", options, 0);
                    let bucket = buckets.get(Category::Metric, "b").unwrap();
                    for at in 0..1000 {
                        let group = if at % 2 == 0 { "a" } else { "b" };
                        bucket.add(&[("g".into(), group.into())], "f", Function::Sum, 1.0, 0);
                        aggregator.flush_due(at * 10);
                    }
                });
            }
        });
        drop(buckets);
        let total: f64 = sink.taken().iter().map(|(_, value)| value).sum();
        assert!((total - 4000.0).abs() < f64::EPSILON, "{total}");
    }

    #[test]
    fn groups_are_told_apart_by_every_value() {
        let sink = Arc::new(Sink::default());
        let aggregator = Aggregator::new(Arc::clone(&sink) as _, Vec::new());
        let buckets = Buckets::default();
        buckets.create(&aggregator, Category::Metric, "b", options, 0);
        let bucket = buckets.get(Category::Metric, "b").unwrap();
        for (g, h) in [("xy", "z"), ("x", "yz")] {
            let tags = [("g".into(), g.into()), ("h".into(), h.into())];
            bucket.add(&tags, "f", Function::Sum, 1.0, 0);
        }
        aggregator.flush_all(1);
        assert_eq!(sink.taken(), [("x".into(), 1.0), ("xy".into(), 1.0)]);
    }
}
