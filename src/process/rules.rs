//! What a revision of the configuration says about the work on records, besides their routes.

use std::sync::Arc;

use kafkamq_point::Text;

use crate::recorder::Recorder;
use crate::scripts::ScriptsInForce;
use kafkamq_settings::{AgeRule, ScriptFailure, Settings};

/// The rules for all records of a revision. A batch keeps those it was read under.
pub(crate) struct RecordRules {
    pub(crate) scripts: Arc<ScriptsInForce>,
    pub(crate) script_failure: ScriptFailure,
    /// Larger values go to the dead letters, in bytes.
    pub(crate) record_bytes: u64,
    /// Tags for points that do not have them.
    pub(crate) global_tags: Box<[(Text, Text)]>,
    /// What is done with points far from now.
    pub(crate) age: Option<AgeRule>,
    /// Where copies of points go; the same for the life of the process.
    pub(crate) recorder: Option<Recorder>,
    /// Bytes that one run of a script may make.
    pub(crate) script_bytes: usize,
}

impl RecordRules {
    pub(crate) fn new(
        settings: &Settings,
        scripts: Arc<ScriptsInForce>,
        recorder: Option<Recorder>,
    ) -> Self {
        let tags = settings.pipeline.global_tags.iter();
        Self {
            scripts,
            script_failure: settings.pipeline.on_error,
            record_bytes: settings.limits.record_bytes,
            global_tags: tags
                .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
                .collect(),
            age: settings.pipeline.age,
            recorder,
            script_bytes: script_bytes(settings),
        }
    }
}

/// An eighth of the memory limit, shared by the threads that run scripts at once.
fn script_bytes(settings: &Settings) -> usize {
    const SHARE: u64 = 8;
    let threads = settings.pipeline.threads.max(1) as u64;
    usize::try_from(settings.limits.memory_bytes / SHARE / threads).unwrap_or(usize::MAX)
}
