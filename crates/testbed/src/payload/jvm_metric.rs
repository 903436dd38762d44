//! SkyWalking `JVMMetricCollection`.

use prost::Message;

use super::{Faker, Sample};
use crate::record::RecordId;
use crate::wire::skywalking::{
    Cpu, Gc, JvmMetric, JvmMetricCollection, Memory, MemoryPool, Thread,
};

/// Two seconds of JVM metrics. The message has no tags, so the id is the service instance.
#[must_use]
pub(crate) fn jvm_metric(id: RecordId, faker: &mut Faker) -> Sample {
    let now = faker.tick_ms();
    let metrics = (0..2)
        .map(|second| {
            let used = 100_000_000 + faker.below(400_000_000) as i64;
            JvmMetric {
                time: now + second * 1000,
                cpu: Some(Cpu {
                    usage_percent: faker.float(100),
                }),
                memory: vec![
                    Memory {
                        is_heap: true,
                        init: 1 << 28,
                        max: 1 << 30,
                        used,
                        committed: 1 << 29,
                    },
                    Memory {
                        is_heap: false,
                        init: 1 << 24,
                        max: -1,
                        used: used / 8,
                        committed: 1 << 26,
                    },
                ],
                memory_pool: vec![MemoryPool {
                    r#type: 1,
                    init: 0,
                    max: 1 << 30,
                    used,
                    committed: 1 << 29,
                }],
                gc: vec![Gc {
                    phase: 0,
                    count: faker.below(5) as i64,
                    time: faker.below(40) as i64,
                }],
                thread: Some(Thread {
                    live_count: faker.below(200) as i64 + 20,
                    daemon_count: 12,
                    peak_count: 240,
                }),
            }
        })
        .collect();
    let instance = id.to_string();
    let message = JvmMetricCollection {
        metrics,
        service: faker.service().to_owned(),
        service_instance: instance.clone(),
    };
    Sample::new(id, Some(instance.into()), message.encode_to_vec())
}
