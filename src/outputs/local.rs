//! What outputs without HTTP share: back-off for which there are no settings, and the carrier that
//! hands requests to a thread that writes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::{Carrier, ItemOrigin};
use kafkamq_delivery::answer::{Reply, TransportError};
use kafkamq_delivery::delivery::DeliveryOptions;
use kafkamq_delivery::health::HealthOptions;
use kafkamq_delivery::http::Post;
use kafkamq_delivery::lanes::Limits;
use kafkamq_delivery::local::LocalWriter;

/// Requests handed to a thread that writes them one by one: one under way, the others next.
pub(super) const WRITER_REQUESTS: usize = 4;

/// How requests are sent, within `limits`, where no key says it. Trying costs little.
pub(super) fn delivery(limits: Limits) -> DeliveryOptions {
    DeliveryOptions {
        limits,
        health: HealthOptions {
            base: Duration::from_millis(200),
            cap: Duration::from_secs(5),
            alarm_base: Duration::from_secs(1),
            alarm_cap: Duration::from_secs(10),
            retry_after_cap: Duration::ZERO,
        },
        max_retries: DeliveryOptions::DEFAULT_MAX_RETRIES,
        probe_past: false,
    }
}

impl Carrier for LocalWriter {
    fn send(&self, post: Post, _: Vec<ItemOrigin>) -> BoxFuture<'_, Result<Reply, TransportError>> {
        self.send(Arc::clone(post.endpoint.name()), post.items)
            .boxed()
    }
}
