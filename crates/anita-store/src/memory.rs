//! A registry that forgets with the process: for `storage.url = "memory"` and for tests.

use std::collections::BTreeMap;

use anita_model::DeviceId;
use parking_lot::Mutex;

use crate::port::{BoxFuture, DeviceRecord, DeviceStore, StoreError};

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

    fn save(&self, device: DeviceRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        self.devices.lock().insert(device.id.clone(), device);
        Box::pin(std::future::ready(Ok(())))
    }

    fn remove(&self, device: DeviceId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.devices.lock().remove(&device);
        Box::pin(std::future::ready(Ok(())))
    }
}
