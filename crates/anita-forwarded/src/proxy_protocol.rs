//! The header of the PROXY protocol, versions 1 and 2, which a proxy sends before the first byte of its client.
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>; the sections are those of that document.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1, its end included (section 2.1), bytes.
pub const V1_BYTES_MAX: usize = 107;

/// The longest header of version 2 that is taken, bytes: room for the extensions (TLVs) of the usual proxies.
pub const V2_BYTES_MAX: usize = 2_048;

/// What version 2 begins with (section 2.2).
const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The fixed part of a header of version 2, bytes.
const V2_FIXED_BYTES: usize = 16;

/// What version 1 begins with.
const V1_BEGINNING: &[u8] = b"PROXY ";

/// The shortest header of version 1: `PROXY UNKNOWN` and its end, bytes.
const V1_BYTES_MIN: usize = 15;

/// What the bytes that have come are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// A header that is not complete: at least so many bytes more belong to it. Whoever reads no more than these never
    /// reads what comes after the header.
    Incomplete {
        /// How many, at least one.
        missing_bytes: usize,
    },
    /// A whole header.
    Complete(Header),
}

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The client; absent where the proxy speaks for itself (`LOCAL`, `UNKNOWN`), or for a client without an address.
    pub client: Option<SocketAddr>,
    /// How long the header is.
    pub bytes: usize,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// They begin like neither version.
    #[error("this is no header of the PROXY protocol")]
    NoHeader,
    /// A line of version 1 that is not as it has to be.
    #[error("the header of version 1 cannot be read")]
    V1,
    /// A header of version 2 that is not as it has to be.
    #[error("the header of version 2 cannot be read")]
    V2,
    /// Longer than is taken.
    #[error("the header is longer than is taken")]
    TooLong,
}

/// Reads a header at the beginning of what has come.
///
/// # Errors
/// [`InvalidHeader`] as soon as it is certain.
pub fn parse(bytes: &[u8]) -> Result<Parsed, InvalidHeader> {
    if bytes.is_empty() {
        // Either version may come; the first is the shorter one.
        return Ok(Parsed::Incomplete { missing_bytes: V1_BYTES_MIN });
    }
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, expected)| byte == expected);
    if begins(&V2_SIGNATURE) {
        v2(bytes)
    } else if begins(V1_BEGINNING) {
        v1(bytes)
    } else {
        Err(InvalidHeader::NoHeader)
    }
}

// --- version 1

fn v1(bytes: &[u8]) -> Result<Parsed, InvalidHeader> {
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
        return if bytes.len() >= V1_BYTES_MAX {
            Err(InvalidHeader::TooLong)
        } else {
            Ok(Parsed::Incomplete { missing_bytes: V1_BYTES_MIN.saturating_sub(bytes.len()).max(1) })
        };
    };
    if end >= V1_BYTES_MAX {
        return Err(InvalidHeader::TooLong);
    }
    let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(InvalidHeader::V1)?;
    let line = std::str::from_utf8(line).map_err(|_not_text| InvalidHeader::V1)?;
    let client = v1_client(line)?;
    Ok(Parsed::Complete(Header { client, bytes: end + 1 }))
}

fn v1_client(line: &str) -> Result<Option<SocketAddr>, InvalidHeader> {
    let mut words = line.split(' ').skip(1);
    let is_v4 = match words.next() {
        Some("TCP4") => true,
        Some("TCP6") => false,
        // Whatever follows is to be ignored (section 2.1).
        Some("UNKNOWN") => return Ok(None),
        _ => return Err(InvalidHeader::V1),
    };
    let mut address = || -> Option<IpAddr> {
        let word = words.next()?;
        if is_v4 { word.parse().ok().map(IpAddr::V4) } else { word.parse().ok().map(IpAddr::V6) }
    };
    let (source, destination) = (address(), address());
    let (source_port, destination_port) = (words.next().and_then(port), words.next().and_then(port));
    match (source, destination, source_port, destination_port, words.next()) {
        (Some(source), Some(_), Some(port), Some(_), None) => {
            Ok(Some(SocketAddr::new(source.to_canonical(), port)))
        }
        _ => Err(InvalidHeader::V1),
    }
}

/// A port without a sign and without zeros before it.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_port| is_plain)
}

// --- version 2

fn v2(bytes: &[u8]) -> Result<Parsed, InvalidHeader> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<V2_FIXED_BYTES>() else {
        return Ok(Parsed::Incomplete { missing_bytes: V2_FIXED_BYTES - bytes.len() });
    };
    let [.., version_and_command, family, length_high, length_low] = *fixed;
    let is_local = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(InvalidHeader::V2),
    };
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    if V2_FIXED_BYTES + length > V2_BYTES_MAX {
        return Err(InvalidHeader::TooLong);
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Parsed::Incomplete { missing_bytes: length - rest.len() });
    };
    // A proxy that speaks for itself may leave anything in the addresses (section 2.2).
    let client = if is_local { None } else { v2_client(family, body)? };
    Ok(Parsed::Complete(Header { client, bytes: V2_FIXED_BYTES + length }))
}

fn v2_client(family: u8, body: &[u8]) -> Result<Option<SocketAddr>, InvalidHeader> {
    match family {
        // Unspecified; a local socket.
        0x00 | 0x31 => Ok(None),
        // TCP over IPv4: source, destination, their ports.
        0x11 => {
            let (addresses, _extensions) = body.split_first_chunk::<12>().ok_or(InvalidHeader::V2)?;
            let [a, b, c, d, _, _, _, _, port_high, port_low, _, _] = *addresses;
            let port = u16::from_be_bytes([port_high, port_low]);
            Ok(Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port)))
        }
        // TCP over IPv6, likewise.
        0x21 => {
            let (source, rest) = body.split_first_chunk::<16>().ok_or(InvalidHeader::V2)?;
            let (_destination, rest) = rest.split_first_chunk::<16>().ok_or(InvalidHeader::V2)?;
            let (ports, _extensions) = rest.split_first_chunk::<4>().ok_or(InvalidHeader::V2)?;
            let [port_high, port_low, _, _] = *ports;
            let port = u16::from_be_bytes([port_high, port_low]);
            Ok(Some(SocketAddr::new(IpAddr::from(Ipv6Addr::from(*source)).to_canonical(), port)))
        }
        // Datagrams do not come over TCP, and the rest is not defined.
        _ => Err(InvalidHeader::V2),
    }
}

#[cfg(test)]
mod tests;
