//! Who asks, and what they may do.
//!
//! Callers show a bearer token, or a client certificate where `client_ca` is set. Where neither is
//! configured the service listens on loopback only, and everybody there may do everything; that is
//! why the name in `Host` is checked, since a page in a browser could otherwise give itself one that
//! leads here.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::time::Duration;

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::header::{AUTHORIZATION, HOST, ORIGIN};
use actix_web::http::uri::Authority;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use subtle::ConstantTimeEq;

use super::problem::{Kind, Problem};
use super::tls::ClientCertificate;
use kafkamq_settings::{Role, ServerSettings, Token};

/// Rules for callers.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    tokens: Vec<Token>,
    client_role: Option<Role>,
    /// Whether callers have to say who they are.
    pub(super) is_restricted: bool,
    hosts: Vec<String>,
    /// Whether configuration and scripts may be changed over HTTP.
    pub(super) allow_changes: bool,
    pub(super) timeout: Duration,
}

impl From<&ServerSettings> for Access {
    fn from(settings: &ServerSettings) -> Self {
        Self {
            tokens: settings.tokens.clone(),
            client_role: settings.client_role,
            is_restricted: settings.is_restricted(),
            hosts: settings.hosts.iter().map(|host| canonical(host)).collect(),
            allow_changes: settings.allow_changes,
            timeout: settings.request_timeout,
        }
    }
}

/// The caller of a request; an extractor for handlers that note who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Name of the token, fingerprint of the certificate, or `anonymous`.
    pub(crate) name: String,
    /// What the caller may do.
    pub(crate) role: Role,
}

impl FromRequest for Identity {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let identity = request.extensions().get::<Self>().cloned();
        ready(identity.ok_or_else(|| Problem::unauthorized("the caller is not known")))
    }
}

impl Access {
    /// Who sent this request.
    pub(super) fn identify(&self, request: &ServiceRequest) -> Result<Identity, Problem> {
        if !self.is_restricted {
            return Ok(Identity {
                name: "anonymous".to_owned(),
                role: Role::Configure,
            });
        }
        if let Some(shown) = request.headers().get(AUTHORIZATION) {
            let bearer = shown.to_str().ok().and_then(bearer);
            return bearer
                .and_then(|bearer| self.token(bearer))
                .ok_or_else(|| Problem::unauthorized("the token is not one of `server.tokens`"));
        }
        let certificate = request.conn_data::<ClientCertificate>();
        match (self.client_role, certificate) {
            (Some(role), Some(certificate)) => Ok(Identity {
                name: certificate.name(),
                role,
            }),
            _ => Err(Problem::unauthorized(
                "this needs `Authorization: Bearer` with a token of `server.tokens`",
            )),
        }
    }

    /// Compares in constant time with every token, so that time tells nothing about any of them.
    fn token(&self, shown: &str) -> Option<Identity> {
        let mut found = None;
        for token in &self.tokens {
            if bool::from(token.secret.expose().as_bytes().ct_eq(shown.as_bytes())) {
                found = Some(token);
            }
        }
        found.map(|token| Identity {
            name: token.name.clone(),
            role: token.role,
        })
    }

    /// Whether the request is meant for this service. An address cannot be made to lead elsewhere,
    /// and so needs no check; browsers, which the check is about, always name a host.
    pub(super) fn check_host(&self, request: &ServiceRequest) -> Result<(), Problem> {
        if request.uri().authority().is_none() && !request.headers().contains_key(HOST) {
            return Ok(());
        }
        let host = host(request).unwrap_or_default();
        let known = is_local_or_address(&host)
            || self
                .hosts
                .iter()
                .any(|known| known == "*" || *known == host);
        if known {
            return Ok(());
        }
        Err(Problem::new(
            Kind::UnknownHost,
            format!("`{host}` is not a name of this service; add it to `server.hosts` if it is"),
        ))
    }

    /// Whether a request comes from a page of this service, if from a page.
    pub(super) fn check_origin(&self, request: &ServiceRequest) -> Result<(), Problem> {
        let Some(origin) = request.headers().get(ORIGIN) else {
            return Ok(());
        };
        let origin = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"))
            .map(|(_, authority)| authority.to_ascii_lowercase());
        let own = authority(request).map(|own| own.as_str().to_ascii_lowercase());
        let named = |origin: &str| {
            let host = origin.parse::<Authority>().ok();
            let host = host.map(|host| canonical(host.host()));
            host.is_some_and(|host| self.hosts.contains(&host))
        };
        match origin {
            Some(origin) if Some(&origin) == own.as_ref() || named(&origin) => Ok(()),
            _ => Err(Problem::new(
                Kind::ForeignOrigin,
                "a page of another origin may not ask anything here",
            )),
        }
    }
}

/// The credentials of `Bearer ...`; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, credentials) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| credentials.trim())
}

fn authority(request: &ServiceRequest) -> Option<Authority> {
    request.uri().authority().cloned().or_else(|| {
        let header = request.headers().get(HOST)?;
        header.to_str().ok()?.parse().ok()
    })
}

fn host(request: &ServiceRequest) -> Option<String> {
    Some(canonical(authority(request)?.host()))
}

fn canonical(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn is_local_or_address(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host == "localhost" || host.ends_with(".localhost") || bare.parse::<IpAddr>().is_ok()
}
