//! The handlers: what each request does. Each returns the complete frame of its answer.

mod devices;
pub(crate) mod locations;
mod rooms;
mod system;
mod tracking;
pub(crate) mod views;

use anita_hub::HubFault;
use anita_wire::message::ServerPayload;
use anita_wire::{ErrorCode, Outgoing, Refusal, RequestId};
use bytes::Bytes;

pub use devices::{device_list, history_page};

/// When to try again after a fault of the store, milliseconds.
const STORE_RETRY_AFTER_MS: u64 = 1_000;

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
        let cause = std::error::Error::source(&fault).map(ToString::to_string);
        tracing::error!(error = %fault, cause, "a request met a fault");
        match fault {
            HubFault::Store(_) => {
                Self(Refusal::new(ErrorCode::Unavailable).with_retry_after_ms(STORE_RETRY_AFTER_MS))
            }
        }
    }
}

/// The complete frame of an answer.
pub(crate) fn answer<P: ServerPayload>(payload: &P, id: Option<&RequestId>) -> Bytes {
    anita_ws::frame::text(&Outgoing::answer(payload, id).to_text())
}
