//! The address of a database: what the driver understands, what we do ourselves, and what nobody does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// Why an address can't be used. Tells nothing of its password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidAddress {
    #[error("the address has to begin with postgres:// or postgresql://")]
    Scheme,
    #[error(
        "the address cannot be read; special characters of a user name or password are written as %40 and the like"
    )]
    Unreadable,
    #[error("the address names no {0}")]
    Missing(&'static str),
    #[error(
        "{0}={1} is not supported; there are sslmode=disable, prefer, require and verify-full, and sslrootcert=FILE"
    )]
    Unsupported(&'static str, String),
    #[error("sslrootcert needs sslmode=require or verify-full: with another one nobody looks at it")]
    UselessCertificate,
    #[error("one host, please; a list of hosts is not supported")]
    Hosts,
}

/// What is believed of the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nothing is encrypted.
    Plain,
    /// Encrypted where the server offers it, whoever that is.
    Anyone,
    /// Encrypted, and the certificate and its host are checked: by the system's certificates, or by those of a file.
    Verified(Option<PathBuf>),
}

/// A database.
#[derive(Clone)]
pub(crate) struct Address {
    config: Config,
    pub(crate) trust: Trust,
    /// The address without user and password, for people.
    pub(crate) shown: String,
}

impl std::fmt::Debug for Address {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Address").field(&self.shown).finish()
    }
}

impl Address {
    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidAddress> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(InvalidAddress::Scheme);
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut ssl_mode, mut root) = (None, None);
        let mut others = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match key {
                "sslmode" => ssl_mode = Some(value),
                "sslrootcert" => root = Some(unescaped(value).ok_or(InvalidAddress::Unreadable)?),
                "sslcert" => return Err(InvalidAddress::Unsupported("sslcert", value.to_owned())),
                "sslkey" => return Err(InvalidAddress::Unsupported("sslkey", value.to_owned())),
                _other => others.push(parameter),
            }
        }
        let trust = trust(ssl_mode, root)?;
        let url = if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
        // The driver's words may repeat parts of the address.
        let mut config: Config = url.parse().map_err(|_may_tell_secrets| InvalidAddress::Unreadable)?;
        config.ssl_mode(match trust {
            Trust::Plain => SslMode::Disable,
            Trust::Anyone => SslMode::Prefer,
            Trust::Verified(_) => SslMode::Require,
        });
        let shown = shown(&config)?;
        Ok(Self { config, trust, shown })
    }

    /// For connections whose statements may take so long.
    pub(crate) fn config(&self, connect_timeout: Duration, statement_timeout: Duration) -> Config {
        let mut config = self.config.clone();
        // Each question is planned for its own times, so that only the partitions of those times are looked at.
        let options = format!(
            "{} -c statement_timeout={} -c lock_timeout=0 -c timezone=UTC -c plan_cache_mode=force_custom_plan \
             -c default_transaction_isolation=read\\ committed",
            config.get_options().unwrap_or_default(),
            statement_timeout.as_millis().max(1)
        );
        config.options(options.trim());
        if config.get_application_name().is_none() {
            config.application_name("anita");
        }
        config.connect_timeout(connect_timeout);
        config.keepalives_idle(Duration::from_secs(15));
        config.keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(3);
        config.tcp_user_timeout(statement_timeout.max(Duration::from_secs(10)));
        config
    }

    /// Whether it is a socket of this machine: those need no TLS.
    pub(crate) fn is_local_socket(&self) -> bool {
        self.config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_)))
    }
}

fn trust(ssl_mode: Option<&str>, root: Option<String>) -> Result<Trust, InvalidAddress> {
    let root = root.map(PathBuf::from);
    match (ssl_mode.unwrap_or("prefer"), root) {
        ("disable", None) => Ok(Trust::Plain),
        ("prefer", None) => Ok(Trust::Anyone),
        ("disable" | "prefer", Some(_)) => Err(InvalidAddress::UselessCertificate),
        ("require" | "verify-full", root) => {
            Ok(Trust::Verified(root.filter(|path| path != Path::new("system"))))
        }
        (other, _) => Err(InvalidAddress::Unsupported("sslmode", other.to_owned())),
    }
}

/// Host, port and database.
fn shown(config: &Config) -> Result<String, InvalidAddress> {
    let host = match config.get_hosts() {
        [Host::Tcp(host)] => host.clone(),
        [Host::Unix(path)] => path.display().to_string(),
        [] => return Err(InvalidAddress::Missing("host")),
        _several => return Err(InvalidAddress::Hosts),
    };
    let database = config.get_dbname().ok_or(InvalidAddress::Missing("database"))?;
    if config.get_user().is_none() {
        return Err(InvalidAddress::Missing("user"));
    }
    // An @ or / that was not escaped: what looks like a host may be half of a password.
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-/:%".contains(it);
    if !host.chars().all(is_plain) || database.contains(['@', ':']) {
        return Err(InvalidAddress::Unreadable);
    }
    let port = config.get_ports().first().copied().unwrap_or(5432);
    Ok(format!("postgres://{host}:{port}/{database}"))
}

/// Text with `%2F` and the like resolved.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let value = digit(rest.next())? * 16 + digit(rest.next())?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_their_secrets() {
        let address = Address::parse(
            "postgres://anita:s%40cret@db.example:6543/tags?sslmode=disable&application_name=x",
        )
        .unwrap();
        assert_eq!(address.shown, "postgres://db.example:6543/tags");
        assert_eq!(address.trust, Trust::Plain);
        assert!(!format!("{address:?}").contains("s@cret") && !format!("{address:?}").contains("anita"));
        let verified =
            Address::parse("postgresql://a@db/x?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem").unwrap();
        assert_eq!(verified.trust, Trust::Verified(Some("/etc/ca.pem".into())));
        assert_eq!(Address::parse("postgres://a@db/x").unwrap().trust, Trust::Anyone);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name_and_without_the_password() {
        for (url, words) in [
            ("mysql://a:hunter2@db/x", "has to begin with postgres://"),
            ("postgres://a:hunter2@db/x?sslmode=verify-ca", "sslmode=verify-ca is not supported"),
            ("postgres://a:hunter2@db/x?sslmode=allow", "sslmode=allow is not supported"),
            ("postgres://a:hunter2@db/x?sslcert=me.pem", "sslcert=me.pem is not supported"),
            ("postgres://a:hunter2@db/x?sslrootcert=ca.pem", "sslrootcert needs sslmode=require"),
            ("postgres://a:hunter2@db/x?nonsense=hunter2", "cannot be read"),
            ("postgres://a:x@hunter2@db/x", "cannot be read"),
            ("postgres://a:hunter2@db:port/x", "cannot be read"),
            ("postgres://a:hunter2@db", "names no database"),
            ("postgres://db/x", "names no user"),
            ("postgres://a:hunter2@one,two/x", "a list of hosts"),
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("hunter2"), "{url}: {error}");
        }
    }
}
