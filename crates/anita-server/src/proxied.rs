//! What a proxy says before the first byte of its client.

use std::io;
use std::net::IpAddr;

use anita_forwarded::proxy_protocol::{self, Header, InvalidHeader, Parsed};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoHeader {
    /// What came is none.
    #[error("the proxy sent something else")]
    Invalid(#[from] InvalidHeader),
    /// The connection ended or failed before.
    #[error("the connection ended before the header of the PROXY protocol did")]
    Gone(#[from] io::Error),
}

/// Reads the header of the PROXY protocol and nothing after it. `None` where the proxy speaks for itself.
pub(crate) async fn read_header(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, NoHeader> {
    let mut bytes = Vec::new();
    loop {
        match proxy_protocol::parse(&bytes)? {
            Parsed::Complete(Header { client, .. }) => return Ok(client.map(|client| client.ip())),
            Parsed::Incomplete { missing_bytes } => {
                let wanted = u64::try_from(missing_bytes).unwrap_or(1);
                // As it comes: what is no header shows in its first bytes.
                if (&mut *stream).take(wanted).read_buf(&mut bytes).await? == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_after_the_header_is_read_and_half_a_header_is_none() {
        let mut stream = b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\nGET /".as_slice();
        let client = read_header(&mut stream).await.unwrap();
        assert_eq!(client, Some("192.0.2.7".parse().unwrap()));
        assert_eq!(stream, b"GET /");
        let half = read_header(&mut b"PROXY TCP4 192.0".as_slice()).await;
        assert!(matches!(half, Err(NoHeader::Gone(_))), "{half:?}");
        let none = read_header(&mut b"GET / HTTP/1.1\r\n".as_slice()).await;
        assert!(matches!(none, Err(NoHeader::Invalid(InvalidHeader::NoHeader))), "{none:?}");
    }
}
