//! The log level of the running process.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::web;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::operation::{Need, Operation};
use super::parameters::{Object, whole, within};
use super::problem::{Kind, Problem};
use crate::telemetry::TelemetryError;
use kafkamq_settings::Role;

const PATH: &str = "/v1/log-level";
const DAY: u32 = 86_400;

/// The operations on the log level.
pub(super) fn operations() -> Vec<Operation> {
    let operate = Need::Role(Role::Operate);
    vec![
        Operation::new(
            Method::GET,
            PATH,
            "getLogLevel",
            Need::Role(Role::Read),
            show,
        )
        .about("The log level", "")
        .answers::<LevelState>(200, "The filter in force."),
        Operation::new(Method::PUT, PATH, "setLogLevel", operate, set)
            .about(
                "Change the log level",
                "For all modules or one, for a while or until the next start. `off` mutes a single module \
                 only.",
            )
            .body::<LevelChange>("application/json")
            .answers::<LevelState>(200, "The filter in force.")
            .refuses(&[422]),
        Operation::new(Method::DELETE, PATH, "resetLogLevel", operate, reset)
            .about("Put the configured log level back", "")
            .answers::<LevelState>(200, "The filter in force."),
    ]
}

/// A level of detail.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Another log level.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LevelChange {
    /// The level from now on.
    level: Level,
    /// Only of this module and what is below it, such as `kafkamq::kafka`; the levels of others stay.
    #[serde(default)]
    #[schemars(regex(pattern = "^[A-Za-z0-9_]+(::[A-Za-z0-9_]+)*$"))]
    module: Option<String>,
    /// Seconds after which the configured level comes back.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 86_400))]
    seconds: Option<u32>,
}

/// The log filter.
#[derive(Debug, Serialize, JsonSchema)]
struct LevelState {
    /// The filter in force.
    filter: String,
    /// The filter of the configuration.
    configured: String,
    /// Seconds until the configured one comes back; null if it does not by itself.
    seconds_left: Option<f64>,
}

async fn show(shared: web::Data<Shared>) -> web::Json<LevelState> {
    let view = shared.log_level.view();
    web::Json(LevelState {
        filter: view.current,
        configured: view.configured,
        seconds_left: view.remaining.map(|left| left.as_secs_f64()),
    })
}

fn refused(error: TelemetryError) -> Problem {
    let kind = match error {
        TelemetryError::Filter(_) => Kind::InvalidConfiguration,
        _ => Kind::Internal,
    };
    Problem::new(kind, error.to_string())
}

async fn set(
    shared: web::Data<Shared>,
    change: web::Json<Object<LevelChange>>,
) -> Result<web::Json<LevelState>, Problem> {
    let change = change.into_inner().0;
    let seconds = change
        .seconds
        .map(|seconds| within("seconds", Some(seconds), 1, &(1..=DAY)))
        .transpose()?;
    let duration = seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
    let level = change.level.name();
    let changed = match &change.module {
        None => shared.log_level.set(level, duration),
        Some(module) if is_module(module) => shared.log_level.set_module(module, level, duration),
        Some(module) => {
            let detail = format!("`{module}` is not a module such as kafkamq::kafka");
            return Err(Problem::new(Kind::InvalidRequest, detail));
        }
    };
    let id = changed.map_err(refused)?;
    if let Some(duration) = duration {
        let log_level = shared.log_level.clone();
        actix_web::rt::spawn(async move {
            tokio::time::sleep(duration).await;
            if let Err(error) = log_level.expire(id) {
                tracing::warn!(%error, "the configured log level cannot be put back");
            }
        });
    }
    Ok(show(shared).await)
}

fn is_module(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.split("::")
        .all(|part| !part.is_empty() && part.bytes().all(word))
}

async fn reset(shared: web::Data<Shared>) -> Result<web::Json<LevelState>, Problem> {
    shared.log_level.reset().map_err(refused)?;
    Ok(show(shared).await)
}
