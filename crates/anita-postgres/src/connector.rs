//! How connections are made: each in the same way, each with the password as it is then.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anita_store::BoxFuture;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Error, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::Address;

/// The longest password, bytes; what is longer is another file.
const PASSWORD_BYTES_MAX: u64 = 16 * 1024;

/// The password of a file. It is read again for each connection, so that it can be changed without a restart.
pub(crate) struct PasswordFile {
    path: PathBuf,
    known: Mutex<Known>,
}

/// What was read last.
struct Known {
    password: String,
    /// Why it could not be read since; each fault is told once.
    fault: Option<String>,
}

impl PasswordFile {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// That of reading it, which tells nothing of what is in it.
    pub(crate) async fn open(path: PathBuf) -> io::Result<Self> {
        let password = read_aside(path.clone()).await?;
        Ok(Self { path, known: Mutex::new(Known { password, fault: None }) })
    }

    /// The password as it is now. While the file can't be read, that is told, and what it held before is tried.
    async fn password(&self) -> String {
        let read = read_aside(self.path.clone()).await;
        let mut known = self.known.lock();
        let path = self.path.display();
        match read {
            Ok(password) => {
                if known.fault.take().is_some() {
                    tracing::info!(%path, "the password of the database can be read again");
                }
                known.password = password;
            }
            Err(error) => {
                let fault = error.to_string();
                if known.fault.as_ref() != Some(&fault) {
                    let tried =
                        "the password of the database can't be read from its file; the one before is tried";
                    tracing::error!(%path, fault, "{tried}");
                    known.fault = Some(fault);
                }
            }
        }
        known.password.clone()
    }
}

/// On a thread that may block.
async fn read_aside(path: PathBuf) -> io::Result<String> {
    tokio::task::spawn_blocking(move || read(&path)).await.map_err(io::Error::other)?
}

/// The password of a file: its text without its end of line.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(PASSWORD_BYTES_MAX + 1).read_to_string(&mut text)?;
    let password = text.trim_end_matches(['\r', '\n']);
    // Whoever writes a file anew empties it first.
    if password.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
    }
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > PASSWORD_BYTES_MAX) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is too large for a password"));
    }
    Ok(password.to_owned())
}

/// How connections are made.
#[derive(Clone)]
pub(crate) struct Connector {
    /// None for a socket of this machine.
    tls: Option<MakeRustlsConnect>,
    password: Option<Arc<PasswordFile>>,
}

impl Connector {
    pub(crate) fn new(address: &Address, tls: MakeRustlsConnect, password: Option<PasswordFile>) -> Self {
        Self { tls: (!address.is_local_socket()).then_some(tls), password: password.map(Arc::new) }
    }

    /// Makes a connection; `at_end` is called when it ends, for whatever reason.
    pub(crate) async fn connect(
        &self,
        mut config: Config,
        at_end: impl FnOnce() + Send + 'static,
    ) -> Result<(Client, JoinHandle<()>), Error> {
        if let Some(file) = &self.password {
            config.password(file.password().await);
        }
        match &self.tls {
            None => connected(&config, NoTls, at_end).await,
            Some(tls) => connected(&config, tls.clone(), at_end).await,
        }
    }
}

async fn connected<T>(
    config: &Config,
    tls: T,
    at_end: impl FnOnce() + Send + 'static,
) -> Result<(Client, JoinHandle<()>), Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    // The driver's tasks report their fault to whoever waits for an answer; here it is only the end that counts.
    let task = tokio::spawn(async move {
        connection.await.ok();
        at_end();
    });
    Ok((client, task))
}

impl deadpool_postgres::Connect for Connector {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let config = config.clone();
        Box::pin(async move { self.connect(config, || {}).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn while_the_file_says_nothing_what_it_said_before_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.password");
        assert!(PasswordFile::open(path.clone()).await.is_err());
        std::fs::write(&path, "first\r\n").unwrap();
        let file = PasswordFile::open(path.clone()).await.unwrap();
        for (text, password) in [
            (Some("second\n"), "second"),
            (Some(""), "second"),
            (None, "second"),
            (Some("x".repeat(20_000).as_str()), "second"),
            (Some(" a b "), " a b "),
        ] {
            match text {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            assert_eq!(file.password().await, password, "{text:?}");
        }
    }
}
