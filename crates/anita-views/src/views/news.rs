//! What happens to devices, taken to the classes that it concerns.

use std::sync::Arc;
use std::time::Duration;

use anita_model::{DeviceId, SiteName};
use anita_world::Device;

use super::Views;
use super::classes::{PULLED_ENTRIES_MAX, PlaceTest};
use crate::devices::Membership;
use crate::live::Live;

impl Views {
    pub(super) fn apply_fix(&mut self, live: &Arc<Live>, uptime: Duration) {
        self.devices.version = self.devices.version.max(live.version);
        let index = self.devices.index_of(&live.fix.device);
        let device = index.and_then(|index| self.devices.get(index)).map(|known| Arc::clone(&known.device));
        self.tail.push(Arc::clone(live), device);
        let Some(index) = index.filter(|_index| live.is_newest) else { return };
        let Some(known) = self.devices.get_mut(index) else { return };
        let floor_before = known.floor();
        known.newest = Some(Arc::clone(live));
        known.newest_version = live.version;
        let mut memberships = std::mem::take(&mut known.memberships);
        let (position, floor) = (Some(live.fix.position), live.fix.floor);
        self.round += 1;
        let point = [live.fix.position.x_m(), live.fix.position.y_m()];
        memberships.retain(|membership| {
            let Some(mark) = self.marks.get_mut(membership.class) else { return false };
            mark.round = self.round;
            let lets = mark.lets(point);
            if mark.is_pulled && lets == Some(true) {
                if !mark.is_dirty {
                    mark.is_dirty = true;
                    self.dirty.push(membership.class);
                }
                return true;
            }
            let Some(class) = self.classes.get_mut(membership.class) else { return false };
            let stays = lets.unwrap_or_else(|| class.key.spec.filter.lets_place(position, floor));
            let is_ready = if stays {
                class.moved(membership.entry, live, uptime)
            } else {
                class.leave(membership.entry, &live.fix.device);
                true
            };
            if is_ready {
                self.soil(membership.class, uptime);
            } else {
                self.settle(membership.class, uptime);
            }
            stays
        });
        if let Some(known) = self.devices.get_mut(index) {
            known.memberships = memberships;
        }
        let has_moved_floor = floor_before != floor;
        let around: Vec<usize> = self.around(&live.fix.site, point);
        let on_floors = if has_moved_floor { self.with_floors(&live.fix.device) } else { Vec::new() };
        for class in around.into_iter().chain(on_floors) {
            self.enter_if_shown(class, index, uptime);
        }
    }

    /// The classes with an area that may contain a point, of those that were not looked at in this round.
    fn around(&self, site: &SiteName, point: [f64; 2]) -> Vec<usize> {
        let Some(grid) = self.grids.get(site) else { return Vec::new() };
        let may_be = |id: &usize| {
            self.marks.get(*id).is_some_and(|it| it.round != self.round && it.lets(point) != Some(false))
        };
        grid.around(point).filter(may_be).collect()
    }

    /// The classes without an area that ask for floors.
    fn with_floors(&self, id: &DeviceId) -> Vec<usize> {
        let candidates = self.open.iter().chain(self.listed.get(id).into_iter().flatten()).copied();
        let asks = |id: &usize| {
            self.marks.get(*id).is_some_and(|it| it.place != PlaceTest::None && it.round != self.round)
        };
        candidates.filter(asks).collect()
    }

    pub(super) fn apply_device(&mut self, device: Arc<Device>, uptime: Duration) {
        let id = device.id.clone();
        let index = self.devices.set(device);
        self.round += 1;
        let Some(known) = self.devices.get_mut(index) else { return };
        let mut memberships = std::mem::take(&mut known.memberships);
        let (position, floor, device) = (known.position(), known.floor(), Arc::clone(&known.device));
        memberships.retain(|membership| {
            let Some(class) = self.classes.get_mut(membership.class) else { return false };
            if let Some(mark) = self.marks.get_mut(membership.class) {
                mark.round = self.round;
            }
            let filter = &class.key.spec.filter;
            let stays = filter.lets_device(&device) && filter.lets_place(position, floor);
            if !stays {
                class.leave(membership.entry, &id);
                self.soil(membership.class, uptime);
            }
            stays
        });
        if let Some(known) = self.devices.get_mut(index) {
            known.memberships = memberships;
        }
        let around = position.map(|at| self.around(&device.site, [at.x_m(), at.y_m()])).unwrap_or_default();
        let is_new = |class: &usize| self.marks.get(*class).is_some_and(|it| it.round != self.round);
        let listed = self.listed.get(&id).into_iter().flatten();
        let others: Vec<usize> = self.open.iter().chain(listed).copied().filter(is_new).collect();
        for class in around.into_iter().chain(others) {
            self.enter_if_shown(class, index, uptime);
        }
    }

    fn enter_if_shown(&mut self, class_id: usize, index: usize, uptime: Duration) {
        let round = self.round;
        let (Some(class), Some(known), Some(mark)) =
            (self.classes.get_mut(class_id), self.devices.get_mut(index), self.marks.get_mut(class_id))
        else {
            return;
        };
        let is_shown = mark.round != round && class.key.shows(known);
        mark.round = round;
        if is_shown {
            let entry = class.enter(index, known.newest.as_deref());
            if mark.is_pulled && class.entries.len() > PULLED_ENTRIES_MAX {
                mark.is_pulled = false;
                class.pull(&self.devices);
            }
            let Some(known) = self.devices.get_mut(index) else { return };
            known.memberships.push(Membership { class: class_id, entry });
            self.soil(class_id, uptime);
        }
    }

    pub(super) fn apply_removed(&mut self, id: &DeviceId, uptime: Duration) {
        let Some(index) = self.devices.index_of(id) else { return };
        let memberships = self.devices.get_mut(index).map(|known| std::mem::take(&mut known.memberships));
        for membership in memberships.into_iter().flatten() {
            if let Some(class) = self.classes.get_mut(membership.class) {
                class.leave(membership.entry, id);
                self.soil(membership.class, uptime);
            }
        }
        self.devices.remove(id);
    }
}
