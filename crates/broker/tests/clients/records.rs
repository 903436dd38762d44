//! Producing and consuming without a group.

use std::sync::mpsc;
use std::time::Duration;

use kafkamq_broker::{ApiKey, Broker, BrokerOptions, Fault, Record};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message, Offset, Timestamp, TopicPartitionList};

use crate::support::*;

/// Reads one partition from an offset, without a group.
fn reader(broker: &Broker, topic: &str, partition: i32, offset: Offset) -> BaseConsumer {
    reader_with(broker, topic, partition, offset, &[])
}

fn reader_with(
    broker: &Broker,
    topic: &str,
    partition: i32,
    offset: Offset,
    settings: &[(&str, &str)],
) -> BaseConsumer {
    let mut config = config(
        broker,
        &[("group.id", "reader"), ("enable.auto.commit", "false")],
    );
    for (key, value) in settings {
        config.set(*key, *value);
    }
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, offset).unwrap();
    consumer.assign(&list).unwrap();
    consumer
}

#[test]
fn every_codec_comes_back_as_it_went_in() {
    let broker = broker();
    let values: Vec<String> = (0..500)
        .map(|at| format!("value {at} {}", "repeated ".repeat(at % 40)))
        .collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer = producer(
            &broker,
            &[("compression.codec", codec), ("linger.ms", "20")],
        );
        produce(&producer, codec, 0, &values);
        let consumer = reader_with(
            &broker,
            codec,
            0,
            Offset::Beginning,
            &[("check.crcs", "true")],
        );
        let read: Vec<String> = take(&consumer, 500).iter().map(text).collect();
        assert_eq!(read, values, "{codec}");
        let stored = broker.records(codec, 0).unwrap();
        let stored: Vec<&[u8]> = stored
            .iter()
            .map(|r| &**r.value.as_ref().unwrap())
            .collect();
        assert_eq!(
            stored,
            values.iter().map(String::as_bytes).collect::<Vec<_>>(),
            "{codec}"
        );
        let plain: usize = values.iter().map(String::len).sum();
        assert_eq!(
            broker.log_bytes(codec, 0).unwrap() < plain / 2,
            codec != "none",
            "{codec}"
        );
    }
}

#[test]
fn keys_headers_null_and_empty_values_survive() {
    let broker = broker();
    let producer = producer(&broker, &[]);
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: "a",
            value: Some("1"),
        })
        .insert(Header {
            key: "a",
            value: Some("2"),
        })
        .insert(Header {
            key: "none",
            value: None::<&str>,
        });
    let record = BaseRecord::to("t")
        .partition(1)
        .key("k")
        .payload("v")
        .timestamp(1_700_000_000_123);
    producer
        .send(record.headers(headers))
        .map_err(|(e, _)| e)
        .unwrap();
    let tombstone = BaseRecord::<str, str>::to("t").partition(1).key("gone");
    producer.send(tombstone).map_err(|(e, _)| e).unwrap();
    let empty = BaseRecord::<str, str>::to("t").partition(1).payload("");
    producer.send(empty).map_err(|(e, _)| e).unwrap();
    producer.flush(LIMIT).unwrap();

    let consumer = reader(&broker, "t", 1, Offset::Beginning);
    let read = take(&consumer, 3);
    assert_eq!(read[0].key(), Some(&b"k"[..]));
    assert_eq!(
        read[0].timestamp(),
        Timestamp::CreateTime(1_700_000_000_123)
    );
    let headers = read[0].headers().unwrap();
    let headers: Vec<_> = headers.iter().map(|h| (h.key, h.value)).collect();
    assert_eq!(
        headers,
        [("a", Some(&b"1"[..])), ("a", Some(b"2")), ("none", None)]
    );
    assert_eq!(
        (read[1].key(), read[1].payload()),
        (Some(&b"gone"[..]), None)
    );
    assert_eq!((read[2].key(), read[2].payload()), (None, Some(&b""[..])));

    let stored = broker.records("t", 1).unwrap();
    let names: Vec<_> = stored[0]
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["a", "a", "none"]);
    assert_eq!(
        (stored[1].value.clone(), stored[2].value.clone()),
        (None, Some("".into()))
    );
}

#[test]
fn records_put_in_without_a_client_are_consumed() {
    let broker = broker();
    broker.create_topic("t", 2).unwrap();
    let header = [("h", Some(&b"x"[..])), ("n", None)];
    assert_eq!(
        broker
            .append("t", 1, Some(b"k"), Some(b"v"), &header, 5)
            .unwrap(),
        0
    );
    let more = vec![
        Record {
            value: Some("w".into()),
            timestamp: 3,
            ..Record::default()
        };
        3
    ];
    assert_eq!(broker.append_records("t", 1, &more).unwrap(), 1);
    assert_eq!(
        (broker.log_start("t", 1), broker.high_watermark("t", 1)),
        (Some(0), Some(4))
    );
    let consumer = reader_with(
        &broker,
        "t",
        1,
        Offset::Offset(0),
        &[("check.crcs", "true")],
    );
    let read = take(&consumer, 4);
    assert_eq!(
        read.iter().map(Message::offset).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    assert_eq!(
        read[0].headers().unwrap().get(1),
        Header {
            key: "n",
            value: None
        }
    );
    assert_eq!(read[3].timestamp(), Timestamp::CreateTime(3));
    assert!(broker.append("t", 2, None, None, &[], 0).is_err());
}

#[test]
fn reading_starts_inside_a_batch() {
    let broker = broker();
    produce(
        &producer(&broker, &[("linger.ms", "100")]),
        "t",
        0,
        &values("v", 100),
    );
    let consumer = reader(&broker, "t", 0, Offset::Offset(57));
    assert_eq!(text(&take(&consumer, 1)[0]), "v-57");
}

#[test]
fn a_record_produced_during_a_wait_is_delivered_by_that_fetch() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    // A wait that outlasts the test: only a fetch that is answered early can deliver.
    let settings = [
        ("fetch.wait.max.ms", "300000"),
        ("socket.timeout.ms", "300000"),
    ];
    let consumer = reader_with(&broker, "t", 0, Offset::Beginning, &settings);
    poll_until(&[&consumer], || broker.requests(ApiKey::Fetch) == 1);
    broker.append("t", 0, None, Some(b"now"), &[], 0).unwrap();
    assert_eq!(text(&take(&consumer, 1)[0]), "now");
    poll_until(&[&consumer], || broker.requests(ApiKey::Fetch) == 2);
    produce(&producer(&broker, &[]), "t", 0, &values("v", 1));
    assert_eq!(text(&take(&consumer, 1)[0]), "v-0");
}

#[test]
fn a_fetch_waits_for_the_bytes_it_asks_for() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let settings = [
        ("fetch.wait.max.ms", "300000"),
        ("socket.timeout.ms", "300000"),
        ("fetch.min.bytes", "1000"),
    ];
    let consumer = reader_with(&broker, "t", 0, Offset::Beginning, &settings);
    poll_until(&[&consumer], || broker.requests(ApiKey::Fetch) == 1);
    for _ in 0..3 {
        broker
            .append("t", 0, None, Some(&[1; 400]), &[], 0)
            .unwrap();
    }
    take(&consumer, 3);
    assert_eq!(
        consumer.position().unwrap().elements()[0].offset(),
        Offset::Offset(3)
    );
}

#[test]
fn a_record_above_every_fetch_limit_gets_through() {
    let broker = broker();
    let big = "x".repeat(5_000_000);
    let producer = producer(&broker, &[("message.max.bytes", "10000000")]);
    produce(&producer, "t", 0, &[big.clone(), "small".to_owned()]);
    let settings = [
        ("fetch.message.max.bytes", "1000"),
        ("fetch.max.bytes", "1000"),
        ("message.max.bytes", "1000"),
    ];
    let consumer = reader_with(&broker, "t", 0, Offset::Beginning, &settings);
    let read = take(&consumer, 2);
    assert_eq!(
        (text(&read[0]).len(), text(&read[1])),
        (big.len(), "small".to_owned())
    );
}

#[test]
fn a_batch_above_the_limit_is_refused() {
    let options = BrokerOptions {
        max_batch_bytes: 2000,
        ..BrokerOptions::default()
    };
    let broker = Broker::start(options).unwrap();
    broker.create_topic("t", 1).unwrap();
    let (sender, receiver) = mpsc::channel();
    struct Reports(std::sync::Mutex<mpsc::Sender<Option<RDKafkaErrorCode>>>);
    impl rdkafka::ClientContext for Reports {}
    impl rdkafka::producer::ProducerContext for Reports {
        type DeliveryOpaque = ();
        fn delivery(&self, result: &rdkafka::message::DeliveryResult<'_>, (): ()) {
            let code = result
                .as_ref()
                .err()
                .and_then(|(error, _)| error.rdkafka_error_code());
            self.0.lock().unwrap().send(code).unwrap();
        }
    }
    let context = Reports(std::sync::Mutex::new(sender));
    let producer: rdkafka::producer::BaseProducer<Reports> =
        config(&broker, &[]).create_with_context(context).unwrap();
    for size in [3000, 100] {
        let value = vec![1; size];
        let record = BaseRecord::<str, [u8]>::to("t")
            .partition(0)
            .payload(&value);
        producer.send(record).map_err(|(e, _)| e).unwrap();
        producer.flush(LIMIT).unwrap();
    }
    let too_large = Some(RDKafkaErrorCode::MessageSizeTooLarge);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [too_large, None]);
    assert_eq!(broker.high_watermark("t", 0), Some(1));
}

#[test]
fn an_offset_out_of_range_is_told_and_reset() {
    let broker = broker();
    produce(&producer(&broker, &[]), "t", 0, &values("v", 10));
    assert_eq!(broker.truncate("t", 0, 6).unwrap(), 6);
    assert_eq!(broker.records("t", 0).unwrap()[0].offset, 6);
    let failing = reader_with(
        &broker,
        "t",
        0,
        Offset::Offset(2),
        &[("auto.offset.reset", "error")],
    );
    let mut failed = false;
    poll_until(&[], || {
        if let Some(Err(KafkaError::MessageConsumption(code))) =
            failing.poll(Duration::from_millis(20))
        {
            failed = code == RDKafkaErrorCode::AutoOffsetReset;
        }
        failed
    });
    let settings = [("auto.offset.reset", "earliest")];
    let resetting = reader_with(&broker, "t", 0, Offset::Offset(2), &settings);
    assert_eq!(text(&take(&resetting, 1)[0]), "v-6");
}

#[test]
fn offsets_are_found_by_time_and_at_both_ends() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    for times in [[1000, 2000, 3000], [4000, 5000, 6000]] {
        let records = times.map(|timestamp| Record {
            timestamp,
            ..Record::default()
        });
        broker.append_records("t", 0, &records).unwrap();
    }
    let consumer = reader(&broker, "t", 0, Offset::Beginning);
    broker.truncate("t", 0, 1).unwrap();
    assert_eq!(consumer.fetch_watermarks("t", 0, LIMIT).unwrap(), (1, 6));
    let at = |time| {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 0, Offset::Offset(time))
            .unwrap();
        consumer.offsets_for_times(list, LIMIT).unwrap().elements()[0].offset()
    };
    assert_eq!(at(0), Offset::Offset(1));
    assert_eq!(at(4500), Offset::Offset(4));
    assert_eq!(at(6000), Offset::Offset(5));
    assert_eq!(at(6001), Offset::End);
}

#[test]
fn an_idempotent_producer_writes_once_though_answers_are_lost() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let settings = [
        ("enable.idempotence", "true"),
        ("retry.backoff.ms", "10"),
        ("linger.ms", "1"),
    ];
    let producer = producer(&broker, &settings);
    produce(&producer, "t", 0, &values("a", 10));
    broker.inject(ApiKey::Produce, Fault::LoseResponse, 3);
    produce(&producer, "t", 0, &values("b", 50));
    let stored = broker.records("t", 0).unwrap();
    let stored: Vec<_> = stored
        .into_iter()
        .map(|r| String::from_utf8(r.value.unwrap().to_vec()).unwrap())
        .collect();
    assert_eq!(stored, [values("a", 10), values("b", 50)].concat());
    assert!(broker.requests(ApiKey::Produce) >= 5);
}

#[test]
fn a_producer_without_acknowledgements_is_served() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let producer = producer(&broker, &[("acks", "0")]);
    produce(&producer, "t", 0, &values("v", 100));
    let all = || (broker.high_watermark("t", 0) == Some(100)).then_some(());
    assert!(broker.wait(LIMIT, all).is_some());
}

#[test]
fn topics_are_managed_through_the_admin_api() {
    let options = BrokerOptions {
        auto_create_topics: false,
        ..BrokerOptions::default()
    };
    let broker = Broker::start(options).unwrap();
    let admin: AdminClient<DefaultClientContext> = config(&broker, &[]).create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let new = |name, partitions| NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let created = runtime.block_on(admin.create_topics(&[new("a", 3), new("b/", 1)], &options));
    let created = created.unwrap();
    assert_eq!(created[0], Ok("a".to_owned()));
    assert_eq!(
        created[1].as_ref().unwrap_err().1,
        RDKafkaErrorCode::InvalidTopic
    );
    assert_eq!(broker.partitions("a"), Some(3));
    runtime
        .block_on(admin.create_partitions(&[NewPartitions::new("a", 5)], &options))
        .unwrap();
    let metadata = admin.inner().fetch_metadata(None, LIMIT).unwrap();
    assert_eq!(
        (
            metadata.topics()[0].name(),
            metadata.topics()[0].partitions().len()
        ),
        ("a", 5)
    );
    let mut list = TopicPartitionList::new();
    broker
        .append_records("a", 0, &vec![Record::default(); 4])
        .unwrap();
    list.add_partition_offset("a", 0, Offset::Offset(3))
        .unwrap();
    runtime
        .block_on(admin.delete_records(&list, &options))
        .unwrap();
    assert_eq!(broker.log_start("a", 0), Some(3));
    runtime
        .block_on(admin.delete_topics(&["a"], &options))
        .unwrap();
    assert_eq!(broker.topics(), [""; 0]);
}

#[test]
fn retention_bounds_what_a_partition_holds() {
    let options = BrokerOptions {
        retention_bytes: Some(50_000),
        ..BrokerOptions::default()
    };
    let broker = Broker::start(options).unwrap();
    let producer = producer(&broker, &[("batch.size", "5000")]);
    produce(&producer, "t", 0, &vec!["x".repeat(1000); 500]);
    assert!(broker.log_bytes("t", 0).unwrap() <= 50_000);
    assert_eq!(broker.high_watermark("t", 0), Some(500));
    let start = broker.log_start("t", 0).unwrap();
    assert_eq!(broker.records("t", 0).unwrap().len() as i64, 500 - start);
    assert!(start > 440);
}
