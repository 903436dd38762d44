//! Outputs: how each kind is reached. A kind has a file here with its endpoints, the framing of its
//! requests, the rules by which its answers are read, and its [`Carrier`]; this file holds the list.
//! What an operator can write about a kind stands in the file of the same name in the settings.
//!
//! All carriers bring back a [`Reply`], or the layer that failed. So order, batching, back-off, the
//! search for a poison item and dead letters are the same for all of them. A request that a carrier
//! reports as taken is with its destination: the disk has it, the pipe took it, the brokers confirmed
//! it. What an HTTP answer means is for the endpoint's policy to say.

mod datakit;
mod dataway;
mod file;
pub(crate) mod http;
mod influxdb;
pub(crate) mod kafka;
mod local;
mod stdout;

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use kafkamq_point::Category;

use self::http::HttpReach;
use self::stdout::Stdout;
use crate::kafka::KafkaError;
use kafkamq_conversion::route::Endpoints;
use kafkamq_delivery::answer::{Reply, TransportError};
use kafkamq_delivery::delivery::DeliveryOptions;
use kafkamq_delivery::endpoint::{Endpoint, EndpointError};
use kafkamq_delivery::http::{Post, TlsError};
use kafkamq_delivery::lanes::Limits;
use kafkamq_delivery::local::FileOptions;
use kafkamq_delivery::status::Policy;
use kafkamq_record::Record;
use kafkamq_settings::outputs::KafkaOutput;
use kafkamq_settings::{ClusterSettings, OriginParts, OutputKind, OutputSettings};

/// How a destination is reached: one variant a carrier.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reach {
    /// By HTTP requests.
    Http(Box<HttpReach>),
    /// By records of a topic.
    Kafka(Box<KafkaOutput>),
    /// By lines of files.
    Files(FileOptions),
    /// By lines of standard output.
    Stdout(Stdout),
}

impl Reach {
    /// What its kind says of it.
    pub(crate) fn kind(&self) -> &dyn Reachable {
        match self {
            Self::Http(http) => &**http,
            Self::Kafka(kafka) => &**kafka,
            Self::Files(files) => files,
            Self::Stdout(stdout) => stdout,
        }
    }
}

/// How the output of `wanted` is reached: one line a kind.
///
/// # Errors
/// An address or header that no request can be sent with.
pub(crate) fn compile(wanted: &Wanted<'_>) -> Result<Compiled, EndpointError> {
    match &wanted.output.kind {
        OutputKind::Datakit(http) => datakit::compile(http, wanted),
        OutputKind::Dataway(dataway) => dataway::compile(dataway, wanted),
        OutputKind::Influxdb(http) => influxdb::compile(http, wanted),
        OutputKind::Kafka(kafka) => kafka::compile(kafka, wanted),
        OutputKind::File(files) => file::compile(files, wanted),
        OutputKind::Stdout => stdout::compile(wanted),
    }
}

/// What a kind says of a destination that it reaches.
pub(crate) trait Reachable {
    /// The address without secrets, for people.
    fn shown_url(&self) -> String;

    /// What it is called to send a request there: `POST`, or what stands for it.
    fn verb(&self) -> &'static str;

    /// Whether requests have headers and a body that frames the items. Without, each item is a line
    /// or a record of its own.
    fn has_headers(&self) -> bool {
        false
    }

    /// The carrier. The destination need not be there or be well for that.
    ///
    /// # Errors
    /// Why it cannot be made.
    fn carrier(&self) -> Result<Arc<dyn Carrier>, CarrierError>;

    /// Why a carrier cannot be made, without making one that starts a thread or a client.
    fn refusal(&self) -> Option<CarrierError> {
        None
    }

    /// Whether the carrier of `other`, reached in the same way, is built as the one of this is.
    fn is_carried_like(&self, other: &Reach) -> bool;

    /// What tells before the start whether the destination can be reached.
    fn trial(&self) -> Trial<'_>;
}

/// What tells before the start whether a destination can be reached.
pub(crate) enum Trial<'a> {
    /// A connection as its requests would make it.
    Dial(&'a HttpReach),
    /// Whether brokers answer and know the topic, if it has one name.
    Cluster(&'a ClusterSettings, Option<&'a str>),
    /// Whether files can be made in a folder.
    Folder(&'a Path),
    /// Nothing does.
    Nothing,
}

/// The way to one destination.
pub(crate) trait Carrier: Send + Sync {
    /// What the destination gets of the records that items were made from, if anything.
    fn wants(&self) -> Option<OriginParts> {
        None
    }

    /// Takes one request to its destination and brings back what became of it.
    /// `origins` has one entry for each item where [`Carrier::wants`] asks for some.
    fn send(
        &self,
        post: Post,
        origins: Vec<ItemOrigin>,
    ) -> BoxFuture<'_, Result<Reply, TransportError>>;

    /// Whether its end may take a while, as that of a client or of a writing thread does.
    fn ends_slowly(&self) -> bool {
        true
    }
}

/// Lets go of a carrier without holding up others.
pub(crate) fn retire(carrier: Arc<dyn Carrier>) {
    if carrier.ends_slowly() {
        drop(tokio::task::spawn_blocking(move || drop(carrier)));
    }
}

/// Why a destination cannot be set up. None needs to be there or to be well for that.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CarrierError {
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
pub(crate) struct ItemOrigin {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Bytes>)>,
}

impl ItemOrigin {
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

/// An output, ready for its destination and routes.
pub(crate) struct Compiled {
    /// How its destination is reached.
    pub(crate) reach: Reach,
    /// How requests are sent there.
    pub(crate) delivery: DeliveryOptions,
    /// Where points go by category.
    pub(crate) endpoints: Endpoints,
}

/// What an output is compiled from.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Its settings.
    pub(crate) output: &'a OutputSettings,
    /// The index that log points of the route go to, if it names one.
    pub(crate) storage_index: Option<&'a str>,
    /// Largest answer that is read, in bytes.
    pub(crate) response_bytes: usize,
}

impl<'a> Wanted<'a> {
    /// When a batch is full, with so many requests at once.
    fn limits(&self, max_requests: usize) -> Limits {
        let batch = &self.output.batch;
        Limits {
            max_items: batch.max_points,
            max_bytes: usize::try_from(batch.max_bytes).unwrap_or(usize::MAX),
            max_age: batch.max_wait,
            max_requests,
        }
    }

    /// The index for points of `category`, which only log points have.
    fn index_of(&self, category: Category) -> Option<&'a str> {
        self.storage_index.filter(|_| category == Category::Logging)
    }

    /// An endpoint for each category that the output takes.
    fn endpoints(
        &self,
        make: impl Fn(Category) -> Result<Arc<Endpoint>, EndpointError>,
    ) -> Result<Endpoints, EndpointError> {
        let taken = &self.output.categories;
        let mut endpoints = [const { None }; Category::ALL.len()];
        for category in Category::ALL {
            if !taken.is_empty() && !taken.contains(&category) {
                continue;
            }
            if let Some(slot) = endpoints.get_mut(category as usize) {
                *slot = Some(make(category)?);
            }
        }
        Ok(endpoints)
    }

    /// Endpoints that are only names, without an address or rules of answers.
    fn named(&self, name: impl Fn(Category) -> String) -> Result<Endpoints, EndpointError> {
        self.endpoints(|category| {
            let name = name(category);
            Ok(Arc::new(Endpoint::named(&name, Policy::default())))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::RouteTable;
    use kafkamq_settings::keys::{Kind, OUTPUT};
    use kafkamq_settings::{Sources, load};

    /// The smallest settings of an output of `kind`, with every key that some kind cannot do without.
    fn compiled(kind: &str) -> RouteTable {
        let text = format!(
            "[output]\nkind = \"{kind}\"\nendpoint = \"https://host:1/write?db=x\"\n\
             token = \"hunter2\"\naddrs = [\"host:1\"]\ntopic = \"points\"\npath = \"points\"\n"
        );
        let loaded = load(&Sources::new().text("kafkamq.toml", text));
        let settings = loaded.unwrap_or_else(|found| panic!("{found}")).settings;
        RouteTable::compile(&settings, 1).unwrap()
    }

    #[test]
    fn every_kind_takes_points_of_every_category_and_shows_no_secret() {
        let Some(Kind::Choice(kinds)) = OUTPUT.key("kind").map(|key| key.kind) else {
            panic!("`kind` is a choice");
        };
        let mut shown = Vec::new();
        for kind in kinds {
            let table = compiled(kind);
            let [output] = &*table.outputs else {
                panic!("one output");
            };
            for category in Category::ALL {
                let endpoint = output.endpoint(category).unwrap();
                assert!(!endpoint.to_string().contains("hunter2"), "{endpoint}");
            }
            let destination = table.destination(&output.destination).unwrap();
            let reach = destination.reach.kind();
            assert!(destination.is_carried_like(destination), "{kind}");
            shown.push(format!("{} {}", reach.verb(), reach.shown_url()));
        }
        assert_eq!(
            shown,
            [
                "POST https://host:1/write?db=x",
                "POST https://host:1/write?db=x",
                "POST https://host:1/write?db=x",
                "produce kafka://host:1/points",
                "append file:points",
                "write stdout",
            ]
        );
    }
}
