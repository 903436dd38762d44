//! Settings to routes: every topic gets its kind, its destination and a checked endpoint.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kafkamq_pipeline::manager::ScriptRoutes;

mod place;

use self::place::{Place, jaeger_profile, otel_profile, otlp_json, span_path, transcode};
use super::pattern::{InputPatterns, Patterns};
use super::{Destination, RouteTable};
use crate::outputs::http::{self, HttpReach, HttpTarget};
use crate::outputs::{self, Reach, Wanted};
use kafkamq_conversion::route::{
    DestinationId, HandleRoute, InputId, KeyLanes, OutputRoute, PointRoute, Route, RouteKind,
};
use kafkamq_conversion::{Conversion, Form, OtlpJson, PointConversion, Signal};
use kafkamq_delivery::delivery::DeliveryOptions;
use kafkamq_delivery::endpoint::{EndpointError, Framing};
use kafkamq_delivery::lanes::Limits;
use kafkamq_delivery::status::Profile;
use kafkamq_settings::{
    self, CustomRoute, HandleContent, HttpSettings, InputSettings, JaegerEncoding, JaegerRoute,
    JaegerSource, Newlines, OtelEncoding, OtelRoute, OutputSettings, PointTime, RecordFields,
    RemoteHandleRoute, Settings, SkywalkingKind, SkywalkingRoute, SkywalkingTarget, ValuePolicy,
};

/// Where a `Content-Type` says protobuf.
const PROTOBUF: &str = "application/x-protobuf";
/// How large a request of several OTLP payloads may grow; receivers take 64 MiB by recommendation.
const MERGED_REQUEST_BYTES: usize = 4 << 20;
/// How large one request to a destination of single payloads may be: whatever Kafka could carry.
const SINGLE_PAYLOAD_BYTES: usize = usize::MAX;

/// Why settings cannot be turned into routes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RoutingError {
    /// An address or header that no request can be sent with.
    #[error("{place}: {source}")]
    Endpoint {
        /// The route or output.
        place: String,
        /// What is wrong.
        source: EndpointError,
    },
}

impl RouteTable {
    /// Compiles the routes of `settings` as revision `revision`.
    ///
    /// # Errors
    /// The first endpoint that cannot be used.
    pub(crate) fn compile(settings: &Settings, revision: u64) -> Result<Self, RoutingError> {
        let mut compiler = Compiler {
            revision,
            response_bytes: usize::try_from(settings.limits.response_bytes).unwrap_or(usize::MAX),
            destinations: BTreeMap::new(),
        };
        let mut routes = HashMap::new();
        let mut patterns = Patterns::default();
        for input in &settings.inputs {
            let id = InputId(input.name.as_str().into());
            let mut compiled = compiler.input(&id, input, &settings.outputs)?;
            if let Some(found) = InputPatterns::take(input, &mut compiled) {
                patterns.insert(id.clone(), found);
            }
            routes.insert(id, compiled);
        }
        let outputs = compiler.outputs(&settings.outputs, None)?;
        Ok(Self {
            revision,
            outputs,
            routes,
            patterns,
            destinations: compiler.destinations,
        })
    }
}

struct Compiler {
    revision: u64,
    response_bytes: usize,
    destinations: BTreeMap<DestinationId, Destination>,
}

/// The routes of one input, by topic.
struct InputRoutes<'a> {
    since: u64,
    id: &'a InputId,
    input: &'a InputSettings,
    routes: HashMap<Arc<str>, Arc<Route>>,
}

impl InputRoutes<'_> {
    /// Adds the route of `topic`, whose rules the input may set for each topic.
    fn add(&mut self, topic: &str, kind: RouteKind, threads: usize) {
        let topic: Arc<str> = topic.into();
        let flow = self.input.flow(&topic);
        let null_value = match kind {
            RouteKind::Handle(_) => ValuePolicy::Pass,
            _ => ValuePolicy::Skip,
        };
        let route = Route {
            since: self.since,
            input: self.id.clone(),
            topic: Arc::clone(&topic),
            kind,
            lanes: key_lanes(self.input.ordering, threads),
            sampling: flow.sampling_rate.map(|rate| (rate, flow.sampling_key)),
            null_value: flow.null_value.unwrap_or(null_value),
            empty_value: flow.empty_value,
        };
        self.routes.insert(topic, Arc::new(route));
    }
}

impl Compiler {
    fn input(
        &mut self,
        id: &InputId,
        input: &InputSettings,
        outputs: &[OutputSettings],
    ) -> Result<HashMap<Arc<str>, Arc<Route>>, RoutingError> {
        let mut routes = InputRoutes {
            since: self.revision,
            id,
            input,
            routes: HashMap::new(),
        };
        if let Some(route) = &input.skywalking {
            self.skywalking(id, route, outputs, &mut routes)?;
        }
        if let Some(route) = &input.jaeger {
            self.jaeger(id, route, outputs, &mut routes)?;
        }
        if let Some(route) = &input.otel {
            self.otel(id, route, &mut routes)?;
        }
        if let Some(route) = &input.custom {
            self.custom(route, outputs, &mut routes)?;
        }
        if let Some(route) = &input.remote_handle {
            self.handle(id, route, outputs, &mut routes)?;
        }
        Ok(routes.routes)
    }

    /// Records of SkyWalking agents.
    fn skywalking(
        &mut self,
        id: &InputId,
        route: &SkywalkingRoute,
        outputs: &[OutputSettings],
        routes: &mut InputRoutes<'_>,
    ) -> Result<(), RoutingError> {
        for topic in &route.topics {
            let kind = match (&topic.path, topic.kind) {
                (_, SkywalkingKind::MetersToPoints) => {
                    self.converted(PointConversion::Meters, outputs)?
                }
                // A destination for each path: one that the receiver does not have must not
                // hold up the others.
                (Some(path), kind) => {
                    let block = format!("skywalking{path}");
                    let profile = Profile::DatakitTrace;
                    let place = self.single(id, &block, &route.http, profile);
                    match (kind, route.target) {
                        (_, SkywalkingTarget::Oap) => self.oap(id, &route.http, kind, path)?,
                        (SkywalkingKind::LogsJson, _) => {
                            let conversion = Conversion::SkywalkingLogJson;
                            transcode(conversion, |_| (place.clone(), path.clone()))?
                        }
                        _ => place.forward(path, PROTOBUF)?,
                    }
                }
                (None, _) => RouteKind::Acknowledge,
            };
            routes.add(&topic.topic, kind, route.threads);
        }
        Ok(())
    }

    /// Spans of Jaeger clients, or of Daoke.
    fn jaeger(
        &mut self,
        id: &InputId,
        route: &JaegerRoute,
        outputs: &[OutputSettings],
        routes: &mut InputRoutes<'_>,
    ) -> Result<(), RoutingError> {
        for topic in &route.topics {
            let kind = match route.source {
                JaegerSource::Daoke => {
                    let strict_error = route.strict_error;
                    self.converted(PointConversion::Daoke { strict_error }, outputs)?
                }
                JaegerSource::Forward => self.spans(id, route)?,
            };
            routes.add(topic, kind, route.threads);
        }
        Ok(())
    }

    /// OTLP requests of the three signals.
    fn otel(
        &mut self,
        id: &InputId,
        route: &OtelRoute,
        routes: &mut InputRoutes<'_>,
    ) -> Result<(), RoutingError> {
        for (kind, signal) in [
            (Signal::Traces, &route.traces),
            (Signal::Metrics, &route.metrics),
            (Signal::Logs, &route.logs),
        ] {
            if signal.topics.is_empty() {
                continue;
            }
            let profile = match route.strict {
                true => Profile::Otlp,
                false => otel_profile(&signal.path),
            };
            // Binary export requests one after the other are one valid request.
            let merged = match signal.encoding {
                OtelEncoding::OtlpProto => route.merge_records.max(1),
                _ => 1,
            };
            let limits = Limits {
                max_items: merged,
                max_bytes: MERGED_REQUEST_BYTES,
                max_age: Duration::ZERO,
                max_requests: route.http.concurrency,
            };
            let block = format!("otel.{}", kind.name());
            let place = self.place(id, &block, &route.http, profile, limits);
            for topic in &signal.topics {
                routes.add(topic, place.otlp(kind, signal)?, route.threads);
            }
        }
        Ok(())
    }

    /// Values that become points.
    fn custom(
        &mut self,
        route: &CustomRoute,
        outputs: &[OutputSettings],
        routes: &mut InputRoutes<'_>,
    ) -> Result<(), RoutingError> {
        let compiled = self.outputs(outputs, route.storage_index.as_deref())?;
        for topic in &route.topics {
            let kind = RouteKind::Points(PointRoute {
                category: topic.category,
                scripts: ScriptRoutes::new().with_topic(
                    topic.category,
                    &topic.topic,
                    topic.script.as_str(),
                ),
                split: topic.split.clone(),
                newlines: route.newlines,
                fields: route.record_fields,
                time: route.point_time,
                outputs: Arc::clone(&compiled),
            });
            routes.add(&topic.topic, kind, route.threads);
        }
        Ok(())
    }

    /// Records for a user's own HTTP handle.
    fn handle(
        &mut self,
        id: &InputId,
        route: &RemoteHandleRoute,
        outputs: &[OutputSettings],
        routes: &mut InputRoutes<'_>,
    ) -> Result<(), RoutingError> {
        let answers = match route.is_response_point {
            true => Some(self.outputs(outputs, None)?),
            false => None,
        };
        let limits = Limits {
            max_items: match route.content {
                HandleContent::Batch => route.batch_records,
                HandleContent::SingleRecord => 1,
            },
            max_bytes: usize::MAX,
            max_age: route.batch_wait,
            max_requests: route.http.concurrency,
        };
        let place = self.place(id, "remote_handle", &route.http, Profile::Handle, limits);
        let framing = match route.content {
            HandleContent::Batch => Framing::json_array(),
            HandleContent::SingleRecord => Framing::none(),
        };
        let endpoint = place.endpoint("", &route.content_type, framing, true)?;
        for topic in &route.topics {
            let kind = RouteKind::Handle(HandleRoute {
                destination: place.destination.clone(),
                endpoint: Arc::clone(&endpoint),
                content: route.content,
                header_check: route.header_check,
                answers: answers.clone(),
            });
            routes.add(topic, kind, route.threads);
        }
        Ok(())
    }

    /// A route for the records of a Jaeger topic.
    fn spans(&mut self, id: &InputId, route: &JaegerRoute) -> Result<RouteKind, RoutingError> {
        let json = otlp_json(&route.otlp_path);
        let to = route.convert_to;
        let (conversion, as_is) = match route.encoding {
            JaegerEncoding::Raw => {
                let profile = jaeger_profile(&route.path);
                let place = self.single(id, "jaeger", &route.http, profile);
                return place.forward(&route.path, PROTOBUF);
            }
            JaegerEncoding::Protobuf => (Some(Conversion::JaegerProto(to)), Form::JaegerThrift),
            JaegerEncoding::Json => (Some(Conversion::JaegerJson(to)), Form::JaegerThrift),
            JaegerEncoding::Auto => (Some(Conversion::Spans(json, to)), Form::JaegerThrift),
            JaegerEncoding::OtlpJson if json == OtlpJson::Convert => {
                (Some(Conversion::OtlpJson(Signal::Traces)), Form::OtlpProto)
            }
            JaegerEncoding::Thrift => (None, Form::JaegerThrift),
            JaegerEncoding::ZipkinThrift => (None, Form::ZipkinThrift),
            JaegerEncoding::ZipkinProto => (None, Form::ZipkinProto),
            JaegerEncoding::ZipkinJson => (None, Form::ZipkinJson),
            JaegerEncoding::OtlpProto => (None, Form::OtlpProto),
            JaegerEncoding::OtlpJson => (None, Form::OtlpJson),
        };
        // A destination for each path: a receiver that lacks one of them answers 404 there, which
        // must not hold up the others.
        let mut target = |form| {
            let (path, profile) = span_path(form, route);
            let block = match path == route.path {
                true => "jaeger".to_owned(),
                false => format!("jaeger{path}"),
            };
            let place = self.single(id, &block, &route.http, profile);
            (place, path.to_owned())
        };
        if let Some(conversion) = conversion {
            return transcode(conversion, target);
        }
        let (place, path) = target(as_is);
        place.forward(&path, as_is.content_type())
    }

    /// A route to SkyWalking's own server.
    fn oap(
        &mut self,
        id: &InputId,
        http: &HttpSettings,
        kind: SkywalkingKind,
        path: &str,
    ) -> Result<RouteKind, RoutingError> {
        let conversion = match kind {
            SkywalkingKind::Segments => Conversion::OapSegment,
            SkywalkingKind::Logs => Conversion::OapLog,
            SkywalkingKind::LogsJson => Conversion::OapLogJson,
            SkywalkingKind::Managements => Conversion::OapManagement,
            // Somebody named a path for them and knows what stands there.
            _ => {
                let block = format!("skywalking{path}");
                let place = self.single(id, &block, http, Profile::Generic);
                return place.forward(path, PROTOBUF);
            }
        };
        transcode(conversion, |form| {
            let path = match form {
                Form::OapProperties => format!("{path}/reportProperties"),
                Form::OapPing => format!("{path}/keepAlive"),
                _ => path.to_owned(),
            };
            let block = format!("skywalking{path}");
            (self.single(id, &block, http, Profile::Generic), path)
        })
    }

    /// A route to the outputs; the points run the script of their category's rules, if there is one.
    fn converted(
        &mut self,
        conversion: PointConversion,
        outputs: &[OutputSettings],
    ) -> Result<RouteKind, RoutingError> {
        let route = PointRoute {
            category: conversion.category(),
            scripts: ScriptRoutes::new(),
            split: None,
            newlines: Newlines::Keep,
            fields: RecordFields::default(),
            time: PointTime::Arrival,
            outputs: self.outputs(outputs, None)?,
        };
        Ok(RouteKind::ConvertedPoints(conversion, route))
    }

    /// A destination that takes one payload a request.
    fn single<'a>(
        &mut self,
        input: &InputId,
        block: &str,
        http: &'a HttpSettings,
        profile: Profile,
    ) -> Place<'a> {
        let limits = Limits {
            max_items: 1,
            max_bytes: SINGLE_PAYLOAD_BYTES,
            max_age: Duration::ZERO,
            max_requests: http.concurrency,
        };
        self.place(input, block, http, profile, limits)
    }

    fn place<'a>(
        &mut self,
        input: &InputId,
        block: &str,
        http: &'a HttpSettings,
        profile: Profile,
        limits: Limits,
    ) -> Place<'a> {
        let id = DestinationId(format!("{input}.{block}").into());
        let reach = HttpReach {
            settings: http.clone(),
            response_bytes: self.response_bytes,
        };
        let options = http::delivery(http, limits);
        self.reached_by(&id, Reach::Http(Box::new(reach)), options);
        Place {
            target: HttpTarget { http, profile },
            destination: id,
        }
    }

    /// Routes of points to `outputs`; log points go to `storage_index`, if there is one.
    fn outputs(
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
        let compiled = outputs::compile(&Wanted {
            output,
            storage_index,
            response_bytes: self.response_bytes,
        });
        let compiled = compiled.map_err(|source| RoutingError::Endpoint {
            place: id.to_string(),
            source,
        })?;
        let destination = self.reached_by(&id, compiled.reach, compiled.delivery);
        destination.backlog = output
            .backlog
            .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(OutputRoute::new(id, output.encoding, compiled.endpoints))
    }

    fn reached_by(
        &mut self,
        id: &DestinationId,
        reach: Reach,
        delivery: DeliveryOptions,
    ) -> &mut Destination {
        self.destinations
            .entry(id.clone())
            .or_insert_with(|| Destination {
                id: id.clone(),
                reach,
                delivery,
                backlog: None,
            })
    }
}

fn key_lanes(ordering: kafkamq_settings::Ordering, threads: usize) -> KeyLanes {
    let lanes = threads.max(1) as u64;
    match ordering {
        kafkamq_settings::Ordering::Partition => KeyLanes::One,
        kafkamq_settings::Ordering::Free => KeyLanes::Free(lanes.max(2)),
        kafkamq_settings::Ordering::ByThread | kafkamq_settings::Ordering::Key if lanes > 1 => {
            KeyLanes::ByKey(lanes)
        }
        kafkamq_settings::Ordering::ByThread | kafkamq_settings::Ordering::Key => KeyLanes::One,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafkamq_settings::Ordering;

    #[test]
    fn ordering_decides_the_lanes() {
        use KeyLanes::{ByKey, Free, One};
        for (ordering, threads, lanes) in [
            (Ordering::ByThread, 0, One),
            (Ordering::ByThread, 8, ByKey(8)),
            (Ordering::Partition, 8, One),
            (Ordering::Key, 8, ByKey(8)),
            (Ordering::Key, 1, One),
            (Ordering::Free, 0, Free(2)),
            (Ordering::Free, 8, Free(8)),
        ] {
            assert_eq!(
                key_lanes(ordering, threads),
                lanes,
                "{ordering:?} {threads}"
            );
        }
    }
}
