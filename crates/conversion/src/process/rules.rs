//! What a revision of the configuration says about the work on records, besides their routes.

use std::sync::Arc;

use kafkamq_point::Text;

use crate::parse::{PointOrigin, build_point};
use crate::route::{Route, RouteKind};
use crate::scripts::ScriptsInForce;
use kafkamq_settings::{AgeRule, ScriptFailure, Settings};

/// The rules for all records of a revision. A batch keeps those it was read under.
pub struct RecordRules {
    /// The scripts that go with the routes of the revision.
    pub scripts: Arc<ScriptsInForce>,
    /// What becomes of a point whose script fails.
    pub(crate) script_failure: ScriptFailure,
    /// Larger values go to the dead letters, in bytes.
    pub record_bytes: u64,
    /// Tags for points that do not have them.
    pub global_tags: Box<[(Text, Text)]>,
    /// What is done with points far from now.
    pub age: Option<AgeRule>,
}

impl RecordRules {
    /// Whether the script that runs on records by `route` waits for answers from outside. Such work
    /// has threads of its own.
    pub fn waits(&self, route: &Route) -> bool {
        match &route.kind {
            RouteKind::Points(points) | RouteKind::ConvertedPoints(_, points) => {
                self.scripts.waits(|snapshot| {
                    let origin = PointOrigin {
                        topic: &route.topic,
                        partition: 0,
                        offset: 0,
                    };
                    // Scripts are chosen by what every point of the topic has.
                    let point = build_point("", points.category, origin, 1);
                    Some(snapshot.select(points.category, &point, &points.scripts))
                })
            }
            // What a handle answers is not known before.
            RouteKind::Handle(handle) => handle.answers.is_some() && self.scripts.waits(|_| None),
            _ => false,
        }
    }

    /// What `settings` say, with the scripts that go with them.
    #[must_use]
    pub fn new(settings: &Settings, scripts: Arc<ScriptsInForce>) -> Self {
        let tags = settings.pipeline.global_tags.iter();
        Self {
            scripts,
            script_failure: settings.pipeline.on_error,
            record_bytes: settings.limits.record_bytes,
            global_tags: tags
                .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
                .collect(),
            age: settings.pipeline.age,
        }
    }
}
