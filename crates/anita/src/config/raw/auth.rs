//! `[auth]` and `[[auth.issuers]]`, and what the roles mean.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anita_auth::{Permission, Permissions, Roles};
use serde::{Deserialize, Serialize};

/// Both tables have the same keys for an issuer, and are read strictly: a name that is none is told.
macro_rules! table_of_issuer {
    ($(#[$doc:meta])* $name:ident, issuer $issuer:literal { $($(#[$own_doc:meta])* $own:ident: $own_type:ty = $own_default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// What `iss` has to be.
            pub issuer: String,
            /// What `aud` has to name.
            pub audience: String,
            /// The secret of HS256.
            pub secret_file: Option<PathBuf>,
            /// The variable of the environment that holds the secret of HS256.
            pub secret_env: Option<String>,
            /// The secrets before it, which are still believed as long as the files are there.
            pub previous_secret_files: Vec<PathBuf>,
            /// The public key of RS256, ES256, ES384 or EdDSA, PEM.
            pub public_key_file: Option<PathBuf>,
            /// Where the issuer publishes its keys.
            pub jwks_url: Option<String>,
            /// Whether the issuer's own configuration says where its keys are.
            pub discovery: bool,
            /// How often published keys are read again where the issuer does not say how long they hold, seconds; 300 when
            /// absent.
            pub jwks_refresh_secs: Option<f64>,
            /// Whose certificates the issuer may have, PEM; those that the system trusts when absent.
            pub ca_file: Option<PathBuf>,
            /// What `typ` has to be in the header of a token.
            pub token_type: Option<String>,
            /// Where roles are in a token.
            pub roles_claims: Vec<String>,
            /// What roles for this server begin with.
            pub role_prefix: Option<String>,
            /// Where names of permissions are in a token.
            pub permissions_claims: Vec<String>,
            /// Where the globs of devices are in a token.
            pub devices_claim: String,
            /// Where the globs of rooms are in a token.
            pub rooms_claim: String,
            /// The roles that the issuer may give at most; any when absent.
            pub roles_allowed: Option<Vec<String>>,
            /// How people sign in at the issuer, if they do from here.
            pub sign_in: Option<super::RawSignIn>,
            $($(#[$own_doc])* pub $own: $own_type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    issuer: $issuer.to_owned(),
                    audience: "anita".to_owned(),
                    secret_file: None,
                    secret_env: None,
                    previous_secret_files: Vec::new(),
                    public_key_file: None,
                    jwks_url: None,
                    discovery: false,
                    jwks_refresh_secs: None,
                    ca_file: None,
                    token_type: None,
                    roles_claims: vec!["roles".to_owned()],
                    role_prefix: None,
                    permissions_claims: Vec::new(),
                    devices_claim: "devices".to_owned(),
                    rooms_claim: "rooms".to_owned(),
                    roles_allowed: None,
                    sign_in: None,
                    $($own: $own_default,)*
                }
            }
        }

        impl $name {
            /// What it says of its issuer.
            pub(in crate::config) fn issuer(&self) -> RawIssuer {
                let it = self.clone();
                RawIssuer {
                    issuer: it.issuer,
                    audience: it.audience,
                    secret_file: it.secret_file,
                    secret_env: it.secret_env,
                    previous_secret_files: it.previous_secret_files,
                    public_key_file: it.public_key_file,
                    jwks_url: it.jwks_url,
                    discovery: it.discovery,
                    jwks_refresh_secs: it.jwks_refresh_secs,
                    ca_file: it.ca_file,
                    token_type: it.token_type,
                    roles_claims: it.roles_claims,
                    role_prefix: it.role_prefix,
                    permissions_claims: it.permissions_claims,
                    devices_claim: it.devices_claim,
                    rooms_claim: it.rooms_claim,
                    roles_allowed: it.roles_allowed,
                    sign_in: it.sign_in,
                }
            }
        }
    };
}

table_of_issuer! {
    /// One of `[[auth.issuers]]`.
    RawIssuer, issuer "" {}
}

table_of_issuer! {
    /// `[auth]`: the first issuer, and what is true of all.
    RawAuth, issuer "anita" {
        /// How long a client may take to authenticate, seconds.
        deadline_secs: f64 = 10.0,
        /// How long a ticket may be used, seconds.
        ticket_ttl_secs: f64 = 30.0,
        /// How long a token may be valid that `POST /api/v1/tokens` makes, seconds.
        minted_ttl_max_secs: f64 = anita_server::MINTED_TTL_MAX.as_secs_f64(),
        /// More issuers.
        issuers: Vec<RawIssuer> = Vec::new(),
        /// Whose certificates stand for whom.
        certificates: Vec<super::RawCertificate> = Vec::new(),
    }
}

/// The default roles with those of the configuration over them.
pub(in crate::config) fn roles(written: &BTreeMap<String, Vec<String>>) -> Result<Roles, (String, String)> {
    let defaults = Roles::default();
    let mut roles: BTreeMap<String, Permissions> =
        defaults.names().map(|name| (name.to_owned(), defaults.permissions_of([name]))).collect();
    for (name, words) in written {
        let permissions = Permissions::parse(words.iter().map(String::as_str))
            .map_err(|unknown| (format!("roles.{name}"), unknown.to_string()))?;
        roles.insert(name.clone(), permissions);
    }
    Ok(Roles::new(roles))
}

/// The default roles as they would be written, for `check-config`.
pub(in crate::config) fn default_roles_written() -> BTreeMap<String, Vec<String>> {
    let defaults = Roles::default();
    let words = |name: &str| match defaults.permissions_of([name]) {
        all if all == Permissions::all() => vec!["*".to_owned()],
        some => some.iter().map(Permission::as_str).map(str::to_owned).collect(),
    };
    defaults.names().map(|name| (name.to_owned(), words(name))).collect()
}
