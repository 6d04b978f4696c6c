//! The registry: lists, single devices, changes, and where devices were.

use anita_auth::Principal;
use anita_hub::{DeviceFilter, Hub};
use anita_model::{DeviceId, DeviceKind, DeviceStatus, Now, SiteName};
use anita_store::{Cursor, HistoryQuery, Order};
use anita_wire::limits::{
    DEVICE_NAME_BYTES_MAX, DEVICES_PER_PAGE_MAX, HISTORY_PER_PAGE_DEFAULT, HISTORY_PER_PAGE_MAX,
};
use anita_wire::message::{
    DeviceList, DeviceRegistered, DeviceRemoved, DeviceUpdated, Location, LocationHistory,
};
use anita_wire::request::{
    GetActiveDevices, GetDeviceLocation, GetLocationHistory, RegisterDevice, RemoveDevice, UpdateDevice,
};
use anita_wire::{ErrorCode, Percent, Place, Refusal, RequestId, Time};
use anita_world::{Changes, Registration};
use bytes::Bytes;
use serde_json::json;

use crate::handlers::{Answering, Refused, answer, answer_kept};
use crate::session::Session;

/// A refusal that names a field.
fn field(path: &str, message: impl std::fmt::Display) -> Refused {
    Refusal::saying(ErrorCode::InvalidPayload, format!("{path}: {message}."))
        .with_details(json!({ "path": path }))
        .into()
}

/// The number of items on a page: what was asked for, or the default, within the limit.
fn page_limit(asked: Option<u32>, default: usize, limit_max: usize) -> Result<usize, Refused> {
    let limit = asked.map_or(Ok(default), usize::try_from).unwrap_or(usize::MAX);
    if (1..=limit_max).contains(&limit) {
        return Ok(limit);
    }
    let refusal = Refusal::saying(ErrorCode::OutOfRange, format!("limit: has to be 1 to {limit_max}."));
    Err(refusal.with_details(json!({ "path": "limit", "limit": limit_max })).into())
}

fn check_name(name: Option<&String>) -> Result<(), Refused> {
    match name {
        Some(name) if name.len() > DEVICE_NAME_BYTES_MAX => {
            Err(field("name", format_args!("has more than {DEVICE_NAME_BYTES_MAX} bytes")))
        }
        Some(name) if name.contains(char::is_control) => Err(field("name", "holds control characters")),
        _ => Ok(()),
    }
}

pub(super) fn no_such_device(device: &DeviceId) -> Refused {
    Refusal::saying(
        ErrorCode::NotFound,
        format!("There is no device {device:?}, or this token may not see it."),
    )
    .into()
}

/// A page of devices, for a principal: connected and stale ones, unless the request says otherwise.
///
/// # Errors
/// The refusal of a limit that makes no sense.
pub fn device_list(
    hub: &Hub,
    principal: &Principal,
    payload: &GetActiveDevices,
) -> Result<DeviceList, Refused> {
    let limit = page_limit(payload.limit, DEVICES_PER_PAGE_MAX, DEVICES_PER_PAGE_MAX)?;
    let statuses = payload.status.as_ref().map_or_else(
        || vec![DeviceStatus::Connected, DeviceStatus::Stale],
        |statuses| statuses.iter().map(|&status| status.into()).collect(),
    );
    let kinds =
        payload.kinds.as_ref().map(|kinds| kinds.iter().map(|&kind| DeviceKind::from(kind)).collect());
    let filter = DeviceFilter { kinds, statuses: Some(statuses) };
    let page = hub.devices(principal, &filter, payload.after.as_deref(), limit);
    Ok(DeviceList { devices: page.devices, total: page.total, next: page.next })
}

/// A page of a device's past locations, for a principal: checked at once, read from the store then.
///
/// # Errors
/// The refusal: a range or cursor that makes no sense, a device that is not there; then a store that is away.
pub fn history_page(
    hub: &Hub,
    principal: &Principal,
    payload: &GetLocationHistory,
) -> Result<impl Future<Output = Result<LocationHistory, Refused>> + Send + use<>, Refused> {
    let limit = page_limit(payload.limit, HISTORY_PER_PAGE_DEFAULT, HISTORY_PER_PAGE_MAX)?;
    if payload.start_time.zip(payload.end_time).is_some_and(|(start, end)| start > end) {
        return Err(field("start_time", "is after end_time"));
    }
    let after = payload.after.as_deref().map(Cursor::parse).transpose();
    let after = after.map_err(|invalid| field("after", invalid))?;
    if hub.device(principal, &payload.device_id).is_none() {
        return Err(no_such_device(&payload.device_id));
    }
    let query = HistoryQuery {
        device: payload.device_id.clone(),
        start: payload.start_time.map(|time| time.0),
        end: payload.end_time.map(|time| time.0),
        order: Order::NewestFirst,
        limit,
        after,
        within: None,
    };
    let mut answer = LocationHistory {
        device_id: payload.device_id.to_string(),
        history: Vec::new(),
        start_time: payload.start_time,
        end_time: payload.end_time,
        next: None,
    };
    let past = hub.past();
    Ok(async move {
        let page = past.page(query).await?;
        answer.history = page.fixes.iter().map(|fix| anita_views::history_entry(fix)).collect();
        answer.next = page.next.map(|cursor| cursor.to_string());
        Ok(answer)
    })
}

impl Session {
    pub(crate) fn device_list(
        &self,
        payload: &GetActiveDevices,
        id: Option<&RequestId>,
    ) -> Result<Bytes, Refused> {
        Ok(answer(&device_list(&self.context.hub, self.principal()?, payload)?, id))
    }

    pub(crate) fn device_location(
        &self,
        payload: &GetDeviceLocation,
        id: Option<&RequestId>,
    ) -> Result<Bytes, Refused> {
        let device = self.context.hub.device(self.principal()?, &payload.device_id);
        let device = device.ok_or_else(|| no_such_device(&payload.device_id))?;
        if let Some(fix) = &device.live {
            return Ok(answer(&anita_views::location(fix), id));
        }
        // A device that was registered or surveyed has a place and no fix; its place is as old as its last sign.
        let (Some(position), Some(last_seen)) = (device.position(), device.last_seen) else {
            let message = format!("Where the device {:?} is, is not known yet.", payload.device_id);
            return Err(Refusal::saying(ErrorCode::NotFound, message).into());
        };
        let location = Location {
            device_id: device.id.to_string(),
            location: position.into(),
            accuracy: None,
            floor: device.floor,
            battery: device.battery_percent.map(Percent),
            site: Some(device.site).filter(|site| *site != SiteName::main()).map(|site| site.to_string()),
            timestamp: Time(last_seen),
            received_at: Time(last_seen),
        };
        Ok(answer(&location, id))
    }

    pub(crate) fn register_device(
        &mut self,
        payload: RegisterDevice,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Answering, Refused> {
        check_name(payload.name.as_ref())?;
        if !self.principal()?.may_see(payload.device_id.as_str()) {
            return Err(no_such_device(&payload.device_id));
        }
        let position = payload.initial_location.map(anita_wire::Point::position).transpose();
        let position = position.map_err(|invalid| {
            let details = json!({ "path": "initial_location" });
            Refusal::saying(ErrorCode::OutOfRange, format!("initial_location: {invalid}."))
                .with_details(details)
        })?;
        let registration = Registration {
            device: payload.device_id,
            kind: payload.kind.map_or(DeviceKind::Tag, DeviceKind::from),
            name: payload.name.filter(|name| !name.is_empty()),
            site: payload.site.unwrap_or_else(SiteName::main),
            position,
            floor: payload.floor,
        };
        let (device, kept) = self.context.hub.register(registration, now)?;
        self.audit("register device", device.id.as_str(), "done");
        let initial_location = position.map(Place::from);
        Ok(answer_kept(kept, &DeviceRegistered { device_id: device.id.to_string(), initial_location }, id))
    }

    pub(crate) fn update_device(
        &mut self,
        payload: UpdateDevice,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Answering, Refused> {
        check_name(payload.name.as_ref())?;
        if !self.principal()?.may_see(payload.device_id.as_str()) {
            return Err(no_such_device(&payload.device_id));
        }
        let changes = Changes { name: payload.name, kind: payload.kind.map(DeviceKind::from) };
        let updated = self.context.hub.update(&payload.device_id, changes, now);
        let (device, kept) = updated.ok_or_else(|| no_such_device(&payload.device_id))?;
        self.audit("update device", device.id.as_str(), "done");
        Ok(answer_kept(kept, &DeviceUpdated { device: anita_views::device(&device) }, id))
    }

    pub(crate) fn remove_device(
        &mut self,
        payload: &RemoveDevice,
        id: Option<&RequestId>,
        now: Now,
    ) -> Result<Answering, Refused> {
        let device = &payload.device_id;
        let may_see = self.principal()?.may_see(device.as_str());
        let removed = if may_see { self.context.hub.remove(device, now) } else { None };
        let kept = removed.ok_or_else(|| no_such_device(device))?;
        self.audit("remove device", device.as_str(), "done");
        Ok(answer_kept(kept, &DeviceRemoved { device_id: device.to_string() }, id))
    }

    pub(crate) fn location_history(
        &self,
        payload: &GetLocationHistory,
        id: Option<&RequestId>,
    ) -> Result<Answering, Refused> {
        let page = history_page(&self.context.hub, self.principal()?, payload)?;
        let id = id.cloned();
        Ok(Box::pin(async move { Ok(answer(&page.await?, id.as_ref())) }))
    }
}
