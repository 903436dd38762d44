//! Trust, identity and what a dial says about them.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority, a server it vouches for, and the files a client needs.
struct Pki {
    directory: tempfile::TempDir,
    server: ServerConfig,
    strict: ServerConfig,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let leaf = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.signed_by(&key, &authority).unwrap(), key)
        };
        let (server, server_key) = leaf("localhost");
        let (client, client_key) = leaf("client");
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        write("ca.pem", authority.pem());
        write("client.pem", client.pem() + &client_key.serialize_pem());
        write("empty.pem", String::new());
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .build()
            .unwrap();
        let builder = || {
            ServerConfig::builder_with_provider(provider.clone())
                .with_safe_default_protocol_versions()
                .unwrap()
        };
        let chain = vec![server.der().clone()];
        let key = || PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
        Self {
            server: builder()
                .with_no_client_auth()
                .with_single_cert(chain.clone(), key())
                .unwrap(),
            strict: builder()
                .with_client_cert_verifier(verifier)
                .with_single_cert(chain, key())
                .unwrap(),
            directory,
        }
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.directory.path().join(name))
    }
}

async fn serve(config: ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = service_fn(|_| async { Ok::<_, Infallible>(status(200)) });
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        }
    })
    .await
}

async fn try_post(address: SocketAddr, tls: TlsOptions) -> Result<u16, TransportError> {
    post_to(format!("https://localhost:{}/", address.port()), tls).await
}

async fn post_to(url: String, tls: TlsOptions) -> Result<u16, TransportError> {
    let transport = Transport::try_new(&TransportOptions {
        tls,
        ..Default::default()
    })
    .unwrap();
    let post = post_with(options(url, Profile::Generic), &[b"x"]);
    transport.send(post).await.map(|answer| answer.status)
}

#[tokio::test]
async fn a_private_authority_is_trusted_only_when_named() {
    let pki = Pki::new();
    let address = serve(pki.server.clone()).await;
    let trusting = TlsOptions {
        ca_file: pki.file("ca.pem"),
        ..Default::default()
    };
    assert_eq!(try_post(address, trusting.clone()).await.unwrap(), 200);
    // The certificate is for `localhost`.
    let url = format!("https://{address}/");
    let error = post_to(url, trusting).await.unwrap_err();
    assert_eq!(error.layer, Layer::Tls);
    let error = try_post(address, TlsOptions::default()).await.unwrap_err();
    assert_eq!(error.layer, Layer::Tls);
    assert!(error.message.contains("UnknownIssuer"), "{error}");
    let insecure = TlsOptions {
        insecure: true,
        ..Default::default()
    };
    assert_eq!(try_post(address, insecure).await.unwrap(), 200);
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let pki = Pki::new();
    let address = serve(pki.strict.clone()).await;
    let ca_file = pki.file("ca.pem");
    let known = TlsOptions {
        ca_file: ca_file.clone(),
        cert_file: pki.file("client.pem"),
        ..Default::default()
    };
    assert_eq!(try_post(address, known).await.unwrap(), 200);
    assert!(
        try_post(
            address,
            TlsOptions {
                ca_file,
                ..Default::default()
            }
        )
        .await
        .is_err()
    );
}

#[tokio::test]
async fn unusable_files_are_named_before_anything_is_sent() {
    let pki = Pki::new();
    let fault = |tls| {
        let options = TransportOptions {
            tls,
            ..Default::default()
        };
        Transport::try_new(&options).err().unwrap().to_string()
    };
    let empty = fault(TlsOptions {
        ca_file: pki.file("empty.pem"),
        ..Default::default()
    });
    assert!(
        empty.contains("empty.pem") && empty.contains("no PEM certificate"),
        "{empty}"
    );
    let absent = fault(TlsOptions {
        cert_file: pki.file("absent"),
        ..Default::default()
    });
    assert!(absent.contains("client certificate"), "{absent}");
    let lone = fault(TlsOptions {
        key_file: pki.file("client.pem"),
        ..Default::default()
    });
    assert_eq!(lone, "a client key needs a client certificate");
}

#[tokio::test]
async fn dialling_names_the_layer_and_a_remedy() {
    let plain = Server::start(|_| status(200)).await;
    let dial = async |url: String| {
        let endpoint = Endpoint::try_new(options(url, Profile::Generic)).unwrap();
        transport().dial(&endpoint).await
    };
    assert!(dial(format!("http://{}/", plain.address)).await.is_ok());
    assert_eq!(plain.seen.lock().len(), 0, "nothing is sent");
    let error = dial(format!("https://u:p@{}/?token=tkn_1", plain.address))
        .await
        .unwrap_err();
    assert_eq!(error.error.layer, Layer::Tls);
    let shown = error.to_string();
    assert!(shown.contains("scheme matches the port"), "{shown}");
    assert!(
        !shown.contains("tkn_1") && !shown.contains("u:p"),
        "{shown}"
    );
}
