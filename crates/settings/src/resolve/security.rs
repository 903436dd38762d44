//! Kafka clusters: addresses, the security table, client library options.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::super::diagnostic::Diagnostic;
use super::super::document::join;
use super::super::reader::Section;
use super::super::{ClientIdentity, ClusterSettings, OAuth, Protocol, Sasl, Security};

/// Reads the keys of a cluster.
pub(crate) fn cluster(section: &Section<'_>, addrs: Vec<String>) -> ClusterSettings {
    ClusterSettings {
        addrs,
        security: security(section),
        client_id: section.some_text("client_id"),
        librdkafka: librdkafka(section),
    }
}

/// The brokers of `addrs`, checked and without duplicates; `first` stands before them.
pub(crate) fn addrs(section: &Section<'_>, first: Option<String>) -> Vec<String> {
    let path = section.path_of("addrs");
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    let first = first
        .into_iter()
        .map(|addr| (addr, section.path_of("addr")));
    let rest = section
        .list("addrs")
        .into_iter()
        .enumerate()
        .map(|(index, addr)| (addr, format!("{path}[{index}]")));
    for (addr, path) in first.chain(rest) {
        let addr = addr.trim().to_owned();
        if let Err(message) = check_addr(&addr) {
            section.reader().error(&path, message);
        } else if seen.insert(addr.clone()) {
            all.push(addr);
        } else {
            let message = format!("broker `{addr}` is listed twice");
            section
                .reader()
                .note_value(Diagnostic::warning(path, message));
        }
    }
    all
}

fn check_addr(addr: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("`{addr}` is not a broker address: {why}"));
    if addr.contains("://") {
        return wrong("leave the scheme out, security has its own keys");
    }
    let (host, port) = match addr.strip_prefix('[') {
        Some(rest) => match rest.split_once("]:") {
            Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => (host, port),
            _ => return wrong("write IPv6 addresses like `[::1]:9092`"),
        },
        None => match addr.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => {
                return wrong("write IPv6 addresses like `[::1]:9092`");
            }
            Some(parts) => parts,
            None => return wrong("the port is missing, Kafka's usual one is 9092"),
        },
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '/' | '@'))
    {
        return wrong("the host is not valid");
    }
    match port.parse::<u16>() {
        Ok(1..) => Ok(()),
        _ => wrong("the port must be between 1 and 65535"),
    }
}

/// The table of combinations in `docs/configuration.md`.
fn security(section: &Section<'_>) -> Security {
    const PROTOCOLS: &[(&str, Protocol)] = &[
        ("", Protocol::Plaintext),
        ("PLAINTEXT", Protocol::Plaintext),
        ("SASL_PLAINTEXT", Protocol::SaslPlaintext),
        ("SASL_SSL", Protocol::SaslSsl),
        ("SSL", Protocol::Ssl),
    ];
    let written = section
        .choice("tls_security_protocol", PROTOCOLS)
        .unwrap_or_default();
    if !section.flag("tls_enable") {
        for name in [
            "tls_sasl_plain_password",
            "tls_sasl_plain_username",
            "ssl_cert",
        ] {
            if section.is_filled(name) {
                section.reader().note_key(
                    section
                        .warning(
                            name,
                            format!("`{name}` has no effect while `tls_enable` is false"),
                        )
                        .with_hint("set `tls_enable = true`"),
                );
            }
        }
        return Security::default();
    }
    let username = section.text("tls_sasl_plain_username");
    let token_url = section.some_text("oauth_token_url");
    let protocol = match written {
        Protocol::Plaintext => {
            section.reader().note_key(
                section
                    .warning(
                        "tls_enable",
                        "security is on without a protocol, which means SASL without encryption",
                    )
                    .with_hint("set `tls_security_protocol` to \"SASL_SSL\", or to \"SASL_PLAINTEXT\" if that is meant"),
            );
            Protocol::SaslPlaintext
        }
        Protocol::Ssl if !username.is_empty() || token_url.is_some() => {
            section.reader().note_key(section.warning(
                "tls_security_protocol",
                "a user is set, so SSL is taken as SASL_SSL",
            ));
            Protocol::SaslSsl
        }
        other => other,
    };
    if protocol == Protocol::SaslPlaintext {
        section.reader().note_key(
            section
                .warning(
                    "tls_security_protocol",
                    "credentials and records travel without encryption",
                )
                .with_hint("use SASL_SSL where the brokers offer it"),
        );
    }
    let sasl = match protocol {
        Protocol::SaslPlaintext | Protocol::SaslSsl => sasl(section, username),
        Protocol::Plaintext | Protocol::Ssl => None,
    };
    let mut resolved = Security {
        protocol,
        sasl,
        ..Security::default()
    };
    if protocol.is_tls() {
        tls(section, &mut resolved);
    } else if section.some_text("ssl_cert").is_some() {
        section
            .reader()
            .note_key(section.warning("ssl_cert", "`ssl_cert` has no effect without TLS"));
    }
    resolved
}

fn tls(section: &Section<'_>, security: &mut Security) {
    security.ca_file = section.some_path("ssl_cert");
    if let Some(path) = &security.ca_file {
        check_pem(section, "ssl_cert", path, Pem::Certificates);
    }
    security.insecure_skip_verify = section.flag("tls_insecure_skip_verify");
    if security.insecure_skip_verify {
        section.reader().note_value(
            section
                .warning(
                    "tls_insecure_skip_verify",
                    "broker certificates are not verified",
                )
                .with_hint("trust the brokers' root with `ssl_cert` instead"),
        );
    }
    let key_password = section.secret("tls_client_key_password");
    match (
        section.some_path("tls_client_cert"),
        section.some_path("tls_client_key"),
    ) {
        (Some(cert_file), Some(key_file)) => {
            check_pem(section, "tls_client_cert", &cert_file, Pem::Certificates);
            // The format of an encrypted key is the client library's business.
            let kind = if key_password.is_some() {
                Pem::Any
            } else {
                Pem::Key
            };
            check_pem(section, "tls_client_key", &key_file, kind);
            security.identity = Some(ClientIdentity {
                cert_file,
                key_file,
                key_password,
            });
        }
        (Some(_), None) => {
            section.missing("tls_client_key", "`tls_client_cert` needs `tls_client_key`");
        }
        (None, Some(_)) => section.missing(
            "tls_client_cert",
            "`tls_client_key` needs `tls_client_cert`",
        ),
        (None, None) => {}
    }
}

fn sasl(section: &Section<'_>, username: String) -> Option<Sasl> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mechanism {
        Plain,
        Scram256,
        Scram512,
        OAuth,
    }
    const MECHANISMS: &[(&str, Mechanism)] = &[
        ("PLAIN", Mechanism::Plain),
        ("SCRAM-SHA-256", Mechanism::Scram256),
        ("SCRAM-SHA-512", Mechanism::Scram512),
        ("OAUTHBEARER", Mechanism::OAuth),
    ];
    let mechanism = section
        .choice("tls_sasl_mechanism", MECHANISMS)
        .unwrap_or(Mechanism::Plain);
    if mechanism == Mechanism::OAuth {
        return oauth(section).map(Sasl::OAuthBearer);
    }
    let password = section.secret("tls_sasl_plain_password");
    if username.is_empty() {
        section.missing(
            "tls_sasl_plain_username",
            "SASL needs `tls_sasl_plain_username`",
        );
    }
    if password.is_none() && !section.has_file("tls_sasl_plain_password") {
        section.missing(
            "tls_sasl_plain_password",
            "SASL needs `tls_sasl_plain_password` or `tls_sasl_plain_password_file`",
        );
    }
    let password = password.unwrap_or_default();
    Some(match mechanism {
        Mechanism::Scram256 => Sasl::ScramSha256 { username, password },
        Mechanism::Scram512 => Sasl::ScramSha512 { username, password },
        Mechanism::Plain | Mechanism::OAuth => Sasl::Plain { username, password },
    })
}

fn oauth(section: &Section<'_>) -> Option<OAuth> {
    let client_id = section.text("oauth_client_id");
    let client_secret = section.secret("oauth_client_secret");
    let token_url = section.url("oauth_token_url");
    if token_url.is_none() && !section.is_set("oauth_token_url") {
        section.missing("oauth_token_url", "OAUTHBEARER needs `oauth_token_url`");
    }
    if client_id.is_empty() {
        section.missing("oauth_client_id", "OAUTHBEARER needs `oauth_client_id`");
    }
    if client_secret.is_none() && !section.has_file("oauth_client_secret") {
        section.missing(
            "oauth_client_secret",
            "OAUTHBEARER needs `oauth_client_secret` or `oauth_client_secret_file`",
        );
    }
    let extensions = section.text_table("oauth_extensions");
    Some(OAuth {
        token_url: token_url?,
        client_id,
        client_secret: client_secret.unwrap_or_default(),
        scope: section.some_text("oauth_scope"),
        extensions,
    })
}

/// What a PEM file must hold.
#[derive(Clone, Copy)]
pub(crate) enum Pem {
    /// At least one certificate.
    Certificates,
    /// A private key that is not encrypted.
    Key,
    /// Anything readable.
    Any,
}

/// Only the Kafka client takes encrypted keys; the TLS library of the HTTP side does not.
const ENCRYPTED_KEY: &str = "holds an encrypted key, which only connections to Kafka can use: write it \
    without its password into a file that the service alone may read \
    (`openssl pkey -in KEY -out PLAIN`, mode 0600)";

/// Whether a PEM file holds a private key under a password, in either of the two forms there are.
fn is_encrypted(text: &[u8]) -> bool {
    let has = |mark: &str| memchr::memmem::find(text, mark.as_bytes()).is_some();
    has("-----BEGIN ENCRYPTED PRIVATE KEY-----") || has("Proc-Type: 4,ENCRYPTED")
}

/// Notes an error unless the file of a key holds what it should.
pub(crate) fn check_pem(section: &Section<'_>, name: &str, path: &Path, kind: Pem) {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) => {
            section.error(
                name,
                format!("cannot read the file {}: {error}", path.display()),
            );
            return;
        }
    };
    let problem = match kind {
        Pem::Any => None,
        Pem::Certificates => {
            match CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>() {
                Ok(all) if all.is_empty() => Some("holds no PEM certificate"),
                Ok(_) => None,
                Err(_) => Some("holds a broken PEM certificate"),
            }
        }
        Pem::Key => match PrivateKeyDer::from_pem_slice(&text) {
            Ok(_) => None,
            Err(_) if !is_encrypted(&text) => Some("holds no readable PEM private key"),
            Err(_) if name == "tls_client_key" => {
                Some("holds an encrypted key: `tls_client_key_password` is missing")
            }
            Err(_) => Some(ENCRYPTED_KEY),
        },
    };
    if let Some(problem) = problem {
        section.error(name, format!("the file {} {problem}", path.display()));
    }
}

/// Options that other keys control, with the key to use.
const CONTROLLED: &[(&str, &str)] = &[
    ("bootstrap.servers", "addrs"),
    ("metadata.broker.list", "addrs"),
    ("group.id", "group_id"),
    ("group.instance.id", "group_instance_id"),
    ("client.id", "client_id"),
    ("client.rack", "client_rack"),
    ("partition.assignment.strategy", "assignor"),
    ("session.timeout.ms", "session_timeout"),
    ("heartbeat.interval.ms", "heartbeat_interval"),
    ("max.poll.interval.ms", "max_poll_interval"),
    ("auto.offset.reset", "offsets"),
    ("auto.commit.interval.ms", "commit_interval"),
    ("security.protocol", "tls_security_protocol"),
    ("sasl.mechanism", "tls_sasl_mechanism"),
    ("sasl.mechanisms", "tls_sasl_mechanism"),
    ("sasl.username", "tls_sasl_plain_username"),
    ("sasl.password", "tls_sasl_plain_password"),
    ("ssl.ca.location", "ssl_cert"),
    ("ssl.ca.pem", "ssl_cert"),
    ("ssl.certificate.location", "tls_client_cert"),
    ("ssl.certificate.pem", "tls_client_cert"),
    ("ssl.key.location", "tls_client_key"),
    ("ssl.key.pem", "tls_client_key"),
    ("ssl.key.password", "tls_client_key_password"),
    (
        "enable.ssl.certificate.verification",
        "tls_insecure_skip_verify",
    ),
    (
        "ssl.endpoint.identification.algorithm",
        "tls_insecure_skip_verify",
    ),
    ("queued.max.messages.kbytes", "[limits] memory"),
    ("queued.min.messages", "[limits] memory"),
];

/// Options that would break the delivery contract, with the reason.
const BREAKING: &[(&str, &str)] = &[
    (
        "enable.auto.commit",
        "only settled offsets may be committed",
    ),
    (
        "enable.auto.offset.store",
        "only settled offsets may be committed",
    ),
    (
        "offset.store.method",
        "only settled offsets may be committed",
    ),
    (
        "enable.partition.eof",
        "the end of a partition is not an event here",
    ),
    (
        "group.protocol",
        "the service relies on the classic protocol",
    ),
];

/// Beginnings of options that run code, load libraries, hold secrets or are for tests.
const FORBIDDEN: &[(&str, &str)] = &[
    ("plugin.", "it loads code"),
    ("ssl.engine", "it loads code"),
    ("ssl.providers", "it loads code"),
    ("ssl_engine", "it loads code"),
    ("sasl.kerberos.", "it runs commands"),
    (
        "sasl.oauthbearer.",
        "tokens have keys of their own (`oauth_...`)",
    ),
    (
        "ssl.keystore.",
        "certificates have keys of their own (`tls_client_...`)",
    ),
    (
        "ssl.truststore.",
        "certificates have keys of their own (`ssl_cert`)",
    ),
    ("test.", "it is for tests"),
];

fn librdkafka(section: &Section<'_>) -> BTreeMap<String, String> {
    let mut options = section.text_table("librdkafka");
    let path = section.path_of("librdkafka");
    options.retain(|name, _| {
        let refusal = if let Some((_, key)) = CONTROLLED.iter().find(|(known, _)| known == name) {
            Some(format!("use `{key}` instead"))
        } else {
            BREAKING
                .iter()
                .find(|(known, _)| known == name)
                .or_else(|| FORBIDDEN.iter().find(|(start, _)| name.starts_with(start)))
                .map(|(_, why)| (*why).to_owned())
        };
        let Some(refusal) = refusal else { return true };
        section.reader().note_secret_key(
            Diagnostic::error(
                join(&path, name),
                format!("the option `{name}` cannot be set here"),
            )
            .with_hint(refusal),
        );
        false
    });
    options
}
