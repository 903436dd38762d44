//! Scripts: what runs, what is wrong with it, giving one at run time, and trying one.

mod eval;

use actix_web::http::Method;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ETAG};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use kafkamq_pipeline::manager::ScriptChangeError;
use kafkamq_point::Category;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::access::Identity;
use super::conditional::if_match;
use super::operation::{Need, Operation};
use super::parameters::{CategoryName, ScriptName};
use super::problem::{Finding, Kind, Problem};
use super::{Shared, keep};
use kafkamq_conversion::scripts::{GivenScript, ScriptOrigin, TrialError};
use kafkamq_settings::Role;

const PATH: &str = "/v1/pipelines/{category}/{name}";
const SCRIPT: &str = "text/plain";

/// The operations on scripts.
pub(super) fn operations() -> Vec<Operation> {
    let read = Need::Role(Role::Read);
    let configure = Need::Role(Role::Configure);
    let mut operations = vec![
        Operation::new(Method::GET, "/v1/pipelines", "listPipelines", read, list)
            .about(
                "The scripts",
                "Those that work, and what is wrong with those that do not.",
            )
            .answers::<ScriptList>(200, "The scripts."),
    ];
    operations.extend(eval::operations());
    operations.extend([
        Operation::new(Method::GET, PATH, "getPipeline", read, show)
            .about("A script", "Its text as it was given last, whether it works or not.")
            .path_parameters::<ScriptPath>()
            .answers::<ScriptView>(200, "The script.")
            .with_etag()
            .refuses(&[400, 404]),
        Operation::new(Method::PUT, PATH, "putPipeline", configure, put)
            .about(
                "Put a script into force",
                "It takes the place of the script of that name in the pipeline folder until that file \
                 changes; after a restart, too, if `server.state_dir` is set. A script that does not \
                 compile changes nothing.",
            )
            .path_parameters::<ScriptPath>()
            .query::<PutQuery>()
            .if_match()
            .body::<ScriptText>(SCRIPT)
            .answers::<ScriptView>(200, "It is in force; with `dry_run`, it could be.")
            .with_etag()
            .answers::<ScriptView>(201, "It is new and in force.")
            .with_etag()
            .refuses(&[422]),
        Operation::new(Method::DELETE, PATH, "deletePipeline", configure, remove)
            .about(
                "Take back a script that was put",
                "The one of the pipeline folder counts again, if there is one. Those of the folder \
                 cannot be removed over HTTP.",
            )
            .path_parameters::<ScriptPath>()
            .if_match()
            .answers_nothing(204, "It is gone.")
            .refuses(&[400, 404, 409]),
    ]);
    operations
}

/// Names a script.
#[derive(Debug, Deserialize, JsonSchema)]
struct ScriptPath {
    /// Category of the points it runs on.
    category: CategoryName,
    /// Its name, with or without `.p`.
    name: ScriptName,
}

/// The text of a script.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "only its schema is used")]
struct ScriptText(#[schemars(length(min = 1))] String);

/// How a script is put.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PutQuery {
    /// Compile it and change nothing.
    dry_run: Option<bool>,
}

/// All scripts.
#[derive(Debug, Serialize, JsonSchema)]
struct ScriptList {
    /// By category and name.
    scripts: Vec<ScriptEntry>,
}

/// A script without its text.
#[derive(Debug, Serialize, JsonSchema)]
struct ScriptEntry {
    /// Category of the points it runs on.
    category: &'static str,
    /// Its file name, which ends in `.p`.
    name: String,
    /// `folder`, or `http` if it was given at run time.
    origin: &'static str,
    /// Who gave it at run time; null for those of the folder.
    put: Option<PutView>,
    /// Whether a version of it runs.
    works: bool,
    /// What is wrong with the newest text.
    diagnostics: Vec<Finding>,
    /// How it fared since the service started.
    statistics: Statistics,
}

/// A script that was put over HTTP.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ScriptPut")]
struct PutView {
    /// Name of the token that put it.
    by: String,
    /// When, in RFC 3339.
    time: String,
    /// Whether it outlives the process, in one sentence.
    next_start: &'static str,
}

/// How a script fared.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "ScriptStatistics")]
struct Statistics {
    /// Points it ran on.
    points: u64,
    /// Runs that ended in an error.
    errors: u64,
    /// Points it dropped.
    drops: u64,
    /// Time it ran.
    seconds: f64,
}

/// A script with its text and what became of it.
#[derive(Debug, Serialize, JsonSchema)]
struct ScriptView {
    #[serde(flatten)]
    entry: ScriptEntry,
    /// Its text as it was given last.
    text: String,
}

const fn origin_name(origin: ScriptOrigin) -> &'static str {
    match origin {
        ScriptOrigin::Folder => "folder",
        ScriptOrigin::Runtime => "http",
    }
}

fn etag(text: &str) -> String {
    let digest = Sha256::digest(text);
    let hex: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{hex}\"")
}

fn entry(shared: &Shared, category: Category, name: &str, given: &GivenScript) -> ScriptEntry {
    let problems = shared.router.scripts().problems();
    let namespaces = |origin| match origin {
        ScriptOrigin::Folder => "default",
        ScriptOrigin::Runtime => "remote",
    };
    let diagnostics = problems
        .iter()
        .filter(|problem| {
            problem.category == category
                && problem.name == name
                && problem.namespace.name() == namespaces(given.origin)
        })
        .flat_map(|problem| problem.diagnostics.iter().map(Finding::from))
        .collect();
    let put = (given.origin == ScriptOrigin::Runtime)
        .then(|| shared.router.scripts().put_by(category, name))
        .flatten();
    let put = put.map(|(by, time)| PutView {
        by,
        time,
        next_start: shared.router.run_time().next_start(),
    });
    let statistics = given.loaded.as_ref().map(|loaded| {
        let total = loaded.stats().total();
        Statistics {
            points: total.points,
            errors: total.errors,
            drops: total.drops,
            seconds: total.time.as_secs_f64(),
        }
    });
    ScriptEntry {
        category: category.name(),
        name: name.to_owned(),
        origin: origin_name(given.origin),
        put,
        works: given.loaded.is_some(),
        diagnostics,
        statistics: statistics.unwrap_or_default(),
    }
}

async fn list(shared: web::Data<Shared>) -> web::Json<ScriptList> {
    let scripts = shared.router.scripts();
    let mut names: Vec<(Category, String)> = scripts
        .all()
        .iter()
        .map(|script| (script.category(), script.name().to_owned()))
        .collect();
    names.extend(
        scripts
            .problems()
            .into_iter()
            .map(|problem| (problem.category, problem.name)),
    );
    names.sort();
    names.dedup();
    let scripts = names
        .iter()
        .filter_map(|(category, name)| {
            let given = scripts.given(*category, name)?;
            Some(entry(&shared, *category, name, &given))
        })
        .collect();
    web::Json(ScriptList { scripts })
}

fn missing(path: &ScriptPath) -> Problem {
    let detail = format!("there is no {} script `{}`", path.category.0, path.name.0);
    Problem::new(Kind::NotFound, detail)
}

fn given(shared: &Shared, path: &ScriptPath) -> Option<GivenScript> {
    shared.router.scripts().given(path.category.0, &path.name.0)
}

fn view(
    shared: &Shared,
    path: &ScriptPath,
    given: GivenScript,
    status: StatusCode,
) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((ETAG, etag(&given.text)))
        .json(ScriptView {
            entry: entry(shared, path.category.0, &path.name.0, &given),
            text: given.text,
        })
}

async fn show(
    shared: web::Data<Shared>,
    path: web::Path<ScriptPath>,
) -> Result<HttpResponse, Problem> {
    let given = given(&shared, &path).ok_or_else(|| missing(&path))?;
    Ok(view(&shared, &path, given, StatusCode::OK))
}

fn broken(problem: &kafkamq_pipeline::manager::ScriptProblem) -> Problem {
    let errors = problem.diagnostics.len();
    let s = if errors == 1 { "" } else { "s" };
    let detail = format!(
        "`{}` has {errors} error{s}; nothing was changed",
        problem.name
    );
    Problem::new(Kind::InvalidScript, detail)
        .with_findings(problem.diagnostics.iter().map(Finding::from))
}

fn refused(error: TrialError) -> Problem {
    match error {
        TrialError::Broken(problem) => broken(&problem),
        TrialError::Missing(..) => Problem::new(Kind::NotFound, error.to_string()),
    }
}

fn script_text(request: &HttpRequest, body: &Bytes) -> Result<String, Problem> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let is_text = content_type
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or(value).trim())
        .is_some_and(|value| value.eq_ignore_ascii_case(SCRIPT));
    if !is_text {
        let detail = format!("the body must be `{SCRIPT}`: the text of the script");
        return Err(Problem::new(Kind::UnsupportedMediaType, detail));
    }
    if body.is_empty() {
        return Err(Problem::new(
            Kind::InvalidRequest,
            "there is no script in the body",
        ));
    }
    let text = std::str::from_utf8(body);
    text.map(str::to_owned)
        .map_err(|_| Problem::new(Kind::InvalidRequest, "the script is not UTF-8"))
}

async fn put(
    request: HttpRequest,
    shared: web::Data<Shared>,
    path: web::Path<ScriptPath>,
    query: web::Query<PutQuery>,
    caller: Identity,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let text = script_text(&request, &body)?;
    let before = given(&shared, &path);
    if_match(
        &request,
        before.as_ref().map(|given| etag(&given.text)).as_deref(),
    )?;
    let scripts = shared.router.scripts();
    let (category, name) = (path.category.0, path.name.0.as_str());
    if query.dry_run == Some(true) {
        scripts.check(category, name, &text).map_err(refused)?;
        let wanted = GivenScript {
            origin: ScriptOrigin::Runtime,
            text,
            loaded: before.and_then(|before| before.loaded),
        };
        return Ok(view(&shared, &path, wanted, StatusCode::OK));
    }
    match scripts.put(category, name, &text, &caller.name) {
        Ok(report) => kafkamq_conversion::scripts::report_problems(&report),
        Err(ScriptChangeError::Broken(problem)) => return Err(broken(&problem)),
        Err(error @ ScriptChangeError::Missing(_)) => {
            return Err(Problem::new(Kind::NotFound, error.to_string()));
        }
    }
    keep(&shared).await?;
    let status = match before {
        Some(_) => StatusCode::OK,
        None => StatusCode::CREATED,
    };
    let given = given(&shared, &path).ok_or_else(|| missing(&path))?;
    Ok(view(&shared, &path, given, status))
}

async fn remove(
    request: HttpRequest,
    shared: web::Data<Shared>,
    path: web::Path<ScriptPath>,
) -> Result<HttpResponse, Problem> {
    let before = given(&shared, &path).ok_or_else(|| missing(&path))?;
    if_match(&request, Some(&etag(&before.text)))?;
    if before.origin == ScriptOrigin::Folder {
        let detail = format!(
            "`{}` is a file of the pipeline folder; remove it there",
            path.name.0
        );
        return Err(Problem::new(Kind::Conflict, detail));
    }
    match shared
        .router
        .scripts()
        .remove(path.category.0, &path.name.0)
    {
        Ok(report) => kafkamq_conversion::scripts::report_problems(&report),
        Err(_) => return Err(missing(&path)),
    }
    keep(&shared).await?;
    Ok(HttpResponse::NoContent().finish())
}
