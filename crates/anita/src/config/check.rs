//! What a configuration names besides itself: certificates, folders, files of secrets. Looked at before anything starts, so
//! that what the server would refuse is said with its place, also by `anita check-config`.

use std::path::{Path, PathBuf};

use anita_server::{Certificates, ServeError};
use toml::Value;

use super::load::{Written, leaves};
use super::{Backend, Config, ConfigError, OwnCertificate, wrong};

/// The key of the audit trail's file: the one file that a server can do without.
const AUDIT_FILE: &str = "audit.file";

impl Config {
    /// Looks at what the configuration names: whether the server could start with it. Takes nothing, writes nothing, and
    /// asks nobody else: whether an address is taken, or a database is there, the start says.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_certificates()?;
        self.check_way_in()?;
        self.check_issuers()?;
        match &self.storage.backend {
            Backend::Memory { .. } => {}
            Backend::Sqlite { path, .. } => check_file("storage.url", path)?,
            Backend::Postgres { spool_file, .. } => check_file("storage.spool_file", spool_file)?,
        }
        self.audit_file.as_ref().map_or(Ok(()), |file| check_file(AUDIT_FILE, &file.path))
    }

    fn check_certificates(&self) -> Result<(), ConfigError> {
        let fault = |source| ConfigError::Tls { key: "server.tls".to_owned(), source };
        // Another one is made at the start: what it is for now does not matter.
        let own = match &self.tls.own {
            OwnCertificate::None => return Ok(()),
            OwnCertificate::SelfSigned => Certificates::self_signed(self.listen.ip()),
            OwnCertificate::Files { cert_file, key_file } => Certificates::from_files(cert_file, key_file),
        };
        let own = own.map_err(fault)?;
        let clients = self.tls.clients.clone();
        clients.map_or(Ok(()), |authority| own.with_clients(authority).map(drop).map_err(fault))
    }

    fn check_way_in(&self) -> Result<(), ConfigError> {
        let listen = self.listen;
        if self.tls.own == OwnCertificate::None && !self.server.plaintext.allows(listen.ip()) {
            return Err(wrong("server.listen", ServeError::NoWayIn { listen }.to_string()));
        }
        Ok(())
    }

    fn check_issuers(&self) -> Result<(), ConfigError> {
        let fault = |fault: anita_issuers::TrustFault| {
            let cause = anita_sources::chain(&fault);
            wrong("auth", format!("an issuer could not be asked for its keys: {cause}"))
        };
        let metrics = std::sync::Arc::default();
        anita_issuers::Issuers::new(self.issuers.clone(), self.roles.clone(), metrics)
            .map(drop)
            .map_err(fault)
    }
}

/// Whether a file can be written, or made.
fn check_file(key: &str, path: &Path) -> Result<(), ConfigError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let message = format!(
            "there is no folder {} for {}; make it first (mkdir -p)",
            folder.display(),
            path.display()
        );
        return Err(wrong(key, message));
    }
    if path.is_dir() {
        return Err(wrong(key, format!("{} is a folder; name a file in it", path.display())));
    }
    // Beside a store there are further files, and an audit file is renamed: the folder has to be ours, too.
    for place in [Some(folder), path.exists().then_some(path)].into_iter().flatten() {
        if !is_writable(place) {
            let message = format!(
                "{} can't be written by this user; give it to the one that the server runs as (chown), or name another place",
                place.display()
            );
            let none = if key == AUDIT_FILE { ", or \"\" for none" } else { "" };
            return Err(wrong(key, message + none));
        }
    }
    Ok(())
}

#[cfg(unix)]
fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

#[cfg(not(unix))]
fn is_writable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|it| !it.permissions().readonly())
}

impl Written {
    /// What is no fault and hardly meant: secrets that others can read, variables that mean nothing. Each with what to do.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.unread.clone();
        warnings.extend(self.secret_files().into_iter().filter_map(|(key, path)| {
            open_to_others(&path).then(|| {
                let path = path.display();
                format!(
                    "{key}: everybody on this machine can read {path}, or write it; run: chmod o-rwx '{path}'"
                )
            })
        }));
        warnings
    }

    /// The files of secrets that are named, with the keys that do.
    fn secret_files(&self) -> Vec<(String, PathBuf)> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut files = Vec::new();
        if let Ok(Value::Table(table)) = Value::try_from(&self.raw) {
            leaves(&table, "", &mut |key, value| {
                let name = key.rsplit('.').next().unwrap_or_default();
                let is_secret = name == "key_file"
                    || ["secret_file", "secret_files", "password_file"].iter().any(|it| name.ends_with(it));
                if !is_secret {
                    return;
                }
                let texts = value
                    .as_str()
                    .into_iter()
                    .chain(value.as_array().into_iter().flatten().filter_map(Value::as_str));
                files.extend(texts.map(|text| (key.clone(), folder.join(text))));
            });
        }
        files
    }
}

/// Whether users who neither own the file nor are of its group can do something with it.
#[cfg(unix)]
fn open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
fn open_to_others(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests;
