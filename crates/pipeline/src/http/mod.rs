//! HTTP requests made by scripts.
//!
//! [`HttpAccess`] is what the engine offers: a client behind a trait, so tests and hosts can put
//! their own. [`GuardedClient`] is the real one: blocking, bounded in time and size, and unable to
//! reach addresses its [`HttpPolicy`] does not allow.

mod client;
mod policy;

use std::sync::Arc;

pub use client::{ClientLimits, GuardedClient};
pub use policy::HttpPolicy;

/// A request of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method as written; empty means GET.
    pub(crate) method: String,
    /// The target.
    pub url: url::Url,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The decoded body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The policy does not allow the target.
    #[error("the target is not allowed")]
    Refused,
    /// The request is malformed.
    #[error("malformed request: {0}")]
    Malformed(String),
    /// The request failed on its way or took too long.
    #[error("{0}")]
    Failed(String),
}

/// Makes requests; blocks until there is an answer or none will come.
pub trait HttpClient: Send + Sync {
    /// Makes a request.
    ///
    /// # Errors
    /// Why there is no answer.
    fn request(&self, request: &HttpRequest) -> Result<HttpAnswer, HttpError>;
}

/// The client scripts use; a service of the engine. Without it `http_request` yields nothing.
#[derive(Clone)]
pub struct HttpAccess(Arc<dyn HttpClient>);

impl std::fmt::Debug for HttpAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpAccess").finish_non_exhaustive()
    }
}

impl HttpAccess {
    /// Lets scripts make requests through this client.
    #[must_use]
    pub fn new(client: Arc<dyn HttpClient>) -> Self {
        Self(client)
    }

    /// Makes a request.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn request(&self, request: &HttpRequest) -> Result<HttpAnswer, HttpError> {
        self.0.request(request)
    }
}
