//! The configuration: read it, replace it, change it, check a draft.

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, ETAG, IF_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Shared;
use super::access::Identity;
use super::operation::{Need, Operation};
use super::problem::{Finding, Kind, Problem};
use crate::reconfiguration::{self, ConfigurationOrigin, Outcome, Refusal, Request, Wanted};
use kafkamq_settings::Role;

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const TOML: &str = "application/toml";

/// `GET`, `PUT` and `PATCH /v1/config`, `POST /v1/config/check`
pub(super) fn operations() -> Vec<Operation> {
    const REFUSED: &[u16] = &[422, 503];
    vec![
        Operation::new(
            Method::GET,
            "/v1/config",
            "getConfig",
            Need::Role(Role::Read),
            show,
        )
        .about(
            "The configuration in force",
            "As it was asked for: merged from all sources, without defaults, secrets masked. Sent back, a \
             mask keeps the secret.",
        )
        .answers::<Value>(200, "The document.")
        .with_etag(),
        Operation::new(
            Method::PUT,
            "/v1/config",
            "putConfig",
            Need::Role(Role::Configure),
            replace,
        )
        .about(
            "Replace the configuration",
            "All or nothing, without leaving consumer groups unless the plan says so. With `dry_run` \
             only the plan is made.",
        )
        .query::<Dry>()
        .if_match()
        .body::<Map<String, Value>>(JSON)
        .body::<String>(TOML)
        .answers::<Outcome>(200, "What was done, or would be.")
        .with_etag()
        .refuses(REFUSED),
        Operation::new(
            Method::PATCH,
            "/v1/config",
            "patchConfig",
            Need::Role(Role::Configure),
            patch,
        )
        .about(
            "Change the configuration",
            "A JSON merge patch (RFC 7396): null removes a key, lists are replaced whole.",
        )
        .query::<Dry>()
        .if_match()
        .body::<Map<String, Value>>(MERGE_PATCH)
        .body::<Map<String, Value>>(JSON)
        .answers::<Outcome>(200, "What was done, or would be.")
        .with_etag()
        .refuses(REFUSED),
        Operation::new(
            Method::POST,
            "/v1/config/check",
            "checkConfig",
            Need::Role(Role::Configure),
            check,
        )
        .about(
            "Check a configuration",
            "Everything a change would check, and the plan; nothing is changed.",
        )
        .body::<Map<String, Value>>(JSON)
        .body::<String>(TOML)
        .answers::<Outcome>(200, "It is valid; what it would do.")
        .refuses(&[422, 503])
        .harmless()
        .heavy(),
    ]
}

/// How a change is made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Dry {
    /// Only say what would happen.
    #[serde(default)]
    pub(super) dry_run: bool,
}

async fn show(shared: web::Data<Shared>) -> HttpResponse {
    let current = shared.configuration.current();
    HttpResponse::Ok()
        .insert_header((ETAG, &*current.etag))
        .json(current.document.masked())
}

async fn replace(
    shared: web::Data<Shared>,
    request: HttpRequest,
    caller: Identity,
    dry: web::Query<Dry>,
    body: web::Bytes,
) -> Result<HttpResponse, Problem> {
    let wanted = document(&shared, &request, &body)?;
    change(&shared, &request, caller, dry.dry_run, wanted).await
}

async fn patch(
    shared: web::Data<Shared>,
    request: HttpRequest,
    caller: Identity,
    dry: web::Query<Dry>,
    body: web::Bytes,
) -> Result<HttpResponse, Problem> {
    let wanted = match &*media_type(&request) {
        MERGE_PATCH | JSON => Wanted::Patch(object(&body)?),
        other => return Err(unsupported(other, &[MERGE_PATCH, JSON])),
    };
    change(&shared, &request, caller, dry.dry_run, wanted).await
}

async fn check(
    shared: web::Data<Shared>,
    request: HttpRequest,
    caller: Identity,
    body: web::Bytes,
) -> Result<HttpResponse, Problem> {
    let wanted = document(&shared, &request, &body)?;
    let outcome = shared.configuration.change(
        wanted,
        Request {
            author: caller.name,
            origin: ConfigurationOrigin::Http,
            if_match: None,
            dry_run: true,
        },
    );
    Ok(HttpResponse::Ok().json(outcome.await?))
}

/// Makes a change in the name of a caller.
pub(super) async fn change(
    shared: &Shared,
    request: &HttpRequest,
    caller: Identity,
    dry_run: bool,
    wanted: Wanted,
) -> Result<HttpResponse, Problem> {
    let outcome = shared.configuration.change(
        wanted,
        Request {
            author: caller.name,
            origin: ConfigurationOrigin::Http,
            if_match: if_match(request),
            dry_run,
        },
    );
    let outcome = outcome.await?;
    let current = shared.configuration.current();
    Ok(HttpResponse::Ok()
        .insert_header((ETAG, &*current.etag))
        .json(outcome))
}

/// The versions that `If-Match` names; `None` if any will do. They are compared when it is the turn
/// of the change, since another one may be under way.
fn if_match(request: &HttpRequest) -> Option<Vec<String>> {
    let mut headers = request.headers().get_all(IF_MATCH).peekable();
    headers.peek()?;
    let tags: Vec<String> = headers
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(','))
        .map(|tag| tag.trim().to_owned())
        .collect();
    (!tags.iter().any(|tag| tag == "*")).then_some(tags)
}

fn media_type(request: &HttpRequest) -> String {
    let header = request.headers().get(CONTENT_TYPE);
    let text = header.and_then(|value| value.to_str().ok()).unwrap_or(JSON);
    let essence = text.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn unsupported(is: &str, takes: &[&str]) -> Problem {
    let takes = takes.join("` or `");
    Problem::new(
        Kind::UnsupportedMediaType,
        format!("the body is `{is}` and must be `{takes}`"),
    )
}

/// A whole document, as JSON or TOML.
fn document(shared: &Shared, request: &HttpRequest, body: &[u8]) -> Result<Wanted, Problem> {
    let environment = shared.configuration.environment();
    match &*media_type(request) {
        JSON => Ok(Wanted::Document(environment.json(object(body)?))),
        TOML => match std::str::from_utf8(body) {
            Ok(text) => Ok(Wanted::Document(environment.text("body", text))),
            Err(error) => Err(Problem::new(
                Kind::InvalidRequest,
                format!("the body cannot be read: {error}"),
            )),
        },
        other => Err(unsupported(other, &[JSON, TOML])),
    }
}

fn object(body: &[u8]) -> Result<Value, Problem> {
    let tree: Value = serde_json::from_slice(body).map_err(|wrong| Problem::of_json(&wrong))?;
    if tree.is_object() {
        return Ok(tree);
    }
    Err(Problem::new(
        Kind::InvalidRequest,
        "the body must be a JSON object",
    ))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::Invalid(findings) => Self::new(Kind::InvalidConfiguration, detail)
                .with_findings(findings.into_iter().map(Finding::from)),
            Refusal::Changed(etag) => Self::new(Kind::PreconditionFailed, detail).with_etag(&etag),
            Refusal::Unknown(_) => Self::new(Kind::NotFound, detail),
            Refusal::Stopping => Self::new(Kind::Unavailable, detail),
        }
    }
}

impl From<reconfiguration::Finding> for Finding {
    fn from(found: reconfiguration::Finding) -> Self {
        let variable = found.variable.map(|name| format!("${name}"));
        Self {
            severity: found.severity.as_str().to_owned(),
            file: found.file.or(variable),
            pointer: found.pointer,
            line: found.line,
            column: found.column,
            code: Some(found.code),
            message: found.message,
            hint: found.hint,
        }
    }
}
