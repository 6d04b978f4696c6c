//! Where an issuer publishes its keys.

use std::net::IpAddr;

use reqwest::Url;

/// What an issuer's own address is followed by (`OpenID` Connect Discovery 1.0 §4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Why an address is not asked for keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// No URL.
    #[error("{text:?} is no URL; write https://host/path")]
    NotAUrl {
        /// What it is.
        text: String,
    },
    /// Whoever is on the way could put keys of their own there.
    #[error("{text:?} has to begin with https://; http:// is for this machine only")]
    NotSecure {
        /// What it is.
        text: String,
    },
    /// Passwords don't belong into addresses.
    #[error("the address of the keys holds a name or a password; keys are public")]
    HasPassword,
}

/// Where an issuer publishes its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyAddress {
    /// At this address (RFC 7517 §5).
    Jwks(Url),
    /// At an address that the issuer's own configuration names.
    Discovery(Url),
}

impl KeyAddress {
    /// An address of a JWKS.
    ///
    /// # Errors
    /// [`InvalidAddress`].
    pub fn jwks(text: &str) -> Result<Self, InvalidAddress> {
        checked(text).map(Self::Jwks)
    }

    /// The address of the configuration of an issuer, which is named after its own address.
    ///
    /// # Errors
    /// [`InvalidAddress`].
    pub fn discovery(issuer: &str) -> Result<Self, InvalidAddress> {
        checked(&format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'))).map(Self::Discovery)
    }

    pub(crate) fn url(&self) -> &Url {
        match self {
            Self::Jwks(url) | Self::Discovery(url) => url,
        }
    }
}

/// Where people reach the server, so that an issuer can send them back: it is never taken from a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// `https://host[:port]`.
    pub origin: String,
    /// What comes before the paths of the server; empty, or `/path` without a slash at its end.
    pub path: String,
}

impl PublicUrl {
    /// From how it is written.
    ///
    /// # Errors
    /// Why people can't be sent there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = checked(text).map_err(|fault| match fault {
            InvalidAddress::HasPassword => "holds a name or a password".to_owned(),
            InvalidAddress::NotAUrl { .. } | InvalidAddress::NotSecure { .. } => fault.to_string(),
        })?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has a query or a fragment; write https://host[:port][/path]".to_owned());
        }
        let path = url.path().trim_end_matches('/').to_owned();
        if path.contains("//") {
            return Err("has an empty part in its path".to_owned());
        }
        Ok(Self { origin: url.origin().ascii_serialization(), path })
    }

    /// Whether browsers reach it by TLS.
    pub fn is_secure(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// `host[:port]`, as it is in `Host`.
    pub fn host(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_scheme, host)| host)
    }

    /// A path of the server, as people reach it.
    pub fn at(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.path)
    }
}

/// An address that nobody on the way can speak for: HTTPS, or this machine.
pub(crate) fn checked(text: &str) -> Result<Url, InvalidAddress> {
    let url = Url::parse(text).map_err(|_reason| InvalidAddress::NotAUrl { text: text.to_owned() })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidAddress::HasPassword);
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if url.host_str().is_some_and(is_this_machine) => Ok(url),
        _ => Err(InvalidAddress::NotSecure { text: text.to_owned() }),
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_https_or_from_this_machine() {
        let table = [
            ("https://id.example/jwks", true),
            ("http://127.0.0.1:3000/jwks", true),
            ("http://[::1]:3000/jwks", true),
            ("http://localhost/jwks", true),
            ("http://id.example/jwks", false),
            ("http://127.0.0.1.example/jwks", false),
            ("http://10.0.0.1/jwks", false),
            ("file:///etc/passwd", false),
            ("https://user:word@id.example/jwks", false),
            ("id.example", false),
        ];
        for (text, expected) in table {
            assert_eq!(KeyAddress::jwks(text).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn people_are_sent_back_to_an_address_without_anything_else_in_it() {
        let parsed = |text: &str| PublicUrl::parse(text).ok().map(|url| url.at("/x"));
        assert_eq!(parsed("https://hub.example").as_deref(), Some("https://hub.example/x"));
        assert_eq!(parsed("https://hub.example:443/").as_deref(), Some("https://hub.example/x"));
        assert_eq!(
            parsed("https://Hub.example:8443/a/b/").as_deref(),
            Some("https://hub.example:8443/a/b/x")
        );
        assert_eq!(parsed("http://127.0.0.1:8080").as_deref(), Some("http://127.0.0.1:8080/x"));
        let bad = [
            "http://hub.example",
            "https://hub.example/?a",
            "https://hub.example/#a",
            "https://u:p@hub.example",
        ];
        for text in [&bad[..], &["hub.example", "https://hub.example/a//b", "ftp://hub.example", ""]].concat()
        {
            assert_eq!(parsed(text), None, "{text}");
        }
        let url = PublicUrl::parse("https://hub.example:8443/a").unwrap();
        assert_eq!((url.host(), url.is_secure()), ("hub.example:8443", true));
    }

    #[test]
    fn the_configuration_of_an_issuer_is_below_its_address() {
        for issuer in ["https://id.example/realms/hall", "https://id.example/realms/hall/"] {
            let KeyAddress::Discovery(url) = KeyAddress::discovery(issuer).unwrap() else { panic!() };
            assert_eq!(url.as_str(), "https://id.example/realms/hall/.well-known/openid-configuration");
        }
        assert!(KeyAddress::discovery("anita").is_err());
    }
}
