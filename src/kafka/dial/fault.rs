//! What was in the way of a dial: the layer, in whose words, and what to do about it.

use std::fmt;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::certificate::CertificateFault;
use crate::kafka::KafkaError;

/// The layers between this process and the records of a topic, from the bottom up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Layer {
    /// The host name could not be resolved.
    Dns,
    /// No TCP connection.
    Tcp,
    /// The TLS handshake failed, or one side expects TLS and the other does not.
    Tls,
    /// Credentials or their mechanism were refused, or are missing.
    Sasl,
    /// The peer does not answer as a Kafka broker does.
    Kafka,
    /// The user may not do what is needed.
    Acl,
    /// The topic is not there, or not ready.
    Topic,
}

impl Layer {
    /// Stable lower-case name.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Sasl => "sasl",
            Self::Kafka => "kafka",
            Self::Acl => "acl",
            Self::Topic => "topic",
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Dns => "check the host name in `addrs` and the name server of this machine",
            Self::Tcp => {
                "check that the broker is running, that the port is right and that no firewall is in between"
            }
            Self::Tls => {
                "check `tls_enable`, `tls_security_protocol` and which listener the port belongs to"
            }
            Self::Sasl => {
                "check `tls_sasl_plain_username`, its password and `tls_sasl_mechanism` against the brokers"
            }
            Self::Kafka => {
                "check that the port belongs to a Kafka broker of version 0.10 or later, and its load"
            }
            Self::Acl => "grant the user Describe and Read on the topics and Read on the group",
            Self::Topic => "create it, or check its spelling; it is read as soon as it exists",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why something cannot be used, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{layer}: {message}; {remedy}")]
pub(crate) struct DialFault {
    /// The layer that is in the way.
    pub(crate) layer: Layer,
    /// What that layer said, without secrets.
    pub(crate) message: String,
    /// What to look at, in one clause.
    pub(crate) remedy: &'static str,
}

impl DialFault {
    pub(in crate::kafka) fn new(layer: Layer, message: impl Into<String>) -> Self {
        Self {
            layer,
            message: message.into(),
            remedy: layer.remedy(),
        }
    }

    /// Whether the service works all the same, and better once this is mended.
    #[must_use]
    pub(crate) fn is_warning(&self) -> bool {
        self.layer == Layer::Topic
    }

    /// Reads what the client library reported; `None` if that names no layer.
    pub(in crate::kafka) fn classify(code: Code, reason: &str) -> Option<Self> {
        let said = || match plain(reason) {
            empty if empty.is_empty() => words(code),
            said => said,
        };
        let with = |layer, remedy| Self {
            layer,
            message: said(),
            remedy,
        };
        let fault = match code {
            // The library names the CA only, though a wrong host name fails in the same way.
            Code::SSL if reason.contains("certificate verify failed") => {
                with(Layer::Tls, CERTIFICATE)
            }
            Code::SSL if reason.contains("authentication might be required") => {
                with(Layer::Tls, CLIENT_CERTIFICATE)
            }
            // With TLS 1.3 the broker looks at the client's certificate after the handshake.
            Code::SSL | Code::BrokerTransportFailure if is_certificate_alert(reason) => {
                with(Layer::Tls, CLIENT_CERTIFICATE)
            }
            Code::SSL => with(Layer::Tls, Layer::Tls.remedy()),
            Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState => with(Layer::Sasl, Layer::Sasl.remedy()),
            Code::Resolve => with(Layer::Dns, Layer::Dns.remedy()),
            Code::BrokerTransportFailure
                if reason.contains("Connect to ") || reason.contains("in state CONNECT)") =>
            {
                with(Layer::Tcp, Layer::Tcp.remedy())
            }
            Code::BrokerTransportFailure if reason.contains("SSL handshake failed") => with(
                Layer::Tls,
                "the listener does not speak TLS: use the port that does, or a `tls_security_protocol` without it",
            ),
            // A TLS listener cannot read the first request.
            Code::BrokerTransportFailure
                if reason.contains("in state APIVERSION_QUERY") && !reason.contains("ssl://") =>
            {
                with(
                    Layer::Tls,
                    "the listener may expect TLS: set `tls_enable = true` and `tls_security_protocol`, or use the port without TLS",
                )
            }
            Code::BrokerTransportFailure if reason.contains("in state APIVERSION_QUERY") => {
                with(Layer::Kafka, Layer::Kafka.remedy())
            }
            Code::BrokerTransportFailure if reason.contains("in state AUTH") => {
                with(Layer::Sasl, Layer::Sasl.remedy())
            }
            // A listener with SASL says which requests it knows and hangs up at the next one.
            Code::BrokerTransportFailure if just_connected(reason) && !reason.contains("sasl_") => {
                with(
                    Layer::Sasl,
                    "the broker may want credentials: set `tls_enable = true` with user, password and `tls_sasl_mechanism`",
                )
            }
            Code::TopicAuthorizationFailed => {
                with(Layer::Acl, "grant the user Describe and Read on this topic")
            }
            Code::GroupAuthorizationFailed => with(Layer::Acl, "grant the user Read on this group"),
            Code::ClusterAuthorizationFailed => with(Layer::Acl, Layer::Acl.remedy()),
            Code::UnknownTopicOrPartition | Code::UnknownTopic => {
                Self::new(Layer::Topic, "it does not exist yet")
            }
            _ => return None,
        };
        Some(fault)
    }

    /// The client refused its configuration.
    pub(in crate::kafka) fn refused(error: &KafkaError) -> Self {
        let message = error.to_string();
        let layer = if message.contains("ssl.") {
            Layer::Tls
        } else if message.contains("sasl") {
            Layer::Sasl
        } else {
            Layer::Kafka
        };
        let remedies = [
            (
                "ssl.key.",
                "check `tls_client_key` and `tls_client_key_password`",
            ),
            ("ssl.certificate.", "check `tls_client_cert`"),
            ("ssl.ca.", "check `ssl_cert`"),
        ];
        let of = remedies.iter().find(|(key, _)| message.contains(key));
        let general = "check the files and options of this cluster";
        Self {
            layer,
            message,
            remedy: of.map_or(general, |(_, remedy)| remedy),
        }
    }

    /// This build cannot authenticate by `mechanism`.
    pub(super) fn unsupported(mechanism: &str) -> Self {
        Self {
            layer: Layer::Sasl,
            message: format!("{mechanism} cannot be checked: the client gets no token"),
            remedy: "use PLAIN or SCRAM",
        }
    }

    /// No answer within `timeout`; `last` is what the client reported meanwhile.
    pub(super) fn silent(timeout: Duration, last: Option<&str>) -> Self {
        let message = match last {
            Some(last) => format!("no answer within {timeout:?}: {last}"),
            None => format!("no answer within {timeout:?}"),
        };
        Self::new(Layer::Kafka, message)
    }

    /// `headless` of `all` partitions cannot be read.
    pub(super) fn headless(headless: usize, all: usize) -> Self {
        Self {
            layer: Layer::Topic,
            message: format!("{headless} of {all} partitions have no leader"),
            remedy: "check that all brokers of the cluster are up",
        }
    }

    /// Whether the certificate of the broker is not accepted, for a reason not known yet.
    pub(in crate::kafka) fn is_about_certificate(&self) -> bool {
        self.remedy == CERTIFICATE
    }

    /// The same fault with what was found out about the certificate of the broker.
    pub(in crate::kafka) fn judged(self, found: Option<CertificateFault>) -> Self {
        let remedy = match found {
            Some(CertificateFault::Root) => {
                "CA: `ssl_cert` must hold the root of the broker's certificate"
            }
            Some(CertificateFault::Name) => {
                "host name: the broker's certificate must name the host as `addrs` or the broker's `advertised.listeners` writes it"
            }
            Some(CertificateFault::Time) => {
                "time: the broker's certificate is not valid now; renew it, or check the clock of this machine"
            }
            None => return self,
        };
        Self { remedy, ..self }
    }

    /// The same fault of an address that a broker announced and that is not in the configuration.
    pub(in crate::kafka) fn announced(self) -> Self {
        match self.layer {
            Layer::Dns | Layer::Tcp => Self {
                remedy: "the brokers announce this address (`advertised.listeners`): it has to be reachable from here",
                ..self
            },
            _ => self,
        }
    }
}

const CERTIFICATE: &str = "CA or host name: `ssl_cert` must hold the root of the broker's certificate, and that certificate must name the host as `addrs` writes it";
const CLIENT_CERTIFICATE: &str =
    "the broker wants a certificate that it trusts: set `tls_client_cert` and `tls_client_key`";

/// Whether `reason` holds an alert (RFC 8446, 6.2) by which a broker refuses the certificate of the
/// client, or misses one.
fn is_certificate_alert(reason: &str) -> bool {
    let alert = reason.split_once(" alert ").map(|(_, alert)| alert);
    alert.is_some_and(|alert| {
        let words = alert.split(':').next().unwrap_or_default();
        words.contains("certificate") || words.contains("unknown ca")
    })
}

/// What a code means, without its name.
fn words(code: Code) -> String {
    let text = code.to_string();
    let inner = text.split_once(" (").map(|(_, inner)| inner);
    let inner = inner.and_then(|inner| inner.strip_suffix(')'));
    inner.map_or_else(|| text.clone(), str::to_owned)
}

/// Whether `reason` tells of a connection that was lost within two seconds after it stood.
fn just_connected(reason: &str) -> bool {
    let age = reason
        .split_once("(after ")
        .and_then(|(_, rest)| rest.split_once("ms in state UP"))
        .and_then(|(millis, _)| millis.parse::<u64>().ok());
    age.is_some_and(|millis| millis < 2000)
}

/// The library's report without the address in front and what stands behind: its own advice, which
/// names keys that this configuration does not have, and how long the connection was in which state, which differs
/// every time.
pub(in crate::kafka) fn plain(reason: &str) -> String {
    let mut without_address = reason;
    // The thread in brackets and the broker, such as `ssl://kafka-1:9093/bootstrap`.
    while let Some((first, rest)) = without_address.split_once(": ")
        && first.contains(':')
        && !first.contains(' ')
    {
        without_address = rest;
    }
    let cut = [
        ": broker certificate could not be verified",
        ": client SSL authentication might be",
        ": connecting to a PLAINTEXT broker listener?",
        " (after ",
    ]
    .iter()
    .filter_map(|advice| without_address.find(advice))
    .min();
    let text = cut.and_then(|at| without_address.get(..at));
    text.unwrap_or(without_address).trim().to_owned()
}
