//! How many may come in, and how often: in all, by address, and by user. Whoever comes too much is refused before it
//! costs much; those that are inside stay.

mod rates;
mod tally;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use anita_metrics::Metrics;
use anita_model::UserId;
use parking_lot::Mutex;

use rates::Rates;
use tally::{Full, Place, Tally};

/// How many browsers may be sent to issuers, or come back from there, in a second.
const SIGN_INS_PER_SECOND: u32 = 200;

/// The same for one address.
const SIGN_INS_PER_SECOND_PER_ADDRESS: u32 = 20;

/// How many may be inside, and how many may come in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestLimits {
    /// The most `WebSockets` at once.
    pub sockets_max: usize,
    /// The most `WebSockets` of one address.
    pub sockets_per_address_max: usize,
    /// The most `WebSockets` of one user.
    pub sockets_per_user_max: usize,
    /// The most TCP connections at once, those of `WebSockets` among them.
    pub connections_max: usize,
    /// The most TCP connections of one address.
    pub connections_per_address_max: usize,
    /// The most connections of which it is not known yet whose they are.
    pub unauthenticated_max: usize,
    /// The most of these of one address.
    pub unauthenticated_per_address_max: usize,
    /// The most WebSocket handshakes a second.
    pub handshakes_per_second: u32,
    /// The most WebSocket handshakes a second of one address.
    pub handshakes_per_second_per_address: u32,
    /// The most TLS handshakes a second of one address.
    pub tls_handshakes_per_second_per_address: u32,
}

impl Default for GuestLimits {
    /// A site behind one address comes in, also when all of it comes back at once.
    fn default() -> Self {
        Self {
            sockets_max: 20_000,
            sockets_per_address_max: 20_000,
            sockets_per_user_max: 20_000,
            connections_max: 25_000,
            connections_per_address_max: 24_000,
            unauthenticated_max: 12_000,
            unauthenticated_per_address_max: 10_000,
            handshakes_per_second: 2_000,
            handshakes_per_second_per_address: 2_000,
            tls_handshakes_per_second_per_address: 2_000,
        }
    }
}

/// Why somebody was not let in; the label of `anita_connections_refused_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Connections,
    ConnectionsOfAddress,
    Unauthenticated,
    UnauthenticatedOfAddress,
    TlsHandshakesOfAddress,
    Handshakes,
    HandshakesOfAddress,
    Sockets,
    SocketsOfAddress,
    SocketsOfUser,
    /// The process has no file descriptor left.
    Descriptors,
    /// Not one of the proxies that may come.
    Stranger,
    /// No header of the PROXY protocol, or a wrong one.
    ProxyHeader,
    /// Nobody was refused: it went without a word, as health checks of balancers do.
    Silent,
    /// A TLS handshake that failed: no TLS, no common version, no certificate where one is required.
    Tls,
    /// A TLS handshake that failed by the certificate of the client, or for want of one.
    ClientCertificate,
    /// A page of a foreign origin.
    Origin,
    /// A `Host` that is not the server's.
    Host,
    /// The server stops.
    Draining,
    /// The process has too much memory.
    Memory,
    /// Something else that is told with its answer.
    Other,
}

impl Reason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsOfAddress => "connections_of_address",
            Self::Unauthenticated => "unauthenticated",
            Self::UnauthenticatedOfAddress => "unauthenticated_of_address",
            Self::TlsHandshakesOfAddress => "tls_handshakes_of_address",
            Self::Handshakes => "handshakes",
            Self::HandshakesOfAddress => "handshakes_of_address",
            Self::Sockets => "sockets",
            Self::SocketsOfAddress => "sockets_of_address",
            Self::SocketsOfUser => "sockets_of_user",
            Self::Descriptors => "descriptors",
            Self::Stranger => "stranger",
            Self::ProxyHeader => "proxy_header",
            Self::Silent => "silent",
            Self::Tls => "tls",
            Self::ClientCertificate => "client_certificate",
            Self::Origin => "origin",
            Self::Host => "host",
            Self::Draining => "draining",
            Self::Memory => "memory",
            Self::Other => "other",
        }
    }

    fn of(full: Full, in_all: Self, of_one: Self) -> Self {
        match full {
            Full::InAll => in_all,
            Full::OfOne => of_one,
        }
    }
}

/// Whom an address counts as: an IPv4 address as itself, an IPv6 one as its /64, since a host has as many of these as it
/// likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Neighbour(IpAddr);

impl From<IpAddr> for Neighbour {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }
}

/// Everybody who is inside, and who came lately.
#[derive(Debug)]
pub(crate) struct Guests {
    connections: Arc<Tally<Neighbour>>,
    unauthenticated: Arc<Tally<Neighbour>>,
    sockets: Arc<Tally<Neighbour>>,
    users: Arc<Tally<UserId>>,
    tls_handshakes: Mutex<Rates>,
    handshakes: Mutex<Rates>,
    sign_ins: Mutex<Rates>,
}

/// A TCP connection's place, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPlace {
    place: Place<Neighbour>,
    /// Until it is known whose it is, or its WebSocket has a place of its own.
    unauthenticated: Mutex<Option<Place<Neighbour>>>,
}

/// A WebSocket's place, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketPlace {
    _place: Place<Neighbour>,
    /// Until it is known whose it is.
    unauthenticated: Option<Place<Neighbour>>,
    /// From then on.
    user: Option<Place<UserId>>,
}

impl Guests {
    pub(crate) fn new(limits: GuestLimits) -> Self {
        let of_addresses = limits.handshakes_per_second_per_address;
        Self {
            connections: Tally::new(limits.connections_max, limits.connections_per_address_max),
            unauthenticated: Tally::new(limits.unauthenticated_max, limits.unauthenticated_per_address_max),
            sockets: Tally::new(limits.sockets_max, limits.sockets_per_address_max),
            users: Tally::new(usize::MAX, limits.sockets_per_user_max),
            tls_handshakes: Mutex::new(Rates::new(None, limits.tls_handshakes_per_second_per_address)),
            handshakes: Mutex::new(Rates::new(Some(limits.handshakes_per_second), of_addresses)),
            sign_ins: Mutex::new(Rates::new(Some(SIGN_INS_PER_SECOND), SIGN_INS_PER_SECOND_PER_ADDRESS)),
        }
    }

    /// Lets a TCP connection in; without an address while a proxy has still to say it.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn enter(&self, address: Option<IpAddr>) -> Result<ConnectionPlace, Reason> {
        let neighbour = address.map(Neighbour::from);
        let full = |full| Reason::of(full, Reason::Connections, Reason::ConnectionsOfAddress);
        let place = self.connections.enter(neighbour).map_err(full)?;
        let unauthenticated = Mutex::new(Some(self.begin_unauthenticated(neighbour)?));
        Ok(ConnectionPlace { place, unauthenticated })
    }

    /// Counts a TLS handshake.
    ///
    /// # Errors
    /// When its address has made too many.
    pub(crate) fn count_tls_handshake(
        &self,
        address: Option<IpAddr>,
        uptime: Duration,
    ) -> Result<(), Reason> {
        let counted = self.tls_handshakes.lock().take(address.map(Neighbour::from), uptime);
        counted.map_err(|_too_many| Reason::TlsHandshakesOfAddress)
    }

    /// Counts a WebSocket handshake.
    ///
    /// # Errors
    /// When there were too many, of its address or in all: how long until the next.
    pub(crate) fn count_handshake(
        &self,
        address: IpAddr,
        uptime: Duration,
    ) -> Result<(), (Reason, Duration)> {
        let counted = self.handshakes.lock().take(Some(address.into()), uptime);
        counted
            .map_err(|(full, wait)| (Reason::of(full, Reason::Handshakes, Reason::HandshakesOfAddress), wait))
    }

    /// Counts a browser that is sent to an issuer, or comes back.
    ///
    /// # Errors
    /// When there were too many, of its address or in all.
    pub(crate) fn count_sign_in(&self, address: IpAddr, uptime: Duration) -> Result<(), ()> {
        self.sign_ins.lock().take(Some(address.into()), uptime).map_err(|_too_many| ())
    }

    /// Lets a WebSocket in. From now on it, and not its connection, counts as unauthenticated.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn enter_socket(
        &self,
        address: IpAddr,
        connection: &ConnectionPlace,
    ) -> Result<SocketPlace, Reason> {
        let neighbour = Neighbour::from(address);
        let full = |full| Reason::of(full, Reason::Sockets, Reason::SocketsOfAddress);
        let place = self.sockets.enter(Some(neighbour)).map_err(full)?;
        // Of a proxy's connection it is another address that counts.
        let mut of_connection = connection.unauthenticated.lock();
        let unauthenticated = match of_connection.take_if(|it| it.is_of(&neighbour)) {
            Some(place) => place,
            None => self.begin_unauthenticated(Some(neighbour))?,
        };
        *of_connection = None;
        drop(of_connection);
        Ok(SocketPlace { _place: place, unauthenticated: Some(unauthenticated), user: None })
    }

    /// It is known whose a WebSocket is.
    ///
    /// # Errors
    /// When that user has as many as one may have.
    pub(crate) fn authenticated(&self, place: &mut SocketPlace, user: &UserId) -> Result<(), Reason> {
        place.unauthenticated = None;
        place.user = Some(self.users.enter(Some(user.clone())).map_err(|_full| Reason::SocketsOfUser)?);
        Ok(())
    }

    fn begin_unauthenticated(&self, neighbour: Option<Neighbour>) -> Result<Place<Neighbour>, Reason> {
        self.unauthenticated.enter(neighbour).map_err(unauthenticated_reason)
    }

    /// Shows how many there are.
    pub(crate) fn refresh_gauges(&self, metrics: &Metrics) {
        let shown = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.tcp_connections.set(shown(self.connections.count()));
        metrics.unauthenticated_connections.set(shown(self.unauthenticated.count()));
    }
}

fn unauthenticated_reason(full: Full) -> Reason {
    Reason::of(full, Reason::Unauthenticated, Reason::UnauthenticatedOfAddress)
}

impl ConnectionPlace {
    /// The proxy has said whose connection it is.
    ///
    /// # Errors
    /// Why this one can't stay.
    pub(crate) fn name(&mut self, address: IpAddr) -> Result<(), Reason> {
        let neighbour = Neighbour::from(address);
        let full = |full| Reason::of(full, Reason::Connections, Reason::ConnectionsOfAddress);
        self.place.name(neighbour).map_err(full)?;
        match self.unauthenticated.get_mut() {
            Some(place) => place.name(neighbour).map_err(unauthenticated_reason),
            None => Ok(()),
        }
    }

    /// It is known whose it is.
    pub(crate) fn authenticated(&self) {
        self.unauthenticated.lock().take();
    }

    /// Whether it is known whose it is.
    pub(crate) fn is_known(&self) -> bool {
        self.unauthenticated.lock().is_none()
    }
}

#[cfg(test)]
mod tests;
