//! Buckets: every function, flushes, limits.

use super::*;
use kafkamq_point::Value;

#[derive(Default)]
struct Sink(Mutex<Vec<Point>>, Mutex<Vec<Charge>>, Mutex<usize>);

impl AggregateSink for Sink {
    fn accept(&self, source: &str, category: Category, points: Vec<Point>, charge: Charge) {
        assert_eq!(source, "pl_agg/b");
        assert_eq!(category, Category::Metric);
        self.0.lock().extend(points);
        self.1.lock().push(charge);
    }

    fn refused(&self) {
        *self.2.lock() += 1;
    }
}

impl Sink {
    /// Group and value of the points taken since the last call, sorted.
    fn taken(&self) -> Vec<(String, f64)> {
        self.1.lock().clear();
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

/// A bucket within an account of this many bytes.
fn small(bytes: usize, options: &BucketOptions) -> (Arc<Sink>, Aggregator, Buckets, Arc<Bucket>) {
    let sink = Arc::new(Sink::default());
    let account = Account::root("test", bytes);
    let aggregator = Aggregator::within(Arc::clone(&sink) as _, Vec::new(), &account);
    let buckets = Buckets::default();
    buckets.create(&aggregator, Category::Metric, "b", || options.clone(), 0);
    let bucket = buckets.get(Category::Metric, "b").unwrap();
    (sink, aggregator, buckets, bucket)
}

fn add(bucket: &Bucket, group: usize) -> bool {
    let tags = [("g".into(), format!("{group:04}").into())];
    bucket.add(&tags, "f", Function::Sum, 1.0, 0)
}

#[test]
fn a_bucket_that_keeps_its_values_refuses_new_groups_beyond_its_bytes_and_counts_them() {
    let kept = BucketOptions {
        keep: true,
        ..options()
    };
    let (sink, aggregator, _buckets, bucket) = small(20_000, &kept);
    let taken = (0..1000).filter(|group| add(&bucket, *group)).count();
    assert!(taken > 10 && taken < 100, "{taken}");
    assert_eq!(*sink.2.lock(), 1000 - taken);
    assert!(aggregator.used_bytes() <= 20_000);
    // Known groups go on.
    assert!((0..taken).all(|group| add(&bucket, group)));
    assert!(sink.taken().is_empty());
    // Every group comes out in the end, however many flushes that takes.
    let mut seen = std::collections::BTreeSet::new();
    for at in 1..100 {
        aggregator.flush_due(at * 100);
        for (group, value) in sink.taken() {
            assert!((value - 2.0).abs() < f64::EPSILON, "{group}");
            seen.insert(group);
        }
    }
    assert_eq!(seen.len(), taken);
}

#[test]
fn nothing_is_given_out_while_the_last_points_wait_and_groups_merge_on() {
    let (sink, aggregator, _buckets, bucket) = small(200_000, &options());
    assert!(add(&bucket, 1));
    aggregator.flush_due(100);
    assert!(aggregator.waits());
    assert!(add(&bucket, 1) && add(&bucket, 1) && add(&bucket, 2));
    for at in 2..10 {
        aggregator.flush_due(at * 100);
    }
    // Nobody has settled the first points: they are still the only ones.
    assert_eq!(sink.taken(), [("0001".into(), 1.0)]);
    assert!(!aggregator.waits());
    aggregator.flush_due(1100);
    assert_eq!(sink.taken(), [("0001".into(), 2.0), ("0002".into(), 1.0)]);
    assert_eq!(aggregator.used_bytes(), 0);
}

#[test]
fn a_bucket_without_room_flushes_early_if_it_may() {
    let (sink, aggregator, _buckets, bucket) = small(40_000, &options());
    let mut seen = 0;
    for group in 0..1000 {
        assert!(add(&bucket, group));
        seen += sink.taken().len();
    }
    assert!(seen > 0);
    assert_eq!(*sink.2.lock(), 0);
    aggregator.flush_all(1);
    assert_eq!(seen + sink.taken().len(), 1000);
    assert_eq!(aggregator.used_bytes(), 0);
}
