//! Real-user-monitoring records.

use serde_json::json;

use super::{Faker, Sample, json_bytes, lane_key};
use crate::record::{RECORD_ID_KEY, RecordId};

/// A page view with its timings; the id is the member `record_id`.
#[must_use]
pub(crate) fn view(id: RecordId, faker: &mut Faker) -> Sample {
    let value = json!({
        "time": faker.tick_ms(),
        "app_id": "appid_shop",
        "env": "prod",
        "type": "view",
        "session_id": faker.hex::<16>(),
        "view_id": faker.hex::<8>(),
        "view_path": faker.path(),
        "ip": faker.ip(),
        "browser": "Firefox",
        "os": "Linux",
        "first_contentful_paint_ms": faker.below(3000),
        "loading_time_ms": faker.below(6000),
        "resource_count": faker.below(80),
        RECORD_ID_KEY: id.to_string(),
    });
    Sample::new(id, lane_key(id), json_bytes(&value))
}
