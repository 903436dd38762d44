//! Standard output, a line a point.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use super::{Carrier, CarrierError, Compiled, Reach, Reachable, Trial, Wanted, local};
use kafkamq_delivery::endpoint::EndpointError;
use kafkamq_delivery::local::{LocalWriter, Stream};

/// Standard output as a destination; there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stdout;

pub(super) fn compile(wanted: &Wanted<'_>) -> Result<Compiled, EndpointError> {
    Ok(Compiled {
        reach: Reach::Stdout(Stdout),
        delivery: local::delivery(wanted.limits(local::WRITER_REQUESTS)),
        endpoints: wanted.named(|category| category.name().to_owned())?,
    })
}

impl Reachable for Stdout {
    fn shown_url(&self) -> String {
        "stdout".to_owned()
    }

    fn verb(&self) -> &'static str {
        "write"
    }

    fn carrier(&self) -> Result<Arc<dyn Carrier>, CarrierError> {
        // Past the buffer of the standard library: what it holds is not delivered yet.
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        let stream = Stream::new(std::fs::File::from(stdout));
        Ok(Arc::new(LocalWriter::start("stdout", stream)?))
    }

    fn is_carried_like(&self, other: &Reach) -> bool {
        matches!(other, Reach::Stdout(_))
    }

    fn trial(&self) -> Trial<'_> {
        Trial::Nothing
    }
}
