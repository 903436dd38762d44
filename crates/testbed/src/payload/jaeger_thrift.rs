//! Jaeger Thrift `Batch`, binary protocol.

use super::{Faker, Sample, lane_key};
use crate::record::{RECORD_ID_KEY, RecordId};
use crate::wire::thrift::Writer;

fn string_tag(out: &mut Writer, key: &str, value: &str) {
    out.string(1, key);
    out.i32(2, 0);
    out.string(3, value);
}

/// A process with a server span and a client span below it; the id is the tag `record_id` of the
/// first.
#[must_use]
pub fn batch(id: RecordId, faker: &mut Faker) -> Sample {
    let (low, high) = (
        faker.below(i64::MAX as u64) as i64,
        faker.below(i64::MAX as u64) as i64,
    );
    let root = faker.below(i64::MAX as u64) as i64 + 1;
    let start_us = (faker.tick_ns() / 1000) as i64;
    let (service, host) = (faker.service(), faker.host());
    let mut out = Writer::default();
    out.structure(1, |process| {
        process.string(1, service);
        process.list(
            2,
            &[
                ("hostname", host.as_str()),
                ("jaeger.version", "Java-1.8.1"),
            ],
            |tag, (key, value)| {
                string_tag(tag, key, value);
            },
        );
    });
    out.list(
        2,
        &[(root, 0), (root ^ 1, root)],
        |span, &(span_id, parent)| {
            span.i64(1, low);
            span.i64(2, high);
            span.i64(3, span_id);
            span.i64(4, parent);
            span.string(5, &format!("{} {}", faker.method(), faker.path()));
            span.i32(7, 1);
            span.i64(8, start_us);
            span.i64(9, faker.below(300_000) as i64 + 1);
            let mut tags = vec![
                ("span.kind", "client".to_owned()),
                ("component", "http".to_owned()),
            ];
            if parent == 0 {
                tags = vec![
                    ("span.kind", "server".to_owned()),
                    (RECORD_ID_KEY, id.to_string()),
                ];
            }
            span.list(10, &tags, |tag, (key, value)| string_tag(tag, key, value));
        },
    );
    out.stop();
    Sample::new(id, lane_key(id), out.into_bytes())
}
