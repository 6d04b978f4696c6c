//! A picture of the world: what each device is, its newest fix, and the classes it is in.

use std::collections::HashMap;
use std::sync::Arc;

use anita_model::{DeviceId, Position};
use anita_world::Device;
use slab::Slab;

use crate::class::wire_number;
use crate::encode::Shown;
use crate::live::Live;

/// A device's place in a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) class: usize,
    pub(crate) entry: usize,
}

#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) device: Arc<Device>,
    pub(crate) newest: Option<Arc<Live>>,
    /// The version of the newest fix, 0 where there is none; beside it, because every tick asks.
    pub(crate) newest_version: u64,
    pub(crate) memberships: Vec<Membership>,
}

impl Known {
    pub(crate) fn position(&self) -> Option<Position> {
        self.newest.as_ref().map(|live| live.fix.position).or(self.device.mounted_at)
    }

    pub(crate) fn floor(&self) -> Option<f64> {
        self.newest.as_ref().map_or(self.device.floor, |live| live.fix.floor)
    }
}

/// Every device.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    known: Slab<Known>,
    by_id: HashMap<DeviceId, usize>,
    /// The number of the last fix.
    pub(crate) version: u64,
}

impl Devices {
    pub(crate) fn index_of(&self, id: &DeviceId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Known> {
        self.known.get(index)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Known> {
        self.known.get_mut(index)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Known)> {
        self.known.iter()
    }

    pub(crate) fn newest(&self, index: usize) -> Option<&Arc<Live>> {
        self.get(index).and_then(|known| known.newest.as_ref())
    }

    /// The version of a device's newest fix; 0 where there is none.
    pub(crate) fn newest_version(&self, index: usize) -> u64 {
        self.get(index).map_or(0, |known| known.newest_version)
    }

    /// Enters a device, or says anew what it is.
    pub(crate) fn set(&mut self, device: Arc<Device>) -> usize {
        if let Some(index) = self.index_of(&device.id) {
            if let Some(known) = self.get_mut(index) {
                known.device = device;
            }
            return index;
        }
        let id = device.id.clone();
        let index =
            self.known.insert(Known { device, newest: None, newest_version: 0, memberships: Vec::new() });
        self.by_id.insert(id, index);
        index
    }

    pub(crate) fn remove(&mut self, id: &DeviceId) {
        if let Some(index) = self.by_id.remove(id) {
            self.known.remove(index);
        }
    }

    /// A device as it is shown, with the fix that was told.
    pub(crate) fn shown<'a>(&'a self, index: usize, live: Option<&'a Live>) -> Option<Shown<'a>> {
        self.get(index).map(|known| Shown { number: wire_number(index), device: &known.device, live })
    }
}
