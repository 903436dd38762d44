//! Letters listed, shown and sent back, from a folder and from a topic.

use bytes::Bytes;
use kafkamq_broker::{Broker, BrokerOptions, Record};

use super::headers::REPLAY_HEADER;
use super::*;
use kafkamq_delivery::dead_letter::{DeadLetterOptions, DeadLetterStore, LetterPart};
use kafkamq_settings::{Sources, load};

struct Rig {
    broker: Broker,
    folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let broker = Broker::start(BrokerOptions::default()).unwrap();
        broker.create_topic("orders", 2).unwrap();
        Self {
            broker,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn letters(&self, dead_letter: &str) -> DeadLetters {
        let text = format!(
            "[dead_letter]\n{dead_letter}\n[[inputs.kafkamq]]\nname = \"shop\"\n\
             addrs = [\"{}\"]\ngroup_id = \"group\"\n\
             librdkafka = {{ \"message.timeout.ms\" = \"2000\" }}\n\
             [inputs.kafkamq.custom.log_topic_map]\norders = \"-\"\n",
            self.broker.bootstrap()
        );
        DeadLetters::of(&load(&Sources::new().text("test", text)).unwrap().settings)
    }

    fn in_files(&self) -> (DeadLetterStore, DeadLetters) {
        let options = DeadLetterOptions::default();
        let store = DeadLetterStore::open(self.folder.path(), options).unwrap();
        let path = self.folder.path().display();
        (store, self.letters(&format!("path = \"{path}\"")))
    }

    fn in_topic(&self, letters: &[DeadLetter]) -> DeadLetters {
        self.broker.create_topic("orders.dlq", 1).unwrap();
        let records: Vec<Record> = letters
            .iter()
            .map(|letter| Record {
                timestamp: letter.time,
                key: letter.key.clone(),
                value: letter.value.clone(),
                headers: headers::encode(letter),
                ..Default::default()
            })
            .collect();
        self.broker
            .append_records("orders.dlq", 0, &records)
            .unwrap();
        self.letters("kind = \"kafka\"\ntopic = \"{topic}.dlq\"")
    }

    fn returned(&self, partition: i32) -> Vec<Record> {
        self.broker.records("orders", partition).unwrap()
    }
}

fn letter(offset: i64) -> DeadLetter {
    DeadLetter {
        topic: "orders".to_owned(),
        partition: 1,
        offset,
        timestamp: Some(1_700_000_000_123),
        key: Some(Bytes::from_static(b"\xff key")),
        value: Some(Bytes::from(vec![0, 159, 146, 150])),
        headers: vec![
            (Bytes::from("trace"), Some(Bytes::from("1"))),
            (Bytes::from("trace"), None),
            (Bytes::from("empty"), Some(Bytes::new())),
        ],
        stage: "deliver".to_owned(),
        reason: "400 Bad Request".to_owned(),
        status: Some(400),
        attempts: 2,
        input: "shop".to_owned(),
        time: 1_800_000_000_000 + offset,
        part: LetterPart::Record,
    }
}

/// Differs in all that may be absent.
fn bare(offset: i64) -> DeadLetter {
    DeadLetter {
        timestamp: None,
        key: None,
        value: None,
        headers: Vec::new(),
        status: None,
        ..letter(offset)
    }
}

fn all() -> Replay {
    Replay::default()
}

fn run(letters: &DeadLetters, replay: &Replay) -> ReplayReport {
    letters.replay(replay, |_| {}).unwrap()
}

fn ids(letters: &DeadLetters, filter: &Filter) -> Vec<String> {
    let page = letters.list(filter, None, usize::MAX).unwrap();
    page.entries.iter().map(|e| e.id.to_string()).collect()
}

/// What holds of letters wherever they are kept: `first` and `second` are their ids.
fn is_sent_back_once_and_untouched(rig: &Rig, letters: &DeadLetters, first: &str, second: &str) {
    assert_eq!(ids(letters, &Filter::default()), [first, second]);
    let entry = letters.get(&first.parse().unwrap()).unwrap().unwrap();
    assert_eq!((entry.letter, entry.replayed), (letter(7), false));
    let entry = letters.get(&second.parse().unwrap()).unwrap().unwrap();
    assert_eq!(entry.letter, bare(8));

    let dry = Replay {
        dry_run: true,
        ..all()
    };
    assert_eq!(run(letters, &dry).replayed, 2);
    assert!(rig.returned(1).is_empty());

    let one = Replay {
        ids: Some(vec![first.parse().unwrap()]),
        ..all()
    };
    assert_eq!(run(letters, &one).replayed, 1);
    let records = rig.returned(1);
    assert_eq!(records.len(), 1);
    let record = &records[0];
    let original = letter(7);
    assert_eq!(
        (&record.key, &record.value),
        (&original.key, &original.value)
    );
    assert_eq!(Some(record.timestamp), original.timestamp);
    let headers: Vec<_> = record
        .headers
        .iter()
        .map(|(name, value)| (Bytes::from(name.to_string()), value.clone()))
        .collect();
    assert_eq!(headers[..3], original.headers);
    let mark = (Bytes::from(REPLAY_HEADER), Some(Bytes::from("1")));
    assert_eq!(headers[3..], [mark]);

    let again = run(letters, &one);
    assert_eq!((again.replayed, again.skipped), (0, 1));
    assert_eq!(ids(letters, &Filter::default()), [second]);
    assert_eq!(run(letters, &all()).replayed, 1);
    assert_eq!(run(letters, &all()), ReplayReport::default());
    let records = rig.returned(1);
    assert_eq!(records.len(), 2);
    assert_eq!((&records[1].key, &records[1].value), (&None, &None));
}

#[test]
fn letters_in_a_folder_return_while_the_service_writes_to_it() {
    let rig = Rig::new();
    let (store, letters) = rig.in_files();
    store.append(&[letter(7), bare(8)]).unwrap();
    is_sent_back_once_and_untouched(&rig, &letters, "1", "2");
    // Its own marks and those of others come together, and the room is given back.
    store.append(&[letter(9)]).unwrap();
    store.mark_replayed([3]).unwrap();
    assert_eq!(store.stats().letters, 0);
    assert!(ids(&letters, &Filter::default()).is_empty());
}

#[test]
fn letters_in_a_topic_return() {
    let rig = Rig::new();
    let letters = rig.in_topic(&[letter(7), bare(8)]);
    let (first, second) = ("orders.dlq/0/0", "orders.dlq/0/1");
    is_sent_back_once_and_untouched(&rig, &letters, first, second);
    let again = Replay {
        again: true,
        ..all()
    };
    assert_eq!(run(&letters, &again).replayed, 2, "marks are not letters");
    let replayed = Filter {
        include_replayed: true,
        ..Filter::default()
    };
    assert_eq!(ids(&letters, &replayed), [first, second]);
    assert!(
        letters
            .get(&first.parse().unwrap())
            .unwrap()
            .unwrap()
            .replayed
    );
    assert_eq!(
        letters.get(&"orders.dlq/0/2".parse().unwrap()).unwrap(),
        None
    );
    assert_eq!(
        letters.get(&"orders.dlq/9/0".parse().unwrap()).unwrap(),
        None
    );
    assert_eq!(letters.get(&"other/0/0".parse().unwrap()).unwrap(), None);
}

#[test]
fn pages_follow_each_other_and_filters_hold() {
    let rig = Rig::new();
    let many: Vec<_> = (0..5).map(letter).collect();
    let (store, files) = rig.in_files();
    store.append(&many).unwrap();
    for letters in [files, rig.in_topic(&many)] {
        let mut offsets = Vec::new();
        let mut after = None;
        loop {
            let page = letters.list(&Filter::default(), after.as_ref(), 2).unwrap();
            offsets.extend(page.entries.iter().map(|entry| entry.offset));
            after = page.entries.last().map(|entry| entry.id.parse().unwrap());
            if !page.more {
                break;
            }
        }
        assert_eq!(offsets, [0, 1, 2, 3, 4]);
        let late = Filter {
            from: Some(1_800_000_000_003),
            reason: Some("bad request".to_owned()),
            ..Filter::default()
        };
        assert_eq!(ids(&letters, &late).len(), 2);
        // A filter holds for ids, too.
        let narrowed = Replay {
            ids: Some(vec![
                letters.list(&Filter::default(), None, 1).unwrap().entries[0]
                    .id
                    .parse()
                    .unwrap(),
            ]),
            filter: late.clone(),
            ..all()
        };
        let report = run(&letters, &narrowed);
        assert_eq!((report.replayed, report.skipped), (0, 1));
        let selected = Replay {
            filter: late.clone(),
            ..all()
        };
        assert_eq!(run(&letters, &selected).replayed, 2);
        assert!(ids(&letters, &late).is_empty());
        assert_eq!(ids(&letters, &Filter::default()).len(), 3);
    }
}

#[test]
fn what_cannot_return_stays_and_is_named() {
    let rig = Rig::new();
    let (store, letters) = rig.in_files();
    let stray = DeadLetter {
        input: "gone".to_owned(),
        ..letter(1)
    };
    let nowhere = DeadLetter {
        partition: 77,
        ..letter(2)
    };
    store.append(&[stray, nowhere, letter(3)]).unwrap();
    let report = run(&letters, &all());
    assert_eq!((report.replayed, report.failed), (1, 2));
    assert!(!report.is_complete());
    assert_eq!(
        report.failures[0],
        ("1".to_owned(), "no input is called `gone`".to_owned())
    );
    assert_eq!(report.failures[1].0, "2");
    assert_eq!(ids(&letters, &Filter::default()), ["1", "2"]);
    let missing = Replay {
        ids: Some(vec![LetterId::Number(99)]),
        ..all()
    };
    assert_eq!(run(&letters, &missing).missing, ["99"]);
    let wrong = Replay {
        ids: Some(vec!["a/0/1".parse().unwrap()]),
        ..all()
    };
    let error = letters.replay(&wrong, |_| {}).unwrap_err();
    assert!(matches!(error, DeadLettersError::WrongId(..)), "{error}");
}

#[test]
fn a_forged_letter_returns_to_no_topic_that_its_input_does_not_read() {
    let rig = Rig::new();
    rig.broker.create_topic("payments", 2).unwrap();
    let forged = DeadLetter {
        topic: "payments".to_owned(),
        ..letter(1)
    };
    let letters = rig.in_topic(&[forged, letter(2)]);
    let report = run(&letters, &all());
    assert_eq!((report.replayed, report.failed), (1, 1));
    assert_eq!(
        report.failures[0].1,
        "input `shop` does not read the topic `payments`"
    );
    assert_eq!(rig.broker.records("payments", 1).unwrap().len(), 0);
    assert_eq!(rig.returned(1).len(), 1);
}

#[test]
fn brokers_that_are_away_end_a_replay_and_nothing_is_marked() {
    let rig = Rig::new();
    let (store, letters) = rig.in_files();
    store.append(&[letter(1), letter(2)]).unwrap();
    rig.broker.go_down().unwrap();
    let report = run(&letters, &all());
    assert_eq!((report.replayed, report.failed), (0, 2));
    assert!(report.stopped.is_some());
    rig.broker.come_up().unwrap();
    assert_eq!(run(&letters, &all()).replayed, 2);
}

#[test]
fn one_replay_of_a_folder_runs_at_a_time() {
    let rig = Rig::new();
    let (store, letters) = rig.in_files();
    store.append(&[letter(1)]).unwrap();
    let held = letters.lock().unwrap();
    let error = letters.replay(&all(), |_| {}).unwrap_err();
    assert!(matches!(error, DeadLettersError::Busy(_)), "{error}");
    drop(held);
    assert_eq!(run(&letters, &all()).replayed, 1);
}

#[test]
fn an_empty_list_is_not_an_error_but_a_missing_store_is() {
    let rig = Rig::new();
    let folder = rig.folder.path().join("none");
    let letters = rig.letters(&format!("path = \"{}\"", folder.display()));
    assert_eq!(run(&letters, &all()), ReplayReport::default());
    assert!(ids(&letters, &Filter::default()).is_empty());
    assert_eq!(letters.get(&LetterId::Number(1)).unwrap(), None);
    assert!(!folder.exists(), "looking at it creates nothing");
    let topics = rig.letters("kind = \"kafka\"\ntopic = \"nowhere\"");
    assert!(ids(&topics, &Filter::default()).is_empty());
    let none = rig.letters("kind = \"none\"");
    let error = none.list(&Filter::default(), None, 1).unwrap_err();
    assert!(matches!(error, DeadLettersError::NotKept));
}

#[test]
fn a_letter_that_was_a_letter_keeps_its_old_story_apart() {
    let mut twice = letter(7);
    twice.headers = headers::encode(&letter(3))
        .into_iter()
        .map(|(name, value)| (Bytes::from(name), value))
        .collect();
    let record = crate::kafka::StoredRecord {
        offset: 0,
        timestamp: Some(twice.time),
        key: twice.key.clone(),
        value: twice.value.clone(),
        headers: headers::encode(&twice),
    };
    assert_eq!(headers::decode(record), Some(twice.clone()));
    let returns = (Bytes::from(REPLAY_HEADER), Some(Bytes::from("3")));
    twice.headers.insert(0, returns);
    let back = headers::returning(&twice);
    let expected = (REPLAY_HEADER.to_owned(), Some(Bytes::from("4")));
    assert_eq!(back.last(), Some(&expected));
    assert_eq!(back.len(), twice.headers.len());
}

#[test]
fn letters_are_shown_as_json() {
    let entry = Entry {
        id: LetterId::Number(4),
        replayed: false,
        letter: letter(7),
    };
    insta::assert_json_snapshot!(LetterDetail::from(&entry), @r#"
    {
      "id": "4",
      "time": "2027-01-15T08:00:00.007Z",
      "topic": "orders",
      "partition": 1,
      "offset": 7,
      "timestamp": "2023-11-14T22:13:20.123Z",
      "stage": "deliver",
      "reason": "400 Bad Request",
      "status": 400,
      "attempts": 2,
      "input": "shop",
      "value_bytes": 4,
      "replayed": false,
      "part": "record",
      "key": {
        "base64": "/yBrZXk="
      },
      "value": {
        "base64": "AJ+Slg=="
      },
      "headers": [
        {
          "name": "trace",
          "value": {
            "text": "1"
          }
        },
        {
          "name": "trace",
          "value": null
        },
        {
          "name": "empty",
          "value": {
            "text": ""
          }
        }
      ]
    }
    "#);
}
