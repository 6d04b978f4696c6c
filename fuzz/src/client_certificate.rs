//! Any bytes as the certificate of a client (DER): whom its names stand for.

use std::sync::LazyLock;

use anita_auth::{Patterns, Permissions};
use anita_server::{
    CERTIFICATE_ISSUER, CertificateField, CertificateRule, certified_principal, fingerprint_of,
};

/// Which names mean somebody, with the start and the end that they have.
const RULES: [(CertificateField, &str, &str); 3] = [
    (CertificateField::CommonName, "gateway-", ""),
    (CertificateField::Dns, "", ".hall.example"),
    (CertificateField::Uri, "spiffe://site/", ""),
];

static RULED: LazyLock<[CertificateRule; 3]> = LazyLock::new(|| {
    RULES.map(|(field, start, end)| CertificateRule {
        field,
        names: Patterns::parse(&[format!("{start}*{end}")]).expect("a pattern"),
        roles: vec![format!("{start}{end}")],
        permissions: Permissions::all(),
        devices: Patterns::none(),
        rooms: Patterns::none(),
    })
});

/// Reads it. Somebody it stands for has a whole name that a rule is about, what that rule gives and no more, and the
/// fingerprint of exactly these bytes.
pub fn run(bytes: &[u8]) {
    let Some(principal) = certified_principal(bytes, &*RULED) else { return };
    let subject = principal.subject();
    assert!(!subject.is_empty() && subject.len() <= 256, "{subject:?}");
    assert_eq!(&*principal.identity.user.issuer, CERTIFICATE_ISSUER);
    assert_eq!(principal.identity.token_id.as_deref(), Some(fingerprint_of(bytes).as_str()));
    let given = RULES.iter().find(|(_field, start, end)| principal.roles == [format!("{start}{end}")]);
    let (_field, start, end) = given.expect("the roles of a rule");
    assert!(subject.starts_with(start) && subject.ends_with(end), "{subject:?} by {:?}", principal.roles);
    assert!(!principal.devices.allow("tag") && !principal.rooms.allow("uwb"));
}
