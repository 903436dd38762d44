//! Metrics for Prometheus.

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use prometheus::{Encoder, TEXT_FORMAT, TextEncoder};

use super::Shared;
use super::operation::{Need, Operation};
use super::problem::{Kind, Problem};

/// `GET /metrics`
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(Method::GET, "/metrics", "getMetrics", Need::Nothing, export)
            .about("Metrics", "The text format of Prometheus.")
            .answers_as::<String>(200, TEXT_FORMAT, "All metrics."),
    ]
}

async fn export(shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    let mut body = Vec::new();
    TextEncoder::new()
        .encode(&shared.metrics.registry().gather(), &mut body)
        .map_err(|error| Problem::new(Kind::Internal, error.to_string()))?;
    Ok(HttpResponse::Ok().content_type(TEXT_FORMAT).body(body))
}
