//! `[server]`: the HTTP server. Its keys, what they become, and how they are read.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::keyed;
use super::token::{TOKEN, tokens};
use crate::diagnostic::Diagnostic;
use crate::keys::{Group, Key, Kind, Table, TakesEffect};
use crate::reader::Section;
use crate::resolve::security;
use crate::{Role, Token};

/// `[server]`.
pub const SERVER: Table = Table {
    header: "[server]",
    doc: "The HTTP server: health, metrics, status, configuration, console.",
    takes_effect: TakesEffect::InPlace,
    groups: &[Group::own(&[
        Key::new(
            "listen",
            Kind::Text,
            r#""127.0.0.1:9530""#,
            "Address to listen on; other than loopback only with `tokens` or `client_ca`.",
        ).takes_effect(TakesEffect::NextStart),
        Key::new(
            "tokens",
            Kind::SecretList,
            "",
            "Bearer tokens that may do everything; if any is set, every path but health and metrics needs one. Write tables `[[server.tokens]]` instead to give each a name and a role.",
        )
        .example(r#"["change-me"]"#),
        Key::new(
            "tls_cert",
            Kind::Path,
            "",
            "PEM file of the server's certificate chain; switches TLS on.",
        ).takes_effect(TakesEffect::NextStart)
        .example(r#""/etc/kafkamq/server.pem""#),
        Key::new("tls_key", Kind::Path, "", "PEM file of its private key.").takes_effect(TakesEffect::NextStart)
            .example(r#""/etc/kafkamq/server.key""#),
        Key::new(
            "client_ca",
            Kind::Path,
            "",
            "PEM file of roots; clients must then show a certificate.",
        ).takes_effect(TakesEffect::NextStart)
        .example(r#""/etc/kafkamq/clients.pem""#),
        Key::new(
            "client_role",
            Kind::Choice(&["none", "read", "operate", "configure"]),
            "",
            "What a client certificate allows without a token; when absent, everything; nothing if `tokens` is set.",
        )
        .example(r#""read""#),
        Key::new(
            "hosts",
            Kind::TextList,
            "[]",
            "Host names that requests may use besides `localhost` and addresses. Requests with other names are refused; `*` accepts any.",
        )
        .example(r#"["kafkamq.monitoring.svc"]"#),
        Key::new(
            "request_timeout",
            Kind::Duration,
            r#""30s""#,
            "Longest time until a request is answered.",
        ),
        Key::new(
            "workers",
            Kind::Integer,
            "1",
            "Threads that serve requests.",
        ).takes_effect(TakesEffect::NextStart),
        Key::new(
            "max_body",
            Kind::Bytes,
            r#""4MiB""#,
            "Largest request body.",
        ).takes_effect(TakesEffect::NextStart),
        Key::new(
            "allow_changes",
            Kind::Flag,
            "true",
            "Whether configuration and scripts may be changed over HTTP.",
        ),
        Key::new(
            "change_folders",
            Kind::PathList,
            "[]",
            "Folders in which a change over HTTP may name files and folders; elsewhere it can only keep those that are named already.",
        )
        .example(r#"["/etc/kafkamq/secrets"]"#),
        Key::new(
            "revisions",
            Kind::Integer,
            "20",
            "Revisions of the configuration that are remembered.",
        ),
        Key::new(
            "state_dir",
            Kind::Path,
            "",
            "Folder in which changes made over HTTP, scripts and pauses included, outlive the process; without it a restart goes back to the files.",
        ).takes_effect(TakesEffect::NextStart)
        .example(r#""/var/lib/kafkamq""#),
        Key::new(
            "watch",
            Kind::Flag,
            "true",
            "Whether changes of the configuration files take effect by themselves; SIGHUP does the same.",
        ),
    ])],
    tables: &[("tokens", &TOKEN)],
};

/// `[server]`: the HTTP server of the service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSettings {
    /// Address it listens on. Anything but loopback comes with a token or with mTLS.
    pub listen: SocketAddr,
    /// Bearer tokens that are accepted, each with a name of its own; empty means that none is
    /// asked for.
    pub tokens: Vec<Token>,
    /// What a client certificate allows without a token.
    pub client_role: Option<Role>,
    /// Host names under which the service may be asked besides `localhost`; `*` is any.
    pub hosts: Vec<String>,
    /// Longest time until a request is answered.
    pub request_timeout: Duration,
    /// TLS of the server.
    pub tls: Option<ServerTls>,
    /// Threads that serve requests.
    pub workers: usize,
    /// Largest request body, in bytes.
    pub max_body_bytes: u64,
    /// Whether the configuration may be changed over HTTP.
    pub allow_changes: bool,
    /// Revisions of the configuration that are remembered.
    pub revisions: usize,
    /// Folder in which revisions made at run time outlive the process.
    pub state_dir: Option<PathBuf>,
    /// Take up changes of the configuration files by itself.
    pub watch: bool,
}

impl ServerSettings {
    /// Whether callers have to say who they are. Where they do not, everybody who reaches the server
    /// may do everything.
    #[must_use]
    pub const fn is_restricted(&self) -> bool {
        !self.tokens.is_empty() || self.client_role.is_some()
    }
}

/// TLS of the server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerTls {
    /// PEM certificate chain.
    pub cert_file: PathBuf,
    /// PEM private key.
    pub key_file: PathBuf,
    /// PEM roots of client certificates; present means that clients must show one.
    pub client_ca_file: Option<PathBuf>,
}

/// Reads `[server]`.
pub(crate) fn read(section: &Section<'_>) -> Option<ServerSettings> {
    let written = section.text("listen");
    let listen = SocketAddr::from_str(&written.replace("localhost:", "127.0.0.1:"));
    if listen.is_err() {
        section.error(
            "listen",
            format!("`{written}` is not an address such as 127.0.0.1:9530"),
        );
    }
    let tokens = tokens(section);
    let tls = server_tls(section);
    for folder in section.list("change_folders") {
        if !std::path::Path::new(&folder).is_absolute() {
            section.error(
                "change_folders",
                format!("`{folder}` is not an absolute path"),
            );
        }
    }
    let listen = listen.ok()?;
    let verified = tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
    if !listen.ip().is_loopback() && tokens.is_empty() && !verified && !section.has_file("tokens") {
        section.reader().note_value(
            Diagnostic::error(
                section.path_of("listen"),
                format!("{listen} can be reached from other machines, but anyone could change the configuration there"),
            )
            .with_hint("set `tokens` (or `tokens_file`), or `client_ca`, or listen on 127.0.0.1"),
        );
    }
    let client_role = section.choice(
        "client_role",
        &[
            ("none", None),
            ("read", Some(Role::Read)),
            ("operate", Some(Role::Operate)),
            ("configure", Some(Role::Configure)),
        ],
    );
    // Whoever asks for certificates and tokens wants both.
    let client_role = client_role.unwrap_or_else(|| tokens.is_empty().then_some(Role::Configure));
    Some(ServerSettings {
        listen,
        client_role: client_role.filter(|_| verified),
        hosts: section.list("hosts"),
        request_timeout: section.some_duration("request_timeout"),
        tokens,
        tls,
        workers: section.size("workers", 1),
        max_body_bytes: section.bytes("max_body"),
        allow_changes: section.flag("allow_changes"),
        revisions: section.size("revisions", 1),
        state_dir: section.some_path("state_dir"),
        watch: section.flag("watch"),
    })
}

fn server_tls(section: &Section<'_>) -> Option<ServerTls> {
    let client_ca_file = section.some_path("client_ca");
    match (section.some_path("tls_cert"), section.some_path("tls_key")) {
        (Some(cert_file), Some(key_file)) => {
            security::check_pem(section, "tls_cert", &cert_file, security::Pem::Certificates);
            security::check_pem(section, "tls_key", &key_file, security::Pem::Key);
            if let Some(path) = &client_ca_file {
                security::check_pem(section, "client_ca", path, security::Pem::Certificates);
            }
            Some(ServerTls {
                cert_file,
                key_file,
                client_ca_file,
            })
        }
        (Some(_), None) => {
            section.missing("tls_key", "`tls_cert` needs `tls_key`");
            None
        }
        (None, Some(_)) => {
            section.missing("tls_cert", "`tls_key` needs `tls_cert`");
            None
        }
        (None, None) => {
            if client_ca_file.is_some() {
                section.missing("tls_cert", "`client_ca` needs `tls_cert` and `tls_key`");
            }
            None
        }
    }
}

keyed!(ServerSettings, SERVER, "server" {
    listen: "listen";
    tokens: "tokens";
    client_role: "client_role";
    hosts: "hosts";
    request_timeout: "request_timeout";
    tls: "tls_cert", "tls_key", "client_ca";
    workers: "workers";
    max_body_bytes: "max_body";
    allow_changes: "allow_changes";
    revisions: "revisions";
    state_dir: "state_dir";
    watch: "watch";
});
