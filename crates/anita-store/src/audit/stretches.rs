//! Stretches of numbers, few of them.

/// Numbers as stretches of them, in order and apart from each other: no more than a bounded number of stretches. Where there
/// would be more, the two that are closest become one, with the numbers between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stretches {
    /// First and last, lowest first.
    list: Vec<(u64, u64)>,
}

impl Stretches {
    /// The most stretches.
    pub const MAX: usize = 64;

    /// Adds the numbers `first` to `last`, whichever order they come in.
    pub fn add(&mut self, first: u64, last: u64) {
        let start = self.list.partition_point(|(_begin, end)| end.saturating_add(1) < first);
        let end = self.list.partition_point(|(begin, _end)| *begin <= last.saturating_add(1)).max(start);
        let touched = self.list.get(start..end).unwrap_or_default();
        let first = touched.first().map_or(first, |(begin, _end)| first.min(*begin));
        let last = touched.last().map_or(last, |(_begin, end)| last.max(*end));
        drop(self.list.splice(start..end, [(first, last)]));
        if self.list.len() > Self::MAX {
            self.join_closest();
        }
    }

    /// Takes all of them, lowest first: `(first, last)`.
    pub fn take(&mut self) -> Vec<(u64, u64)> {
        std::mem::take(&mut self.list)
    }

    fn join_closest(&mut self) {
        let between = |pair: &[(u64, u64)]| match pair {
            [(_first, before), (after, _last)] => after - before,
            _ => u64::MAX,
        };
        let pairs = self.list.windows(2).enumerate().rev();
        let Some((place, _pair)) = pairs.min_by_key(|(_place, pair)| between(pair)) else { return };
        let (_first, last) = self.list.remove(place + 1);
        if let Some(joined) = self.list.get_mut(place) {
            joined.1 = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whichever_order_they_come_in_neighbours_become_one() {
        let mut stretches = Stretches::default();
        for (first, last) in [(10, 12), (20, 20), (13, 15), (1, 2), (18, 19), (4, 4), (3, 3)] {
            stretches.add(first, last);
        }
        assert_eq!(stretches.take(), [(1, 4), (10, 15), (18, 20)]);
        assert_eq!(stretches.take(), []);
        stretches.add(u64::MAX - 1, u64::MAX);
        stretches.add(0, 0);
        stretches.add(0, u64::MAX);
        assert_eq!(stretches.take(), [(0, u64::MAX)]);
    }

    proptest! {
        #[test]
        fn every_number_that_was_added_is_covered_and_there_are_never_too_many(
            added in prop::collection::vec((0_u64..2_000, 0_u64..5), 1..300)
        ) {
            let mut stretches = Stretches::default();
            for (first, more) in &added {
                stretches.add(*first, first + more);
                prop_assert!(stretches.list.len() <= Stretches::MAX);
                prop_assert!(stretches.list.is_sorted_by(|(_first, last), (next, _last)| last + 1 < *next));
            }
            let all = stretches.take();
            for number in added.iter().flat_map(|(first, more)| *first..=first + more) {
                prop_assert!(all.iter().any(|(first, last)| (*first..=*last).contains(&number)), "{number}");
            }
        }
    }
}
