//! The simulated network: a socket of the server with a buffer of so many bytes, and the way to the client and back.
//!
//! A WebSocket runs over TCP, so what a network does to packets shows as bytes that come late, in lumps, or not at all
//! from some byte on. Each direction keeps its order; it can stall, be slow, be cut in the middle of a frame, and end on
//! one side only.

use std::collections::VecDeque;
use std::sync::Arc;

use anita_hub::{Outlet, Peer};
use anita_views::Packet;
use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;

/// Milliseconds of virtual time since the simulation began.
pub(crate) type Millis = u64;

/// Whether anything still goes out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum WayOut {
    #[default]
    Open,
    /// The owner ended it: what was queued before goes out, and nothing more.
    Ending,
    /// The way to the client is gone for good.
    Broken,
}

/// What the kernel of the server and the code before it hold for one client. The rules are those of `anita_ws::Socket`
/// and of the server's `line.rs`.
#[derive(Debug, Default)]
struct Held {
    /// Frames that the kernel has not taken yet.
    queue: VecDeque<Bytes>,
    queue_bytes: usize,
    /// What the kernel has and the client's side has not.
    kernel: BytesMut,
    kernel_bytes_max: usize,
    /// Whether somebody found no room and waits for it.
    wants_room: bool,
    /// Whether the owner is to be told when all is written.
    owes_flushed: bool,
    way: WayOut,
}

impl Held {
    fn room_bytes(&self) -> usize {
        self.kernel_bytes_max - self.kernel.len()
    }

    fn is_busy(&self) -> bool {
        !self.queue.is_empty() || self.wants_room || self.way == WayOut::Ending
    }

    fn push(&mut self, bytes: Bytes) {
        self.queue_bytes += bytes.len();
        self.queue.push_back(bytes);
    }

    /// Moves into the kernel what it takes.
    fn pump(&mut self) {
        while let Some(first) = self.queue.front_mut() {
            let room = self.kernel_bytes_max - self.kernel.len();
            if room == 0 {
                return;
            }
            let count = first.len().min(room);
            self.kernel.extend_from_slice(&first[..count]);
            first.advance(count);
            self.queue_bytes -= count;
            if first.is_empty() {
                self.queue.pop_front();
            }
        }
    }
}

/// A socket of the server, shared by its conversation and its shard.
#[derive(Debug)]
pub(crate) struct Socket {
    held: Mutex<Held>,
    peer: Arc<Peer>,
}

impl Socket {
    pub(crate) fn new(peer: Arc<Peer>, kernel_bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { held: Mutex::new(Held { kernel_bytes_max, ..Held::default() }), peer })
    }

    /// Puts frames into the queue.
    pub(crate) fn queue(&self, frames: impl IntoIterator<Item = Bytes>) {
        let mut held = self.held.lock();
        for frame in frames {
            held.push(frame);
            held.owes_flushed = true;
        }
        held.pump();
    }

    /// The last frame of all.
    pub(crate) fn end(&self, close: Bytes) {
        let mut held = self.held.lock();
        held.push(close);
        held.way = WayOut::Ending;
        held.pump();
    }

    /// The way to the client is gone.
    pub(crate) fn break_off(&self) {
        let mut held = self.held.lock();
        held.way = WayOut::Broken;
        held.queue.clear();
        held.queue_bytes = 0;
        held.kernel.clear();
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.held.lock().is_busy()
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.held.lock().queue_bytes
    }

    pub(crate) fn has_kernel_bytes(&self) -> bool {
        !self.held.lock().kernel.is_empty()
    }

    /// Whether everything that was queued is with the kernel, told once; or there is room again.
    pub(crate) fn take_flushed(&self) -> bool {
        let mut held = self.held.lock();
        held.pump();
        if !held.queue.is_empty() || held.way == WayOut::Ending || (held.wants_room && held.room_bytes() == 0)
        {
            return false;
        }
        held.wants_room = false;
        std::mem::take(&mut held.owes_flushed)
    }

    /// Takes bytes out of the kernel, on their way to the client.
    pub(crate) fn drain(&self, bytes_max: usize) -> Bytes {
        let mut held = self.held.lock();
        let count = held.kernel.len().min(bytes_max);
        let bytes = held.kernel.split_to(count).freeze();
        held.pump();
        bytes
    }
}

impl Outlet for Socket {
    fn offer(&self, packets: &[&Packet]) -> bool {
        let mut held = self.held.lock();
        if held.way == WayOut::Broken {
            self.peer.bell.notify_one();
            return false;
        }
        if held.is_busy() {
            held.owes_flushed = true;
            return false;
        }
        if held.room_bytes() == 0 {
            held.wants_room = true;
            held.owes_flushed = true;
            self.peer.bell.notify_one();
            return false;
        }
        for packet in packets {
            held.push(packet.plain().clone());
        }
        held.pump();
        if !held.queue.is_empty() {
            held.owes_flushed = true;
            self.peer.bell.notify_one();
        }
        true
    }

    fn direct<'a>(&self, _packet: &'a Packet) -> Option<(i32, &'a Bytes)> {
        None
    }

    fn wrote(&self, _packet: &Packet, _written: std::io::Result<usize>) -> bool {
        false
    }
}

/// How a link is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quality {
    pub(crate) delay_ms: Millis,
    pub(crate) jitter_ms: Millis,
    /// What the client's side takes in a millisecond.
    pub(crate) bytes_per_ms: usize,
    pub(crate) kernel_bytes_max: usize,
}

/// One direction of a link: things arrive in their order.
#[derive(Debug)]
pub(crate) struct Way<T> {
    flight: VecDeque<(Millis, T)>,
    last_ms: Millis,
    /// Until when nothing moves.
    pub(crate) stalled_to_ms: Millis,
}

impl<T> Way<T> {
    pub(crate) fn new() -> Self {
        Self { flight: VecDeque::new(), last_ms: 0, stalled_to_ms: 0 }
    }

    /// Sends something off; says when it arrives unless the way stalls.
    pub(crate) fn send(&mut self, thing: T, arrives_ms: Millis) -> Millis {
        let at_ms = arrives_ms.max(self.last_ms).max(self.stalled_to_ms);
        self.last_ms = at_ms;
        self.flight.push_back((at_ms, thing));
        at_ms
    }

    /// What has arrived.
    pub(crate) fn take(&mut self, now_ms: Millis) -> Option<T> {
        let is_there = self.flight.front().is_some_and(|(at_ms, _thing)| *at_ms <= now_ms);
        if !is_there || now_ms < self.stalled_to_ms {
            return None;
        }
        self.flight.pop_front().map(|(_at_ms, thing)| thing)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.flight.is_empty()
    }
}

/// The next whole frame of a server: its first byte and its payload.
pub(crate) fn take_frame(inbox: &mut BytesMut) -> Option<(u8, Bytes)> {
    let [first, length, ..] = **inbox else { return None };
    let (start, length) = match length {
        126 => (4, usize::from(u16::from_be_bytes(inbox.get(2..4)?.try_into().unwrap()))),
        127 => (10, usize::try_from(u64::from_be_bytes(inbox.get(2..10)?.try_into().unwrap())).unwrap()),
        length => (2, usize::from(length)),
    };
    if inbox.len() < start + length {
        return None;
    }
    let mut frame = inbox.split_to(start + length).freeze();
    frame.advance(start);
    Some((first, frame))
}
