//! A source that brings reports at least once, as a broker does: again when it does not know that they were kept,
//! sometimes all the same, and not always in their order.

use std::collections::BTreeMap;

use anita_hub::Kept;
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::link::Millis;
use crate::queue::Event;
use crate::simulation::{Phase, Simulation, at_once};

/// How many batches it has under way at the most: of one device, fewer fixes than the server knows again.
const UNDER_WAY_MAX: usize = 5;

/// What the hub says of a batch in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Kept,
    NotKept,
}

#[derive(Debug)]
struct Batch {
    numbers: Vec<usize>,
    /// When it is brought, or brought again.
    due_ms: Option<Millis>,
}

/// A source.
pub(crate) struct Source {
    devices: Vec<usize>,
    batches: BTreeMap<u64, Batch>,
    next_batch: u64,
    kept: Vec<(u64, Vec<bool>, Kept)>,
    is_running: bool,
}

impl Source {
    pub(crate) fn new(devices: Vec<usize>) -> Self {
        Self { devices, batches: BTreeMap::new(), next_batch: 0, kept: Vec::new(), is_running: false }
    }

    /// The server is gone: nothing that was not acknowledged is known to be kept.
    pub(crate) fn lose(&mut self) {
        self.kept.clear();
        self.is_running = false;
    }

    /// The server stops taking.
    pub(crate) fn stop(&mut self) {
        self.is_running = false;
    }

    /// A batch of which the hub knows whether it is kept.
    pub(crate) fn take_kept(&mut self) -> Option<(u64, Vec<bool>, Word)> {
        for index in 0..self.kept.len() {
            if let Some(kept) = at_once(&mut self.kept[index].2) {
                let (batch, taken, _kept) = self.kept.remove(index);
                let word = if kept.is_ok() { Word::Kept } else { Word::NotKept };
                return Some((batch, taken, word));
            }
        }
        None
    }

    pub(crate) fn check_calm(&self) {
        assert!(self.batches.is_empty(), "a source still has something: {:?}", self.batches);
    }
}

impl Simulation {
    /// A source is connected again: it brings what it does not know to be kept.
    pub(crate) fn begin_source(&mut self, index: usize) {
        self.sources[index].is_running = true;
        let now_ms = self.now_ms;
        let Self { sources, rng, .. } = self;
        for batch in sources[index].batches.values_mut() {
            batch.due_ms = Some(now_ms + rng.random_range(1..400));
        }
    }

    /// A source brings what is due, and measures something.
    pub(crate) fn bring(&mut self, index: usize) {
        self.push(self.now_ms + 140, Event::Bring(index));
        if self.phase == Phase::Chaos && self.sources[index].batches.len() < UNDER_WAY_MAX {
            let devices = self.sources[index].devices.clone();
            let count = *[1, 1, 2, 3].choose(&mut self.rng).unwrap();
            let numbers = (0..count).map(|_| self.measure_any(&devices, "mqtt")).collect();
            let due_ms = Some(self.now_ms + self.rng.random_range(1..300));
            let source = &mut self.sources[index];
            source.next_batch += 1;
            source.batches.insert(source.next_batch, Batch { numbers, due_ms });
        }
        if !self.sources[index].is_running {
            return;
        }
        let due = self.sources[index]
            .batches
            .iter()
            .filter(|(_id, batch)| batch.due_ms.is_some_and(|due| due <= self.now_ms));
        let due: Vec<(u64, Vec<usize>)> = due.map(|(id, batch)| (*id, batch.numbers.clone())).collect();
        for (id, numbers) in due {
            self.note(|| format!("source > {numbers:?}"));
            let (taken, kept) = self.take_reports(&numbers);
            let source = &mut self.sources[index];
            source.kept.push((id, taken, kept));
            source.batches.get_mut(&id).unwrap().due_ms = None;
        }
    }

    /// The hub says what became of a batch: an acknowledgement, which may get lost.
    pub(crate) fn source_kept(&mut self, index: usize, id: u64, taken: &[bool], word: Word) {
        let Some(batch) = self.sources[index].batches.get_mut(&id) else { return };
        let numbers = batch.numbers.clone();
        let is_kept = word == Word::Kept;
        let is_again = !is_kept || (self.phase == Phase::Chaos && self.rng.random_bool(0.1));
        if is_again {
            batch.due_ms = Some(self.now_ms + self.rng.random_range(1..900));
        } else {
            self.sources[index].batches.remove(&id);
        }
        self.note(|| format!("source < {numbers:?} {}", if is_kept { "kept" } else { "not kept" }));
        if is_kept {
            for (number, _is_taken) in numbers.iter().zip(taken).filter(|(_number, is_taken)| **is_taken) {
                self.truth.ack(*number, &self.disk);
            }
        }
    }
}
