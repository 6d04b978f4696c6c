//! A TCP connection whose writes don't wait for ever.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anita_ws::Transport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// A TCP connection that fails when its peer takes no byte at all for a while of what is to be written to it. A slow
/// peer takes something now and then; and what is not handed to the connection because it is held back, as positions
/// are, does not wait here.
#[derive(Debug)]
pub(crate) struct Tcp {
    socket: TcpStream,
    write_deadline: Duration,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Tcp {
    pub(crate) fn new(socket: TcpStream, write_deadline: Duration) -> Self {
        Self { socket, write_deadline, stalled: None }
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn write_at_once(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
        self.socket.write_at_once(bytes)
    }

    /// What a write came to, or the end of the deadline.
    fn judge(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let write_deadline = self.write_deadline;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(write_deadline)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Tcp {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(cx, buf);
        this.judge(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write_vectored(cx, bufs);
        this.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (_client, accepted) = pair().await;
        let mut stream = Tcp::new(accepted, Duration::from_millis(200));
        let error = loop {
            if let Err(error) = stream.write_all(&vec![0; 65_536]).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_slow_peer_is_waited_for_however_long_it_takes() {
        const BYTES: usize = 16 * 1024 * 1024;
        let deadline = Duration::from_secs(4);
        let (mut client, accepted) = pair().await;
        let mut stream = Tcp::new(accepted, deadline);
        let began = tokio::time::Instant::now();
        let writing = tokio::spawn(async move { stream.write_all(&vec![0; BYTES]).await.map(|()| stream) });
        let (mut read, mut piece) = (0, vec![0; 1024 * 1024]);
        while read < BYTES {
            // Slower than the deadline in all, and never silent for so long.
            tokio::time::sleep(deadline / 8).await;
            read += client.read(&mut piece).await.unwrap();
        }
        writing.await.unwrap().unwrap();
        assert!(began.elapsed() > deadline);
    }
}
