//! Every layer in turn is made to fail, on the loopback.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use kafkamq_broker::{ApiKey, Broker as TestBroker, BrokerOptions, Fault, ResponseError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls_pki_types::PrivateKeyDer;

use super::*;
use kafkamq_settings::{Protocol, Secret, Security};

/// Longer than any answer on the loopback takes.
const PATIENT: Duration = Duration::from_secs(20);

fn cluster(addrs: &[&str], security: Security) -> ClusterSettings {
    ClusterSettings {
        addrs: addrs.iter().map(|&address| address.to_owned()).collect(),
        security,
        client_id: None,
        librdkafka: BTreeMap::new(),
    }
}

fn with_protocol(protocol: Protocol) -> Security {
    Security {
        protocol,
        ..Security::default()
    }
}

/// Dials `cluster` for the topics `app` and `absent` and the group `group`.
fn findings(cluster: &ClusterSettings) -> Vec<DialFinding> {
    let target = DialTarget {
        cluster,
        group: Some("group"),
        topics: &["app", "absent"],
    };
    dial(&target, PATIENT)
}

/// The fault of the only broker of `cluster`, and nothing else was looked at.
fn broker_fault(cluster: &ClusterSettings) -> DialFault {
    let mut found = findings(cluster);
    assert_eq!(found.len(), 1, "{found:?}");
    let found = found.remove(0);
    assert!(matches!(found.subject, DialSubject::Broker(_)), "{found:?}");
    found.fault.unwrap()
}

fn start() -> TestBroker {
    let broker = TestBroker::start(BrokerOptions::default()).unwrap();
    broker.create_topic("app", 2).unwrap();
    broker
}

/// The layer that is in the way of each subject.
fn layers(found: &[DialFinding]) -> Vec<(String, Option<Layer>)> {
    found
        .iter()
        .map(|found| {
            let layer = found.fault.as_ref().map(|fault| fault.layer);
            (found.subject.to_string(), layer)
        })
        .collect()
}

#[test]
fn a_reachable_cluster_shows_what_is_missing_and_stays_as_it_is() {
    let broker = start();
    let address = broker.bootstrap();
    let found = findings(&cluster(&[&address], Security::default()));
    assert_eq!(
        layers(&found),
        [
            (format!("broker {address}"), None),
            ("topic `app`".to_owned(), None),
            ("topic `absent`".to_owned(), Some(Layer::Topic)),
            ("group `group`".to_owned(), None),
        ]
    );
    assert!(found[2].fault.as_ref().unwrap().is_warning());
    // The broker creates topics for whoever lets it.
    assert_eq!(broker.topics(), ["app"]);
    assert_eq!(broker.requests(ApiKey::JoinGroup), 0);
    assert_eq!(broker.requests(ApiKey::OffsetCommit), 0);
}

#[test]
fn each_broker_is_named_and_announced_ones_are_dialled() {
    let broker = start();
    let announced = broker.bootstrap();
    let port = announced.rsplit(':').next().unwrap();
    let down = free_address();
    let other_name = format!("localhost:{port}");
    let found = findings(&cluster(&[&down, &other_name], Security::default()));
    assert_eq!(
        layers(&found)[..3],
        [
            (format!("broker {down}"), Some(Layer::Tcp)),
            (format!("broker {other_name}"), None),
            (format!("announced broker {announced}"), None),
        ]
    );
}

/// An address that nobody listens on.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn names_and_ports_are_told_apart() {
    let unknown = broker_fault(&cluster(&["nowhere.invalid:9092"], Security::default()));
    assert_eq!(unknown.layer, Layer::Dns, "{unknown}");
    let refused = broker_fault(&cluster(&[&free_address()], Security::default()));
    assert_eq!(refused.layer, Layer::Tcp, "{refused}");
    assert!(!refused.is_warning());
    assert!(refused.announced().remedy.contains("advertised.listeners"));
}

#[test]
fn tls_towards_a_plain_listener_is_tls() {
    let broker = start();
    let fault = broker_fault(&cluster(
        &[&broker.bootstrap()],
        with_protocol(Protocol::Ssl),
    ));
    assert_eq!(fault.layer, Layer::Tls, "{fault}");
    assert!(fault.remedy.contains("does not speak TLS"), "{fault}");
}

#[test]
fn plain_towards_a_listener_that_hangs_up_may_be_tls() {
    let port = serve(|mut stream| {
        // A TLS listener cannot read the first request and hangs up.
        let mut request = [0; 64];
        assert_ne!(stream.read(&mut request).unwrap(), 0);
    });
    let address = format!("127.0.0.1:{port}");
    let fault = broker_fault(&cluster(&[&address], Security::default()));
    assert_eq!(fault.layer, Layer::Tls, "{fault}");
    assert!(fault.remedy.contains("may expect TLS"), "{fault}");
}

/// Serves every connection with `serve`, one after the other, as long as the process runs.
fn serve(serve: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut first = [0];
            // The dial of TCP alone says nothing.
            if stream.peek(&mut first).is_ok_and(|bytes| bytes > 0) {
                serve(stream);
            }
        }
    });
    port
}

/// A TLS listener for `name`, and the root that vouches for it.
fn encrypted(name: &str, folder: &std::path::Path) -> (String, PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // By default all have one name, and a certificate issued by its own name does not make a chain.
    params.distinguished_name.push(DnType::CommonName, "root");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let root = folder.join(format!("{name}.pem"));
    std::fs::write(&root, authority.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let port = serve(move |stream| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        // The client ends the handshake if it does not like what it sees.
        let mut request = [0; 64];
        if stream.read(&mut request).is_ok() {
            stream.flush().ok();
        }
    });
    // A certificate that names an address is not what operators have.
    (format!("localhost:{port}"), root)
}

#[test]
fn an_unknown_root_is_told_from_a_wrong_host_name() {
    let folder = tempfile::tempdir().unwrap();
    let (right_host, right_root) = encrypted("localhost", folder.path());
    let (wrong_host, other_root) = encrypted("elsewhere.example", folder.path());
    let trusting = |root: &PathBuf| Security {
        ca_file: Some(root.clone()),
        ..with_protocol(Protocol::Ssl)
    };
    for (address, root, expected) in [
        (&right_host, &other_root, "CA: `ssl_cert`"),
        (&wrong_host, &other_root, "host name: "),
        (&wrong_host, &right_root, "CA: `ssl_cert`"),
    ] {
        let fault = broker_fault(&cluster(&[address], trusting(root)));
        assert_eq!(fault.layer, Layer::Tls, "{fault}");
        assert!(fault.remedy.starts_with(expected), "{expected}: {fault}");
    }
    // With both right TLS is not in the way: behind it there is no broker.
    let fault = broker_fault(&cluster(&[&right_host], trusting(&right_root)));
    assert_eq!(fault.layer, Layer::Kafka, "{fault}");
}

#[test]
fn a_listener_without_sasl_is_named_and_the_password_is_not() {
    let broker = start();
    let security = Security {
        protocol: Protocol::SaslPlaintext,
        sasl: Some(Sasl::ScramSha256 {
            username: "reader".to_owned(),
            password: Secret::new("hunter2"),
        }),
        ..Security::default()
    };
    let fault = broker_fault(&cluster(&[&broker.bootstrap()], security));
    assert_eq!(fault.layer, Layer::Sasl, "{fault}");
    assert!(!fault.to_string().contains("hunter2"), "{fault}");
}

#[test]
fn missing_rights_are_acl() {
    let broker = start();
    let address = broker.bootstrap();
    for (api, code) in [
        (ApiKey::Metadata, ResponseError::TopicAuthorizationFailed),
        (
            ApiKey::FindCoordinator,
            ResponseError::GroupAuthorizationFailed,
        ),
        (ApiKey::OffsetFetch, ResponseError::GroupAuthorizationFailed),
    ] {
        broker.clear_faults();
        broker.inject(api, Fault::Error(code), 1000);
        let found = findings(&cluster(&[&address], Security::default()));
        let refused: Vec<String> = layers(&found)
            .into_iter()
            .filter(|(_, layer)| *layer == Some(Layer::Acl))
            .map(|(subject, _)| subject)
            .collect();
        let expected = match api {
            ApiKey::Metadata => vec!["topic `app`", "topic `absent`"],
            _ => vec!["group `group`"],
        };
        assert_eq!(refused, expected, "{api:?}: {found:?}");
    }
}

#[test]
fn a_listener_that_does_not_answer_is_not_a_broker() {
    let port = serve(|stream| {
        // Kept open until the client gives up.
        let mut stream = stream;
        let mut request = [0; 64];
        while stream.read(&mut request).is_ok_and(|bytes| bytes > 0) {}
    });
    let cluster = cluster(&[&format!("127.0.0.1:{port}")], Security::default());
    let target = DialTarget {
        cluster: &cluster,
        group: None,
        topics: &[],
    };
    let found = dial(&target, Duration::from_millis(300));
    let fault = found[0].fault.as_ref().unwrap();
    assert_eq!(fault.layer, Layer::Kafka, "{fault}");
    assert!(fault.message.contains("no answer within 300ms"), "{fault}");
}

#[test]
fn hanging_up_after_the_first_answer_is_missing_credentials() {
    let classify = |reason| {
        DialFault::classify(RDKafkaErrorCode::BrokerTransportFailure, reason)
            .map(|fault| fault.layer)
    };
    assert_eq!(
        classify("b:9092/bootstrap: Disconnected (after 3ms in state UP)"),
        Some(Layer::Sasl)
    );
    for other in [
        "b:9092/bootstrap: Disconnected (after 2500ms in state UP)",
        "sasl_ssl://b:9092/bootstrap: Disconnected (after 3ms in state UP)",
    ] {
        assert_eq!(classify(other), None, "{other}");
    }
    let refused =
        "b:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed (after 0ms in state CONNECT)";
    assert_eq!(classify(refused), Some(Layer::Tcp));
}

#[test]
fn a_certificate_that_the_broker_misses_or_refuses_is_named() {
    for alert in [
        "sslv3 alert bad certificate: SSL alert number 42",
        "tlsv1 alert unknown ca: SSL alert number 48",
        "tlsv13 alert certificate required: SSL alert number 116",
    ] {
        let reason = format!(
            "ssl://b:9093/bootstrap: Receive failed: error:0A000412:SSL routines::{alert} (after 4ms in state APIVERSION_QUERY)"
        );
        let fault = DialFault::classify(RDKafkaErrorCode::BrokerTransportFailure, &reason).unwrap();
        assert_eq!(fault.layer, Layer::Tls, "{fault}");
        assert!(fault.remedy.contains("tls_client_cert"), "{fault}");
        assert!(!fault.message.contains("4ms"), "{fault}");
    }
}

#[test]
fn a_file_that_the_client_refuses_is_named_by_its_key() {
    let refused =
        |reason: &str| DialFault::refused(&KafkaError::Reported(reason.to_owned())).remedy;
    let key = refused("ssl.key.location failed: error:0A080009:SSL routines::PEM lib");
    assert!(key.contains("tls_client_key_password"), "{key}");
    assert!(refused("ssl.ca.location failed").contains("`ssl_cert`"));
}

#[test]
fn a_code_without_a_report_is_said_in_the_words_of_the_report() {
    let code = RDKafkaErrorCode::TopicAuthorizationFailed;
    let fault = DialFault::classify(code, "").unwrap();
    assert_eq!(fault.message, "Broker: Topic authorization failed");
}

#[test]
fn reports_lose_addresses_and_advice_that_names_other_keys() {
    for (report, expected) in [
        (
            "ssl://b:9093/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified, verify that ssl.ca.location is correctly configured (after 5ms in state SSL_HANDSHAKE)",
            "SSL handshake failed: error:0A000086:SSL routines::certificate verify failed",
        ),
        (
            "b:9092/1: Disconnected (after 1ms in state UP, 2 identical error(s) suppressed)",
            "Disconnected",
        ),
        ("no address at all", "no address at all"),
    ] {
        assert_eq!(fault::plain(report), expected);
    }
}
