//! Metrics for Prometheus.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use prometheus::{Encoder, TextEncoder};

use super::{Shared, problem};

/// `GET /metrics`
pub(super) async fn export(shared: web::Data<Shared>) -> HttpResponse {
    let mut body = Vec::new();
    let encoder = TextEncoder::new();
    match encoder.encode(&shared.metrics.registry().gather(), &mut body) {
        Ok(()) => HttpResponse::Ok()
            .content_type(encoder.format_type())
            .body(body),
        Err(error) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "metrics cannot be encoded",
            &error.to_string(),
        ),
    }
}
