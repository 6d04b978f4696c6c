//! Which devices a view shows.

use std::collections::BTreeSet;

use anita_auth::{InvalidPattern, Patterns};
use anita_model::{DeviceId, DeviceKind, DeviceStatus, Position, SiteName};
use anita_wire::view::ViewFilter;
use anita_world::Device;

use crate::area::{Exact, Shape};

/// Which devices a view shows. It can be a key: views with equal filters share their frames.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// By id, by pattern, or both; `None` lets all pass.
    ids: Option<BTreeSet<DeviceId>>,
    patterns: Option<Patterns>,
    kinds: Option<BTreeSet<DeviceKind>>,
    statuses: Option<BTreeSet<DeviceStatus>>,
    floors: Option<Vec<Exact>>,
    site: Option<SiteName>,
    pub(crate) area: Option<Shape>,
}

impl Filter {
    /// Every device, whatever its status.
    pub fn all() -> Self {
        Self::default()
    }

    /// These devices, whatever their status.
    pub fn devices(ids: impl IntoIterator<Item = DeviceId>) -> Self {
        Self { ids: Some(ids.into_iter().collect()), ..Self::default() }
    }

    /// What a client asks for. Where it names no status, connected and stale devices are meant, as in a device list.
    ///
    /// # Errors
    /// [`InvalidPattern`] for a device that is neither an id nor a pattern, or for too many patterns.
    pub fn from_wire(wire: &ViewFilter) -> Result<Self, InvalidPattern> {
        let (mut ids, mut patterns) = (BTreeSet::new(), Vec::new());
        for device in wire.devices.iter().flatten() {
            match DeviceId::parse(device) {
                Ok(id) if !device.contains(['*', '?', '[', '{', '\\']) => {
                    ids.insert(id);
                }
                _ => patterns.push(device.clone()),
            }
        }
        let active = || [DeviceStatus::Connected, DeviceStatus::Stale].into();
        let statuses = wire.status.as_ref().map(|statuses| statuses.iter().map(|&it| it.into()).collect());
        let floors = wire.floors.as_ref().map(|floors| floors.iter().map(|&it| Exact::new(it)).collect());
        let main = || wire.area.as_ref().map(|_area| SiteName::main());
        Ok(Self {
            ids: wire.devices.is_some().then_some(ids),
            patterns: if patterns.is_empty() { None } else { Some(Patterns::parse(&patterns)?) },
            kinds: wire.kinds.as_ref().map(|kinds| kinds.iter().map(|&it| it.into()).collect()),
            statuses: Some(statuses.unwrap_or_else(active)),
            floors,
            site: wire.site.clone().or_else(main),
            area: wire.area.as_ref().map(Shape::from),
        })
    }

    /// Whether it depends on where a device is.
    pub(crate) fn has_place(&self) -> bool {
        self.area.is_some() || self.floors.is_some()
    }

    /// The only ids that it lets pass, if it names them.
    pub(crate) fn listed(&self) -> Option<&BTreeSet<DeviceId>> {
        self.ids.as_ref().filter(|_ids| self.patterns.is_none())
    }

    pub(crate) fn site(&self) -> Option<&SiteName> {
        self.site.as_ref()
    }

    /// Whether a place on a floor passes; the site is not asked.
    pub(crate) fn lets_place(&self, position: Option<Position>, floor: Option<f64>) -> bool {
        let is_inside = |shape: &Shape| position.is_some_and(|at| shape.contains([at.x_m(), at.y_m()]));
        let is_on = |floors: &Vec<Exact>| floor.is_some_and(|floor| floors.contains(&Exact::new(floor)));
        self.floors.as_ref().is_none_or(is_on) && self.area.as_ref().is_none_or(is_inside)
    }

    /// Whether what a device is passes, wherever it is.
    pub(crate) fn lets_device(&self, device: &Device) -> bool {
        let is_named = match (&self.ids, &self.patterns) {
            (None, None) => true,
            (ids, patterns) => {
                ids.as_ref().is_some_and(|ids| ids.contains(&device.id))
                    || patterns.as_ref().is_some_and(|it| it.allow(device.id.as_str()))
            }
        };
        is_named
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&device.kind))
            && self.statuses.as_ref().is_none_or(|statuses| statuses.contains(&device.status))
            && self.site.as_ref().is_none_or(|site| *site == device.site)
    }
}
