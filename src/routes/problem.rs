//! The one shape of an error answer: problem details (RFC 9457).
//!
//! Every refusal of the interface is a [`Problem`], those of the framework's own extractors too. A
//! kind of problem has one `type`, one title and one status; what differs from case to case stands
//! in `detail` and, where there is a place to point to, in `diagnostics`.

use std::fmt;

use actix_web::error::{JsonPayloadError, PathError, PayloadError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, ETAG, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use schemars::JsonSchema;
use serde::Serialize;

use kafkamq_settings as settings;

/// Media type of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $status:ident, $slug:literal, $title:literal;)*) => {
        /// What went wrong, as far as a program can act on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind { $($(#[doc = $doc])* $name,)* }

        impl Kind {
            /// All kinds, for the documentation.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Status of the answer.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The last part of the problem's `type`.
            pub(crate) const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            /// A short text that is the same for every problem of the kind.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

kinds! {
    /// A parameter or body cannot be read.
    InvalidRequest = BAD_REQUEST, "invalid-request", "The request cannot be read";
    /// No token, or a wrong one.
    Unauthorized = UNAUTHORIZED, "unauthorized", "Authentication is needed";
    /// The token's role is too weak.
    Forbidden = FORBIDDEN, "forbidden", "The role does not allow this";
    /// `server.allow_changes` is false.
    ChangesDisabled = FORBIDDEN, "changes-disabled", "Changes over HTTP are switched off";
    /// A page of another origin asked.
    ForeignOrigin = FORBIDDEN, "foreign-origin", "The request comes from a foreign page";
    /// Nothing is there.
    NotFound = NOT_FOUND, "not-found", "Not found";
    /// The resource has other methods.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed";
    /// The request did not arrive in time, or took too long.
    TimedOut = REQUEST_TIMEOUT, "timed-out", "The request took too long";
    /// It does not fit the present state.
    Conflict = CONFLICT, "conflict", "The present state does not allow this";
    /// `If-Match` names another version.
    PreconditionFailed = PRECONDITION_FAILED, "precondition-failed", "Somebody else changed this";
    /// The body is larger than `server.max_body`.
    PayloadTooLarge = PAYLOAD_TOO_LARGE, "payload-too-large", "The body is too large";
    /// The body has a media type that the operation does not take.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type";
    /// The host name is not one of the service.
    UnknownHost = MISDIRECTED_REQUEST, "unknown-host", "Unknown host name";
    /// A configuration has errors; all of them are in `diagnostics`.
    InvalidConfiguration = UNPROCESSABLE_ENTITY, "invalid-configuration", "The configuration is not valid";
    /// A script does not compile.
    InvalidScript = UNPROCESSABLE_ENTITY, "invalid-script", "The script does not compile";
    /// More at a time than is allowed.
    TooMany = TOO_MANY_REQUESTS, "too-many", "Too many at once";
    /// A defect or a failure of the system.
    Internal = INTERNAL_SERVER_ERROR, "internal", "Internal error";
    /// A part of the service did not answer, or is stopping.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "Not available at the moment";
}

/// An error answer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Problem(Box<Details>);

/// An error answer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
struct Details {
    /// Names the kind of problem.
    #[serde(rename = "type")]
    kind_uri: String,
    /// The kind in words.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What is wrong in this case.
    detail: String,
    /// Names this occurrence; the path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// Places that have to be corrected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    diagnostics: Vec<Finding>,
    #[serde(skip)]
    #[schemars(skip)]
    kind: Kind,
    #[serde(skip)]
    #[schemars(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// One place that has to be corrected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Finding {
    /// `error` or `warning`.
    pub(crate) severity: String,
    /// File or script, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// JSON pointer into the document that was sent or runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pointer: Option<String>,
    /// Line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// Column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<usize>,
    /// Stable code, where the source of the finding has codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl Problem {
    /// A problem of `kind`; `detail` says what is wrong in this case and never holds a secret.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind_uri: format!("urn:problem-type:kafkamq:{}", kind.slug()),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail: detail.into(),
            instance: None,
            diagnostics: Vec::new(),
            kind,
            headers: Vec::new(),
        }))
    }

    /// The same with places that have to be corrected.
    pub(crate) fn with_findings(mut self, findings: impl IntoIterator<Item = Finding>) -> Self {
        self.0.diagnostics.extend(findings);
        self
    }

    /// The same for one request.
    pub(super) fn at(mut self, path: &str) -> Self {
        self.0.instance = Some(path.to_owned());
        self
    }

    fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.push((name, value));
        }
        self
    }

    /// The same with the version that is there now.
    pub(crate) fn with_etag(self, etag: &str) -> Self {
        self.with_header(ETAG, etag)
    }

    /// A part of the service did not answer in time.
    pub(crate) fn no_answer(who: &str) -> Self {
        Self::new(
            Kind::Unavailable,
            format!("the {who} did not answer in time"),
        )
    }

    pub(super) fn unauthorized(detail: &str) -> Self {
        Self::new(Kind::Unauthorized, detail)
            .with_header(WWW_AUTHENTICATE, "Bearer realm=\"kafkamq\"")
    }

    pub(super) fn method_not_allowed(allowed: &str) -> Self {
        Self::new(Kind::MethodNotAllowed, format!("there is {allowed} here"))
            .with_header(ALLOW, allowed)
    }

    /// What kind of problem it is.
    pub(crate) const fn kind(&self) -> Kind {
        self.0.kind
    }

    /// An error answer of the framework in the shape of all others.
    pub(super) fn of_framework(status: StatusCode, error: &dyn fmt::Display) -> Self {
        let kind = match status {
            StatusCode::PAYLOAD_TOO_LARGE => Kind::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Kind::UnsupportedMediaType,
            StatusCode::NOT_FOUND => Kind::NotFound,
            StatusCode::REQUEST_TIMEOUT => Kind::TimedOut,
            status if status.is_client_error() => Kind::InvalidRequest,
            _ => Kind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.title, self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.0.kind.status());
        for header in &self.0.headers {
            answer.insert_header(header.clone());
        }
        answer.content_type(PROBLEM_JSON).json(self)
    }
}

impl From<JsonPayloadError> for Problem {
    fn from(error: JsonPayloadError) -> Self {
        match &error {
            JsonPayloadError::OverflowKnownLength { length, limit } => Self::new(
                Kind::PayloadTooLarge,
                format!("the body has {length} bytes, {limit} are allowed"),
            ),
            JsonPayloadError::Overflow { limit } => Self::new(
                Kind::PayloadTooLarge,
                format!("the body has more than the {limit} bytes that are allowed"),
            ),
            JsonPayloadError::ContentType => Self::new(
                Kind::UnsupportedMediaType,
                "the body must be `application/json`",
            ),
            JsonPayloadError::Deserialize(wrong) => Self::of_json(wrong),
            JsonPayloadError::Payload(error) => Self::of_payload(error),
            other => Self::new(Kind::InvalidRequest, other.to_string()),
        }
    }
}

impl Problem {
    /// A body that is not JSON, or not of the expected shape.
    pub(super) fn of_json(wrong: &serde_json::Error) -> Self {
        // Positions have a place of their own.
        let message = wrong.to_string();
        let message = message
            .rsplit_once(" at line ")
            .map_or(&*message, |(before, _)| before);
        let finding = Finding {
            severity: "error".to_owned(),
            line: Some(wrong.line()).filter(|&line| line > 0),
            column: Some(wrong.column()).filter(|&column| column > 0),
            message: message.to_owned(),
            ..Finding::default()
        };
        Self::new(
            Kind::InvalidRequest,
            format!("the body cannot be read: {message}"),
        )
        .with_findings([finding])
    }

    fn of_payload(error: &PayloadError) -> Self {
        Self::of_framework(error.status_code(), error)
    }
}

impl From<QueryPayloadError> for Problem {
    fn from(error: QueryPayloadError) -> Self {
        Self::new(
            Kind::InvalidRequest,
            format!("the query cannot be read: {error}"),
        )
    }
}

impl From<PathError> for Problem {
    fn from(error: PathError) -> Self {
        Self::new(
            Kind::InvalidRequest,
            format!("the path cannot be read: {error}"),
        )
    }
}

impl From<&settings::Diagnostic> for Finding {
    fn from(found: &settings::Diagnostic) -> Self {
        let at = found.position.as_ref();
        let file = at.map(|at| at.file.clone());
        let variable = found.variable.as_ref().map(|name| format!("${name}"));
        Self {
            severity: match found.severity {
                settings::Severity::Error => "error",
                settings::Severity::Warning => "warning",
            }
            .to_owned(),
            file: file.or(variable),
            pointer: (!found.key.is_empty()).then(|| pointer(&found.key)),
            line: at.map(|at| at.line),
            column: at.map(|at| at.column),
            code: None,
            message: found.message.clone(),
            hint: found.hint.clone(),
        }
    }
}

impl From<&kafkamq_pipeline::diagnostic::Diagnostic> for Finding {
    fn from(found: &kafkamq_pipeline::diagnostic::Diagnostic) -> Self {
        let at = found.source.position(found.span.start);
        // Editors count characters, the engine counts bytes.
        let line = found.source.text().lines().nth(at.line.saturating_sub(1));
        let before = line.and_then(|line| line.get(..at.column.saturating_sub(1)));
        Self {
            severity: "error".to_owned(),
            file: Some(found.source.name().to_owned()),
            line: Some(at.line),
            column: Some(before.map_or(at.column, |before| before.chars().count() + 1)),
            code: Some(found.code.as_str().to_owned()),
            message: found.message.clone(),
            hint: found.help.clone(),
            pointer: None,
        }
    }
}

/// The JSON pointer (RFC 6901) of a key path such as `inputs.kafkamq[0]."a.b"`.
fn pointer(path: &str) -> String {
    let mut pointer = String::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (part, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted.split_once('"').unwrap_or((quoted, ""))
        } else if let Some(index) = rest.strip_prefix('[') {
            index.split_once(']').unwrap_or((index, ""))
        } else {
            rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()))
        };
        pointer.push('/');
        pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_paths_become_pointers() {
        for (path, expected) in [
            ("server", "/server"),
            ("inputs.kafkamq[0].group_id", "/inputs/kafkamq/0/group_id"),
            ("a.\"b.c\".d", "/a/b.c/d"),
            ("a.\"b/c\"[12]", "/a/b~1c/12"),
        ] {
            assert_eq!(pointer(path), expected);
        }
    }

    #[test]
    fn a_broken_body_is_marked_at_its_place() {
        let wrong = serde_json::from_str::<u8>("\n {").unwrap_err();
        let problem = Problem::from(JsonPayloadError::Deserialize(wrong));
        assert_eq!(problem.kind(), Kind::InvalidRequest);
        assert_eq!(problem.0.diagnostics[0].line, Some(2));
        assert!(!problem.0.detail.contains("line"), "{}", problem.0.detail);
    }

    #[test]
    fn every_kind_is_documented() {
        let page = include_str!("../../docs/http.md");
        for kind in Kind::ALL {
            let row = format!("| `{}` | {} |", kind.slug(), kind.status().as_u16());
            assert!(page.contains(&row), "{row}");
        }
    }
}
