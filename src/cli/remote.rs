//! A running service, asked over its HTTP interface.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use kafkamq_settings::Secret;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Which service to ask.
#[derive(Debug, Args)]
pub(super) struct RemoteArgs {
    /// Address of the service
    #[arg(
        long,
        value_name = "URL",
        env = "KAFKAMQ_URL",
        default_value = "http://127.0.0.1:9530"
    )]
    url: String,
    /// File that holds a token; without it the variable KAFKAMQ_TOKEN, if it is set
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// A way to ask it.
pub(super) struct Remote {
    url: String,
    token: Option<Secret>,
    runtime: tokio::runtime::Runtime,
}

impl RemoteArgs {
    pub(super) fn open(&self) -> Result<Remote> {
        let token = match &self.token_file {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?,
            ),
            None => std::env::var("KAFKAMQ_TOKEN").ok(),
        };
        Ok(Remote {
            url: self.url.trim_end_matches('/').to_owned(),
            token: token.map(|token| Secret::new(token.trim())),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        })
    }
}

impl Remote {
    /// Its address, as it was given.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    async fn ask(&self, path: &str) -> Result<Response<Incoming>> {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let mut request = Request::get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        let request = request.body(Empty::<Bytes>::new())?;
        let answer = tokio::time::timeout(TIMEOUT, client.request(request))
            .await
            .context("no answer in time")?;
        answer.with_context(|| format!("{} does not answer", self.url))
    }

    /// Does nothing for a while.
    pub(super) fn wait(&self, pause: Duration) {
        self.runtime
            .block_on(async { tokio::time::sleep(pause).await });
    }

    /// Status and body of a path.
    pub(super) fn get(&self, path: &str) -> Result<(StatusCode, Bytes)> {
        self.runtime.block_on(async {
            let answer = self.ask(path).await?;
            let status = answer.status();
            let body = tokio::time::timeout(TIMEOUT, answer.into_body().collect()).await??;
            Ok((status, body.to_bytes()))
        })
    }

    /// The JSON of a path that must answer 200.
    pub(super) fn json(&self, path: &str) -> Result<Value> {
        let (status, body) = self.get(path)?;
        if status != StatusCode::OK {
            bail!("{path}: {}", refusal(status, &body));
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// Gives each piece of an answer that may have no end to `take`, until it says stop.
    pub(super) fn stream(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Result<bool>,
    ) -> Result<()> {
        self.runtime.block_on(async {
            let answer = self.ask(path).await?;
            let status = answer.status();
            let mut body = answer.into_body();
            if status != StatusCode::OK {
                let body = body.collect().await?.to_bytes();
                bail!("{}", refusal(status, &body));
            }
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame?.into_data()
                    && !take(&data)?
                {
                    break;
                }
            }
            Ok(())
        })
    }
}

/// The detail of a problem document, or the status if the body is not one.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> String {
    let problem = serde_json::from_slice::<Value>(body).ok();
    let detail = problem
        .as_ref()
        .and_then(|problem| problem["detail"].as_str());
    match detail {
        Some(detail) => format!("{}: {detail}", status.as_u16()),
        None => status.to_string(),
    }
}
