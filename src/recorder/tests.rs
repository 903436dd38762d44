//! What is recorded, and what a recorder may not do.

use std::path::Path;

use kafkamq_point::codec::{DecodeOptions, Precision};
use prometheus::Opts;

use super::*;

const WAIT: Duration = Duration::from_secs(30);

fn settings(path: &Path) -> RecorderSettings {
    RecorderSettings {
        enabled: true,
        path: path.to_owned(),
        encoding: RecorderEncoding::LineProtocol,
        duration: None,
        inputs: Vec::new(),
        categories: Vec::new(),
        rotate_bytes: 1 << 20,
        max_bytes: 1 << 30,
    }
}

fn counters() -> IntCounterVec {
    IntCounterVec::new(Opts::new("points", "of a test"), &["outcome"]).unwrap()
}

fn point(number: i64) -> Point {
    let mut point = Point::new(
        "orders",
        Category::Logging,
        1_700_000_000_000_000_000 + number,
    );
    point.set_tag("host", "a");
    point.set_field("number", number);
    point
}

/// All lines in `folder`, by file name.
fn lines(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        found.extend(text.lines().map(|line| (name.clone(), line.to_owned())));
    }
    found.sort();
    found
}

#[expect(clippy::disallowed_methods, reason = "a test thread may sleep")]
fn wait(what: impl Fn() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !what() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_was_recorded_before_a_flush_is_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(&settings(folder.path()), &counters());
    let recorder = recorder.unwrap().unwrap();
    let feed = recorder.feed("kafkamq.orders").unwrap();
    for number in 0..1000 {
        feed.take(&point(number));
    }
    assert!(recorder.flush(WAIT));
    assert_eq!(lines(&folder.path().join("logging")).len(), 1000);
}

#[test]
fn points_are_recorded_by_feed_and_category() {
    for (encoding, codec, extension) in [
        (RecorderEncoding::LineProtocol, Encoding::LineProtocol, "lp"),
        (RecorderEncoding::PbJson, Encoding::PbJson, "pbjson"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let wanted = RecorderSettings {
            encoding,
            inputs: vec!["kafkamq.ord*".to_owned()],
            categories: vec![Category::Logging],
            ..settings(folder.path())
        };
        let counters = counters();
        let recorder = Recorder::start(&wanted, &counters).unwrap().unwrap();
        assert!(recorder.feed("kafkamq.other").is_none());
        let feed = recorder.feed(&topic_feed("orders/1")).unwrap();
        for number in 0..3 {
            feed.take(&point(number));
        }
        feed.take(&Point::new("m", Category::Metric, 1));
        drop((feed, recorder));
        let logging = folder.path().join("logging");
        wait(|| lines(&logging).len() == 3);
        let options = DecodeOptions {
            category: Category::Logging,
            precision: Some(Precision::Nanoseconds),
            now_ns: 0,
        };
        for (number, (name, line)) in (0..).zip(lines(&logging)) {
            assert!(name.starts_with("kafkamq.orders-1.") && name.ends_with(extension));
            let body = match codec {
                Encoding::PbJson => format!("[{line}]"),
                _ => line,
            };
            let read = codec.decode(body.as_bytes(), &options).unwrap();
            assert_eq!(read, [point(number)]);
        }
        assert!(!folder.path().join("metric").exists());
        assert_eq!(counters.with_label_values(&["recorded"]).get(), 3);
    }
}

#[test]
fn files_rotate_and_the_end_is_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let small = RecorderSettings {
        rotate_bytes: 100,
        max_bytes: 400,
        ..settings(folder.path())
    };
    let recorder = Recorder::start(&small, &counters()).unwrap().unwrap();
    let feed = recorder.feed("kafkamq.orders").unwrap();
    for number in 0..20 {
        feed.take(&point(number));
    }
    wait(|| recorder.feed("kafkamq.orders").is_none());
    let found = lines(&folder.path().join("logging"));
    let mut files: Vec<_> = found.iter().map(|(name, _)| name).collect();
    files.dedup();
    assert!(files.len() >= 4, "{files:?}");
    let bytes: usize = found.iter().map(|(_, line)| line.len() + 1).sum();
    assert!(bytes <= 400 && found.len() < 20);
    // What still holds the feed goes on without harm.
    feed.take(&point(21));
}

#[test]
fn it_ends_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let short = RecorderSettings {
        duration: Some(Duration::from_millis(1)),
        ..settings(folder.path())
    };
    let recorder = Recorder::start(&short, &counters()).unwrap().unwrap();
    wait(|| recorder.feed("kafkamq.orders").is_none());
}

#[test]
fn a_queue_that_is_full_drops_copies_and_waits_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let counters = counters();
    let recorder = Recorder::start(&settings(folder.path()), &counters)
        .unwrap()
        .unwrap();
    recorder
        .0
        .queued_bytes
        .fetch_add(QUEUE_BYTES, Ordering::AcqRel);
    let feed = recorder.feed("kafkamq.orders").unwrap();
    for number in 0..10 {
        feed.take(&point(number));
    }
    assert_eq!(counters.with_label_values(&["dropped"]).get(), 10);
    recorder
        .0
        .queued_bytes
        .fetch_sub(QUEUE_BYTES, Ordering::AcqRel);
    feed.take(&point(10));
    let logging = folder.path().join("logging");
    wait(|| lines(&logging).len() == 1);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_and_none_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(Recorder::start(&settings(&file), &counters()).is_err());
    let off = RecorderSettings {
        enabled: false,
        ..settings(folder.path())
    };
    assert!(Recorder::start(&off, &counters()).unwrap().is_none());
}
