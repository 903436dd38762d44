//! The processor of the flow, as the simulator drives it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use kafkamq_conversion::route::{DestinationId, Route, RouteKind};
use kafkamq_conversion::{
    Finish, LaneNames, Memory, Processor, ProcessorOutput, Progress, RecordRules, Resume,
    ScriptStep, Witness, slices,
};
use kafkamq_delivery::lanes::Item;
use kafkamq_memory::Account;
use kafkamq_pipeline::RunState;
use kafkamq_record::{PartId, RecordBatch};
use kafkamq_sim::{Convert, Made as Portion, Outgoing, Work};

/// The present of all simulated records, in nanoseconds since the Unix epoch: points without a time of
/// their own have to be the same in every run.
const NOW_NS: i64 = 1_700_000_000_000_000_000;

/// What all converters of a configuration share.
pub(super) struct Shared {
    pub(super) rules: RecordRules,
    pub(super) names: LaneNames,
    pub(super) routes: Vec<Arc<Route>>,
    pub(super) outputs: Vec<DestinationId>,
}

/// Converts records as a parser does.
pub(super) struct RealConverter {
    shared: Arc<Shared>,
    kept: Rc<RefCell<Kept>>,
}

/// What is kept between batches.
struct Kept {
    run: RunState,
    topics: HashMap<Arc<str>, Memory>,
}

/// Nobody wants to know more.
struct Quiet;

impl Witness for Quiet {}

impl RealConverter {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            kept: Rc::new(RefCell::new(Kept {
                run: RunState::new(),
                topics: HashMap::new(),
            })),
        }
    }
}

impl Convert for RealConverter {
    fn begin(&mut self, batch: Arc<RecordBatch>) -> Box<dyn Work> {
        Box::new(RealWork {
            shared: Arc::clone(&self.shared),
            kept: Rc::clone(&self.kept),
            batch,
            at: Resume::default(),
        })
    }

    fn outputs(&self) -> usize {
        self.shared.outputs.len()
    }
}

struct RealWork {
    shared: Arc<Shared>,
    kept: Rc<RefCell<Kept>>,
    batch: Arc<RecordBatch>,
    at: Resume,
}

impl Work for RealWork {
    fn go_on(&mut self, most: usize, account: &Arc<Account>) -> Portion {
        let topic = &self.batch.source().topic;
        let mut routes = self.shared.routes.iter();
        let Some(route) = routes.find(|route| route.topic == *topic) else {
            return Portion {
                ended: (0..u32::try_from(self.batch.len()).unwrap_or(0)).collect(),
                is_done: true,
                ..Portion::default()
            };
        };
        let mut kept = self.kept.borrow_mut();
        let Kept { run, topics } = &mut *kept;
        // Sampling by chance would keep other records in each run.
        let memory = topics
            .entry(Arc::clone(topic))
            .or_insert_with(|| Memory::of(route, None));
        let rules = &self.shared.rules;
        let mut processor = Processor::new(
            route,
            rules,
            self.batch.source(),
            &self.shared.names,
            memory,
            ScriptStep::new(rules.scripts.snapshot(), run),
            Finish::by(rules, NOW_NS, None),
            ProcessorOutput::with_capacity(Arc::clone(account), 0, 0),
            Quiet,
        );
        let progress = processor.run(&self.batch, &mut self.at, &mut |made| made < most);
        let (made, _) = processor.end();
        self.portion(route, made, progress == Progress::Done)
    }
}

impl RealWork {
    fn portion<'a>(
        &self,
        route: &'a Route,
        mut made: ProcessorOutput<'a>,
        is_done: bool,
    ) -> Portion {
        if let RouteKind::Handle(handle) = &route.kind {
            let buffer = std::mem::take(&mut made.handle);
            let places = std::mem::take(&mut made.handle_places);
            let ends = places.iter().map(|&(record, end, _)| (record, end));
            let items = slices(buffer, ends, &made.account);
            for (item, (_, _, lane)) in items.into_iter().zip(places) {
                made.push_item((&handle.destination, &handle.endpoint), lane, item);
            }
        }
        let place = |id: &DestinationId| self.shared.outputs.iter().position(|own| own == id);
        let mut outgoing = Vec::new();
        for items in made.bodies.into_items(&made.account) {
            if let (Some(endpoint), Some(output)) = (
                items.output.endpoint(items.category),
                place(&items.output.destination),
            ) {
                outgoing.push(Outgoing {
                    output,
                    endpoint: Arc::clone(endpoint),
                    lane: items.lane,
                    items: items.items,
                    parts: items.parts,
                });
            }
        }
        for own in made.outgoing {
            let Some(output) = place(own.destination) else {
                continue;
            };
            let parts = own.items.iter().map(|item| PartId {
                point: PartId::ONLY,
                ..PartId::whole(item.record)
            });
            let parts: Vec<PartId> = parts.collect();
            let items = own.items.into_iter().zip(0..);
            outgoing.push(Outgoing {
                output,
                endpoint: Arc::clone(own.endpoint),
                lane: own.lane,
                items: items
                    .map(|(item, record)| Item { record, ..item })
                    .collect(),
                parts,
            });
        }
        Portion {
            obligations: made.obligations,
            ended: made
                .ended
                .into_iter()
                .flat_map(|(_, ended)| ended)
                .collect(),
            outgoing,
            letters: made.letters,
            is_done,
            ..Portion::default()
        }
    }
}
