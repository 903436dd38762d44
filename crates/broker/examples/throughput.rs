//! How much of a core the broker needs: produces and consumes records of 1 KiB through librdkafka in this process and
//! prints rates, and the CPU time of the broker's thread alone.
//!
//! `cargo run --profile ci -p kafkamq-broker --example throughput [RECORDS [RETENTION]]`
//!
//! Without a retention (bytes a partition) everything is kept, and getting that memory from the system is half of the
//! cost of producing. With one, only producing is measured, as most is gone before it could be consumed.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use kafkamq_broker::{Broker, BrokerOptions};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const PARTITIONS: i32 = 8;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|number| number.parse().unwrap());
    let records: u64 = arguments.next().unwrap_or(1_000_000) as u64;
    let retention_bytes: Option<usize> = arguments.next();
    let options = BrokerOptions {
        retention_bytes,
        ..BrokerOptions::default()
    };
    let broker = Broker::start(options).unwrap();
    broker.create_topic("bench", PARTITIONS).unwrap();
    let value: Vec<u8> = (0..1024).map(|at| b' ' + (at * 7 % 90) as u8).collect();

    report("produce", records, || {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap())
            .set("linger.ms", "20")
            .set("batch.size", "262144")
            .set("queue.buffering.max.messages", "200000")
            .create()
            .unwrap();
        for at in 0..records {
            let partition = (at % 8) as i32;
            let mut record = BaseRecord::<[u8], [u8]>::to("bench")
                .partition(partition)
                .payload(&value);
            while let Err((_, again)) = producer.send(record) {
                record = again;
                producer.poll(Duration::from_millis(1));
            }
            if at % 1000 == 0 {
                producer.poll(Duration::ZERO);
            }
        }
        producer.flush(Duration::from_secs(60)).unwrap();
    });

    if retention_bytes.is_some() {
        return;
    }
    report("consume", records, || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap())
            .set("group.id", "bench")
            .set("fetch.queue.backoff.ms", "2")
            .set("fetch.message.max.bytes", "262144")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset("bench", partition, Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut taken = 0;
        while taken < records {
            if let Some(Ok(_)) = consumer.poll(Duration::from_millis(100)) {
                taken += 1;
            }
        }
    });
}

fn report(what: &str, records: u64, work: impl FnOnce()) {
    let (cpu, start) = (broker_cpu(), Instant::now());
    work();
    let (cpu, wall) = (broker_cpu() - cpu, start.elapsed().as_secs_f64());
    let millions = records as f64 / 1e6;
    println!(
        "{what}: {:.0} records/s, broker {:.3} CPU s per million records",
        records as f64 / wall,
        cpu / millions
    );
}

/// CPU seconds of the broker's thread so far, in user and system mode.
fn broker_cpu() -> f64 {
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        if std::fs::read_to_string(path.join("comm")).unwrap().trim() == "embedded-broker" {
            let run = std::fs::read_to_string(path.join("schedstat")).unwrap();
            let nanoseconds: f64 = run.split(' ').next().unwrap().parse().unwrap();
            return nanoseconds / 1e9;
        }
    }
    f64::NAN
}
