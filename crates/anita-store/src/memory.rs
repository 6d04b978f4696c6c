//! A registry that forgets with the process: for `storage.url = "memory"` and for tests.

use std::collections::BTreeMap;

use anita_model::DeviceId;
use parking_lot::Mutex;

use crate::port::{BoxFuture, DeviceChange, DeviceRecord, DeviceStore, StoreError};

/// The registry in memory.
#[derive(Debug, Default)]
pub struct MemoryDevices {
    devices: Mutex<BTreeMap<DeviceId, DeviceRecord>>,
}

impl DeviceStore for MemoryDevices {
    fn load(&self) -> BoxFuture<'_, Result<Vec<DeviceRecord>, StoreError>> {
        let devices = self.devices.lock().values().cloned().collect();
        Box::pin(std::future::ready(Ok(devices)))
    }

    fn apply(&self, changes: Vec<DeviceChange>) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut devices = self.devices.lock();
        for change in changes {
            match change {
                DeviceChange::Save(device) => devices.insert(device.id.clone(), device),
                DeviceChange::Remove(id) => devices.remove(&id),
            };
        }
        drop(devices);
        Box::pin(std::future::ready(Ok(())))
    }
}
