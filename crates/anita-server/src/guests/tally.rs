//! How many there are, in all and of each.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// There are as many as there may be.
    InAll,
    /// This one has as many as one may have.
    OfOne,
}

/// How many there are, in all and of each. It holds no more entries than there are places.
#[derive(Debug)]
pub(super) struct Tally<K> {
    in_all_max: usize,
    of_one_max: usize,
    counts: Mutex<Counts<K>>,
}

#[derive(Debug)]
struct Counts<K> {
    in_all: usize,
    of_each: HashMap<K, usize>,
}

/// One place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place<K: Eq + Hash> {
    tally: Arc<Tally<K>>,
    /// Whose; nobody's while it is not known.
    of: Option<K>,
}

impl<K: Eq + Hash + Clone> Tally<K> {
    pub(super) fn new(in_all_max: usize, of_one_max: usize) -> Arc<Self> {
        let counts = Mutex::new(Counts { in_all: 0, of_each: HashMap::new() });
        Arc::new(Self { in_all_max, of_one_max, counts })
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`Full`].
    pub(super) fn enter(self: &Arc<Self>, of: Option<K>) -> Result<Place<K>, Full> {
        let mut counts = self.counts.lock();
        if counts.in_all >= self.in_all_max {
            return Err(Full::InAll);
        }
        if let Some(of) = &of {
            self.count_one(&mut counts, of)?;
        }
        counts.in_all += 1;
        drop(counts);
        Ok(Place { tally: Arc::clone(self), of })
    }

    fn count_one(&self, counts: &mut Counts<K>, of: &K) -> Result<(), Full> {
        let count = counts.of_each.get(of).copied().unwrap_or_default();
        if count >= self.of_one_max {
            return Err(Full::OfOne);
        }
        counts.of_each.insert(of.clone(), count + 1);
        Ok(())
    }
}

impl<K: Eq + Hash> Tally<K> {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.counts.lock().in_all
    }

    /// One less of somebody's.
    fn forget(&self, of: &K) {
        let mut counts = self.counts.lock();
        let Some(count) = counts.of_each.get_mut(of) else { return };
        *count -= 1;
        if *count == 0 {
            counts.of_each.remove(of);
        }
    }

    /// How many have at least one.
    #[cfg(test)]
    pub(super) fn holders(&self) -> usize {
        self.counts.lock().of_each.len()
    }
}

impl<K: Eq + Hash + Clone> Place<K> {
    /// From now on it is known whose it is.
    ///
    /// # Errors
    /// [`Full::OfOne`]; then it is nobody's still.
    pub(super) fn name(&mut self, of: K) -> Result<(), Full> {
        let mut counts = self.tally.counts.lock();
        self.tally.count_one(&mut counts, &of)?;
        drop(counts);
        if let Some(before) = self.of.replace(of) {
            self.tally.forget(&before);
        }
        Ok(())
    }
}

impl<K: Eq + Hash> Place<K> {
    /// Whether it is this one's.
    pub(super) fn is_of(&self, one: &K) -> bool {
        self.of.as_ref() == Some(one)
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        if let Some(of) = &self.of {
            self.tally.forget(of);
        }
        self.tally.counts.lock().in_all -= 1;
    }
}
