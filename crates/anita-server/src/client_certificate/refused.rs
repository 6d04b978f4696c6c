//! Why a certificate of a client was not accepted, in words for whoever has to mend it.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use rustls::CertificateError;

use crate::caller;
use crate::seldom::Seldom;
use crate::server::Server;

/// How often it is logged at most.
pub(crate) const LOGGED_EVERY: Duration = Duration::from_secs(1);

/// The word of the verifier's library for a certificate of an authority that is shown as one's own; its type is not ours.
const AUTHORITY_SHOWN: &str = "CaUsedAsEndEntity";

/// What is wrong with the certificate that a client showed, or did not, if that is why a handshake failed.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list of faults is open")]
pub(crate) fn reason(error: &io::Error) -> Option<String> {
    let fault = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    match fault {
        rustls::Error::NoCertificatesPresented => Some(
            "none was shown, and client_certificates = \"required\"; give the client one, or write \"optional\""
                .to_owned(),
        ),
        rustls::Error::InvalidCertificate(fault) => Some(of_certificate(fault)),
        _other => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list of faults is open")]
fn of_certificate(fault: &CertificateError) -> String {
    use CertificateError as Fault;
    let text = fault.to_string();
    let sentence = match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => {
            "it has run out; have a new one signed, or set the clock of this machine right"
        }
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            "it is not valid yet; the clocks of this machine and of the authority differ"
        }
        Fault::Revoked => "its authority has revoked it (client_crl_file)",
        Fault::UnknownIssuer => {
            "no authority of client_ca_file signed it; the client has to send those between it and the root, too"
        }
        Fault::BadSignature => {
            "its signature is not that of an authority of client_ca_file, though that is the name it gives"
        }
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
            "it is not for clients; have it signed with extendedKeyUsage = clientAuth"
        }
        Fault::BadEncoding => "it is no certificate that can be read (X.509 version 3, DER)",
        Fault::ExpiredRevocationList | Fault::ExpiredRevocationListContext { .. } => {
            "the revocation list of its authority has run out; get a new client_crl_file"
        }
        _authority if text.contains(AUTHORITY_SHOWN) => {
            "it is that of an authority (CA:TRUE), as `openssl req -x509` makes them; have one signed for the client, with \
             basicConstraints = CA:FALSE and extendedKeyUsage = clientAuth"
        }
        _other => return format!("it can't be verified: {text}"),
    };
    sentence.to_owned()
}

impl Server {
    /// Says that somebody's certificate was not accepted: in the audit trail, and in the log now and then.
    pub(crate) fn refused_certificate(&self, address: IpAddr, why: &str) {
        let object = format!("certificate: {why}");
        caller::audit(self, Some(address), None, ["authenticate", &object, "refused"]);
        let Some(left_out) = self.certificates_refused.lock().now(self.clock.now().uptime) else { return };
        tracing::warn!(%address, left_out, "the certificate of a client was not accepted: {why}");
    }
}

/// Says it seldom enough.
pub(crate) fn seldom() -> parking_lot::Mutex<Seldom> {
    parking_lot::Mutex::new(Seldom::every(LOGGED_EVERY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_sentence_with_what_to_do_and_others_are_not_about_certificates() {
        let said = |fault: rustls::Error| reason(&io::Error::new(io::ErrorKind::InvalidData, fault));
        let table = [
            (CertificateError::Expired, "run out"),
            (CertificateError::NotValidYet, "clocks"),
            (CertificateError::Revoked, "client_crl_file"),
            (CertificateError::UnknownIssuer, "client_ca_file"),
            (CertificateError::InvalidPurpose, "clientAuth"),
            (CertificateError::UnhandledCriticalExtension, "can't be verified"),
        ];
        for (fault, expected) in table {
            let text = said(rustls::Error::InvalidCertificate(fault)).unwrap();
            assert!(text.contains(expected), "{text}");
        }
        assert!(said(rustls::Error::NoCertificatesPresented).unwrap().contains("required"));
        assert_eq!(said(rustls::Error::HandshakeNotComplete), None);
        assert_eq!(reason(&io::Error::other("gone")), None);
    }
}
