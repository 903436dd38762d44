//! What is made before the first actor starts, and why that may fail.

use std::sync::Arc;

use crate::actors::dead_letter::{DeadLetterTarget, DeadLetterTopic};
use crate::dead_letters::PLACEHOLDER;
use crate::kafka::KafkaError;
use crate::outputs::{Carrier, CarrierError};
use crate::routing::{Destination, RoutingError};
use kafkamq_conversion::scripts::{Scripts, ScriptsError, report_problems};
use kafkamq_delivery::dead_letter::{DeadLetterError, DeadLetterOptions, DeadLetterStore};
use kafkamq_memory::Account;
use kafkamq_settings::{DeadLetterKind, InputSettings, Settings};

/// Share of the memory limit that is charged to accounts; the rest is for prefetched records.
const CHARGED_SHARE: u64 = 2;
/// The part of the memory that runs of scripts may take, all threads together, and that again for what
/// scripts leave behind.
const SCRIPTS_SHARE: u64 = 8;

/// Why the actors cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StartError {
    /// A route or output cannot be used.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// A destination cannot be set up.
    #[error("destination `{destination}`: {source}")]
    Destination {
        /// Name of the destination.
        destination: String,
        /// What is wrong.
        source: CarrierError,
    },
    /// The script engine cannot be set up.
    #[error(transparent)]
    Scripts(#[from] ScriptsError),
    /// The folder of dead letters cannot be used.
    #[error("dead letters: {0}")]
    DeadLetters(#[from] DeadLetterError),
    /// The folder of the recorder cannot be used.
    #[error("recorder: {0}")]
    Recorder(#[source] std::io::Error),
    /// The Kafka client refused an input.
    #[error("input `{input}`: {}", .source.refusal())]
    Kafka {
        /// Name of the input.
        input: String,
        /// What is wrong.
        source: KafkaError,
    },
    /// The Kafka client refused the settings of the dead letter topic.
    #[error("dead letters: {}", .0.refusal())]
    DeadLetterTopic(#[source] KafkaError),
    /// Dead letters would be read again.
    #[error(
        "dead letters: topic `{0}` is read by an input, so its records would come back for ever; give `dead_letter.topic` another name"
    )]
    DeadLetterLoop(String),
    /// A feature that this build does not have.
    #[error("{0} is not supported by this version")]
    Unsupported(&'static str),
}

/// Bytes that may be charged to accounts: the memory limit without what the client library keeps.
pub(in crate::actors) fn charged_bytes(settings: &Settings) -> usize {
    let bytes = settings.limits.memory_bytes / CHARGED_SHARE;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The bytes of them that all backlogs together may take.
pub(in crate::actors) fn backlog_bytes(settings: &Settings) -> usize {
    usize::try_from(settings.limits.backlog_bytes()).unwrap_or(usize::MAX)
}

pub(in crate::actors) fn load_scripts(
    settings: &Settings,
    memory: &Arc<Account>,
) -> Result<Arc<Scripts>, ScriptsError> {
    let share = settings.limits.memory_bytes / SCRIPTS_SHARE;
    let account = memory.child("scripts", usize::try_from(share).unwrap_or(usize::MAX));
    let (scripts, report) = Scripts::within(&settings.pipeline, &account)?;
    report_problems(&report);
    tracing::info!(scripts = report.loaded, "scripts loaded");
    Ok(Arc::new(scripts))
}

pub(in crate::actors) fn carrier(
    destination: &Destination,
) -> Result<Arc<dyn Carrier>, StartError> {
    let carrier = destination.reach.kind().carrier();
    carrier.map_err(|source| StartError::Destination {
        destination: destination.id.to_string(),
        source,
    })
}

pub(in crate::actors) fn dead_letter_target(
    settings: &Settings,
) -> Result<DeadLetterTarget, StartError> {
    match &settings.dead_letter.kind {
        DeadLetterKind::File {
            path,
            segment_bytes,
            max_bytes,
        } => {
            let options = DeadLetterOptions {
                segment_bytes: *segment_bytes,
                limit_bytes: *max_bytes,
            };
            Ok(DeadLetterTarget::Files(Arc::new(DeadLetterStore::open(
                path, options,
            )?)))
        }
        DeadLetterKind::None => Ok(DeadLetterTarget::Nowhere),
        DeadLetterKind::Kafka { topic, cluster } => {
            if let Some(error) = dead_letter_loop(settings) {
                return Err(error);
            }
            let dead_letter_target = DeadLetterTopic::try_new(topic, cluster.as_deref(), settings)
                .map_err(StartError::DeadLetterTopic)?;
            Ok(DeadLetterTarget::Topic(Arc::new(dead_letter_target)))
        }
    }
}

/// A dead letter topic that an input reads.
pub(in crate::actors) fn dead_letter_loop(settings: &Settings) -> Option<StartError> {
    let DeadLetterKind::Kafka { topic, cluster } = &settings.dead_letter.kind else {
        return None;
    };
    let same = |input: &&InputSettings| {
        let cluster = cluster.as_deref();
        cluster.is_none_or(|cluster| cluster.addrs == input.cluster.addrs)
    };
    let inputs = || settings.inputs.iter().filter(same);
    let topics = || inputs().flat_map(InputSettings::subscriptions);
    topics()
        .map(|read| topic.replace(PLACEHOLDER, read.topic))
        .find(|written| topics().any(|other| other.topic == written))
        .map(StartError::DeadLetterLoop)
}
