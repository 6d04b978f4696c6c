//! Publishers without a token: what a verified certificate of a client says becomes a principal (mutual TLS).
//!
//! rustls has verified the chain, the dates and the revocation list when a request comes here; what is decided here is
//! whether the names in the certificate mean somebody, and who that is.

pub(crate) mod refused;

use std::sync::Arc;
use std::time::Duration;

use anita_auth::{LEEWAY, Patterns, Permissions, Principal};
use anita_model::{Identity, Timestamp, UserId};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::tls::fingerprint_of;

/// Who says that a subject is who it is, where a certificate does.
pub const CERTIFICATE_ISSUER: &str = "certificate";

/// How long the fingerprint is that stands for a certificate as its id: SHA-256.
pub(crate) const FINGERPRINT_BYTES: usize = 32;

/// The longest name that is looked at, bytes.
const NAME_BYTES_MAX: usize = 256;

/// The most names of one certificate that are looked at.
const NAMES_MAX: usize = 64;

/// Which name of a certificate a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateField {
    /// The common name of its subject.
    CommonName,
    /// A DNS name of its subject alternative names (RFC 5280 §4.2.1.6).
    Dns,
    /// A URI of these, such as a SPIFFE id.
    Uri,
}

/// Whose certificates mean what.
#[derive(Debug, Clone, PartialEq)]
pub struct CertificateRule {
    /// Which name it is about.
    pub field: CertificateField,
    /// Which names it is about.
    pub names: Patterns,
    /// The roles, as written.
    pub roles: Vec<String>,
    /// What they allow.
    pub permissions: Permissions,
    /// Which devices are visible.
    pub devices: Patterns,
    /// Which rooms are visible.
    pub rooms: Patterns,
}

/// The principal that a connection's certificate stands for; it is there for each request of the connection.
#[derive(Debug, Clone)]
pub(crate) struct Presented(pub(crate) Arc<Principal>);

impl Presented {
    /// Whose certificate it is, by the first rule that fits. `None` when none does, or it cannot be read.
    pub(crate) fn read(der: &[u8], rules: &[CertificateRule]) -> Option<Self> {
        let (_rest, certificate) = X509Certificate::from_der(der).ok()?;
        let (rule, name) = rules.iter().find_map(|rule| Some((rule, name_for(rule, &certificate)?)))?;
        let validity = certificate.validity();
        let identity = Identity {
            user: UserId { issuer: CERTIFICATE_ISSUER.into(), subject: name.into() },
            token_id: Some(fingerprint_of(der).into()),
            issued_at: Some(moment(validity.not_before.timestamp())?),
        };
        Some(Self(Arc::new(Principal {
            identity: Arc::new(identity),
            roles: rule.roles.clone(),
            permissions: rule.permissions,
            devices: rule.devices.clone(),
            rooms: rule.rooms.clone(),
            expires_at: moment(validity.not_after.timestamp())?,
        })))
    }

    /// The principal, while the certificate is valid: a connection may outlive it.
    pub(crate) fn principal(&self, now: Timestamp) -> Option<Principal> {
        (now < self.0.expires_at.plus(LEEWAY)).then(|| Principal::clone(&self.0))
    }
}

/// The principal that a certificate in DER stands for, by the first rule that fits. Here for those who feed it any
/// bytes.
#[doc(hidden)]
pub fn certified_principal(der: &[u8], rules: &[CertificateRule]) -> Option<Arc<Principal>> {
    Presented::read(der, rules).map(|Presented(principal)| principal)
}

/// A date of a certificate. One without an end (RFC 5280 §4.1.2.5) is dated to the last second of the year 9999, which is
/// later than can be said: then it is the last moment that can.
fn moment(secs: i64) -> Option<Timestamp> {
    let since_1970 = Duration::from_secs(u64::try_from(secs).unwrap_or_default());
    Timestamp::from_micros(0).ok().map(|start| start.plus(since_1970))
}

/// The first name that a rule is about.
fn name_for(rule: &CertificateRule, certificate: &X509Certificate<'_>) -> Option<String> {
    let is_meant = |name: &&str| !name.is_empty() && name.len() <= NAME_BYTES_MAX && rule.names.allow(name);
    let common_names = || certificate.subject().iter_common_name().filter_map(|it| it.as_str().ok());
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let alternatives = alternatives.iter().flat_map(|it| &it.value.general_names);
    let name = match rule.field {
        CertificateField::CommonName => common_names().take(NAMES_MAX).find(is_meant),
        CertificateField::Dns => alternatives.filter_map(dns).take(NAMES_MAX).find(is_meant),
        CertificateField::Uri => alternatives.filter_map(uri).take(NAMES_MAX).find(is_meant),
    };
    name.map(str::to_owned)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "there are many kinds of names, and one is meant")]
fn dns<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::DNSName(name) => Some(name),
        _ => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "there are many kinds of names, and one is meant")]
fn uri<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::URI(name) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate() -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["gw.hall.example".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "gateway-7");
        params.subject_alt_names.push(SanType::URI("spiffe://site/gateway/7".try_into().unwrap()));
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn rule(field: CertificateField, names: &str) -> CertificateRule {
        CertificateRule {
            field,
            names: Patterns::parse(&[names.to_owned()]).unwrap(),
            roles: vec![names.to_owned()],
            permissions: Permissions::all(),
            devices: Patterns::all(),
            rooms: Patterns::none(),
        }
    }

    #[test]
    fn the_first_rule_that_fits_a_name_says_who_it_is() {
        use CertificateField::{CommonName, Dns, Uri};
        let der = certificate();
        let table = [
            (vec![rule(CommonName, "gateway-*")], Some("gateway-7")),
            (vec![rule(Dns, "*.hall.example")], Some("gw.hall.example")),
            (vec![rule(Uri, "spiffe://site/gateway/*")], Some("spiffe://site/gateway/7")),
            (vec![rule(Uri, "gateway-*"), rule(CommonName, "*"), rule(Dns, "*")], Some("gateway-7")),
            (vec![rule(Dns, "gateway-*"), rule(CommonName, "gw*"), rule(Uri, "gateway*")], None),
            (vec![], None),
        ];
        for (rules, expected) in table {
            let found = Presented::read(&der, &rules);
            let subject = found.map(|found| found.0.subject().to_owned());
            assert_eq!(subject.as_deref(), expected, "{rules:?}");
        }
        assert!(Presented::read(b"no certificate", &[rule(CommonName, "*")]).is_none());
    }

    #[test]
    fn the_principal_has_what_the_rule_gives_until_the_certificate_runs_out() {
        let der = certificate();
        let found = Presented::read(&der, &[rule(CertificateField::CommonName, "gateway-*")]).unwrap();
        let identity = &found.0.identity;
        assert_eq!(&*identity.user.issuer, CERTIFICATE_ISSUER);
        assert_eq!(identity.token_id.as_deref(), Some(fingerprint_of(&der).as_str()));
        let at = |text: &str| Timestamp::parse(text).unwrap();
        assert_eq!(identity.issued_at, Some(at("2026-01-01T00:00:00Z")));
        assert_eq!(found.0.expires_at, at("2027-01-01T00:00:00Z"));
        assert!(found.principal(at("2027-01-01T00:00:04Z")).is_some());
        assert!(found.principal(at("2027-01-01T00:00:06Z")).is_none());
    }

    #[test]
    fn a_certificate_without_an_end_can_be_dated() {
        let last = moment(253_402_300_799).unwrap();
        assert_eq!(last, last.plus(Duration::from_secs(1)));
        assert_eq!(moment(-1), moment(0));
    }
}
