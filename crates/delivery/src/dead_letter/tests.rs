//! The promises of the store, also after it was killed at any byte.

use std::fs;

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::endpoint::OffsetRange;
use kafkamq_record::TopicPartition;

fn letter(offset: i64) -> DeadLetter {
    DeadLetter {
        topic: "orders".to_owned(),
        offset,
        value: Some(Bytes::from(format!("value {offset}"))),
        stage: "delivery".to_owned(),
        reason: "400 Bad Request".to_owned(),
        time: 1000 + offset,
        ..DeadLetter::default()
    }
}

fn letters(offsets: Range<i64>) -> Vec<DeadLetter> {
    offsets.map(letter).collect()
}

fn open(directory: &TempDir) -> DeadLetterStore {
    open_with(directory, DeadLetterOptions::default())
}

fn open_with(directory: &TempDir, options: DeadLetterOptions) -> DeadLetterStore {
    DeadLetterStore::open(directory.path(), options).unwrap()
}

fn all(view: &View) -> Vec<DeadLetter> {
    let filter = Filter {
        include_replayed: true,
        ..Filter::default()
    };
    view.letters(filter)
        .map(|found| found.unwrap().letter)
        .collect()
}

fn numbers(store: &DeadLetterStore, filter: Filter) -> Vec<u64> {
    store
        .view()
        .letters(filter)
        .map(|found| found.unwrap().number)
        .collect()
}

fn files(directory: &TempDir, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    found.sort();
    found
}

#[test]
fn a_store_outlives_its_process() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    assert_eq!(store.append(&letters(0..3)).unwrap(), 1..4);
    assert_eq!(store.append(&[]).unwrap(), 4..4);
    drop(store);
    let store = open(&directory);
    assert_eq!(store.append(&letters(3..5)).unwrap(), 4..6);
    assert_eq!(all(&store.view()), letters(0..5));
    assert_eq!(all(&View::open(directory.path()).unwrap()), letters(0..5));
    assert_eq!(store.view().letter(4).unwrap().unwrap().letter, letter(3));
    assert_eq!(store.view().letter(6).unwrap(), None);
}

#[test]
fn two_writers_are_refused_and_readers_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.append(&letters(0..1)).unwrap();
    let second = DeadLetterStore::open(directory.path(), DeadLetterOptions::default());
    assert!(matches!(second, Err(DeadLetterError::Locked(_))));
    assert_eq!(View::open(directory.path()).unwrap().stats().letters, 1);
}

#[test]
fn segments_rotate_and_keep_an_index() {
    let directory = tempfile::tempdir().unwrap();
    let options = DeadLetterOptions {
        segment_bytes: 500,
        ..Default::default()
    };
    let store = open_with(&directory, options);
    for offset in 0..20 {
        store.append(&letters(offset..offset + 1)).unwrap();
    }
    let segments = files(&directory, "letters").len();
    assert!(segments > 2);
    assert_eq!(
        files(&directory, "index").len(),
        segments - 1,
        "all but the one in use"
    );
    let before = store.stats();
    drop(store);
    // A wrong index is not believed.
    fs::write(&files(&directory, "index")[0], b"nonsense").unwrap();
    let store = open_with(&directory, options);
    assert_eq!(store.stats(), before);
    assert_eq!((before.letters, before.topics["orders"]), (20, 20));
    assert_eq!(all(&store.view()), letters(0..20));
}

#[test]
fn a_full_store_refuses_and_has_room_again_after_replay() {
    let directory = tempfile::tempdir().unwrap();
    let options = DeadLetterOptions {
        segment_bytes: 300,
        limit_bytes: 1000,
    };
    let store = open_with(&directory, options);
    let mut stored = 0;
    let error = loop {
        match store.append(&letters(stored..stored + 1)) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, DeadLetterError::Full { limit: 1000, .. }),
        "{error}"
    );
    assert!(stored > 5);
    assert!(store.stats().bytes <= 1000);
    assert_eq!(
        all(&store.view()),
        letters(0..stored),
        "a refused letter leaves nothing behind"
    );
    store.mark_replayed(1..=stored.cast_unsigned()).unwrap();
    assert_eq!(store.stats().bytes, 0);
    assert_eq!(files(&directory, "letters").len(), 0);
    let numbers = store.append(&letters(0..1)).unwrap();
    assert_eq!(numbers.start, stored.cast_unsigned() + 1);
    drop(store);
    // Numbers go on even when all segments are gone.
    let store = open_with(&directory, options);
    store.mark_replayed([numbers.start]).unwrap();
    drop(store);
    let store = open_with(&directory, options);
    assert_eq!(store.append(&letters(0..1)).unwrap().start, numbers.end);
}

#[test]
fn one_letter_may_be_larger_than_a_segment() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(
        &directory,
        DeadLetterOptions {
            segment_bytes: 100,
            ..Default::default()
        },
    );
    let large = DeadLetter {
        value: Some(vec![7; 100_000].into()),
        ..letter(1)
    };
    store
        .append(&[letter(0), large.clone(), letter(2)])
        .unwrap();
    assert_eq!(all(&store.view()), [letter(0), large, letter(2)]);
}

#[test]
fn replayed_letters_are_listed_on_demand_only() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.append(&letters(0..6)).unwrap();
    store.mark_replayed([2, 3, 5, 99]).unwrap();
    assert_eq!(numbers(&store, Filter::default()), [1, 4, 6]);
    drop(store);
    let store = open(&directory);
    assert_eq!(numbers(&store, Filter::default()), [1, 4, 6]);
    assert_eq!(store.stats().pending, 3);
    assert!(store.view().letter(5).unwrap().unwrap().replayed);
    assert_eq!(all(&store.view()).len(), 6);
}

#[test]
fn filters_choose() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(
        &directory,
        DeadLetterOptions {
            segment_bytes: 200,
            ..Default::default()
        },
    );
    for offset in 0..10 {
        let other = DeadLetter {
            topic: "other".to_owned(),
            partition: 3,
            reason: "413 Payload Too Large".to_owned(),
            ..letter(offset)
        };
        store
            .append(&[if offset % 2 == 0 {
                letter(offset)
            } else {
                other
            }])
            .unwrap();
    }
    let text = |text: &str| Some(text.to_owned());
    let of = |filter| numbers(&store, filter);
    assert_eq!(
        of(Filter {
            topic: text("other"),
            ..Default::default()
        }),
        [2, 4, 6, 8, 10]
    );
    let offset = store.view().letters(Filter::default()).nth(2);
    let offset = offset.map(|third| third.unwrap().letter.offset);
    assert_eq!(
        of(Filter {
            offset,
            ..Default::default()
        }),
        [3]
    );
    assert_eq!(
        of(Filter {
            reason: text("too large"),
            after: Some(4),
            ..Default::default()
        }),
        [6, 8, 10]
    );
    assert_eq!(
        of(Filter {
            from: Some(1003),
            to: Some(1006),
            ..Default::default()
        }),
        [4, 5, 6]
    );
    assert_eq!(
        of(Filter {
            partition: Some(0),
            ..Default::default()
        }),
        [1, 3, 5, 7, 9]
    );
    assert_eq!(
        of(Filter {
            stage: text("script"),
            ..Default::default()
        }),
        [0_u64; 0]
    );
}

#[test]
fn a_store_killed_at_any_byte_keeps_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.append(&letters(0..3)).unwrap();
    let kept = store.stats().bytes as usize;
    store.append(&letters(3..6)).unwrap();
    drop(store);
    let path = files(&directory, "letters").remove(0);
    let whole = fs::read(&path).unwrap();
    for cut in kept..whole.len() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(
            directory.path().join(path.file_name().unwrap()),
            &whole[..cut],
        )
        .unwrap();
        let store = open(&directory);
        let found = all(&store.view());
        assert_eq!(found, letters(0..found.len() as i64), "cut at {cut}");
        assert!((3..6).contains(&found.len()), "cut at {cut}");
        assert_eq!(store.stats().damaged_bytes, 0);
        // The next letter follows without a gap, and is found again.
        let next = found.len() as u64 + 1;
        assert_eq!(store.append(&letters(9..10)).unwrap().start, next);
        drop(store);
        assert_eq!(all(&open(&directory).view()).last(), Some(&letter(9)));
    }
}

#[test]
fn a_power_cut_that_leaves_zeros_costs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.append(&letters(0..3)).unwrap();
    drop(store);
    let path = files(&directory, "letters").remove(0);
    let mut whole = fs::read(&path).unwrap();
    whole.resize(whole.len() + 70_000, 0);
    fs::write(&path, &whole).unwrap();
    let store = open(&directory);
    assert_eq!(all(&store.view()), letters(0..3));
    assert!(store.stats().bytes < 1000);
}

#[test]
fn a_damaged_spot_costs_only_what_it_hit() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.append(&letters(0..5)).unwrap();
    drop(store);
    let path = files(&directory, "letters").remove(0);
    assert_eq!(files(&directory, "index").len(), 0);
    let whole = fs::read(&path).unwrap();
    for spot in HEADER.len()..whole.len() {
        let mut hurt = whole.clone();
        hurt[spot] ^= 0x5a;
        fs::write(&path, &hurt).unwrap();
        let found = all(&View::open(directory.path()).unwrap());
        assert_eq!(found.len(), 4, "at {spot}");
        assert!(
            found.iter().all(|found| *found == letter(found.offset)),
            "at {spot}"
        );
    }
    // In the middle it is reported and stays; what follows is not cut off.
    let mut hurt = whole;
    hurt[HEADER.len() + 20] ^= 1;
    fs::write(&path, &hurt).unwrap();
    let store = open(&directory);
    assert_eq!(all(&store.view()), letters(1..5));
    assert!(store.stats().damaged_bytes > 20);
    assert_eq!(fs::read(&path).unwrap(), hurt);
}

#[test]
fn torn_marks_are_forgotten_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.append(&letters(0..4)).unwrap();
    store.mark_replayed([1]).unwrap();
    store.mark_replayed([3]).unwrap();
    drop(store);
    let path = directory.path().join("replayed.marks");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let store = open(&directory);
    assert_eq!(numbers(&store, Filter::default()), [2, 3, 4]);
    store.mark_replayed([4]).unwrap();
    drop(store);
    assert_eq!(numbers(&open(&directory), Filter::default()), [2, 3]);
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn any_part() -> impl Strategy<Value = LetterPart> {
    let range = ("[a-z.]{1,9}", any::<i32>(), any::<i64>(), any::<i64>());
    let range = range.prop_map(|(topic, partition, first, last)| OffsetRange {
        source: TopicPartition::new(topic, partition),
        first,
        last,
    });
    prop_oneof![
        Just(LetterPart::Record),
        (any::<u32>(), prop::option::of("[a-z/]{0,9}"))
            .prop_map(|(number, pointer)| LetterPart::Element { number, pointer }),
        (
            "[a-z]{0,9}",
            "[a-z]{1,9}",
            prop::collection::vec(range, 0..3)
        )
            .prop_map(|(destination, category, from)| LetterPart::Point {
                destination,
                category,
                from,
            }),
    ]
}

prop_compose! {
    fn any_letter()(
        (topic, partition, offset, timestamp) in ("[a-z.]{1,9}", any::<i32>(), any::<i64>(), any::<Option<i64>>()),
        key in prop::option::of(bytes()),
        value in prop::option::of(bytes()),
        headers in prop::collection::vec((bytes(), prop::option::of(bytes())), 0..4),
        (stage, reason, input) in ("[a-z]{0,5}", ".{0,20}", "[a-z]{0,5}"),
        (status, attempts, time) in (any::<Option<u16>>(), any::<u32>(), any::<i64>()),
        part in any_part(),
    ) -> DeadLetter {
        DeadLetter {
            topic, partition, offset, timestamp, key, value, headers, stage, reason, status,
            attempts, input, time, part,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn letters_come_back_byte_for_byte(
        batches in prop::collection::vec(prop::collection::vec(any_letter(), 0..5), 0..6),
        segment_bytes in 50..2000_u64,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let options = DeadLetterOptions { segment_bytes, ..Default::default() };
        let store = open_with(&directory, options);
        for batch in &batches {
            store.append(batch).unwrap();
        }
        let expected: Vec<DeadLetter> = batches.concat();
        prop_assert_eq!(&all(&store.view()), &expected);
        drop(store);
        prop_assert_eq!(&all(&open_with(&directory, options).view()), &expected);
    }

    #[test]
    fn marks_are_a_set(steps in prop::collection::vec(prop::collection::vec(1..60_u64, 1..8), 0..20)) {
        let directory = tempfile::tempdir().unwrap();
        let mut marks = Marks::open(directory.path()).unwrap();
        let mut model = std::collections::BTreeSet::new();
        for numbers in steps {
            model.extend(numbers.iter().copied());
            marks.add(directory.path(), numbers).unwrap();
        }
        for marks in [&marks, &Marks::open(directory.path()).unwrap()] {
            for number in 0..62 {
                prop_assert_eq!(marks.contains(number), model.contains(&number));
                let count = model.range(number..number + 7).count() as u64;
                prop_assert_eq!(marks.count(number..number + 7), count);
            }
            prop_assert_eq!(marks.end(), model.last().map_or(1, |last| last + 1));
        }
    }
}
