//! Dead letters: listed, shown, and sent back.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::operation::{Need, Operation};
use super::parameters::{Object, whole, within};
use super::problem::{Kind, Problem};
use crate::dead_letters::{
    DeadLettersError, LetterDetail, LetterId, LetterSummary, Replay, ReplayReport,
};
use kafkamq_delivery::dead_letter::Filter;
use kafkamq_settings::Role;

/// A replay that takes longer goes on without its caller.
const REPLAY_PATIENCE: Duration = Duration::from_secs(20);
/// The largest number that every JSON reader takes as it is.
const OFFSET_MAX: i64 = 9_007_199_254_740_991;
const PAGE: u32 = 100;
const PAGE_MAX: u32 = 1000;

/// The operations on dead letters.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new(
            Method::GET,
            "/v1/dead-letters",
            "listDeadLetters",
            Need::Role(Role::Read),
            list,
        )
        .about(
            "Records that were given up",
            "Without their content. Those that were replayed are left out unless asked for.",
        )
        .query::<ListQuery>()
        .heavy()
        .answers::<LetterPage>(200, "Some of them, oldest first.")
        .refuses(&[404, 409, 500]),
        Operation::new(
            Method::POST,
            "/v1/dead-letters/replay",
            "replayDeadLetters",
            Need::Role(Role::Operate),
            replay,
        )
        .about(
            "Send letters back to where they came from",
            "By their ids, or all that match. They are marked once the brokers have them. One \
             replay runs at a time; one that takes longer than 20 seconds goes on by itself.",
        )
        .body::<ReplayRequest>("application/json")
        .answers::<ReplayReport>(200, "What became of them.")
        .answers::<Running>(202, "The replay goes on.")
        .refuses(&[404, 409, 500]),
        // Behind the fixed path, which would be an id otherwise.
        Operation::new(
            Method::GET,
            "/v1/dead-letters/{id}",
            "getDeadLetter",
            Need::Role(Role::Operate),
            show,
        )
        .about("One of them with its content", "")
        .path_parameters::<LetterPath>()
        .heavy()
        .answers::<LetterDetail>(200, "The letter.")
        .refuses(&[404, 409, 500]),
    ]
}

/// Names a letter.
#[derive(Debug, Deserialize, JsonSchema)]
struct LetterPath {
    /// Its number, or `topic%2Fpartition%2Foffset` where letters are kept in a topic.
    id: String,
}

/// Declares what a request says about letters: first those it is about, then its own fields. Flattening
/// would be shorter, but queries know no numbers and refuse no unknown names then.
macro_rules! about_letters {
    (
        $(#[$meta:meta])*
        struct $name:ident {
            #[partition($($partition:meta),*)]
            $($own:tt)*
        }
    ) => {
        $(#[$meta])*
        struct $name {
            /// Only of this topic.
            topic: Option<String>,
            /// Only of this partition.
            $(#[$partition])*
            #[schemars(range(min = 0, max = 2_147_483_647))]
            partition: Option<i32>,
            /// Only of the record with this offset.
            $(#[$partition])*
            #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
            offset: Option<i64>,
            /// Only of this input.
            input: Option<String>,
            /// Only from this stage.
            stage: Option<String>,
            /// Only with a reason that contains this.
            reason: Option<String>,
            /// Only given up at this time or later.
            #[schemars(extend("format" = "date-time"))]
            from: Option<String>,
            /// Only given up before this time.
            #[schemars(extend("format" = "date-time"))]
            to: Option<String>,
            $($own)*
        }

        impl $name {
            fn filter(&self, include_replayed: bool) -> Result<Filter, Problem> {
                let not_negative = |name: &str, number: Option<i64>, most: i64| {
                    number
                        .map(|number| within(name, Some(number), 0, &(0..=most)))
                        .transpose()
                };
                let partition = self.partition.map(i64::from);
                let partition = not_negative("partition", partition, i64::from(i32::MAX))?;
                Ok(Filter {
                    topic: self.topic.clone(),
                    partition: partition.and_then(|number| i32::try_from(number).ok()),
                    offset: not_negative("offset", self.offset, OFFSET_MAX)?,
                    input: self.input.clone(),
                    stage: self.stage.clone(),
                    reason: self.reason.clone(),
                    from: time("from", self.from.as_deref())?,
                    to: time("to", self.to.as_deref())?,
                    after: None,
                    include_replayed,
                })
            }
        }
    };
}

about_letters! {
    /// Which letters, and how many of them.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct ListQuery {
        #[partition()]
        /// Those that were replayed too.
        replayed: Option<bool>,
        /// Only after this one: the `next` of the page before.
        #[schemars(regex(pattern = "^([0-9]{1,19}|[A-Za-z0-9._-]{1,249}/[0-9]{1,9}/[0-9]{1,18})$"))]
        after: Option<String>,
        /// Letters at most, 100 by default.
        #[schemars(range(min = 1, max = 1000))]
        limit: Option<u32>,
    }
}

about_letters! {
    /// Which letters to replay: by id, or all that match.
    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    struct ReplayRequest {
        #[partition(serde(deserialize_with = "whole"))]
        /// Only these; those that do not match the rest of the request are skipped.
        ids: Option<Vec<String>>,
        /// Those that were replayed before too.
        again: bool,
        /// Count only.
        dry_run: bool,
    }
}

/// One page of the list of letters.
#[derive(Debug, Serialize, JsonSchema)]
struct LetterPage {
    /// The letters of this page.
    letters: Vec<LetterSummary>,
    /// What to ask for as `after` to see more; null if there are no more.
    next: Option<String>,
}

/// A replay goes on.
#[derive(Debug, Serialize, JsonSchema)]
struct Running {
    /// Always true.
    running: bool,
}

fn invalid(message: impl std::fmt::Display) -> Problem {
    Problem::new(Kind::InvalidRequest, message.to_string())
}

fn time(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let parse = |text: &str| {
        let time = text.parse::<jiff::Timestamp>();
        time.map(|time| time.as_millisecond()).map_err(|_| {
            invalid(format!(
                "`{name}` is not a time such as 2026-07-30T12:00:00Z"
            ))
        })
    };
    text.map(parse).transpose()
}

fn failed(error: DeadLettersError) -> Problem {
    let kind = match &error {
        DeadLettersError::NotKept | DeadLettersError::Busy(_) => Kind::Conflict,
        DeadLettersError::WrongId(..) => Kind::NotFound,
        _ => Kind::Internal,
    };
    if kind == Kind::Internal {
        tracing::warn!(%error, "dead letters");
    }
    Problem::new(kind, error.to_string())
}

fn gone(_: actix_web::error::BlockingError) -> Problem {
    Problem::new(Kind::Unavailable, "the service is stopping")
}

async fn list(
    shared: web::Data<Shared>,
    query: web::Query<ListQuery>,
) -> Result<web::Json<LetterPage>, Problem> {
    let limit = within("limit", query.limit, PAGE, &(1..=PAGE_MAX))?;
    let after = query.after.as_deref().map(str::parse::<LetterId>);
    let after = after.transpose().map_err(invalid)?;
    let filter = query.filter(query.replayed.unwrap_or(false))?;
    let letters = shared.dead_letters.load_full();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let page = web::block(move || letters.list(&filter, after.as_ref(), limit))
        .await
        .map_err(gone)?
        .map_err(failed)?;
    let last = page.entries.last().filter(|_| page.more);
    Ok(web::Json(LetterPage {
        next: last.map(|entry| entry.id.clone()),
        letters: page.entries,
    }))
}

async fn show(
    shared: web::Data<Shared>,
    path: web::Path<LetterPath>,
) -> Result<web::Json<LetterDetail>, Problem> {
    let missing = || {
        Problem::new(
            Kind::NotFound,
            format!("there is no dead letter `{}`", path.id),
        )
    };
    let id: LetterId = path.id.parse().map_err(|_| missing())?;
    let letters = shared.dead_letters.load_full();
    let found = web::block(move || letters.get(&id))
        .await
        .map_err(gone)?
        .map_err(failed)?;
    let entry = found.ok_or_else(missing)?;
    Ok(web::Json(LetterDetail::from(&entry)))
}

async fn replay(
    shared: web::Data<Shared>,
    request: web::Json<Object<ReplayRequest>>,
) -> Result<HttpResponse, Problem> {
    let request = request.into_inner().0;
    let ids = request.ids.as_ref().map(|ids| {
        let ids: Result<Vec<LetterId>, _> = ids.iter().map(|id| id.parse()).collect();
        ids.map_err(|error| Problem::new(Kind::NotFound, error.to_string()))
    });
    let replay = Replay {
        ids: ids.transpose()?,
        filter: request.filter(request.again)?,
        again: request.again,
        dry_run: request.dry_run,
    };
    let letters = shared.dead_letters.load_full();
    let running = web::block(move || {
        let result = letters.replay(&replay, |_: &ReplayReport| ());
        match &result {
            Ok(report) => tracing::info!(
                replayed = report.replayed,
                failed = report.failed,
                dry_run = replay.dry_run,
                "dead letters replayed"
            ),
            Err(error) => tracing::warn!(%error, "a replay of dead letters failed"),
        }
        result
    });
    match tokio::time::timeout(REPLAY_PATIENCE, running).await {
        Ok(ended) => Ok(HttpResponse::Ok().json(ended.map_err(gone)?.map_err(failed)?)),
        Err(_) => Ok(HttpResponse::Accepted().json(Running { running: true })),
    }
}
