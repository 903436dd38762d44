//! SkyWalking `InstanceProperties` and `InstancePingPkg`, told apart by the key alone.

use prost::Message;

use super::segment::pair;
use super::{Faker, Sample};
use crate::record::{RECORD_ID_KEY, RecordId};
use crate::wire::skywalking::{InstancePingPkg, InstanceProperties};

/// A registration, keyed `register-<instance>`; the id is the property `record_id`.
#[must_use]
pub(crate) fn properties(id: RecordId, faker: &mut Faker) -> Sample {
    let service = faker.service();
    let instance = format!("{service}-{}", id.partition);
    let message = InstanceProperties {
        service: service.to_owned(),
        service_instance: instance.clone(),
        properties: vec![
            pair(RECORD_ID_KEY, id.to_string()),
            pair("language", "java"),
            pair("OS Name", "Linux"),
            pair("Process No.", faker.below(32_768).to_string()),
            pair("hostname", faker.host()),
        ],
        layer: "GENERAL".to_owned(),
    };
    Sample::new(
        id,
        Some(format!("register-{instance}").into()),
        message.encode_to_vec(),
    )
}

/// A heartbeat. The message has nothing but names, so the id is the instance, which is the key.
#[must_use]
pub(crate) fn ping(id: RecordId, faker: &mut Faker) -> Sample {
    let instance = id.to_string();
    let message = InstancePingPkg {
        service: faker.service().to_owned(),
        service_instance: instance.clone(),
        layer: "GENERAL".to_owned(),
    };
    Sample::new(id, Some(instance.into()), message.encode_to_vec())
}
