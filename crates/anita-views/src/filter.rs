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

    /// Whether it asks for floors.
    pub(crate) fn has_floors(&self) -> bool {
        self.floors.is_some()
    }

    /// The only ids that it lets pass, if it names them.
    pub(crate) fn listed(&self) -> Option<&BTreeSet<DeviceId>> {
        self.ids.as_ref().filter(|_ids| self.patterns.is_none())
    }

    pub(crate) fn site(&self) -> Option<&SiteName> {
        self.site.as_ref()
    }

    /// Whether a place on a floor passes; the site is not asked.
    pub fn lets_place(&self, position: Option<Position>, floor: Option<f64>) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filter(wire: serde_json::Value) -> Filter {
        let wire: ViewFilter = serde_json::from_value(wire).unwrap();
        Filter::from_wire(&wire).unwrap()
    }

    fn device(id: &str, kind: DeviceKind, status: DeviceStatus, site: &str) -> Device {
        let mut device = Device::new(DeviceId::parse(id).unwrap(), kind, SiteName::parse(site).unwrap());
        device.status = status;
        device
    }

    #[test]
    fn what_a_device_is_passes_when_everything_that_is_asked_holds() {
        use {DeviceKind::*, DeviceStatus::*};
        let cases = [
            (json!({}), "t1", Tag, Connected, "main", true),
            (json!({}), "t1", Tag, Stale, "b", true),
            (json!({}), "t1", Tag, Disconnected, "main", false),
            (json!({ "status": ["disconnected"] }), "t1", Tag, Disconnected, "main", true),
            (json!({ "status": [] }), "t1", Tag, Connected, "main", false),
            (json!({ "devices": [] }), "t1", Tag, Connected, "main", false),
            (json!({ "devices": ["t1"] }), "t1", Tag, Connected, "main", true),
            (json!({ "devices": ["t1"] }), "t10", Tag, Connected, "main", false),
            (json!({ "devices": ["a1", "t*"] }), "t10", Tag, Connected, "main", true),
            (json!({ "devices": ["a1", "t*"] }), "a1", Anchor, Connected, "main", true),
            (json!({ "devices": ["a1", "t*"] }), "a2", Anchor, Connected, "main", false),
            (json!({ "devices": ["t[12]"] }), "t2", Tag, Connected, "main", true),
            (json!({ "devices": ["{t1,t3}"] }), "t2", Tag, Connected, "main", false),
            (json!({ "kinds": ["anchor"] }), "t1", Tag, Connected, "main", false),
            (json!({ "kinds": ["anchor", "tag"] }), "t1", Tag, Connected, "main", true),
            (json!({ "site": "b" }), "t1", Tag, Connected, "main", false),
            (
                json!({ "area": { "circle": { "x": 0, "y": 0, "radius_m": 1 } } }),
                "t1",
                Tag,
                Connected,
                "b",
                false,
            ),
            (
                json!({ "site": "b", "area": { "circle": { "x": 0, "y": 0, "radius_m": 1 } } }),
                "t1",
                Tag,
                Connected,
                "b",
                true,
            ),
        ];
        for (wire, id, kind, status, site, passes) in cases {
            let device = device(id, kind, status, site);
            assert_eq!(filter(wire.clone()).lets_device(&device), passes, "{wire} {id} {status:?} {site}");
        }
    }

    #[test]
    fn a_place_passes_on_its_floors_and_inside_its_area() {
        let disc = json!({ "circle": { "x": 1, "y": 1, "radius_m": 1 } });
        let cases = [
            (json!({}), None, None, true),
            (json!({ "floors": [0.0, 1.5] }), None, Some(1.5), true),
            (json!({ "floors": [0.0, 1.5] }), None, Some(-0.0), true),
            (json!({ "floors": [0.0] }), Some([1.0, 1.0]), Some(1.0), false),
            (json!({ "floors": [0.0] }), Some([1.0, 1.0]), None, false),
            (json!({ "floors": [] }), None, Some(0.0), false),
            (json!({ "area": disc }), Some([1.0, 2.0]), None, true),
            (json!({ "area": disc }), Some([1.0, 2.1]), None, false),
            (json!({ "area": disc }), None, None, false),
            (json!({ "area": disc, "floors": [1.0] }), Some([1.0, 1.0]), Some(0.0), false),
        ];
        for (wire, place, floor, passes) in cases {
            let filter = filter(wire.clone());
            let position = place.map(|[x, y]| Position::new(x, y, 0.0).unwrap());
            assert_eq!(filter.lets_place(position, floor), passes, "{wire} {place:?} {floor:?}");
            assert!(filter.has_floors() || filter.area.is_some() || passes);
        }
    }

    #[test]
    fn a_filter_lists_its_devices_when_it_names_them_all() {
        assert!(filter(json!({ "devices": ["t1", "t2"] })).listed().is_some_and(|ids| ids.len() == 2));
        assert!(filter(json!({ "devices": [] })).listed().is_some_and(BTreeSet::is_empty));
        assert!(filter(json!({ "devices": ["t1", "a*"] })).listed().is_none());
        assert!(Filter::all().listed().is_none());
    }

    #[test]
    fn what_is_neither_an_id_nor_a_pattern_is_refused() {
        for devices in [json!(["t["]), json!(["{t1"]), json!(["a*".repeat(200)])] {
            let wire: ViewFilter = serde_json::from_value(json!({ "devices": devices })).unwrap();
            Filter::from_wire(&wire).unwrap_err();
        }
    }

    #[test]
    fn equal_filters_are_one_key() {
        let one = filter(json!({ "devices": ["t2", "t1"], "kinds": ["tag", "anchor"] }));
        assert_eq!(one, filter(json!({ "devices": ["t1", "t2", "t1"], "kinds": ["anchor", "tag"] })));
        assert_ne!(one, filter(json!({ "devices": ["t1", "t2"] })));
    }
}
