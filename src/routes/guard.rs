//! What stands before every handler: host name, caller, role, origin, `allow_changes`, the time
//! limit, and behind it the log of changes.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError, web};

use super::access::{Access, Identity};
use super::operation::{Need, Operation};
use super::problem::{Kind, Problem};
use super::{HEAVY_AT_ONCE, HEAVY_PATIENCE, Interface, Shared};
use crate::telemetry::AUDIT;
use kafkamq_settings::Role;

/// Lets a request pass that keeps the rules.
pub(super) async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let (Some(shared), Some(interface)) = (
        request.app_data::<web::Data<Shared>>().cloned(),
        request.app_data::<web::Data<Interface>>().cloned(),
    ) else {
        return Err(Problem::new(Kind::Internal, "the interface is not set up").into());
    };
    let access = shared.access.load_full();
    let operation = request
        .match_pattern()
        .and_then(|path| interface.operation(request.method(), &path));
    let changing = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let entry = changing.then(|| Entry::of(&request, operation));

    let caller = match admit(&access, operation, &request) {
        Ok(caller) => caller,
        Err((caller, problem)) => {
            if let Some(entry) = entry {
                entry.refused(caller.as_ref(), &problem);
            }
            let answer = problem.at(request.path()).error_response();
            return Ok(request.into_response(answer).map_into_right_body());
        }
    };
    if let Some(caller) = &caller {
        request.extensions_mut().insert(caller.clone());
    }
    let heavy = operation.is_some_and(|operation| operation.heavy);
    let turn = async {
        let turn = heavy.then(|| tokio::time::timeout(HEAVY_PATIENCE, shared.heavy.acquire()));
        match turn {
            None => Ok(None),
            Some(turn) => turn.await.map(Result::ok),
        }
    };
    let Ok(_turn) = turn.await else {
        let detail =
            format!("{HEAVY_AT_ONCE} such requests are under way already; ask again later");
        let problem = Problem::new(Kind::TooMany, detail);
        if let Some(entry) = entry {
            entry.refused(caller.as_ref(), &problem);
        }
        return Err(problem.into());
    };
    let answered = tokio::time::timeout(access.timeout, next.call(request)).await;
    let Ok(answered) = answered else {
        let detail = format!("there is no answer after {:?}", access.timeout);
        let problem = Problem::new(Kind::TimedOut, detail);
        if let Some(entry) = entry {
            entry.refused(caller.as_ref(), &problem);
        }
        return Err(problem.into());
    };
    let answered = answered?;
    if let Some(entry) = entry {
        entry.done(caller.as_ref(), &answered);
    }
    Ok(in_shape(answered))
}

/// Who may ask this; otherwise why not, and who it was, if that is known.
fn admit(
    access: &Access,
    operation: Option<&Operation>,
    request: &ServiceRequest,
) -> Result<Option<Identity>, (Option<Identity>, Problem)> {
    // Paths that do not exist need a token, too.
    let need = operation.map_or(Need::Role(Role::Read), |operation| operation.need);
    let Need::Role(role) = need else {
        return Ok(None);
    };
    access
        .check_host(request)
        .map_err(|problem| (None, problem))?;
    let caller = access
        .identify(request)
        .map_err(|problem| (None, problem))?;
    let refused = |problem| (Some(caller.clone()), problem);
    if caller.role < role {
        let detail = format!(
            "this needs the role `{}`, and `{}` has `{}`",
            role.name(),
            caller.name,
            caller.role.name()
        );
        return Err(refused(Problem::new(Kind::Forbidden, detail)));
    }
    // What is only read matters too: a foreign page must not keep taps open.
    access.check_origin(request).map_err(refused)?;
    if !access.allow_changes && operation.is_some_and(Operation::changes_configuration) {
        let detail = "configuration and scripts cannot be changed over HTTP while \
                      `server.allow_changes` is false";
        return Err(refused(Problem::new(Kind::ChangesDisabled, detail)));
    }
    Ok(Some(caller))
}

/// Gives error answers of the framework the shape of all others.
fn in_shape<B: MessageBody + 'static>(
    answered: ServiceResponse<B>,
) -> ServiceResponse<EitherBody<B, BoxBody>> {
    let Some(error) = answered.response().error() else {
        return answered.map_into_left_body();
    };
    let own = error.as_error::<Problem>().cloned();
    let problem = own.unwrap_or_else(|| Problem::of_framework(answered.status(), error));
    let problem = problem.at(answered.request().path());
    answered
        .into_response(problem.error_response())
        .map_into_right_body()
}

/// One line of the log of changes.
struct Entry {
    operation: &'static str,
    method: Method,
    path: String,
    from: String,
}

impl Entry {
    fn of(request: &ServiceRequest, operation: Option<&Operation>) -> Self {
        Self {
            operation: operation.map_or("none", |operation| operation.id),
            method: request.method().clone(),
            path: request.path().to_owned(),
            from: request
                .peer_addr()
                .map_or_else(|| "unknown".to_owned(), |address| address.to_string()),
        }
    }

    fn done<B>(&self, caller: Option<&Identity>, answered: &ServiceResponse<B>) {
        let status = answered.status().as_u16();
        let result = if status < 400 { "done" } else { "refused" };
        self.write(caller, status, result);
    }

    fn refused(&self, caller: Option<&Identity>, problem: &Problem) {
        self.write(
            caller,
            problem.kind().status().as_u16(),
            problem.kind().slug(),
        );
    }

    fn write(&self, caller: Option<&Identity>, status: u16, result: &str) {
        tracing::info!(
            target: AUDIT,
            who = caller.map_or("unknown", |caller| &caller.name),
            role = caller.map_or("none", |caller| caller.role.name()),
            from = self.from,
            operation = self.operation,
            method = %self.method,
            path = self.path,
            status,
            result,
            "a change was asked for"
        );
    }
}
