//! What happens to the records of one topic, compiled from the settings and checked.
//!
//! A [`Route`] is immutable and shared: work that is under way keeps the route it began with. Who
//! compiles routes, and reaches the destinations that they name, lies above this package.

use std::fmt;
use std::sync::Arc;

use kafkamq_pipeline::manager::ScriptRoutes;
use kafkamq_point::Category;
use kafkamq_point::codec::Encoding;

use crate::parse::{Conversion, Form, PointConversion};
use kafkamq_delivery::endpoint::Endpoint;
use kafkamq_settings::{
    FlowSettings, HandleContent, HeaderCheck, Newlines, PointTime, RecordFields, SamplingKey,
    SplitSettings, ValuePolicy,
};

/// Names an input: `[[inputs.kafkamq]]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InputId(pub Arc<str>);

/// Names a destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DestinationId(pub Arc<str>);

impl fmt::Display for InputId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happens to the records of one topic.
#[derive(Debug, Clone)]
pub struct Route {
    /// The revision that made it what it is; an unchanged route keeps it.
    pub since: u64,
    /// The input that reads the topic.
    pub input: InputId,
    /// The name of the topic, without partition.
    pub topic: Arc<str>,
    /// Where its records go.
    pub kind: RouteKind,
    /// Lanes inside a partition.
    pub lanes: KeyLanes,
    /// Share of records kept, in (0, 1), and what the decision is made for.
    pub sampling: Option<(f64, SamplingKey)>,
    /// What happens to tombstones.
    pub null_value: ValuePolicy,
    /// What happens to values of zero bytes.
    pub empty_value: ValuePolicy,
}

impl Route {
    /// Takes the rules for sampling and empty values from `flow`.
    pub fn take_flow_rules(&mut self, flow: &FlowSettings) {
        let null_value = match self.kind {
            RouteKind::Handle(_) => ValuePolicy::Pass,
            _ => ValuePolicy::Skip,
        };
        self.sampling = flow.sampling_rate.map(|rate| (rate, flow.sampling_key));
        self.null_value = flow.null_value.unwrap_or(null_value);
        self.empty_value = flow.empty_value;
    }

    /// Whether records fare the same by `other`, whenever either came into force.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.input, &self.topic, &self.kind, self.lanes)
            == (&other.input, &other.topic, &other.kind, other.lanes)
            && self.sampling == other.sampling
            && self.null_value == other.null_value
            && self.empty_value == other.empty_value
    }

    /// Whether items go the same way by `other`: through the same lanes to the same endpoints. If
    /// not, items of both at once could overtake each other.
    #[must_use]
    pub fn goes_same_way(&self, other: &Self) -> bool {
        self.lanes == other.lanes && self.kind.goes_same_way(&other.kind)
    }
}

/// How the records of a partition are spread over lanes; order holds within a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLanes {
    /// One lane: the partition's order.
    One,
    /// So many lanes, chosen by the key; records without a key are spread.
    ByKey(u64),
    /// So many lanes without any order.
    Free(u64),
}

/// The kinds of route.
#[derive(Debug, Clone, PartialEq)]
pub enum RouteKind {
    /// Settled and counted; the destination has no use for these records.
    Acknowledge,
    /// Each value is posted as it is.
    Forward {
        /// Where.
        destination: DestinationId,
        /// With which address and headers.
        endpoint: Arc<Endpoint>,
    },
    /// Each value is converted and posted.
    Transcode(TranscodeRoute),
    /// Values become points.
    Points(PointRoute),
    /// Values are converted to points.
    ConvertedPoints(PointConversion, PointRoute),
    /// Records are posted in batches to a user's own HTTP handle.
    Handle(HandleRoute),
}

impl RouteKind {
    /// Its name, for people and programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Forward { .. } => "forward",
            Self::Transcode(_) => "transcode",
            Self::Points(_) => "points",
            Self::ConvertedPoints(..) => "converted_points",
            Self::Handle(_) => "remote_handle",
        }
    }

    /// Every destination that records of the route may go to.
    #[must_use]
    pub fn destinations(&self) -> Vec<&DestinationId> {
        fn of(outputs: &[OutputRoute]) -> Vec<&DestinationId> {
            outputs.iter().map(|output| &output.destination).collect()
        }
        match self {
            Self::Acknowledge => Vec::new(),
            Self::Forward { destination, .. } => vec![destination],
            Self::Transcode(route) => route.targets().map(|target| &target.destination).collect(),
            Self::Points(route) | Self::ConvertedPoints(_, route) => of(&route.outputs),
            Self::Handle(route) => {
                let mut all = vec![&route.destination];
                all.extend(route.answers.iter().flat_map(|answers| of(answers)));
                all
            }
        }
    }

    fn goes_same_way(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Acknowledge, Self::Acknowledge) => true,
            (
                Self::Points(a) | Self::ConvertedPoints(_, a),
                Self::Points(b) | Self::ConvertedPoints(_, b),
            ) => a.outputs == b.outputs,
            (Self::Transcode(a), Self::Transcode(b)) => a.targets == b.targets,
            (Self::Forward { .. }, Self::Forward { .. }) => self == other,
            (Self::Handle(a), Self::Handle(b)) => {
                (&a.destination, &a.endpoint, &a.answers)
                    == (&b.destination, &b.endpoint, &b.answers)
            }
            _ => false,
        }
    }
}

/// How values are converted, and where those go.
#[derive(Debug, Clone, PartialEq)]
pub struct TranscodeRoute {
    /// How.
    pub conversion: Conversion,
    targets: [Option<Target>; Form::ALL.len()],
}

/// Where values of one form go.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The destination. Each path of a receiver is one of its own, so that one which the receiver
    /// does not have holds up only the records that go there.
    pub destination: DestinationId,
    /// With which address and headers.
    pub endpoint: Arc<Endpoint>,
}

impl TranscodeRoute {
    /// A route by `conversion`; `target` says where values of each form go that it names.
    ///
    /// # Errors
    /// The first that `target` returns.
    pub fn new<E>(
        conversion: Conversion,
        mut target: impl FnMut(Form) -> Result<Target, E>,
    ) -> Result<Self, E> {
        let mut targets = [const { None }; Form::ALL.len()];
        for form in conversion.forms() {
            if let Some(slot) = targets.get_mut(*form as usize) {
                *slot = Some(target(*form)?);
            }
        }
        Ok(Self {
            conversion,
            targets,
        })
    }

    /// Everything that values may go to, by form.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().flatten()
    }

    /// Where values of `form` go; there is a target for each form that the conversion names.
    #[inline]
    #[must_use]
    pub fn target(&self, form: Form) -> Option<&Target> {
        self.targets.get(form as usize)?.as_ref()
    }
}

/// How values become points, and where those go.
#[derive(Debug, Clone, PartialEq)]
pub struct PointRoute {
    /// Category of the points before a script changes anything.
    pub category: Category,
    /// The topic map's choice of script: none named means `<topic>.p`, `-` means none at all.
    pub scripts: ScriptRoutes,
    /// How one value becomes several points.
    pub split: Option<SplitSettings>,
    /// What becomes of line breaks.
    pub newlines: Newlines,
    /// What else of the record a point shows.
    pub fields: RecordFields,
    /// Where a point's time comes from before its script runs.
    pub time: PointTime,
    /// Every output of the service; a point goes to those that take its category.
    pub outputs: Arc<[OutputRoute]>,
}

/// One output of points.
#[derive(Debug, PartialEq)]
pub struct OutputRoute {
    /// Where points go.
    pub destination: DestinationId,
    /// How they are encoded.
    pub encoding: Encoding,
    endpoints: Endpoints,
}

/// An endpoint for each category that an output takes, by category.
pub type Endpoints = [Option<Arc<Endpoint>>; Category::ALL.len()];

impl OutputRoute {
    /// An output that gets points in `encoding`, by `endpoints`.
    #[must_use]
    pub const fn new(destination: DestinationId, encoding: Encoding, endpoints: Endpoints) -> Self {
        Self {
            destination,
            encoding,
            endpoints,
        }
    }

    /// Where points of `category` go; `None` if this output does not take them.
    #[inline]
    #[must_use]
    pub fn endpoint(&self, category: Category) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(category as usize)?.as_ref()
    }
}

/// How records are posted to a handle.
#[derive(Debug, Clone, PartialEq)]
pub struct HandleRoute {
    /// Where.
    pub destination: DestinationId,
    /// With which address and headers.
    pub endpoint: Arc<Endpoint>,
    /// What a request holds.
    pub content: HandleContent,
    /// The test of the first bytes.
    pub header_check: HeaderCheck,
    /// Whether answers hold points, which then go to these outputs.
    pub answers: Option<Arc<[OutputRoute]>>,
}
