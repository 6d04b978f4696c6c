//! Protocol `anita.v1`: every message that goes over the socket, as a type.
//!
//! Text becomes a [`Request`] in [`Incoming::decode`]; a payload becomes text in [`Outgoing`]. The tables in
//! [`request`] and [`message`] are the only lists of messages: the JSON Schemas, the TypeScript types and the protocol
//! page's tables are made from them.
//!
//! What is not here: who may send what (`anita-auth`), what happens then (`anita-session`), how frames travel
//! (`anita-ws`).

pub mod close;
pub mod compose;
pub mod error;
pub mod limits;
pub mod message;
pub mod playback;
pub mod request;
pub mod schema;
pub mod view;

mod area;
mod envelope;
mod scalar;
mod strict;

pub use close::{Advice, CloseCode, CloseReason};
pub use envelope::{Incoming, Numbered, OfView, Outgoing, RequestId, check_json, encode};
pub use error::{ErrorCode, Refusal};
pub use request::{Request, RequestKind};
pub use scalar::{Kind, Metres, Percent, Place, Point, Status, Time};

/// The name of the subprotocol, as asked for in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "anita.v1";

/// What precedes a token in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL_BEARER_PREFIX: &str = "anita.bearer.";

/// What precedes a ticket in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL_TICKET_PREFIX: &str = "anita.ticket.";
