//! The closing handshake (RFC 6455 section 7), from the server's side.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::{Peer, Socket};
use crate::{Message, frame};

/// The reads after which a client that sends without end lets others go on.
const READS_IN_A_ROW_MAX: usize = 16;

/// What [`Socket::close`] does with the frames that are queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The frame that was begun is finished, the others are dropped.
    Now,
    /// All of them are written before the close frame.
    AfterFlush,
}

/// How a socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Both sides have sent a close frame.
    Clean,
    /// The close frame was written, and the client did not answer it with one.
    Unanswered,
    /// The close frame could not be written: the client did not read in time, or it is gone.
    Unsent,
}

// === impl Socket ===

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Ends the connection: sends a close frame, unless one was queued before, waits for the client's, and shuts the
    /// stream down. Code and reason are as in [`frame::close`].
    ///
    /// What the client still sends is discarded. It is read up to its end nevertheless, because closing a TCP connection
    /// with unread input resets it, and then the client may never see the close frame. All of it takes at most
    /// `wait_max`; then the stream is dropped.
    ///
    /// It does not fail: there is nothing left that could be done about an error.
    pub async fn close(mut self, code: u16, reason: &str, queued: Close, wait_max: Duration) -> Closed {
        match queued {
            Close::Now => self.outgoing.clear(),
            Close::AfterFlush => {}
        }
        self.outgoing.push(frame::close(code, reason));
        let ending = async {
            poll_fn(|context| self.poll_close_frames(context)).await?;
            poll_fn(|context| Pin::new(&mut self.stream).poll_shutdown(context)).await?;
            poll_fn(|context| self.poll_discard(context)).await
        };
        if timeout(wait_max, ending).await.is_err() {
            // One try, which does not wait: a TLS peer is told that the end is meant.
            poll_fn(|context| Poll::Ready(Pin::new(&mut self.stream).poll_shutdown(context).is_ready()))
                .await;
        }
        match (self.outgoing.is_empty() && !self.is_unflushed, self.peer) {
            (true, Peer::Closed) => Closed::Clean,
            (true, Peer::Talks | Peer::Violated) => Closed::Unanswered,
            (false, _) => Closed::Unsent,
        }
    }

    /// Ready when our close frame is written, and the client's has come or cannot come any more.
    fn poll_close_frames(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.poll_send(context)?;
        // Also while sending: a client that is stuck writing to us does not read our close frame.
        let ended = self.poll_discard(context)?;
        if sent.is_ready() && (self.peer != Peer::Talks || ended.is_ready()) {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// Reads and discards, and looks only for a close frame. Ready at the end of the stream.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..READS_IN_A_ROW_MAX {
            self.discard_messages();
            if self.has_ended {
                return Poll::Ready(Ok(()));
            }
            self.has_ended = ready!(self.poll_read(context))? == 0;
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn discard_messages(&mut self) {
        loop {
            match self.decoder.next_message() {
                Ok(Some(Message::Close(_))) => self.peer = Peer::Closed,
                Ok(Some(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {}
                Ok(None) => return,
                Err(_violation) => {
                    self.peer = Peer::Violated;
                    return;
                }
            }
        }
    }
}
