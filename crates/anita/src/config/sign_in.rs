//! How people sign in at issuers: what `[auth.sign_in]`, `[auth.issuers.sign_in]` and `server.public_url` mean.

use std::path::Path;

use anita_issuers::{
    ClientSecret, IssuerSettings, KeyAddress, KeySource, PublicUrl, RESERVED_PARAMETERS, Rights, WaySettings,
};

use super::auth::Secrets;
use super::raw::{RawIssuer, RawPlaintext, RawRights, RawSignIn};
use super::{ConfigError, RawConfig, wrong};

/// The longest label of a button, characters.
const LABEL_CHARS_MAX: usize = 40;

/// The longest name of a way in addresses, bytes.
const ID_BYTES_MAX: usize = 32;

/// How people sign in, if they can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Where issuers send them back to.
    pub public_url: PublicUrl,
    /// At which issuers.
    pub ways: Vec<WaySettings>,
}

/// The names of the variables that hold secrets of clients.
pub(super) fn secret_variables(raw: &RawConfig) -> impl Iterator<Item = &String> {
    let first = raw.auth.sign_in.iter();
    let more = raw.auth.issuers.iter().filter_map(|it| it.sign_in.as_ref());
    first.chain(more).filter_map(|it| it.client_secret_env.as_ref())
}

pub(super) fn sign_in(
    raw: &RawConfig,
    issuers: &[IssuerSettings],
    secrets: &Secrets,
    folder: &Path,
) -> Result<Option<SignIn>, ConfigError> {
    let more = raw.auth.issuers.iter().enumerate();
    let more = more.map(|(index, issuer)| (format!("auth.issuers[{index}].sign_in"), issuer.clone()));
    let first = std::iter::once(("auth.sign_in".to_owned(), raw.auth.issuer()));
    let written = first.chain(more).zip(issuers).filter_map(|((table, issuer), settings)| {
        let sign_in = issuer.sign_in.clone()?;
        Some((table, sign_in, issuer, settings))
    });
    let written: Vec<_> = written.collect();
    let public_url = public_url(raw)?;
    if written.is_empty() {
        return Ok(None);
    }
    let public_url = public_url.ok_or_else(|| {
        let message = "is missing: issuers send people back to where they reach the dashboard; write https://host[:port]";
        wrong("server.public_url", message)
    })?;
    let mut ways: Vec<WaySettings> = Vec::new();
    for (table, sign_in, issuer, settings) in &written {
        let place = Place { table, sign_in, issuer, settings, secrets, folder, public_url: &public_url };
        let way = place.way()?;
        if ways.iter().any(|it| it.id == way.id) {
            let message = format!("{:?} is there already; every way to sign in has its own id", way.id);
            return Err(place.wrong("id", message));
        }
        ways.push(way);
    }
    Ok(Some(SignIn { public_url, ways }))
}

fn public_url(raw: &RawConfig) -> Result<Option<PublicUrl>, ConfigError> {
    let Some(text) = &raw.server.public_url else { return Ok(None) };
    let url = PublicUrl::parse(text).map_err(|message| wrong("server.public_url", message))?;
    if !url.is_secure() && raw.server.plaintext != RawPlaintext::Loopback {
        let message = "begins with http://, which nobody may come by unless server.plaintext = \"loopback\"";
        return Err(wrong("server.public_url", message));
    }
    let hosts = &raw.server.hosts;
    if !hosts.is_empty() && !hosts.iter().any(|host| host.eq_ignore_ascii_case(url.host())) {
        let message = format!("is at {:?}, which is not among server.hosts: add it there", url.host());
        return Err(wrong("server.public_url", message));
    }
    Ok(Some(url))
}

/// A table of a way to sign in.
struct Place<'a> {
    table: &'a str,
    sign_in: &'a RawSignIn,
    issuer: &'a RawIssuer,
    settings: &'a IssuerSettings,
    secrets: &'a Secrets,
    folder: &'a Path,
    public_url: &'a PublicUrl,
}

impl Place<'_> {
    fn wrong(&self, key: &str, message: impl Into<String>) -> ConfigError {
        wrong(&format!("{}.{key}", self.table), message)
    }

    fn way(&self) -> Result<WaySettings, ConfigError> {
        let it = self.sign_in;
        let KeySource::Published(published) = &self.settings.source else {
            let message =
                "needs an issuer that publishes its keys: set discovery = true (or jwks_url) beside it";
            return Err(wrong(self.table, message));
        };
        let configuration = KeyAddress::discovery(&self.issuer.issuer).map_err(|fault| {
            wrong(self.table, format!("needs an issuer whose name is its address: {fault}"))
        })?;
        self.check_names()?;
        self.check_asked()?;
        Ok(WaySettings {
            id: it.id.clone(),
            label: self.label()?,
            issuer: self.issuer.issuer.clone(),
            configuration,
            ca_file: published.ca_file.clone(),
            client_id: it.client_id.clone(),
            client_secret: self.client_secret()?,
            scopes: it.scopes.clone(),
            resource: it.resource.clone(),
            parameters: it.parameters.clone().into_iter().collect(),
            rights: match it.rights {
                RawRights::AccessToken => Rights::AccessToken,
                RawRights::IdToken => Rights::IdToken,
            },
            redirect_uri: self.public_url.at(&format!("/api/v1/sign-in/{}/callback", it.id)),
            post_logout_redirect_uri: it.sign_out_at_issuer.then(|| self.public_url.at("/")),
        })
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        let it = self.sign_in;
        let is_id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if it.id.is_empty() || it.id.len() > ID_BYTES_MAX || !it.id.bytes().all(is_id) {
            let message = format!(
                "{:?} can't be in an address: 1 to {ID_BYTES_MAX} of a-z, 0-9 and -",
                it.id.chars().take(64).collect::<String>()
            );
            return Err(self.wrong("id", message));
        }
        if it.client_id.is_empty() {
            return Err(self.wrong("client_id", "is missing: who the server is at the issuer"));
        }
        Ok(())
    }

    fn check_asked(&self) -> Result<(), ConfigError> {
        let it = self.sign_in;
        if !it.scopes.iter().any(|scope| scope == "openid") {
            return Err(self.wrong("scopes", "has to have \"openid\" among it"));
        }
        if it.scopes.iter().any(|scope| scope.is_empty() || scope.contains(char::is_whitespace)) {
            return Err(self.wrong("scopes", "is a list: one scope each, without spaces"));
        }
        let own = |name: &&String| RESERVED_PARAMETERS.contains(&name.as_str());
        if let Some(name) = it.parameters.keys().find(own) {
            return Err(self.wrong("parameters", format!("{name} is said by the server itself; take it out")));
        }
        if it.resource.is_some() && it.parameters.contains_key("resource") {
            return Err(self.wrong("parameters", "resource is there already, as a key of its own"));
        }
        Ok(())
    }

    fn label(&self) -> Result<String, ConfigError> {
        let host = self.issuer.issuer.split("://").nth(1).unwrap_or_default();
        let host = host.split(['/', ':']).next().unwrap_or_default();
        let label = self.sign_in.label.clone().unwrap_or_else(|| host.to_owned());
        let is_label = !label.trim().is_empty()
            && label.chars().count() <= LABEL_CHARS_MAX
            && !label.contains(char::is_control);
        if is_label {
            return Ok(label);
        }
        Err(self.wrong("label", format!("has to be 1 to {LABEL_CHARS_MAX} characters: it is on a button")))
    }

    fn client_secret(&self) -> Result<Option<ClientSecret>, ConfigError> {
        let it = self.sign_in;
        match (&it.client_secret_file, &it.client_secret_env) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                Err(wrong(self.table, "names client_secret_file and client_secret_env: keep one"))
            }
            (Some(file), None) => {
                let path = self.folder.join(file);
                let key = || format!("{}.client_secret_file", self.table);
                let read = std::fs::read(&path);
                let secret =
                    read.map_err(|source| ConfigError::File { key: key(), path: path.clone(), source })?;
                if secret.trim_ascii().is_empty() {
                    return Err(wrong(&key(), format!("{} is empty", path.display())));
                }
                Ok(Some(ClientSecret::File(path)))
            }
            (None, Some(variable)) => {
                let secret = self.secrets.get(variable).cloned();
                let missing = || {
                    self.wrong("client_secret_env", format!("the environment has no variable {variable:?}"))
                };
                secret.ok_or_else(missing).map(|secret| Some(ClientSecret::Given(secret)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
