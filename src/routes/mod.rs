//! The HTTP interface of the service.
//!
//! | Route | Answers |
//! |---|---|
//! | `GET /livez`, `GET /healthz` | 200 while the process serves requests |
//! | `GET /readyz` | 200 when every input has joined its group and no destination is in alarm, else 503; the body names each part |
//! | `GET /metrics` | Prometheus text |
//! | `GET /v1/status` | inputs, assignment, positions, lag, in flight, destinations, last errors |
//!
//! Everything but health and metrics asks for a bearer token where tokens are configured.
//!
//! Handlers extract, ask the router and map its answer; they hold no logic of their own.

mod auth;
mod health;
mod metrics;
mod status;
pub mod tls;

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::actors::Router;
use crate::metrics::Metrics;

/// What handlers share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The running actors.
    pub router: Router,
    /// All metrics.
    pub metrics: Metrics,
    /// Bearer tokens that are accepted; none means that none is asked for.
    pub tokens: std::sync::Arc<[crate::settings::Secret]>,
}

/// Registers every route.
pub fn configure(shared: Shared) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config.service(
            web::scope("")
                .app_data(web::Data::new(shared))
                .wrap(actix_web::middleware::from_fn(auth::guard))
                .route("/livez", web::get().to(health::live))
                .route("/healthz", web::get().to(health::live))
                .route("/readyz", web::get().to(health::ready))
                .route("/metrics", web::get().to(metrics::export))
                .route("/v1/status", web::get().to(status::show))
                .default_service(web::to(not_found)),
        );
    }
}

/// An error answer: problem details (RFC 9457).
#[derive(Debug, Serialize)]
struct Problem {
    title: &'static str,
    status: u16,
    detail: String,
}

fn problem(status: actix_web::http::StatusCode, title: &'static str, detail: &str) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("application/problem+json")
        .json(Problem {
            title,
            status: status.as_u16(),
            detail: detail.to_owned(),
        })
}

async fn not_found(request: actix_web::HttpRequest) -> HttpResponse {
    let detail = format!("there is no {}", request.path());
    problem(actix_web::http::StatusCode::NOT_FOUND, "not found", &detail)
}

#[cfg(test)]
mod tests;
