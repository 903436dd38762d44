//! SkyWalking `MeterDataCollection`.

use prost::Message;

use super::{Faker, Sample};
use crate::record::{RECORD_ID_KEY, RecordId};
use crate::wire::skywalking::{
    Label, MeterBucketValue, MeterData, MeterDataCollection, MeterHistogram, MeterSingleValue,
    Metric,
};

/// A gauge and a histogram; the id is the label `record_id` of the first. Service, instance and
/// time are set on the first element only, as agents do.
#[must_use]
pub(crate) fn meter(id: RecordId, faker: &mut Faker) -> Sample {
    let service = faker.service();
    let instance = format!("{service}-{}", id.partition);
    let label = |name: &str, value: String| Label {
        name: name.to_owned(),
        value,
    };
    let gauge = MeterData {
        metric: Some(Metric::SingleValue(MeterSingleValue {
            name: "process_cpu_usage".to_owned(),
            labels: vec![
                label(RECORD_ID_KEY, id.to_string()),
                label("host", faker.host()),
            ],
            value: faker.float(1),
        })),
        service: service.to_owned(),
        service_instance: instance.clone(),
        timestamp: faker.tick_ms(),
    };
    let histogram = MeterData {
        metric: Some(Metric::Histogram(MeterHistogram {
            name: "request_seconds".to_owned(),
            labels: vec![label("path", faker.path().to_owned())],
            values: [0.0, 0.1, 1.0]
                .into_iter()
                .map(|bucket| MeterBucketValue {
                    bucket,
                    count: faker.below(100) as i64,
                    is_negative_infinity: false,
                })
                .collect(),
        })),
        ..MeterData::default()
    };
    let message = MeterDataCollection {
        meter_data: vec![gauge, histogram],
    };
    Sample::new(id, Some(instance.into()), message.encode_to_vec())
}
