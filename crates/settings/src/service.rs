//! The service's own tables: server, scripts, dead letters, recorder, limits, log.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use kafkamq_point::Category;

use super::{ClusterSettings, Secret};

/// `[server]`: the HTTP server of the service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSettings {
    /// Address it listens on. Anything but loopback comes with a token or with mTLS.
    pub listen: SocketAddr,
    /// Bearer tokens that are accepted, each with a name of its own; empty means that none is
    /// asked for.
    pub tokens: Vec<Token>,
    /// What a client certificate allows without a token.
    pub client_role: Option<Role>,
    /// Host names under which the service may be asked besides `localhost`; `*` is any.
    pub hosts: Vec<String>,
    /// Longest time until a request is answered.
    pub request_timeout: Duration,
    /// TLS of the server.
    pub tls: Option<ServerTls>,
    /// Threads that serve requests.
    pub workers: usize,
    /// Largest request body, in bytes.
    pub max_body_bytes: u64,
    /// Whether the configuration may be changed over HTTP.
    pub allow_changes: bool,
    /// Revisions of the configuration that are remembered.
    pub revisions: usize,
    /// Folder in which revisions made at run time outlive the process.
    pub state_dir: Option<PathBuf>,
    /// Take up changes of the configuration files by itself.
    pub watch: bool,
}

impl ServerSettings {
    /// Whether callers have to say who they are. Where they do not, everybody who reaches the server
    /// may do everything.
    #[must_use]
    pub const fn is_restricted(&self) -> bool {
        !self.tokens.is_empty() || self.client_role.is_some()
    }
}

/// What a caller of the HTTP interface may do. Each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look.
    Read,
    /// Pause and resume topics, replay dead letters, change the log level.
    Operate,
    /// Change configuration and scripts.
    Configure,
}

impl Role {
    /// The word for it in configuration and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Configure => "configure",
        }
    }
}

/// A bearer token.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Who uses it, for the log of changes.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The token itself.
    pub secret: Secret,
}

/// TLS of the server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerTls {
    /// PEM certificate chain.
    pub cert_file: PathBuf,
    /// PEM private key.
    pub key_file: PathBuf,
    /// PEM roots of client certificates; present means that clients must show one.
    pub client_ca_file: Option<PathBuf>,
}

/// `[pipeline]`: scripts.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineSettings {
    /// Folder of scripts: logging at the top, other categories in folders of their name.
    pub path: PathBuf,
    /// Script for points of a category that no rule gives one.
    pub default_scripts: BTreeMap<Category, String>,
    /// Tags added to every point that does not have them.
    pub global_tags: BTreeMap<String, String>,
    /// What happens to a point whose script failed while running.
    pub on_error: ScriptFailure,
    /// What happens to points whose time is far from now; `None` leaves them alone.
    pub age: Option<AgeRule>,
    /// Reload scripts when files change.
    pub watch: bool,
    /// Threads that run scripts.
    pub threads: usize,
    /// MaxMind database for `geoip`.
    pub geoip_file: Option<PathBuf>,
    /// Folder of tables for `query_refer_table` and `mquery_refer_table`.
    pub refer_tables: Option<PathBuf>,
    /// Whether `http_request` may leave the process.
    pub http_request: bool,
    /// Whether `http_request` may reach loopback, link-local and private addresses.
    pub http_request_private: bool,
}

/// What happens to a point whose script failed while running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScriptFailure {
    /// It is sent with the changes made so far, as the original does, and counted.
    #[default]
    Keep,
    /// Its record goes to the dead letter queue.
    DeadLetter,
}

/// What happens to points whose time is far from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeRule {
    /// How far, in the past or in the future, a time may be.
    pub max_age: Duration,
    /// What is done with others.
    pub action: AgeAction,
}

/// What is done with a point whose time is too far from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AgeAction {
    /// It is sent with the present time and keeps its own in the field `__orig_time`.
    #[default]
    Clamp,
    /// It is left out.
    Drop,
    /// Its record goes to the dead letter queue.
    DeadLetter,
}

/// `[dead_letter]`: records that cannot be processed or delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetterSettings {
    /// Where they go.
    pub kind: DeadLetterKind,
    /// Tries after the first before a record whose processing keeps failing counts as poison.
    pub max_attempts: u32,
}

/// Where dead letters go.
#[derive(Debug, Clone, PartialEq)]
pub enum DeadLetterKind {
    /// Files in a folder.
    File {
        /// Folder.
        path: PathBuf,
        /// Size of one file, in bytes.
        segment_bytes: u64,
        /// Size of all files together, in bytes. When it is reached, topics stop; nothing is deleted.
        max_bytes: u64,
    },
    /// A topic.
    Kafka {
        /// Topic; `{topic}` in it is replaced by the topic of the record.
        topic: String,
        /// The cluster; `None` means the one the record came from.
        cluster: Option<Box<ClusterSettings>>,
    },
    /// Nowhere: they are counted and dropped.
    None,
}

/// `[recorder]`: copies of outgoing points.
#[derive(Debug, Clone, PartialEq)]
pub struct RecorderSettings {
    /// Whether it runs.
    pub enabled: bool,
    /// Folder.
    pub path: PathBuf,
    /// Format of the files.
    pub encoding: RecorderEncoding,
    /// Time from start after which it stops; `None` is unlimited.
    pub duration: Option<Duration>,
    /// Patterns of feed names such as `kafkamq.*`; empty means all.
    pub inputs: Vec<String>,
    /// Categories; empty means all.
    pub categories: Vec<Category>,
    /// Size at which a file is closed and the next one begun, in bytes.
    pub rotate_bytes: u64,
    /// Size of everything one run writes, in bytes; then it stops.
    pub max_bytes: u64,
}

/// Format of recorder files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecorderEncoding {
    /// Line protocol (`v1`).
    LineProtocol,
    /// Protobuf messages as JSON (`v2`).
    #[default]
    PbJson,
}

/// `[limits]`: bounds of memory and batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Bytes for prefetch, batches in flight and request bodies together.
    pub memory_bytes: u64,
    /// Records that travel together.
    pub batch_records: usize,
    /// Bytes of values that travel together.
    pub batch_bytes: u64,
    /// Largest record that is processed, in bytes; larger ones go to the dead letter queue.
    pub record_bytes: u64,
    /// Largest answer of a destination that is read, in bytes.
    pub response_bytes: u64,
    /// Partitions one process plans its memory for, all inputs together.
    pub partitions: usize,
    /// Partitions that have metrics of their own; above that each topic has.
    pub partition_series: usize,
}

/// `[log]`: what the service says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSettings {
    /// Filter directives such as `info` or `info,kafkamq::kafka=debug`.
    pub level: String,
    /// Format.
    pub format: LogFormat,
}

/// Format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One readable line each.
    #[default]
    Text,
    /// One JSON object each.
    Json,
}
