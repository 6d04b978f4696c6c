//! A place, opened.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_serial::SerialPortBuilderExt as _;

use super::config::{Place, Start};
use super::tail::Tail;
use crate::Fault;

/// How long a host may take to answer.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Bytes that come by themselves, and can be answered.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open place.
pub(super) enum Input {
    Stream { address: String, stream: Box<dyn Duplex> },
    File(Tail),
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// So many bytes.
    Bytes(usize),
    /// The file was replaced: what was left of the old one's last line is no part of the new one's first.
    Restarted,
}

// === impl Input ===

impl Input {
    pub(super) async fn open(place: &mut Place) -> Result<Self, Fault> {
        let address = place.to_string();
        match place {
            Place::File { path, start } => match Tail::open(path, *start).await {
                Ok(tail) => Ok(Self::File(tail)),
                Err(source) => {
                    if source.kind() == io::ErrorKind::NotFound {
                        // Everything in a file that is yet to be made will be new.
                        *start = Start::Beginning;
                    }
                    Err(Fault::Connect { address, source })
                }
            },
            Place::Tcp { host, port } => {
                let connect = TcpStream::connect((host.as_str(), *port));
                let connected = match tokio::time::timeout(CONNECT_MAX, connect).await {
                    Ok(connected) => connected,
                    Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
                };
                match connected {
                    Ok(stream) => Ok(Self::Stream { address, stream: Box::new(stream) }),
                    Err(source) => Err(Fault::Connect { address, source }),
                }
            }
            Place::Serial { path, baud } => {
                match tokio_serial::new(path.as_str(), *baud).open_native_async() {
                    Ok(stream) => Ok(Self::Stream { address, stream: Box::new(stream) }),
                    Err(error) => Err(Fault::Connect { address, source: error.into() }),
                }
            }
        }
    }

    /// Waits for bytes. The end of a stream is a fault; the end of a file is waited at.
    pub(super) async fn read(&mut self, chunk: &mut [u8]) -> Result<Chunk, Fault> {
        match self {
            Self::Stream { address, stream } => match stream.read(chunk).await {
                Ok(0) => Err(Fault::Closed { address: address.clone() }),
                Ok(len) => Ok(Chunk::Bytes(len)),
                Err(source) => Err(Fault::Io { address: address.clone(), source }),
            },
            Self::File(tail) => {
                let read = tail.read(chunk).await;
                read.map_err(|source| Fault::Io { address: tail.path().display().to_string(), source })
            }
        }
    }

    /// Writes to the device; a file takes nothing.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stream { stream, .. } => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Self::File(_) => Ok(()),
        }
    }

    /// Whether what is not read now will still be there later.
    pub(super) fn can_wait(&self) -> bool {
        matches!(self, Self::File(_))
    }
}
