//! WebSocket (RFC 6455), server side only, in two parts.
//!
//! The first part is pure, without I/O: [`Handshake`] judges an upgrade request and answers it, [`Decoder`] turns the
//! client's bytes into [`Message`]s or a [`Violation`], and [`frame`] makes complete frames that can be shared among
//! any number of connections. The second part, [`Socket`], drives both over a stream of tokio.
//!
//! What is deliberately not here: the client side (frames to a server must be masked), HTTP itself, timeouts for
//! silence, rate limits, and extensions. Compression (RFC 7692) has its place in the header's reserved bits, which are
//! refused until an extension is negotiated.
//!
//! ```
//! use anita_ws::{Decoder, Limits, Message};
//!
//! let mut decoder = Decoder::new(Limits::default());
//! decoder.buffer_mut().extend_from_slice(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
//! let message = decoder.next_message()?;
//! assert!(matches!(message, Some(Message::Text(text)) if text == "Hello"));
//! # Ok::<(), anita_ws::Violation>(())
//! ```

pub mod close;
pub mod frame;

mod decoder;
mod handshake;
mod header;
mod limits;
mod mask;
mod message;
mod outgoing;
mod socket;
mod utf8;
mod violation;

#[cfg(test)]
mod client_frame;

pub use close::CloseFrame;
pub use decoder::Decoder;
pub use frame::Opcode;
pub use handshake::{Handshake, HandshakeError};
pub use limits::Limits;
pub use message::{Message, Text};
pub use socket::{Close, Closed, Event, Reading, Socket, SocketError};
pub use violation::Violation;
