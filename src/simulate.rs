//! A configuration run in virtual time, with faults: the real routes and scripts, the real machines of
//! delivery, and simulated brokers and receivers.
//!
//! Records of a user state nothing about what is to become of them, so each seed is run twice: once
//! without faults, and once with them. The same points of each record have to arrive.

mod convert;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value as Json;

use self::convert::{RealConverter, Shared};
use crate::routing::RouteTable;
use kafkamq_conversion::route::{DestinationId, Route};
use kafkamq_conversion::scripts::Scripts;
use kafkamq_conversion::{LaneNames, RecordRules};
use kafkamq_settings::Settings;
use kafkamq_sim::{Convert, Sample, Scene};

/// Records where no file names others.
const SAMPLES: [&str; 3] = [
    r#"{"message":"GET /index.html 200","status":"info","service":"web","cost":12}"#,
    r#"{"message":"connection refused","status":"error","service":"db","retries":3}"#,
    "2026-12-01 10:00:00 warn cache is cold",
];

/// A configuration to be simulated.
pub(crate) struct ConfigScene {
    shared: Arc<Shared>,
    samples: Vec<(Option<String>, Sample)>,
}

/// A line of a file of samples.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    topic: Option<String>,
    key: Option<String>,
    value: Json,
}

impl ConfigScene {
    /// Compiles routes and scripts of `settings`. Nothing leaves the process: `http_request` is off.
    ///
    /// # Errors
    /// When the service could not start with them either, when no route names a topic, or when the
    /// file of samples cannot be read.
    pub(crate) fn try_new(mut settings: Settings, samples: Option<&Path>) -> anyhow::Result<Self> {
        settings.pipeline.http_request = false;
        let (scripts, report) = Scripts::load(&settings.pipeline)?;
        kafkamq_conversion::scripts::report_problems(&report);
        let routes = RouteTable::compile(&settings, 1)?;
        let mut known: Vec<Arc<Route>> = routes.known_routes();
        known.sort_by(|a, b| a.topic.cmp(&b.topic));
        known.dedup_by(|a, b| a.topic == b.topic);
        anyhow::ensure!(
            !known.is_empty(),
            "no route names a topic, so there is nothing to simulate"
        );
        let outputs: BTreeSet<DestinationId> = known
            .iter()
            .flat_map(|route| route.kind.destinations().into_iter().cloned())
            .collect();
        anyhow::ensure!(!outputs.is_empty(), "no topic has an output");
        let samples = match samples {
            Some(path) => read(path)?,
            None => {
                let sample = |text: &&str| (None, sample(None, text.as_bytes().to_vec()));
                SAMPLES.iter().map(sample).collect()
            }
        };
        Ok(Self {
            shared: Arc::new(Shared {
                rules: RecordRules::new(&settings, scripts.in_force()),
                names: LaneNames::default(),
                routes: known,
                outputs: outputs.into_iter().collect(),
            }),
            samples,
        })
    }

    /// The topics that are simulated, and the outputs.
    #[must_use]
    pub(crate) fn about(&self) -> (Vec<String>, Vec<String>) {
        let routes = self.shared.routes.iter();
        let outputs = self.shared.outputs.iter();
        (
            routes.map(|route| route.topic.to_string()).collect(),
            outputs.map(ToString::to_string).collect(),
        )
    }
}

fn sample(key: Option<String>, value: Vec<u8>) -> Sample {
    Sample {
        key: key.map(String::into_bytes),
        value,
    }
}

/// Reads samples: one JSON object a line with `value`, and perhaps `topic` and `key`; any other line is
/// a value for every topic.
fn read(path: &Path) -> anyhow::Result<Vec<(Option<String>, Sample)>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut samples = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        samples.push(match serde_json::from_str::<Line>(line) {
            Ok(Line { topic, key, value }) => {
                let value = match value {
                    Json::String(text) => text,
                    other => other.to_string(),
                };
                (topic, sample(key, value.into_bytes()))
            }
            Err(_) => (None, sample(None, line.as_bytes().to_vec())),
        });
    }
    anyhow::ensure!(!samples.is_empty(), "{} holds no record", path.display());
    Ok(samples)
}

impl Scene for ConfigScene {
    fn topics(&self) -> Option<Vec<String>> {
        Some(self.about().0)
    }

    fn outputs(&self) -> Option<usize> {
        Some(self.shared.outputs.len())
    }

    fn converter(&self, _: usize) -> Box<dyn Convert> {
        Box::new(RealConverter::new(Arc::clone(&self.shared)))
    }

    fn record(&self, topic: usize, seed: u64) -> Option<Sample> {
        let name = self.shared.routes.get(topic).map(|route| &*route.topic);
        let takes = |of: &Option<String>| of.is_none() || of.as_deref() == name;
        let own: Vec<&Sample> = self
            .samples
            .iter()
            .filter(|(of, _)| takes(of))
            .map(|(_, sample)| sample)
            .collect();
        let count = u64::try_from(own.len()).unwrap_or(1).max(1);
        let chosen = usize::try_from(seed % count).unwrap_or(0);
        let empty = || sample(None, b"{}".to_vec());
        Some(own.get(chosen).map_or_else(empty, |one| (*one).clone()))
    }
}

#[cfg(test)]
mod tests;
