//! SkyWalking `SegmentObject`: an entry span with an exit span to a database below it.

use bytes::Bytes;
use prost::Message;

use super::{Faker, Sample};
use crate::record::{RECORD_ID_KEY, RecordId};
use crate::wire::skywalking::{KeyStringValuePair, SegmentObject, SpanObject, SpanType};

pub(super) fn pair(key: &str, value: impl Into<String>) -> KeyStringValuePair {
    KeyStringValuePair {
        key: key.to_owned(),
        value: value.into(),
    }
}

/// A trace segment; the id is the tag `record_id` of its entry span, the key its segment id.
#[must_use]
pub fn segment(id: RecordId, faker: &mut Faker) -> Sample {
    let start = faker.tick_ms();
    let took = faker.below(300) as i64 + 1;
    let service = faker.service();
    let status = faker.status();
    let entry = SpanObject {
        span_id: 0,
        parent_span_id: -1,
        start_time: start,
        end_time: start + took,
        operation_name: format!("{}:{}", faker.method(), faker.path()),
        span_type: SpanType::Entry.into(),
        span_layer: 3,
        component_id: 1,
        is_error: status >= 500,
        tags: vec![
            pair(RECORD_ID_KEY, id.to_string()),
            pair("http.method", faker.method()),
            pair("http.status_code", status.to_string()),
        ],
        ..SpanObject::default()
    };
    let exit = SpanObject {
        span_id: 1,
        parent_span_id: 0,
        start_time: start,
        end_time: start + took / 2,
        operation_name: "mysql/select".to_owned(),
        peer: format!("{}:3306", faker.ip()),
        span_type: SpanType::Exit.into(),
        span_layer: 1,
        component_id: 33,
        tags: vec![
            pair("db.type", "mysql"),
            pair("db.statement", "select * from orders where id = ?"),
        ],
        ..SpanObject::default()
    };
    let segment_id = format!("{}.{}.{start}", faker.hex::<16>(), id.lane());
    let message = SegmentObject {
        trace_id: format!("{}.{}.{start}", faker.hex::<16>(), id.lane()),
        trace_segment_id: segment_id.clone(),
        // Spans end innermost first, and that is how agents order them; the first one a reader
        // meets is therefore the exit span, so the id is put on the entry span and looked for in all.
        spans: vec![exit, entry],
        service: service.to_owned(),
        service_instance: format!("{service}-{}@{}", id.partition, faker.host()),
        is_size_limited: false,
    };
    Sample::new(id, Some(Bytes::from(segment_id)), message.encode_to_vec())
}
