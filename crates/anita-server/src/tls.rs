//! Certificates: from files, read again when they change, or self-signed with their fingerprint.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const RELOAD_EVERY: Duration = Duration::from_secs(2);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path} holds no {what} in PEM")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key can't be used together.
    #[error("the certificate and the key cannot be used")]
    Unusable(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("cannot make a self-signed certificate")]
    SelfSigned(#[from] rcgen::Error),
}

/// The certificate that is in force. Connections take it as it is when they shake hands.
#[derive(Debug, Clone)]
pub struct Certificates {
    resolver: Arc<Resolver>,
    files: Option<(PathBuf, PathBuf)>,
}

#[derive(Debug)]
struct Resolver {
    current: ArcSwap<CertifiedKey>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl Certificates {
    /// From a chain and a key in PEM.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_files(cert_file: &Path, key_file: &Path) -> Result<Self, TlsError> {
        let key = read(cert_file, key_file)?;
        let files = Some((cert_file.to_owned(), key_file.to_owned()));
        Ok(Self { resolver: Arc::new(Resolver { current: ArcSwap::from_pointee(key) }), files })
    }

    /// A new certificate for this machine's own names and an address.
    ///
    /// # Errors
    /// [`TlsError::SelfSigned`].
    pub fn self_signed(address: IpAddr) -> Result<Self, TlsError> {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        if !address.is_unspecified() && !names.contains(&address.to_string()) {
            names.push(address.to_string());
        }
        let made = rcgen::generate_simple_self_signed(names)?;
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let key = certified(vec![made.cert.der().clone()], &key)?;
        Ok(Self { resolver: Arc::new(Resolver { current: ArcSwap::from_pointee(key) }), files: None })
    }

    /// The SHA-256 of the certificate in force, as `AB:CD:…`.
    pub fn fingerprint(&self) -> String {
        self.resolver.current.load().cert.first().map(|cert| fingerprint_of(cert)).unwrap_or_default()
    }

    /// The certificate in force, DER.
    pub fn certificate_der(&self) -> Vec<u8> {
        self.resolver.current.load().cert.first().map(|cert| cert.to_vec()).unwrap_or_default()
    }

    /// What rustls needs: TLS 1.2 and 1.3, HTTP/1.1.
    ///
    /// # Errors
    /// [`TlsError::Unusable`].
    pub(crate) fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.resolver) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.send_tls13_tickets = 1;
        Ok(Arc::new(config))
    }

    /// Looks at the files again and again, and takes a new certificate when they changed. What can't be used is
    /// logged, and the old one stays in force.
    pub(crate) async fn keep_fresh(self, stop: CancellationToken) {
        let Some((cert_file, key_file)) = &self.files else { return };
        let mut seen = (modified(cert_file), modified(key_file));
        while stop.run_until_cancelled(tokio::time::sleep(RELOAD_EVERY)).await.is_some() {
            let found = (modified(cert_file), modified(key_file));
            if found == seen {
                continue;
            }
            match read(cert_file, key_file) {
                Ok(key) => {
                    self.resolver.current.store(Arc::new(key));
                    seen = found;
                    tracing::info!(fingerprint = self.fingerprint(), "the certificate was read again");
                }
                Err(error) => {
                    tracing::error!(%error, "the changed certificate cannot be used; the old one stays in force");
                    seen = found;
                }
            }
        }
    }
}

fn modified(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(cert_file: &Path, key_file: &Path) -> Result<CertifiedKey, TlsError> {
    let bytes =
        |path: &Path| std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source });
    let wrong = |path: &Path, what| TlsError::Pem { path: path.to_owned(), what };
    let chain = bytes(cert_file)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain =
        chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| wrong(cert_file, "certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&bytes(key_file)?)
        .map_err(|_not_pem| wrong(key_file, "private key"))?;
    certified(chain, &key)
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'static>,
) -> Result<CertifiedKey, TlsError> {
    let key = CertifiedKey::new(chain, rustls::crypto::aws_lc_rs::sign::any_supported_type(key)?);
    key.keys_match()?;
    Ok(key)
}

/// The SHA-256 of a certificate in DER, as `AB:CD:…`.
pub fn fingerprint_of(certificate: &[u8]) -> String {
    let bytes: Vec<String> = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}
