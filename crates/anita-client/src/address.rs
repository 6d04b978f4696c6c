//! Where a server is: the parts of a URL that a connection needs.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

/// Why a URL can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is none.
    #[error("{url:?} is not a URL; write for example wss://localhost:8443/ws/uwb")]
    NotAUrl {
        /// What was given. A query is left out: it may hold a token.
        url: String,
    },
    /// Another scheme than ours.
    #[error("the scheme of {url:?} has to be wss, ws, https or http")]
    Scheme {
        /// What was given, without a query.
        url: String,
    },
    /// Plain text would go over a network.
    #[error("plain text to {host}, another machine: use wss:// or https://, or allow plain text explicitly")]
    PlainText {
        /// The host.
        host: String,
    },
}

/// The address of a server, and what is asked for there.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// The name or address, without the brackets of IPv6.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
    /// Path and query; the query may hold a token.
    path_and_query: String,
}

// === impl Address ===

impl Address {
    /// Reads a URL with one of the schemes `wss`, `https`, `ws` and `http`.
    pub(crate) fn parse(url: &str) -> Result<Self, AddressError> {
        let shown = || url.split(['?', '#']).next().unwrap_or_default().to_owned();
        let not_a_url = || AddressError::NotAUrl { url: shown() };
        let without_fragment = url.trim().split('#').next().unwrap_or_default();
        let uri: Uri = without_fragment.parse().map_err(|_not_a_uri| not_a_url())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(not_a_url)?;
        let is_tls = match uri.scheme_str() {
            Some("wss" | "https") => true,
            Some("ws" | "http") => false,
            Some(_) => return Err(AddressError::Scheme { url: shown() }),
            None => return Err(not_a_url()),
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(AddressError::NotAUrl { url: "a URL with a user name".to_owned() });
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let path_and_query = uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
        Ok(Self { host, port, is_tls, path_and_query })
    }

    /// Refuses plain text to other machines than this one.
    pub(crate) fn check_secrecy(&self) -> Result<(), AddressError> {
        if self.is_tls || is_loopback(&self.host) {
            return Ok(());
        }
        Err(AddressError::PlainText { host: self.host.clone() })
    }

    /// The value of the `Host` header.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.is_tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// The URL of the WebSocket.
    pub(crate) fn websocket_url(&self) -> String {
        let scheme = if self.is_tls { "wss" } else { "ws" };
        format!("{scheme}://{}{}", self.authority(), self.path_and_query)
    }

    /// The path of a REST resource below the base that was given. The URL of a WebSocket is taken as a base as well.
    pub(crate) fn path_of(&self, resource: &str) -> String {
        let base = self.path_and_query.split('?').next().unwrap_or_default().trim_end_matches('/');
        let base = ["/ws/uwb", "/ws"].iter().find_map(|end| base.strip_suffix(end)).unwrap_or(base);
        format!("{base}{resource}")
    }
}

impl fmt::Debug for Address {
    /// Never prints a token of the query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({}, tls: {})", self.authority(), self.is_tls)
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|it| it.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_addresses() {
        let table = [
            (
                "wss://hall.example/ws/uwb",
                "hall.example",
                443,
                "wss://hall.example/ws/uwb",
                "/api/v1/locations",
            ),
            ("ws://127.0.0.1:8080/ws", "127.0.0.1", 8080, "ws://127.0.0.1:8080/ws", "/api/v1/locations"),
            ("https://[::1]:8443", "::1", 8443, "wss://[::1]:8443/", "/api/v1/locations"),
            ("http://localhost/anita/", "localhost", 80, "ws://localhost/anita/", "/anita/api/v1/locations"),
            ("wss://a.b/ws?token=t#viewer", "a.b", 443, "wss://a.b/ws?token=t", "/api/v1/locations"),
        ];
        for (url, host, port, websocket, path) in table {
            let address = Address::parse(url).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{url}");
            assert_eq!(address.websocket_url(), websocket);
            assert_eq!(address.path_of("/api/v1/locations"), path, "{url}");
            assert!(!format!("{address:?}").contains("token"));
        }
    }

    #[test]
    fn plain_text_stays_on_this_machine_unless_it_is_allowed() {
        for url in [
            "ws://192.168.1.2/ws",
            "http://hall.example",
            "ws://localhost.evil.example/ws",
            "ws://0.0.0.0/ws",
        ] {
            let refused = Address::parse(url).unwrap().check_secrecy();
            assert!(matches!(refused, Err(AddressError::PlainText { .. })), "{url}");
        }
        for url in [
            "ws://127.0.0.2/ws",
            "http://[::1]:80/",
            "ws://LOCALHOST/ws",
            "ws://[::ffff:127.0.0.1]/",
            "wss://hall.example",
        ] {
            assert_eq!(Address::parse(url).unwrap().check_secrecy(), Ok(()), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_without_showing_its_token() {
        let shows = |url: &str| Address::parse(url).unwrap_err().to_string();
        assert!(shows("hall.example:443/ws?token=secret").contains("not a URL"));
        assert!(shows("ftp://hall.example/?token=secret").contains("wss, ws, https or http"));
        for url in ["", "wss://", "/ws?token=secret", "ftp://h/?token=secret", "ws://me:secret@h/"] {
            assert!(!shows(url).contains("secret"), "{url}");
        }
    }
}
