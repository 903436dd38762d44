//! The parts together, against a server that fails at random: the loop an owner of a destination
//! runs, and what holds whatever happens.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::{Request, Response};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;

use super::endpoint::{Endpoint, EndpointOptions, Framing};
use super::health::{Failure, Gate, Health, HealthOptions};
use super::http::{Post, Transport, TransportOptions};
use super::lanes::{Item, LaneId, Lanes, Limits, Parcel};
use super::status::{Policy, Profile, Verdict, classify};

const LANES: u64 = 8;

/// What the server does with one request. `Accept` is the only one that keeps its lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Act {
    Accept,
    Say(u16, &'static str),
    HangUp,
}

struct Server {
    address: SocketAddr,
    accepted: Arc<Mutex<Vec<String>>>,
    requests: Arc<Mutex<usize>>,
}

/// Answers line-framed posts as `act` decides from the number of the request and its lines.
async fn server(act: impl Fn(usize, &[&str]) -> Act + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::new(Mutex::new(0));
    let (log, count, act) = (accepted.clone(), requests.clone(), Arc::new(act));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (log, count, act) = (log.clone(), count.clone(), act.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (log, count, act) = (log.clone(), count.clone(), act.clone());
                async move {
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let text = String::from_utf8(body.to_vec()).unwrap();
                    let lines: Vec<&str> = text.lines().collect();
                    let number = {
                        let mut count = count.lock();
                        *count += 1;
                        *count
                    };
                    match act(number, &lines) {
                        Act::Accept => {
                            log.lock()
                                .extend(lines.iter().map(|line| (*line).to_owned()));
                            Ok(Response::new(Full::<Bytes>::default()))
                        }
                        Act::Say(status, after) => Ok(Response::builder()
                            .status(status)
                            .header("retry-after", after)
                            .body(Full::default())
                            .unwrap()),
                        Act::HangUp => Err("hangs up"),
                    }
                }
            });
            tokio::spawn(async move {
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await
                    .ok();
            });
        }
    });
    Server {
        address,
        accepted,
        requests,
    }
}

struct Destination {
    endpoint: Arc<Endpoint>,
    lanes: Lanes<u64>,
    health: Health,
    transport: Transport,
    rejected: Vec<String>,
    settled: Vec<u64>,
    probes: usize,
}

impl Destination {
    fn new(address: SocketAddr, profile: Profile, limits: Limits) -> Self {
        let endpoint = Endpoint::try_new(EndpointOptions {
            url: format!("http://{address}/in"),
            framing: Framing::lines(),
            policy: Policy::new(profile),
            ..Default::default()
        });
        let quick = HealthOptions {
            base: Duration::from_millis(2),
            cap: Duration::from_millis(10),
            alarm_base: Duration::from_millis(5),
            alarm_cap: Duration::from_millis(20),
            ..Default::default()
        };
        Self {
            endpoint: Arc::new(endpoint.unwrap()),
            lanes: Lanes::new(limits),
            health: Health::new(quick, fastrand::Rng::with_seed(7)),
            transport: Transport::try_new(&TransportOptions::default()).unwrap(),
            rejected: Vec::new(),
            settled: Vec::new(),
            probes: 0,
        }
    }

    fn push(&mut self, lane: u64, lines: &[String]) {
        let items = lines.iter().enumerate().map(|(record, line)| Item {
            record: record as u32,
            body: Bytes::copy_from_slice(line.as_bytes()),
        });
        let parcel = Parcel {
            lane: LaneId(lane),
            endpoint: self.endpoint.clone(),
            items: items.collect::<VecDeque<Item>>(),
            arrived: Instant::now(),
            payload: lane,
        };
        assert!(self.lanes.push(parcel).is_none());
    }

    async fn run(&mut self) {
        let mut in_flight = FuturesUnordered::new();
        while !self.lanes.is_idle() {
            let now = Instant::now();
            let wake = loop {
                match self.health.gate(now) {
                    Gate::Closed(until) => break until,
                    Gate::Probe => self.probes += 1,
                    Gate::Open => {}
                }
                let Some(request) = self.lanes.next(now) else {
                    break self.lanes.due();
                };
                let permit = self.health.sent();
                let transport = self.transport.clone();
                in_flight.push(async move {
                    let post = Post {
                        endpoint: request.endpoint.clone(),
                        items: request.items.clone(),
                        ranges: Vec::new(),
                    };
                    (permit, transport.send(post).await, request)
                });
            };
            let sleep = async {
                match wake {
                    Some(wake) => tokio::time::sleep_until(wake.into()).await,
                    None => pending().await,
                }
            };
            let (permit, outcome, request) = tokio::select! {
                Some(done) = in_flight.next() => done,
                () = sleep => continue,
            };
            let now = Instant::now();
            let (id, items) = (request.id, request.items.len());
            match classify(request.endpoint.policy(), &outcome, request.counted, items) {
                Verdict::Delivered | Verdict::PartialSuccess { .. } => {
                    self.health.succeeded(permit);
                    self.settled.extend(self.lanes.delivered(id, |_, _| {}));
                }
                Verdict::Rejected { .. } | Verdict::Dropped { .. } => {
                    self.health.succeeded(permit);
                    let rejected = &mut self.rejected;
                    self.settled.extend(self.lanes.rejected(id, |_, items| {
                        let lines = items.iter().map(|item| item.body.to_vec());
                        rejected.extend(lines.map(|line| String::from_utf8(line).unwrap()));
                    }));
                }
                Verdict::Retry { after, reason } => {
                    self.health
                        .failed(permit, Failure::Passing, after, reason, now);
                    self.lanes.retry(id, false, now);
                }
                Verdict::Hold { after, reason } => {
                    self.health
                        .failed(permit, Failure::Hold, after, reason, now);
                    self.lanes.retry(id, false, now);
                }
                Verdict::RetryBounded { after, reason } => {
                    self.health
                        .failed(permit, Failure::Ambiguous, None, reason, now);
                    let pause = self.health.pause(request.counted, after);
                    self.lanes.retry(id, true, now + pause);
                }
                Verdict::Bisect { .. } => {
                    self.health.succeeded(permit);
                    assert!(self.lanes.bisect(id));
                }
                Verdict::TooLarge { .. } => {
                    self.health.succeeded(permit);
                    assert!(self.lanes.too_large(id));
                }
            }
        }
    }
}

fn limits(max_items: usize) -> Limits {
    Limits {
        max_items,
        max_bytes: 1 << 20,
        max_age: Duration::ZERO,
        max_requests: 4,
    }
}

fn lines(lane: u64, range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| format!("{lane} {number}")).collect()
}

/// Checks that every lane arrived whole, once and in order, save `missing`.
fn assert_all_in_order(accepted: &[String], per_lane: u64, missing: &[String]) {
    let mut by_lane: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in accepted {
        let lane = line.split(' ').next().unwrap().parse().unwrap();
        by_lane.entry(lane).or_default().push(line.clone());
    }
    for lane in 0..LANES {
        let mut expected = lines(lane, 0..per_lane);
        expected.retain(|line| !missing.contains(line));
        assert_eq!(
            by_lane.remove(&lane).unwrap_or_default(),
            expected,
            "lane {lane}"
        );
    }
}

#[tokio::test]
async fn faults_on_every_fifth_request_lose_and_reorder_nothing() {
    let draw = Mutex::new(fastrand::Rng::with_seed(42));
    let server = server(move |_, lines| {
        if lines.len() > 24 {
            return Act::Say(413, "");
        }
        match draw.lock().u8(..25) {
            0 => Act::HangUp,
            1 => Act::Say(429, "0"),
            2 => Act::Say(503, ""),
            3 => Act::Say(500, ""),
            4 => Act::Say(401, ""),
            _ => Act::Accept,
        }
    })
    .await;
    let mut destination = Destination::new(server.address, Profile::Generic, limits(32));
    for batch in 0..10 {
        for lane in 0..LANES {
            destination.push(lane, &lines(lane, batch * 20..batch * 20 + 20));
        }
    }
    destination.run().await;
    assert_all_in_order(&server.accepted.lock(), 200, &[]);
    assert_eq!(destination.rejected, [""; 0]);
    assert_eq!(destination.settled.len(), 80);
    assert!(destination.probes > 0);
}

#[tokio::test]
async fn one_poison_in_ten_thousand_is_found_and_nothing_else_is_lost() {
    let poison = "3 777";
    let server = server(move |_, lines| {
        if lines.contains(&poison) {
            Act::Say(400, "")
        } else {
            Act::Accept
        }
    })
    .await;
    let mut destination = Destination::new(server.address, Profile::Handle, limits(100));
    for lane in 0..LANES {
        destination.push(lane, &lines(lane, 0..1250));
    }
    destination.run().await;
    assert_eq!(destination.rejected, [poison]);
    assert_all_in_order(&server.accepted.lock(), 1250, &[poison.to_owned()]);
    // 104 full requests at most, 2 more tries of the refused one, 8 to find the culprit, 2 more
    // tries of it alone, and one for what was behind it.
    let requests = *server.requests.lock();
    assert!(requests <= 104 + 2 + 8 + 2 + 1, "{requests} requests");
}

#[tokio::test]
async fn a_destination_that_is_down_sees_one_probe_at_a_time() {
    let server = server(|number, _| {
        // The first four leave together; after them, forty probes find it still down.
        if number <= 44 {
            Act::Say(503, "")
        } else {
            Act::Accept
        }
    })
    .await;
    let mut destination = Destination::new(server.address, Profile::Generic, limits(10));
    for lane in 0..LANES {
        destination.push(lane, &lines(lane, 0..50));
    }
    destination.run().await;
    assert_eq!(destination.probes, 41);
    assert_all_in_order(&server.accepted.lock(), 50, &[]);
}
