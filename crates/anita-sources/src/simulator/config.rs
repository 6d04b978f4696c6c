//! What a configuration says about a simulated site.

use schemars::JsonSchema;
use serde::Deserialize;

use super::SimulatorSource;
use crate::config::{ConfigError, Named};

/// How many tags a simulated site may have.
pub const DEVICES_MAX: usize = 10_000;

/// A site that does not exist.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulatorConfig {
    /// What the source is called in logs and metrics.
    pub name: String,
    /// The site its coordinates are in; `main` if absent.
    pub site: Option<String>,
    /// How many tags walk about.
    #[serde(default = "default_devices")]
    pub devices: usize,
    /// The same seed gives the same walks.
    #[serde(default)]
    pub seed: u64,
}

const fn default_devices() -> usize {
    50
}

// === impl SimulatorConfig ===

impl SimulatorConfig {
    /// Checks what is written and makes the source of it.
    ///
    /// # Errors
    /// [`ConfigError`] names the key.
    pub fn build(self) -> Result<SimulatorSource, ConfigError> {
        let named = Named::parse(&self.name, self.site.as_deref())?;
        if !(1..=DEVICES_MAX).contains(&self.devices) {
            return Err(named.wrong("devices", format!("must be from 1 to {DEVICES_MAX}")));
        }
        Ok(SimulatorSource::new(named.name, named.site, self.devices, self.seed))
    }
}
