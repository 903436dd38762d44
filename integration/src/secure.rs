//! A node with a listener for each way to authenticate, the certificates for it, and its users.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};

use crate::agents::said;
use crate::node_plan::NodePlan;
use crate::paths::{Missing, free_port};

/// Every user's password, and that of the client's encrypted key.
pub const PASSWORD: &str = "sesame-7Qx";

/// Users that may do nothing unless they are told that they may.
const USERS: [&str; 4] = ["reader", "no-topic", "no-group", "describer"];

/// A way into the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// TLS; whoever comes is anonymous.
    Ssl,
    /// TLS with a certificate that names another host.
    Elsewhere,
    /// TLS that asks for a certificate of the client.
    Mtls,
    /// Password in clear: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
    SaslPlaintext,
    /// Password in TLS, with the same mechanisms.
    SaslSsl,
    /// Password in clear, only SCRAM-SHA-512.
    Scram512Only,
}

impl Door {
    const ALL: [Self; 6] = [
        Self::Ssl,
        Self::Elsewhere,
        Self::Mtls,
        Self::SaslPlaintext,
        Self::SaslSsl,
        Self::Scram512Only,
    ];

    const fn listener(self) -> (&'static str, &'static str) {
        match self {
            Self::Ssl => ("SSL", "SSL"),
            Self::Elsewhere => ("ELSEWHERE", "SSL"),
            Self::Mtls => ("MTLS", "SSL"),
            Self::SaslPlaintext => ("SASLPLAINTEXT", "SASL_PLAINTEXT"),
            Self::SaslSsl => ("SASLSSL", "SASL_SSL"),
            Self::Scram512Only => ("SCRAMONLY", "SASL_PLAINTEXT"),
        }
    }

    fn mechanisms(self) -> &'static [&'static str] {
        match self {
            Self::Ssl | Self::Elsewhere | Self::Mtls => &[],
            Self::SaslPlaintext | Self::SaslSsl => &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
            Self::Scram512Only => &["SCRAM-SHA-512"],
        }
    }
}

/// Where the doors are, and the files that clients need.
#[derive(Debug, Clone)]
pub struct Doors {
    ports: BTreeMap<Door, u16>,
    dir: PathBuf,
}

impl Doors {
    /// Writes certificates into `dir` and plans a node with all doors, whose users have no rights.
    /// The inner error tells that there is no `openssl` to encrypt a key with.
    ///
    /// # Errors
    /// Something cannot be written.
    pub fn plan(dir: &Path) -> Result<Result<(Self, NodePlan), Missing>> {
        if let Err(missing) = write_certificates(dir)? {
            return Ok(Err(missing));
        }
        let mut plan = NodePlan::single()?
            .line("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer")
            // Whoever comes in clear or through `Door::Ssl`; the tests' own clients do.
            .line("super.users=User:ANONYMOUS")
            .line("ssl.keystore.type=PEM")
            .line("ssl.truststore.type=PEM")
            .line(format!(
                "ssl.truststore.location={}/root.pem",
                dir.display()
            ));
        let mut ports = BTreeMap::new();
        for door in Door::ALL {
            let (name, protocol) = door.listener();
            let port = free_port()?;
            ports.insert(door, port);
            plan = plan.listener(name, protocol, port, &format!("localhost:{port}"));
            plan = describe(plan, door, &name.to_lowercase(), dir);
        }
        for user in USERS {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                plan = plan
                    .format_with("--add-scram")
                    .format_with(format!("{mechanism}=[name={user},password={PASSWORD}]"));
            }
        }
        let dir = dir.to_owned();
        Ok(Ok((Self { ports, dir }, plan)))
    }

    /// The address of a door, by the name that its certificate bears.
    #[must_use]
    pub fn address(&self, door: Door) -> String {
        let port = self.ports.get(&door).copied().unwrap_or_default();
        format!("localhost:{port}")
    }

    /// A file of the client: `root.pem`, `other-root.pem`, `client.pem`, `client.key`,
    /// `client-encrypted.key`.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

/// The settings of one door.
fn describe(mut plan: NodePlan, door: Door, name: &str, dir: &Path) -> NodePlan {
    let certificate = match door {
        Door::Elsewhere => "elsewhere.example",
        _ => "localhost",
    };
    plan = plan
        .line(format!(
            "listener.name.{name}.ssl.keystore.location={}/{certificate}.keystore.pem",
            dir.display()
        ))
        .line(format!("listener.name.{name}.ssl.keystore.type=PEM"));
    if door == Door::Mtls {
        plan = plan.line(format!("listener.name.{name}.ssl.client.auth=required"));
    }
    let mechanisms = door.mechanisms();
    if !mechanisms.is_empty() {
        let all = mechanisms.join(",");
        plan = plan.line(format!(
            "listener.name.{name}.sasl.enabled.mechanisms={all}"
        ));
    }
    for mechanism in mechanisms {
        let module = match *mechanism {
            "PLAIN" => {
                let users: Vec<_> = USERS
                    .iter()
                    .map(|user| format!("user_{user}=\"{PASSWORD}\""))
                    .collect();
                format!("plain.PlainLoginModule required {}", users.join(" "))
            }
            _ => "scram.ScramLoginModule required".to_owned(),
        };
        plan = plan.line(format!(
            "listener.name.{name}.{}.sasl.jaas.config=org.apache.kafka.common.security.{module};",
            mechanism.to_lowercase()
        ));
    }
    plan
}

fn write_certificates(dir: &Path) -> Result<Result<(), Missing>> {
    std::fs::create_dir_all(dir)?;
    let root = authority("kafkamq test root")?;
    let other = authority("another root")?;
    std::fs::write(dir.join("root.pem"), root.pem())?;
    std::fs::write(dir.join("other-root.pem"), other.pem())?;
    for host in ["localhost", "elsewhere.example"] {
        let (certificate, key) = leaf(host, &root)?;
        // The form in which Kafka takes both: KIP-651.
        std::fs::write(dir.join(format!("{host}.keystore.pem")), key + &certificate)?;
    }
    let (certificate, key) = leaf("client", &root)?;
    std::fs::write(dir.join("client.pem"), certificate)?;
    let plain = dir.join("client.key");
    std::fs::write(&plain, key)?;
    let encrypted = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in"])
        .arg(&plain)
        .arg("-out")
        .arg(dir.join("client-encrypted.key"))
        .args(["-passout", &format!("pass:{PASSWORD}")])
        .stdin(Stdio::null())
        .output();
    Ok(match encrypted {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Missing(format!(
            "openssl encrypts no key: {}",
            said(&output)
        ))),
        Err(error) => Err(Missing(format!("openssl does not start: {error}"))),
    })
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = named(name);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// A certificate for `name` and its key, as PEM.
fn leaf(name: &str, issuer: &CertifiedIssuer<'static, KeyPair>) -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name = named(name);
    let certificate = params
        .signed_by(&key, issuer)
        .context("the certificate is not signed")?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
