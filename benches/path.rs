//! Speed of a record's path outside the scripts, on one core: copied out of a fetch, split, and made
//! into requests.
//!
//! The client library cannot make a message without a broker, so the copy begins at slices that lie
//! as messages do in a fetch buffer; taking messages from the library and destroying them is measured
//! by `kafkamq bench --case settle` against its bare loop.

#![expect(clippy::unwrap_used, reason = "a bench may stop at a fault")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::HeaderValue;
use kafkamq_address::Compression;
use kafkamq_conversion::{Elements, encode_for_handle, slices};
use kafkamq_delivery::endpoint::{
    Endpoint, EndpointOptions, Framing, OffsetRange, idempotency_key,
};
use kafkamq_delivery::http::{Post, RequestBody};
use kafkamq_delivery::lanes::Item;
use kafkamq_memory::Account;
use kafkamq_record::{RecordBatch, RecordBatchBuilder, TopicPartition};
use kafkamq_settings::{HandleContent, SplitFormat};

const RECORD_BYTES: usize = 1024;
const BATCH: usize = 1000;
/// What stands between two values in a fetch: offsets, lengths, the count of headers.
const GAP_BYTES: usize = 12;

/// Values as they lie in a fetch buffer.
fn fetch() -> Vec<u8> {
    let bytes = b"the quick brown fox jumps over the lazy dog, again and ".iter();
    let bytes = bytes.copied().cycle();
    bytes.take(BATCH * (RECORD_BYTES + GAP_BYTES)).collect()
}

fn copied(source: &TopicPartition, fetch: &[u8], headers: &[(&str, &str)]) -> RecordBatch {
    let mut builder =
        RecordBatchBuilder::with_capacity(source.clone(), BATCH, BATCH * RECORD_BYTES);
    for (offset, value) in (0..).zip(fetch.chunks_exact(RECORD_BYTES + GAP_BYTES)) {
        let value = value.get(..RECORD_BYTES);
        builder.push(offset, 1_700_000_000_000, Some(b"key-17"), value);
        for (name, value) in headers {
            builder.push_header(name.as_bytes(), Some(value.as_bytes()));
        }
    }
    builder.build()
}

fn copy(criterion: &mut Criterion) {
    let (source, fetch) = (TopicPartition::new("logs", 3), fetch());
    let mut group = criterion.benchmark_group("copy");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("1000 records of 1 KiB", |bencher| {
        bencher.iter(|| copied(&source, black_box(&fetch), &[]));
    });
    let headers = [
        ("trace", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("tenant", "blue"),
    ];
    group.bench_function("1000 records of 1 KiB with 2 headers", |bencher| {
        bencher.iter(|| copied(&source, black_box(&fetch), &headers));
    });
}

fn splitting(criterion: &mut Criterion) {
    let elements: Vec<_> = (0..100)
        .map(|n| {
            format!(r#"{{"level":"info","service":"cart","took":{n},"text":"item added \"{n}\""}}"#)
        })
        .collect();
    let array = format!("[{}]", elements.join(","));
    let nested = format!(r#"{{"meta":{{"host":"web-17"}},"data":{{"records":{array}}}}}"#);
    let lines = elements.join("\n");
    let at = |pointer: &str| SplitFormat::JsonArray {
        pointer: pointer.into(),
    };
    let mut group = criterion.benchmark_group("split");
    for (name, text, format) in [
        ("array of 100", &array, at("")),
        ("array of 100 at a pointer", &nested, at("/data/records")),
        ("100 lines", &lines, SplitFormat::NdJson),
    ] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let value = black_box(text.as_bytes());
                Elements::of(value, &format).unwrap().all(value).count()
            });
        });
    }
}

/// What a parser makes of the first hundred records for a handle.
fn handle_items(batch: &RecordBatch) -> Vec<Item> {
    let mut buffer = Vec::with_capacity(batch.bytes() / 3 * 4 / 10 + 100 * 64);
    let mut ends = Vec::with_capacity(100);
    for (index, record) in (0..100).zip(batch.iter()) {
        encode_for_handle(&record, "\"logs\"", HandleContent::Batch, &mut buffer);
        ends.push((index, buffer.len()));
    }
    slices(
        buffer,
        ends.into_iter(),
        &Account::root("bench", usize::MAX),
    )
}

fn endpoint(options: EndpointOptions) -> Arc<Endpoint> {
    let endpoint = Endpoint::try_new(EndpointOptions {
        url: "http://collector.example:9529/v1/write/logging?precision=ns".to_owned(),
        idempotency_header: Some("Idempotency-Key".to_owned()),
        ..options
    });
    Arc::new(endpoint.unwrap())
}

fn ranges(items: &[Item]) -> Vec<OffsetRange> {
    vec![OffsetRange {
        source: TopicPartition::new("logs", 3),
        first: 0,
        last: items.len() as i64,
    }]
}

fn requests(criterion: &mut Criterion) {
    let batch = copied(&TopicPartition::new("logs", 3), &fetch(), &[]);
    let agent = HeaderValue::from_static("kafkamq");
    let mut group = criterion.benchmark_group("request");

    group.throughput(Throughput::Elements(100));
    group.bench_function("handle: 100 records to base64 items", |bencher| {
        bencher.iter(|| handle_items(black_box(&batch)));
    });
    let items: Arc<[Item]> = handle_items(&batch).into();
    group.bench_function("handle: idempotency key of 100 items", |bencher| {
        let (ranges, body) = (
            ranges(&items),
            RequestBody::frame(&Framing::json_array(), &items),
        );
        bencher.iter(|| idempotency_key(&ranges, black_box(&body).pieces()));
    });
    group.bench_function("handle: body of 100 items", |bencher| {
        let framing = Framing::json_array();
        bencher
            .iter(|| RequestBody::frame(&framing, black_box(&items)).compressed(Compression::None));
    });

    group.throughput(Throughput::Elements(1));
    let forward = endpoint(EndpointOptions {
        content_type: Some("application/x-protobuf".to_owned()),
        headers: vec![("X-Tenant".to_owned(), "blue".to_owned())],
        ..EndpointOptions::default()
    });
    let item = Item {
        record: 0,
        body: batch
            .get(0)
            .and_then(|record| record.value_bytes())
            .unwrap(),
    };
    let one: Arc<[Item]> = Arc::new([item]);
    group.bench_function("forward: one record with its headers and key", |bencher| {
        bencher.iter(|| {
            let post = Post {
                endpoint: Arc::clone(&forward),
                items: Arc::clone(&one),
                ranges: ranges(&one),
            };
            post.into_request(&agent).unwrap()
        });
    });

    // 1000 points of a log in line protocol.
    let points: Vec<Item> = (0..1000)
        .map(|n| Item {
            record: n,
            body: format!(
                "nginx,host=web-{},service=cart message=\"GET /index/{n} HTTP/1.1\",status=20{}i,took={}.5 17000000000{n:05}000",
                n % 40, n % 7, n % 90
            )
            .into(),
        })
        .collect();
    let bytes: usize = points.iter().map(|item| item.body.len()).sum();
    group.throughput(Throughput::Bytes(bytes as u64));
    for (name, compression) in [
        ("plain", Compression::None),
        ("gzip", Compression::Gzip),
        ("zstd", Compression::Zstd),
    ] {
        group.bench_function(format!("output: body of 1000 points, {name}"), |bencher| {
            let framing = Framing {
                separator: b"\n".as_slice().into(),
                ..Framing::none()
            };
            bencher
                .iter(|| RequestBody::frame(&framing, black_box(&points)).compressed(compression));
        });
    }
}

criterion_group!(path, copy, splitting, requests);
criterion_main!(path);
