//! Targets of HTTP requests: outputs, and the receivers of routes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use kafkamq_point::codec::Encoding;

use super::{Carrier, CarrierError, ItemOrigin, Reach, Reachable, Trial};
use kafkamq_delivery::answer::{Reply, TransportError};
use kafkamq_delivery::delivery::DeliveryOptions;
use kafkamq_delivery::endpoint::{Endpoint, EndpointError, EndpointOptions, Framing};
use kafkamq_delivery::health::HealthOptions;
use kafkamq_delivery::http::{Post, Proxies, TlsOptions, Transport, TransportOptions};
use kafkamq_delivery::lanes::Limits;
use kafkamq_delivery::status::{Class, Policy, Profile};
use kafkamq_settings::{HttpSettings, StatusAction};

/// The header that lets a receiver recognise a repeated request.
const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";

/// A destination that is reached by HTTP requests.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HttpReach {
    /// Address, headers and bounds.
    pub(crate) settings: HttpSettings,
    /// Largest answer that is read, in bytes.
    pub(crate) response_bytes: usize,
}

impl HttpReach {
    /// How its HTTP client is built.
    pub(crate) fn transport_options(&self) -> TransportOptions {
        let http = &self.settings;
        let identity = http.identity.as_ref();
        TransportOptions {
            connect_timeout: http.delivery.connect_timeout,
            total_timeout: http.delivery.timeout,
            max_idle: http.concurrency,
            max_age: http.delivery.connection_max_age,
            proxies: match http.delivery.proxy_from_environment {
                true => Proxies::Environment,
                false => Proxies::None,
            },
            max_answer_bytes: self.response_bytes,
            tls: TlsOptions {
                ca_file: http.ca_file.clone(),
                cert_file: identity.map(|identity| identity.cert_file.clone()),
                key_file: identity.map(|identity| identity.key_file.clone()),
                insecure: http.insecure_skip_verify,
            },
            ..TransportOptions::default()
        }
    }
}

impl Reachable for HttpReach {
    fn shown_url(&self) -> String {
        let endpoint = &self.settings.endpoint;
        kafkamq_address::masked(endpoint, "***").unwrap_or_else(|| endpoint.to_string())
    }

    fn verb(&self) -> &'static str {
        "POST"
    }

    fn has_headers(&self) -> bool {
        true
    }

    fn carrier(&self) -> Result<Arc<dyn Carrier>, CarrierError> {
        Ok(Arc::new(Transport::try_new(&self.transport_options())?))
    }

    fn refusal(&self) -> Option<CarrierError> {
        Transport::try_new(&self.transport_options())
            .err()
            .map(Into::into)
    }

    fn is_carried_like(&self, other: &Reach) -> bool {
        // Headers and addresses are the endpoints', so a change of them needs no new client.
        matches!(other, Reach::Http(other) if other.transport_options() == self.transport_options())
    }

    fn trial(&self) -> Trial<'_> {
        Trial::Dial(self)
    }
}

impl Carrier for Transport {
    fn send(&self, post: Post, _: Vec<ItemOrigin>) -> BoxFuture<'_, Result<Reply, TransportError>> {
        self.send(post)
            .map(|answer| answer.map(Reply::Http))
            .boxed()
    }

    fn ends_slowly(&self) -> bool {
        false
    }
}

/// How requests by `http` are sent, within `limits`.
pub(crate) fn delivery(http: &HttpSettings, limits: Limits) -> DeliveryOptions {
    let delivery = &http.delivery;
    DeliveryOptions {
        limits,
        health: HealthOptions {
            base: delivery.backoff_min,
            cap: delivery.backoff_max,
            alarm_base: delivery.backoff_min.max(Duration::from_secs(1)),
            alarm_cap: delivery.hold_backoff,
            retry_after_cap: delivery.retry_after_max,
        },
        max_retries: delivery.max_retries,
        probe_past: delivery.probe_past,
    }
}

/// What endpoints are made of: a receiver and the rules by which it answers.
#[derive(Clone)]
pub(crate) struct HttpTarget<'a> {
    /// Address, headers, compression and the operator's rules of answers.
    pub(crate) http: &'a HttpSettings,
    /// The built-in rules of answers.
    pub(crate) profile: Profile,
}

impl HttpTarget<'_> {
    /// The endpoint at `path`; with `idempotency`, requests carry a key by which a repeated one is
    /// recognised.
    pub(crate) fn endpoint(
        &self,
        path: &str,
        content_type: &str,
        framing: Framing,
        idempotency: bool,
    ) -> Result<Arc<Endpoint>, EndpointError> {
        let mut options = self.options(path, content_type, framing);
        options.idempotency_header = idempotency.then(|| IDEMPOTENCY_HEADER.to_owned());
        Endpoint::try_new(options).map(Arc::new)
    }

    /// What an endpoint at `path` is made of.
    pub(crate) fn options(
        &self,
        path: &str,
        content_type: &str,
        framing: Framing,
    ) -> EndpointOptions {
        let headers = self.http.headers.iter();
        let headers = headers.map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), value.into_owned())
        });
        EndpointOptions {
            url: self.http.url(path).into(),
            headers: headers.collect(),
            content_type: Some(content_type.to_owned()),
            framing,
            compression: self.http.compression,
            policy: self.policy(),
            ..EndpointOptions::default()
        }
    }

    fn policy(&self) -> Policy {
        let delivery = &self.http.delivery;
        let mut policy = Policy::new(self.profile);
        for (range, action) in &delivery.status.rules {
            let class = match action {
                StatusAction::Retry => Class::Retry,
                StatusAction::Hold => Class::Hold,
                StatusAction::DeadLetter => Class::Reject,
                StatusAction::Drop => Class::Drop,
            };
            policy = policy.with(format!("{}-{}", range.first, range.last).parse(), class);
        }
        policy
    }
}

/// `text` as a value of a query.
pub(super) fn in_query(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// How points in `encoding` are put into a body.
pub(super) fn framing(encoding: Encoding) -> Framing {
    let framing = encoding.framing();
    Framing {
        prefix: framing.prefix.into(),
        separator: framing.separator.into(),
        suffix: framing.suffix.into(),
    }
}
