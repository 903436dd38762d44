//! What a service is about to do, as log lines at its start: one screen that answers "which file did
//! it read, which topics, and where do the records go".

use std::net::SocketAddr;

use crate::routing::RouteTable;
use kafkamq_settings::{DeadLetterKind, InputSettings, Settings, Sources};

/// Topics that are named one by one.
const TOPICS: usize = 20;

/// Writes the lines. Addresses are shown without their credentials.
pub(crate) fn introduce(
    settings: &Settings,
    sources: &Sources,
    routes: &RouteTable,
    address: SocketAddr,
) {
    let files: Vec<String> = sources
        .paths()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    tracing::info!(
        files = files.join(", "),
        pipelines = %settings.pipeline.path.display(),
        "configuration"
    );
    for input in &settings.inputs {
        tracing::info!(
            input = input.name,
            brokers = input.cluster.addrs.join(","),
            group = input.group_id,
            security = input.cluster.security.protocol.name(),
            topics = topics(input),
            "reads"
        );
    }
    for destination in routes.destinations() {
        tracing::info!(destination = %destination.id, address = destination.shown_url(), "sends to");
    }
    let letters = match &settings.dead_letter.kind {
        DeadLetterKind::File { path, .. } => format!("folder {}", path.display()),
        DeadLetterKind::Kafka { topic, .. } => format!("topic {topic}"),
        DeadLetterKind::None => "nowhere: records that no destination takes are dropped".to_owned(),
    };
    tracing::info!(kept_in = letters, "dead letters");
    let scheme = if settings.server.tls.is_some() {
        "https"
    } else {
        "http"
    };
    tracing::info!(
        url = format!("{scheme}://{address}"),
        "console, status and metrics"
    );
    if settings.inputs.is_empty() {
        tracing::warn!("no input is configured, so nothing is read");
    }
}

/// The topics with their routes, as far as they fit.
fn topics(input: &InputSettings) -> String {
    let topics = input.subscriptions();
    let mut named: Vec<String> = topics
        .iter()
        .take(TOPICS)
        .map(|topic| format!("{} ({})", topic.topic, topic.route.name()))
        .collect();
    if topics.len() > TOPICS {
        named.push(format!("and {} more", topics.len() - TOPICS));
    }
    named.join(", ")
}
