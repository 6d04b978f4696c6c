//! Which certificates a client trusts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};

/// Which certificates of servers are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// Those that the certificates of this system vouch for (the operating system's store, or what `SSL_CERT_FILE` names).
    #[default]
    System,
    /// Those that the certificates of this PEM file vouch for, and no others. A self-signed one vouches for itself.
    CaFile(PathBuf),
    /// The one with this SHA-256 of its DER form: hexadecimal, with or without colons, in any case. Names and dates in it
    /// are not looked at: the fingerprint says more.
    Fingerprint(String),
}

/// Why nothing can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file can't be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no certificate.
    #[error("{path} holds no certificate in PEM")]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// This system trusts nobody.
    #[error(
        "this system has no certificates to trust; name them with a CA file, or give the server's fingerprint"
    )]
    NoSystemCertificates,
    /// The fingerprint is none.
    #[error("a fingerprint is 64 hexadecimal digits, with or without colons: the SHA-256 of the certificate")]
    Fingerprint,
    /// TLS can't be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] Error),
}

/// The fingerprint of a server is not the one that was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server's certificate has the fingerprint {found}, not the one that was given")]
pub(crate) struct OtherFingerprint {
    /// The fingerprint of the server's certificate.
    pub(crate) found: String,
}

/// Accepts the one certificate with a fingerprint. That the server has its key is verified as always.
#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

// === impl Trust ===

impl Trust {
    /// What rustls needs: TLS 1.2 and 1.3, HTTP/1.1.
    pub(crate) fn client_config(&self) -> Result<Arc<ClientConfig>, TrustError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let mut config = match self {
            Self::System => builder.with_root_certificates(system_roots()?).with_no_client_auth(),
            Self::CaFile(path) => builder.with_root_certificates(file_roots(path)?).with_no_client_auth(),
            Self::Fingerprint(text) => {
                let fingerprint = parse_fingerprint(text).ok_or(TrustError::Fingerprint)?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(Pinned { fingerprint, provider }))
                    .with_no_client_auth()
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

// === impl Pinned ===

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found: [u8; 32] = Sha256::digest(end_entity).into();
        if found == self.fingerprint {
            return Ok(ServerCertVerified::assertion());
        }
        let found: Vec<String> = found.iter().map(|byte| format!("{byte:02X}")).collect();
        let other = OtherFingerprint { found: found.join(":") };
        Err(CertificateError::Other(OtherError(Arc::new(other))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn system_roots() -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "some certificates of the system cannot be read");
    }
    let (added_count, _ignored_count) = roots.add_parsable_certificates(found.certs);
    if added_count == 0 { Err(TrustError::NoSystemCertificates) } else { Ok(roots) }
}

fn file_roots(path: &Path) -> Result<RootCertStore, TrustError> {
    let bytes = std::fs::read(path).map_err(|source| TrustError::Read { path: path.to_owned(), source })?;
    let mut roots = RootCertStore::empty();
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect();
    let (added_count, _ignored_count) = roots.add_parsable_certificates(certificates);
    if added_count == 0 { Err(TrustError::NoCertificate { path: path.to_owned() }) } else { Ok(roots) }
}

/// Reads 64 hexadecimal digits; colons and blanks between them do not matter.
fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|it| !matches!(it, ':' | ' '))
        .map(|it| it.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |high, low| high << 4 | low)).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_in_every_usual_form() {
        let plain = "00ff10a0".repeat(8);
        let expected = parse_fingerprint(&plain).unwrap();
        assert_eq!(expected[..4], [0x00, 0xff, 0x10, 0xa0]);
        let pairs: Vec<&str> = (0..32).map(|index| &plain[2 * index..2 * index + 2]).collect();
        for text in [plain.to_uppercase(), pairs.join(":"), pairs.join(":").to_uppercase(), pairs.join(" ")] {
            assert_eq!(parse_fingerprint(&text), Some(expected), "{text}");
        }
        for text in ["", "00", &plain[1..], &format!("{plain}0"), &plain.replace('a', "g"), "é"] {
            assert_eq!(parse_fingerprint(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_trusted_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let trust = Trust::CaFile(path.clone());
        assert!(matches!(trust.client_config(), Err(TrustError::Read { .. })));
        std::fs::write(&path, "no certificate").unwrap();
        assert!(matches!(trust.client_config(), Err(TrustError::NoCertificate { .. })));
        assert!(matches!(Trust::Fingerprint("12:34".into()).client_config(), Err(TrustError::Fingerprint)));
    }
}
