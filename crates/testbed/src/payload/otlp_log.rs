//! OTLP `ExportLogsServiceRequest`.

use prost::Message;

use super::otlp_trace::{resource, scope, text};
use super::{Faker, Sample};
use crate::record::RecordId;
use crate::wire::otlp::{Any, AnyValue, LogRecord, LogsRequest, ResourceLogs, ScopeLogs};

/// Two log records of one resource; the id is the resource attribute `record_id`.
#[must_use]
pub(crate) fn log(id: RecordId, faker: &mut Faker) -> Sample {
    let log_records = (0..2)
        .map(|_| {
            let now = faker.tick_ns();
            LogRecord {
                time_unix_nano: now,
                severity_number: 9,
                severity_text: faker.level().to_uppercase(),
                body: Some(AnyValue {
                    value: Some(Any::String(faker.sentence(12))),
                }),
                attributes: vec![text("thread.name", format!("worker-{}", faker.below(16)))],
                trace_id: faker.bytes::<16>().to_vec(),
                span_id: faker.bytes::<8>().to_vec(),
                observed_time_unix_nano: now,
            }
        })
        .collect();
    let message = LogsRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource(id, faker)),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope()),
                log_records,
            }],
        }],
    };
    Sample::new(id, None, message.encode_to_vec())
}
