//! `[auth.sign_in]` and `[auth.issuers.sign_in]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `rights`: which token says what somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawRights {
    /// The access token.
    #[default]
    AccessToken,
    /// The ID token.
    IdToken,
}

/// How people sign in at an issuer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawSignIn {
    /// The name of the way in addresses: part of what is registered at the issuer.
    pub id: String,
    /// What the button says; the issuer's host when absent.
    pub label: Option<String>,
    /// Who the server is at the issuer.
    pub client_id: String,
    /// The secret of the client; a public client has none.
    pub client_secret_file: Option<PathBuf>,
    /// The variable of the environment that holds it.
    pub client_secret_env: Option<String>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// For what the access token shall be (RFC 8707).
    pub resource: Option<String>,
    /// What else the issuer wants to hear.
    pub parameters: BTreeMap<String, String>,
    /// Which token says what somebody may do.
    pub rights: RawRights,
    /// Whether signing out of the dashboard leads to the issuer's sign-out as well.
    pub sign_out_at_issuer: bool,
}

impl Default for RawSignIn {
    fn default() -> Self {
        Self {
            id: "oidc".to_owned(),
            label: None,
            client_id: String::new(),
            client_secret_file: None,
            client_secret_env: None,
            scopes: vec!["openid".to_owned()],
            resource: None,
            parameters: BTreeMap::new(),
            rights: RawRights::default(),
            sign_out_at_issuer: false,
        }
    }
}
