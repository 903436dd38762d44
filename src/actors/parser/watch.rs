//! What metrics and the log hear of the work on records.

use kafkamq_pipeline::diagnostic::Diagnostic;

use crate::metrics::{Metrics, TopicMetrics};
use kafkamq_conversion::SplitError;
use kafkamq_conversion::{Ending, Witness};
use kafkamq_record::LeftOut;

/// Counts what becomes of the records of one topic.
pub(super) struct Watch<'a> {
    metrics: &'a Metrics,
    topic: &'a TopicMetrics,
}

impl<'a> Watch<'a> {
    pub(super) const fn new(metrics: &'a Metrics, topic: &'a TopicMetrics) -> Self {
        Self { metrics, topic }
    }
}

impl Witness for Watch<'_> {
    fn ended(&mut self, ending: &Ending<'_>) {
        if let Ending::TooLarge { bytes, limit } = ending {
            tracing::warn!(
                bytes,
                limit,
                "a record is larger than `limits.record_bytes`"
            );
        }
    }

    fn cannot_split(&mut self, error: &SplitError) {
        self.topic.split_failures.inc();
        tracing::debug!(%error, "a value cannot be split");
    }

    fn failed(&mut self, script: &str, error: &Diagnostic) {
        let code = error.code.to_string();
        self.metrics
            .script_errors
            .with_label_values(&[script, &code])
            .inc();
        tracing::debug!(script, %error, "a script failed on a point");
    }

    fn left_out(&mut self, why: LeftOut) {
        self.topic.left_out(why);
    }
}

/// Counts a point that belongs to no topic.
pub(super) fn count_left_out(metrics: &Metrics, source: &str, why: LeftOut) {
    metrics
        .parts_left_out
        .with_label_values(&[source, why.label()])
        .inc();
}
