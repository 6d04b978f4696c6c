//! What a configuration says about a broker, and what it means.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anita_model::{SiteName, SourceName};
use bytes::Bytes;
use rumqttc_v4::TlsConfiguration;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use schemars::JsonSchema;
use serde::Deserialize;

use super::MqttSource;
use crate::address::Address;
use crate::config::{ConfigError, Named};
use crate::{Description, Fault, Secret};

/// A gateway behind an MQTT broker.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// What the source is called in logs and metrics.
    pub name: String,
    /// The site its coordinates are in; `main` if absent.
    pub site: Option<String>,
    /// `mqtt://host[:1883]`, or `mqtts://host[:8883]` for TLS.
    pub url: String,
    /// What the gateway says.
    pub format: Format,
    /// The topic filters; if absent `dwm/#` for DRTLS, and `tags` and `tags/#` for Pozyx.
    pub topics: Option<Vec<String>>,
    /// The user name, if the broker wants one.
    pub username: Option<String>,
    /// A file that holds the password; one newline at its end does not belong to it.
    pub password_file: Option<PathBuf>,
    /// The password itself, for those who give it by the environment.
    pub password: Option<Secret>,
    /// The certificates that the broker's is checked against, PEM; those of the system if absent.
    pub ca_file: Option<PathBuf>,
    /// How the broker knows us; a random one if absent.
    pub client_id: Option<String>,
    /// The version of the protocol; 3.1.1 if absent.
    #[serde(default)]
    pub version: Version,
    /// Whether the broker forgets us when we go. `false` makes it keep what we have not acknowledged, and needs a `client_id`.
    #[serde(default = "yes")]
    pub clean_session: bool,
    /// How long the line may be quiet before we ask whether the broker is there, seconds.
    #[serde(default = "default_keep_alive_secs")]
    pub keep_alive_secs: u16,
}

/// What a gateway says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Qorvo/Decawave DRTLS, Leaps PANS PRO.
    Drtls,
    /// Pozyx.
    Pozyx,
}

/// A version of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum Version {
    /// 3.1.1, which every broker speaks.
    #[default]
    #[serde(rename = "3.1.1")]
    V3,
    /// 5.
    #[serde(rename = "5")]
    V5,
}

/// A checked configuration.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) name: SourceName,
    pub(super) site: SiteName,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) format: Format,
    pub(super) topics: Vec<String>,
    pub(super) client_id: String,
    pub(super) version: Version,
    pub(super) is_clean_session: bool,
    pub(super) keep_alive_secs: u16,
    is_tls: bool,
    ca_file: Option<PathBuf>,
    username: Option<String>,
    password: Option<Password>,
}

#[derive(Debug)]
enum Password {
    Given(Secret),
    InFile(PathBuf),
}

const fn yes() -> bool {
    true
}

const fn default_keep_alive_secs() -> u16 {
    30
}

// === impl MqttConfig ===

impl MqttConfig {
    /// Makes the paths relative to the folder of the configuration.
    pub fn resolve_paths(&mut self, folder: &Path) {
        for path in [&mut self.password_file, &mut self.ca_file].into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }

    /// Checks what is written and makes the source of it. No file is read and nothing is connected yet.
    ///
    /// # Errors
    /// [`ConfigError`] names the key.
    pub fn build(self) -> Result<MqttSource, ConfigError> {
        let named = Named::parse(&self.name, self.site.as_deref())?;
        let (host, port, is_tls) = broker(&self.url).map_err(|what| named.wrong("url", what))?;
        if self.ca_file.is_some() && !is_tls {
            return Err(named.wrong("ca_file", "is for TLS; write `url = \"mqtts://…\"`, or leave it out"));
        }
        if !self.clean_session && self.client_id.is_none() {
            return Err(named.wrong("client_id", "is needed with `clean_session = false`"));
        }
        if self.keep_alive_secs == 0 {
            return Err(named.wrong("keep_alive_secs", "must be at least 1"));
        }
        let topics = self.topics.unwrap_or_else(|| self.format.default_topics());
        if topics.is_empty() || !topics.iter().all(|topic| is_topic_filter(topic)) {
            return Err(named.wrong("topics", "must be topic filters, at least one, such as `dwm/#`"));
        }
        let password = match (self.password, self.password_file) {
            (Some(_), Some(_)) => {
                return Err(
                    named.wrong("password", "and `password_file` are two passwords; write one of them")
                );
            }
            (Some(secret), None) => Some(Password::Given(secret)),
            (None, file) => file.map(Password::InFile),
        };
        if password.is_some() && self.username.is_none() {
            return Err(named.wrong("username", "is needed with a password"));
        }
        Ok(MqttSource {
            settings: Settings {
                name: named.name,
                site: named.site,
                host,
                port,
                format: self.format,
                topics: without_covered(topics),
                client_id: self.client_id.unwrap_or_else(random_client_id),
                version: self.version,
                is_clean_session: self.clean_session,
                keep_alive_secs: self.keep_alive_secs,
                is_tls,
                ca_file: self.ca_file,
                username: self.username,
                password,
            },
        })
    }
}

// === impl Format ===

impl Format {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Drtls => "drtls",
            Self::Pozyx => "pozyx",
        }
    }

    fn default_topics(self) -> Vec<String> {
        match self {
            Self::Drtls => vec!["dwm/#".into()],
            Self::Pozyx => vec!["tags".into(), "tags/#".into()],
        }
    }
}

// === impl Settings ===

impl Settings {
    pub(super) fn description(&self) -> Description {
        let scheme = if self.is_tls { "mqtts" } else { "mqtt" };
        let host = &self.host;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let address = format!("{scheme}://{host}:{} ({})", self.port, self.topics.join(", "));
        Description { kind: "mqtt", format: Some(self.format.as_str()), address: Some(address) }
    }

    /// The user name and the password, read now, so that a changed file counts from the next connection on.
    pub(super) fn credentials(&self) -> Result<Option<(String, Option<Bytes>)>, Fault> {
        let Some(username) = self.username.clone() else { return Ok(None) };
        let password = match &self.password {
            None => None,
            Some(Password::Given(secret)) => Some(Bytes::copy_from_slice(secret.reveal().as_bytes())),
            Some(Password::InFile(path)) => {
                let mut bytes = read("password_file", path)?;
                if bytes.last() == Some(&b'\n') {
                    bytes.pop();
                    if bytes.last() == Some(&b'\r') {
                        bytes.pop();
                    }
                }
                Some(Bytes::from(bytes))
            }
        };
        Ok(Some((username, password)))
    }

    /// What TLS trusts; `None` for a plain connection.
    pub(super) fn tls(&self) -> Result<Option<TlsConfiguration>, Fault> {
        let Some(path) = self.ca_file.as_ref().filter(|_| self.is_tls) else {
            let system = self.is_tls.then(TlsConfiguration::try_default_rustls).transpose();
            return system.map_err(|error| self.tls_failed(error));
        };
        let pem = read("ca_file", path)?;
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots
                .add(certificate.map_err(|error| self.tls_failed(error))?)
                .map_err(|error| self.tls_failed(error))?;
        }
        if roots.is_empty() {
            return Err(self.tls_failed(format!("`ca_file` = {} holds no certificate", path.display())));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| self.tls_failed(error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Some(TlsConfiguration::Rustls(Arc::new(config))))
    }

    pub(super) fn failed(&self, source: impl Error + Send + Sync + 'static) -> Fault {
        Fault::Mqtt { address: self.address(), source: Box::new(source) }
    }

    pub(super) fn refused(&self, reason: &str) -> Fault {
        Fault::Refused { address: self.address(), reason: reason.into() }
    }

    pub(super) fn subscription_refused(&self, index: usize, reason: &str) -> Fault {
        let topic = self.topics.get(index).cloned().unwrap_or_default();
        Fault::SubscriptionRefused { address: self.address(), topic, reason: reason.into() }
    }

    fn tls_failed(&self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Fault {
        Fault::Tls { address: self.address(), source: source.into() }
    }

    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// The host, the port, and whether TLS is spoken.
fn broker(url: &str) -> Result<(String, u16, bool), &'static str> {
    const WANTED: &str = "must be `mqtt://host:port` or `mqtts://host:port`";
    let address = Address::parse(url).ok_or(WANTED)?;
    let (default_port, is_tls) = match address.scheme {
        "mqtt" => (1883, false),
        "mqtts" => (8883, true),
        _ => return Err(WANTED),
    };
    let (host, port) = address.host_and_port(Some(default_port))?;
    Ok((host.to_owned(), port, is_tls))
}

/// A client id that every broker takes: at most 23 letters and digits.
fn random_client_id() -> String {
    format!("anita{:016x}", rand::random::<u64>())
}

/// Whether wildcards stand where MQTT allows them.
fn is_topic_filter(topic: &str) -> bool {
    let levels: Vec<&str> = topic.split('/').collect();
    let is_level = |(index, level): (usize, &&str)| match *level {
        "#" => index + 1 == levels.len(),
        "+" => true,
        plain => !plain.contains(['#', '+', '\0']),
    };
    !topic.is_empty() && u16::try_from(topic.len()).is_ok() && levels.iter().enumerate().all(is_level)
}

/// The filters without those that another one covers: a broker sends a message once for every filter it matches.
fn without_covered(mut topics: Vec<String>) -> Vec<String> {
    topics.sort();
    topics.dedup();
    let all = topics.clone();
    topics.retain(|topic| !all.iter().any(|other| other != topic && covers(other, topic)));
    topics
}

/// Whether every topic that `narrow` matches is matched by `wide` too.
fn covers(wide: &str, narrow: &str) -> bool {
    // Wildcards in the first place do not match the broker's own topics.
    if narrow.starts_with('$') && wide.starts_with(['+', '#']) {
        return false;
    }
    let mut narrow = narrow.split('/');
    for level in wide.split('/') {
        match (level, narrow.next()) {
            // `tags/#` matches `tags` too: the levels that `#` stands for may be none.
            ("#", _) => return true,
            (_, None) | ("+", Some("#")) => return false,
            ("+", Some(_)) => {}
            (level, Some(other)) if level == other => {}
            (_, Some(_)) => return false,
        }
    }
    narrow.next().is_none()
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, Fault> {
    fs::read(path).map_err(|source| Fault::File { key, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_another_one_covers_is_left_out() {
        let cases: [(&[&str], &[&str]); 7] = [
            (&["tags", "tags/#"], &["tags/#"]),
            (&["dwm/#", "dwm/node/+/uplink/location", "dwm/#"], &["dwm/#"]),
            (&["a/+", "+/b", "a/b"], &["+/b", "a/+"]),
            (&["a/+", "a/#"], &["a/#"]),
            (&["a/+", "a"], &["a", "a/+"]),
            (&["a/+/c", "a/b"], &["a/+/c", "a/b"]),
            (&["#", "$SYS/#", "x"], &["#", "$SYS/#"]),
        ];
        for (topics, expected) in cases {
            let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
            assert_eq!(without_covered(topics), expected);
        }
    }
}
