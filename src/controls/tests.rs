use super::*;
use kafkamq_record::{RecordBatchBuilder, TopicPartition};

fn batch(partition: i32, records: i64) -> RecordBatch {
    let source = TopicPartition::new("t", partition);
    let mut batch = RecordBatchBuilder::with_capacity(source, 0, 0);
    for offset in 0..records {
        batch.push(offset, 7, Some(b"key"), Some(b"0123456789"));
    }
    batch.build()
}

fn controls() -> Controls {
    Controls::new(Account::root("taps", 1 << 20))
}

const ALL: TapOptions = TapOptions {
    rate: 1000,
    partition: None,
    max_bytes: 4,
};

#[test]
fn a_pause_belongs_to_the_topic_and_keeps_its_author() {
    let controls = controls();
    let held = controls.topic("t");
    controls.topic("t").stop("first");
    controls.topic("t").stop("second");
    assert!(held.is_paused());
    assert_eq!(controls.pause_of("t").unwrap().by, "first");
    assert_eq!(controls.pause_of("other"), None);
    controls.topic("t").resume();
    assert!(!held.is_paused() && held.pause().is_none());
}

#[tokio::test]
async fn records_are_shown_with_their_coordinates_and_cut() {
    let controls = controls();
    let mut tap = controls.tap("t", ALL).unwrap();
    controls.topic("t").offer(&batch(3, 2));
    controls.topic("other").offer(&batch(3, 2));
    let shown = tap.next().await.unwrap();
    assert_eq!((shown.partition, shown.offset), (3, 0));
    assert_eq!(shown.value.as_deref(), Some(b"0123".as_slice()));
    assert_eq!((shown.value_bytes, shown.timestamp_ms), (10, Some(7)));
    assert_eq!(tap.next().await.unwrap().offset, 1);
    assert_eq!(tap.seen(), 2);
}

#[test]
fn a_slow_watcher_misses_records_and_nothing_waits() {
    let controls = controls();
    let mut tap = controls.tap("t", ALL).unwrap();
    for _ in 0..10 {
        controls.topic("t").offer(&batch(0, 100));
    }
    let mut shown = Vec::new();
    while let Ok(record) = tap.receiver.try_recv() {
        shown.push(record.offset);
    }
    // As many as wait at most, spread over the batch.
    assert_eq!(shown.len(), 64);
    assert!(shown.windows(2).all(|pair| pair[0] < pair[1]) && shown[63] > 90);
    assert_eq!(tap.seen(), 1000);
}

#[test]
fn the_rate_bounds_what_is_shown() {
    let controls = controls();
    let options = TapOptions {
        rate: 5,
        partition: Some(1),
        ..ALL
    };
    let mut tap = controls.tap("t", options).unwrap();
    controls.topic("t").offer(&batch(0, 100));
    assert!(tap.receiver.try_recv().is_err(), "another partition");
    controls.topic("t").offer(&batch(1, 100));
    let shown = std::iter::from_fn(|| tap.receiver.try_recv().ok()).count();
    assert_eq!(shown, 5);
}

#[test]
fn taps_are_few_and_end_when_dropped() {
    let controls = controls();
    let taps: Vec<Tap> = (0..MAX_TAPS)
        .map(|_| controls.tap("t", ALL).unwrap())
        .collect();
    assert_eq!(controls.tap("t", ALL).err(), Some(TooManyTaps));
    assert!(controls.topic("t").tapped.load(Ordering::Relaxed));
    drop(taps);
    assert!(!controls.topic("t").tapped.load(Ordering::Relaxed));
    assert!(controls.tap("t", ALL).is_ok());
}

#[tokio::test]
async fn taps_that_nobody_reads_take_no_more_than_their_account() {
    let account = Account::root("taps", 100_000);
    let controls = Controls::new(Arc::clone(&account));
    let source = TopicPartition::new("t", 0);
    let mut batch = RecordBatchBuilder::with_capacity(source, 0, 0);
    for offset in 0..20 {
        batch.push(offset, 7, None, Some(&[b'x'; 5000]));
        for _ in 0..10_000 {
            batch.push_header(b"h", None);
        }
    }
    let batch = batch.build();
    let options = TapOptions {
        max_bytes: 1 << 20,
        ..ALL
    };
    let mut taps: Vec<_> = (0..MAX_TAPS)
        .map(|_| controls.tap("t", options).unwrap())
        .collect();
    controls.topic("t").offer(&batch);
    assert!(account.used() > 80_000 && account.peak() <= 100_000);
    let first = taps[0].next().await.unwrap();
    assert_eq!((first.headers.len(), first.header_count), (64, 10_000));
    drop((taps, first));
    assert_eq!(account.used(), 0);
}
