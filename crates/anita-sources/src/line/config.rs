//! What a configuration says about a line, and what it means.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anita_model::DeviceId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::LineSource;
use crate::address::Address;
use crate::config::{ConfigError, Named};

/// Text from a serial port, a TCP socket, or a file that grows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineConfig {
    /// What the source is called in logs and metrics.
    pub name: String,
    /// The site its coordinates are in; `main` if absent.
    pub site: Option<String>,
    /// `serial:///dev/ttyACM0?baud=115200`, `tcp://host:port`, or `file://path` (`file:///path` is absolute).
    pub url: String,
    /// What the text is.
    #[serde(default)]
    pub format: LineFormat,
    /// The id of the tag whose shell this is: its lines do not say it. A listener's lines do.
    pub device_id: Option<String>,
    /// Whether to bring the device to print positions, if it prints none for two seconds. Not for files, and not for a tag that
    /// is set to report more slowly than that: it would be switched off.
    #[serde(default)]
    pub wake: bool,
    /// Whether a file is read from its start; else only what is added to it.
    #[serde(default)]
    pub from_start: bool,
    /// After how long without a byte the line counts as broken, seconds; never if absent. Not for files.
    pub silence_secs_max: Option<u32>,
}

/// What the text of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LineFormat {
    /// The shell of a Qorvo/Decawave DWM1001.
    #[default]
    Dwm1001,
}

/// Where the bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Serial { path: String, baud: u32 },
    Tcp { host: String, port: u16 },
    File { path: PathBuf, start: Start },
}

/// Where the reading of a file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Beginning,
    End,
}

const DEFAULT_BAUD: u32 = 115_200;

// === impl LineConfig ===

impl LineConfig {
    /// Makes the path of a file relative to the folder of the configuration.
    pub fn resolve_paths(&mut self, folder: &Path) {
        let path =
            Address::parse(&self.url).filter(|address| address.scheme == "file").and_then(|file| file.path());
        if let Some(path) = path {
            self.url = format!("file://{}", folder.join(path).display());
        }
    }

    /// Checks what is written and makes the source of it. Nothing is opened yet.
    ///
    /// # Errors
    /// [`ConfigError`] names the key.
    pub fn build(self) -> Result<LineSource, ConfigError> {
        let named = Named::parse(&self.name, self.site.as_deref())?;
        let start = if self.from_start { Start::Beginning } else { Start::End };
        let place = Place::parse(&self.url, start).map_err(|what| named.wrong("url", what))?;
        let device_id = self.device_id.as_deref().map(DeviceId::parse).transpose();
        let device_id = device_id.map_err(|error| named.wrong("device_id", format!("is wrong: {error}")))?;
        let is_file = matches!(place, Place::File { .. });
        if is_file && self.wake {
            return Err(named.wrong("wake", "is for devices; a file cannot be woken"));
        }
        if is_file && self.silence_secs_max.is_some() {
            return Err(named.wrong("silence_secs_max", "is for devices; a file may be silent"));
        }
        if self.from_start && !is_file {
            return Err(named.wrong("from_start", "is for files"));
        }
        if self.silence_secs_max == Some(0) {
            return Err(named.wrong("silence_secs_max", "must be at least 1"));
        }
        match self.format {
            LineFormat::Dwm1001 => Ok(LineSource {
                name: named.name,
                site: named.site,
                place,
                device_id,
                wakes: self.wake,
                silence_max: self.silence_secs_max.map(|secs| Duration::from_secs(secs.into())),
            }),
        }
    }
}

// === impl Place ===

impl Place {
    /// As it is written in a configuration.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Serial { path, baud } => format!("serial://{path}?baud={baud}"),
            Self::Tcp { host, port } if host.contains(':') => format!("tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => format!("tcp://{host}:{port}"),
            Self::File { path, .. } => format!("file://{}", path.display()),
        }
    }

    fn parse(url: &str, start: Start) -> Result<Self, &'static str> {
        const WANTED: &str = "must be `serial:///dev/…?baud=115200`, `tcp://host:port` or `file://path`";
        let address = Address::parse(url).ok_or(WANTED)?;
        match address.scheme {
            "serial" => {
                let baud = match address.query {
                    None => Some(DEFAULT_BAUD),
                    Some(query) => query.strip_prefix("baud=").and_then(|baud| baud.parse().ok()),
                };
                let baud = baud.filter(|&baud| baud > 0).ok_or("takes `?baud=<number>` and nothing else")?;
                Ok(Self::Serial { path: address.path().ok_or("has no device")?.to_owned(), baud })
            }
            "tcp" => {
                let (host, port) = address.host_and_port(None)?;
                Ok(Self::Tcp { host: host.to_owned(), port })
            }
            "file" => Ok(Self::File { path: address.path().ok_or("has no path")?.into(), start }),
            _ => Err(WANTED),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial { path, baud } => write!(f, "{path} at {baud} baud"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::File { path, .. } => write!(f, "{}", path.display()),
        }
    }
}
