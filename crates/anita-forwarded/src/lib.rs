//! Whom a proxy speaks for: the address of a client in what a proxy says before or inside a request.
//!
//! Pure functions of bytes. They never panic, whatever the bytes are, and what they cannot read is no address. Whether
//! the other end *is* a proxy is asked of [`Networks`]: nobody else is believed.

mod forwarded;
mod networks;
pub mod proxy_protocol;

pub use forwarded::{Forwarded, client_of};
pub use networks::{InvalidNetwork, Networks};
