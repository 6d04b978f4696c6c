//! What happens next: events in the order of their time; those of the same moment in an order of the seed's.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::Rng;
use rand::rngs::SmallRng;

use crate::link::Millis;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A user connects, or does something.
    Connect(usize),
    Act(usize),
    /// Something arrives at the server, leaves its kernel, arrives at the client.
    Up(u32),
    Drain(u32),
    Down(u32),
    /// One side hears that the connection is gone.
    Cut(u32),
    /// A client looks whether it has heard anything.
    Watch(u32),
    /// A conversation or the shard has something to do.
    Wake(u32),
    Turn,
    Sweep,
    Save,
    /// A source brings a batch.
    Bring(usize),
    /// Something goes wrong, or right again.
    Fault,
    DiskHeals,
    ClockHeals,
    Restart,
    Measure,
}

/// The events to come.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<(Millis, u32, u64, Event)>>,
    count: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at_ms: Millis, event: Event, rng: &mut SmallRng) {
        self.count += 1;
        self.heap.push(Reverse((at_ms, rng.random(), self.count, event)));
    }

    pub(crate) fn next_ms(&self) -> Option<Millis> {
        self.heap.peek().map(|Reverse((at_ms, ..))| *at_ms)
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.heap.pop().map(|Reverse((_at_ms, _tie, _count, event))| event)
    }
}
