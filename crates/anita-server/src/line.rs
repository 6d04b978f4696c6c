//! A connection's socket, shared by its task and the loop of its shard.
//!
//! The task reads, answers and finishes what was begun; the loop writes positions when nothing else is under way. Both
//! run on the same thread, so the lock is never waited for.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use anita_hub::{Outlet, Peer};
use anita_views::Packet;
use anita_ws::{Event, Offered, Reading, Socket, SocketError};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::compression;
use crate::stream::Stream;

/// A connection's socket. It is empty once the connection is being closed.
#[derive(Debug)]
pub(crate) struct Line {
    socket: Mutex<Option<Socket<Stream>>>,
    /// Frames that were written by others than the task, until it counts them.
    sent: AtomicU64,
    peer: Arc<Peer>,
    /// Whether the client wants its messages compressed.
    is_compressed: bool,
}

impl Line {
    /// One whose client gets its messages as they are.
    pub(crate) fn new(socket: Socket<Stream>, peer: Arc<Peer>) -> Self {
        Self { socket: Mutex::new(Some(socket)), sent: AtomicU64::new(0), peer, is_compressed: false }
    }

    /// One whose client gets its messages compressed.
    pub(crate) fn compressed(self) -> Self {
        Self { is_compressed: true, ..self }
    }

    /// Puts frames into the queue of the socket.
    pub(crate) fn queue(&self, frames: Vec<Bytes>) {
        self.with(|socket| {
            for frames in frames {
                let frames = if self.is_compressed { compression::deflated(&frames) } else { frames };
                self.add_bytes(frames.len());
                socket.queue(frames);
            }
        });
    }

    /// Counts what was written by others than the task.
    pub(crate) fn count_sent(&self) {
        self.peer.sent.fetch_add(self.sent.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Counts bytes. Only one thread writes: no need for more than a load and a store.
    fn add_bytes(&self, bytes: usize) {
        let sent = self.peer.sent_bytes.load(Ordering::Relaxed) + bytes as u64;
        self.peer.sent_bytes.store(sent, Ordering::Relaxed);
    }

    /// A packet as this client wants it.
    fn form_of<'a>(&self, packet: &'a Packet) -> &'a Bytes {
        if self.is_compressed { packet.compressed(compression::deflated) } else { packet.plain() }
    }

    /// Uses the socket, if it is not being closed.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Socket<Stream>) -> T) -> Option<T> {
        self.socket.lock().as_mut().map(act)
    }

    /// Takes the socket, to close it: nothing is written to it by others from now on.
    pub(crate) fn take(&self) -> Option<Socket<Stream>> {
        self.socket.lock().take()
    }

    /// What happens next on the socket; `None` when a message has begun that is not complete, where none was under way
    /// `since` some time.
    pub(crate) async fn next(
        &self,
        reading: Reading,
        since: Option<Duration>,
    ) -> Option<Result<Event, SocketError>> {
        poll_fn(|context| {
            let mut socket = self.socket.lock();
            let Some(socket) = socket.as_mut() else { return Poll::Pending };
            match socket.poll_next(context, reading) {
                Poll::Ready(event) => Poll::Ready(Some(event)),
                Poll::Pending if reading == Reading::Active && since.is_none() && socket.is_mid_message() => {
                    Poll::Ready(None)
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

impl Line {
    /// What the socket said to frames; wakes the task where it has to go on.
    fn settle(&self, offered: &std::io::Result<Offered>, frames: usize, bytes: usize) -> bool {
        let (is_taken, is_owner_needed) = match offered {
            Ok(Offered::Written) => (true, false),
            Ok(Offered::Begun) => (true, true),
            Ok(Offered::Busy) => (false, false),
            Ok(Offered::Blocked) | Err(_) => (false, true),
        };
        if is_taken {
            // Only one thread writes: no need for more than a load and a store.
            let sent = self.sent.load(Ordering::Relaxed) + frames as u64;
            self.sent.store(sent, Ordering::Relaxed);
            self.add_bytes(bytes);
        }
        if is_owner_needed {
            self.peer.bell.notify_one();
        }
        is_taken
    }
}

impl Outlet for Line {
    fn offer(&self, packets: &[&Packet]) -> bool {
        let offered = self.with(|socket| match packets {
            [packet] => {
                let frame = self.form_of(packet);
                (socket.offer(std::slice::from_ref(frame)), frame.len())
            }
            packets => {
                let frames: Vec<Bytes> = packets.iter().map(|packet| self.form_of(packet).clone()).collect();
                (socket.offer(&frames), frames.iter().map(Bytes::len).sum())
            }
        });
        offered.is_some_and(|(offered, bytes)| self.settle(&offered, packets.len(), bytes))
    }

    fn direct<'a>(&self, packet: &'a Packet) -> Option<(i32, &'a Bytes)> {
        let number =
            self.with(|socket| socket.is_free().then(|| socket.stream().number()).flatten()).flatten();
        number.map(|number| (number, self.form_of(packet)))
    }

    fn wrote(&self, packet: &Packet, written: std::io::Result<usize>) -> bool {
        let frame = self.form_of(packet);
        let offered = self.with(|socket| socket.wrote(frame, written));
        offered.is_some_and(|offered| self.settle(&offered, 1, frame.len()))
    }
}
