//! The parts of an address such as `mqtts://broker:8883` or `serial:///dev/ttyACM0?baud=115200`.

/// An address, cut into its parts. Nothing is decoded: hosts and paths of a site need no escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    pub(crate) scheme: &'a str,
    /// What stands between `://` and the query.
    pub(crate) rest: &'a str,
    pub(crate) query: Option<&'a str>,
}

// === impl Address ===

impl<'a> Address<'a> {
    /// Cuts an address; `None` when it has no scheme.
    pub(crate) fn parse(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        Some(Self { scheme, rest, query })
    }

    /// The host and the port of an address that has nothing else; an error says what is wrong.
    pub(crate) fn host_and_port(&self, default_port: Option<u16>) -> Result<(&'a str, u16), &'static str> {
        let authority = self.rest.strip_suffix('/').unwrap_or(self.rest);
        if self.query.is_some() || authority.contains('/') {
            return Err("takes a host and a port, and nothing after them");
        }
        if authority.contains('@') {
            return Err("must not hold a user name or a password; write `username` and `password_file`");
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed.split_once(']').ok_or("has `[` without `]`")?;
                (host, after.strip_prefix(':'))
            }
            None => match authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        if host.is_empty() {
            return Err("has no host");
        }
        let port = match port {
            Some(port) => port.parse().ok(),
            None => default_port,
        };
        Ok((host, port.filter(|&port| port > 0).ok_or("needs a port from 1 to 65535")?))
    }

    /// The path of a file. Without a leading `/` it is relative.
    pub(crate) fn path(&self) -> Option<&'a str> {
        (!self.rest.is_empty()).then_some(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        let cases = [
            ("mqtt://broker", Ok(("broker", 1883))),
            ("mqtt://127.0.0.1:1884/", Ok(("127.0.0.1", 1884))),
            ("mqtt://[::1]:1884", Ok(("::1", 1884))),
            ("mqtt://[::1]", Ok(("::1", 1883))),
            ("mqtt://", Err("has no host")),
            ("mqtt://h:0", Err("needs a port from 1 to 65535")),
            ("mqtt://h:port", Err("needs a port from 1 to 65535")),
            (
                "mqtt://u:p@h",
                Err("must not hold a user name or a password; write `username` and `password_file`"),
            ),
            ("mqtt://h/path", Err("takes a host and a port, and nothing after them")),
        ];
        for (url, expected) in cases {
            assert_eq!(Address::parse(url).unwrap().host_and_port(Some(1883)), expected, "{url}");
        }
        assert_eq!(Address::parse("broker:1883"), None);
    }
}
