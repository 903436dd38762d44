//! What is simulated: topics, outputs, records, and whoever converts them.

use std::sync::Arc;

use kafkamq_delivery::endpoint::{Endpoint, EndpointOptions};

use crate::bugs::Bug;
use crate::convert::{Convert, StatedConverter};

/// A record to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The key of the record; `None` without one.
    pub key: Option<Vec<u8>>,
    /// The bytes of its value.
    pub value: Vec<u8>,
}

/// What is simulated.
pub trait Scene {
    /// The names of the topics; `None` for as many as a seed says, named `t0`, `t1` and so on.
    fn topics(&self) -> Option<Vec<String>>;
    /// How many outputs there are; `None` for as many as a seed says.
    fn outputs(&self) -> Option<usize>;
    /// A converter for one process, which has so many outputs.
    fn converter(&self, outputs: usize) -> Box<dyn Convert>;
    /// A record for a topic; `None` for one that states its fates.
    fn record(&self, topic: usize, seed: u64) -> Option<Sample>;
}

/// Records that state their fates, and perhaps a planted bug.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StatedScene {
    pub(crate) bug: Option<Bug>,
}

impl Scene for StatedScene {
    fn topics(&self) -> Option<Vec<String>> {
        None
    }

    fn outputs(&self) -> Option<usize> {
        None
    }

    fn converter(&self, outputs: usize) -> Box<dyn Convert> {
        let endpoint = |output: usize| {
            let options = EndpointOptions {
                url: format!("http://127.0.0.1/{output}"),
                ..EndpointOptions::default()
            };
            Endpoint::try_new(options).ok().map(Arc::new)
        };
        let endpoints = (0..outputs).filter_map(endpoint).collect();
        Box::new(StatedConverter::new(endpoints, self.bug))
    }

    fn record(&self, _: usize, _: u64) -> Option<Sample> {
        None
    }
}
