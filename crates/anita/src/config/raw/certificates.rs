//! `[[auth.certificates]]`: whose certificates stand for whom.

use serde::{Deserialize, Serialize};

/// `field`: which name of a certificate a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawCertificateField {
    /// The common name of its subject.
    #[default]
    CommonName,
    /// A DNS name of its subject alternative names.
    Dns,
    /// A URI of these.
    Uri,
}

/// One of `[[auth.certificates]]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawCertificate {
    /// Which name it is about.
    pub field: RawCertificateField,
    /// A glob of the names it is about.
    pub subject: String,
    /// The roles of whoever has such a name.
    pub roles: Vec<String>,
    /// Globs of the devices that they may see; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<String>>,
    /// Globs of the rooms that they may join; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms: Option<Vec<String>>,
}
