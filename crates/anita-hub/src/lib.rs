//! The hub: who is connected, which rooms they are in, and the newest of every device.
//!
//! A connection holds watermarks, not queues. What is new since a watermark is looked up when its socket can take
//! bytes: positions in the views of its [`Shard`], numbered messages in the ring of their [`Rooms`]. So a slow client
//! costs a few numbers, and never slows another one.
//!
//! What is not here: sockets, clocks, and the rules of a conversation.

mod connections;
mod hub;
mod ids;
mod keeping;
mod manager;
mod rooms;
mod shard;

pub use connections::{Connections, Endpoint, Introduction, Peer, PeerInfo, Registration};
pub use hub::{
    AuditLimits, DeviceFilter, DevicePage, Hub, HubFault, HubSettings, Kept, Past, ReportOutcome, Reported,
};
pub use ids::{ConnectionId, random_token};
pub use keeping::{Durability, Keeping};
pub use manager::WebSocketManager;
pub use rooms::{Heard, JoinRefused, Joined, RoomEvent, RoomLimits, RoomOverview, RoomPage, Rooms};
pub use shard::{Gaze, NextTurn, Outlet, SendMany, Shard};
