//! Which areas may contain a point: a grid of several sizes.
//!
//! An area lies in the cells of one level, whose cells are a quarter of its length or a little more: a few dozen at
//! most, however large it is. A point lies in one cell of each level. So the areas around a point are found without
//! looking at those elsewhere, and an area that moves costs the same wherever it goes.

use std::collections::{BTreeMap, HashMap};

use crate::area::Bounds;

/// How many cells an area is long at most; more cells make an area dearer to move and a point cheaper to look up.
const CELLS_PER_SIDE: f64 = 4.0;

/// The smallest cells are 2^-3 m long, the largest 2^24 m: more than the largest coordinate.
const LEVELS: std::ops::RangeInclusive<i32> = -3..=24;

/// A cell: its level, and its place in the grid of that level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Cell {
    level: i32,
    x: i64,
    y: i64,
}

/// Areas by where they are.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    cells: HashMap<Cell, Vec<usize>>,
    /// The levels in use, and by how many areas.
    levels: BTreeMap<i32, usize>,
}

impl Grid {
    /// Enters an area under a number.
    pub(crate) fn insert(&mut self, bounds: Bounds, id: usize) {
        *self.levels.entry(level_of(bounds)).or_default() += 1;
        for cell in cells_of(bounds) {
            self.cells.entry(cell).or_default().push(id);
        }
    }

    /// Takes an area out that was entered with these bounds.
    pub(crate) fn remove(&mut self, bounds: Bounds, id: usize) {
        let level = level_of(bounds);
        if let Some(count) = self.levels.get_mut(&level) {
            *count -= 1;
            if *count == 0 {
                self.levels.remove(&level);
            }
        }
        for cell in cells_of(bounds) {
            let Some(ids) = self.cells.get_mut(&cell) else { continue };
            if let Some(place) = ids.iter().position(|&it| it == id) {
                ids.swap_remove(place);
            }
            if ids.is_empty() {
                self.cells.remove(&cell);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The areas that may contain a point; each once.
    pub(crate) fn around(&self, point: [f64; 2]) -> impl Iterator<Item = usize> {
        let cells = self.levels.keys().map(move |&level| cell_of(level, point));
        cells.filter_map(|cell| self.cells.get(&cell)).flatten().copied()
    }
}

fn level_of(bounds: Bounds) -> i32 {
    let ([min_x, min_y], [max_x, max_y]) = (bounds.min, bounds.max);
    let side = (max_x - min_x).max(max_y - min_y) / CELLS_PER_SIDE;
    LEVELS.into_iter().find(|&level| length_of(level) >= side).unwrap_or(*LEVELS.end())
}

fn length_of(level: i32) -> f64 {
    2.0_f64.powi(level)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "coordinates are at most 10,000 km, cells at least an eighth of a metre"
)]
fn cell_of(level: i32, [x, y]: [f64; 2]) -> Cell {
    let length = length_of(level);
    Cell { level, x: (x / length).floor() as i64, y: (y / length).floor() as i64 }
}

fn cells_of(bounds: Bounds) -> impl Iterator<Item = Cell> {
    let level = level_of(bounds);
    let (first, last) = (cell_of(level, bounds.min), cell_of(level, bounds.max));
    (first.x..=last.x).flat_map(move |x| (first.y..=last.y).map(move |y| Cell { level, x, y }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_area_takes_a_few_cells_whatever_its_size() {
        for side in [0.0, 0.1, 1.0, 7.9, 50.0, 3_000.0, 2e7] {
            let bounds = Bounds { min: [-side / 2.0; 2], max: [side / 2.0; 2] };
            let count = cells_of(bounds).count();
            assert!((1..=36).contains(&count), "{side}: {count}");
        }
    }

    proptest! {
        /// The grid against the obvious thing: every area is asked.
        #[test]
        fn no_area_around_a_point_is_missed_and_what_is_removed_is_gone(
            areas in proptest::collection::vec((-50.0..50.0_f64, -50.0..50.0_f64, 0.0..40.0_f64, 0.0..40.0_f64), 1..30),
            removed in 0_usize..30,
            point in [-60.0..100.0_f64, -60.0..100.0_f64],
        ) {
            let all: Vec<Bounds> =
                areas.iter().map(|&(x, y, w, h)| Bounds { min: [x, y], max: [x + w, y + h] }).collect();
            let mut grid = Grid::default();
            for (id, &bounds) in all.iter().enumerate() {
                grid.insert(bounds, id);
            }
            if let Some(&bounds) = all.get(removed) {
                grid.remove(bounds, removed);
            }
            let mut found: Vec<usize> = grid.around(point).collect();
            found.sort_unstable();
            let before = found.len();
            found.dedup();
            prop_assert_eq!(found.len(), before, "each once");
            prop_assert!(!found.contains(&removed));
            for (id, bounds) in all.iter().enumerate() {
                prop_assert!(!bounds.contains(point) || id == removed || found.contains(&id));
            }
        }
    }
}
