//! The parts together, against a server that fails at random: the loop an owner of a destination
//! runs, and what holds whatever happens.

pub(crate) mod fates;

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

use self::fates::Fates;
use super::answer::Reply;
use super::delivery::{Delivery, DeliveryOptions};
use super::endpoint::{Endpoint, EndpointOptions, Framing};
use super::health::{HealthOptions, State};
use super::http::{Post, Transport, TransportOptions};
use super::lanes::{Item, LaneId, Limits, Parcel};
use super::status::{Policy, Profile};

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
    delivery: Delivery<u64>,
    transport: Transport,
    fates: Fates,
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
        let options = DeliveryOptions {
            limits,
            health: quick,
            max_retries: DeliveryOptions::DEFAULT_MAX_RETRIES,
            probe_past: false,
        };
        Self {
            endpoint: Arc::new(endpoint.unwrap()),
            delivery: Delivery::new(options, fastrand::Rng::with_seed(7)),
            transport: Transport::try_new(&TransportOptions::default()).unwrap(),
            fates: Fates::default(),
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
        assert!(self.delivery.push(parcel, None).is_none());
    }

    async fn run(&mut self) {
        let mut in_flight = FuturesUnordered::new();
        while !self.delivery.is_idle() {
            let now = Instant::now();
            while let Some(request) = self.delivery.next(now) {
                self.probes += usize::from(*self.delivery.state() != State::Up);
                let transport = self.transport.clone();
                in_flight.push(async move {
                    let post = Post {
                        endpoint: request.endpoint.clone(),
                        items: request.items.clone(),
                        ranges: Vec::new(),
                    };
                    (transport.send(post).await, request)
                });
            }
            let wake = self.delivery.wake_at(now);
            let sleep = async {
                match wake {
                    Some(wake) => tokio::time::sleep_until(wake.into()).await,
                    None => pending().await,
                }
            };
            let (outcome, request) = tokio::select! {
                Some(done) = in_flight.next() => done,
                () = sleep => continue,
            };
            self.delivery.finished(
                Instant::now(),
                &request,
                Duration::from_millis(1),
                outcome.map(Reply::Http),
                &mut self.fates,
            );
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
    assert_eq!(destination.fates.delivered(), 1600);
    assert!(destination.fates.rejected().is_empty());
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
    assert_eq!(destination.fates.rejected(), [poison]);
    assert_all_in_order(&server.accepted.lock(), 1250, &[poison.to_owned()]);
    // 104 full requests at most, 8 to find the culprit, and one for what was behind it.
    let requests = *server.requests.lock();
    assert!(requests <= 104 + 8 + 1, "{requests} requests");
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
