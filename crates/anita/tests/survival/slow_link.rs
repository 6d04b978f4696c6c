//! A link that is slow: TCP to somebody else, of which a few bytes at a time go on, each way.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// What each direction of a connection holds at most, besides what the kernel does.
const HELD_BYTES_MAX: usize = 16 * 1024;

/// Further connections wait for one of these to end.
const CONNECTIONS_MAX: usize = 64;

/// How fast a link is: so many bytes, each time after so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    bytes: usize,
    every: Duration,
}

impl Pace {
    /// As fast as it goes.
    pub(crate) const OPEN: Self = Self { bytes: HELD_BYTES_MAX, every: Duration::ZERO };
    /// Some tens of kilobytes a second, and a round trip of some tens of milliseconds: it works.
    pub(crate) const SLOW: Self = Self { bytes: 512, every: Duration::from_millis(15) };
    /// Some bytes a second: whatever needs an answer waits longer for it than anybody does.
    pub(crate) const CRAWL: Self = Self { bytes: 2, every: Duration::from_millis(500) };
}

/// A listening link; it and its connections end when it is dropped.
pub(crate) struct SlowLink {
    pub(crate) address: SocketAddr,
    pace: watch::Sender<Pace>,
    task: JoinHandle<()>,
}

impl SlowLink {
    /// To a port of this machine, which need not listen yet.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (pace, paced) = watch::channel(Pace::OPEN);
        Self { address, pace, task: tokio::spawn(serve(listener, port, paced)) }
    }

    /// From now on, also for connections that are there.
    pub(crate) fn set(&self, pace: Pace) {
        self.pace.send(pace).unwrap();
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, port: u16, pace: watch::Receiver<Pace>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // They end with this.
    let mut connections = JoinSet::new();
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
        while connections.try_join_next().is_some() {}
        let Ok((near, _address)) = listener.accept().await else { return };
        let pace = pace.clone();
        connections.spawn(async move {
            let _permit = permit;
            // Who is not there is heard at once: the connection ends.
            let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
            let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
            // A half that has ended lets the other one go on; one that broke takes it along.
            drop(tokio::try_join!(carry(from_near, to_far, pace.clone()), carry(from_far, to_near, pace)));
        });
    }
}

/// Carries what comes, in its order, a piece after each pause.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut pace: watch::Receiver<Pace>,
) -> std::io::Result<()> {
    let mut held = vec![0; HELD_BYTES_MAX];
    loop {
        let count = from.read(&mut held).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        let mut left = &held[..count];
        while !left.is_empty() {
            let Pace { bytes, every } = *pace.borrow_and_update();
            tokio::select! {
                () = tokio::time::sleep(every) => {
                    let (piece, rest) = left.split_at(bytes.min(left.len()));
                    to.write_all(piece).await?;
                    left = rest;
                }
                // With another pace the pause begins anew.
                Ok(()) = pace.changed() => {}
            }
        }
    }
}
