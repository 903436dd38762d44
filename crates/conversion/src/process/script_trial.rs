//! One script on given records, through every step that a record takes in the flow.
//!
//! Who tries a script sees the points that the flow would send: built, scripted and finished by the
//! [`Processor`]. Nothing that is made is sent.

use std::sync::Arc;

use kafkamq_memory::Account;
use kafkamq_pipeline::RunState;
use kafkamq_pipeline::diagnostic::Diagnostic;
use kafkamq_pipeline::manager::{ScriptRoutes, Snapshot, feature_text};
use kafkamq_point::codec::Encoding;
use kafkamq_point::{Category, Point};
use kafkamq_record::{LeftOut, RecordBatch, RecordBatchBuilder, TopicPartition};

use super::{
    Ending, Finish, Finished, LaneNames, Memory, Processor, ProcessorOutput, RecordRules, Resume,
    Witness,
};
use crate::parse::{PointOrigin, ScriptStep, Scripted, build_point};
use crate::route::{InputId, KeyLanes, PointRoute, Route, RouteKind};
use kafkamq_settings::{Newlines, PointTime, RecordFields, ScriptFailure, ValuePolicy};

/// A script and how its points are built and finished.
pub struct ScriptTrial {
    rules: RecordRules,
    /// Whether a failed script brings its record to the dead letters in the flow.
    buries_failures: bool,
    snapshot: Arc<Snapshot>,
    route: Route,
    /// Whether the outputs of the route are those of the flow; else the route has no outputs.
    has_outputs: bool,
    names: LaneNames,
    memory: Memory,
    state: RunState,
}

/// A record to try a script on.
#[derive(Debug, Clone, Copy, Default)]
pub struct TriedRecord<'r> {
    /// The partition that its points name.
    pub partition: i32,
    /// The offset that its points name.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// Its key, if it has one.
    pub key: Option<&'r [u8]>,
    /// Names and values of its headers, in order.
    pub headers: &'r [(String, Option<Vec<u8>>)],
    /// Its value: the bytes as Kafka holds them.
    pub value: &'r [u8],
}

/// What became of one record.
#[derive(Debug, Default)]
pub struct Tried {
    /// The points that go on, as they are encoded.
    pub points: Vec<TriedPoint>,
    /// Whether the script dropped all that it was given.
    pub dropped: bool,
    /// Why something of the record is not sent, though no script dropped it.
    pub refused: Vec<String>,
    /// Why the script stopped early.
    pub error: Option<Box<Diagnostic>>,
}

/// A point that goes on.
#[derive(Debug)]
pub struct TriedPoint {
    /// The point as it is encoded.
    pub point: Point,
    /// Whether the script made it beside the one it was given.
    pub is_created: bool,
}

impl ScriptTrial {
    /// A trial of the script `name` of `snapshot` on points of `category`. They are built and finished as
    /// the flow does by `rules` and by `like`, the route of their topic; without one, as the route
    /// `custom` builds them.
    pub fn new(
        rules: &RecordRules,
        snapshot: Arc<Snapshot>,
        (category, name): (Category, &str),
        topic: &str,
        like: Option<&Route>,
    ) -> Self {
        let known = like.and_then(|route| match &route.kind {
            RouteKind::Points(points) if points.category == category => Some((route, points)),
            _ => None,
        });
        let origin = PointOrigin {
            topic,
            partition: 0,
            offset: 0,
        };
        // A script is chosen by what every point of the topic has.
        let built = build_point("", category, origin, 1);
        let scripts = match feature_text(category, &built) {
            Some(feature) => ScriptRoutes::new().with(feature, name),
            None => ScriptRoutes::new(),
        };
        let points = match known {
            Some((_, points)) => PointRoute {
                scripts,
                ..points.clone()
            },
            None => PointRoute {
                category,
                scripts,
                split: None,
                newlines: Newlines::default(),
                fields: RecordFields::default(),
                time: PointTime::default(),
                outputs: Arc::from(Vec::new()),
            },
        };
        let route = Route {
            since: 0,
            input: InputId("trial".into()),
            topic: topic.into(),
            kind: RouteKind::Points(points),
            lanes: KeyLanes::One,
            sampling: None,
            null_value: known.map_or(ValuePolicy::Pass, |(route, _)| route.null_value),
            empty_value: known.map_or(ValuePolicy::Pass, |(route, _)| route.empty_value),
        };
        Self {
            buries_failures: rules.script_failure == ScriptFailure::DeadLetter,
            rules: RecordRules {
                scripts: Arc::clone(&rules.scripts),
                // The point is shown as the script left it.
                script_failure: ScriptFailure::Keep,
                record_bytes: rules.record_bytes,
                global_tags: rules.global_tags.clone(),
                age: rules.age,
            },
            snapshot,
            has_outputs: known.is_some(),
            names: LaneNames::default(),
            memory: Memory::of(&route, None),
            route,
            state: RunState::new(),
        }
    }

    /// What becomes of `record` at `now_ns`, in nanoseconds since the Unix epoch.
    pub fn run(&mut self, record: TriedRecord<'_>, now_ns: i64) -> Tried {
        let batch = self.batch(record);
        let mut processor = Processor::new(
            &self.route,
            &self.rules,
            batch.source(),
            &self.names,
            &mut self.memory,
            ScriptStep::new(Arc::clone(&self.snapshot), &mut self.state),
            Finish::by(&self.rules, now_ns, None),
            ProcessorOutput::with_capacity(Account::root("trial", usize::MAX), 0, 0),
            Heard {
                has_outputs: self.has_outputs,
                ..Heard::default()
            },
        );
        processor.run(&batch, &mut Resume::default(), &mut |_| true);
        // The runs are not counted: a trial leaves no trace.
        let Heard {
            mut tried,
            dropped,
            kept,
            ..
        } = processor.witness;
        tried.dropped = dropped > 0 && kept == 0;
        if tried.error.is_some() && self.buries_failures {
            tried.refused.push(
                "the script failed, and `pipeline.on_error` sends such to the dead letters".into(),
            );
        }
        tried
    }

    fn batch(&self, record: TriedRecord<'_>) -> RecordBatch {
        let source = TopicPartition::new(&*self.route.topic, record.partition);
        let mut batch = RecordBatchBuilder::with_capacity(source, 1, record.value.len());
        let timestamp = record.timestamp_ms.unwrap_or(-1);
        batch.push(record.offset, timestamp, record.key, Some(record.value));
        for (name, value) in record.headers {
            batch.push_header(name.as_bytes(), value.as_deref());
        }
        batch.build()
    }
}

/// What was heard of one record.
#[derive(Default)]
struct Heard {
    tried: Tried,
    has_outputs: bool,
    /// Points that the script was given and dropped, and those it kept.
    dropped: usize,
    kept: usize,
    /// Whether the next point that is finished is the one that the script was given.
    is_given: bool,
    left_out: Option<LeftOut>,
}

impl Heard {
    /// Why the point is not sent.
    fn refusal(&mut self, finished: &Finished<'_>) -> Option<String> {
        let left_out = self.left_out.take();
        if self.has_outputs || left_out != Some(LeftOut::Category) {
            return finished.refused.map(str::to_owned);
        }
        // Without outputs every point is left out; what no output could take is refused all the same.
        let encoded = Encoding::LineProtocol.encode(finished.point, &mut Vec::new());
        let error = encoded.err()?;
        Some(format!("no destination can take the point: {error}"))
    }
}

impl Witness for Heard {
    fn ended(&mut self, ending: &Ending<'_>) {
        self.tried.refused.push(ending.to_string());
    }

    fn ran(&mut self, scripted: &Scripted) {
        self.is_given = scripted.point.is_some();
        match scripted.dropped {
            true => self.dropped += 1,
            false => self.kept += 1,
        }
    }

    fn failed(&mut self, _: &str, error: &Diagnostic) {
        if self.tried.error.is_none() {
            self.tried.error = Some(Box::new(error.clone()));
        }
    }

    fn left_out(&mut self, why: LeftOut) {
        self.left_out = Some(why);
    }

    fn finished(&mut self, finished: &Finished<'_>) {
        let is_created = !std::mem::take(&mut self.is_given);
        match self.refusal(finished) {
            Some(reason) => self.tried.refused.push(reason),
            None => self.tried.points.push(TriedPoint {
                point: finished.point.clone(),
                is_created,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripts::{Scripts, Trial, shown};
    use kafkamq_settings::{Sources, load};

    const NOW: i64 = 1_700_000_000_000_000_000;

    /// A topic `t` whose records are split, show their key, and have tags, an age and limits.
    const CONFIG: &str = "global_tags = { site = \"here\" }\nmax_age = \"1h\"\nmax_age_action = \"drop\"\n\
        [output]\nendpoint = \"http://host:9529\"\n\
        [[inputs.kafkamq]]\nname = \"in\"\naddrs = [\"b:1\"]\ngroup_id = \"g\"\n\
        [inputs.kafkamq.custom]\nsplit_json_body = true\n\
        [inputs.kafkamq.custom.log_topic_map]\nt = \"t.p\"\n";

    struct Set {
        _folder: tempfile::TempDir,
        settings: kafkamq_settings::Settings,
        scripts: Scripts,
    }

    fn set(script: &str, config: &str) -> Set {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.p"), script).unwrap();
        let text = format!("[pipeline]\npath = {:?}\n{config}", folder.path());
        let settings = load(&Sources::new().text("test", text)).unwrap().settings;
        let scripts = Scripts::load(&settings.pipeline).unwrap().0;
        Set {
            _folder: folder,
            settings,
            scripts,
        }
    }

    fn tried(set: &Set, value: &str) -> Tried {
        let trial = Trial {
            category: Category::Logging,
            name: "t.p",
            text: None,
        };
        let snapshot = set.scripts.preview(trial).unwrap();
        let rules = RecordRules::new(&set.settings, set.scripts.in_force());
        let script = (Category::Logging, "t.p");
        let mut trial = ScriptTrial::new(&rules, snapshot, script, "t", None);
        let record = TriedRecord {
            offset: 7,
            value: value.as_bytes(),
            ..TriedRecord::default()
        };
        trial.run(record, NOW)
    }

    #[test]
    fn without_a_route_the_rules_hold_all_the_same_and_created_points_are_told_apart() {
        let set = set(
            "create_point(\"more\", {\"t\": \"u\"}, {\"f\": 1})\nadd_key(x, 1)",
            CONFIG,
        );
        let tried = tried(&set, "hello");
        let found: Vec<_> = tried
            .points
            .iter()
            .map(|tried| (tried.point.name(), tried.is_created))
            .collect();
        assert_eq!(found, [("t", false), ("more", true)]);
        for tried in &tried.points {
            assert_eq!(shown(&tried.point)["tags"]["site"], "here");
        }
        let built = shown(&tried.points[0].point);
        assert_eq!(
            (&built["tags"]["type"], &built["fields"]["offset"]),
            (&"kafka".into(), &7.into())
        );
    }

    #[test]
    fn what_a_rule_keeps_from_being_sent_is_told_and_not_shown() {
        let old = set("add_key(time, message)\ndefault_time(time)", CONFIG);
        let told = tried(&old, "2020-01-01 00:00:00");
        assert!(told.points.is_empty() && !told.dropped, "{told:?}");
        assert_eq!(told.refused, ["its time is too far from now: dropped"]);
        let large = set(
            "",
            &format!("{CONFIG}[limits]\nrecord_bytes = \"1KiB\"\nbatch_bytes = \"1MiB\"\n"),
        );
        let told = tried(&large, &"x".repeat(2000));
        assert_eq!(told.refused, ["the record is larger than the limit"]);
        let dropping = set("drop()", CONFIG);
        assert!(tried(&dropping, "x").dropped);
    }
}
