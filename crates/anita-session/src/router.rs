//! The router: a request's permission, its class and its handler, each an exhaustive match. A request without one of
//! them does not build.

use anita_auth::Permission;
use anita_model::Now;
use anita_wire::message::Pong;
use anita_wire::{ErrorCode, Incoming, Refusal, Request, RequestId, RequestKind, Time};
use bytes::Bytes;

use crate::class::RequestClass;
use crate::extension::{Caller, Extensions};
use crate::handlers::{Answer, Guard, Refused, answer};
use crate::session::Session;

/// What a request needs; `None` where being authenticated is enough.
pub(crate) fn permission(request: RequestKind) -> Option<Permission> {
    match request {
        RequestKind::Authenticate
        | RequestKind::Ping
        | RequestKind::LeaveRoom
        | RequestKind::Unsubscribe
        | RequestKind::GetConnectionStats
        | RequestKind::StopPlayback
        | RequestKind::StopPositionTracking => None,
        RequestKind::JoinRoom => Some(Permission::RoomsJoin),
        RequestKind::GetRoomMembers => Some(Permission::RoomsMembers),
        RequestKind::SendToRoom => Some(Permission::RoomsSend),
        RequestKind::GetActiveDevices
        | RequestKind::GetDeviceLocation
        | RequestKind::Subscribe
        | RequestKind::UpdateSubscription
        | RequestKind::StartPositionTracking => Some(Permission::DevicesRead),
        RequestKind::RegisterDevice | RequestKind::UpdateDevice | RequestKind::RemoveDevice => {
            Some(Permission::DevicesWrite)
        }
        RequestKind::ReportLocation => Some(Permission::LocationsReport),
        RequestKind::GetLocationHistory | RequestKind::PlayHistory | RequestKind::UpdatePlayback => {
            Some(Permission::HistoryRead)
        }
    }
}

/// What a request does to the server: each class has a rate of its own.
fn class(request: RequestKind) -> RequestClass {
    match request {
        RequestKind::ReportLocation => RequestClass::Report,
        RequestKind::Authenticate => RequestClass::Auth,
        RequestKind::Ping
        | RequestKind::GetConnectionStats
        | RequestKind::GetActiveDevices
        | RequestKind::GetDeviceLocation
        | RequestKind::GetRoomMembers => RequestClass::Read,
        RequestKind::GetLocationHistory
        | RequestKind::PlayHistory
        | RequestKind::UpdatePlayback
        | RequestKind::StopPlayback => RequestClass::Past,
        RequestKind::SendToRoom => RequestClass::Say,
        RequestKind::JoinRoom
        | RequestKind::LeaveRoom
        | RequestKind::Subscribe
        | RequestKind::UpdateSubscription
        | RequestKind::Unsubscribe
        | RequestKind::StartPositionTracking
        | RequestKind::StopPositionTracking
        | RequestKind::RegisterDevice
        | RequestKind::UpdateDevice
        | RequestKind::RemoveDevice => RequestClass::Change,
    }
}

/// The class of a type of messages; `None` for one that there is not.
pub(crate) fn class_of(name: &str, extensions: &Extensions) -> Option<RequestClass> {
    let of_domain = || extensions.has(name).then_some(RequestClass::Domain);
    RequestKind::from_type(name).map(class).or_else(of_domain)
}

impl Session {
    /// Asks for a request's permission, reads it, and calls its handler. What is not allowed is refused as such, whatever
    /// its payload.
    pub(crate) fn route(&mut self, incoming: &Incoming<'_>, now: Now) -> Result<Answer, Refused> {
        let Some(kind) = RequestKind::from_type(&incoming.name) else {
            return self.route_extension(incoming, now);
        };
        self.context.hub.metrics().count_message(kind.type_name());
        if let Some(permission) = permission(kind) {
            self.require(permission, kind.type_name())?;
        }
        let request = kind.decode(incoming.payload)?;
        let id = incoming.id.as_ref();
        let frame = match request {
            // What asks or changes the store is answered when that is done.
            Request::RegisterDevice(payload) => {
                let answering = self.register_device(payload, id, now)?;
                return Ok(Answer::Later(answering, Guard::None));
            }
            Request::UpdateDevice(payload) => {
                let guard = Guard::Device(payload.device_id.clone(), None);
                return Ok(Answer::Later(self.update_device(payload, id, now)?, guard));
            }
            Request::RemoveDevice(payload) => {
                return Ok(Answer::Later(self.remove_device(&payload, id, now)?, Guard::None));
            }
            Request::ReportLocation(payload) => {
                return Ok(Answer::Later(self.report_location(payload, id, now)?, Guard::None));
            }
            Request::GetLocationHistory(payload) => {
                let guard = Guard::Device(payload.device_id.clone(), Some(Permission::HistoryRead));
                return Ok(Answer::Later(self.location_history(&payload, id)?, guard));
            }
            Request::Authenticate(payload) => {
                return Ok(self.refresh(&payload, id, now)?.map_or(Answer::Parked, Answer::Now));
            }
            Request::Ping(_) => Ok(answer(&Pong { server_time: Time(now.wall) }, id)),
            Request::JoinRoom(payload) => self.join_room(&payload, id, now),
            Request::LeaveRoom(payload) => self.leave_room(&payload, id, now),
            Request::GetRoomMembers(payload) => self.room_members(&payload, id),
            Request::SendToRoom(payload) => self.send_to_room(payload, id, now),
            Request::GetActiveDevices(payload) => self.device_list(&payload, id),
            Request::GetDeviceLocation(payload) => self.device_location(&payload, id),
            Request::StartPositionTracking(payload) => self.start_tracking(payload, id, now),
            Request::StopPositionTracking(_) => Ok(self.stop_tracking(id, now)),
            Request::Subscribe(payload) => self.subscribe(payload, id, now),
            Request::UpdateSubscription(payload) => self.update_subscription(payload, id, now),
            Request::Unsubscribe(payload) => self.unsubscribe(payload, id, now),
            Request::GetConnectionStats(_) => Ok(self.connection_stats(id, now)),
            Request::PlayHistory(payload) => self.play_history(payload, id, now),
            Request::UpdatePlayback(payload) => self.update_playback(&payload, id, now),
            Request::StopPlayback(_) => Ok(self.stop_playback(id, now)),
        };
        frame.map(Answer::Now)
    }

    /// The same for an application's own types.
    fn route_extension(&mut self, incoming: &Incoming<'_>, now: Now) -> Result<Answer, Refused> {
        if !self.context.extensions.has(&incoming.name) {
            self.context.hub.metrics().count_message("unknown");
            let name: String = incoming.name.chars().take(64).collect();
            let refusal =
                Refusal::saying(ErrorCode::UnknownType, format!("There is no message of type {name:?}."));
            return Err(refusal.into());
        }
        self.context.hub.metrics().count_message("domain");
        if let Some(permission) = self.context.extensions.permission(&incoming.name) {
            self.require(permission, &incoming.name)?;
        }
        let principal = self.principal()?;
        let guard = Guard::AsAsked(Box::new(principal.clone()));
        let caller = Caller {
            principal: principal.clone(),
            client_id: self.client_id().to_owned(),
            now,
            manager: anita_hub::WebSocketManager::new(std::sync::Arc::clone(&self.context.hub)),
        };
        let answering = self.context.extensions.call(&incoming.name, caller, incoming.payload);
        let (answer_type, pending) = answering.ok_or(ErrorCode::UnknownType)?;
        let id = incoming.id.clone();
        let answering = async move { Ok(custom(answer_type, &pending.await?, id.as_ref())) };
        Ok(Answer::Later(Box::pin(answering), guard))
    }

    /// Refuses, and leaves an audit line, when the principal lacks a permission.
    fn require(&self, permission: Permission, action: &str) -> Result<(), Refused> {
        let principal = self.principal()?;
        if principal.may(permission) {
            return Ok(());
        }
        self.audit_forbidden(action, permission.as_str());
        let message =
            format!("This token does not allow `{action}`: it needs the permission {}.", permission.as_str());
        let details = serde_json::json!({ "permission": permission.as_str() });
        Err(Refusal::saying(ErrorCode::Forbidden, message).with_details(details).into())
    }
}

fn custom(name: &str, payload: &serde_json::Value, id: Option<&RequestId>) -> Bytes {
    anita_ws::frame::text(&anita_wire::encode(name, payload, id, None))
}

/// The frame of a refusal.
pub fn refusal_frame(refusal: &Refusal, id: Option<&RequestId>) -> Bytes {
    answer(&anita_wire::message::Error::from(refusal), id)
}
