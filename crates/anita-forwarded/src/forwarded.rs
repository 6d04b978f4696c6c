//! `X-Forwarded-For`, and `Forwarded` (RFC 7239): the hops of a request, each written by the one after it.

use std::net::{IpAddr, SocketAddr};

use crate::Networks;

/// Which header proxies write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Forwarded {
    /// None is believed.
    None,
    /// `X-Forwarded-For: client, proxy1, proxy2`.
    #[default]
    XForwardedFor,
    /// `Forwarded: for=client;proto=https, for=proxy1` (RFC 7239).
    Forwarded,
}

impl Forwarded {
    /// The header's name, lower case.
    pub fn header(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::XForwardedFor => Some("x-forwarded-for"),
            Self::Forwarded => Some("forwarded"),
        }
    }

    /// The hops of the header's lines, the client's own words first. A hop that hides itself (`unknown`, `_name`) or
    /// that cannot be read is `None`.
    pub fn hops<'a>(self, lines: impl IntoIterator<Item = &'a [u8]>) -> Vec<Option<IpAddr>> {
        let lines = lines.into_iter().map(std::str::from_utf8);
        match self {
            Self::None => Vec::new(),
            Self::XForwardedFor => lines
                .flat_map(|line| match line {
                    Ok(line) => line.split(',').map(|hop| node(hop.trim())).collect(),
                    Err(_not_text) => vec![None],
                })
                .collect(),
            Self::Forwarded => {
                lines.flat_map(|line| line.ok().and_then(elements).unwrap_or_else(|| vec![None])).collect()
            }
        }
    }
}

/// The client behind the other end of a connection: the last hop that is no trusted proxy, or the first hop of all where
/// all are. `None` when a trusted proxy says nothing, or something that is no address: then it is not known.
///
/// What stands before that hop was written by somebody who is not trusted, and is not looked at.
pub fn client_of<'a>(
    peer: IpAddr,
    trusted: &Networks,
    forwarded: Forwarded,
    lines: impl IntoIterator<Item = &'a [u8]>,
) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if forwarded == Forwarded::None || !trusted.contains(peer) {
        return Some(peer);
    }
    let hops = forwarded.hops(lines);
    let mut client = None;
    for hop in hops.into_iter().rev() {
        client = Some(hop?);
        if client.is_some_and(|client| !trusted.contains(client)) {
            break;
        }
    }
    client
}

/// An address with or without a port, IPv6 in brackets or bare: proxies write all of these.
fn node(text: &str) -> Option<IpAddr> {
    let plain = || text.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed =
        || text.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6);
    plain().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

/// The elements of one line of `Forwarded`: the address of each one's `for`. `None` when the line breaks the grammar.
fn elements(line: &str) -> Option<Vec<Option<IpAddr>>> {
    let mut elements = Vec::new();
    let mut rest = line;
    loop {
        let (element, after) = element(rest)?;
        elements.push(element);
        match after {
            Some(after) => rest = after,
            None => return Some(elements),
        }
    }
}

/// One element, `for=…;by=…;proto=…`, and what follows its comma.
fn element(text: &str) -> Option<(Option<IpAddr>, Option<&str>)> {
    let mut address = None;
    let mut rest = text.trim_start();
    loop {
        // An empty element or pair is allowed by the list syntax (RFC 9110 §5.6.1).
        if let Some(after) = rest.strip_prefix(',') {
            return Some((address, Some(after)));
        }
        if rest.is_empty() {
            return Some((address, None));
        }
        if let Some(after) = rest.strip_prefix(';') {
            rest = after.trim_start();
            continue;
        }
        let (name, after) = rest.split_once('=')?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return None;
        }
        let (value, after) = value(after)?;
        if name.eq_ignore_ascii_case("for") {
            if address.is_some() {
                return None;
            }
            address = node(&value);
        }
        rest = after.trim_start();
        if !(rest.is_empty() || rest.starts_with([',', ';'])) {
            return None;
        }
    }
}

/// A token or a quoted string (RFC 9110 §5.6.4), and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        // Colons and brackets have to be quoted, but some proxies write addresses with ports as they are.
        let end = text.find([',', ';', ' ', '\t', '"']).unwrap_or(text.len());
        let (token, after) = text.split_at_checked(end)?;
        return Some((token.to_owned(), after));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(chars.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// The characters of a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
