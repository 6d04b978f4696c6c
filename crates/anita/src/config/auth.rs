//! Which tokens are believed: what `[auth]` and `[[auth.issuers]]` mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anita_auth::{ClaimNames, ClaimPath, IssuerRules, Minter, Roles};
use anita_issuers::{
    DEMAND_INTERVAL, IssuerSettings, KeyAddress, KeyFault, KeyFiles, KeySource, PublishedSettings, Secret,
};
use anita_server::CERTIFICATE_ISSUER;

use super::raw::RawIssuer;
use super::{ConfigError, RawConfig, secs, wrong};

/// The most issuers.
const ISSUERS_MAX: usize = 32;

/// How often published keys are read again where neither the issuer nor the configuration says, seconds.
const JWKS_REFRESH_SECS: f64 = 300.0;

/// Secrets that the environment holds, by the names of their variables.
pub(super) type Secrets = BTreeMap<String, Secret>;

/// Who is believed.
#[derive(Debug)]
pub(super) struct Auth {
    pub(super) issuers: Vec<IssuerSettings>,
    /// Makes tokens of the first issuer, where its key is a secret of ours.
    pub(super) minter: Option<Minter>,
}

/// The names of the variables that hold secrets.
pub(super) fn secret_variables(raw: &RawConfig) -> impl Iterator<Item = &String> {
    let keys =
        raw.auth.secret_env.iter().chain(raw.auth.issuers.iter().filter_map(|it| it.secret_env.as_ref()));
    keys.chain(super::sign_in::secret_variables(raw))
}

pub(super) fn auth(
    raw: &RawConfig,
    roles: &Roles,
    secrets: &Secrets,
    folder: &Path,
) -> Result<Auth, ConfigError> {
    let more = raw.auth.issuers.iter().enumerate();
    let more = more.map(|(index, issuer)| (format!("auth.issuers[{index}]"), issuer.issuer()));
    let all: Vec<(String, RawIssuer)> =
        std::iter::once(("auth".to_owned(), raw.auth.issuer())).chain(more).collect();
    if all.len() > ISSUERS_MAX {
        return Err(wrong("auth.issuers", format!("are more than {ISSUERS_MAX} with the first")));
    }
    let mut issuers: Vec<IssuerSettings> = Vec::new();
    let mut minter = None;
    for (place, issuer) in &all {
        let place = Place { table: place, issuer, secrets, folder };
        if issuers.iter().any(|it| it.rules.issuer == issuer.issuer) {
            let message = format!("{:?} is there already; every issuer has its own name", issuer.issuer);
            return Err(place.wrong("issuer", message));
        }
        if issuers.is_empty() {
            minter = place.minter();
        }
        issuers.push(IssuerSettings { rules: place.rules(roles)?, source: place.source()? });
    }
    Ok(Auth { issuers, minter })
}

/// A table of an issuer.
struct Place<'a> {
    /// `auth`, or `auth.issuers[0]`.
    table: &'a str,
    issuer: &'a RawIssuer,
    secrets: &'a Secrets,
    folder: &'a Path,
}

impl Place<'_> {
    fn wrong(&self, key: &str, message: impl Into<String>) -> ConfigError {
        wrong(&format!("{}.{key}", self.table), message)
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    fn rules(&self, roles: &Roles) -> Result<IssuerRules, ConfigError> {
        let it = self.issuer;
        if it.issuer == CERTIFICATE_ISSUER {
            let message = "is the name for those who are known by their certificate; give the issuer of tokens another one";
            return Err(self.wrong("issuer", message));
        }
        for (key, text) in [("issuer", &it.issuer), ("audience", &it.audience)] {
            if text.is_empty() {
                return Err(self.wrong(key, "is missing"));
            }
        }
        if let Some(unknown) = it.roles_allowed.iter().flatten().find(|role| !roles.has(role)) {
            let known = roles.names().collect::<Vec<_>>().join(", ");
            return Err(
                self.wrong("roles_allowed", format!("there is no role {unknown:?}; the roles are {known}"))
            );
        }
        let paths = |paths: &[String]| paths.iter().map(ClaimPath::new).collect();
        Ok(IssuerRules {
            issuer: it.issuer.clone(),
            audience: it.audience.clone(),
            token_type: it.token_type.clone(),
            claims: ClaimNames {
                roles: paths(&it.roles_claims),
                role_prefix: it.role_prefix.clone(),
                permissions: paths(&it.permissions_claims),
                devices: ClaimPath::new(&it.devices_claim),
                rooms: ClaimPath::new(&it.rooms_claim),
            },
            roles_allowed: it.roles_allowed.as_ref().map(|roles| roles.iter().cloned().collect()),
        })
    }

    /// Where the keys come from: exactly one of the ways.
    fn source(&self) -> Result<KeySource, ConfigError> {
        let it = self.issuer;
        let ways = [
            ("secret_file", it.secret_file.is_some()),
            ("secret_env", it.secret_env.is_some()),
            ("public_key_file", it.public_key_file.is_some()),
            ("jwks_url", it.jwks_url.is_some()),
            ("discovery", it.discovery),
        ];
        let named: Vec<&str> =
            ways.into_iter().filter_map(|(key, is_named)| is_named.then_some(key)).collect();
        let [way] = named.as_slice() else {
            let message = if named.is_empty() {
                "names no key; set secret_file to a file of 32 or more random bytes (openssl rand -hex 32 > jwt.secret), \
                 or public_key_file to a PEM file, or jwks_url to where the issuer publishes its keys, or discovery = true"
                    .to_owned()
            } else {
                format!("names {}; one issuer, one kind of key: keep one", named.join(" and "))
            };
            return Err(wrong(self.table, message));
        };
        if !it.previous_secret_files.is_empty() && !way.starts_with("secret") {
            return Err(
                self.wrong("previous_secret_files", "means nothing without secret_file or secret_env")
            );
        }
        if let Some(url) = &it.jwks_url {
            let address = KeyAddress::jwks(url).map_err(|fault| self.wrong("jwks_url", fault.to_string()))?;
            return self.published(address);
        }
        if it.discovery {
            let address = KeyAddress::discovery(&it.issuer);
            let address = address.map_err(|fault| {
                self.wrong("issuer", format!("with discovery = true it has to be an address: {fault}"))
            })?;
            return self.published(address);
        }
        if it.ca_file.is_some() {
            return Err(self.wrong("ca_file", "means nothing without jwks_url or discovery"));
        }
        if it.jwks_refresh_secs.is_some() {
            let message = "means nothing without jwks_url or discovery: files of keys are looked at every two seconds; \
                           take it out";
            return Err(self.wrong("jwks_refresh_secs", message));
        }
        let (key, files) = self.files()?;
        let keys = files.read().map_err(|fault| self.fault(key, fault))?;
        Ok(KeySource::Given(files, keys))
    }

    fn published(&self, address: KeyAddress) -> Result<KeySource, ConfigError> {
        let key = format!("{}.jwks_refresh_secs", self.table);
        let refresh = secs(&key, self.issuer.jwks_refresh_secs.unwrap_or(JWKS_REFRESH_SECS), 1.0, 86_400.0)?;
        let ca_file = self.issuer.ca_file.as_ref().map(|path| self.path(path));
        Ok(KeySource::Published(PublishedSettings {
            address,
            refresh,
            demand_interval: DEMAND_INTERVAL,
            ca_file,
        }))
    }

    /// The files of keys that the operator names, and the key of the configuration that does.
    fn files(&self) -> Result<(&'static str, KeyFiles), ConfigError> {
        let it = self.issuer;
        let previous = it.previous_secret_files.iter().map(|path| self.path(path)).collect();
        if let Some(file) = &it.secret_file {
            return Ok(("secret_file", KeyFiles::SecretFile { file: self.path(file), previous }));
        }
        if let Some(file) = &it.public_key_file {
            return Ok(("public_key_file", KeyFiles::PublicKey { file: self.path(file) }));
        }
        let variable = it.secret_env.clone().unwrap_or_default();
        let secret = self.secrets.get(&variable).cloned();
        let secret = secret.ok_or_else(|| {
            self.wrong("secret_env", format!("the environment has no variable {variable:?}"))
        })?;
        Ok(("secret_env", KeyFiles::Secret { secret, previous }))
    }

    fn fault(&self, key: &str, fault: KeyFault) -> ConfigError {
        let key = format!("{}.{key}", self.table);
        match fault {
            KeyFault::Read { path, source } => ConfigError::File { key, path, source },
            KeyFault::Invalid { path, source } => ConfigError::Key { key, path, source },
            KeyFault::Secret(source) => ConfigError::Value { key, message: source.to_string() },
        }
    }

    fn minter(&self) -> Option<Minter> {
        let it = self.issuer;
        let secret = match (&it.secret_file, &it.secret_env) {
            // What is wrong with them is said where the key is made of them.
            (Some(file), _) => std::fs::read(self.path(file)).ok().map(Secret::new),
            (None, Some(variable)) => self.secrets.get(variable).cloned(),
            (None, None) => None,
        };
        let minter =
            secret.map(|secret| Minter::hs256(secret.expose(), it.issuer.clone(), it.audience.clone()));
        minter.and_then(Result::ok)
    }
}

#[cfg(test)]
mod tests;
