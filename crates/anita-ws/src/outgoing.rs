//! The frames that wait to be written, in the order in which they leave: the rest of the one that was begun, a pong,
//! then what was queued.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::frame;

/// A queue that has grown beyond so many slots (of 32 bytes) gives them back when it is empty.
const SLOTS_KEPT_MAX: usize = 16;

/// Frames on their way out of one socket.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// What is left of a frame whose first bytes were written. Nothing may come before it.
    begun: Bytes,
    /// The answer to the latest ping. It is one at most, so that pings cannot fill the memory.
    pong: Option<Bytes>,
    frames: VecDeque<Bytes>,
    /// Of all of them.
    waiting_bytes: usize,
    /// Nothing may follow a close frame (RFC 6455 section 5.5.1).
    has_close: bool,
}

// === impl Outgoing ===

impl Outgoing {
    /// Appends frames, unless a close frame was appended before.
    pub(crate) fn push(&mut self, frames: Bytes) {
        if self.has_close || frames.is_empty() {
            return;
        }
        self.has_close = frame::is_close(&frames);
        self.waiting_bytes += frames.len();
        self.frames.push_back(frames);
    }

    /// Puts the rest of a frame before everything else. None may have been begun.
    pub(crate) fn set_begun(&mut self, rest: Bytes) {
        self.waiting_bytes += rest.len();
        self.begun = rest;
    }

    /// Puts a pong in the place of the one that waits, if one does.
    pub(crate) fn set_pong(&mut self, pong: Bytes) {
        if self.has_close {
            return;
        }
        self.waiting_bytes += pong.len();
        let replaced = self.pong.replace(pong);
        self.waiting_bytes -= replaced.map_or(0, |pong| pong.len());
    }

    /// Drops what was not begun, but for a close frame.
    pub(crate) fn clear(&mut self) {
        let close = if self.has_close { self.frames.pop_back() } else { None };
        self.frames = VecDeque::from_iter(close);
        self.pong = None;
        self.waiting_bytes = self.begun.len() + self.frames.iter().map(Bytes::len).sum::<usize>();
    }

    /// The bytes of all frames that wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether a close frame was appended, after which nothing can be.
    pub(crate) fn has_close(&self) -> bool {
        self.has_close
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting_bytes == 0
    }

    /// Fills the slots with what comes next, and says how many it took.
    pub(crate) fn fill<'a>(&'a self, slots: &mut [IoSlice<'a>]) -> usize {
        let pairs = slots.iter_mut().zip(self.waiting());
        pairs.map(|(slot, bytes)| *slot = IoSlice::new(bytes)).count()
    }

    /// What comes next as one piece of at most so many bytes.
    pub(crate) fn gather(&self, bytes_max: usize) -> Vec<u8> {
        let mut gathered = Vec::with_capacity(self.waiting_bytes.min(bytes_max));
        for bytes in self.waiting() {
            let room = bytes_max - gathered.len();
            gathered.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            if gathered.len() == bytes_max {
                break;
            }
        }
        gathered
    }

    /// Takes off what was written.
    pub(crate) fn advance(&mut self, written_bytes: usize) {
        let mut rest_bytes = written_bytes;
        while rest_bytes > 0 {
            if self.begun.is_empty() {
                let Some(next) = self.pong.take().or_else(|| self.frames.pop_front()) else { break };
                self.begun = next;
            }
            let taken_bytes = rest_bytes.min(self.begun.len());
            self.begun.advance(taken_bytes);
            self.waiting_bytes -= taken_bytes;
            rest_bytes -= taken_bytes;
        }
        if self.begun.is_empty() {
            // An empty slice would still keep the frame's memory.
            self.begun = Bytes::new();
        }
        if self.frames.is_empty() && self.frames.capacity() > SLOTS_KEPT_MAX {
            self.frames = VecDeque::new();
        }
    }

    fn waiting(&self) -> impl Iterator<Item = &Bytes> {
        let begun = Some(&self.begun).filter(|begun| !begun.is_empty());
        begun.into_iter().chain(&self.pong).chain(&self.frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_overtakes_all_but_the_frame_that_was_begun() {
        let mut outgoing = Outgoing::default();
        outgoing.push(Bytes::from_static(b"first"));
        outgoing.push(Bytes::from_static(b"second"));
        outgoing.advance(2);
        outgoing.set_pong(Bytes::from_static(b"pong"));
        outgoing.set_pong(Bytes::from_static(b"pong2"));
        assert_eq!(outgoing.gather(100), b"rstpong2second");
        assert_eq!(outgoing.waiting_bytes(), 14);
        assert_eq!(outgoing.gather(5), b"rstpo");
        outgoing.advance(4);
        // The pong was begun, so the next one waits behind it.
        outgoing.set_pong(Bytes::from_static(b"PONG"));
        assert_eq!(outgoing.gather(100), b"ong2PONGsecond");
        let mut slots = [IoSlice::new(&[]); 2];
        assert_eq!(outgoing.fill(&mut slots), 2);
        assert_eq!((&*slots[0], &*slots[1]), (&b"ong2"[..], &b"PONG"[..]));
        outgoing.advance(14);
        assert!(outgoing.is_empty());
    }

    #[test]
    fn nothing_follows_a_close_frame_and_it_is_not_dropped() {
        let mut outgoing = Outgoing::default();
        outgoing.push(frame::text("begun"));
        outgoing.push(frame::text("waits"));
        outgoing.advance(1);
        outgoing.push(frame::close(1000, "one"));
        outgoing.push(frame::close(1001, "two"));
        outgoing.push(frame::text("late"));
        outgoing.set_pong(frame::pong(b""));
        outgoing.clear();
        assert_eq!(outgoing.gather(100), b"\x05begun\x88\x05\x03\xe8one");
        assert_eq!(outgoing.waiting_bytes(), 13);
    }

    #[test]
    fn an_empty_queue_holds_little() {
        let mut outgoing = Outgoing::default();
        for _ in 0..1000 {
            outgoing.push(frame::text("x"));
        }
        outgoing.advance(outgoing.waiting_bytes());
        assert!(outgoing.is_empty() && outgoing.frames.capacity() <= SLOTS_KEPT_MAX);
    }
}
