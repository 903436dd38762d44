//! The HTTP interface of the service.
//!
//! Each resource has a file that declares its operations and holds their handlers; what stands
//! before and behind every handler is in `guard`. Everything but health, metrics and the console's
//! page needs a role where tokens or client certificates are configured. Every error answer is a
//! problem document. `docs/http.md` describes all of it for users, `/openapi.json` for programs.
//!
//! Handlers extract, ask the library or the router and map its answer; they hold no logic of their
//! own.

mod access;
mod conditional;
mod config;
mod console;
mod dead_letters;
mod destinations;
mod guard;
mod health;
mod log_level;
mod metrics;
mod openapi;
mod operation;
mod parameters;
mod pipelines;
#[allow(dead_code, reason = "the resource of configuration uses the rest")]
mod problem;
mod records;
mod revisions;
mod status;
pub(crate) mod tls;
mod topics;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::{HttpRequest, web};
use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use self::operation::Operation;
use self::problem::{Kind, Problem};
use crate::actors::Router;
use crate::dead_letters::DeadLetters;
use crate::metrics::Metrics;
use crate::reconfiguration::Reconfiguration;
use crate::telemetry::LogLevel;

pub(crate) use access::Access;

/// What handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// The running actors.
    pub(crate) router: Router,
    /// All metrics.
    pub(crate) metrics: Metrics,
    /// The configuration in force.
    pub(crate) configuration: Reconfiguration,
    /// Rules for callers; they may be replaced at any time.
    pub(crate) access: Arc<ArcSwap<Access>>,
    /// The dead letters of the running configuration.
    pub(crate) dead_letters: Arc<ArcSwap<DeadLetters>>,
    /// The log filter of the process.
    pub(crate) log_level: LogLevel,
    /// The turns of heavy operations.
    pub(crate) heavy: Arc<Semaphore>,
}

/// Heavy operations that may be under way at once.
pub(crate) const HEAVY_AT_ONCE: usize = 2;
/// How long one waits for its turn before it is refused.
const HEAVY_PATIENCE: Duration = Duration::from_secs(15);

/// Keeps what was set at run time. It is in force whether that works or not; the status page says so.
async fn keep(shared: &Shared) -> Result<(), Problem> {
    let run_time = Arc::clone(shared.router.run_time());
    let kept = web::block(move || run_time.keep());
    kept.await
        .map_err(|_| Problem::new(Kind::Unavailable, "the service is stopping"))
}

/// Everything the interface offers, in the order of its documentation.
fn operations() -> Vec<Operation> {
    [
        health::operations(),
        metrics::operations(),
        status::operations(),
        config::operations(),
        revisions::operations(),
        topics::operations(),
        destinations::operations(),
        pipelines::operations(),
        dead_letters::operations(),
        log_level::operations(),
        openapi::operations(),
        console::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The operations with a way to find one.
#[derive(Debug)]
struct Interface {
    operations: Vec<Operation>,
    by_path: HashMap<&'static str, Vec<usize>>,
}

impl Interface {
    fn new(operations: Vec<Operation>) -> Self {
        let mut by_path: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, operation) in operations.iter().enumerate() {
            by_path.entry(operation.path).or_default().push(at);
        }
        Self {
            operations,
            by_path,
        }
    }

    fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// What `method` does at a path as it was declared.
    fn operation(&self, method: &Method, path: &str) -> Option<&Operation> {
        // HEAD is GET without a body.
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        self.at(path).find(|operation| operation.method == *method)
    }

    fn at(&self, path: &str) -> impl Iterator<Item = &Operation> {
        let found = self.by_path.get(path).into_iter().flatten();
        found.filter_map(|&at| self.operations.get(at))
    }

    /// The value of `Allow` at a path.
    fn allowed(&self, path: &str) -> String {
        let mut methods: Vec<&str> = Vec::new();
        for operation in self.at(path) {
            methods.push(operation.method.as_str());
            if operation.method == Method::GET {
                methods.push(Method::HEAD.as_str());
            }
        }
        methods.join(", ")
    }
}

/// Registers every operation. `body_bytes` is the largest request body.
pub(crate) fn configure(shared: Shared, body_bytes: usize) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        let interface = Interface::new(operations());
        let mut scope = web::scope("")
            .app_data(web::Data::new(shared))
            .app_data(web::PayloadConfig::new(body_bytes))
            .app_data(
                web::JsonConfig::default()
                    .limit(body_bytes)
                    .error_handler(|error, _| Problem::from(error).into()),
            )
            .app_data(
                web::QueryConfig::default().error_handler(|error, _| Problem::from(error).into()),
            )
            .app_data(
                web::PathConfig::default().error_handler(|error, _| Problem::from(error).into()),
            )
            .wrap(actix_web::middleware::from_fn(guard::guard));
        // In the order of declaration, so that fixed paths may stand before those with parameters.
        let mut paths: Vec<&str> = Vec::new();
        for operation in interface.operations() {
            if !paths.contains(&operation.path) {
                paths.push(operation.path);
            }
        }
        for path in paths {
            let allowed = interface.allowed(path);
            let refuse = move || {
                let problem = Problem::method_not_allowed(&allowed);
                async move { Err::<String, Problem>(problem) }
            };
            let mut resource = web::resource(path).default_service(web::to(refuse));
            for operation in interface.at(path) {
                resource = resource.route(operation.route());
            }
            scope = scope.service(resource);
        }
        config.service(
            scope
                .app_data(web::Data::new(interface))
                .default_service(web::to(not_found)),
        );
    }
}

async fn not_found(request: HttpRequest) -> Result<String, Problem> {
    let detail = format!("there is no {}", request.path());
    Err(Problem::new(Kind::NotFound, detail))
}

#[cfg(test)]
mod tests;
