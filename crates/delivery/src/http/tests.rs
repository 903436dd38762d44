//! [`Transport`](super::Transport) against servers on the loopback that misbehave in one way each.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::answer;
use super::super::endpoint::{EndpointOptions, Framing};
use super::super::status::{Policy, Profile, Refusal, Verdict, classify};
use super::*;
use kafkamq_address::Compression;
use kafkamq_record::TopicPartition;

mod encrypted;

type Reply = Response<Full<Bytes>>;

/// A well-behaved server that counts connections and keeps what it was sent.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Server {
    async fn start(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (count, log, reply) = (connections.clone(), seen.clone(), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (log, reply) = (log.clone(), reply.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (log, reply) = (log.clone(), reply.clone());
                        async move {
                            let (head, body) = request.into_parts();
                            let body = body.collect().await.unwrap().to_bytes();
                            let number = {
                                let mut log = log.lock();
                                log.push(Request::from_parts(head, body));
                                log.len()
                            };
                            Ok::<_, Infallible>(reply(number))
                        }
                    });
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    // It is not a fault of the server if a client hangs up.
                    connection.await.ok();
                });
            }
        });
        Self {
            address,
            connections,
            seen,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A server that does whatever `act` does with each connection.
async fn raw<F>(act: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(act(stream));
        }
    });
    address
}

/// Reads until the end of a request of one `x`, and answers with `bytes`.
async fn say(stream: &mut TcpStream, bytes: &[u8]) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\nx") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
    }
    stream.write_all(bytes).await.unwrap();
}

fn status(code: u16) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = StatusCode::from_u16(code).unwrap();
    reply
}

fn options(url: String, profile: Profile) -> EndpointOptions {
    EndpointOptions {
        url,
        policy: Policy::new(profile),
        ..Default::default()
    }
}

fn post_with(options: EndpointOptions, bodies: &[&[u8]]) -> Post {
    let items = bodies.iter().map(|body| Item {
        record: 0,
        body: Bytes::copy_from_slice(body),
    });
    Post {
        endpoint: Arc::new(Endpoint::try_new(options).unwrap()),
        items: items.collect(),
        ranges: Vec::new(),
    }
}

fn post(address: SocketAddr, profile: Profile) -> Post {
    post_with(
        options(format!("http://{address}/v1/write"), profile),
        &[b"x"],
    )
}

fn transport() -> Transport {
    Transport::try_new(&TransportOptions::default()).unwrap()
}

fn hasty() -> Transport {
    let total_timeout = Duration::from_millis(100);
    Transport::try_new(&TransportOptions {
        total_timeout,
        ..Default::default()
    })
    .unwrap()
}

async fn layer(transport: &Transport, post: Post) -> Layer {
    transport.send(post).await.unwrap_err().layer
}

#[tokio::test]
async fn a_request_carries_what_the_endpoint_says() {
    let server = Server::start(|_| status(204)).await;
    let mut post = post_with(
        EndpointOptions {
            headers: vec![("X-Tenant".to_owned(), "blue\r\nX-Evil: 1".to_owned())],
            content_type: Some("application/json".to_owned()),
            framing: Framing::json_array(),
            idempotency_header: Some("Idempotency-Key".to_owned()),
            ..options(
                format!("http://u:p@{}/in?token=tkn_1", server.address),
                Profile::Generic,
            )
        },
        &[b"1", b"2"],
    );
    post.ranges.push(OffsetRange {
        source: TopicPartition::new("t", 0),
        first: 1,
        last: 2,
    });
    let key = idempotency_key(&post.ranges, [b"[1,2]".as_slice()]);
    assert_eq!(transport().send(post).await.unwrap().status, 204);
    let seen = server.seen.lock();
    let header = |name: &str| {
        seen[0]
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    assert_eq!(
        (
            seen[0].method().as_str(),
            seen[0].uri().to_string().as_str()
        ),
        ("POST", "/in?token=tkn_1")
    );
    assert_eq!(seen[0].body().as_ref(), b"[1,2]");
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("content-length"), Some("5"));
    assert_eq!(header("authorization"), Some("Basic dTpw"));
    assert_eq!(header("idempotency-key"), key.to_str().ok());
    assert_eq!(header("x-tenant"), Some("blue  X-Evil: 1"));
    assert_eq!(header("x-evil"), None);
    assert!(header("user-agent").unwrap().starts_with("kafkamq/"));
    assert_eq!(header("host"), Some(server.address.to_string().as_str()));
}

#[tokio::test]
async fn bodies_are_compressed_on_demand() {
    let server = Server::start(|_| status(200)).await;
    let text = b"a line of text\n".repeat(100);
    let compression = Compression::Gzip;
    let base = options(format!("http://{}/", server.address), Profile::Generic);
    let post = post_with(
        EndpointOptions {
            compression,
            ..base
        },
        &[&text],
    );
    transport().send(post).await.unwrap();
    let seen = server.seen.lock();
    assert_eq!(seen[0].headers()[CONTENT_ENCODING], "gzip");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&seen[0].body()[..])
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!(plain, text);
}

#[tokio::test]
async fn connections_are_used_again_whatever_the_answer() {
    let server = Server::start(|number| {
        let mut reply = status([200, 400, 503, 429][number % 4]);
        *reply.body_mut() = Full::from(vec![b'x'; number * 10_000]);
        reply
    })
    .await;
    let transport = transport();
    for _ in 0..20 {
        transport
            .send(post(server.address, Profile::Generic))
            .await
            .unwrap();
    }
    assert_eq!((server.seen.lock().len(), server.connections()), (20, 1));
}

#[tokio::test]
async fn requests_side_by_side_use_as_many_connections_as_they_need() {
    let server = Server::start(|_| status(200)).await;
    let transport = transport();
    for _ in 0..5 {
        let sends = (0..8).map(|_| transport.send(post(server.address, Profile::Generic)));
        for outcome in futures_util::future::join_all(sends).await {
            assert_eq!(outcome.unwrap().status, 200);
        }
    }
    assert_eq!(server.seen.lock().len(), 40);
    assert!(server.connections() <= 8, "{}", server.connections());
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_nothing() {
    // Answers once and hangs up without saying so, as a server does when its own idle time ends.
    let (hang_up, mut hung_up) = tokio::sync::mpsc::unbounded_channel();
    let address = raw(move |mut stream| {
        let hang_up = hang_up.clone();
        async move {
            say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            drop(stream);
            hang_up.send(()).unwrap();
        }
    })
    .await;
    let transport = transport();
    for _ in 0..10 {
        assert_eq!(
            transport
                .send(post(address, Profile::Generic))
                .await
                .unwrap()
                .status,
            200
        );
        hung_up.recv().await.unwrap();
    }
}

#[tokio::test]
async fn long_answers_are_cut_and_drained() {
    let server = Server::start(|number| {
        Response::new(Full::from(vec![
            b'x';
            if number == 3 { 64 << 10 } else { 1500 }
        ]))
    })
    .await;
    let options = TransportOptions {
        max_answer_bytes: 1000,
        ..Default::default()
    };
    let transport = Transport::try_new(&options).unwrap();
    for _ in 0..4 {
        let answer = transport
            .send(post(server.address, Profile::Handle))
            .await
            .unwrap();
        assert_eq!((answer.body.len(), answer.truncated), (1000, true));
    }
    // The body of the third was not read to its end.
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn compressed_answers_are_undone_and_bounded() {
    let packed = |bytes: usize| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &vec![b'x'; bytes]).unwrap();
        encoder.finish().unwrap()
    };
    let server = Server::start(move |number| {
        let mut reply = Response::new(Full::from(match number {
            1 => packed(5000),
            2 => packed(5 << 20),
            _ => b"not gzip".to_vec(),
        }));
        reply
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        reply
    })
    .await;
    let transport = transport();
    let answer = transport
        .send(post(server.address, Profile::Handle))
        .await
        .unwrap();
    assert_eq!((answer.body.len(), answer.truncated), (5000, false));
    assert!(!answer.headers.contains_key(CONTENT_ENCODING));
    let bomb = transport
        .send(post(server.address, Profile::Handle))
        .await
        .unwrap();
    assert_eq!((bomb.body.len(), bomb.truncated), (4 << 20, true));
    assert_eq!(
        layer(&transport, post(server.address, Profile::Handle)).await,
        Layer::Body
    );
    assert_eq!(server.seen.lock()[0].headers()[ACCEPT_ENCODING], "gzip");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = Server::start(|_| {
        let mut reply = status(307);
        reply
            .headers_mut()
            .insert(http::header::LOCATION, HeaderValue::from_static("/other"));
        reply
    })
    .await;
    let outcome = transport()
        .send(post(server.address, Profile::Generic))
        .await;
    assert_eq!(outcome.as_ref().unwrap().status, 307);
    assert_eq!(server.seen.lock().len(), 1);
    assert!(matches!(
        classify(&Policy::default(), &outcome.map(answer::Reply::Http), 1),
        Verdict::Refused {
            refusal: Refusal::Access,
            ..
        }
    ));
}

#[tokio::test]
async fn a_connection_that_is_old_enough_is_used_no_more() {
    let server = Server::start(|_| status(204)).await;
    for (max_age, connections) in [(None, 1), (Some(Duration::ZERO), 4)] {
        let transport = Transport::try_new(&TransportOptions {
            max_age,
            ..TransportOptions::default()
        })
        .unwrap();
        for _ in 0..3 {
            let post = post(server.address, Profile::Generic);
            assert_eq!(transport.send(post).await.unwrap().status, 204);
        }
        assert_eq!(server.connections(), connections);
    }
}

fn through(proxy: SocketAddr) -> Transport {
    Transport::try_new(&TransportOptions {
        proxies: Proxies::One(format!("http://me:secret@{proxy}")),
        ..TransportOptions::default()
    })
    .unwrap()
}

#[tokio::test]
async fn plain_requests_are_asked_of_the_proxy_with_the_whole_address() {
    let proxy = Server::start(|_| status(204)).await;
    let url = "http://collector.test:8080/v1/write".to_owned();
    let post_to = post_with(options(url.clone(), Profile::Generic), &[b"x"]);
    through(proxy.address).send(post_to).await.unwrap();
    {
        let seen = proxy.seen.lock();
        assert_eq!(seen[0].uri().to_string(), url);
        assert_eq!(seen[0].headers()["host"], "collector.test:8080");
        let credentials = &seen[0].headers()["proxy-authorization"];
        assert_eq!(credentials, "Basic bWU6c2VjcmV0");
    }
    // What stands on this machine is reached without it.
    let server = Server::start(|_| status(202)).await;
    let direct = post(server.address, Profile::Generic);
    let answer = through(proxy.address).send(direct).await.unwrap();
    assert_eq!(answer.status, 202);
}

#[tokio::test]
async fn encrypted_requests_ask_the_proxy_for_a_tunnel_and_say_why_there_is_none() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heads);
    let proxy = raw(move |mut stream| {
        let log = Arc::clone(&log);
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut head).await.unwrap(), 0);
            }
            log.lock().push(String::from_utf8(head).unwrap());
            let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let url = "https://collector.test/v1/write".to_owned();
    let post = post_with(options(url, Profile::Generic), &[b"x"]);
    let error = through(proxy).send(post).await.unwrap_err();
    assert_eq!(error.layer, Layer::Connect);
    assert!(error.message.contains("407"), "{error}");
    let head = heads.lock()[0].clone();
    assert!(head.starts_with("CONNECT collector.test:443 HTTP/1.1\r\n"));
    assert!(head.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"));
}

#[tokio::test]
async fn an_empty_body_says_its_length() {
    let server = Server::start(|_| status(204)).await;
    let url = format!("http://{}/", server.address);
    for bodies in [&[&b""[..]][..], &[b"x"]] {
        let post = post_with(options(url.clone(), Profile::Generic), bodies);
        transport().send(post).await.unwrap();
    }
    let seen = server.seen.lock();
    let lengths: Vec<_> = seen
        .iter()
        .map(|request| request.headers()["content-length"].as_bytes())
        .collect();
    assert_eq!(lengths, [b"0", b"1"]);
}

#[tokio::test]
async fn refusals_reach_their_verdicts() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    let server = Server::start(move |number| {
        let mut reply = status([429, 429, 503, 500, 401, 413][number - 1]);
        let after = match number {
            1 => "17",
            2 => date.as_str(),
            _ => return reply,
        };
        reply
            .headers_mut()
            .insert("retry-after", HeaderValue::from_str(after).unwrap());
        reply
    })
    .await;
    let transport = transport();
    let mut verdicts = Vec::new();
    for _ in 0..6 {
        let outcome = transport.send(post(server.address, Profile::Generic)).await;
        verdicts.push(classify(
            &Policy::default(),
            &outcome.map(answer::Reply::Http),
            2,
        ));
    }
    let after = |verdict: &Verdict| match verdict {
        Verdict::Refused { after, .. } => after.map(|after| after.as_secs()),
        other => panic!("{other:?}"),
    };
    assert_eq!(after(&verdicts[0]), Some(17));
    assert!(
        (3590..=3600).contains(&after(&verdicts[1]).unwrap()),
        "{:?}",
        verdicts[1]
    );
    assert_eq!((after(&verdicts[2]), after(&verdicts[3])), (None, None));
    assert!(matches!(verdicts[4], Verdict::Refused { .. }));
    assert!(matches!(verdicts[5], Verdict::TooLarge { .. }));
}

#[tokio::test]
async fn a_refused_connection_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(
        layer(&transport(), post(address, Profile::Generic)).await,
        Layer::Connect
    );
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    // Too long for a label, so that no name server is asked.
    let url = format!("http://{}.test/", "x".repeat(64));
    let post = post_with(options(url, Profile::Generic), &[b"x"]);
    assert_eq!(layer(&transport(), post).await, Layer::Dns);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let address = raw(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(
        layer(&hasty(), post(address, Profile::Generic)).await,
        Layer::Timeout
    );
}

#[tokio::test]
async fn hanging_up_without_an_answer_is_a_reset() {
    let address = raw(|mut stream| async move { say(&mut stream, b"").await }).await;
    assert_eq!(
        layer(&transport(), post(address, Profile::Generic)).await,
        Layer::Reset
    );
}

#[tokio::test]
async fn what_is_not_http_is_named() {
    let address =
        raw(|mut stream| async move { say(&mut stream, b"SSH-2.0-x\r\n\r\n").await }).await;
    assert_eq!(
        layer(&transport(), post(address, Profile::Generic)).await,
        Layer::Protocol
    );
}

/// A receiver that says `head`, a part of the body, and then nothing more; it hangs up if `ends`.
async fn breaking(head: &'static str, ends: bool) -> std::net::SocketAddr {
    raw(move |mut stream| async move {
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 100\r\n\r\npart");
        say(&mut stream, answer.as_bytes()).await;
        if !ends {
            std::future::pending::<()>().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_success_that_breaks_off_is_none() {
    for profile in [Profile::Handle, Profile::Generic] {
        let broken = breaking("200 OK", true).await;
        assert_eq!(
            layer(&transport(), post(broken, profile)).await,
            Layer::Body
        );
        let endless = breaking("200 OK", false).await;
        assert_eq!(
            layer(&hasty(), post(endless, profile)).await,
            Layer::Timeout
        );
    }
}

#[tokio::test]
async fn a_refusal_that_breaks_off_is_one() {
    for ends in [true, false] {
        let broken = breaking("400 Bad Request", ends).await;
        let answer = hasty().send(post(broken, Profile::Handle)).await.unwrap();
        assert_eq!((answer.status, answer.truncated), (400, true));
    }
}
