//! What all conversations share.

use std::sync::Arc;
use std::time::Duration;

use anita_auth::{Authority, Permission, Principal};
use anita_hub::Hub;
use anita_wire::limits;
use anita_wire::view::{Area, ViewFilter};

use crate::class::ClassRates;
use crate::extension::Extensions;
use crate::playback::Playbacks;

/// The settings of conversations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionSettings {
    /// How long a client may take to authenticate.
    pub auth_deadline: Duration,
    /// The time between two heartbeats. A peer that is silent for more than two of them is gone.
    pub heartbeat_interval: Duration,
    /// The largest message, bytes.
    pub message_bytes_max: usize,
    /// The largest message of a client of which it is not known yet who it is, bytes.
    pub unauthenticated_message_bytes_max: usize,
    /// How deep a message may be nested, at most [`limits::NESTING_DEPTH_MAX`].
    pub json_nesting_max: usize,
    /// Views of one connection, at most [`limits::SUBSCRIPTIONS_MAX`].
    pub views_per_connection_max: usize,
    /// Corners of a view's polygon, at most [`limits::AREA_CORNERS_MAX`].
    pub area_corners_max: usize,
    /// Pings and pongs of a peer in a second; a well-behaved one sends a few a minute.
    pub pings_per_second: u32,
    /// Requests a second of a client that may not report locations.
    pub viewer_requests_per_second: u32,
    /// Requests a second of a client that may report locations.
    pub publisher_requests_per_second: u32,
    /// What a client may ask of each class of requests, besides that.
    pub class_rates: ClassRates,
    /// When so many more requests were refused as too many than were taken, the client is closed.
    pub rate_refusals_max: u32,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            auth_deadline: Duration::from_secs(10),
            heartbeat_interval: Duration::from_secs(25),
            message_bytes_max: limits::MESSAGE_BYTES_MAX_DEFAULT,
            unauthenticated_message_bytes_max: limits::MESSAGE_BYTES_BEFORE_AUTH_MAX,
            json_nesting_max: limits::NESTING_DEPTH_MAX,
            views_per_connection_max: limits::SUBSCRIPTIONS_MAX,
            area_corners_max: limits::AREA_CORNERS_MAX,
            pings_per_second: 100,
            viewer_requests_per_second: 50,
            publisher_requests_per_second: 1_000,
            class_rates: ClassRates::default(),
            rate_refusals_max: 1_000,
        }
    }
}

impl SessionSettings {
    /// How many requests a second a principal may make.
    pub fn requests_per_second(&self, principal: &Principal) -> u32 {
        if principal.may(Permission::LocationsReport) {
            self.publisher_requests_per_second
        } else {
            self.viewer_requests_per_second
        }
    }

    /// What is wrong with an area that the protocol allows and this server does not.
    pub fn area_fault(&self, view: &ViewFilter) -> Option<String> {
        let Some(Area::Polygon(corners)) = &view.area else { return None };
        let (count, most) = (corners.len(), self.area_corners_max);
        (count > most).then(|| format!("a polygon has 3 to {most} corners, not {count}"))
    }
}

/// What all conversations share.
#[derive(Debug)]
pub struct Context {
    /// The hub.
    pub hub: Arc<Hub>,
    /// Who turns tokens into principals.
    pub verifier: Arc<dyn Authority>,
    /// The settings.
    pub settings: SessionSettings,
    /// The application's own message types.
    pub extensions: Extensions,
    /// The playbacks under way.
    pub playbacks: Arc<Playbacks>,
}

/// What a client brought when it connected.
#[derive(Clone, PartialEq)]
pub enum Credentials {
    /// Nothing: it has to send `authenticate`.
    None,
    /// A token: in the header, the query or the subprotocol.
    Token(String),
    /// The session of a page, or a ticket: verified when it was made.
    Session(Box<Principal>),
    /// A ticket that was used, has run out, or is not for this page.
    BadTicket,
    /// There is no such endpoint.
    NoSuchEndpoint,
}

impl std::fmt::Debug for Credentials {
    /// Never prints a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Token(_) => "Token",
            Self::Session(_) => "Session",
            Self::BadTicket => "BadTicket",
            Self::NoSuchEndpoint => "NoSuchEndpoint",
        })
    }
}
