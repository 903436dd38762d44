//! What the interface offers, declared once: the server, the checks before a handler and the
//! description at `/openapi.json` are all made from the same list, so they cannot disagree.

use std::fmt;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Responder, Route, guard, web};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use kafkamq_settings::Role;

/// Makes the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What an operation asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: everybody who can connect may ask.
    Nothing,
    /// A token or certificate with at least this role.
    Role(Role),
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

/// Parameters: every property of one type.
#[derive(Clone)]
pub(super) struct Parameters {
    pub(super) place: Place,
    pub(super) schema: SchemaOf,
}

/// A body that an operation takes.
#[derive(Clone)]
pub(super) struct Body {
    pub(super) content_type: &'static str,
    pub(super) schema: SchemaOf,
}

/// An answer other than a problem.
#[derive(Clone)]
pub(super) struct AnswerDescription {
    pub(super) status: u16,
    pub(super) description: &'static str,
    /// Media type and schema; `None` for an empty body.
    pub(super) content: Option<(&'static str, SchemaOf)>,
    pub(super) etag: bool,
}

/// One method of one path.
#[derive(Clone)]
pub(crate) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) need: Need,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) parameters: Vec<Parameters>,
    pub(super) bodies: Vec<Body>,
    pub(super) answers: Vec<AnswerDescription>,
    pub(super) problems: Vec<u16>,
    /// Whether it leaves everything as it was, although it is not a GET.
    pub(super) harmless: bool,
    /// Whether it may take much memory or time, so that only a few may be under way at once.
    pub(super) heavy: bool,
    route: Arc<dyn Fn() -> Route + Send + Sync>,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Operation {
    /// Declares what `method` does at `path` (`{name}` are parameters). `id` is unique and stays:
    /// generated clients take it as the name of a function.
    pub(crate) fn new<H, Args>(
        method: Method,
        path: &'static str,
        id: &'static str,
        need: Need,
        handler: H,
    ) -> Self
    where
        H: Handler<Args> + Send + Sync,
        Args: FromRequest + 'static,
        H::Output: Responder + 'static,
    {
        let served = method.clone();
        Self {
            method,
            path,
            id,
            need,
            summary: "",
            description: "",
            parameters: Vec::new(),
            bodies: Vec::new(),
            answers: Vec::new(),
            problems: Vec::new(),
            harmless: false,
            heavy: false,
            route: Arc::new(move || {
                let route = web::route();
                let route = if served == Method::GET {
                    route.guard(guard::Any(guard::Get()).or(guard::Head()))
                } else {
                    route.guard(guard::Method(served.clone()))
                };
                route.to(handler.clone())
            }),
        }
    }

    /// A few words, and what else a caller should know.
    pub(crate) const fn about(mut self, summary: &'static str, description: &'static str) -> Self {
        self.summary = summary;
        self.description = description;
        self
    }

    /// Takes the parameters of the path into a `T`.
    pub(crate) fn path_parameters<T: JsonSchema>(self) -> Self {
        self.parameters::<T>(Place::Path)
    }

    /// Takes the query into a `T`.
    pub(crate) fn query<T: JsonSchema>(self) -> Self {
        self.parameters::<T>(Place::Query).refuses(&[400])
    }

    /// Obeys `If-Match`.
    pub(crate) fn if_match(self) -> Self {
        self.parameters::<IfMatch>(Place::Header).refuses(&[412])
    }

    fn parameters<T: JsonSchema>(mut self, place: Place) -> Self {
        self.parameters.push(Parameters {
            place,
            schema: T::json_schema,
        });
        self
    }

    /// Takes a body. Several calls offer a choice.
    pub(crate) fn body<T: JsonSchema>(mut self, content_type: &'static str) -> Self {
        self.bodies.push(Body {
            content_type,
            schema: subschema::<T>,
        });
        self.refuses(&[400, 413, 415])
    }

    /// Answers JSON.
    pub(crate) fn answers<T: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        self.answers_as::<T>(status, "application/json", description)
    }

    /// Answers in another media type.
    pub(crate) fn answers_as<T: JsonSchema>(
        mut self,
        status: u16,
        content_type: &'static str,
        description: &'static str,
    ) -> Self {
        self.answers.push(AnswerDescription {
            status,
            description,
            content: Some((content_type, subschema::<T>)),
            etag: false,
        });
        self
    }

    /// Answers without a body.
    pub(crate) fn answers_nothing(mut self, status: u16, description: &'static str) -> Self {
        self.answers.push(AnswerDescription {
            status,
            description,
            content: None,
            etag: false,
        });
        self
    }

    /// The answer declared last carries an `ETag`.
    pub(crate) fn with_etag(mut self) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.etag = true;
        }
        self
    }

    /// Statuses of the problems it answers with, besides those that follow from what was declared.
    pub(crate) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.problems.extend(statuses);
        self
    }

    /// It leaves everything as it was, although it is not a GET: it is allowed with
    /// `allow_changes = false`.
    pub(crate) const fn harmless(mut self) -> Self {
        self.harmless = true;
        self
    }

    /// It may take much memory or time: only [`HEAVY_AT_ONCE`](super::HEAVY_AT_ONCE) of these are
    /// under way at once, the others wait for their turn.
    pub(crate) fn heavy(mut self) -> Self {
        self.heavy = true;
        self.refuses(&[429])
    }

    /// Whether `server.allow_changes` speaks about it.
    pub(super) fn changes_configuration(&self) -> bool {
        self.need == Need::Role(Role::Configure) && self.method != Method::GET && !self.harmless
    }

    /// The route for one worker.
    pub(super) fn route(&self) -> Route {
        (self.route)()
    }
}

fn subschema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Headers of a conditional request.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct IfMatch {
    /// The `ETag` of the version that this is meant for; `*` is any.
    #[schemars(rename = "If-Match")]
    if_match: Option<String>,
}
