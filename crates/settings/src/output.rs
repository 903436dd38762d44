//! Where points go.

use std::path::PathBuf;
use std::time::Duration;

use kafkamq_point::Category;

use super::{ClusterSettings, HttpSettings, Secret};

/// One destination of points.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSettings {
    /// Name in metrics, logs and the status page; unique.
    pub name: String,
    /// What it is and how it is reached.
    pub kind: DestinationKind,
    /// Wire format of points.
    pub encoding: Encoding,
    /// Categories it takes; empty means all.
    pub categories: Vec<Category>,
    /// When a batch is full.
    pub batch: BatchSettings,
    /// If the output is not required: the bytes of points that may wait for it.
    pub backlog: Option<u64>,
}

/// The kinds of destination.
#[derive(Debug, Clone, PartialEq)]
pub enum DestinationKind {
    /// The write interface of a DataKit agent, `POST /v1/write/{category}`.
    Datakit(Box<HttpSettings>),
    /// The centre behind the agent: the same interface with a token.
    Dataway {
        /// Address and delivery rules.
        http: Box<HttpSettings>,
        /// Workspace token; sent as the query argument `token`.
        token: Secret,
    },
    /// Any InfluxDB-style line protocol endpoint. The endpoint is the full write URL.
    Influxdb(Box<HttpSettings>),
    /// Another topic.
    Kafka(Box<KafkaDestination>),
    /// Files, one folder per category.
    File {
        /// Folder.
        path: PathBuf,
        /// Size at which a file is closed and the next one begun, in bytes.
        rotate_bytes: u64,
        /// Closed files kept per category; 0 keeps all.
        keep: usize,
    },
    /// Standard output, one line per point.
    Stdout,
}

/// A topic as a destination.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaDestination {
    /// The cluster.
    pub cluster: ClusterSettings,
    /// The topic; `{category}` in it is replaced by the category of the point.
    pub topic: String,
    /// What written records take over from the records that were read.
    pub origin: OriginParts,
}

/// Parts of a record that was read which the records made from it get, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OriginParts {
    /// The key, so that what belongs together stays in one partition.
    pub key: bool,
    /// The headers.
    pub headers: bool,
}

/// When a batch of points is closed: whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// Points.
    pub max_points: usize,
    /// Encoded bytes before compression.
    pub max_bytes: u64,
    /// Age of the oldest point.
    pub max_wait: Duration,
}

/// Wire formats of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// Line protocol.
    #[default]
    LineProtocol,
    /// A JSON array of points.
    Json,
    /// A JSON array in the canonical mapping of the protobuf messages; keeps types apart.
    PbJson,
    /// Protobuf `PBPoints`.
    Protobuf,
}

/// Compression of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// None.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}
