//! Whom we trust and who we are, for `https`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// Trust and identity.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsOptions {
    /// PEM file of the authorities to trust instead of those of the system.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our certificate chain, for destinations that ask for one.
    pub cert_file: Option<PathBuf>,
    /// PEM file of the private key to it; the certificate's own file is searched if it is not set.
    pub key_file: Option<PathBuf>,
    /// Trust every certificate. For tests only: anybody in between can read and change everything.
    pub insecure: bool,
}

/// Why the TLS options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read, or holds no usable PEM.
    #[error("cannot use {what} `{path}`: {reason}")]
    File {
        /// What was expected in it.
        what: &'static str,
        /// The path as it was configured.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key without a certificate.
    #[error("a client key needs a client certificate")]
    KeyWithoutCertificate,
    /// The library refuses the combination.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Authorities of the system, or the built-in list of Mozilla's where the system has none. Read
/// once: that takes some milliseconds.
static DEFAULT_ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::debug!(errors = ?found.errors, "no system certificates, using the built-in ones");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Arc::new(roots)
});

impl TlsOptions {
    /// Builds the client side of handshakes. HTTP/1.1 is offered alone: with kept connections it is
    /// the fastest for many small posts.
    pub(super) fn client_config(&self) -> Result<ClientConfig, TlsError> {
        // Named here, so that a second provider in the process cannot make the choice ambiguous.
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let builder = if self.insecure {
            let verifier = Arc::new(TrustEverybody(provider));
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let mut config = match (&self.cert_file, &self.key_file) {
            (None, None) => builder.with_no_client_auth(),
            (None, Some(_)) => return Err(TlsError::KeyWithoutCertificate),
            (Some(cert), key) => {
                let chain = certificates("client certificate", cert)?;
                let key = private_key(key.as_deref().unwrap_or(cert))?;
                builder.with_client_auth_cert(chain, key)?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let Some(path) = &self.ca_file else {
            return Ok(DEFAULT_ROOTS.clone());
        };
        let what = "CA file";
        let mut roots = RootCertStore::empty();
        for certificate in certificates(what, path)? {
            roots
                .add(certificate)
                .map_err(|error| file_error(what, path, error))?;
        }
        Ok(Arc::new(roots))
    }
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(file_error(what, path, "it holds no PEM certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(file_error(what, path, error)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| file_error("client key", path, error))
}

fn file_error(what: &'static str, path: &Path, reason: impl ToString) -> TlsError {
    TlsError::File {
        what,
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// Accepts any certificate, but still checks that the peer holds the key to it.
#[derive(Debug)]
struct TrustEverybody(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustEverybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
