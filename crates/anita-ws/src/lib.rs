//! WebSocket (RFC 6455) with compression (RFC 7692), server side only, in two parts.
//!
//! The first part is pure, without I/O: [`Handshake`] judges an upgrade request and answers it, [`Decoder`] turns the
//! client's bytes into [`Message`]s or a [`Violation`], and [`frame`] makes complete frames that can be shared among
//! any number of connections. The second part, [`Socket`], drives both over a stream of tokio.
//!
//! What is deliberately not here: the client side (frames to a server must be masked), HTTP itself, timeouts for
//! silence, rate limits, and extensions other than `permessage-deflate`. Of that, each message is compressed on its own:
//! [`Handshake::negotiate`] agrees on it, [`Socket::accept_compressed`] inflates, [`frame::deflated`] compresses once
//! for all connections.
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

mod compression;
mod decoder;
mod deflate;
mod handshake;
mod header;
mod inflate;
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
pub use compression::{Agreed, Compression};
pub use decoder::Decoder;
pub use deflate::Deflater;
pub use frame::Opcode;
pub use handshake::{Handshake, HandshakeError};
pub use limits::Limits;
pub use message::{Message, Text};
pub use socket::{Close, Closed, Event, Offered, Reading, Socket, SocketError, Transport};
pub use violation::Violation;
