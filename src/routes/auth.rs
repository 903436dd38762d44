//! Who may ask what. Health and metrics are open; everything else asks for a bearer token where
//! tokens are configured. Settings make sure that there are some, or mTLS, on any address but
//! loopback.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use subtle::ConstantTimeEq;

use super::{Shared, problem};
use crate::settings::Secret;

const OPEN: [&str; 4] = ["/livez", "/healthz", "/readyz", "/metrics"];

/// Lets a request pass if its path is open or it shows one of the tokens.
pub(super) async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let allowed = OPEN.contains(&request.path())
        || request
            .app_data::<web::Data<Shared>>()
            .is_some_and(|shared| {
                shared.tokens.is_empty() || shows_token(&request, &shared.tokens)
            });
    if allowed {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let mut answer: HttpResponse = problem(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "this needs `Authorization: Bearer` with a token of `server.tokens`",
    );
    answer.headers_mut().insert(
        WWW_AUTHENTICATE,
        actix_web::http::header::HeaderValue::from_static("Bearer"),
    );
    Ok(request.into_response(answer).map_into_right_body())
}

/// Compares in constant time with every token, so that time tells nothing about any of them.
fn shows_token(request: &ServiceRequest, tokens: &[Secret]) -> bool {
    let shown = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    tokens.iter().fold(false, |found, token| {
        found | bool::from(token.expose().as_bytes().ct_eq(shown.trim().as_bytes()))
    })
}
