//! Liveness and readiness.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::Shared;
use crate::actors::status::ServiceStatus;

#[derive(Serialize)]
struct Live {
    status: &'static str,
}

/// `GET /livez`
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Live { status: "alive" })
}

/// One part that has to be well.
#[derive(Debug, Serialize)]
struct Part {
    name: String,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    stopping: bool,
    inputs: Vec<Part>,
    destinations: Vec<Part>,
}

impl Readiness {
    fn of(status: &ServiceStatus) -> Self {
        let inputs = status
            .inputs
            .iter()
            .map(|input| Part {
                name: input.name.clone(),
                ready: input.joined && input.alarm.is_none(),
                reason: match (&input.alarm, &input.last_error) {
                    (Some(alarm), _) => Some(alarm.clone()),
                    (None, _) if input.joined => None,
                    (None, Some(error)) => {
                        Some(format!("not a member of its group: {}", error.message))
                    }
                    (None, None) => Some("not a member of its group yet".to_owned()),
                },
            })
            .collect();
        let destinations = status
            .destinations
            .iter()
            .map(|destination| Part {
                name: destination.name.clone(),
                ready: !destination.alarm,
                reason: destination.reason.clone(),
            })
            .collect();
        Self {
            ready: status.is_ready(),
            stopping: status.stopping,
            inputs,
            destinations,
        }
    }
}

/// `GET /readyz`
pub(super) async fn ready(shared: web::Data<Shared>) -> HttpResponse {
    let Some(status) = shared.router.status().await else {
        return HttpResponse::ServiceUnavailable().json(Readiness {
            ready: false,
            stopping: false,
            inputs: Vec::new(),
            destinations: Vec::new(),
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
    use crate::actors::status::{DestinationStatus, InputStatus};

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
        status.destinations[0].alarm = false;
        status.inputs[0].joined = false;
        let readiness = Readiness::of(&status);
        assert!(!readiness.ready && readiness.inputs[0].reason.is_some());
    }
}
