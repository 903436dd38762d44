//! The centre behind the agents: their write interface with a token, and requests that are packages.

use std::sync::Arc;

use super::http::{self, HttpReach, HttpTarget};
use super::{Compiled, Reach, Wanted};
use kafkamq_delivery::endpoint::{Endpoint, EndpointError};
use kafkamq_delivery::status::Profile;
use kafkamq_settings::HttpSettings;
use kafkamq_settings::outputs::DatawayOutput;

/// The header that names the index of log points to the centre.
const STORAGE_INDEX_HEADER: &str = "X-Storage-Index-Name";

pub(super) fn compile(
    dataway: &DatawayOutput,
    wanted: &Wanted<'_>,
) -> Result<Compiled, EndpointError> {
    let encoding = wanted.output.encoding;
    let token = http::in_query(dataway.token.expose());
    // As in the agent, the path of the address has no meaning; its arguments stay.
    let mut at_root = HttpSettings::clone(&dataway.http);
    at_root.endpoint.set_path("");
    let target = HttpTarget {
        http: &at_root,
        profile: Profile::DatakitWrite,
    };
    let endpoints = wanted.endpoints(|category| {
        let path = format!("{}?token={token}", category.write_path());
        let framing = http::framing(encoding);
        let mut options = target.options(&path, encoding.content_type(), framing);
        options.package = true;
        if let Some(index) = wanted.index_of(category) {
            let header = (STORAGE_INDEX_HEADER.to_owned(), index.to_owned());
            options.headers.push(header);
        }
        Endpoint::try_new(options).map(Arc::new)
    })?;
    Ok(Compiled {
        reach: Reach::Http(Box::new(HttpReach {
            settings: dataway.http.clone(),
            response_bytes: wanted.response_bytes,
        })),
        delivery: http::delivery(&dataway.http, wanted.limits(dataway.http.concurrency)),
        endpoints,
    })
}
