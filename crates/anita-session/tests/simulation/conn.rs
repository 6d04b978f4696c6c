//! One connection, both ends of it and what is between them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anita_hub::Peer;
use anita_model::Timestamp;
use anita_session::Session;
use bytes::{Bytes, BytesMut};

use crate::client::Client;
use crate::house::Minted;
use crate::link::{Millis, Quality, Socket, Way};
use crate::rights::Rights;

/// What a client sends.
#[derive(Debug)]
pub(crate) enum Up {
    Text(Option<u64>, String),
    Pong,
    Close,
}

/// What the server should believe of the other end.
#[derive(Debug, Clone)]
pub(crate) struct Believed {
    pub(crate) rights: Rights,
    pub(crate) issued_at: Timestamp,
    /// When the token and its leeway run out, by the server's uptime.
    pub(crate) expires_at: Duration,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) user: usize,
    /// Which server it was made to.
    pub(crate) run: u32,
    pub(crate) quality: Quality,
    // --- the server's end
    pub(crate) session: Option<Box<Session>>,
    pub(crate) peer: Arc<Peer>,
    pub(crate) socket: Arc<Socket>,
    pub(crate) arrived: VecDeque<Up>,
    pub(crate) believed: Option<Believed>,
    /// The token that is being brought.
    pub(crate) brought: Option<Minted>,
    /// When anything was heard last, by the server's uptime.
    pub(crate) heard_at: Duration,
    pub(crate) wake_ms: Option<Millis>,
    /// Whether it has to be looked after.
    pub(crate) is_touched: bool,
    // --- the ways
    pub(crate) up: Way<Up>,
    pub(crate) down: Way<Bytes>,
    pub(crate) drain_ms: Option<Millis>,
    /// Whether bytes still go from the server to the client, and back.
    pub(crate) is_through: bool,
    // --- the client's end
    pub(crate) client: Client,
    pub(crate) is_client_there: bool,
    pub(crate) inbox: BytesMut,
    pub(crate) client_heard_ms: Millis,
    /// Since when the link was without any trouble.
    pub(crate) fine_since_ms: Millis,
}

impl Conn {
    /// Whether there is nothing of it left.
    pub(crate) fn is_over(&self) -> bool {
        let is_server_done = self.session.is_none() && (!self.is_through || !self.socket.has_kernel_bytes());
        is_server_done && !self.is_client_there
    }
}

/// The frame that ends a connection (RFC 6455, 5.5.1).
pub(crate) fn close_frame(code: u16, reason: &str) -> Bytes {
    let mut frame = vec![0x88, u8::try_from(reason.len() + 2).unwrap()];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason.as_bytes());
    frame.into()
}
