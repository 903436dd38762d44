//! TLS of the HTTP server, with client certificates where they are asked for.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use kafkamq_settings::ServerTls;

/// The certificate that a client showed; kept with its connection.
#[derive(Debug, Clone)]
pub(crate) struct ClientCertificate {
    fingerprint: String,
}

impl ClientCertificate {
    /// What the log of changes calls its holder.
    pub(super) fn name(&self) -> String {
        format!("certificate sha256:{}", self.fingerprint)
    }
}

/// Remembers with a new connection which certificate its client showed.
pub(crate) fn remember_client(connection: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TlsStream<TcpStream>>() else {
        return;
    };
    let (_, session) = stream.get_ref();
    if let Some(certificate) = session.peer_certificates().and_then(<[_]>::first) {
        let mut fingerprint = String::new();
        for byte in Sha256::digest(certificate) {
            fingerprint.push_str(&format!("{byte:02x}"));
        }
        extensions.insert(ClientCertificate { fingerprint });
    }
}

/// Why the server's TLS files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ServerTlsError {
    /// A file cannot be read or holds no usable PEM.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The files do not fit together.
    #[error(transparent)]
    Setup(#[from] rustls::Error),
    /// The roots of client certificates cannot be used.
    #[error("client certificates: {0}")]
    Clients(#[from] rustls::server::VerifierBuilderError),
}

/// The server configuration that `settings` describes.
///
/// # Errors
/// When a file cannot be used.
pub(crate) fn server_config(settings: &ServerTls) -> Result<ServerConfig, ServerTlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match &settings.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(file)?);
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&settings.key_file)
        .map_err(|error| unusable(&settings.key_file, &error))?;
    Ok(builder.with_single_cert(certificates(&settings.cert_file)?, key)?)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, ServerTlsError> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(file, &error))
}

fn unusable(file: &Path, error: &rustls_pki_types::pem::Error) -> ServerTlsError {
    ServerTlsError::File {
        path: file.to_owned(),
        reason: error.to_string(),
    }
}
