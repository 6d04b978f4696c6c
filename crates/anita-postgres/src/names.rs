//! The small numbers of devices and origins.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anita_model::{DeviceId, Fix, SiteName, SourceName};
use tokio_postgres::{Error, GenericClient};

/// So many devices are known at a time; with more, knowing begins anew.
const DEVICES_MAX: usize = 1_000_000;

/// What the writing connection knows. What a transaction adds is there before its commit: when one fails, all is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Names {
    devices: HashMap<DeviceId, i32>,
    origins: HashMap<(SourceName, SiteName), i32>,
}

impl Names {
    pub(crate) fn clear(&mut self) {
        self.devices.clear();
        self.origins.clear();
    }

    /// Devices are gone: they get new numbers if they come back.
    pub(crate) fn forget(&mut self, devices: &[&DeviceId]) {
        for device in devices {
            self.devices.remove(*device);
        }
    }

    /// The numbers of a fix, once they were learnt.
    pub(crate) fn of(&self, fix: &Fix) -> Option<(i32, i32)> {
        let origin = (fix.source.clone(), fix.site.clone());
        Some((*self.devices.get(&fix.device)?, *self.origins.get(&origin)?))
    }

    /// Finds the numbers of fixes, and gives new ones to what has none.
    pub(crate) async fn learn<C: GenericClient>(
        &mut self,
        client: &C,
        fixes: &[&Arc<Fix>],
    ) -> Result<(), Error> {
        if self.devices.len() > DEVICES_MAX {
            self.devices.clear();
        }
        let new: HashSet<&DeviceId> =
            fixes.iter().map(|fix| &fix.device).filter(|it| !self.devices.contains_key(*it)).collect();
        if !new.is_empty() {
            self.learn_devices(client, new).await?;
        }
        let mut origins = HashSet::new();
        let mut last: Option<&Fix> = None;
        for fix in fixes {
            let is_same = last.is_some_and(|last| last.source == fix.source && last.site == fix.site);
            if !is_same {
                origins.insert((fix.source.clone(), fix.site.clone()));
                last = Some(fix);
            }
        }
        for origin in origins {
            if let Entry::Vacant(place) = self.origins.entry(origin) {
                let number = learn_origin(client, place.key()).await?;
                place.insert(number);
            }
        }
        Ok(())
    }

    async fn learn_devices<C: GenericClient>(
        &mut self,
        client: &C,
        new: HashSet<&DeviceId>,
    ) -> Result<(), Error> {
        let new: HashMap<&str, &DeviceId> = new.into_iter().map(|id| (id.as_str(), id)).collect();
        let ids: Vec<&str> = new.keys().copied().collect();
        let add = "INSERT INTO device_number (device_id) SELECT unnest($1::text[]) \
                   ON CONFLICT (device_id) WHERE NOT is_removed DO NOTHING";
        client.execute(add, &[&ids]).await?;
        let find = "SELECT device_id, number FROM device_number WHERE device_id = ANY($1) AND NOT is_removed";
        let rows = client.query(find, &[&ids]).await?;
        for row in rows {
            let id: &str = row.try_get(0)?;
            if let Some(id) = new.get(id) {
                self.devices.insert((*id).clone(), row.try_get(1)?);
            }
        }
        Ok(())
    }
}

async fn learn_origin<C: GenericClient>(client: &C, origin: &(SourceName, SiteName)) -> Result<i32, Error> {
    let (source, site) = (origin.0.as_str(), origin.1.as_str());
    let add = "INSERT INTO origin (source, site) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    client.execute(add, &[&source, &site]).await?;
    let find = "SELECT number FROM origin WHERE source = $1 AND site = $2";
    client.query_one(find, &[&source, &site]).await?.try_get(0)
}
