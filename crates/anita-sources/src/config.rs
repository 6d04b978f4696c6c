//! One `[[sources]]` table of a configuration.

use std::path::Path;

use anita_model::{SiteName, SourceName};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Source;
use crate::line::LineConfig;
use crate::mqtt::MqttConfig;
use crate::simulator::SimulatorConfig;

/// One source as it is written, by its `type`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SourceConfig {
    /// A gateway behind an MQTT broker.
    Mqtt(MqttConfig),
    /// Text from a serial port, a socket, or a file that grows.
    Line(LineConfig),
    /// A site that does not exist.
    Simulator(SimulatorConfig),
}

/// A value of a source's configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("source `{source_name}`: `{key}` {what}")]
pub struct ConfigError {
    /// The source, as it is named in the configuration.
    pub source_name: String,
    /// The key within its table.
    pub key: &'static str,
    /// What is wrong with it.
    pub what: String,
}

/// Which source, and in which site: what every kind has.
pub(crate) struct Named {
    pub(crate) name: SourceName,
    pub(crate) site: SiteName,
}

// === impl SourceConfig ===

impl SourceConfig {
    /// The name as it is written.
    pub fn name(&self) -> &str {
        match self {
            Self::Mqtt(config) => &config.name,
            Self::Line(config) => &config.name,
            Self::Simulator(config) => &config.name,
        }
    }

    /// Makes the paths relative to the folder of the configuration.
    pub fn resolve_paths(&mut self, folder: &Path) {
        match self {
            Self::Mqtt(config) => config.resolve_paths(folder),
            Self::Line(config) => config.resolve_paths(folder),
            Self::Simulator(_) => {}
        }
    }

    /// Checks what is written and makes the source of it. Nothing is opened or connected yet.
    ///
    /// # Errors
    /// [`ConfigError`] names the key.
    pub fn build(self) -> Result<Box<dyn Source>, ConfigError> {
        Ok(match self {
            Self::Mqtt(config) => Box::new(config.build()?),
            Self::Line(config) => Box::new(config.build()?),
            Self::Simulator(config) => Box::new(config.build()?),
        })
    }
}

// === impl Named ===

impl Named {
    pub(crate) fn parse(name: &str, site: Option<&str>) -> Result<Self, ConfigError> {
        let wrong = |key, what: String| ConfigError { source_name: name.to_owned(), key, what };
        let site = match site {
            None => SiteName::main(),
            Some(site) => {
                SiteName::parse(site).map_err(|error| wrong("site", format!("is wrong: {error}")))?
            }
        };
        let name = SourceName::parse(name).map_err(|error| wrong("name", format!("is wrong: {error}")))?;
        Ok(Self { name, site })
    }

    pub(crate) fn wrong(&self, key: &'static str, what: impl Into<String>) -> ConfigError {
        ConfigError { source_name: self.name.to_string(), key, what: what.into() }
    }
}

#[cfg(test)]
mod tests;
