//! The state of everything.

use actix_web::http::Method;
use actix_web::web;

use super::Shared;
use super::operation::{Need, Operation};
use super::problem::Problem;
use crate::actors::status::ServiceStatus;
use kafkamq_settings::Role;

/// `GET /v1/status`
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::GET,
            "/v1/status",
            "getStatus",
            Need::Role(Role::Read),
            show,
        )
        .about(
            "The state of everything",
            "Inputs, partitions, positions, lag, what is in flight, destinations, last errors.",
        )
        .answers::<ServiceStatus>(200, "The state.")
        .refuses(&[503]),
    ]
}

async fn show(shared: web::Data<Shared>) -> Result<web::Json<ServiceStatus>, Problem> {
    let status = shared.router.status().await.map(|mut status| {
        let configuration = shared.configuration.status();
        status.revision = configuration.revision;
        status.configuration = Some(configuration);
        status.run_time = Some(shared.router.run_time().status());
        status
    });
    status
        .map(web::Json)
        .ok_or_else(|| Problem::no_answer("router"))
}
