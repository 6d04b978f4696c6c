//! [`WebSocketManager`]: the connections and rooms of a hub, for the application around it.

use std::sync::Arc;

use anita_model::{RoomName, Timestamp};
use anita_wire::CloseCode;

use crate::connections::PeerInfo;
use crate::hub::Hub;

/// The connections and rooms of a hub: who is there, saying something to them, and ending them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WebSocketManager {
    hub: Arc<Hub>,
}

impl WebSocketManager {
    /// In front of a hub.
    pub fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// How many connections there are.
    pub fn connection_count(&self) -> usize {
        self.hub.connections().count()
    }

    /// Every connection at this moment.
    pub fn connections(&self) -> Vec<PeerInfo> {
        self.hub.connections().list()
    }

    /// The rooms with somebody in them, and how many.
    pub fn rooms(&self) -> Vec<(RoomName, usize)> {
        self.hub.rooms().occupied()
    }

    /// The ids of the connections in a room, in the order they came.
    pub fn members(&self, room: &RoomName) -> Vec<String> {
        let (members, _total) = self.hub.rooms().members(room, usize::MAX);
        members.into_iter().map(|(peer, _since)| peer.id.to_string()).collect()
    }

    /// Says a message of the application's own type in a room, numbered. Returns its number, or `None` when there is
    /// nobody to hear it.
    pub fn broadcast(
        &self,
        room: &RoomName,
        name: &str,
        payload: &serde_json::Value,
        at: Timestamp,
    ) -> Option<u64> {
        self.hub.publish_custom(room, name, payload, at).map(|(_epoch, seq)| seq)
    }

    /// Says a message of the application's own type to one connection. Says whether it is there.
    pub fn send_to(&self, connection: &str, name: &str, payload: &serde_json::Value) -> bool {
        let frame = anita_ws::frame::text(&anita_wire::encode(name, payload, None, None));
        self.hub.connections().get(connection).map(|peer| peer.post(frame)).is_some()
    }

    /// Ends a connection; its client is told to stay away. Says whether it was there.
    pub fn disconnect(&self, connection: &str) -> bool {
        self.hub.connections().get(connection).map(|peer| peer.close(CloseCode::LoggedOut)).is_some()
    }
}
