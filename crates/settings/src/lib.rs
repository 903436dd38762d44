//! What the operator asked for: typed, validated, with every default filled in.
//!
//! This module owns the configuration keys, their defaults and the sentences that explain them, the
//! layering of defaults, files and environment, and the diagnostics of everything that is wrong.
//! It promises that a [`Settings`] value needs no further checks: addresses are parsed, secrets are
//! read, security is resolved, no topic belongs to two routes. It starts nothing.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod change;
mod delivery;
mod diagnostic;
mod document;
mod input;
pub mod keys;
mod log_filter;
#[cfg(test)]
mod manual;
mod masking;
pub mod outputs;
mod quantity;
mod reader;
mod resolve;
mod route;
mod secret;
mod security;
mod sources;
mod tables;
mod topic_pattern;

pub use change::ChangeBy;
pub(crate) use delivery::DeliverySettings;
pub(crate) use delivery::StatusPolicy;
pub(crate) use delivery::StatusRange;
pub use delivery::{HttpSettings, StatusAction};
pub use diagnostic::{Diagnostic, Diagnostics, Position, Severity};
pub use document::steps;
pub use document::{Document, MASK};
pub use input::{
    Assignor, FlowSettings, GroupProtocol, InputSettings, Offset, Ordering, OutOfRange,
    SamplingKey, Subscription, ValuePolicy,
};
pub use kafkamq_address::Compression;
pub use log_filter::{LogFilter, LogFilterError};
pub use outputs::{OriginParts, OutputKind, OutputSettings};
pub use quantity::time as parse_time;
pub use resolve::{Loaded, load, load_change, scripts_folder};
pub(crate) use route::CustomTopic;
pub(crate) use route::SkywalkingTopic;
pub use route::{
    CustomRoute, HandleContent, HeaderCheck, JaegerEncoding, JaegerRoute, JaegerSource, Newlines,
    OtelEncoding, OtelRoute, OtelSignal, PointTime, RecordFields, RemoteHandleRoute,
    SkywalkingKind, SkywalkingRoute, SkywalkingTarget, SpanTarget, SplitFailure, SplitFormat,
    SplitSettings,
};
pub use secret::Secret;
pub(crate) use security::ClientIdentity;
pub(crate) use security::OAuth;
pub use security::{ClusterSettings, Protocol, Sasl, Security};
pub use sources::Sources;
pub use tables::ChangedKey;
pub use tables::dead_letter::DeadLetterKind;
pub(crate) use tables::dead_letter::DeadLetterSettings;
pub use tables::limits::LimitSettings;
pub use tables::log::{LogFormat, LogSettings};
pub use tables::pipeline::{AgeAction, AgeRule, PipelineSettings, ScriptFailure};
pub use tables::recorder::{RecorderEncoding, RecorderSettings};
pub use tables::server::{ServerSettings, ServerTls};
pub use tables::token::{Role, Token};
pub use topic_pattern::{TopicPattern, TopicSelection};

/// The whole configuration of one process, validated and resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// One consumer group member each, in the order of the files; may be empty (the service idles).
    pub inputs: Vec<InputSettings>,
    /// The HTTP server of the service itself.
    pub server: ServerSettings,
    /// Where points go; never empty. A point goes to every output whose categories hold its own.
    pub outputs: Vec<OutputSettings>,
    /// Scripts: where they are and how they run.
    pub pipeline: PipelineSettings,
    /// Where records go that cannot be processed or delivered.
    pub dead_letter: DeadLetterSettings,
    /// Copies of outgoing points in files, for looking at.
    pub recorder: RecorderSettings,
    /// Bounds of memory and batches.
    pub limits: LimitSettings,
    /// What the service says about itself.
    pub log: LogSettings,
}

#[cfg(test)]
mod tests;
