//! What a receiver's faults do, seen from a client's socket.

use std::io::ErrorKind;
use std::time::Duration;

use prost::Message;

use super::{Client, PROTOBUF, Reply, THRIFT, batch, datakit, post, sample};
use crate::faults::{Fault, FaultKind, RetryAfter};
use crate::payload::Sample;
use crate::receiver::{HandleOptions, Receiver};
use crate::record::Route;
use crate::wire::otlp::ExportResponse;

fn trace(client: &mut Client, sequence: u32) -> std::io::Result<Reply> {
    let sample = sample(Route::SkywalkingSegments, sequence);
    client.post("/v3/trace", &[("content-type", PROTOBUF)], &sample.value)
}

#[test]
fn a_refused_port_comes_back_on_the_same_address() {
    let receiver = datakit();
    let mut open = Client::new(receiver.addr()).unwrap();
    assert_eq!(trace(&mut open, 0).unwrap().status, 200);
    for _ in 0..5 {
        receiver.set_faults([Fault::new(FaultKind::Refuse)]);
        let refused = Client::new(receiver.addr()).err().map(|error| error.kind());
        assert_eq!(refused, Some(ErrorKind::ConnectionRefused));
        assert!(
            trace(&mut open, 1).is_err(),
            "open connections are cut as well"
        );
        receiver.set_faults([]);
        open = Client::new(receiver.addr()).unwrap();
        assert_eq!(trace(&mut open, 1).unwrap().status, 200);
    }
    assert_eq!(receiver.ledger().count(Route::SkywalkingSegments), 2);
}

#[test]
fn a_refusal_with_a_window_ends_by_itself() {
    let receiver = datakit();
    let mut open = Client::new(receiver.addr()).unwrap();
    assert_eq!(trace(&mut open, 0).unwrap().status, 200);
    receiver.set_faults([Fault::new(FaultKind::Refuse).lasting(Duration::from_millis(50))]);
    assert!(
        trace(&mut open, 1).is_err(),
        "the port was closed in between"
    );
    let mut client = loop {
        match Client::new(receiver.addr()) {
            Ok(client) => break client,
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        }
    };
    assert_eq!(trace(&mut client, 1).unwrap().status, 200);
}

#[test]
fn statuses_carry_retry_after_and_spare_other_paths() {
    let receiver = datakit();
    let status = |retry_after| FaultKind::Status {
        status: 503,
        retry_after: Some(retry_after),
        body: None,
    };
    receiver.set_faults([
        Fault::new(status(RetryAfter::Seconds(7)))
            .on_path("/v3/trace")
            .times(1),
        Fault::new(status(RetryAfter::Date(60)))
            .on_path("/v3/trace")
            .times(1)
            .accepting(),
    ]);
    let mut client = Client::new(receiver.addr()).unwrap();
    let first = trace(&mut client, 0).unwrap();
    assert_eq!(
        (first.status, first.header("retry-after")),
        (503, Some("7"))
    );
    assert_eq!(receiver.ledger().total(), 0);
    let second = trace(&mut client, 0).unwrap();
    assert!(second.status == 503 && second.header("retry-after").unwrap().ends_with("GMT"));
    assert_eq!(
        receiver.ledger().total(),
        1,
        "kept although it answered 503"
    );
    assert_eq!(trace(&mut client, 0).unwrap().status, 200);
    assert_eq!(receiver.ledger().report().duplicates, 1);
    let traffic = receiver.traffic();
    assert_eq!(
        (traffic.requests, traffic.faulted, traffic.connections),
        (3, 2, 1)
    );
    assert_eq!(traffic.statuses[&503], 2);
}

#[test]
fn resets_and_hangs_leave_the_client_without_an_answer() {
    let receiver = datakit();
    for kind in [FaultKind::ResetRequest, FaultKind::ResetResponse] {
        receiver.set_faults([Fault::new(kind.clone())]);
        let mut client = Client::new(receiver.addr()).unwrap();
        assert_eq!(
            trace(&mut client, 0).err().map(|error| error.kind()),
            Some(ErrorKind::ConnectionReset),
            "{kind:?}"
        );
    }
    receiver.set_faults([Fault::new(FaultKind::Hang).times(1)]);
    let mut hung = Client::new(receiver.addr()).unwrap();
    let body = sample(Route::SkywalkingSegments, 0).value;
    hung.send("/v3/trace", &[("content-type", PROTOBUF)], &body)
        .unwrap();
    let mut healthy = Client::new(receiver.addr()).unwrap();
    // The next answer on another connection shows that the first request was not merely slow.
    while receiver.faults()[0].1 == 0 {
        std::thread::yield_now();
    }
    assert_eq!(trace(&mut healthy, 1).unwrap().status, 200);
    hung.0
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    assert!(matches!(
        hung.receive().err().map(|error| error.kind()),
        Some(ErrorKind::WouldBlock | ErrorKind::TimedOut)
    ));
    assert_eq!(receiver.ledger().total(), 1);
}

#[test]
fn poison_and_size_concern_the_requests_that_hold_them() {
    let handle = Receiver::handle(HandleOptions::default()).unwrap();
    let samples: Vec<_> = (0..20).map(|n| sample(Route::Handle, n)).collect();
    handle.set_faults([Fault::poison(samples[1].ids[0])]);
    let status =
        |samples: &[Sample]| post(&handle, "/", "application/json", &batch(samples)).status;
    assert_eq!(status(&samples[..4]), 400);
    assert_eq!(status(&samples[..1]), 200);
    assert_eq!(
        status(&samples[2..]),
        200,
        "record 1 is not record 10 to 19"
    );
    assert_eq!(status(&samples[1..2]), 400);
    assert_eq!(handle.faults()[0].1, 2);
    assert_eq!(handle.ledger().total(), 19);
    let receiver = datakit();
    receiver.set_faults([Fault::new(FaultKind::TooLarge { bytes: 20 })]);
    assert_eq!(
        post(&receiver, "/v1/write/metric", "", b"m v=1 5").status,
        200
    );
    assert_eq!(
        post(
            &receiver,
            "/v1/write/metric",
            "",
            b"m v=1 5\nm v=2 6\nm v=3 7"
        )
        .status,
        413
    );
}

#[test]
fn a_partial_success_leaves_the_rejected_ids_out() {
    let receiver = Receiver::collector().unwrap();
    let kind = FaultKind::PartialSuccess {
        rejected: 1,
        message: "too old".to_owned(),
    };
    receiver.set_faults([Fault::new(kind)]);
    let merged = [
        sample(Route::OtelTraces, 0).value,
        sample(Route::OtelTraces, 1).value,
    ]
    .concat();
    let reply = post(&receiver, "/v1/traces", PROTOBUF, &merged);
    let partial = ExportResponse::decode(&*reply.body)
        .unwrap()
        .partial_success
        .unwrap();
    assert_eq!(
        (
            reply.status,
            partial.rejected,
            partial.error_message.as_str()
        ),
        (200, 1, "too old")
    );
    let seen: Vec<_> = receiver
        .ledger()
        .seen()
        .iter()
        .map(|id| id.sequence)
        .collect();
    assert_eq!(seen, [1]);
    let jaeger = sample(Route::JaegerThrift, 0);
    assert_eq!(
        post(&receiver, "/api/traces", THRIFT, &jaeger.value).status,
        202
    );
    assert!(
        receiver.ledger().has(jaeger.ids[0]),
        "a protocol without partial success keeps all"
    );
}

#[test]
fn a_delay_holds_the_answer_back_and_a_reset_forgets() {
    let receiver = datakit();
    receiver.set_faults([Fault::new(FaultKind::Delay { ms: 30 })]);
    let before = std::time::Instant::now();
    let mut client = Client::new(receiver.addr()).unwrap();
    assert_eq!(trace(&mut client, 0).unwrap().status, 200);
    assert!(before.elapsed() >= Duration::from_millis(30));
    assert_eq!(receiver.traffic().peak_in_flight, 1);
    receiver.reset();
    assert_eq!(receiver.ledger().total(), 0);
    assert_eq!(receiver.traffic().requests, 0);
    assert_eq!(receiver.faults().len(), 1);
}
