//! The handlers: what each request does. Each returns the complete frame of its answer.

mod devices;
pub(crate) mod locations;
mod playback;
pub(crate) mod rooms;
mod system;
mod tracking;
pub(crate) mod views;

use anita_auth::{Permission, Principal};
use anita_hub::{HubFault, Kept};
use anita_model::DeviceId;
use anita_store::StoreError;
use anita_wire::message::ServerPayload;
use anita_wire::{ErrorCode, Outgoing, Refusal, RequestId};
use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use devices::{device_list, history_page};

/// A request that is not done: the client's refusal. A fault is logged where it becomes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused(pub Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Self(code.into())
    }
}

impl From<HubFault> for Refused {
    fn from(fault: HubFault) -> Self {
        match fault {
            HubFault::Store { cause: StoreError::Invalid(cause), .. } => {
                tracing::error!(%cause, "the store cannot hold what was sent");
                Self(ErrorCode::Internal.into())
            }
            // How the store is, is said in the log when that changes.
            HubFault::Store { cause, retry_after } => {
                tracing::debug!(error = %cause, "a request was refused because of the store");
                let retry_after_ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
                let message = "The store does not keep or give anything just now; what is live goes on.";
                Self(Refusal::saying(ErrorCode::Unavailable, message).with_retry_after_ms(retry_after_ms))
            }
            HubFault::Told(error) => {
                tracing::error!(%error, "a request met a fault");
                Self(ErrorCode::Internal.into())
            }
        }
    }
}

/// What a handler gives back.
pub(crate) enum Answer {
    /// The complete frame.
    Now(Bytes),
    /// The same, when something else is done. The conversation goes on meanwhile; who may not know it any more when it
    /// is there is refused.
    Later(Answering, Guard),
    /// None yet: the conversation waits, and answers when it goes on.
    Parked,
}

/// An answer under way.
pub(crate) type Answering = BoxFuture<'static, Result<Bytes, Refused>>;

/// What somebody must be allowed for an answer under way to be given.
pub(crate) enum Guard {
    /// It says nothing but what the asker said.
    None,
    /// To know of a device, and perhaps a permission.
    Device(DeviceId, Option<Permission>),
    /// Whatever the asker was allowed: only the application knows what is in the answer.
    AsAsked(Box<Principal>),
}

impl Guard {
    /// The refusal of the answer, if it must not be given.
    pub(crate) fn refusal(&self, principal: &Principal) -> Option<Refusal> {
        let lacks = |permission: Permission| !principal.may(permission);
        match self {
            Self::None => None,
            Self::Device(_device, Some(permission)) if lacks(*permission) => {
                Some(ErrorCode::Forbidden.into())
            }
            Self::Device(device, _) => {
                (!principal.may_see(device.as_str())).then(|| devices::no_such_device(device).0)
            }
            Self::AsAsked(asker) => {
                let is_same = asker.permissions.intersection(principal.permissions) == asker.permissions
                    && asker.devices == principal.devices
                    && asker.rooms == principal.rooms;
                (!is_same).then(|| ErrorCode::Forbidden.into())
            }
        }
    }
}

/// The complete frame of an answer.
pub(crate) fn answer<P: ServerPayload>(payload: &P, id: Option<&RequestId>) -> Bytes {
    anita_ws::frame::text(&Outgoing::answer(payload, id).to_text())
}

/// The same, when something is kept.
pub(crate) fn answer_kept<P: ServerPayload>(kept: Kept, payload: &P, id: Option<&RequestId>) -> Answering {
    let frame = answer(payload, id);
    Box::pin(async move {
        kept.await?;
        Ok(frame)
    })
}
