//! Certificates: from files, read again when they change, or self-signed with their fingerprint.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;
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
    /// Nobody could be verified with these.
    #[error("certificates of clients cannot be verified with {path}")]
    Authority {
        /// The file of the authorities.
        path: PathBuf,
        /// Why.
        #[source]
        source: VerifierBuilderError,
    },
    /// No certificate could be made.
    #[error("cannot make a self-signed certificate")]
    SelfSigned(#[from] rcgen::Error),
}

/// Whether clients show certificates of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Whoever has one may show it.
    Optional,
    /// Nobody comes in without one.
    Required,
}

/// Who signs the certificates of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuthority {
    /// The certificates of the authorities, PEM.
    pub ca_file: PathBuf,
    /// Which of their certificates are not valid any more (RFC 5280 §5), PEM.
    pub crl_file: Option<PathBuf>,
    /// Whether one has to be shown.
    pub policy: ClientCertificates,
}

/// The certificate that is in force, and who signs those of clients. Connections take both as they are when they begin.
#[derive(Debug, Clone)]
pub struct Certificates {
    current: Arc<ArcSwap<Current>>,
    files: Option<(PathBuf, PathBuf)>,
    authority: Option<ClientAuthority>,
}

/// What is in force.
#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// From a chain and a key in PEM.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_files(cert_file: &Path, key_file: &Path) -> Result<Self, TlsError> {
        let current = Current::new(Arc::new(read(cert_file, key_file)?), None)?;
        let files = Some((cert_file.to_owned(), key_file.to_owned()));
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(current)), files, authority: None })
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
        let current = Current::new(Arc::new(key), None)?;
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(current)), files: None, authority: None })
    }

    /// The same, and certificates of clients are verified.
    ///
    /// # Errors
    /// [`TlsError`] when the files of the authority can't be used.
    pub fn with_clients(self, authority: ClientAuthority) -> Result<Self, TlsError> {
        let key = Arc::clone(&self.current.load().key);
        let current = Current::new(key, Some(&authority))?;
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(current)), authority: Some(authority), ..self })
    }

    /// The SHA-256 of the certificate in force, as `AB:CD:…`.
    pub fn fingerprint(&self) -> String {
        self.current.load().key.cert.first().map(|cert| fingerprint_of(cert)).unwrap_or_default()
    }

    /// The certificate in force, DER.
    pub fn certificate_der(&self) -> Vec<u8> {
        self.current.load().key.cert.first().map(|cert| cert.to_vec()).unwrap_or_default()
    }

    /// What a connection that begins now shakes hands with.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.load().config))
    }

    /// Looks at the files again and again, and takes what is in them when they changed. What can't be used is logged,
    /// and what was in force stays so. Connections that are there go on. `heard` is told of both: the fingerprint of the
    /// certificate in force, or why they can't be used.
    pub(crate) async fn keep_fresh(self, stop: CancellationToken, heard: impl Fn(Result<&str, &TlsError>)) {
        let mut seen = self.modified();
        if seen.is_empty() {
            return;
        }
        while stop.run_until_cancelled(tokio::time::sleep(RELOAD_EVERY)).await.is_some() {
            let found = self.modified();
            if found == seen {
                continue;
            }
            seen = found;
            match self.read_again() {
                Ok(current) => {
                    self.current.store(Arc::new(current));
                    let fingerprint = self.fingerprint();
                    tracing::info!(fingerprint, "the certificates were read again");
                    heard(Ok(&fingerprint));
                }
                Err(error) => {
                    heard(Err(&error));
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the changed certificates cannot be used; those before stay in force"
                    );
                }
            }
        }
    }

    /// How the files are, each with its time and size.
    fn modified(&self) -> Vec<Option<(SystemTime, u64)>> {
        let own = self.files.iter().flat_map(|(cert_file, key_file)| [cert_file, key_file]);
        let authority = self.authority.iter();
        let clients = authority.flat_map(|it| std::iter::once(&it.ca_file).chain(&it.crl_file));
        own.chain(clients).map(|path| modified(path)).collect()
    }

    fn read_again(&self) -> Result<Current, TlsError> {
        let key = match &self.files {
            Some((cert_file, key_file)) => Arc::new(read(cert_file, key_file)?),
            None => Arc::clone(&self.current.load().key),
        };
        Current::new(key, self.authority.as_ref())
    }
}

impl Current {
    /// TLS 1.2 and 1.3, HTTP/1.1.
    fn new(key: Arc<CertifiedKey>, authority: Option<&ClientAuthority>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match authority {
            Some(authority) => builder.with_client_cert_verifier(verifier(authority, provider)?),
            None => builder.with_no_client_auth(),
        };
        let resolver = Arc::new(SingleCertAndKey::from(Arc::clone(&key)));
        let mut config = builder.with_cert_resolver(resolver as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.send_tls13_tickets = 1;
        Ok(Self { key, config: Arc::new(config) })
    }
}

/// Verifies certificates of clients: their chain, their dates, that they are for clients, and the revocation list.
fn verifier(
    authority: &ClientAuthority,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(&authority.ca_file)? {
        roots.add(certificate)?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if let Some(crl_file) = &authority.crl_file {
        let bytes = bytes_of(crl_file)?;
        let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
        let lists = lists.ok().filter(|lists| !lists.is_empty());
        let what = "revocation list";
        let lists = lists.ok_or_else(|| TlsError::Pem { path: crl_file.clone(), what })?;
        // Of the last certificate only, and an authority without a list is trusted without one.
        builder =
            builder.with_crls(lists).only_check_end_entity_revocation().allow_unknown_revocation_status();
    }
    if authority.policy == ClientCertificates::Optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|source| TlsError::Authority { path: authority.ca_file.clone(), source })
}

fn modified(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// The certificates of a file, at least one.
fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes_of(path)?).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    chain.ok_or_else(|| TlsError::Pem { path: path.to_owned(), what: "certificate" })
}

fn read(cert_file: &Path, key_file: &Path) -> Result<CertifiedKey, TlsError> {
    let key = PrivateKeyDer::from_pem_slice(&bytes_of(key_file)?)
        .map_err(|_not_pem| TlsError::Pem { path: key_file.to_owned(), what: "private key" })?;
    certified(chain(cert_file)?, &key)
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
