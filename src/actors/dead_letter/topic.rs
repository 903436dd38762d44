//! Dead letters as records of a topic: key, value and headers untouched, and headers that say where
//! the record came from and why it went no further.

use std::collections::HashMap;
use std::sync::Arc;

use crate::dead_letters::PLACEHOLDER;
use crate::dead_letters::headers::encode;
use crate::kafka::{KafkaError, Outbound};
use crate::outputs::kafka::TopicWriter;
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_settings::{ClusterSettings, Settings};

/// A dead letter can be as large as any record a broker takes, and more by its headers: the broker
/// is to decide, not the client.
const MAX_BYTES: &str = "1000000000";

/// Where dead letters go that go to a topic.
pub(crate) struct DeadLetterTopic {
    topic: String,
    /// By input.
    writers: HashMap<String, Arc<TopicWriter>>,
}

impl DeadLetterTopic {
    /// Letters to `topic`, in `cluster` or else in the cluster of the input they came by.
    pub(crate) fn try_new(
        topic: &str,
        cluster: Option<&ClusterSettings>,
        settings: &Settings,
    ) -> Result<Self, KafkaError> {
        let mut writers: Vec<(ClusterSettings, Arc<TopicWriter>)> = Vec::new();
        let mut by_input = HashMap::new();
        for input in &settings.inputs {
            let cluster = cluster.unwrap_or(&input.cluster);
            let known = writers.iter().find(|(known, _)| known == cluster);
            let writer = match known {
                Some((_, writer)) => Arc::clone(writer),
                None => {
                    let mut large = cluster.clone();
                    large
                        .librdkafka
                        .entry("message.max.bytes".to_owned())
                        .or_insert_with(|| MAX_BYTES.to_owned());
                    let writer = Arc::new(TopicWriter::try_new(&large)?);
                    writers.push((cluster.clone(), Arc::clone(&writer)));
                    writer
                }
            };
            by_input.insert(input.name.clone(), writer);
        }
        Ok(Self {
            topic: topic.to_owned(),
            writers: by_input,
        })
    }

    /// The topic for letters of records from `topic`.
    pub(crate) fn topic(&self, topic: &str) -> String {
        self.topic.replace(PLACEHOLDER, topic)
    }

    /// Writes `letters` and waits for the brokers. Returns the index of each letter that they have
    /// not confirmed, with the reason, in ascending order.
    pub(crate) async fn write(&self, letters: &[&DeadLetter]) -> Vec<(usize, String)> {
        let forms: Vec<_> = letters
            .iter()
            .map(|letter| (self.topic(&letter.topic), encode(letter)))
            .collect();
        let mut failed = Vec::new();
        let mut inputs: Vec<&str> = letters.iter().map(|letter| &*letter.input).collect();
        inputs.sort_unstable();
        inputs.dedup();
        for input in inputs {
            let own: Vec<(usize, Outbound<'_>)> = letters
                .iter()
                .zip(&forms)
                .enumerate()
                .filter(|(_, (letter, _))| letter.input == input)
                .map(|(index, (letter, (topic, headers)))| {
                    let record = Outbound {
                        topic,
                        partition: None,
                        key: letter.key.as_deref(),
                        value: letter.value.as_deref(),
                        headers,
                        timestamp: None,
                    };
                    (index, record)
                })
                .collect();
            let Some(writer) = self.writers.get(input) else {
                let missing = |(index, _)| (index, format!("input `{input}` is gone"));
                failed.extend(own.into_iter().map(missing));
                continue;
            };
            let records: Vec<_> = own.iter().map(|(_, record)| *record).collect();
            for (at, error) in writer.deliver(&records).await {
                failed.extend(own.get(at).map(|(index, _)| (*index, error.to_string())));
            }
        }
        failed.sort_unstable();
        failed
    }
}
