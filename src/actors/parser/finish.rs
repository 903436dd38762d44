//! The last steps of every point before it is sent: global tags, limits, the rule about its age, its
//! copy for the recorder, and its encodings.

use kafkamq_point::{Point, Rules, Text};

use crate::actors::directory::Terms;
use crate::parse::Bodies;
use crate::recorder::Feed;
use crate::routing::OutputRoute;
use kafkamq_settings::{AgeAction, AgeRule};

/// The field in which a point that was moved to the present keeps its own time.
const ORIGINAL_TIME: &str = "__orig_time";

/// How points are finished.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a> {
    /// Tags for points that do not have them.
    pub(super) global_tags: &'a [(Text, Text)],
    /// What is done with points far from now.
    pub(super) age: Option<AgeRule>,
    /// Nanoseconds since the Unix epoch.
    pub(super) now_ns: i64,
    /// Where copies go.
    pub(super) feed: Option<&'a Feed>,
}

/// What became of a point.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pushed {
    /// Items, one for each output that takes it.
    pub(super) items: u32,
    /// Why no destination can have it, if it is a fault.
    pub(super) refused: Option<String>,
}

impl<'a> Finish<'a> {
    /// What `terms` say of points that are finished at `now_ns`.
    pub(super) fn by(terms: &'a Terms, now_ns: i64, feed: Option<&'a Feed>) -> Self {
        Self {
            global_tags: &terms.global_tags,
            age: terms.age,
            now_ns,
            feed,
        }
    }

    /// Encodes `point`, made from the record at index `record`, for every output.
    pub(super) fn push<'o>(
        self,
        bodies: &mut Bodies<'o>,
        outputs: &'o [OutputRoute],
        mut point: Point,
        record: u32,
        lane: u64,
    ) -> Pushed {
        for (key, value) in self.global_tags {
            if point.get(key).is_none() {
                point.set_tag(key.clone(), value.clone());
            }
        }
        let mut pushed = Pushed::default();
        if let Some(action) = self.far_away(&point) {
            match action {
                AgeAction::Drop => return pushed,
                AgeAction::DeadLetter => {
                    let time = point.time_ns();
                    let reason = format!("the time of the point, {time} ns, is too far from now");
                    pushed.refused = Some(reason);
                    return pushed;
                }
                AgeAction::Clamp => {
                    let time = point.time_ns();
                    point.set_field(ORIGINAL_TIME, time);
                    point.set_time_ns(self.now_ns);
                }
            }
        }
        Rules::limits().apply(&mut point);
        if let Some(feed) = self.feed {
            feed.record(&point);
        }
        for output in outputs {
            match bodies.push(output, &point, record, lane) {
                Ok(made) => pushed.items += u32::from(made),
                Err(error) => {
                    let reason = format!("no destination can take the point: {error}");
                    pushed.refused = Some(reason);
                }
            }
        }
        pushed
    }

    fn far_away(self, point: &Point) -> Option<AgeAction> {
        let rule = self.age?;
        let distance = self.now_ns.abs_diff(point.time_ns());
        (u128::from(distance) > rule.max_age.as_nanos()).then_some(rule.action)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kafkamq_point::{Category, Value};

    use super::*;

    const NOW: i64 = 1_700_000_000_000_000_000;
    const SECOND: i64 = 1_000_000_000;

    fn finish(action: AgeAction) -> Finish<'static> {
        Finish {
            global_tags: &[],
            age: Some(AgeRule {
                max_age: Duration::from_secs(60),
                action,
            }),
            now_ns: NOW,
            feed: None,
        }
    }

    fn point(time_ns: i64) -> Point {
        Point::new("m", Category::Logging, time_ns)
    }

    #[test]
    fn points_near_now_are_left_alone_and_others_are_not() {
        for shift in [0, 60 * SECOND, -60 * SECOND] {
            assert_eq!(finish(AgeAction::Drop).far_away(&point(NOW + shift)), None);
        }
        for time in [
            NOW + 60 * SECOND + 1,
            NOW - 61 * SECOND,
            0,
            i64::MIN,
            i64::MAX,
        ] {
            let found = finish(AgeAction::Clamp).far_away(&point(time));
            assert_eq!(found, Some(AgeAction::Clamp));
        }
        let off = Finish {
            age: None,
            ..finish(AgeAction::Drop)
        };
        assert_eq!(off.far_away(&point(0)), None);
    }

    #[test]
    fn each_action_does_what_it_says() {
        let push = |action| finish(action).push(&mut Bodies::default(), &[], point(1), 0, 0);
        assert_eq!(push(AgeAction::Drop), Pushed::default());
        assert!(push(AgeAction::DeadLetter).refused.is_some());
        let folder = tempfile::tempdir().unwrap();
        let settings = kafkamq_settings::RecorderSettings {
            enabled: true,
            path: folder.path().to_owned(),
            encoding: kafkamq_settings::RecorderEncoding::LineProtocol,
            duration: None,
            inputs: Vec::new(),
            categories: Vec::new(),
            rotate_bytes: 1 << 20,
            max_bytes: 1 << 20,
        };
        let metrics = crate::metrics::Metrics::try_new().unwrap();
        let recorder = crate::recorder::Recorder::start(&settings, &metrics.recorder_points);
        let recorder = recorder.unwrap().unwrap();
        let feed = recorder.feed("x").unwrap();
        let clamped = Finish {
            feed: Some(&feed),
            ..finish(AgeAction::Clamp)
        };
        let pushed = clamped.push(&mut Bodies::default(), &[], point(1), 0, 0);
        assert_eq!(pushed, Pushed::default());
        assert_eq!(
            metrics
                .recorder_points
                .with_label_values(&["recorded"])
                .get(),
            1
        );
        let mut moved = point(1);
        moved.set_field(ORIGINAL_TIME, 1_i64);
        assert_eq!(
            moved.get(ORIGINAL_TIME).map(|entry| &entry.value),
            Some(&Value::Int(1))
        );
    }
}
