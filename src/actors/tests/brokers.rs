//! What is in the way between an input and its brokers, in words, as long as it lasts and no longer.

use std::net::TcpListener;

use kafkamq_broker::{ApiKey, Fault, ResponseError};
use kafkamq_testbed::Route;

use super::{Rig, Running};
use crate::actors::status::{InputStatus, ServiceStatus};

/// What the status of the only input says.
fn told(status: &ServiceStatus) -> String {
    let input = &status.inputs[0];
    let last = input.last_error.as_ref().map(|error| error.message.clone());
    input.alarm.clone().or(last).unwrap_or_default()
}

/// Waits until the input is not ready and says everything of `words`.
fn wait_told(running: &Running, words: &[&str]) {
    let says = |input: &InputStatus, status: &ServiceStatus| {
        !input.is_ready() && words.iter().all(|word| told(status).contains(word))
    };
    running.wait_status(|status| says(&status.inputs[0], status));
}

/// Lets the brokers refuse `apis` with `refused` before the start; the input says `words` meanwhile,
/// and is well by itself when they no longer do.
fn meets(apis: &[ApiKey], refused: ResponseError, words: &[&str]) {
    let rig = Rig::with_topics();
    for &api in apis {
        rig.broker.inject(api, Fault::Error(refused), usize::MAX);
    }
    let soon = "librdkafka = { \"topic.metadata.refresh.interval.ms\" = \"300\" }";
    let running = rig.start(&rig.config(soon, ""));
    wait_told(&running, words);
    rig.broker.clear_faults();
    let status = running.wait_status(ServiceStatus::is_ready);
    assert_eq!(status.inputs[0].alarm, None);
    rig.produce(Route::CustomLog, 0..10);
    rig.wait_delivered(Route::CustomLog, 20);
    running.stop();
}

#[test]
fn a_wrong_port_is_named_with_its_layer_and_what_to_do() {
    let rig = Rig::with_topics();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap().to_string();
    drop(listener);
    let config = rig.config("", "").replace(&rig.broker.bootstrap(), &closed);
    let running = rig.start(&config);
    let named = format!("broker {closed}: tcp: ");
    wait_told(&running, &[&named, "refused", "that the port is right"]);
    running.stop();
}

#[test]
fn tls_towards_a_plain_listener_is_named() {
    let rig = Rig::with_topics();
    let tls = "tls_enable = true\ntls_security_protocol = \"SSL\"";
    let running = rig.start(&rig.config(tls, ""));
    let named = format!("broker {}: tls: ", rig.broker.bootstrap());
    wait_told(&running, &[&named, "does not speak TLS"]);
    running.stop();
}

#[test]
fn a_cluster_that_went_away_and_came_back_is_ready_again() {
    let rig = Rig::with_topics();
    let running = rig.start(&rig.config("", ""));
    running.wait_status(ServiceStatus::is_ready);
    rig.broker.go_down().unwrap();
    let named = format!("broker {}: tcp: ", rig.broker.bootstrap());
    running.wait_status(|status| {
        let last = status.inputs[0].last_error.as_ref();
        last.is_some_and(|error| error.message.contains(&named))
    });
    rig.broker.come_up().unwrap();
    rig.produce(Route::CustomLog, 0..10);
    rig.wait_delivered(Route::CustomLog, 20);
    running.wait_status(ServiceStatus::is_ready);
    running.stop();
}

#[test]
fn a_topic_that_may_not_be_read_is_named_and_read_when_it_may_even_if_it_is_empty() {
    meets(
        &[ApiKey::Fetch],
        ResponseError::TopicAuthorizationFailed,
        &[
            "topic `",
            "acl: ",
            "grant the user Describe and Read on this topic",
        ],
    );
}

#[test]
fn a_topic_that_may_not_be_described_is_named_and_read_when_it_may() {
    meets(
        &[ApiKey::Metadata],
        ResponseError::TopicAuthorizationFailed,
        &["topic `", "acl: ", "grant the user Describe and Read"],
    );
}

#[test]
fn a_group_that_may_not_be_joined_is_named_and_joined_when_it_may() {
    for api in [ApiKey::FindCoordinator, ApiKey::JoinGroup] {
        meets(
            &[api],
            ResponseError::GroupAuthorizationFailed,
            &["acl: ", "grant the user Read on this group"],
        );
    }
}
