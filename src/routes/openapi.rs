//! `GET /openapi.json`: the interface described for programs (OpenAPI 3.1), made from the
//! declarations of its operations.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::operation::{Need, Operation, Parameters, Place};
use super::problem::{PROBLEM_JSON, Problem};
use super::{Interface, Shared};
use kafkamq_settings::Role;

/// `GET /openapi.json`
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::GET,
            "/openapi.json",
            "getOpenApi",
            Need::Role(Role::Read),
            show,
        )
        .about("Describe this interface", "An OpenAPI 3.1 document.")
        .answers::<Map<String, Value>>(200, "The description."),
    ]
}

async fn show(interface: web::Data<Interface>, shared: web::Data<Shared>) -> HttpResponse {
    let restricted = shared.access.load().is_restricted;
    HttpResponse::Ok().json(document(interface.operations(), restricted))
}

/// Two generators, since a type may be read in more forms than it is written in.
struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            read: settings().for_deserialize().into_generator(),
            written: settings().for_serialize().into_generator(),
        }
    }

    fn into_definitions(mut self) -> Map<String, Value> {
        let mut all = self.written.take_definitions(true);
        all.extend(self.read.take_definitions(true));
        all
    }
}

/// The whole document. `restricted` tells whether callers have to show a token.
pub(super) fn document(operations: &[Operation], restricted: bool) -> Value {
    let mut schemas = Schemas::new();
    let problem = schemas.written.subschema_for::<Problem>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        paths.entry(operation.path).or_default().insert(
            operation.method.as_str().to_ascii_lowercase(),
            describe(operation, restricted, &mut schemas, &problem),
        );
    }
    let mut components = json!({ "schemas": schemas.into_definitions() });
    if restricted {
        components["securitySchemes"] = json!({
            "token": { "type": "http", "scheme": "bearer", "description": "A token of `server.tokens`." }
        });
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "kafkamq",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "State, configuration and control of a running kafkamq.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": components,
    })
}

fn describe(
    operation: &Operation,
    restricted: bool,
    schemas: &mut Schemas,
    problem: &Schema,
) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [tag(operation.path)],
        "summary": operation.summary,
    });
    let mut text = operation.description.to_owned();
    if let Need::Role(role) = operation.need {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!("Needs the role `{}`.", role.name()));
        if restricted {
            described["security"] = json!([{ "token": [] }]);
        }
    }
    described["description"] = text.into();
    let parameters: Vec<Value> = operation
        .parameters
        .iter()
        .flat_map(|parameters| describe_parameters(parameters, &mut schemas.read))
        .collect();
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if !operation.bodies.is_empty() {
        let mut content = Map::new();
        for body in &operation.bodies {
            let schema = (body.schema)(&mut schemas.read);
            content.insert(body.content_type.to_owned(), json!({ "schema": schema }));
        }
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    described["responses"] = Value::Object(describe_answers(operation, schemas, problem));
    described
}

/// The first part of the path below the version.
fn tag(path: &str) -> &str {
    let rest = path.strip_prefix("/v1/").unwrap_or("service");
    rest.split('/').next().unwrap_or(rest)
}

fn describe_parameters(parameters: &Parameters, generator: &mut SchemaGenerator) -> Vec<Value> {
    let schema = (parameters.schema)(generator).to_value();
    let required: BTreeSet<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let place = match parameters.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let describe = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let description = schema
            .as_object_mut()
            .and_then(|schema| schema.remove("description"));
        // Absence is what `required` says; a parameter cannot be null.
        let nullable = schema.pointer("/type/0").cloned();
        if let Some(only) = nullable {
            schema["type"] = only;
        }
        let mut parameter = json!({
            "name": name,
            "in": place,
            "required": parameters.place == Place::Path || required.contains(name.as_str()),
            "schema": schema,
        });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameter
    };
    properties.into_iter().flatten().map(describe).collect()
}

fn describe_answers(
    operation: &Operation,
    schemas: &mut Schemas,
    problem: &Schema,
) -> Map<String, Value> {
    let mut answers = Map::new();
    for answer in &operation.answers {
        let mut described = json!({ "description": answer.description });
        if let Some((content_type, schema)) = answer.content {
            let schema = schema(&mut schemas.written);
            described["content"] = json!({ content_type: { "schema": schema } });
        }
        if answer.etag {
            described["headers"] = json!({
                "ETag": { "description": "The version.", "schema": { "type": "string" } }
            });
        }
        answers.insert(answer.status.to_string(), described);
    }
    let mut problems: BTreeSet<u16> = operation.problems.iter().copied().collect();
    if operation.need != Need::Nothing {
        problems.extend([401, 403, 408, 421]);
    }
    for status in problems {
        let reason = actix_web::http::StatusCode::from_u16(status).ok();
        let reason = reason.and_then(|status| status.canonical_reason());
        let described = json!({
            "description": reason.unwrap_or_default(),
            "content": { PROBLEM_JSON: { "schema": problem } },
        });
        answers.entry(status.to_string()).or_insert(described);
    }
    answers
}
