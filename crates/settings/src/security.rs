//! How a client speaks to a Kafka cluster: addresses, transport and authentication.

use std::collections::BTreeMap;
use std::path::PathBuf;

use url::Url;

use super::Secret;

/// Everything needed to reach one Kafka cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterSettings {
    /// Bootstrap brokers as `host:port`, without duplicates, never empty.
    pub addrs: Vec<String>,
    /// Transport and authentication.
    pub security: Security,
    /// `client.id`; `None` leaves the host name to the client.
    pub client_id: Option<String>,
    /// Further librdkafka options as written, already checked against the deny list.
    pub librdkafka: BTreeMap<String, String>,
}

/// `security.protocol` of librdkafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// Neither encryption nor authentication.
    #[default]
    Plaintext,
    /// TLS without SASL.
    Ssl,
    /// SASL in clear.
    SaslPlaintext,
    /// SASL inside TLS.
    SaslSsl,
}

impl Protocol {
    /// The name Kafka clients use, such as `SASL_SSL`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

/// Transport and authentication, resolved: `sasl` is present exactly when `protocol` needs it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Security {
    /// Transport.
    pub protocol: Protocol,
    /// Credentials.
    pub sasl: Option<Sasl>,
    /// PEM bundle of trusted roots, known to be readable; `None` means the system's own.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate and host name. Only ever true because the operator wrote so.
    pub insecure_skip_verify: bool,
    /// Certificate shown to the broker.
    pub identity: Option<ClientIdentity>,
}

/// SASL mechanism with what it needs.
#[derive(Debug, Clone, PartialEq)]
pub enum Sasl {
    /// `PLAIN`.
    Plain {
        /// User name.
        username: String,
        /// Password of that user.
        password: Secret,
    },
    /// `SCRAM-SHA-256`.
    ScramSha256 {
        /// User name.
        username: String,
        /// Password of that user.
        password: Secret,
    },
    /// `SCRAM-SHA-512`.
    ScramSha512 {
        /// User name.
        username: String,
        /// Password of that user.
        password: Secret,
    },
    /// `OAUTHBEARER` with the client credentials grant.
    OAuthBearer(OAuth),
}

impl Sasl {
    /// The name for `sasl.mechanisms`.
    #[must_use]
    pub const fn mechanism(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "PLAIN",
            Self::ScramSha256 { .. } => "SCRAM-SHA-256",
            Self::ScramSha512 { .. } => "SCRAM-SHA-512",
            Self::OAuthBearer(_) => "OAUTHBEARER",
        }
    }
}

/// Where tokens for `OAUTHBEARER` come from: the OAuth 2 client credentials grant.
#[derive(Debug, Clone, PartialEq)]
pub struct OAuth {
    /// Token endpoint.
    pub(crate) token_url: Url,
    /// Client id, sent to the token endpoint.
    pub client_id: String,
    /// Secret of that client.
    pub(crate) client_secret: Secret,
    /// Requested scope.
    pub(crate) scope: Option<String>,
    /// SASL extensions sent to the broker.
    pub(crate) extensions: BTreeMap<String, String>,
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientIdentity {
    /// PEM certificate chain.
    pub cert_file: PathBuf,
    /// PEM private key.
    pub key_file: PathBuf,
    /// Password of the key.
    pub key_password: Option<Secret>,
}
