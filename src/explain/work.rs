//! One record through its route, with every decision noted.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use kafkamq_pipeline::manager::Snapshot;
use kafkamq_pipeline::{Clock as _, RunState, SystemClock};
use kafkamq_point::{Point, Rules, Text};

use super::{Fate, PointStory, ResultStory, ScriptError, ScriptStory};
use crate::parse::{
    Bodies, Origin, PointConversion, Sampler, ScriptStep, add_record_fields, build_point,
    encode_for_handle, passes_header_check, split, without_newlines,
};
use crate::routing::{DestinationId, HandleRoute, PointRoute, Route, RouteKind, TranscodeRoute};
use crate::scripts::{Scripts, shown};
use kafkamq_delivery::endpoint::Endpoint;
use kafkamq_delivery::lanes::Item;
use kafkamq_memory::Account;
use kafkamq_record::{Record, TopicPartition};
use kafkamq_settings::{
    AgeAction, Newlines, PointTime, SamplingKey, ScriptFailure, Settings, SplitFailure, ValuePolicy,
};

/// Items for one endpoint.
pub(super) struct Outgoing {
    pub(super) destination: DestinationId,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) items: Vec<Item>,
}

/// What was found out.
pub(super) struct Found {
    pub(super) steps: Vec<String>,
    pub(super) points: Vec<PointStory>,
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) fate: Fate,
}

/// The work on one record.
pub(super) struct Work<'a> {
    settings: &'a Settings,
    snapshot: Arc<Snapshot>,
    run: RunState,
    route: &'a Route,
    source: &'a TopicPartition,
    now_ns: i64,
    steps: Vec<String>,
    points: Vec<PointStory>,
    bodies: Bodies<'a>,
    outgoing: Vec<Outgoing>,
    /// Why a part of it can go nowhere.
    fault: Option<String>,
    /// Whether it goes to the dead letters although other parts of it went on.
    bury: bool,
    /// How it ends, once that is certain.
    fate: Option<Fate>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        scripts: &Scripts,
        route: &'a Route,
        source: &'a TopicPartition,
    ) -> Self {
        Self {
            settings,
            snapshot: scripts.snapshot(),
            run: RunState::new(),
            route,
            source,
            now_ns: SystemClock.now_ns(),
            steps: Vec::new(),
            points: Vec::new(),
            bodies: Bodies::default(),
            outgoing: Vec::new(),
            fault: None,
            bury: false,
            fate: None,
        }
    }

    pub(super) fn record(&mut self, record: &Record<'_>) {
        if self.is_admitted(record) {
            self.by_route(record);
        }
    }

    fn ends(&mut self, outcome: &'static str, reason: impl Into<String>) {
        let reason = Some(reason.into());
        self.fate = Some(Fate { outcome, reason });
    }

    /// Empty values, the size limit and sampling.
    fn is_admitted(&mut self, record: &Record<'_>) -> bool {
        let limit = self.settings.limits.record_bytes;
        let (policy, what) = match record.value() {
            None => (self.route.null_value, "it has no value (a tombstone)"),
            Some([]) => (self.route.empty_value, "its value is empty"),
            Some(value) if value.len() as u64 > limit => {
                let reason = format!(
                    "its value has {} bytes, and `limits.record_bytes` is {limit}",
                    value.len()
                );
                self.ends("dead_letter", reason);
                return false;
            }
            Some(_) => (ValuePolicy::Pass, ""),
        };
        match policy {
            ValuePolicy::Skip => {
                self.ends("settled", format!("{what}, and such are skipped here"));
                return false;
            }
            ValuePolicy::DeadLetter => {
                self.ends("dead_letter", what);
                return false;
            }
            ValuePolicy::Pass if !what.is_empty() => {
                self.steps.push(format!("{what}, and such pass here"));
            }
            ValuePolicy::Pass => {}
        }
        let Some((rate, by)) = self.route.sampling else {
            return true;
        };
        let percent = rate * 100.0;
        if by == SamplingKey::Key && record.key().is_some() {
            let kept = Sampler::new(rate, by, fastrand::Rng::new()).keeps(record.key());
            if !kept {
                let reason = format!("sampling by key keeps {percent} % of the keys, not this one");
                self.ends("settled", reason);
                return false;
            }
            self.steps.push(format!(
                "sampling by key keeps {percent} % of the keys, and this one"
            ));
        } else {
            self.steps.push(format!(
                "sampling keeps {percent} % of the records at random; this goes on as if it were one"
            ));
        }
        true
    }

    fn by_route(&mut self, record: &Record<'_>) {
        let route: &'a Route = self.route;
        match &route.kind {
            RouteKind::Acknowledge => {
                self.ends("settled", "the destination has no use for these records");
            }
            RouteKind::Forward {
                destination,
                endpoint,
            } => {
                self.steps.push("its value is posted as it is".to_owned());
                self.send(
                    destination,
                    endpoint,
                    record.value_bytes().unwrap_or_default(),
                );
            }
            RouteKind::Transcode(transcode) => self.transcode(record, transcode),
            RouteKind::Points(points) => self.split_and_build(record, points),
            RouteKind::ConvertedPoints(conversion, points) => {
                self.converted(record, *conversion, points);
            }
            RouteKind::Handle(handle) => self.handle(record, handle),
        }
    }

    fn send(&mut self, destination: &DestinationId, endpoint: &Arc<Endpoint>, body: Bytes) {
        self.outgoing.push(Outgoing {
            destination: destination.clone(),
            endpoint: Arc::clone(endpoint),
            items: vec![Item { record: 0, body }],
        });
    }

    fn transcode(&mut self, record: &Record<'_>, route: &TranscodeRoute) {
        let value = record.value_bytes().unwrap_or_default();
        if value.is_empty() {
            self.ends("settled", "there is nothing to convert");
            return;
        }
        match route.conversion.convert(record.key(), &value) {
            Ok((form, body)) => match route.target(form) {
                Some(target) => {
                    let how = match body == value {
                        true => "goes on as it is",
                        false => "is converted",
                    };
                    self.steps.push(format!(
                        "its value of {} bytes {how}: {form:?}, {} bytes",
                        value.len(),
                        body.len()
                    ));
                    self.send(&target.destination, &target.endpoint, body);
                }
                None => self.ends("dead_letter", format!("there is no address for {form:?}")),
            },
            Err(error) => self.ends("dead_letter", format!("it cannot be converted: {error}")),
        }
    }

    fn handle(&mut self, record: &Record<'_>, route: &HandleRoute) {
        let value = record.value().unwrap_or_default();
        if !passes_header_check(value, route.header_check) {
            self.ends("settled", "its first bytes do not pass the header check");
            return;
        }
        let topic = serde_json::Value::from(&*self.route.topic).to_string();
        let mut body = Vec::new();
        encode_for_handle(record, &topic, route.content, &mut body);
        self.steps.push("it is posted to the handle".to_owned());
        if route.answers.is_some() {
            self.steps.push(
                "points of the handle's answer would go to the outputs; nobody asked it".to_owned(),
            );
        }
        self.send(&route.destination, &route.endpoint, body.into());
    }

    fn converted(
        &mut self,
        record: &Record<'_>,
        conversion: PointConversion,
        route: &'a PointRoute,
    ) {
        let value = record.value_bytes().unwrap_or_default();
        if value.is_empty() {
            self.ends("settled", "there is nothing to convert");
            return;
        }
        match conversion.points(&value, self.now_ns) {
            Ok(points) => {
                self.steps.push(format!(
                    "its value is converted to points: {}",
                    points.len()
                ));
                for point in points {
                    self.scripted(point, route);
                }
            }
            Err(error) => self.ends("dead_letter", format!("it cannot be converted: {error}")),
        }
    }

    fn split_and_build(&mut self, record: &Record<'_>, route: &'a PointRoute) {
        let value = record.value().unwrap_or_default();
        let mut elements = None;
        if let Some(rule) = &route.split {
            match split(value, &rule.format) {
                Ok(found) => {
                    self.steps
                        .push(format!("its value is split; elements: {}", found.len()));
                    elements = Some(found);
                }
                Err(error) if rule.on_failure == SplitFailure::DeadLetter => {
                    self.ends("dead_letter", format!("it cannot be split: {error}"));
                    return;
                }
                Err(error) => self
                    .steps
                    .push(format!("it cannot be split and goes on whole: {error}")),
            }
        }
        let time_ns = match (route.time, record.timestamp_ms()) {
            (PointTime::Record, Some(millis)) => millis.saturating_mul(1_000_000),
            _ => self.now_ns,
        };
        let origin = Origin {
            topic: &self.route.topic,
            partition: self.source.partition,
            offset: record.offset(),
        };
        let whole = String::from_utf8_lossy(value);
        if elements.is_none() && matches!(whole, Cow::Owned(_)) {
            self.steps
                .push("it is not UTF-8; what is not is replaced".to_owned());
        }
        for text in elements.unwrap_or_else(|| vec![&*whole]) {
            let text = match route.newlines {
                Newlines::Keep => Cow::Borrowed(text),
                Newlines::Space => without_newlines(text),
            };
            let mut point = build_point(&text, route.category, origin, time_ns);
            add_record_fields(&mut point, record, route.fields);
            self.scripted(point, route);
        }
    }

    /// One point through its script.
    fn scripted(&mut self, point: Point, route: &'a PointRoute) {
        let mut story = PointStory {
            built: shown(&point),
            script: None,
            results: Vec::new(),
        };
        let selected = self
            .snapshot
            .select(route.category, &point, &route.scripts)
            .map(|script| script.name().to_owned());
        let mut step = ScriptStep::new(Arc::clone(&self.snapshot), &mut self.run);
        let scripted = step.run(point, &route.scripts);
        let error = scripted.error.as_ref().map(|(_, error)| &**error);
        story.script = selected.map(|name| ScriptStory {
            name,
            status: match (error, scripted.dropped) {
                (Some(_), _) => "failed",
                (None, true) => "dropped",
                (None, false) => "kept",
            },
            error: error.map(ScriptError::from),
        });
        if let Some(error) = error
            && self.settings.pipeline.on_error == ScriptFailure::DeadLetter
        {
            self.bury = true;
            self.fault = Some(error.to_string());
        } else {
            for point in scripted.point.into_iter().chain(scripted.further) {
                let result = self.finished(point, route);
                story.results.push(result);
            }
        }
        self.points.push(story);
    }

    /// The last steps of a point, as every point takes them: global tags, age, limits, encodings.
    fn finished(&mut self, mut point: Point, route: &'a PointRoute) -> ResultStory {
        let mut corrections = Vec::new();
        for (key, value) in &self.settings.pipeline.global_tags {
            if point.get(key).is_none() {
                point.set_tag(Text::from(key.as_str()), Text::from(value.as_str()));
                corrections.push(format!("global tag {key}={value}"));
            }
        }
        let mut refused = None;
        let distance = self.now_ns.abs_diff(point.time_ns());
        let age = self.settings.pipeline.age;
        let far = age.filter(|age| u128::from(distance) > age.max_age.as_nanos());
        match far.map(|age| age.action) {
            None => {}
            Some(AgeAction::Drop) => {
                refused = Some("its time is too far from now: dropped".to_owned());
            }
            Some(AgeAction::DeadLetter) => {
                let reason = "its time is too far from now".to_owned();
                self.fault = Some(reason.clone());
                refused = Some(reason);
            }
            Some(AgeAction::Clamp) => {
                let time = point.time_ns();
                point.set_field("__orig_time", time);
                point.set_time_ns(self.now_ns);
                corrections.push(format!("its time, {time} ns, is too far from now: moved"));
            }
        }
        let mut outputs = Vec::new();
        if refused.is_none() {
            let corrected = Rules::limits().apply(&mut point);
            corrections.extend(corrected.iter().map(ToString::to_string));
            for output in &*route.outputs {
                match self.bodies.push(output, &point, 0, 0) {
                    Ok(true) => outputs.push(output.destination.to_string()),
                    Ok(false) => {}
                    Err(error) => {
                        let reason = format!("no destination can take the point: {error}");
                        self.fault = Some(reason.clone());
                        refused = Some(reason);
                    }
                }
            }
            if outputs.is_empty() && refused.is_none() {
                refused = Some(format!("no output takes points of {}", point.category()));
            }
        }
        ResultStory {
            point: shown(&point),
            corrections,
            outputs,
            refused,
        }
    }

    pub(super) fn finish(self) -> Found {
        let mut outgoing = self.outgoing;
        let account = Account::root("explain", usize::MAX);
        for items in self.bodies.into_items(&account) {
            if let Some(endpoint) = items.output.endpoint(items.category) {
                outgoing.push(Outgoing {
                    destination: items.output.destination.clone(),
                    endpoint: Arc::clone(endpoint),
                    items: items.items,
                });
            }
        }
        // As `Work::conclude` of the parsers has it.
        let sent = !outgoing.is_empty();
        let buried = self.fault.is_some() && (!sent || self.bury);
        let fate = self.fate.unwrap_or_else(|| match (sent, buried) {
            (true, true) => Fate {
                outcome: "sent_and_dead_letter",
                reason: self.fault,
            },
            (true, false) => Fate {
                outcome: "sent",
                reason: None,
            },
            (false, true) => Fate {
                outcome: "dead_letter",
                reason: self.fault,
            },
            (false, false) => Fate {
                outcome: "dropped",
                reason: Some("nothing of it is left to send".to_owned()),
            },
        });
        Found {
            steps: self.steps,
            points: self.points,
            outgoing,
            fate,
        }
    }
}
