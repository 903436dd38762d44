//! SkyWalking `LogData`.

use prost::Message;

use super::segment::pair;
use super::{Faker, Sample};
use crate::record::{RECORD_ID_KEY, RecordId};
use crate::wire::skywalking::{LogContent, LogData, LogDataBody, LogTags, LogText, TraceContext};

/// One text log with a trace context; the id is the tag `record_id`, the key the service name.
#[must_use]
pub fn log_data(id: RecordId, faker: &mut Faker) -> Sample {
    let service = faker.service();
    let text = format!(
        "{} [http-nio-8080-exec-{}] {}",
        faker.level().to_uppercase(),
        faker.below(20),
        faker.sentence(10),
    );
    let message = LogData {
        timestamp: faker.tick_ms(),
        service: service.to_owned(),
        service_instance: format!("{service}-{}@{}", id.partition, faker.host()),
        endpoint: faker.path().to_owned(),
        body: Some(LogDataBody {
            r#type: "text".to_owned(),
            content: Some(LogContent::Text(LogText { text })),
        }),
        trace_context: Some(TraceContext {
            trace_id: faker.hex::<16>(),
            trace_segment_id: faker.hex::<16>(),
            span_id: 0,
        }),
        tags: Some(LogTags {
            data: vec![
                pair(RECORD_ID_KEY, id.to_string()),
                pair("level", faker.level()),
            ],
        }),
        layer: "GENERAL".to_owned(),
    };
    Sample::new(id, Some(service.into()), message.encode_to_vec())
}
