//! What a client reports while it runs, in the words of [`dial`](super::dial).

use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};

use super::KafkaError;
use super::dial::certificate::{CertificateFault, judge};
use super::dial::{DialFault, DialSubject, Layer};
use kafkamq_settings::ClusterSettings;
use kafkamq_source::trouble::{Subject, Trouble};

/// How long each step of looking at a broker's certificate takes at most.
const JUDGE_TIMEOUT: Duration = Duration::from_secs(2);
/// In front of a topic that cannot be subscribed to.
const NOT_AVAILABLE: &str = "Subscribed topic not available: ";

/// What a client reports, if it tells of something in the way; `brokers` are those of the
/// configuration.
pub(super) fn trouble(code: Code, reason: &str, brokers: &[String]) -> Option<Trouble> {
    told(code, reason, brokers, |_| None)
}

/// Whether a client reports that the certificate of a broker is not accepted. Why not is found out
/// by [`judged`].
pub(super) fn is_about_certificate(code: Code, reason: &str) -> bool {
    DialFault::classify(code, reason).is_some_and(|fault| fault.is_about_certificate())
}

/// The same as [`trouble`], with what is wrong about the certificate of a broker, which is asked for
/// it once more. Blocks.
pub(super) fn judged(code: Code, reason: &str, cluster: &ClusterSettings) -> Option<Trouble> {
    told(code, reason, &cluster.addrs, |address| {
        judge(address, &cluster.security, JUDGE_TIMEOUT)
    })
}

fn told(
    code: Code,
    reason: &str,
    brokers: &[String],
    judge: impl Fn(&str) -> Option<CertificateFault>,
) -> Option<Trouble> {
    if code == Code::AllBrokersDown {
        let fault = DialFault::new(Layer::Kafka, "no broker can be reached");
        return Some(about(Subject::Cluster, fault));
    }
    let mut fault = DialFault::classify(code, reason)?;
    let subject = match code {
        Code::GroupAuthorizationFailed => Subject::Group,
        Code::ClusterAuthorizationFailed => Subject::Cluster,
        Code::TopicAuthorizationFailed | Code::UnknownTopicOrPartition | Code::UnknownTopic => {
            let (topic, said) = topic_of(reason)?;
            said.clone_into(&mut fault.message);
            Subject::Topic(topic.to_owned())
        }
        _ => match broker_of(reason) {
            Some(address) => {
                if !brokers.contains(&address) {
                    fault = fault.announced();
                }
                if fault.is_about_certificate() {
                    fault = fault.judged(judge(&address));
                }
                Subject::Broker(address)
            }
            None => Subject::Cluster,
        },
    };
    Some(about(subject, fault))
}

/// Reading of `topic` was refused with `code`.
pub(super) fn unreadable(topic: &str, code: Code, detail: &str) -> Option<Trouble> {
    let fault = DialFault::classify(code, detail)?;
    let subject = match fault.layer {
        Layer::Acl => Subject::Records(topic.to_owned()),
        _ => Subject::Topic(topic.to_owned()),
    };
    Some(about(subject, fault))
}

/// What `code` means, with what to do about it where that is known.
pub(super) fn meaning(code: Code) -> String {
    DialFault::classify(code, "").map_or_else(|| code.to_string(), |fault| fault.to_string())
}

/// What a client reports that names nothing in the way, without ages, which differ every time.
pub(super) fn reported(reason: &str) -> String {
    let said = reason
        .split_once(" (after ")
        .map_or(reason, |(said, _)| said);
    said.to_owned()
}

fn about(subject: Subject, fault: DialFault) -> Trouble {
    let named = match &subject {
        Subject::Broker(address) => Some(DialSubject::Broker(address.clone())),
        Subject::Topic(topic) | Subject::Records(topic) => Some(DialSubject::Topic(topic.clone())),
        Subject::Cluster | Subject::Group => None,
    };
    Trouble {
        text: named.map_or_else(|| fault.to_string(), |named| format!("{named}: {fault}")),
        layer: fault.layer.as_str(),
        is_alarm: matches!(fault.layer, Layer::Acl | Layer::Sasl),
        subject,
    }
}

/// The topic that cannot be subscribed to, and what the brokers say of it.
fn topic_of(reason: &str) -> Option<(&str, &str)> {
    let (_, named) = reason.split_once(NOT_AVAILABLE)?;
    named.split_once(": ")
}

/// The address in front of a report: `ssl://host:port/bootstrap: …`, perhaps behind the name of a
/// thread in brackets or the role that the broker has.
fn broker_of(reason: &str) -> Option<String> {
    let parts = reason.split(": ").take(3);
    parts
        .filter(|part| !part.starts_with("[thrd:") && !part.contains(' '))
        .find_map(|part| {
            let address = part.split_once("://").map_or(part, |(_, rest)| rest);
            let address = address.split_once('/').map_or(address, |(host, _)| host);
            let (host, port) = address.rsplit_once(':')?;
            let is_port = !host.is_empty() && port.parse::<u16>().is_ok();
            is_port.then(|| address.to_owned())
        })
}

/// Remembers what a client of one question reports besides its answers.
#[derive(Debug)]
pub(super) struct Hearing {
    cluster: ClusterSettings,
    heard: Mutex<Option<Trouble>>,
}

impl Hearing {
    pub(super) fn new(cluster: &ClusterSettings) -> Self {
        Self {
            cluster: cluster.clone(),
            heard: Mutex::default(),
        }
    }

    /// What is in the way, if that was reported; otherwise what the answer itself says.
    pub(super) fn explain(&self, error: KafkaError) -> KafkaError {
        let fault = || {
            let fault = DialFault::classify(error.code()?, "")?;
            (fault.layer != Layer::Topic).then(|| about(Subject::Cluster, fault))
        };
        let heard = self.heard.lock().take();
        heard.or_else(fault).map_or(error, KafkaError::InTheWay)
    }

    fn note(&self, code: Code, reason: &str) {
        if let Some(trouble) = judged(code, reason, &self.cluster) {
            let mut heard = self.heard.lock();
            if trouble.subject != Subject::Cluster || heard.is_none() {
                *heard = Some(trouble);
            }
        }
    }
}

impl ClientContext for Hearing {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, message);
        if is_close(level, facility) {
            self.note(Code::BrokerTransportFailure, message);
        }
    }

    fn error(&self, error: ClientError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.note(code, reason);
        }
    }
}

impl ConsumerContext for Hearing {}

/// Whether a line of the client's log tells that a broker hung up, which is not reported as an error.
pub(super) fn is_close(level: RDKafkaLogLevel, facility: &str) -> bool {
    let quiet = matches!(
        level,
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info
    );
    quiet && facility == "FAIL"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: Code, reason: &str) -> Trouble {
        trouble(code, reason, &["kafka-1:9093".to_owned()]).unwrap()
    }

    #[test]
    fn a_report_names_the_broker_the_layer_and_what_to_do() {
        let refused = told(
            Code::BrokerTransportFailure,
            "kafka-1:9093/bootstrap: Connect to ipv4#10.0.0.1:9093 failed: Connection refused (after 0ms in state CONNECT)",
        );
        assert_eq!(refused.subject, Subject::Broker("kafka-1:9093".to_owned()));
        assert_eq!(
            refused.text,
            "broker kafka-1:9093: tcp: Connect to ipv4#10.0.0.1:9093 failed: Connection refused; check that the broker is running, that the port is right and that no firewall is in between"
        );
        assert!(!refused.is_alarm);
        let password = told(
            Code::Authentication,
            "sasl_ssl://kafka-1:9093/1: SASL authentication error: Authentication failed (after 3ms in state AUTH_REQ)",
        );
        assert_eq!((password.layer, password.is_alarm), ("sasl", true));
        let announced = told(
            Code::Resolve,
            "broker.internal:9092/3: Failed to resolve 'broker.internal:9092': Name or service not known",
        );
        assert_eq!(announced.layer, "dns");
        assert!(
            announced.text.contains("advertised.listeners"),
            "{announced:?}"
        );
        let logged = told(
            Code::BrokerTransportFailure,
            "[thrd:kafka-1:9093/bootstrap]: kafka-1:9093/bootstrap: Disconnected while requesting ApiVersion (after 2ms in state APIVERSION_QUERY)",
        );
        assert_eq!(logged.layer, "tls");
        assert_eq!(logged.subject, Subject::Broker("kafka-1:9093".to_owned()));
    }

    #[test]
    fn a_topic_or_group_without_permission_is_named() {
        let topic = told(
            Code::TopicAuthorizationFailed,
            "Subscribed topic not available: app: Broker: Topic authorization failed",
        );
        assert_eq!(
            topic.text,
            "topic `app`: acl: Broker: Topic authorization failed; grant the user Describe and Read on this topic"
        );
        let group = told(
            Code::GroupAuthorizationFailed,
            "FindCoordinator response error: Group authorization failed",
        );
        assert_eq!((group.subject, group.layer), (Subject::Group, "acl"));
        let records = unreadable("app", Code::TopicAuthorizationFailed, "").unwrap();
        assert_eq!(records.subject, Subject::Records("app".to_owned()));
    }

    #[test]
    fn that_all_brokers_are_down_is_said_in_words() {
        let all = told(Code::AllBrokersDown, "1/1 brokers are down");
        assert!(
            all.text
                .starts_with("kafka: no broker can be reached; check"),
            "{all:?}"
        );
    }
}
