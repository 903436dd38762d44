//! Destinations: deciding about a request that is refused time and again.

use actix_web::http::Method;
use actix_web::web;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::access::Identity;
use super::operation::{Need, Operation};
use super::parameters::Object;
use super::problem::{Kind, Problem};
use crate::actors::status::SuspectStatus;
use kafkamq_delivery::delivery::Decision;
use kafkamq_settings::Role;

/// The operations on destinations.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::POST,
            "/v1/destinations/{name}/suspect",
            "decideSuspect",
            Need::Role(Role::Operate),
            decide,
        )
        .about(
            "Bury or retry a request that is refused time and again",
            "A request whose refusal may be its own fault is held while nothing else is accepted. \
             `bury` makes dead letters of its records, at once or when the answer that is under \
             way refuses it again; `retry` sends it before anything else. Concerns the request \
             that was refused first, which the answer names; `/v1/status` lists the others.",
        )
        .path_parameters::<DestinationPath>()
        .body::<SuspectDecision>("application/json")
        .answers::<SuspectDecided>(200, "What was decided, and about which request.")
        .refuses(&[404, 503]),
    ]
}

/// Names a destination.
#[derive(Debug, Deserialize, JsonSchema)]
struct DestinationPath {
    /// Name of the destination, as on the status page.
    #[schemars(length(min = 1))]
    name: String,
}

/// What is to become of a suspect.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Action {
    Bury,
    Retry,
}

/// What is to become of a suspect request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SuspectDecision {
    /// What is to become of it.
    action: Action,
}

/// A decision that was taken.
#[derive(Debug, Serialize, JsonSchema)]
struct SuspectDecided {
    /// What becomes of it.
    action: Action,
    /// The request, as it was before.
    suspect: SuspectStatus,
}

async fn decide(
    shared: web::Data<Shared>,
    path: web::Path<DestinationPath>,
    decision: web::Json<Object<SuspectDecision>>,
    caller: Identity,
) -> Result<web::Json<SuspectDecided>, Problem> {
    let action = decision.into_inner().0.action;
    let name = path.into_inner().name;
    let decision = match action {
        Action::Bury => Decision::Bury,
        Action::Retry => Decision::Retry,
    };
    let missing = |detail| Problem::new(Kind::NotFound, detail);
    let decided = shared.router.decide_suspect(&name, decision).await;
    let decided = decided.ok_or_else(|| missing(format!("there is no destination `{name}`")))?;
    let decided = decided.map_err(|_| Problem::no_answer("destination"))?;
    let suspect = decided.ok_or_else(|| {
        missing(format!(
            "destination `{name}` has no request that is refused time and again"
        ))
    })?;
    tracing::warn!(
        destination = name,
        ?action,
        by = caller.name,
        topic = suspect.topic,
        partition = suspect.partition,
        offset = suspect.offset,
        "an operator decided about a request that is refused time and again"
    );
    Ok(web::Json(SuspectDecided { action, suspect }))
}
