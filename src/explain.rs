//! The life of one record, told step by step: which input and route take it, what parsing and the
//! script make of it, what rules correct, and which requests it would travel in.
//!
//! The processor of the flow works on it, and nothing of what it makes is sent. What a parser decides by chance or together with other records (sampling by record, rates,
//! the requests of a batch) is said and not guessed. Scripts do run, with everything they may do.

mod request;
mod text;
mod work;

use std::sync::Arc;

use bytes::Bytes;
use kafkamq_pipeline::diagnostic::Diagnostic;
use serde::Serialize;
use serde_json::Value as Json;

pub(crate) use self::request::RequestView;
use self::work::follow;
use crate::dead_letters::{HeaderView, Payload};
use crate::kafka::StoredRecord;
use crate::routing::RouteTable;
use kafkamq_conversion::route::{InputId, RouteKind};
use kafkamq_conversion::scripts::Scripts;
use kafkamq_record::{RecordBatch, RecordBatchBuilder, TopicPartition};
use kafkamq_settings::{InputSettings, Settings, TopicPattern};

/// What becomes of a record that one input reads.
#[derive(Debug, Serialize)]
pub(crate) struct Way {
    /// Name of the input.
    pub(crate) input: String,
    /// Its consumer group.
    pub(crate) group_id: String,
    /// Why it takes the topic.
    pub(crate) taken: Taken,
    /// The kind of route.
    pub(crate) route: &'static str,
    /// What happens in order, in words.
    pub(crate) steps: Vec<String>,
    /// The points that are made of it, each with what its script makes of it.
    pub(crate) points: Vec<PointStory>,
    /// The requests it would travel in, as if it were alone.
    pub(crate) requests: Vec<RequestView>,
    /// How it ends.
    pub(crate) fate: Fate,
}

/// Why an input takes a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Taken {
    /// A route names it.
    Name(String),
    /// A pattern takes it.
    Pattern(String),
}

impl Taken {
    /// How `input` takes `topic`; `None` if it does not.
    #[must_use]
    pub(crate) fn by(input: &InputSettings, topic: &str) -> Option<Self> {
        let selection = input.selection();
        if selection.names.iter().any(|name| name == topic) {
            return Some(Self::Name(topic.to_owned()));
        }
        if selection.exclude.iter().any(|out| out.matches(topic)) {
            return None;
        }
        let takes = |text: &&str| TopicPattern::new(text).is_ok_and(|found| found.takes(topic));
        let topics = input.subscriptions().into_iter().map(|entry| entry.topic);
        let mut patterns = topics.filter(|text| TopicPattern::is_one(text));
        patterns
            .find(takes)
            .map(|text| Self::Pattern(text.to_owned()))
    }
}

/// How a record ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fate {
    /// `sent`, `settled` (a rule says that nothing has to be sent), `dropped` (by script or rule),
    /// `dead_letter`, or `sent_and_dead_letter` where a part of it fails.
    pub(crate) outcome: &'static str,
    /// Why, unless it is sent.
    pub(crate) reason: Option<String>,
}

/// A point and what becomes of it.
#[derive(Debug, Serialize)]
pub(crate) struct PointStory {
    /// The point before its script.
    pub(crate) built: Json,
    /// Its script, if one runs.
    pub(crate) script: Option<ScriptStory>,
    /// The points that go on.
    pub(crate) results: Vec<ResultStory>,
}

/// What a script did.
#[derive(Debug, Serialize)]
pub(crate) struct ScriptStory {
    /// File name of the script.
    pub(crate) name: String,
    /// `kept`, `dropped`, or `failed`: the point goes on as it was when the script stopped.
    pub(crate) status: &'static str,
    /// Why it stopped early.
    pub(crate) error: Option<ScriptError>,
}

/// Where and why a script stopped.
#[derive(Debug, Serialize)]
pub(crate) struct ScriptError {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column, from 1.
    pub(crate) column: usize,
    /// Code of the error.
    pub(crate) code: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do, if that is known.
    pub(crate) hint: Option<String>,
}

impl From<&Diagnostic> for ScriptError {
    fn from(error: &Diagnostic) -> Self {
        let position = error.source.position(error.span.start);
        Self {
            line: position.line,
            column: position.column,
            code: error.code.as_str().to_owned(),
            message: error.message.to_string(),
            hint: error.help.as_ref().map(ToString::to_string),
        }
    }
}

/// A point behind its script.
#[derive(Debug, Serialize)]
pub(crate) struct ResultStory {
    /// The point as it is encoded; absent if a rule drops it.
    pub(crate) point: Json,
    /// What the rules changed in it: global tags, its time, limits.
    pub(crate) corrections: Vec<String>,
    /// The destinations that take it.
    pub(crate) outputs: Vec<String>,
    /// Why it cannot be delivered.
    pub(crate) refused: Option<String>,
}

/// The record itself.
#[derive(Debug, Serialize)]
pub(crate) struct RecordView {
    /// The topic it was read from.
    pub(crate) topic: String,
    /// The partition of that topic.
    pub(crate) partition: i32,
    /// Its offset in the partition.
    pub(crate) offset: i64,
    /// When it was written, in RFC 3339, as far as it says.
    pub(crate) time: Option<String>,
    /// Its key, or null if the record has none.
    pub(crate) key: Option<Payload>,
    /// Its headers in order.
    pub(crate) headers: Vec<HeaderView>,
    /// Its value; null is a tombstone.
    pub(crate) value: Option<Payload>,
    /// Bytes of its value.
    pub(crate) value_bytes: Option<usize>,
}

impl RecordView {
    /// Shows `record` of `source`.
    #[must_use]
    pub(crate) fn of(source: &TopicPartition, record: &StoredRecord) -> Self {
        let payload = |bytes: &Option<Bytes>| bytes.as_deref().map(Payload::of);
        let time = record.timestamp.map(|millis| {
            jiff::Timestamp::from_millisecond(millis)
                .map_or_else(|_| millis.to_string(), |time| time.to_string())
        });
        Self {
            topic: source.topic.to_string(),
            partition: source.partition,
            offset: record.offset,
            time,
            key: payload(&record.key),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| HeaderView {
                    name: name.clone(),
                    value: payload(value),
                })
                .collect(),
            value: payload(&record.value),
            value_bytes: record.value.as_ref().map(Bytes::len),
        }
    }
}

/// Explains records by one configuration.
#[derive(Debug)]
pub(crate) struct Explainer {
    settings: Arc<Settings>,
    routes: RouteTable,
    scripts: Scripts,
}

/// Why nothing can be explained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExplainError {
    /// A route or output cannot be used.
    #[error(transparent)]
    Routing(#[from] crate::routing::RoutingError),
    /// The script engine cannot be set up.
    #[error(transparent)]
    Scripts(#[from] kafkamq_conversion::scripts::ScriptsError),
    /// No input reads the topic.
    #[error("input `{input}` does not read `{topic}`")]
    NotRead {
        /// Name of the input.
        input: String,
        /// The topic that was asked about.
        topic: String,
    },
}

impl Explainer {
    /// Compiles routes and scripts of `settings`. Scripts that do not compile are reported and left
    /// out, as in the service.
    ///
    /// # Errors
    /// When the service could not start with them either.
    pub(crate) fn try_new(settings: Settings) -> Result<Self, ExplainError> {
        let (scripts, report) = Scripts::load(&settings.pipeline)?;
        kafkamq_conversion::scripts::report_problems(&report);
        Ok(Self {
            routes: RouteTable::compile(&settings, 1)?,
            scripts,
            settings: Arc::new(settings),
        })
    }

    /// What becomes of `record` of `source` when `input` reads it. With `body` the bodies of requests
    /// are shown, too.
    ///
    /// # Errors
    /// When the input does not read the topic.
    pub(crate) fn explain(
        &self,
        input: &InputSettings,
        source: &TopicPartition,
        record: &StoredRecord,
        body: bool,
    ) -> Result<Way, ExplainError> {
        let not_read = || ExplainError::NotRead {
            input: input.name.clone(),
            topic: source.topic.to_string(),
        };
        let id = InputId(input.name.as_str().into());
        let taken = Taken::by(input, &source.topic).ok_or_else(not_read)?;
        let route = self.routes.route(&id, &source.topic).ok_or_else(not_read)?;
        let batch = batch(source, record);
        let record = batch.get(0).ok_or_else(not_read)?;
        let mut found = follow(&self.settings, &self.scripts, &route, &batch, &record);
        if let RouteKind::Handle(handle) = &route.kind
            && handle.answers.is_some()
        {
            found.steps.push(
                "points of the handle's answer would go to the outputs; nobody asked it".to_owned(),
            );
        }
        Ok(Way {
            input: input.name.clone(),
            group_id: input.group_id.clone(),
            taken,
            route: route.kind.name(),
            steps: found.steps,
            points: found.points,
            requests: found
                .outgoing
                .iter()
                .map(|outgoing| RequestView::of(outgoing, &self.routes, &record, source, body))
                .collect(),
            fate: found.fate,
        })
    }
}

fn batch(source: &TopicPartition, record: &StoredRecord) -> RecordBatch {
    let bytes = record.value.as_ref().map_or(0, Bytes::len);
    let mut batch = RecordBatchBuilder::with_capacity(source.clone(), 1, bytes);
    batch.push(
        record.offset,
        record.timestamp.unwrap_or(-1),
        record.key.as_deref(),
        record.value.as_deref(),
    );
    for (name, value) in &record.headers {
        batch.push_header(name.as_bytes(), value.as_deref());
    }
    batch.build()
}

#[cfg(test)]
mod tests;
