//! The configuration: what is written ([`Written`]), and what it means ([`Config`]). The only place that reads the
//! environment and the files that a configuration names.

mod audit;
mod auth;
mod check;
mod environment;
mod living;
mod load;
mod raw;
mod server;
mod session;
mod shown;
mod sign_in;
mod storage;
mod zeros;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anita_auth::{InvalidKey, Minter, Roles};
use anita_hub::{HubSettings, RoomLimits};
use anita_issuers::IssuerSettings;
use anita_server::{Bounds, ConfiguredValue, ServerSettings, SiteMap, ZoneShape};
use anita_session::SessionSettings;
use anita_sources::SourceConfig;
use anita_store::audit::AuditFileSettings;
use anita_views::ViewSettings;
use anita_world::{Nearness, Policy, Silences, StatusPolicy};

pub use audit::AUDIT_LINES;
pub use load::{Origin, Written};
pub use raw::{LogFormat, RawConfig, RawPlaintext};
pub use server::{OwnCertificate, Tls};
pub use sign_in::SignIn;
pub use storage::{Backend, Storage};

/// A year: the longest that a token which the server makes may be valid, seconds.
const MINTED_TTL_SECS_MAX: f64 = 31_536_000.0;

/// Why a configuration can't be used. Each says the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("cannot read the configuration {path} (--config names another; `anita demo` needs none)")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{path} is not valid TOML: {message}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// The place and what is wrong there.
        message: String,
    },
    /// A key that means nothing.
    #[error("{key}: there is no such key; {suggestion}")]
    UnknownKey {
        /// The key with its section.
        key: String,
        /// What it may have been meant to be.
        suggestion: String,
    },
    /// A value that can't be.
    #[error("{key}: {message}")]
    Value {
        /// The key with its section.
        key: String,
        /// What is wrong.
        message: String,
    },
    /// A file that a key names.
    #[error("{key}: cannot read {path}")]
    File {
        /// The key.
        key: String,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Certificates and keys of TLS.
    #[error("{key}: certificates and keys can't be used")]
    Tls {
        /// The section.
        key: String,
        /// Why.
        #[source]
        source: anita_server::TlsError,
    },
    /// A key file that holds no usable key.
    #[error("{key}: {path}")]
    Key {
        /// The key of the configuration.
        key: String,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: InvalidKey,
    },
}

/// A configuration that makes sense.
#[derive(Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The certificate.
    pub tls: Tls,
    /// The edge.
    pub server: ServerSettings,
    /// Conversations.
    pub session: SessionSettings,
    /// The hub.
    pub hub: HubSettings,
    /// Whose tokens are believed, and by which keys.
    pub issuers: Vec<IssuerSettings>,
    /// How people sign in at issuers, if they can.
    pub sign_in: Option<SignIn>,
    /// Makes tokens of the first issuer, where its key is a secret of ours.
    pub minter: Option<Minter>,
    /// How long a token that the server makes by REST is valid at most.
    pub minted_ttl_max: Duration,
    /// The roles.
    pub roles: Roles,
    /// What is kept, where, and how long.
    pub storage: Storage,
    /// The file of the audit trail, unless it is switched off.
    pub audit_file: Option<AuditFileSettings>,
    /// The floor plan.
    pub site: SiteMap,
    /// The sources.
    pub sources: Vec<SourceConfig>,
    /// Every value as it was loaded, for those who look after the server; nothing of it is secret.
    pub explained: Vec<ConfiguredValue>,
}

impl Config {
    /// Reads a file, and the variables `ANITA__SECTION__KEY` of the environment over it.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::from_written(&Written::read(path, std::env::vars())?)
    }

    /// What a written configuration means. Reads the key files that it names.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn from_written(written: &Written) -> Result<Self, ConfigError> {
        let raw = &written.raw;
        zeros::check(raw)?;
        let folder = written.path.parent().unwrap_or(Path::new("."));
        let roles = raw::roles(&raw.roles).map_err(|(key, message)| ConfigError::Value { key, message })?;
        let auth = auth::auth(raw, &roles, &written.secrets, folder)?;
        Ok(Self {
            listen: raw.server.listen,
            tls: server::tls(raw, folder)?,
            server: server::server(raw, &roles)?,
            session: session::session(raw)?,
            hub: HubSettings {
                policy: policy(raw)?,
                rooms: rooms(raw)?,
                views: views(raw)?,
                audit: audit::limits(raw)?,
                shards: threads(raw),
            },
            sign_in: sign_in::sign_in(raw, &auth.issuers, &written.secrets, folder)?,
            issuers: auth.issuers,
            minter: auth.minter,
            minted_ttl_max: secs(
                "auth.minted_ttl_max_secs",
                raw.auth.minted_ttl_max_secs,
                60.0,
                MINTED_TTL_SECS_MAX,
            )?,
            roles,
            storage: storage::storage(raw, folder)?,
            audit_file: audit::file(raw, folder)?,
            site: site(raw),
            sources: sources(raw, folder)?,
            explained: explained(written),
        })
    }
}

/// The configuration for REST.
fn explained(written: &Written) -> Vec<ConfiguredValue> {
    let explained = written.explained().into_iter();
    let json = |value: &toml::Value| {
        serde_json::to_value(value).unwrap_or_else(|_no_json| serde_json::Value::from(value.to_string()))
    };
    explained
        .map(|(key, value, origin)| ConfiguredValue { key, value: json(&value), origin: origin.to_string() })
        .collect()
}

fn wrong(key: &str, message: impl Into<String>) -> ConfigError {
    ConfigError::Value { key: key.to_owned(), message: message.into() }
}

/// A time in seconds within a range.
fn secs(key: &str, value: f64, least: f64, most: f64) -> Result<Duration, ConfigError> {
    if (least..=most).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(wrong(key, format!("has to be {least} to {most} seconds, and is {value}")))
    }
}

fn policy(raw: &RawConfig) -> Result<Policy, ConfigError> {
    const MOST: f64 = 86_400.0 * 365.0;
    let devices = &raw.devices;
    let silences = |stale, disconnected, key: &str| -> Result<Silences, ConfigError> {
        let stale_after = secs(&format!("devices.{key}stale_after_secs"), stale, 0.1, MOST)?;
        let disconnected_after =
            secs(&format!("devices.{key}disconnected_after_secs"), disconnected, 0.1, MOST)?;
        if stale_after > disconnected_after {
            let key = format!("devices.{key}stale_after_secs");
            return Err(wrong(&key, "is longer than the silence that means disconnected"));
        }
        Ok(Silences { stale_after, disconnected_after })
    };
    let infrastructure =
        match (devices.infrastructure_stale_after_secs, devices.infrastructure_disconnected_after_secs) {
            (None, None) => None,
            (Some(stale), Some(disconnected)) => Some(silences(stale, disconnected, "infrastructure_")?),
            _ => {
                return Err(wrong(
                    "devices",
                    "infrastructure_stale_after_secs and infrastructure_disconnected_after_secs go together",
                ));
            }
        };
    let tags = silences(devices.stale_after_secs, devices.disconnected_after_secs, "")?;
    Ok(Policy {
        auto_register: devices.auto_register,
        future_max: secs("devices.future_secs_max", devices.future_secs_max, 0.0, MOST)?,
        devices_max: devices.devices_max,
        status: StatusPolicy { tags: Some(tags), infrastructure },
        nearness: nearness(raw)?,
    })
}

fn nearness(raw: &RawConfig) -> Result<Option<Nearness>, ConfigError> {
    /// Between a hand and a hall, metres.
    const RANGE_M: std::ops::RangeInclusive<f64> = 0.01..=1_000.0;
    let Some(enter_m) = raw.proximity.enter_m else {
        return match raw.proximity.leave_m {
            None => Ok(None),
            Some(_) => Err(wrong("proximity.leave_m", "means nothing without enter_m")),
        };
    };
    let leave_m = raw.proximity.leave_m.unwrap_or(enter_m * 1.5);
    for (key, metres) in [("proximity.enter_m", enter_m), ("proximity.leave_m", leave_m)] {
        if !RANGE_M.contains(&metres) {
            return Err(wrong(key, format!("has to be 0.01 to 1000 metres, and is {metres}")));
        }
    }
    if leave_m < enter_m {
        return Err(wrong("proximity.leave_m", "is less than enter_m"));
    }
    Ok(Some(Nearness { enter_m, leave_m }))
}

fn rooms(raw: &RawConfig) -> Result<RoomLimits, ConfigError> {
    let rooms = &raw.rooms;
    Ok(RoomLimits {
        rooms_max: rooms.rooms_max,
        rooms_per_connection_max: rooms.rooms_per_connection_max,
        members_max: rooms.members_max,
        ring_messages_max: rooms.ring_messages_max,
        ring_bytes_max: rooms.ring_bytes_max,
        linger: secs("rooms.linger_secs", rooms.linger_secs, 0.0, 86_400.0)?,
    })
}

fn views(raw: &RawConfig) -> Result<ViewSettings, ConfigError> {
    let delivery = &raw.delivery;
    let millis = |key: &str, value: f64| -> Result<Duration, ConfigError> {
        if (0.0..=1_000.0).contains(&value) {
            Ok(Duration::from_secs_f64(value / 1_000.0))
        } else {
            Err(wrong(key, format!("has to be 0 to 1000 milliseconds, and is {value}")))
        }
    };
    let gather = millis("delivery.gather_ms", delivery.gather_ms)?;
    let gather_max = millis("delivery.gather_max_ms", delivery.gather_max_ms)?;
    if gather_max < gather {
        return Err(wrong("delivery.gather_max_ms", "is less than gather_ms"));
    }
    Ok(ViewSettings {
        gather,
        gather_max,
        gather_per_write: millis("delivery.gather_per_write_ms", delivery.gather_per_write_ms)?,
        tail_fixes_max: delivery.every_fixes_max,
    })
}

/// How many threads serve connections.
fn threads(raw: &RawConfig) -> usize {
    match raw.delivery.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    }
}

fn send_buffer_bytes(raw: &RawConfig) -> Result<usize, ConfigError> {
    /// Less than a message of a busy view is no buffer, more than this is a queue.
    const RANGE_BYTES: std::ops::RangeInclusive<usize> = 4 * 1024..=16 * 1024 * 1024;
    let bytes = raw.delivery.send_buffer_bytes;
    if RANGE_BYTES.contains(&bytes) {
        Ok(bytes)
    } else {
        let (least, most) = (RANGE_BYTES.start(), RANGE_BYTES.end());
        Err(wrong("delivery.send_buffer_bytes", format!("has to be {least} to {most} bytes, and is {bytes}")))
    }
}

fn site(raw: &RawConfig) -> SiteMap {
    let zones = raw
        .site
        .zones
        .iter()
        .map(|zone| ZoneShape { name: zone.name.clone(), polygon: zone.polygon.clone() });
    SiteMap {
        name: raw.site.name.clone(),
        bounds: raw.site.bounds.map(|[min_x, min_y, max_x, max_y]| Bounds { min_x, min_y, max_x, max_y }),
        zones: zones.collect(),
    }
}

fn sources(raw: &RawConfig, folder: &Path) -> Result<Vec<SourceConfig>, ConfigError> {
    let mut sources: Vec<SourceConfig> = Vec::new();
    for (index, written) in raw.sources.iter().enumerate() {
        let key = format!("sources[{index}]");
        let mut source: SourceConfig = load::read_value(written.clone(), &key)?;
        let name = source.name().to_owned();
        if sources.iter().any(|it| it.name() == name) || name == "http" || name == "websocket" {
            return Err(wrong(
                &format!("{key}.name"),
                format!("{name:?} is taken; every source has its own name"),
            ));
        }
        source.resolve_paths(folder);
        // Built once here, so that what is wrong is said before anything starts.
        source.clone().build().map_err(|error| wrong(&key, error.to_string()))?;
        sources.push(source);
    }
    Ok(sources)
}

#[cfg(test)]
mod tests;
