//! The short numbers of devices and origins.

use std::collections::HashMap;

use anita_model::{DeviceId, SiteName, SourceName};
use rusqlite::Connection;

use crate::fault::Fault;

/// A site and a source.
pub(crate) type Origin = (SiteName, SourceName);

/// The numbers that are known.
#[derive(Debug, Default)]
pub(crate) struct Names {
    devices: HashMap<DeviceId, i64>,
    origin_numbers: HashMap<Origin, u32>,
    origins: HashMap<u32, Origin>,
}

impl Names {
    pub(crate) fn load(connection: &Connection) -> Result<Self, Fault> {
        let mut names = Self::default();
        let mut statement = connection.prepare("SELECT no, id FROM device_no")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let Ok(id) = DeviceId::parse(row.get_ref(1)?.as_str().unwrap_or_default()) {
                names.devices.insert(id, row.get(0)?);
            }
        }
        let mut statement = connection.prepare("SELECT no, site, source FROM origin")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let site = SiteName::parse(row.get_ref(1)?.as_str().unwrap_or_default());
            let source = SourceName::parse(row.get_ref(2)?.as_str().unwrap_or_default());
            if let (Ok(site), Ok(source)) = (site, source) {
                names.name_origin(row.get(0)?, (site, source));
            }
        }
        Ok(names)
    }

    pub(crate) fn device(&self, id: &DeviceId) -> Option<i64> {
        self.devices.get(id).copied()
    }

    pub(crate) fn devices(&self) -> impl Iterator<Item = (&DeviceId, i64)> {
        self.devices.iter().map(|(id, number)| (id, *number))
    }

    pub(crate) fn origin(&self, number: u32) -> Option<&Origin> {
        self.origins.get(&number)
    }

    pub(crate) fn origin_number(&self, origin: &Origin) -> Option<u32> {
        self.origin_numbers.get(origin).copied()
    }

    fn name_origin(&mut self, number: u32, origin: Origin) {
        self.origin_numbers.insert(origin.clone(), number);
        self.origins.insert(number, origin);
    }

    /// Takes over what a commit added and removed.
    pub(crate) fn apply(&mut self, changes: Changes) {
        for (id, number) in changes.devices {
            match number {
                Some(number) => drop(self.devices.insert(id, number)),
                None => drop(self.devices.remove(&id)),
            }
        }
        for (origin, number) in changes.origins {
            self.name_origin(number, origin);
        }
    }
}

/// What a commit under way adds and removes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    devices: HashMap<DeviceId, Option<i64>>,
    origins: HashMap<Origin, u32>,
    last_origin: Option<(Origin, u32)>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.origins.is_empty()
    }

    /// The number of a device; a new one where it has none.
    pub(crate) fn device(&mut self, names: &Names, id: &DeviceId, db: &Connection) -> Result<i64, Fault> {
        let changed = if self.devices.is_empty() { None } else { self.devices.get(id) };
        let known = match changed {
            Some(changed) => *changed,
            None => names.device(id),
        };
        if let Some(number) = known {
            return Ok(number);
        }
        db.prepare_cached("INSERT INTO device_no (id) VALUES (?1)")?.execute([id.as_str()])?;
        let number = db.last_insert_rowid();
        self.devices.insert(id.clone(), Some(number));
        Ok(number)
    }

    /// The number of a device that has one; it has none from now on.
    pub(crate) fn forget(&mut self, names: &Names, id: &DeviceId) -> Option<i64> {
        let known = match self.devices.get(id) {
            Some(changed) => *changed,
            None => names.device(id),
        };
        if known.is_some() {
            self.devices.insert(id.clone(), None);
        }
        known
    }

    pub(crate) fn origin(
        &mut self,
        names: &Names,
        site: &SiteName,
        source: &SourceName,
        db: &Connection,
    ) -> Result<u32, Fault> {
        if let Some(((last_site, last_source), number)) = &self.last_origin
            && last_site == site
            && last_source == source
        {
            return Ok(*number);
        }
        let origin = (site.clone(), source.clone());
        let known = names.origin_number(&origin).or_else(|| self.origins.get(&origin).copied());
        let number = if let Some(number) = known {
            number
        } else {
            let mut insert = db.prepare_cached(
                "INSERT INTO origin (no, site, source)
                 VALUES ((SELECT coalesce(max(no), 0) + 1 FROM origin), ?1, ?2) RETURNING no",
            )?;
            let number = insert.query_row([site.as_str(), source.as_str()], |row| row.get(0))?;
            self.origins.insert(origin.clone(), number);
            number
        };
        self.last_origin = Some((origin, number));
        Ok(number)
    }
}
