//! A destination over HTTP as routes see it: its addresses, and the rules by which its receivers answer.

use std::sync::Arc;

use super::RoutingError;
use crate::outputs::http::HttpTarget;
use kafkamq_conversion::route::{DestinationId, RouteKind, Target, TranscodeRoute};
use kafkamq_conversion::{Conversion, Form, OtlpJson, Signal};
use kafkamq_delivery::endpoint::{Endpoint, Framing};
use kafkamq_delivery::status::Profile;
use kafkamq_settings::{JaegerRoute, OtelEncoding, OtelSignal};

/// What a route's kind needs besides the route's own table.
#[derive(Clone)]
pub(super) struct Place<'a> {
    pub(super) target: HttpTarget<'a>,
    pub(super) destination: DestinationId,
}

impl Place<'_> {
    pub(super) fn forward(
        &self,
        path: &str,
        content_type: &str,
    ) -> Result<RouteKind, RoutingError> {
        let endpoint = self.endpoint(path, content_type, Framing::none(), false)?;
        Ok(RouteKind::Forward {
            destination: self.destination.clone(),
            endpoint,
        })
    }

    /// A route for OTLP requests.
    pub(super) fn otlp(
        &self,
        kind: Signal,
        signal: &OtelSignal,
    ) -> Result<RouteKind, RoutingError> {
        let json = otlp_json(&signal.path);
        let conversion = match (signal.encoding, json) {
            (OtelEncoding::OtlpProto | OtelEncoding::Raw, _) => {
                return self.forward(&signal.path, Form::OtlpProto.content_type());
            }
            (OtelEncoding::OtlpJson, OtlpJson::Keep) => {
                return self.forward(&signal.path, Form::OtlpJson.content_type());
            }
            (OtelEncoding::OtlpJson, OtlpJson::Convert) => Conversion::OtlpJson(kind),
            (OtelEncoding::Auto, json) => Conversion::OtlpAuto(kind, json),
        };
        transcode(conversion, |_| (self.clone(), signal.path.clone()))
    }

    pub(super) fn endpoint(
        &self,
        path: &str,
        content_type: &str,
        framing: Framing,
        idempotency: bool,
    ) -> Result<Arc<Endpoint>, RoutingError> {
        self.target
            .endpoint(path, content_type, framing, idempotency)
            .map_err(|source| RoutingError::Endpoint {
                place: self.destination.to_string(),
                source,
            })
    }
}

/// A route that converts; `target` gives the place and path for each form.
pub(super) fn transcode<'a>(
    conversion: Conversion,
    mut target: impl FnMut(Form) -> (Place<'a>, String),
) -> Result<RouteKind, RoutingError> {
    let route = TranscodeRoute::new(conversion, |form| {
        let (place, path) = target(form);
        let endpoint = place.endpoint(&path, form.content_type(), Framing::none(), false)?;
        Ok(Target {
            destination: place.destination,
            endpoint,
        })
    })?;
    Ok(RouteKind::Transcode(route))
}

/// Where spans in `form` go, and by which rules their receiver answers.
pub(super) fn span_path(form: Form, route: &JaegerRoute) -> (&str, Profile) {
    match form {
        // Conversions of spans give none of SkyWalking's forms.
        Form::JaegerThrift
        | Form::SkywalkingLog
        | Form::OapSegment
        | Form::OapLogs
        | Form::OapProperties
        | Form::OapPing => (&route.path, jaeger_profile(&route.path)),
        // DataKit and Zipkin share these paths; the rules of the former are the safer ones.
        Form::ZipkinThrift => (&route.zipkin_v1_path, Profile::DatakitTrace),
        Form::ZipkinProto | Form::ZipkinJson => (&route.zipkin_v2_path, Profile::DatakitTrace),
        Form::OtlpProto | Form::OtlpJson => (&route.otlp_path, otel_profile(&route.otlp_path)),
    }
}

/// DataKit's Jaeger input answers by its own rules.
pub(super) fn jaeger_profile(path: &str) -> Profile {
    if path.starts_with("/apis/") {
        Profile::DatakitTrace
    } else {
        Profile::Generic
    }
}

/// DataKit's OTLP input answers by its own rules; a path of the standard means a standard receiver.
pub(super) fn otel_profile(path: &str) -> Profile {
    if path.starts_with("/otel/") {
        Profile::DatakitTrace
    } else {
        Profile::Otlp
    }
}

/// DataKit's OTLP input misreads JSON.
pub(super) fn otlp_json(path: &str) -> OtlpJson {
    if path.starts_with("/otel/") {
        OtlpJson::Convert
    } else {
        OtlpJson::Keep
    }
}
