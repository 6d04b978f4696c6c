//! How many play back at a time: each reads ahead and holds what it read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many playbacks the server serves at a time.
pub const PLAYBACKS_MAX: usize = 100;

/// The playbacks under way on all connections.
#[derive(Debug, Default)]
pub struct Playbacks {
    under_way: AtomicUsize,
}

impl Playbacks {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }
}

/// The right to play back; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Playbacks>);

impl Turn {
    /// `None` when there are as many playbacks as may be.
    pub(crate) fn take(playbacks: &Arc<Playbacks>) -> Option<Self> {
        let add = |count: usize| (count < PLAYBACKS_MAX).then_some(count + 1);
        playbacks.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Self(Arc::clone(playbacks)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
