//! A connection's bytes, with TLS or without.

mod tcp;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use anita_ws::Transport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

pub(crate) use tcp::Tcp;

/// A TCP connection, with TLS or without.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Without.
    Plain(Tcp),
    /// With. Boxed: it is much larger.
    Tls(Box<TlsStream<Tcp>>),
}

macro_rules! with {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Plain($stream) => $call,
            Self::Tls($stream) => $call,
        }
    };
}

impl Stream {
    /// Its number at the operating system, where what is written is what the peer gets.
    pub(crate) fn number(&self) -> Option<i32> {
        match self {
            #[cfg(unix)]
            Self::Plain(stream) => Some(std::os::fd::AsRawFd::as_raw_fd(stream.tcp())),
            #[cfg(not(unix))]
            Self::Plain(_) => None,
            Self::Tls(_) => None,
        }
    }

    /// The certificate that the peer has shown and that was verified, DER.
    pub(crate) fn client_certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.get_ref().1.peer_certificates()?.first().map(AsRef::as_ref),
        }
    }
}

impl Transport for Stream {
    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.tcp().poll_write_ready(context),
            Self::Tls(stream) => stream.get_ref().0.tcp().poll_write_ready(context),
        }
    }

    fn write_at_once(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.write_at_once(bytes),
            Self::Tls(_) => None,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        with!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
