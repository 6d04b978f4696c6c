//! From text and environment to the written configuration, with the origin of every value.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anita_issuers::Secret;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::ConfigError;
use super::auth::{Secrets, secret_variables};
use super::environment;
use super::raw::{RawConfig, default_roles_written};
use super::shown::shown;

/// What environment variables that override the file begin with.
pub(super) const PREFIX: &str = "ANITA__";

/// How alike two words have to be for the one to be suggested for the other.
pub(super) const LIKENESS_MIN: f64 = 0.7;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody wrote it.
    Default,
    /// The file.
    File,
    /// An environment variable.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File => f.write_str("file"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
        }
    }
}

/// A configuration as it is written, and where each value came from.
#[derive(Debug, Clone)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub raw: RawConfig,
    /// Secrets of the environment that it names.
    pub(super) secrets: Secrets,
    origins: BTreeMap<String, Origin>,
    /// What is said of variables that begin like ours and set nothing.
    pub(super) unread: Vec<String>,
}

impl Written {
    /// Reads the file, and the variables of an environment over it.
    ///
    /// # Errors
    /// [`ConfigError`] with the place and, where a key is not known, a suggestion.
    pub fn read(
        path: &Path,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text, environment)
    }

    /// The same from a text; the path is only named, and paths in the text are relative to its folder.
    ///
    /// # Errors
    /// As [`Written::read`].
    pub fn parse(
        path: &Path,
        text: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table: Table = toml::from_str(text)
            .map_err(|error| ConfigError::Syntax { path: path.to_owned(), message: error.to_string() })?;
        let mut origins = BTreeMap::new();
        leaves(&table, "", &mut |key, _value| {
            origins.insert(key, Origin::File);
        });
        let environment: BTreeMap<String, String> = environment.collect();
        for (variable, value) in environment.iter().filter(|(variable, _value)| variable.starts_with(PREFIX))
        {
            let key = variable.trim_start_matches(PREFIX).to_ascii_lowercase().replace("__", ".");
            set(&mut table, &key, parsed(value)).ok_or_else(|| ConfigError::Value {
                key: key.clone(),
                message: format!("{variable} names no key of a section"),
            })?;
            origins.insert(key, Origin::Environment(variable.clone()));
        }
        let raw: RawConfig = read_value(Value::Table(table), "")?;
        let secret = |variable: &String| {
            let value = environment.get(variable)?;
            Some((variable.clone(), Secret::new(value.as_bytes())))
        };
        let secrets = secret_variables(&raw).filter_map(secret).collect();
        let unread = environment::unread(&environment, &secret_variables(&raw).collect::<Vec<_>>());
        Ok(Self { path: path.to_owned(), raw, secrets, origins, unread })
    }

    /// Every key with its value and origin, in order: what `check-config` shows. Secrets are not shown.
    pub fn explained(&self) -> Vec<(String, Value, Origin)> {
        let mut raw = self.raw.clone();
        for (role, words) in default_roles_written() {
            raw.roles.entry(role).or_insert(words);
        }
        raw.audit.file = Some(super::audit::file_written(&raw));
        let mut explained = Vec::new();
        if let Ok(Value::Table(table)) = Value::try_from(&raw) {
            leaves(&table, "", &mut |key, value| {
                let origin = self.origins.get(&key).cloned().unwrap_or(Origin::Default);
                let value = shown(&key, value);
                explained.push((key, value, origin));
            });
        }
        explained
    }
}

/// A variable's value: TOML if it is some, else the text as it is.
fn parsed(value: &str) -> Value {
    let as_toml = toml::from_str::<Table>(&format!("value = {value}")).ok();
    as_toml.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(value.to_owned()))
}

/// Sets a value by its dotted key. `None` when a part of the way is no section.
pub(super) fn set(table: &mut Table, key: &str, value: Value) -> Option<()> {
    match key.split_once('.') {
        Some((section, rest)) => {
            let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            set(entry.as_table_mut()?, rest, value)
        }
        None if key.is_empty() => None,
        None => {
            table.insert(key.to_owned(), value);
            Some(())
        }
    }
}

/// Calls a function for each key that is no section.
#[expect(clippy::wildcard_enum_match_arm, reason = "a leaf is whatever holds no sections")]
pub(super) fn leaves(table: &Table, prefix: &str, call: &mut impl FnMut(String, &Value)) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(section) => leaves(section, &key, call),
            Value::Array(items) if items.iter().any(Value::is_table) => {
                for (index, item) in items.iter().enumerate() {
                    if let Value::Table(section) = item {
                        leaves(section, &format!("{key}[{index}]"), call);
                    }
                }
            }
            value => call(key, value),
        }
    }
}

/// Reads a value as a type; what doesn't fit is said with its key.
pub(super) fn read_value<T: DeserializeOwned>(value: Value, prefix: &str) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let key = [prefix, path.as_str()].into_iter().filter(|part| !part.is_empty() && *part != ".");
        let key = key.collect::<Vec<_>>().join(".");
        let message = error.inner().to_string();
        let message = message.lines().next().unwrap_or_default().trim().to_owned();
        match unknown_field(&message) {
            Some((unknown, known)) => ConfigError::UnknownKey {
                suggestion: suggestion(&unknown, &known),
                key: with_last(&key, &unknown),
            },
            None => ConfigError::Value { key, message },
        }
    })
}

/// A key whose last part is this one, whether the path ended before it or with it.
fn with_last(key: &str, last: &str) -> String {
    match key.rsplit('.').next() {
        Some(end) if end == last => key.to_owned(),
        _ if key.is_empty() => last.to_owned(),
        _ => format!("{key}.{last}"),
    }
}

/// What serde says of an unknown field: its name, and those that are known.
fn unknown_field(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (unknown, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((unknown.to_owned(), known))
}

fn suggestion(unknown: &str, known: &[String]) -> String {
    let likeness = |candidate: &String| strsim::jaro_winkler(unknown, candidate);
    let best = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match best {
        Some(best) if likeness(best) >= LIKENESS_MIN => format!("did you mean `{best}`?"),
        _ => format!("known here: {}", known.join(", ")),
    }
}
