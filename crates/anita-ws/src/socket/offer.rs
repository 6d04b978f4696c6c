//! Writing from outside the task that drives a socket: a loop that hands the same frames to many sockets writes to each
//! of them at once, and wakes only the tasks of those that could not take everything.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
#[cfg(unix)]
use rustix::net::SendFlags;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{GATHERED_BYTES_MAX, Peer, SLICES_MAX, Socket};

/// A stream that can be asked whether it would take bytes, without giving it any.
pub trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// Ready when the operating system would take bytes again. The task is woken as it is by a write that waits, and
    /// like there only the latest caller is.
    ///
    /// # Errors
    ///
    /// Those of a write.
    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Hands bytes to the operating system by a call of its own, if the stream is nothing more than a socket: the
    /// runtime is asked only when the socket takes nothing. `None` where there is no such call.
    ///
    /// # Errors
    ///
    /// Those of a write; [`io::ErrorKind::WouldBlock`] where it takes nothing now.
    fn write_at_once(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
        let _ = bytes;
        None
    }
}

impl Transport for TcpStream {
    fn poll_writable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_ready(context)
    }

    #[cfg(unix)]
    fn write_at_once(&mut self, bytes: &[u8]) -> Option<io::Result<usize>> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Some(rustix::net::send(&*self, bytes, flags).map_err(io::Error::from))
    }
}

/// [`Transport::poll_writable`] of a stream.
pub(super) type PollWritable<S> = fn(&mut S, &mut Context<'_>) -> Poll<io::Result<()>>;

/// What became of the frames of [`Socket::offer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// The operating system has all of them. There is nothing to do.
    Written,
    /// The socket has all of them, and the stream has not taken everything yet. The owner has to be woken: it gets
    /// [`Event::Flushed`](super::Event::Flushed) when the rest is written.
    Begun,
    /// The stream takes nothing now, and the socket kept nothing. The owner has to be woken: it gets
    /// [`Event::Flushed`](super::Event::Flushed) when there is room again.
    Blocked,
    /// Something else is to be written first, or the owner is waiting for room already, or the connection is about to
    /// end. Nothing was tried and nothing was kept. Nobody has to be woken: the owner is at it, and unless the
    /// connection ends it gets [`Event::Flushed`](super::Event::Flushed).
    Busy,
}

// === impl Socket ===

impl<S: Transport> Socket<S> {
    /// Writes complete frames, see [`frame`](crate::frame), if that is possible without waiting. A close frame is not
    /// for it, [`close`](Self::close) is.
    ///
    /// Frames that are taken in part are kept and finished by [`poll_next`](Self::poll_next), as slices that share
    /// their memory. When all are taken at once, which is one write as a rule, nothing is allocated, cloned or queued.
    ///
    /// It polls the stream with a waker that does nothing, which is why the owner has to be woken in some cases. Tokio
    /// lets a task do only so much in one go, and then streams pretend not to be ready: call it under
    /// [`tokio::task::coop::unconstrained`], else sockets are found blocked that are not. That costs a wake-up of their
    /// owners, no more.
    ///
    /// # Errors
    ///
    /// Those of the stream. The socket is of no use after it: the next call gives the same kind of error, and so does
    /// [`poll_next`](Self::poll_next), for which the owner has to be woken.
    pub fn offer(&mut self, frames: &[Bytes]) -> io::Result<Offered> {
        if let Some(kind) = self.failed {
            return Err(kind.into());
        }
        if !self.is_free() {
            return Ok(Offered::Busy);
        }
        let at_once = match frames {
            [frame] => self.stream.write_at_once(frame),
            _ => None,
        };
        self.finish(frames, at_once)
    }

    /// Whether [`offer`](Self::offer) would write. If not, the owner gets [`Event::Flushed`](super::Event::Flushed) when
    /// it would.
    pub fn is_free(&mut self) -> bool {
        let is_free = self.failed.is_none() && !self.is_busy();
        self.owes_flushed |= !is_free;
        is_free
    }

    /// The stream, for somebody who writes a frame to it by other means while the socket [is free](Self::is_free), and
    /// then says [what was written](Self::wrote).
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// What became of a frame that was written by other means: as [`offer`](Self::offer).
    ///
    /// # Errors
    ///
    /// Those of [`offer`](Self::offer).
    pub fn wrote(&mut self, frame: &Bytes, written: io::Result<usize>) -> io::Result<Offered> {
        self.finish(std::slice::from_ref(frame), Some(written))
    }

    fn finish(&mut self, frames: &[Bytes], at_once: Option<io::Result<usize>>) -> io::Result<Offered> {
        let outcome = self.write_now(frames, at_once);
        if let Err(error) = &outcome {
            self.failed = Some(error.kind());
        }
        outcome
    }

    /// Whether something is being written, or there is no room: then frames that could be newer later had better wait.
    pub fn is_busy(&self) -> bool {
        !self.outgoing.is_empty()
            || self.outgoing.has_close()
            || self.is_unflushed
            || self.wants_room.is_some()
            || self.peer != Peer::Talks
    }

    /// Writes frames, of which the first may have been tried already.
    fn write_now(&mut self, frames: &[Bytes], at_once: Option<io::Result<usize>>) -> io::Result<Offered> {
        let mut rest = Rest { frames, begun_bytes: 0 };
        match at_once {
            Some(Ok(written_bytes)) => {
                rest.advance(written_bytes);
                if !rest.skip_empty() {
                    return Ok(Offered::Written);
                }
            }
            Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            // The runtime has to see it too, so that it tells when there is room.
            Some(Err(_)) | None => {}
        }
        let mut context = Context::from_waker(Waker::noop());
        while rest.skip_empty() {
            let Poll::Ready(written) = rest.poll_write(Pin::new(&mut self.stream), &mut context) else {
                return Ok(self.keep(rest, frames));
            };
            match written? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written_bytes => rest.advance(written_bytes),
            }
            // After each write, so that a stream that holds what it cannot pass on, such as TLS, is given no more then.
            let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(&mut context) else {
                self.is_unflushed = true;
                return Ok(self.keep(rest, frames));
            };
            flushed?;
        }
        Ok(Offered::Written)
    }

    /// The stream takes no more for now.
    fn keep(&mut self, rest: Rest<'_>, frames: &[Bytes]) -> Offered {
        if rest.begun_bytes == 0 && rest.frames.len() == frames.len() {
            self.wants_room = Some(S::poll_writable);
            return Offered::Blocked;
        }
        self.owes_flushed = true;
        let Some((first, others)) = rest.frames.split_first() else { return Offered::Begun };
        if rest.begun_bytes > 0 {
            self.outgoing.set_begun(first.slice(rest.begun_bytes..));
        } else {
            self.outgoing.push(first.clone());
        }
        for frame in others {
            self.outgoing.push(frame.clone());
        }
        Offered::Begun
    }
}

/// What is left of a list of frames.
#[derive(Debug, Clone, Copy)]
struct Rest<'a> {
    frames: &'a [Bytes],
    /// The bytes of the first frame that were written.
    begun_bytes: usize,
}

// === impl Rest ===

impl Rest<'_> {
    /// Passes over what is written or empty, and says whether something is left.
    fn skip_empty(&mut self) -> bool {
        while let Some((first, others)) = self.frames.split_first() {
            if self.begun_bytes < first.len() {
                return true;
            }
            self.frames = others;
            self.begun_bytes = 0;
        }
        false
    }

    fn advance(&mut self, mut written_bytes: usize) {
        while let Some((first, others)) = self.frames.split_first() {
            let left_bytes = first.len() - self.begun_bytes;
            if written_bytes < left_bytes {
                self.begun_bytes += written_bytes;
                return;
            }
            written_bytes -= left_bytes;
            self.frames = others;
            self.begun_bytes = 0;
        }
    }

    /// One write of as much as possible, in the way that the stream is best at.
    fn poll_write<S: AsyncWrite>(
        &self,
        stream: Pin<&mut S>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut slices = self.slices();
        let first = slices.next().unwrap_or_default();
        if stream.is_write_vectored() {
            if self.frames.len() == 1 {
                return stream.poll_write(context, first);
            }
            let mut slots = [IoSlice::new(&[]); SLICES_MAX];
            let pairs = slots.iter_mut().zip(self.slices());
            let slot_count = pairs.map(|(slot, slice)| *slot = IoSlice::new(slice)).count();
            return stream.poll_write_vectored(context, slots.get(..slot_count).unwrap_or_default());
        }
        if self.frames.len() == 1 || first.len() >= GATHERED_BYTES_MAX {
            return stream.poll_write(context, first.get(..GATHERED_BYTES_MAX).unwrap_or(first));
        }
        let mut gathered = Vec::with_capacity(GATHERED_BYTES_MAX);
        for slice in self.slices() {
            let room_bytes = GATHERED_BYTES_MAX - gathered.len();
            gathered.extend_from_slice(slice.get(..room_bytes).unwrap_or(slice));
        }
        stream.poll_write(context, &gathered)
    }

    /// What is left of each frame, without empty ones.
    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut begun_bytes = self.begun_bytes;
        let slices = self.frames.iter().map(move |frame| {
            let start = std::mem::take(&mut begun_bytes);
            frame.get(start..).unwrap_or_default()
        });
        slices.filter(|slice| !slice.is_empty())
    }
}
