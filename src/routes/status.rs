//! The state of everything.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::{Shared, problem};

/// `GET /v1/status`
pub(super) async fn show(shared: web::Data<Shared>) -> HttpResponse {
    match shared.router.status().await {
        Some(status) => HttpResponse::Ok().json(status),
        None => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "no answer",
            "the router did not answer in time",
        ),
    }
}
