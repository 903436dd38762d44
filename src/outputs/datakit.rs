//! The write interface of a DataKit agent, `POST /v1/write/{category}`.

use super::http::{self, HttpReach, HttpTarget};
use super::{Compiled, Reach, Wanted};
use kafkamq_delivery::endpoint::EndpointError;
use kafkamq_delivery::status::Profile;
use kafkamq_settings::HttpSettings;

pub(super) fn compile(http: &HttpSettings, wanted: &Wanted<'_>) -> Result<Compiled, EndpointError> {
    let encoding = wanted.output.encoding;
    let target = HttpTarget {
        http,
        profile: Profile::DatakitWrite,
    };
    let endpoints = wanted.endpoints(|category| {
        let mut path = format!("{}?precision=n", category.write_path());
        if let Some(index) = wanted.index_of(category) {
            path.push_str("&storage_index=");
            path.push_str(&http::in_query(index));
        }
        let framing = http::framing(encoding);
        target.endpoint(&path, encoding.content_type(), framing, true)
    })?;
    Ok(Compiled {
        reach: Reach::Http(Box::new(HttpReach {
            settings: http.clone(),
            response_bytes: wanted.response_bytes,
        })),
        delivery: http::delivery(http, wanted.limits(http.concurrency)),
        endpoints,
    })
}
