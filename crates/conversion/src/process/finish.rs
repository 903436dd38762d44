//! The last steps of every point before it is encoded: global tags, the rule about its age, limits,
//! and its copy for the recorder.

use kafkamq_point::{Point, Rules, Text, Value};

use super::RecordRules;
use kafkamq_record::LeftOut;
use kafkamq_settings::{AgeAction, AgeRule};

/// The field in which a point that was moved to the present keeps its own time.
const ORIGINAL_TIME: &str = "__orig_time";

/// Takes copies of points as they are about to be sent. Nothing that it does changes them.
pub trait Copies {
    /// Takes a copy of `point`, unless that would have to wait.
    fn take(&self, point: &Point);
}

/// How points are finished.
#[derive(Clone, Copy)]
pub struct Finish<'a> {
    /// Tags for points that do not have them.
    pub global_tags: &'a [(Text, Text)],
    /// What is done with points far from now.
    pub age: Option<AgeRule>,
    /// Nanoseconds since the Unix epoch.
    pub now_ns: i64,
    /// Who gets copies.
    pub copies: Option<&'a dyn Copies>,
    /// Whether line breaks in texts become spaces.
    pub one_line: bool,
}

/// Why a point goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// A rule leaves it out.
    LeftOut(LeftOut),
    /// It belongs into the dead letters.
    Fault(String),
}

impl<'a> Finish<'a> {
    /// What `rules` say of points that are finished at `now_ns`.
    #[inline]
    pub fn by(rules: &'a RecordRules, now_ns: i64, copies: Option<&'a dyn Copies>) -> Self {
        Self {
            global_tags: &rules.global_tags,
            age: rules.age,
            now_ns,
            copies,
            one_line: false,
        }
    }

    /// Corrects `point`; what was corrected is added to `noted` in words, if somebody wants it.
    pub fn correct(
        self,
        point: &mut Point,
        mut noted: Option<&mut Vec<String>>,
    ) -> Result<(), Refused> {
        let mut note = |text: &dyn Fn() -> String| {
            if let Some(noted) = &mut noted {
                noted.push(text());
            }
        };
        for (key, value) in self.global_tags {
            if point.get(key).is_none() {
                point.set_tag(key.clone(), value.clone());
                note(&|| format!("global tag {key}={value}"));
            }
        }
        let time = point.time_ns();
        match self.far_away(point) {
            None => {}
            Some(AgeAction::Drop) => return Err(Refused::LeftOut(LeftOut::Age)),
            Some(AgeAction::DeadLetter) => {
                let reason = format!("the time of the point, {time} ns, is too far from now");
                return Err(Refused::Fault(reason));
            }
            Some(AgeAction::Clamp) => {
                point.set_field(ORIGINAL_TIME, time);
                point.set_time_ns(self.now_ns);
                note(&|| format!("its time, {time} ns, is too far from now: moved"));
            }
        }
        if self.one_line {
            one_line(point);
        }
        for warning in Rules::limits().apply(point) {
            note(&|| warning.to_string());
        }
        if let Some(copies) = self.copies {
            copies.take(point);
        }
        Ok(())
    }

    fn far_away(self, point: &Point) -> Option<AgeAction> {
        let rule = self.age?;
        let distance = self.now_ns.abs_diff(point.time_ns());
        (u128::from(distance) > rule.max_age.as_nanos()).then_some(rule.action)
    }
}

/// Line breaks in texts of the point become spaces, whoever put them there.
fn one_line(point: &mut Point) {
    let broken = |text: &str| memchr::memchr(b'\n', text.as_bytes()).is_some();
    let is_broken = |entry: &kafkamq_point::Entry| entry.value.as_str().is_some_and(broken);
    if broken(point.name()) {
        point.set_name(point.name().replace('\n', " "));
    }
    if !point.entries().iter().any(is_broken) {
        return;
    }
    for entry in point.entries_mut() {
        if is_broken(entry)
            && let Value::Str(text) = &entry.value
        {
            entry.value = Value::Str(text.replace('\n', " ").into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
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
            copies: None,
            one_line: false,
        }
    }

    fn point(time_ns: i64) -> Point {
        Point::new("m", Category::Logging, time_ns)
    }

    /// The times of the points that it got copies of.
    #[derive(Default)]
    struct Taken(RefCell<Vec<i64>>);

    impl Copies for Taken {
        fn take(&self, point: &Point) {
            self.0.borrow_mut().push(point.time_ns());
        }
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
        let correct = |action| finish(action).correct(&mut point(1), None);
        assert_eq!(
            correct(AgeAction::Drop),
            Err(Refused::LeftOut(LeftOut::Age))
        );
        assert!(matches!(
            correct(AgeAction::DeadLetter),
            Err(Refused::Fault(_))
        ));
        let taken = Taken::default();
        let clamped = Finish {
            copies: Some(&taken),
            ..finish(AgeAction::Clamp)
        };
        let mut moved = point(1);
        assert_eq!(clamped.correct(&mut moved, None), Ok(()));
        assert_eq!(
            taken.0.take(),
            [NOW],
            "the copy is of the point as it is sent"
        );
        assert_eq!(
            moved.get(ORIGINAL_TIME).map(|entry| &entry.value),
            Some(&Value::Int(1))
        );
    }

    #[test]
    fn no_text_breaks_a_line_where_that_is_asked_for() {
        let mut point = point(NOW);
        point.set_field("stack", "a\nb");
        let finish = Finish {
            one_line: true,
            ..finish(AgeAction::Drop)
        };
        finish.correct(&mut point, None).unwrap();
        assert_eq!(point.get("stack").unwrap().value, "a b".into());
    }
}
