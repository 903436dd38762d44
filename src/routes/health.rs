//! Liveness and readiness.

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use super::Shared;
use super::operation::{Need, Operation};
use crate::actors::status::{BlockedStatus, InputStatus, PartitionStatus, ServiceStatus};

/// `GET /livez`, `GET /healthz`, `GET /readyz`
pub(super) fn operations() -> Vec<Operation> {
    let live = |path, id| {
        Operation::new(Method::GET, path, id, Need::Nothing, live)
            .about(
                "Is the process alive?",
                "Answers while requests are served.",
            )
            .answers::<Live>(200, "It is.")
    };
    vec![
        live("/livez", "isLive"),
        live("/healthz", "isHealthy"),
        Operation::new(Method::GET, "/readyz", "isReady", Need::Nothing, ready)
            .about(
                "Is everything well?",
                "Ready is when every input is a member of its group, every partition is read or says why not, commits are confirmed, and nothing is in alarm.",
            )
            .answers::<Readiness>(200, "Everything is.")
            .answers::<Readiness>(503, "The parts that are not tell why."),
    ]
}

#[derive(Serialize, JsonSchema)]
struct Live {
    /// `alive`
    status: &'static str,
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Live { status: "alive" })
}

/// One part that has to be well.
#[derive(Debug, Serialize, JsonSchema)]
struct Part {
    /// Name in the configuration.
    name: String,
    /// Whether it is.
    ready: bool,
    /// What has to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Partitions that are not read, or whose commits are not confirmed, each with its cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocked: Vec<BlockedPartition>,
}

/// A partition that is not read.
#[derive(Debug, Serialize, JsonSchema)]
struct BlockedPartition {
    /// The topic it belongs to.
    topic: String,
    /// Its number.
    partition: i32,
    /// Why, and for how long.
    #[serde(flatten)]
    blocked: BlockedStatus,
}

fn blocked(partition: &PartitionStatus) -> Option<BlockedPartition> {
    Some(BlockedPartition {
        topic: partition.topic.clone(),
        partition: partition.partition,
        blocked: partition.blocked.clone()?,
    })
}

/// What keeps partitions of an input from being read, if it makes the service not ready.
fn unread(input: &InputStatus) -> Option<String> {
    let blocked = input.partitions.iter().filter_map(blocked);
    let mut alarms = blocked.filter(|one| one.blocked.alarm);
    let first = alarms.next()?;
    let BlockedPartition {
        topic, partition, ..
    } = &first;
    let reason = &first.blocked.reason;
    Some(match alarms.count() {
        0 => format!("{topic}/{partition}: {reason}"),
        more => format!("{topic}/{partition} and {more} more: {reason}"),
    })
}

#[derive(Debug, Serialize, JsonSchema)]
struct Readiness {
    /// Whether all parts are ready.
    ready: bool,
    /// Whether the service is shutting down.
    stopping: bool,
    /// Every input, and whether it is ready.
    inputs: Vec<Part>,
    /// Every destination, and whether it is ready.
    destinations: Vec<Part>,
    /// The writing of dead letters.
    dead_letters: Part,
}

impl Readiness {
    fn of(status: &ServiceStatus) -> Self {
        let inputs = status
            .inputs
            .iter()
            .map(|input| Part {
                name: input.name.clone(),
                ready: input.is_ready(),
                reason: match (&input.alarm, &input.last_error) {
                    (Some(alarm), _) => Some(alarm.clone()),
                    (None, _) if input.joined => unread(input),
                    (None, Some(error)) => {
                        Some(format!("not a member of its group: {}", error.message))
                    }
                    (None, None) => Some("not a member of its group yet".to_owned()),
                },
                blocked: input.partitions.iter().filter_map(blocked).collect(),
            })
            .collect();
        let destinations = status
            .destinations
            .iter()
            .map(|destination| Part {
                name: destination.name.clone(),
                ready: destination.is_ready(),
                reason: destination.trouble(),
                blocked: Vec::new(),
            })
            .collect();
        let dead_letters = &status.dead_letters;
        let dead_letters = Part {
            name: "dead_letters".to_owned(),
            ready: dead_letters.reason.is_none(),
            reason: dead_letters.trouble(),
            blocked: Vec::new(),
        };
        Self {
            ready: status.is_ready(),
            stopping: status.stopping,
            inputs,
            destinations,
            dead_letters,
        }
    }
}

async fn ready(shared: web::Data<Shared>) -> HttpResponse {
    let Some(status) = shared.router.status().await else {
        return HttpResponse::ServiceUnavailable().json(Readiness {
            ready: false,
            stopping: false,
            inputs: Vec::new(),
            destinations: Vec::new(),
            dead_letters: Part {
                name: "dead_letters".to_owned(),
                ready: false,
                reason: None,
                blocked: Vec::new(),
            },
        });
    };
    let readiness = Readiness::of(&status);
    if readiness.ready {
        HttpResponse::Ok().json(readiness)
    } else {
        HttpResponse::ServiceUnavailable().json(readiness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::status::DestinationStatus;

    #[test]
    fn an_alarm_or_a_missing_member_is_not_ready_and_says_why() {
        let mut status = ServiceStatus {
            inputs: vec![InputStatus {
                name: "a".into(),
                joined: true,
                ..Default::default()
            }],
            destinations: vec![DestinationStatus {
                name: "d".into(),
                required: true,
                ..Default::default()
            }],
            ..Default::default()
        };
        assert!(Readiness::of(&status).ready);
        status.destinations[0].alarm = true;
        status.destinations[0].reason = Some("401 Unauthorized".into());
        let readiness = Readiness::of(&status);
        assert!(!readiness.ready);
        assert_eq!(
            readiness.destinations[0].reason.as_deref(),
            Some("401 Unauthorized")
        );
        status.destinations[0].refusing_seconds = Some(61.4);
        status.destinations[0].asked = Some("http://host/v1/write/logging".into());
        assert_eq!(
            Readiness::of(&status).destinations[0].reason.as_deref(),
            Some("401 Unauthorized; for 61 s, from http://host/v1/write/logging")
        );
        status.destinations[0].required = false;
        assert!(Readiness::of(&status).ready, "nothing waits for it");
        status.destinations[0].alarm = false;
        status.dead_letters.reason = Some("no room".into());
        status.dead_letters.open = 3;
        let readiness = Readiness::of(&status);
        assert!(!readiness.ready && !readiness.dead_letters.ready);
        assert_eq!(
            readiness.dead_letters.reason.as_deref(),
            Some("no room; 3 letters cannot be written, their records wait")
        );
        status.dead_letters.reason = None;
        let unknown = BlockedStatus {
            cause: "position_unknown",
            reason: "position unknown: not coordinator".into(),
            alarm: true,
            ..Default::default()
        };
        status.inputs[0].partitions = vec![PartitionStatus {
            topic: "t".into(),
            blocked: Some(unknown),
            ..Default::default()
        }];
        let readiness = Readiness::of(&status);
        assert!(!readiness.ready && !readiness.inputs[0].ready);
        assert_eq!(
            readiness.inputs[0].reason.as_deref(),
            Some("t/0: position unknown: not coordinator")
        );
        status.inputs[0].partitions.clear();
        assert!(Readiness::of(&status).ready);
        status.inputs[0].joined = false;
        let readiness = Readiness::of(&status);
        assert!(!readiness.ready && readiness.inputs[0].reason.is_some());
    }
}
