//! What all outputs share that send HTTP requests.

use ::http::header::{AUTHORIZATION, HeaderValue};
use url::Url;

use crate::keys::{Group, Key, Kind};
use crate::reader::Section;
use crate::resolve::http;
use crate::{Compression, HttpSettings};

/// Keys of outputs that send HTTP requests, besides those of everything that does.
pub(super) const KEYS: Group = Group::of(
    "For outputs that send HTTP requests:",
    &[
        Key::new("endpoint", Kind::Text, "", "Address: of the agent for `datakit` (default `http://localhost:9529`), of the centre for `dataway`, the full write URL for `influxdb`.").receiver()
            .example(r#""http://localhost:9529""#),
        Key::new("token", Kind::Secret, "", "Workspace token for `dataway`; for `influxdb` sent as `Authorization: Token`.")
            .example(r#""change-me""#),
        Key::new("username", Kind::Text, "", "User for HTTP basic authentication.").example(r#""writer""#),
        Key::new("password", Kind::Secret, "", "Password of that user.").example(r#""change-me""#),
        Key::new("compression", Kind::Choice(&["none", "gzip", "zstd"]), "", "Compression of bodies; when absent none, but gzip for `dataway`.")
            .example(r#""none""#),
    ],
);

/// Reads `endpoint`. Without it the `default` is taken; without a default it is an error.
pub(super) fn endpoint(section: &Section<'_>, default: Option<&str>) -> Option<Url> {
    match (section.url("endpoint"), default) {
        (Some(endpoint), _) => Some(endpoint),
        (None, _) if section.is_set("endpoint") => None,
        (None, Some(default)) => Url::parse(default).ok(),
        (None, None) => {
            section.missing("endpoint", "`endpoint` is missing");
            None
        }
    }
}

/// Reads the keys of requests to `endpoint`, with `compression` where none is named.
pub(super) fn requests(
    section: &Section<'_>,
    endpoint: Url,
    compression: Compression,
) -> HttpSettings {
    let compression = section
        .choice("compression", http::COMPRESSION)
        .unwrap_or(compression);
    let mut http = http::http(section, endpoint, compression);
    let username = section.some_text("username");
    let password = section.secret("password").unwrap_or_default();
    let header = username.and_then(|username| http::basic(&username, password.expose()));
    if let Some(header) = header {
        http.headers.insert(AUTHORIZATION, header);
    }
    http
}

/// Adds `Authorization: Token`, unless a user is named.
pub(super) fn authorize_by_token(section: &Section<'_>, http: &mut HttpSettings) {
    let token = section.secret("token");
    let has_user = section.some_text("username").is_some();
    let Some(token) = token.filter(|_| !has_user) else {
        return;
    };
    match HeaderValue::from_str(&format!("Token {}", token.expose())) {
        Ok(mut header) => {
            header.set_sensitive(true);
            http.headers.insert(AUTHORIZATION, header);
        }
        Err(_) => section.error("token", "the token holds characters a header cannot hold"),
    }
}
