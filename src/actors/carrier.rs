//! [`Carrier`]: what takes a request to its destination, whatever that is.
//!
//! All carriers bring back a [`Reply`], or the layer that failed. So order, batching, back-off, the
//! search for a poison item and dead letters are the same for all of them. A request that a carrier
//! reports as taken is with its destination: the disk has it, the pipe took it, the brokers confirmed
//! it. What an HTTP answer means is for the endpoint's policy to say.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::kafka::client::{producer_config, refused_options};
use crate::kafka::{KafkaError, Outbound, Producer};
use crate::routing::{Destination, Means};
use kafkamq_delivery::answer::{Layer, Reply, TransportError};
use kafkamq_delivery::http::{Post, TlsError, Transport};
use kafkamq_delivery::local::{Files, LocalWriter, Stream};
use kafkamq_record::Record;
use kafkamq_settings::{ClusterSettings, OriginParts};

/// Why a destination cannot be set up. None needs to be there or to be well for that.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarrierError {
    /// TLS files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The Kafka client refused its configuration.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// No thread, or no standard output.
    #[error("the system refused what is needed: {0}")]
    System(#[from] io::Error),
}

/// What an item takes over from the record that it was made from.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    key: Option<Vec<u8>>,
    headers: Vec<(String, Option<Bytes>)>,
}

impl Origin {
    /// The `parts` of `record`.
    pub(crate) fn of(record: &Record<'_>, parts: OriginParts) -> Self {
        let header = |(name, value): (&str, Option<&[u8]>)| {
            (name.to_owned(), value.map(Bytes::copy_from_slice))
        };
        Self {
            key: record.key().filter(|_| parts.key).map(<[u8]>::to_vec),
            headers: match parts.headers {
                true => record.headers().map(header).collect(),
                false => Vec::new(),
            },
        }
    }
}

/// The way to one destination. Clones share it.
#[derive(Clone)]
pub(crate) enum Carrier {
    /// HTTP requests.
    Http(Arc<Transport>),
    /// Files or standard output.
    Local(LocalWriter),
    /// Records of a topic, with what they take over from those that were read.
    Kafka(Arc<TopicWriter>, OriginParts),
}

impl Carrier {
    /// The carrier that `destination` asks for.
    pub(crate) fn try_new(destination: &Destination) -> Result<Self, CarrierError> {
        Ok(match &destination.means {
            Means::Http(http) => Self::Http(Arc::new(Transport::try_new(
                &destination.transport_options(http),
            )?)),
            Means::Files(options) => {
                Self::Local(LocalWriter::start("files", Files::new(options.clone()))?)
            }
            Means::Stdout => {
                // Past the buffer of the standard library: what it holds is not delivered yet.
                let stdout = io::stdout().as_fd().try_clone_to_owned()?;
                let stream = Stream::new(std::fs::File::from(stdout));
                Self::Local(LocalWriter::start("stdout", stream)?)
            }
            Means::Kafka(kafka) => {
                let writer = TopicWriter::try_new(&kafka.cluster)?;
                Self::Kafka(Arc::new(writer), kafka.origin)
            }
        })
    }

    /// Why a carrier for `destination` cannot be made, without making one that starts a thread or
    /// a client.
    pub(crate) fn refusal_of(destination: &Destination) -> Option<CarrierError> {
        match &destination.means {
            Means::Http(http) => Transport::try_new(&destination.transport_options(http))
                .err()
                .map(Into::into),
            Means::Kafka(kafka) => refused_options(producer_config(&kafka.cluster))
                .err()
                .map(Into::into),
            Means::Files(_) | Means::Stdout => None,
        }
    }

    /// What the destination gets of the records that items were made from, if anything.
    pub(crate) fn wants(&self) -> Option<OriginParts> {
        match self {
            Self::Kafka(_, parts) => Some(*parts).filter(|parts| *parts != OriginParts::default()),
            Self::Http(_) | Self::Local(_) => None,
        }
    }

    /// Takes one request to its destination and brings back what became of it.
    /// `origins` has one entry for each item where [`Carrier::wants`] asks for some.
    pub(crate) async fn send(
        &self,
        post: Post,
        origins: Vec<Origin>,
    ) -> Result<Reply, TransportError> {
        match self {
            Self::Http(transport) => transport.send(post).await.map(Reply::Http),
            Self::Local(writer) => {
                writer
                    .send(Arc::clone(post.endpoint.name()), post.items)
                    .await
            }
            Self::Kafka(topics, _) => {
                let records: Vec<_> = post
                    .items
                    .iter()
                    .enumerate()
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
                topics.send(&records).await
            }
        }
    }
}

/// Lets go of a carrier. The end of a client or of a writing thread may take a while, which must not
/// hold up others.
pub(super) fn retire(carrier: Carrier) {
    if !matches!(carrier, Carrier::Http(_)) {
        drop(tokio::task::spawn_blocking(move || drop(carrier)));
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
