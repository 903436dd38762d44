//! A user's handle for `remote_handle`: takes batches of base64 values and may answer with points.

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, StatusCode};
use parking_lot::RwLock;
use prost::Message;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::exchange::{Answer, Request, Surface};
use super::found::Found;
use crate::record::{RECORD_ID_KEY, RecordId};
use crate::wire::point::{PbField, PbPoint, PbPoints, PbValue};

/// The encoding of points in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PointEncoding {
    /// Line protocol, labelled as such.
    #[default]
    LineProtocol,
    /// Simple JSON.
    Json,
    /// PB-JSON.
    PbJson,
    /// Protobuf: `Points` of the point codec.
    Protobuf,
}

impl PointEncoding {
    const fn content_type(self) -> &'static str {
        match self {
            Self::LineProtocol => "application/line-protocol",
            Self::Json => "application/json",
            Self::PbJson => "application/pbjson; proto=com.guance.Point",
            Self::Protobuf => "application/protobuf; proto=com.guance.Point",
        }
    }
}

/// What a handle answers with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HandleReply {
    /// How the points are encoded.
    pub encoding: PointEncoding,
    /// The header `X-category`; absent: not sent, which means tracing.
    pub category: Option<String>,
    /// Compress the answer if the request accepts gzip.
    pub gzip: bool,
}

/// How a handle is set up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HandleOptions {
    /// Answer with one point for each value that carries an id: measurement `handle`, tags
    /// `record_id` and `service`, field `bytes`. Absent: an empty answer.
    pub reply: Option<HandleReply>,
    /// Expect one raw record in each request instead of a JSON batch.
    pub debug: bool,
}

/// A handle whose set-up can change while it runs; clones share it. Run it with
/// [`Receiver::with`](super::Receiver::with).
#[derive(Debug, Clone)]
pub struct Handle {
    options: Arc<RwLock<HandleOptions>>,
}

/// One value of a batch; members beyond these two may be added by the sender.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
}

impl Handle {
    /// A handle with this set-up.
    #[must_use]
    pub fn new(options: HandleOptions) -> Self {
        Self {
            options: Arc::new(RwLock::new(options)),
        }
    }

    /// Changes the set-up, from the next request on.
    pub(crate) fn set(&self, options: HandleOptions) {
        *self.options.write() = options;
    }

    /// The values of a request, decoded; `None` stands for a null value.
    fn values(debug: bool, request: &Request<'_>) -> Result<Vec<Option<Vec<u8>>>, String> {
        if debug {
            return Ok(vec![Some(request.body.to_vec())]);
        }
        let entries: Vec<Entry<'_>> =
            serde_json::from_slice(request.body).map_err(|error| error.to_string())?;
        let decode = |entry: Entry<'_>| {
            if entry.topic.is_empty() {
                return Err("an entry without a topic".to_owned());
            }
            let decoded = entry
                .value
                .map(|value| base64_simd::STANDARD.decode_to_vec(value.as_bytes()));
            decoded
                .transpose()
                .map_err(|_| "a value is not padded standard base64".to_owned())
        };
        entries.into_iter().map(decode).collect()
    }
}

impl Surface for Handle {
    fn answer(&self, request: &Request<'_>) -> Answer {
        if request.method != Method::POST {
            return Answer::empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        let HandleOptions { reply, debug } = self.options.read().clone();
        let values = match Self::values(debug, request) {
            Ok(values) => values,
            // A real handle would hide this behind a 200; here the sender's mistake should show.
            Err(message) => {
                return Answer::with_body(StatusCode::BAD_REQUEST, "text/plain", message);
            }
        };
        let mut found = Found::default();
        let mut points = Vec::new();
        for value in &values {
            let id = value.as_deref().and_then(RecordId::find);
            found.push(id);
            points.extend(id.map(|id| (id, value.as_ref().map_or(0, Vec::len) as i64)));
        }
        if !debug && request.header("content-type") != "application/json" {
            found.note("batch not labelled application/json");
        }
        if values.is_empty() {
            found.note("empty batch");
        }
        let answer = match &reply {
            None => Answer::empty(StatusCode::OK),
            Some(reply) => point_answer(
                reply,
                &points,
                request.header("accept-encoding").contains("gzip"),
            ),
        };
        answer.with_found(found)
    }

    fn content<'a>(&self, request: &Request<'a>) -> Cow<'a, [u8]> {
        let debug = self.options.read().debug;
        Self::values(debug, request)
            .unwrap_or_default()
            .into_iter()
            .flatten()
            .flatten()
            .collect()
    }
}

fn point_answer(reply: &HandleReply, points: &[(RecordId, i64)], gzip_accepted: bool) -> Answer {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as i64);
    let body = encode(reply.encoding, points, now);
    let mut answer = Answer::empty(StatusCode::OK).header(
        CONTENT_TYPE,
        HeaderValue::from_static(reply.encoding.content_type()),
    );
    if let Some(Ok(category)) = reply.category.as_deref().map(HeaderValue::from_str) {
        answer = answer.header(HeaderName::from_static("x-category"), category);
    }
    if reply.gzip
        && gzip_accepted
        && let Ok(packed) = gzip(&body)
    {
        answer.body = packed.into();
        return answer.header(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer.body = body;
    answer
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

fn encode(encoding: PointEncoding, points: &[(RecordId, i64)], now: i64) -> Bytes {
    match encoding {
        PointEncoding::LineProtocol => points
            .iter()
            .map(|(id, bytes)| {
                format!("handle,{RECORD_ID_KEY}={id},service=handle bytes={bytes}i {now}\n")
            })
            .collect::<String>()
            .into(),
        PointEncoding::Json => points
            .iter()
            .map(|(id, bytes)| {
                json!({
                    "measurement": "handle",
                    "tags": {RECORD_ID_KEY: id, "service": "handle"},
                    "fields": {"bytes": bytes},
                    "time": now,
                })
            })
            .collect::<serde_json::Value>()
            .to_string()
            .into(),
        PointEncoding::PbJson => points
            .iter()
            .map(|(id, bytes)| {
                json!({
                    "name": "handle",
                    "fields": [
                        {"key": RECORD_ID_KEY, "s": id, "is_tag": true},
                        {"key": "service", "s": "handle", "is_tag": true},
                        {"key": "bytes", "i": bytes.to_string()},
                    ],
                    "time": now.to_string(),
                })
            })
            .collect::<serde_json::Value>()
            .to_string()
            .into(),
        PointEncoding::Protobuf => {
            let field = |key: &str, val, is_tag| PbField {
                key: key.to_owned(),
                val: Some(val),
                is_tag,
                ..PbField::default()
            };
            let arr = points
                .iter()
                .map(|(id, bytes)| PbPoint {
                    name: "handle".to_owned(),
                    fields: vec![
                        field(RECORD_ID_KEY, PbValue::S(id.to_string()), true),
                        field("service", PbValue::S("handle".to_owned()), true),
                        field("bytes", PbValue::I(*bytes), false),
                    ],
                    time: now,
                    ..PbPoint::default()
                })
                .collect();
            PbPoints { arr }.encode_to_vec().into()
        }
    }
}
