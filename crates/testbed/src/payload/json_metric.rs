//! JSON metrics: a time, dimensions and values.

use serde_json::json;

use super::{Faker, Sample, json_bytes, lane_key};
use crate::record::{RECORD_ID_KEY, RecordId};

/// `{"time":..,"dimensions":{..},"metrics":{..}}` with the time in milliseconds; the id is the
/// dimension `record_id`, so that it becomes a tag.
#[must_use]
pub(crate) fn metric(id: RecordId, faker: &mut Faker) -> Sample {
    let value = json!({
        "time": faker.tick_ms(),
        "dimensions": {
            "host": faker.host(),
            "service": faker.service(),
            RECORD_ID_KEY: id.to_string(),
        },
        "metrics": {
            "cpu": faker.float(100),
            "mem_used": faker.below(1 << 34),
            "load1": faker.float(8),
        },
    });
    Sample::new(id, lane_key(id), json_bytes(&value))
}
