//! What scripts keep between runs, as metrics.

use super::Metrics;
use kafkamq_conversion::scripts::ScriptState;

impl Metrics {
    /// Shows what scripts keep. Values refused are counted on from what was shown before.
    pub(crate) fn show_scripts(&self, state: ScriptState) {
        let kinds = [
            ("aggregation", state.aggregation_bytes),
            ("caches", state.kept_bytes),
        ];
        for (kind, bytes) in kinds {
            self.script_kept_bytes
                .with_label_values(&[kind])
                .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        let refused = &self.script_refused_values;
        refused.inc_by(state.refused_values.saturating_sub(refused.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scripts_keep_is_shown_as_it_is_and_refused_values_once() {
        let metrics = Metrics::try_new().unwrap();
        for refused in [3, 3, 5] {
            metrics.show_scripts(ScriptState {
                aggregation_bytes: 7,
                refused_values: refused,
                kept_bytes: 9,
            });
            assert_eq!(metrics.script_refused_values.get(), refused);
        }
        let kept = |kind| metrics.script_kept_bytes.with_label_values(&[kind]).get();
        assert_eq!((kept("aggregation"), kept("caches")), (7, 9));
    }
}
