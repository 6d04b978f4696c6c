//! One WebSocket over a stream of tokio: it drives the decoder with what is read, and writes what is queued.
//!
//! Not here: timers (silence, heartbeats) and policy (what to do with a message, whom to disconnect).

mod closing;
mod offer;

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::outgoing::Outgoing;
use crate::{Decoder, Limits, Message, Violation, frame};

pub use closing::{Close, Closed};
pub use offer::{Offered, Transport};

/// The frames that go into one write.
const SLICES_MAX: usize = 64;

/// The bytes that are gathered into one write where the stream cannot take slices: as many as a TLS record has.
const GATHERED_BYTES_MAX: usize = 16 * 1024;

/// The bytes of one read. They lie on the stack, so that a connection that waits for input owns no buffer.
const READ_BYTES_MAX: usize = 8 * 1024;

/// The server's end of one WebSocket.
///
/// It owns no buffer while nothing is under way. Dropping it closes the stream without a closing handshake; that one is
/// [`close`](Self::close).
pub struct Socket<S> {
    stream: S,
    decoder: Decoder,
    limits: Limits,
    outgoing: Outgoing,
    /// Whether the stream holds written bytes that it was not yet told to flush.
    is_unflushed: bool,
    /// Whether frames were queued since the last [`Event::Flushed`].
    owes_flushed: bool,
    /// How to ask the stream for room, while the owner waits for it.
    wants_room: Option<offer::PollWritable<S>>,
    peer: Peer,
    /// Whether the stream has given its end.
    has_ended: bool,
    /// Why a write failed that was not the owner's.
    failed: Option<io::ErrorKind>,
}

/// Whether [`Socket::next`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Messages are read and returned.
    Active,
    /// Nothing is read: the client is held back by TCP. Its pings wait too, and its disappearance is noticed by
    /// writing only.
    Paused,
}

/// What [`Socket::next`] waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The client said something. Each of them is a sign of life, also the ping, whose pong is already on its way. A
    /// close is to be answered by [`Socket::close`].
    Message(Message),
    /// All queued frames were handed to the operating system; or there is room again after [`Socket::offer`] found
    /// none.
    Flushed,
}

/// Why a socket can only be closed or dropped.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The stream ended, with or without a close frame before.
    #[error("the peer is gone")]
    Gone,
    /// Reading or writing failed.
    #[error("the stream failed")]
    Io(#[from] io::Error),
    /// The client violated the protocol or a limit. [`Socket::close`] with [`Violation::close_code`] tells it.
    #[error("the peer violated the protocol")]
    Violation(#[from] Violation),
}

/// What is still to be expected of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Talks,
    /// It has sent a close frame.
    Closed,
    /// What it sends cannot be understood any more.
    Violated,
}

// === impl Socket ===

impl<S> Socket<S> {
    /// A socket on a stream whose opening handshake is over.
    ///
    /// `leftover` are the bytes that were read from the stream together with the upgrade request; they are copied, so
    /// that the buffer they lie in can be freed.
    pub fn new(stream: S, leftover: Bytes, limits: Limits) -> Self {
        let mut decoder = Decoder::new(limits);
        if !leftover.is_empty() {
            decoder.buffer_mut().extend_from_slice(&leftover);
        }
        drop(leftover);
        Self {
            stream,
            decoder,
            limits,
            outgoing: Outgoing::default(),
            is_unflushed: false,
            owes_flushed: false,
            wants_room: None,
            peer: Peer::Talks,
            has_ended: false,
            failed: None,
        }
    }

    /// Compressed messages may come from now on: [`Handshake::negotiate`](crate::Handshake::negotiate) has agreed on it.
    /// What is sent is compressed before it is queued, see [`frame::deflated`].
    pub fn accept_compressed(&mut self) {
        self.decoder.accept_compressed();
    }

    /// Appends one or several complete frames, see [`frame`](crate::frame). It never waits: [`next`](Self::next) writes
    /// them. Ask [`has_room`](Self::has_room) before; nothing is refused here.
    ///
    /// A close frame must be queued on its own. What is queued after it is dropped.
    pub fn queue(&mut self, frames: Bytes) {
        self.outgoing.push(frames);
        self.owes_flushed = true;
    }

    /// The bytes of frames, pongs included, that the stream has not taken yet.
    pub fn queued_bytes(&self) -> usize {
        self.outgoing.waiting_bytes()
    }

    /// Whether the client has begun a frame or a message that is not complete, see [`Decoder::is_mid_message`]: ask it
    /// when [`poll_next`](Self::poll_next) was pending while reading was active. One that is held back cannot go on.
    pub fn is_mid_message(&self) -> bool {
        self.decoder.is_mid_message()
    }

    /// Another limit for the messages that begin from now on, bytes: a small one until it is known who is there.
    pub fn set_message_bytes_max(&mut self, message_bytes_max: usize) {
        self.decoder.set_message_bytes_max(message_bytes_max);
    }

    /// Whether fewer than [`Limits::queue_bytes_max`] bytes are queued.
    pub fn has_room(&self) -> bool {
        self.queued_bytes() < self.limits.queue_bytes_max
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Writes what is queued and, unless paused, reads, until there is something to tell.
    ///
    /// Cancel safe: dropped before it is ready, it has lost and doubled nothing. [`Event::Flushed`] comes once after
    /// each time that queued frames have all been written and flushed. Pings are answered; while the answer cannot be
    /// written, only the latest one is kept. With [`Reading::Paused`] and an empty queue it waits for ever.
    ///
    /// # Errors
    ///
    /// Every [`SocketError`]. After one of them the next call gives an error again. After the client's close frame what
    /// it still sends is discarded, and the end of the stream is [`SocketError::Gone`].
    pub async fn next(&mut self, reading: Reading) -> Result<Event, SocketError> {
        poll_fn(|context| self.poll_next(context, reading)).await
    }

    /// One step of [`next`](Self::next), for a socket behind a lock that its owner must not hold while it waits:
    ///
    /// ```
    /// # use std::future::poll_fn;
    /// # use anita_ws::{Event, Reading, Socket, SocketError};
    /// # use tokio::net::TcpStream;
    /// async fn next(socket: &parking_lot::Mutex<Socket<TcpStream>>) -> Result<Event, SocketError> {
    ///     poll_fn(|context| socket.lock().poll_next(context, Reading::Active)).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`next`](Self::next).
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        reading: Reading,
    ) -> Poll<Result<Event, SocketError>> {
        if let Some(kind) = self.failed {
            return Poll::Ready(Err(SocketError::Io(kind.into())));
        }
        if self.poll_send(context)?.is_ready() && self.poll_room(context)?.is_ready() && self.owes_flushed {
            self.owes_flushed = false;
            return Poll::Ready(Ok(Event::Flushed));
        }
        match reading {
            Reading::Active => self.poll_message(context).map_ok(Event::Message),
            Reading::Paused => Poll::Pending,
        }
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<Message, SocketError>> {
        loop {
            match self.decoder.next_message() {
                Ok(Some(message)) => {
                    match &message {
                        // The next call writes it before it reads on.
                        Message::Ping(payload) => self.outgoing.set_pong(frame::pong(payload)),
                        Message::Close(_) => self.peer = Peer::Closed,
                        Message::Text(_) | Message::Binary(_) | Message::Pong(_) => {}
                    }
                    return Poll::Ready(Ok(message));
                }
                Ok(None) => {}
                Err(violation) => {
                    self.peer = Peer::Violated;
                    return Poll::Ready(Err(violation.into()));
                }
            }
            if ready!(self.poll_read(context))? == 0 {
                self.has_ended = true;
                return Poll::Ready(Err(SocketError::Gone));
            }
        }
    }

    /// Gives the decoder more input, and says how many bytes; none is the end of the stream.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let missing_bytes = self.decoder.missing_bytes();
        let buffer = self.decoder.buffer_mut();
        if missing_bytes >= READ_BYTES_MAX && buffer.len() >= READ_BYTES_MAX {
            // The rest of a big payload goes where it belongs, without a copy. The room for it grows with what came, so
            // that a length that is only claimed costs nothing, and it ends with the payload.
            let room_bytes = missing_bytes.min(buffer.len());
            buffer.reserve(room_bytes);
            let mut room = buffer.limit(room_bytes);
            return pin!(self.stream.read_buf(&mut room)).poll(context);
        }
        let mut scratch = [const { MaybeUninit::uninit() }; READ_BYTES_MAX];
        let mut read = ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
        buffer.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    /// Writes and flushes until there is nothing left.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            // After each write, so that a stream that holds what it cannot pass on, such as TLS, is given no more then.
            if self.is_unflushed {
                ready!(Pin::new(&mut self.stream).poll_flush(context))?;
                self.is_unflushed = false;
            }
            if self.outgoing.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let written_bytes = ready!(self.poll_write(context))?;
            if written_bytes == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(written_bytes);
            self.is_unflushed = true;
        }
    }

    /// Ready when nobody waits for room, or there is some.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(poll_writable) = self.wants_room {
            ready!(poll_writable(&mut self.stream, context))?;
            self.wants_room = None;
            self.owes_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// One write of as many frames as possible.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        let mut slots = [IoSlice::new(&[]); SLICES_MAX];
        let slot_count = self.outgoing.fill(&mut slots);
        let slices = slots.get(..slot_count).unwrap_or_default();
        match slices {
            [slice] => stream.poll_write(context, slice),
            _ if stream.is_write_vectored() => stream.poll_write_vectored(context, slices),
            [first, ..] if first.len() >= GATHERED_BYTES_MAX => stream.poll_write(context, first),
            // Else each small frame would be a write of its own. What is not taken of this copy is still in the queue.
            _ => stream.poll_write(context, &self.outgoing.gather(GATHERED_BYTES_MAX)),
        }
    }
}

impl<S> fmt::Debug for Socket<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queued_bytes = self.queued_bytes();
        formatter
            .debug_struct("Socket")
            .field("queued_bytes", &queued_bytes)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
