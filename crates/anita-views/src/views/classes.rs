//! How classes come and go, and what a fix asks of each.

use crate::area::{Bounds, Shape};
use crate::class::Class;
use crate::devices::{Known, Membership};
use crate::filter::Filter;
use crate::member::Member;
use crate::spec::ClassKey;

use super::Views;

/// How many devices a class may have to be looked through for what is new: then a fix costs it next to nothing.
pub(super) const PULLED_ENTRIES_MAX: usize = 256;

/// How a class judges where a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum PlaceTest {
    /// Not at all.
    #[default]
    None,
    /// By the bounds alone.
    Bounds,
    /// The bounds first, then the class.
    WithinBounds,
    /// The class is asked.
    Class,
}

/// What a fix asks of a class.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// The round in which it was last looked at, so that none is looked at twice.
    pub(super) round: u64,
    pub(super) bounds: Bounds,
    pub(super) place: PlaceTest,
    /// Whether the class looks through its devices at each tick, and is not told of each fix.
    pub(super) is_pulled: bool,
    pub(super) is_dirty: bool,
}

impl Default for Mark {
    fn default() -> Self {
        let bounds = Bounds { min: [0.0; 2], max: [0.0; 2] };
        Self { round: 0, bounds, place: PlaceTest::None, is_pulled: false, is_dirty: false }
    }
}

impl Mark {
    /// Whether a point passes; `None` where the class has to be asked.
    #[inline]
    pub(super) fn lets(&self, point: [f64; 2]) -> Option<bool> {
        match self.place {
            PlaceTest::None => Some(true),
            PlaceTest::Bounds => Some(self.bounds.contains(point)),
            PlaceTest::WithinBounds if !self.bounds.contains(point) => Some(false),
            PlaceTest::WithinBounds | PlaceTest::Class => None,
        }
    }
}

impl Views {
    /// The class of a key, made if need be.
    pub(crate) fn class_of(&mut self, key: ClassKey) -> usize {
        if let Some(&class) = self.by_key.get(&key) {
            return class;
        }
        let class_id = self.classes.insert(Class::new(key.clone(), self.portions));
        self.by_key.insert(key, class_id);
        self.index_class(class_id);
        self.mark_class(class_id);
        let Some(class) = self.classes.get_mut(class_id) else { return class_id };
        let is_shown = |known: &Known| class.key.shows(known);
        let shown: Vec<usize> = match class.key.spec.filter.listed() {
            Some(ids) => {
                let known = ids.iter().filter_map(|id| self.devices.index_of(id));
                known.filter(|&index| self.devices.get(index).is_some_and(is_shown)).collect()
            }
            None => self
                .devices
                .iter()
                .filter(|(_index, known)| is_shown(known))
                .map(|(index, _)| index)
                .collect(),
        };
        if shown.len() > PULLED_ENTRIES_MAX
            && let Some(mark) = self.marks.get_mut(class_id)
        {
            mark.is_pulled = false;
        }
        for index in shown {
            let entry = class.begin_with(index, self.devices.newest(index).cloned());
            if let Some(known) = self.devices.get_mut(index) {
                known.memberships.push(Membership { class: class_id, entry });
            }
        }
        class_id
    }

    fn index_class(&mut self, class_id: usize) {
        let Some(class) = self.classes.get_mut(class_id) else { return };
        let filter = &class.key.spec.filter;
        if let (Some(shape), Some(site)) = (&filter.area, filter.site()) {
            let bounds = shape.bounds();
            self.grids.entry(site.clone()).or_default().insert(bounds, class_id);
            class.bounds = Some(bounds);
        } else if let Some(ids) = filter.listed() {
            for id in ids {
                self.listed.entry(id.clone()).or_default().push(class_id);
            }
        } else {
            self.open.insert(class_id);
        }
    }

    /// Notes of a new class what each fix asks.
    fn mark_class(&mut self, class_id: usize) {
        let Some(class) = self.classes.get(class_id) else { return };
        let filter = &class.key.spec.filter;
        let place = match (&filter.area, filter.has_floors()) {
            (None, false) => PlaceTest::None,
            (Some(Shape::Box(..)), false) => PlaceTest::Bounds,
            (Some(_), _) => PlaceTest::WithinBounds,
            (None, true) => PlaceTest::Class,
        };
        let bounds = class.bounds.unwrap_or(Bounds { min: [0.0; 2], max: [0.0; 2] });
        if self.marks.len() <= class_id {
            self.marks.resize(class_id + 1, Mark::default());
        }
        if let Some(mark) = self.marks.get_mut(class_id) {
            let is_pulled = class.can_be_pulled() && filter.area.is_some();
            *mark = Mark { round: 0, bounds, place, is_pulled, is_dirty: false };
        }
    }

    /// Forgets a class that nobody is in.
    pub(crate) fn drop_class(&mut self, class_id: usize) {
        let Some(class) = self.classes.try_remove(class_id) else { return };
        let filter: &Filter = &class.key.spec.filter;
        if let (Some(bounds), Some(site)) = (class.bounds, filter.site()) {
            if let Some(grid) = self.grids.get_mut(site) {
                grid.remove(bounds, class_id);
                if grid.is_empty() {
                    self.grids.remove(site);
                }
            }
        } else if let Some(ids) = filter.listed() {
            for id in ids {
                if let Some(classes) = self.listed.get_mut(id) {
                    classes.retain(|&it| it != class_id);
                    if classes.is_empty() {
                        self.listed.remove(id);
                    }
                }
            }
        } else {
            self.open.remove(&class_id);
        }
        for (_index, entry) in &class.entries {
            if let Some(known) = self.devices.get_mut(entry.device) {
                known.memberships.retain(|membership| membership.class != class_id);
            }
        }
        self.by_key.remove(&class.key);
        self.dirty.retain(|&it| it != class_id);
    }

    /// A member takes its place in a class. Says which.
    pub(crate) fn seat(&mut self, class_id: usize, member: Member) -> usize {
        let Some(class) = self.classes.get_mut(class_id) else { return 0 };
        class.members.push(member);
        class.members.len() - 1
    }
}
