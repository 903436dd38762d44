//! The keys of everything that sends HTTP requests.

use ::http::header::{AUTHORIZATION, HeaderValue};
use serde_json::Value;
use url::Url;

use super::super::reader::{Section, expected};
use super::super::{
    ClientIdentity, Compression, DeliverySettings, HttpSettings, StatusAction, StatusPolicy,
    StatusRange,
};
use super::security;

pub(crate) const COMPRESSION: &[(&str, Compression)] = &[
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("zstd", Compression::Zstd),
];

/// Reads the shared keys. Credentials in the address move into a header, so that the address may be
/// shown.
pub(crate) fn http(
    section: &Section<'_>,
    mut endpoint: Url,
    compression: Compression,
) -> HttpSettings {
    let mut headers = section.headers("headers");
    if let Some(value) = basic_of(&endpoint) {
        let cleared = endpoint
            .set_username("")
            .and_then(|()| endpoint.set_password(None));
        debug_assert!(cleared.is_ok(), "http addresses may have or lack a user");
        headers.entry(AUTHORIZATION).or_insert(value);
    }
    let insecure_skip_verify = section.flag("insecure_skip_verify");
    if insecure_skip_verify {
        section.reader().note_value(
            section
                .warning(
                    "insecure_skip_verify",
                    "server certificates are not verified",
                )
                .with_hint("trust the server's root with `ca_file` instead"),
        );
    }
    if endpoint.scheme() == "http" && headers.contains_key(AUTHORIZATION) && !is_loopback(&endpoint)
    {
        section
            .reader()
            .note_key(section.warning("headers", "credentials are sent without encryption"));
    }
    let ca_file = section.some_path("ca_file");
    if let Some(path) = &ca_file {
        security::check_pem(section, "ca_file", path, security::Pem::Certificates);
    }
    HttpSettings {
        endpoint,
        headers,
        compression,
        ca_file,
        insecure_skip_verify,
        identity: identity(section),
        concurrency: section.size("concurrency", 1),
        delivery: delivery(section),
    }
}

fn identity(section: &Section<'_>) -> Option<ClientIdentity> {
    match (
        section.some_path("client_cert"),
        section.some_path("client_key"),
    ) {
        (Some(cert_file), Some(key_file)) => {
            security::check_pem(
                section,
                "client_cert",
                &cert_file,
                security::Pem::Certificates,
            );
            security::check_pem(section, "client_key", &key_file, security::Pem::Key);
            Some(ClientIdentity {
                cert_file,
                key_file,
                key_password: None,
            })
        }
        (Some(_), None) => {
            section.missing("client_key", "`client_cert` needs `client_key`");
            None
        }
        (None, Some(_)) => {
            section.missing("client_cert", "`client_key` needs `client_cert`");
            None
        }
        (None, None) => None,
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The header for the credentials of an address.
fn basic_of(url: &Url) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&kafkamq_address::basic_authorization(url)?).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `Authorization: Basic`.
pub(crate) fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    let encoded = base64_simd::STANDARD.encode_to_string(format!("{username}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn delivery(section: &Section<'_>) -> DeliverySettings {
    let backoff_min = section.some_duration("backoff_min");
    let backoff_max = section.some_duration("backoff_max");
    if backoff_max < backoff_min {
        section.error("backoff_max", "`backoff_max` is shorter than `backoff_min`");
    }
    DeliverySettings {
        connect_timeout: section.some_duration("connect_timeout"),
        timeout: section.some_duration("timeout"),
        connection_max_age: Some(section.duration("connection_max_age"))
            .filter(|max_age| !max_age.is_zero()),
        proxy_from_environment: section
            .choice("proxy", &[("environment", true), ("none", false)])
            .unwrap_or(true),
        max_retries: u32::try_from(section.count("max_retries")).unwrap_or(u32::MAX),
        probe_past: section.flag("probe_past"),
        backoff_min,
        backoff_max,
        hold_backoff: section.some_duration("hold_backoff"),
        retry_after_max: section.duration("retry_after_max"),
        status: status(section),
    }
}

fn status(section: &Section<'_>) -> StatusPolicy {
    let lists = [
        ("retry_status", StatusAction::Retry),
        ("hold_status", StatusAction::Hold),
        ("dlq_status", StatusAction::DeadLetter),
        ("drop_status", StatusAction::Drop),
    ];
    let mut rules: Vec<(StatusRange, StatusAction)> = Vec::new();
    for (name, action) in lists {
        for range in section.mixed(name, status_list).unwrap_or_default() {
            if let Some((_, other)) = rules.iter().find(|(known, _)| *known == range)
                && *other != action
            {
                section.error(name, format!("status {} is in two lists", describe(range)));
            }
            rules.push((range, action));
        }
    }
    rules.sort_by_key(|(range, _)| range.last - range.first);
    StatusPolicy { rules }
}

fn describe(range: StatusRange) -> String {
    if range.first == range.last {
        range.first.to_string()
    } else {
        format!("{}xx", range.first / 100)
    }
}

fn status_list(value: &Value, _: bool) -> Result<Vec<StatusRange>, String> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    items
        .iter()
        .flat_map(|item| match item {
            Value::String(text) => text
                .split(',')
                .map(|part| status_range(part.trim()))
                .collect(),
            Value::Number(number) => vec![status_range(&number.to_string())],
            other => vec![Err(expected("a status such as 503 or \"5xx\"", other))],
        })
        .collect()
}

fn status_range(text: &str) -> Result<StatusRange, String> {
    let wrong = || format!("`{text}` is not a status such as 503 or \"5xx\"");
    if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
        let class: u16 = class.parse().map_err(|_| wrong())?;
        return if (3..=5).contains(&class) {
            Ok(StatusRange {
                first: class * 100,
                last: class * 100 + 99,
            })
        } else {
            Err(wrong())
        };
    }
    let code: u16 = text.parse().map_err(|_| wrong())?;
    if (300..=599).contains(&code) {
        Ok(StatusRange {
            first: code,
            last: code,
        })
    } else {
        Err(wrong())
    }
}
