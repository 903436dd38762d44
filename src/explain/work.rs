//! One record through its route, with every decision noted: the processor of the flow with a witness
//! that writes down what it hears.

use std::sync::Arc;

use kafkamq_pipeline::diagnostic::Diagnostic;
use kafkamq_pipeline::{Clock as _, RunState, SystemClock};
use kafkamq_point::Point;

use super::{Fate, PointStory, ResultStory, ScriptError, ScriptStory};
use kafkamq_conversion::route::{DestinationId, Route, RouteKind};
use kafkamq_conversion::scripts::{Scripts, shown};
use kafkamq_conversion::{
    Ending, Finish, Finished, LaneNames, Memory, Processor, ProcessorOutput, RecordRules, Resume,
    Witness,
};
use kafkamq_conversion::{Sampler, ScriptStep, Scripted, SplitError, slices};
use kafkamq_delivery::dead_letter::DeadLetter;
use kafkamq_delivery::endpoint::Endpoint;
use kafkamq_delivery::lanes::Item;
use kafkamq_memory::Account;
use kafkamq_record::{Record, RecordBatch};
use kafkamq_settings::{SamplingKey, Settings};

/// Items for one endpoint.
pub(super) struct Outgoing {
    pub(super) destination: DestinationId,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) items: Vec<Item>,
}

/// What was found out.
pub(super) struct Followed {
    pub(super) steps: Vec<String>,
    pub(super) points: Vec<PointStory>,
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) fate: Fate,
}

/// What becomes of the only record of `batch`.
pub(super) fn follow(
    settings: &Settings,
    scripts: &Scripts,
    route: &Route,
    batch: &RecordBatch,
    record: &Record<'_>,
) -> Followed {
    let rules = RecordRules::new(settings, scripts.in_force());
    let names = LaneNames::default();
    let mut run = RunState::new();
    let mut story = Story::default();
    let mut memory = Memory::of(route, sampler(route, record, &mut story.steps));
    let account = Account::root("explain", usize::MAX);
    let mut processor = Processor::new(
        route,
        &rules,
        batch.source(),
        &names,
        &mut memory,
        ScriptStep::new(scripts.snapshot(), &mut run),
        Finish::by(&rules, SystemClock.now_ns(), None),
        ProcessorOutput::with_capacity(account, 0, 0),
        story,
    );
    processor.run(batch, &mut Resume::default(), &mut |_| true);
    let (mut made, story) = processor.end();
    let letters = std::mem::take(&mut made.letters);
    let outgoing = outgoing(route, made);
    let fate = fate(
        story.ending,
        &outgoing,
        letters.first().map(|(_, letter)| letter),
    );
    Followed {
        steps: story.steps,
        points: story.points,
        outgoing,
        fate,
    }
}

/// The sampler of the flow where it decides by key. A random decision for one record does not show that of the flow.
fn sampler(route: &Route, record: &Record<'_>, steps: &mut Vec<String>) -> Option<Sampler> {
    let (rate, by) = route.sampling?;
    let percent = rate * 100.0;
    if by == SamplingKey::Key && record.key().is_some() {
        steps.push(format!("sampling by key keeps {percent} % of the keys"));
        return Some(Sampler::new(rate, by, fastrand::Rng::new()));
    }
    steps.push(format!(
        "sampling keeps {percent} % of the records at random; this goes on as if it were one"
    ));
    None
}

fn outgoing(route: &Route, made: ProcessorOutput<'_>) -> Vec<Outgoing> {
    let mut outgoing: Vec<Outgoing> = made
        .outgoing
        .into_iter()
        .map(|outgoing| Outgoing {
            destination: outgoing.destination.clone(),
            endpoint: Arc::clone(outgoing.endpoint),
            items: outgoing.items,
        })
        .collect();
    if let RouteKind::Handle(handle) = &route.kind {
        let ends = made
            .handle_places
            .iter()
            .map(|&(record, end, _)| (record, end));
        let items = slices(made.handle, ends, &made.account);
        if !items.is_empty() {
            outgoing.push(Outgoing {
                destination: handle.destination.clone(),
                endpoint: Arc::clone(&handle.endpoint),
                items,
            });
        }
    }
    for items in made.bodies.into_items(&made.account) {
        if let Some(endpoint) = items.output.endpoint(items.category) {
            outgoing.push(Outgoing {
                destination: items.output.destination.clone(),
                endpoint: Arc::clone(endpoint),
                items: items.items,
            });
        }
    }
    outgoing
}

fn fate(ending: Option<Fate>, outgoing: &[Outgoing], letter: Option<&DeadLetter>) -> Fate {
    if let Some(fate) = ending {
        return fate;
    }
    let outcome = match (outgoing.is_empty(), letter) {
        (false, Some(_)) => "sent_and_dead_letter",
        (false, None) => "sent",
        (true, Some(_)) => "dead_letter",
        (true, None) => "dropped",
    };
    let reason = match outcome {
        "dropped" => Some("nothing of it is left to send".to_owned()),
        _ => letter.map(|letter| letter.reason.clone()),
    };
    Fate { outcome, reason }
}

/// What was heard.
#[derive(Default)]
struct Story {
    steps: Vec<String>,
    points: Vec<PointStory>,
    ending: Option<Fate>,
}

impl Witness for Story {
    const WANTS_DETAILS: bool = true;

    fn note(&mut self, text: impl FnOnce() -> String) {
        self.steps.push(text());
    }

    fn ended(&mut self, ending: &Ending<'_>) {
        let reason = match ending {
            Ending::NoValue { buried: false } => {
                "it has no value (a tombstone), and such are skipped here".to_owned()
            }
            Ending::EmptyValue { buried: false } => {
                "its value is empty, and such are skipped here".to_owned()
            }
            Ending::NoValue { buried: true } => "it has no value (a tombstone)".to_owned(),
            Ending::TooLarge { bytes, limit } => {
                format!("its value has {bytes} bytes, and `limits.record_bytes` is {limit}")
            }
            Ending::Sampled => "sampling by key does not keep this one".to_owned(),
            Ending::Unconvertible(error) => format!("it cannot be converted: {error}"),
            Ending::NoAddress(form) => format!("there is no address for {form:?}"),
            Ending::Unsplittable(error) => format!("it cannot be split: {error}"),
            other => other.to_string(),
        };
        self.ending = Some(Fate {
            outcome: match ending.outcome() {
                Some(_) => "settled",
                None => "dead_letter",
            },
            reason: Some(reason),
        });
    }

    fn cannot_split(&mut self, error: &SplitError) {
        self.steps.push(format!("it cannot be split: {error}"));
    }

    fn built(&mut self, point: &Point) {
        self.points.push(PointStory {
            built: shown(point),
            script: None,
            results: Vec::new(),
        });
    }

    fn runs(&mut self, script: Option<&str>) {
        if let (Some(name), Some(story)) = (script, self.points.last_mut()) {
            story.script = Some(ScriptStory {
                name: name.to_owned(),
                status: "kept",
                error: None,
            });
        }
    }

    fn ran(&mut self, scripted: &Scripted) {
        let script = self
            .points
            .last_mut()
            .and_then(|story| story.script.as_mut());
        if let Some(script) = script
            && scripted.dropped
        {
            script.status = "dropped";
        }
    }

    fn failed(&mut self, _: &str, error: &Diagnostic) {
        let script = self
            .points
            .last_mut()
            .and_then(|story| story.script.as_mut());
        if let Some(script) = script {
            script.status = "failed";
            script.error = Some(ScriptError::from(error));
        }
    }

    fn finished(&mut self, finished: &Finished<'_>) {
        let outputs = finished.outputs.iter();
        if let Some(story) = self.points.last_mut() {
            story.results.push(ResultStory {
                point: shown(finished.point),
                corrections: finished.corrections.to_vec(),
                outputs: outputs
                    .map(|output| output.destination.to_string())
                    .collect(),
                refused: finished.refused.map(str::to_owned),
            });
        }
    }
}
