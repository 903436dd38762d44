//! The control interface of a testbed that runs as a process of its own: JSON over HTTP.
//!
//! | Request | Does |
//! | --- | --- |
//! | `GET /` | addresses |
//! | `GET /ledger` | the account of each receiver |
//! | `GET /ledger/missing?route=&partition=&from=&to=&elements=&limit=` | ids of a range that have not arrived, and how many |
//! | `GET /ledger/await?route=&count=&timeout_ms=` | waits until so many distinct ids arrived (of a route, or of all) |
//! | `GET /traffic` | counts of requests, connections, answers |
//! | `GET /requests?path=&limit=` | heads of the last requests, oldest first |
//! | `GET /faults`, `POST /faults` | a list of [`Fault`]s; a POST replaces them and returns when they are in effect |
//! | `POST /handle` | [`HandleOptions`] |
//! | `POST /reset` | forgets accounts and heads, lifts faults |
//!
//! `receiver=` (datakit, dataway, collector, handle) narrows everything to one receiver; without
//! it, requests speak of all: accounts are listed by receiver, ids count as arrived wherever they
//! did. A mistake is answered with 400 and `{"error": ...}`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::faults::Fault;
use crate::id_set::IdSet;
use crate::receiver::{HandleOptions, Receiver};
use crate::record::{MAX_SEQUENCE, Route};
use crate::testbed::{Addresses, Testbed};

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("no such request: {0} {1}")]
    Unknown(Method, String),
    #[error("argument {0} is missing or invalid")]
    Argument(&'static str),
    #[error("body: {0}")]
    Body(#[from] serde_json::Error),
    #[error("reading the body: {0}")]
    Read(#[from] hyper::Error),
}

/// Serves the control interface until the future is dropped.
///
/// # Errors
/// The listener has no address.
pub async fn serve(listener: TcpListener, testbed: Arc<Testbed>) -> io::Result<()> {
    let control = listener.local_addr()?;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "accept failed");
                continue;
            }
        };
        let testbed = Arc::clone(&testbed);
        let service = service_fn(move |request| {
            let testbed = Arc::clone(&testbed);
            async move { Ok::<_, std::convert::Infallible>(respond(&testbed, control, request).await) }
        });
        tokio::spawn(async move {
            if let Err(error) = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
            {
                tracing::debug!(%error, "control connection ended");
            }
        });
    }
}

async fn respond(
    testbed: &Testbed,
    control: SocketAddr,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (status, body) = match dispatch(testbed, control, request).await {
        Ok(body) => (StatusCode::OK, body),
        Err(refusal) => (
            StatusCode::BAD_REQUEST,
            json!({"error": refusal.to_string()}),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}

struct Arguments(Uri);

impl Arguments {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        url::form_urlencoded::parse(self.0.query().unwrap_or_default().as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    fn parse<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, Refusal> {
        self.get(name)
            .map(|text| text.parse().map_err(|_| Refusal::Argument(name)))
            .transpose()
    }

    fn chosen<'a>(
        &self,
        testbed: &'a Testbed,
    ) -> Result<Vec<(&'static str, &'a Receiver)>, Refusal> {
        let all = testbed.receivers().into_iter();
        match self.get("receiver") {
            None => Ok(all.collect()),
            Some(name) => {
                let one = all.into_iter().find(|(known, _)| *known == name);
                Ok(vec![one.ok_or(Refusal::Argument("receiver"))?])
            }
        }
    }

    fn each<T: serde::Serialize>(
        &self,
        testbed: &Testbed,
        what: impl Fn(&Receiver) -> T,
    ) -> Result<Value, Refusal> {
        let all = self.chosen(testbed)?;
        let by_name: BTreeMap<_, _> = all
            .into_iter()
            .map(|(name, receiver)| (name, what(receiver)))
            .collect();
        Ok(serde_json::to_value(by_name)?)
    }
}

async fn dispatch(
    testbed: &Testbed,
    control: SocketAddr,
    request: Request<Incoming>,
) -> Result<Value, Refusal> {
    let (head, body) = request.into_parts();
    let arguments = Arguments(head.uri.clone());
    match (head.method.as_str(), head.uri.path()) {
        ("GET", "/") => Ok(serde_json::to_value(Addresses {
            control: Some(control),
            ..testbed.addresses()
        })?),
        ("GET", "/ledger") => arguments.each(testbed, |receiver| receiver.ledger().report()),
        ("GET", "/ledger/missing") => missing(testbed, &arguments),
        ("GET", "/ledger/await") => arrival(testbed, &arguments).await,
        ("GET", "/traffic") => arguments.each(testbed, Receiver::traffic),
        ("GET", "/requests") => {
            let path = arguments.get("path").unwrap_or_default();
            let limit = arguments.parse("limit")?.unwrap_or(100);
            arguments.each(testbed, |receiver| receiver.requests(&path, limit))
        }
        ("GET", "/faults") => arguments.each(testbed, |receiver| {
            let hits = |(fault, hits)| json!({"fault": fault, "hits": hits});
            receiver.faults().into_iter().map(hits).collect::<Vec<_>>()
        }),
        ("POST", "/faults") => {
            let faults: Vec<Fault> = serde_json::from_slice(&body.collect().await?.to_bytes())?;
            for (_, receiver) in arguments.chosen(testbed)? {
                receiver.set_faults(faults.iter().cloned());
            }
            Ok(json!({"faults": faults.len()}))
        }
        ("POST", "/handle") => {
            let options: HandleOptions = serde_json::from_slice(&body.collect().await?.to_bytes())?;
            testbed.set_handle(options);
            Ok(json!({}))
        }
        ("POST", "/reset") => {
            for (_, receiver) in arguments.chosen(testbed)? {
                receiver.set_faults([]);
                receiver.reset();
            }
            Ok(json!({}))
        }
        (_, path) => Err(Refusal::Unknown(head.method.clone(), path.to_owned())),
    }
}

fn missing(testbed: &Testbed, arguments: &Arguments) -> Result<Value, Refusal> {
    let route: Route = arguments
        .parse("route")?
        .ok_or(Refusal::Argument("route"))?;
    let to = arguments
        .parse("to")?
        .filter(|to| *to <= MAX_SEQUENCE)
        .ok_or(Refusal::Argument("to"))?;
    let from = arguments.parse("from")?.unwrap_or(0);
    let elements = arguments.parse("elements")?.unwrap_or(1);
    let partition = arguments.parse("partition")?.unwrap_or(0);
    let mut expected = IdSet::new();
    expected.insert_range(route, partition, from..to, elements);
    let mut seen = IdSet::new();
    for (_, receiver) in arguments.chosen(testbed)? {
        seen.merge(&receiver.ledger().seen());
    }
    let limit = arguments.parse("limit")?.unwrap_or(100);
    Ok(json!({
        "expected": expected.count(route),
        "count": expected.count_missing(&seen, route),
        "missing": expected.difference(&seen).take(limit).collect::<Vec<_>>(),
    }))
}

async fn arrival(testbed: &Testbed, arguments: &Arguments) -> Result<Value, Refusal> {
    let route: Option<Route> = arguments.parse("route")?;
    let count: u64 = arguments
        .parse("count")?
        .ok_or(Refusal::Argument("count"))?;
    let timeout = Duration::from_millis(arguments.parse("timeout_ms")?.unwrap_or(10_000));
    let chosen = arguments.chosen(testbed)?;
    let arrived = || -> u64 {
        let of = |receiver: &Receiver| match route {
            Some(route) => receiver.ledger().count(route),
            None => receiver.ledger().total(),
        };
        chosen.iter().map(|(_, receiver)| of(receiver)).sum()
    };
    // Each receiver announces its own arrivals; whichever does, the sum over all is asked.
    let [first, second, third, fourth] = testbed
        .receivers()
        .map(|(_, receiver)| receiver.ledger().until(|_| arrived() >= count));
    let reached = tokio::time::timeout(timeout, async {
        tokio::select! {
            () = first => {}
            () = second => {}
            () = third => {}
            () = fourth => {}
        }
    })
    .await
    .is_ok();
    Ok(json!({"reached": reached, "delivered": arrived()}))
}
