//! Another topic, a record a point.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::{Carrier, CarrierError, Compiled, ItemOrigin, Reach, Reachable, Trial, Wanted, local};
use crate::kafka::client::{producer_config, refused_options};
use crate::kafka::{KafkaError, Outbound, Producer};
use kafkamq_delivery::answer::{Layer, Reply, TransportError};
use kafkamq_delivery::endpoint::EndpointError;
use kafkamq_delivery::http::Post;
use kafkamq_settings::outputs::KafkaOutput;
use kafkamq_settings::{ClusterSettings, OriginParts};

/// Requests that may wait for the brokers at once: enough to fill the time an answer takes.
const TOPIC_REQUESTS: usize = 32;

pub(super) fn compile(kafka: &KafkaOutput, wanted: &Wanted<'_>) -> Result<Compiled, EndpointError> {
    Ok(Compiled {
        reach: Reach::Kafka(Box::new(kafka.clone())),
        delivery: local::delivery(wanted.limits(TOPIC_REQUESTS)),
        endpoints: wanted.named(|category| kafka.topic.replace("{category}", category.name()))?,
    })
}

impl Reachable for KafkaOutput {
    fn shown_url(&self) -> String {
        format!("kafka://{}/{}", self.cluster.addrs.join(","), self.topic)
    }

    fn verb(&self) -> &'static str {
        "produce"
    }

    fn carrier(&self) -> Result<Arc<dyn Carrier>, CarrierError> {
        Ok(Arc::new(TopicCarrier {
            writer: TopicWriter::try_new(&self.cluster)?,
            origin: self.origin,
        }))
    }

    fn refusal(&self) -> Option<CarrierError> {
        refused_options(producer_config(&self.cluster))
            .err()
            .map(Into::into)
    }

    fn is_carried_like(&self, other: &Reach) -> bool {
        matches!(other, Reach::Kafka(other) if **other == *self)
    }

    fn trial(&self) -> Trial<'_> {
        let topic = Some(self.topic.as_str()).filter(|topic| !topic.contains('{'));
        Trial::Cluster(&self.cluster, topic)
    }
}

/// Records of a topic, with what they take over from those that were read.
struct TopicCarrier {
    writer: TopicWriter,
    origin: OriginParts,
}

impl TopicCarrier {
    async fn write(&self, post: &Post, origins: &[ItemOrigin]) -> Result<Reply, TransportError> {
        let items = post.items.iter().enumerate();
        let records: Vec<_> = items
            .map(|(at, item)| (item, origins.get(at)))
            .map(|(item, origin)| Outbound {
                topic: post.endpoint.name(),
                partition: None,
                key: origin.and_then(|origin| origin.key.as_deref()),
                value: Some(&item.body),
                headers: origin.map_or(&[], |origin| &origin.headers),
                timestamp: None,
            })
            .collect();
        self.writer.send(&records).await
    }
}

impl Carrier for TopicCarrier {
    fn wants(&self) -> Option<OriginParts> {
        Some(self.origin).filter(|parts| *parts != OriginParts::default())
    }

    fn send(
        &self,
        post: Post,
        origins: Vec<ItemOrigin>,
    ) -> BoxFuture<'_, Result<Reply, TransportError>> {
        async move { self.write(&post, &origins).await }.boxed()
    }
}

/// Writes to the topics of one cluster, with a new client whenever the old one has given up.
pub(crate) struct TopicWriter {
    cluster: ClusterSettings,
    producer: Mutex<Arc<Producer>>,
}

impl TopicWriter {
    pub(crate) fn try_new(cluster: &ClusterSettings) -> Result<Self, KafkaError> {
        let producer = Producer::try_new(producer_config(cluster))?;
        Ok(Self {
            cluster: cluster.clone(),
            producer: Mutex::new(Arc::new(producer)),
        })
    }

    /// Writes `records` and waits until the brokers have confirmed all of them. If one is too large,
    /// none is written.
    pub(crate) async fn send(&self, records: &[Outbound<'_>]) -> Result<Reply, TransportError> {
        let limit = self.producer.lock().max_bytes();
        let largest = records.iter().map(Outbound::bytes).max().unwrap_or(0);
        if largest > limit {
            let detail = format!("a record of {largest} bytes, message.max.bytes is {limit}");
            return Ok(Reply::Refused { detail });
        }
        let failed = self.deliver(records).await;
        let errors = || failed.iter().map(|(_, error)| error);
        // What may pass comes first: only then is it certain that a record is at fault.
        match errors().find(|error| !error.is_refusal()) {
            Some(error) => {
                let layer = match error.needs_operator() || error.is_unknown_topic() {
                    true => Layer::Access,
                    false => Layer::Broker,
                };
                Err(TransportError::new(layer, error.to_string()))
            }
            None => Ok(match errors().next() {
                Some(error) => Reply::Refused {
                    detail: error.to_string(),
                },
                None => Reply::Taken,
            }),
        }
    }

    /// Writes `records` and waits for the brokers; see [`Producer::deliver`].
    pub(crate) async fn deliver(&self, records: &[Outbound<'_>]) -> Vec<(usize, KafkaError)> {
        let producer = Arc::clone(&*self.producer.lock());
        let failed = producer.deliver(records).await;
        if producer.is_broken() {
            self.replace(&producer);
        }
        failed
    }

    /// Replaces `broken`, unless another request has done so already.
    fn replace(&self, broken: &Arc<Producer>) {
        let mut current = self.producer.lock();
        if !Arc::ptr_eq(&current, broken) {
            return;
        }
        match Producer::try_new(producer_config(&self.cluster)) {
            Ok(producer) => {
                tracing::warn!("a producer gave up and is made anew");
                let old = std::mem::replace(&mut *current, Arc::new(producer));
                // The end of a client waits for its threads.
                drop(tokio::task::spawn_blocking(move || drop(old)));
            }
            Err(error) => tracing::error!(%error, "a producer cannot be made anew"),
        }
    }
}
