//! How many may do something at a time, in all and of each user.

use std::collections::HashMap;
use std::sync::Arc;

use anita_model::UserId;
use parking_lot::Mutex;

/// Places for what takes long.
#[derive(Debug)]
pub(super) struct Gate {
    all_max: usize,
    of_one_max: usize,
    taken: Mutex<HashMap<UserId, usize>>,
}

/// Why there is no place: the limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    All(usize),
    /// The user has as many as it may.
    OfSubject(usize),
}

impl Gate {
    pub(super) fn new(all_max: usize, of_one_max: usize) -> Arc<Self> {
        Arc::new(Self { all_max, of_one_max, taken: Mutex::default() })
    }

    /// A place; it is free again when the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>, user: &UserId) -> Result<Place, Full> {
        let mut taken = self.taken.lock();
        if taken.get(user).is_some_and(|&count| count >= self.of_one_max) {
            return Err(Full::OfSubject(self.of_one_max));
        }
        if taken.values().sum::<usize>() >= self.all_max {
            return Err(Full::All(self.all_max));
        }
        *taken.entry(user.clone()).or_default() += 1;
        Ok(Place { gate: Arc::clone(self), user: user.clone() })
    }

    /// Whether nobody is in.
    #[cfg(test)]
    pub(super) fn is_free(&self) -> bool {
        self.taken.lock().is_empty()
    }
}

/// A place that is taken.
#[derive(Debug)]
pub(super) struct Place {
    gate: Arc<Gate>,
    user: UserId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.gate.taken.lock();
        if let Some(count) = taken.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.user);
            }
        }
    }
}
