//! Outputs of points: one endpoint for each category that an output takes.

use std::sync::Arc;
use std::time::Duration;

use kafkamq_point::Category;
use kafkamq_point::codec::Encoding;

use super::super::{DestinationId, Means, OutputRoute};
use super::{Compiler, Place, RoutingError};
use kafkamq_delivery::delivery::DeliveryOptions;
use kafkamq_delivery::endpoint::{Endpoint, Framing};
use kafkamq_delivery::health::HealthOptions;
use kafkamq_delivery::lanes::Limits;
use kafkamq_delivery::local::FileOptions;
use kafkamq_delivery::status::{Policy, Profile};
use kafkamq_settings::{self, DestinationKind, HttpSettings, OutputSettings};

/// The header in which the centre is told the index of log points.
const STORAGE_INDEX_HEADER: &str = "X-Storage-Index-Name";
/// Requests that may wait for the brokers at once: enough to fill the time an answer takes.
const TOPIC_REQUESTS: usize = 32;
/// Requests handed to a thread that writes them one by one: one under way, the others next.
const LOCAL_REQUESTS: usize = 4;
/// Back-off of destinations that have no settings for it. Trying them costs little.
const LOCAL_HEALTH: HealthOptions = HealthOptions {
    base: Duration::from_millis(200),
    cap: Duration::from_secs(5),
    alarm_base: Duration::from_secs(1),
    alarm_cap: Duration::from_secs(10),
    retry_after_cap: Duration::ZERO,
};

impl Compiler {
    pub(super) fn outputs(
        &mut self,
        outputs: &[OutputSettings],
        storage_index: Option<&str>,
    ) -> Result<Arc<[OutputRoute]>, RoutingError> {
        outputs
            .iter()
            .map(|output| self.output(output, storage_index))
            .collect()
    }

    fn output(
        &mut self,
        output: &OutputSettings,
        storage_index: Option<&str>,
    ) -> Result<OutputRoute, RoutingError> {
        let id = DestinationId(output.name.as_str().into());
        let limits = |max_requests| Limits {
            max_items: output.batch.max_points,
            max_bytes: usize::try_from(output.batch.max_bytes).unwrap_or(usize::MAX),
            max_age: output.batch.max_wait,
            max_requests,
        };
        let local = |max_requests| DeliveryOptions {
            limits: limits(max_requests),
            health: LOCAL_HEALTH,
            max_retries: DeliveryOptions::DEFAULT_MAX_RETRIES,
            probe_past: false,
        };
        let encoding = point_encoding(output.encoding);
        let endpoints = match &output.kind {
            DestinationKind::Datakit(http) => {
                self.destination(&id, http, limits(http.concurrency));
                let place = Place::new(http, &id, Profile::DatakitWrite);
                endpoints(output, |category| {
                    let mut path = format!("{}?precision=n", category.write_path());
                    if let Some(index) = storage_index.filter(|_| category == Category::Logging) {
                        path.push_str("&storage_index=");
                        path.push_str(&in_query(index));
                    }
                    place.endpoint(&path, encoding.content_type(), body_framing(encoding), true)
                })?
            }
            DestinationKind::Dataway { http, token } => {
                self.destination(&id, http, limits(http.concurrency));
                // As in the agent, the path of the address has no meaning; its arguments stay.
                let mut http = HttpSettings::clone(http);
                http.endpoint.set_path("");
                let place = Place::new(&http, &id, Profile::DatakitWrite);
                endpoints(output, |category| {
                    let token = in_query(token.expose());
                    let path = format!("{}?token={token}", category.write_path());
                    let framing = body_framing(encoding);
                    let mut options = place.options(&path, encoding.content_type(), framing);
                    options.package = true;
                    if let Some(index) = storage_index.filter(|_| category == Category::Logging) {
                        options
                            .headers
                            .push((STORAGE_INDEX_HEADER.to_owned(), index.to_owned()));
                    }
                    place.build(options)
                })?
            }
            DestinationKind::Influxdb(http) => {
                self.destination(&id, http, limits(http.concurrency));
                let http = in_nanoseconds(HttpSettings::clone(http));
                let place = Place::new(&http, &id, Profile::Generic);
                // The address says all there is to say, so all categories share their requests.
                let framing = body_framing(encoding);
                let endpoint = place.endpoint("", "text/plain; charset=utf-8", framing, true)?;
                endpoints(output, |_| Ok(Arc::clone(&endpoint)))?
            }
            DestinationKind::Kafka(kafka) => {
                let means = Means::Kafka(kafka.clone());
                self.reached_by(&id, means, local(TOPIC_REQUESTS));
                endpoints(output, |category| {
                    let topic = kafka.topic.replace("{category}", category.name());
                    Ok(Arc::new(Endpoint::named(&topic, Policy::default())))
                })?
            }
            DestinationKind::File {
                path,
                rotate_bytes,
                keep,
            } => {
                let means = Means::Files(FileOptions {
                    folder: path.clone(),
                    extension: match encoding {
                        Encoding::LineProtocol => "lp",
                        _ => "ndjson",
                    },
                    rotate_bytes: *rotate_bytes,
                    keep: *keep,
                });
                self.reached_by(&id, means, local(LOCAL_REQUESTS));
                named_by_category(output)?
            }
            DestinationKind::Stdout => {
                self.reached_by(&id, Means::Stdout, local(LOCAL_REQUESTS));
                named_by_category(output)?
            }
        };
        if let Some(destination) = self.destinations.get_mut(&id) {
            destination.backlog = output
                .backlog
                .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        Ok(OutputRoute {
            destination: id,
            encoding,
            endpoints,
        })
    }
}

impl<'a> Place<'a> {
    fn new(http: &'a HttpSettings, destination: &DestinationId, profile: Profile) -> Self {
        Self {
            http,
            destination: destination.clone(),
            profile,
        }
    }
}

/// An endpoint for each category that `output` takes.
fn endpoints(
    output: &OutputSettings,
    make: impl Fn(Category) -> Result<Arc<Endpoint>, RoutingError>,
) -> Result<[Option<Arc<Endpoint>>; Category::ALL.len()], RoutingError> {
    let mut endpoints = [const { None }; Category::ALL.len()];
    for category in Category::ALL {
        if !output.categories.is_empty() && !output.categories.contains(&category) {
            continue;
        }
        if let Some(slot) = endpoints.get_mut(category as usize) {
            *slot = Some(make(category)?);
        }
    }
    Ok(endpoints)
}

fn named_by_category(
    output: &OutputSettings,
) -> Result<[Option<Arc<Endpoint>>; Category::ALL.len()], RoutingError> {
    endpoints(output, |category| {
        Ok(Arc::new(Endpoint::named(
            category.name(),
            Policy::default(),
        )))
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

fn in_query(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn body_framing(encoding: Encoding) -> Framing {
    let framing = encoding.framing();
    Framing {
        prefix: framing.prefix.into(),
        separator: framing.separator.into(),
        suffix: framing.suffix.into(),
    }
}

const fn point_encoding(encoding: kafkamq_settings::Encoding) -> Encoding {
    match encoding {
        kafkamq_settings::Encoding::LineProtocol => Encoding::LineProtocol,
        kafkamq_settings::Encoding::Json => Encoding::Json,
        kafkamq_settings::Encoding::PbJson => Encoding::PbJson,
        kafkamq_settings::Encoding::Protobuf => Encoding::Protobuf,
    }
}
