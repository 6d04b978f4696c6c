//! Any text as a configuration: read, explained, and turned into what it means.

use std::path::Path;

use anita::config::{Config, Written};

/// Reads the text as `anita check-config` does; what is wrong has to be said with its place.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // The files of this folder and nothing else: not every file ends.
    if text.contains("/dev") || text.contains("/proc") || text.contains("..") || text.contains("\\u") {
        return;
    }
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/seeds/config/anita.toml"));
    let environment = text.lines().filter_map(|line| line.strip_prefix("# ANITA__")?.split_once('='));
    let environment = environment.map(|(key, value)| (format!("ANITA__{key}"), value.to_owned()));
    match Written::parse(path, text, environment) {
        Ok(written) => {
            assert!(!written.explained().is_empty());
            match Config::from_written(&written) {
                Ok(config) => assert!(!format!("{config:?}").contains("a secret of the fuzz targets")),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
