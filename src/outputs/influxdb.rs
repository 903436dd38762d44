//! Any receiver of InfluxDB's line protocol. The address is the full write URL.

use std::sync::Arc;

use super::http::{self, HttpReach, HttpTarget};
use super::{Compiled, Reach, Wanted};
use kafkamq_delivery::endpoint::EndpointError;
use kafkamq_delivery::status::Profile;
use kafkamq_settings::HttpSettings;

pub(super) fn compile(http: &HttpSettings, wanted: &Wanted<'_>) -> Result<Compiled, EndpointError> {
    let written = in_nanoseconds(http.clone());
    let target = HttpTarget {
        http: &written,
        profile: Profile::Generic,
    };
    // The address says all there is to say, so all categories share their requests.
    let framing = http::framing(wanted.output.encoding);
    let endpoint = target.endpoint("", "text/plain; charset=utf-8", framing, true)?;
    Ok(Compiled {
        reach: Reach::Http(Box::new(HttpReach {
            settings: http.clone(),
            response_bytes: wanted.response_bytes,
        })),
        delivery: http::delivery(http, wanted.limits(http.concurrency)),
        endpoints: wanted.endpoints(|_| Ok(Arc::clone(&endpoint)))?,
    })
}

/// Takes a `precision` out of the address: times are nanoseconds, which every receiver expects
/// where nothing is said, and only some spell alike.
fn in_nanoseconds(mut http: HttpSettings) -> HttpSettings {
    let (precision, others): (Vec<_>, Vec<_>) = http
        .endpoint
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .partition(|(name, _)| name == "precision");
    if !precision.is_empty() {
        http.endpoint.set_query(None);
        if !others.is_empty() {
            http.endpoint.query_pairs_mut().extend_pairs(others);
        }
    }
    http
}
