//! SkyWalking `ThreadSnapshot`.

use prost::Message;

use super::{Faker, Sample};
use crate::record::RecordId;
use crate::wire::skywalking::{ThreadSnapshot, ThreadStack};

/// A profiled stack; the id is the outermost code signature, the key task id and sequence.
#[must_use]
pub(crate) fn thread_snapshot(id: RecordId, faker: &mut Faker) -> Sample {
    let task_id = format!("task-{}", id.lane());
    let message = ThreadSnapshot {
        task_id: task_id.clone(),
        trace_segment_id: faker.hex::<16>(),
        time: faker.tick_ms(),
        sequence: id.sequence as i32,
        stack: Some(ThreadStack {
            code_signatures: vec![
                id.to_string(),
                "java.lang.Thread.run:829".to_owned(),
                format!(
                    "com.example.{}.Controller.serve:{}",
                    faker.service(),
                    faker.below(400)
                ),
            ],
        }),
    };
    let key = format!("{task_id}{}", id.sequence);
    Sample::new(id, Some(key.into()), message.encode_to_vec())
}
