//! Keys that the operator names: files, and a secret of the environment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anita_auth::{InvalidKey, Key, KeySet};

/// A secret that nothing prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// These bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for making a key of them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why keys can't be had from where the operator says.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// A file can't be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds no usable key.
    #[error("{path} holds no usable key")]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: InvalidKey,
    },
    /// The secret of the environment can't be used.
    #[error("the secret of the environment cannot be used")]
    Secret(#[source] InvalidKey),
}

/// Where keys are that the operator names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFiles {
    /// A secret for HS256, and those before it, which are still believed. One before it that is not there, or empty, is
    /// not believed any more.
    SecretFile {
        /// The present one.
        file: PathBuf,
        /// Those before it.
        previous: Vec<PathBuf>,
    },
    /// The same with a secret that is given, and never read again.
    Secret {
        /// The present one.
        secret: Secret,
        /// Those before it.
        previous: Vec<PathBuf>,
    },
    /// A public key in PEM.
    PublicKey {
        /// Where it is.
        file: PathBuf,
    },
}

impl KeyFiles {
    /// Reads them.
    ///
    /// # Errors
    /// [`KeyFault`].
    pub fn read(&self) -> Result<KeySet, KeyFault> {
        let (first, previous) = match self {
            Self::SecretFile { file, previous } => (key(file, Key::hs256)?, previous.as_slice()),
            Self::Secret { secret, previous } => {
                (Key::hs256(secret.expose()).map_err(KeyFault::Secret)?, previous.as_slice())
            }
            Self::PublicKey { file } => (key(file, Key::public_pem)?, [].as_slice()),
        };
        let mut keys = vec![first];
        for path in previous {
            let is_there = std::fs::metadata(path).is_ok_and(|it| it.len() > 0);
            if is_there {
                keys.push(key(path, Key::hs256)?);
            }
        }
        Ok(KeySet::Given(keys))
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        let (first, previous): (Option<&PathBuf>, &[PathBuf]) = match self {
            Self::SecretFile { file, previous } => (Some(file), previous),
            Self::Secret { previous, .. } => (None, previous),
            Self::PublicKey { file } => (Some(file), &[]),
        };
        first.into_iter().chain(previous).map(PathBuf::as_path)
    }

    /// What tells whether one of them was changed.
    pub(crate) fn signs(&self) -> Vec<Option<(SystemTime, u64)>> {
        let sign = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        self.paths().map(sign).collect()
    }
}

fn key(path: &Path, make: impl Fn(&[u8]) -> Result<Key, InvalidKey>) -> Result<Key, KeyFault> {
    let read = std::fs::read(path);
    let bytes = read.map_err(|source| KeyFault::Read { path: path.to_owned(), source })?;
    make(&bytes).map_err(|source| KeyFault::Invalid { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_secret_has_those_before_it_as_long_as_they_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let (file, old) = (folder.path().join("new"), folder.path().join("old"));
        std::fs::write(&file, SECRET).unwrap();
        let files = KeyFiles::SecretFile { file, previous: vec![old.clone()] };
        assert_eq!(files.read().unwrap().len(), 1);
        let before = files.signs();
        std::fs::write(&old, SECRET).unwrap();
        assert_ne!(files.signs(), before);
        assert_eq!(files.read().unwrap().len(), 2);
        std::fs::write(&old, "").unwrap();
        assert_eq!(files.read().unwrap().len(), 1);
        std::fs::write(&old, "short").unwrap();
        assert!(matches!(files.read(), Err(KeyFault::Invalid { .. })));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let files = KeyFiles::Secret { secret: Secret::new(SECRET), previous: Vec::new() };
        assert!(!format!("{files:?}").contains("0123"));
        assert!(!format!("{:?}", files.read().unwrap()).contains("0123"));
    }
}
