//! Why the certificate of a broker is not accepted. The client library says only that it is not, so
//! the handshake is repeated here with a library that tells an unknown root from a wrong name.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use kafkamq_settings::Security;

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum CertificateFault {
    /// No trusted root vouches for it.
    Root,
    /// It names other hosts.
    Name,
    /// Its time is over, or has not come.
    Time,
}

/// Shakes hands with the broker at `address`, as `host:port`, by the rules of `security`. Each step
/// takes `timeout` at most, and blocks. `None` if nothing is wrong, or if that cannot be told.
pub(in crate::kafka) fn judge(
    address: &str,
    security: &Security,
    timeout: Duration,
) -> Option<CertificateFault> {
    let (host, _) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots(security.ca_file.as_deref())?)
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let socket = address.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&socket, timeout).ok()?;
    stream.set_read_timeout(Some(timeout)).ok()?;
    stream.set_write_timeout(Some(timeout)).ok()?;
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut stream) {
            let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
            return named(error);
        }
    }
    None
}

fn named(error: &rustls::Error) -> Option<CertificateFault> {
    let rustls::Error::InvalidCertificate(error) = error else {
        return None;
    };
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            Some(CertificateFault::Root)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some(CertificateFault::Name)
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Some(CertificateFault::Time),
        _ => None,
    }
}

fn roots(file: Option<&Path>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let certificates = match file {
        Some(path) => CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .ok()?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let (added, _) = roots.add_parsable_certificates(certificates);
    (added > 0).then_some(roots)
}
