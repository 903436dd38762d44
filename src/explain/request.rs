//! A request as it would be sent, for people: no secret in it.

use http::header::CONTENT_ENCODING;
use hyper::body::Body as _;
use serde::Serialize;

use super::work::Outgoing;
use crate::dead_letters::Payload;
use crate::outputs::Reachable;
use crate::routing::RouteTable;
use kafkamq_delivery::endpoint::{OffsetRange, idempotency_key, package_headers};
use kafkamq_delivery::http::RequestBody;
use kafkamq_record::{Record, TopicPartition};

/// A request with the items of one record.
#[derive(Debug, Serialize)]
pub(crate) struct RequestView {
    /// Name of the destination.
    pub(crate) destination: String,
    /// `POST`, or what stands for it: `produce` to a topic, `append` to a file, `write` to standard
    /// output.
    pub(crate) method: &'static str,
    /// Where to, secrets masked.
    pub(crate) url: String,
    /// Headers, secrets masked.
    pub(crate) headers: Vec<(String, String)>,
    /// Items in it: points, or payloads.
    pub(crate) items: usize,
    /// Bytes of its body before compression.
    pub(crate) body_bytes: usize,
    /// Bytes of its body as they are sent.
    pub(crate) sent_bytes: u64,
    /// Its body before compression, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Payload>,
}

impl RequestView {
    pub(super) fn of(
        outgoing: &Outgoing,
        routes: &RouteTable,
        record: &Record<'_>,
        source: &TopicPartition,
        body: bool,
    ) -> Self {
        let Outgoing {
            destination,
            endpoint,
            items,
        } = outgoing;
        let kind = routes
            .destination(destination)
            .map(|found| found.reach.kind());
        let has_headers = kind.is_some_and(Reachable::has_headers);
        let framing = endpoint.framing();
        let mut plain = framing.prefix.to_vec();
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                plain.extend_from_slice(&framing.separator);
            }
            if at > 0 && !has_headers {
                // Each is a line of its own, or a record.
                plain.push(b'\n');
            }
            plain.extend_from_slice(&item.body);
        }
        plain.extend_from_slice(&framing.suffix);
        let framed = RequestBody::frame(framing, items);
        let range = OffsetRange {
            source: source.clone(),
            first: record.offset(),
            last: record.offset(),
        };
        let key = idempotency_key(&[range], framed.pieces());
        let packed = framed.compressed(endpoint.compression()).ok();
        let mut headers = endpoint.shown_headers();
        if let Some(coding) = packed.as_ref().and_then(RequestBody::content_encoding) {
            headers.push((CONTENT_ENCODING.to_string(), coding.to_owned()));
        }
        let mut own = Vec::new();
        if endpoint.is_package() {
            own = package_headers(items.len(), &key);
        }
        if let Some(name) = endpoint.idempotency_header() {
            own.push((name.clone(), key));
        }
        headers.extend(own.iter().map(|(name, value)| {
            let value = value.to_str().unwrap_or("(bytes)");
            (name.to_string(), value.to_owned())
        }));
        let sent_bytes = packed
            .and_then(|packed| packed.size_hint().exact())
            .unwrap_or(plain.len() as u64);
        Self {
            destination: destination.to_string(),
            method: kind.map_or("POST", Reachable::verb),
            url: endpoint.to_string(),
            headers: if has_headers { headers } else { Vec::new() },
            items: items.len(),
            body_bytes: plain.len(),
            sent_bytes,
            body: body.then(|| Payload::of(&plain)),
        }
    }
}
