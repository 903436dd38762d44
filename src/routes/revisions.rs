//! The history of the configuration, and the way back.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::access::Identity;
use super::config::{Dry, change};
use super::operation::{Need, Operation};
use super::problem::Problem;
use crate::reconfiguration::{Outcome, Revision, Wanted};
use kafkamq_settings::Role;

/// `GET /v1/config/revisions`, `POST /v1/config/revisions/{number}/activate`
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::GET,
            "/v1/config/revisions",
            "listRevisions",
            Need::Role(Role::Read),
            list,
        )
        .about(
            "The latest revisions",
            "Newest first, each with its author and what it changed; secrets are masked.",
        )
        .answers::<Revisions>(200, "The revisions."),
        Operation::new(
            Method::POST,
            "/v1/config/revisions/{number}/activate",
            "activateRevision",
            Need::Role(Role::Configure),
            activate,
        )
        .about(
            "Go back to a revision",
            "Its document becomes a new revision; scripts and other files are as they are now.",
        )
        .path_parameters::<Number>()
        .query::<Dry>()
        .if_match()
        .answers::<Outcome>(200, "What was done, or would be.")
        .with_etag()
        .refuses(&[404, 422, 503]),
    ]
}

/// The latest revisions.
#[derive(Debug, Serialize, JsonSchema)]
struct Revisions {
    /// Number of the revision in force.
    current: u64,
    /// Newest first.
    revisions: Vec<Revision>,
}

/// Which revision.
#[derive(Debug, Deserialize, JsonSchema)]
struct Number {
    /// Number of the revision.
    #[schemars(range(max = u64::MAX))]
    number: u64,
}

async fn list(shared: web::Data<Shared>) -> web::Json<Revisions> {
    web::Json(Revisions {
        current: shared.configuration.current().revision,
        revisions: shared.configuration.revisions(),
    })
}

async fn activate(
    shared: web::Data<Shared>,
    request: HttpRequest,
    caller: Identity,
    path: web::Path<Number>,
    dry: web::Query<Dry>,
) -> Result<HttpResponse, Problem> {
    let wanted = Wanted::Revision(path.number);
    change(&shared, &request, caller, dry.dry_run, wanted).await
}
