use super::rates::NEIGHBOURS_MAX;
use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const TIGHT: GuestLimits = GuestLimits {
    sockets_max: 4,
    sockets_per_address_max: 3,
    sockets_per_user_max: 2,
    connections_max: 6,
    connections_per_address_max: 5,
    unauthenticated_max: 5,
    unauthenticated_per_address_max: 4,
    handshakes_per_second: 10,
    handshakes_per_second_per_address: 4,
    tls_handshakes_per_second_per_address: 2,
};

#[test]
fn an_ipv6_host_counts_as_its_network_of_64_bits() {
    let same = [
        ("2001:db8::1", "2001:db8::ffff:1", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
    ];
    for (one, other, is_same) in same {
        let neighbours = [address(one), address(other)].map(Neighbour::from);
        assert_eq!(neighbours[0] == neighbours[1], is_same, "{one} {other}");
    }
}

#[test]
fn the_newest_is_refused_and_a_place_is_free_when_somebody_goes() {
    let guests = Guests::new(TIGHT);
    let (a, b) = (Some(address("192.0.2.1")), Some(address("192.0.2.2")));
    let mut inside: Vec<_> = (0..4).map(|_| guests.enter(a).unwrap()).collect();
    assert_eq!(guests.enter(a).unwrap_err(), Reason::UnauthenticatedOfAddress);
    inside[0].authenticated();
    inside.push(guests.enter(a).unwrap());
    inside[1].authenticated();
    assert_eq!(guests.enter(a).unwrap_err(), Reason::ConnectionsOfAddress);
    inside.push(guests.enter(b).unwrap());
    inside[2].authenticated();
    assert_eq!(guests.enter(b).unwrap_err(), Reason::Connections);
    inside.pop();
    assert_eq!(guests.connections.count(), 5, "whoever was refused left nothing behind");
    let place = guests.enter(b).unwrap();
    drop((inside, place));
    for tally in [&guests.connections, &guests.unauthenticated] {
        assert_eq!((tally.count(), tally.holders()), (0, 0), "nothing is left behind");
    }
}

#[test]
fn all_unauthenticated_ones_together_are_bounded() {
    let guests = Guests::new(TIGHT);
    let inside: Vec<_> =
        (0..5).map(|host| guests.enter(Some(address(&format!("192.0.2.{host}")))).unwrap()).collect();
    assert_eq!(guests.enter(Some(address("192.0.2.99"))).unwrap_err(), Reason::Unauthenticated);
    inside[0].authenticated();
    assert!(guests.enter(Some(address("192.0.2.99"))).is_ok());
}

/// The WebSocket of a connection that ends with it.
fn socket(guests: &Guests, address: IpAddr) -> Result<SocketPlace, Reason> {
    guests.enter_socket(address, &guests.enter(Some(address)).unwrap())
}

#[test]
fn a_connection_that_becomes_a_socket_counts_as_unauthenticated_once() {
    let guests = Guests::new(TIGHT);
    let (client, proxy) = (address("192.0.2.1"), address("10.0.0.2"));
    for address in [Some(client), Some(proxy), None] {
        let connection = guests.enter(address).unwrap();
        let mut socket = guests.enter_socket(client, &connection).unwrap();
        assert_eq!((guests.unauthenticated.count(), guests.unauthenticated.holders()), (1, 1));
        let user = UserId { issuer: "anita".into(), subject: "alice".into() };
        guests.authenticated(&mut socket, &user).unwrap();
        assert_eq!(guests.unauthenticated.count(), 0);
    }
}

#[test]
fn sockets_are_bounded_in_all_by_address_and_by_user() {
    let guests = Guests::new(TIGHT);
    let (a, b) = (address("192.0.2.1"), address("192.0.2.2"));
    let user = |issuer: &str| UserId { issuer: issuer.into(), subject: "alice".into() };
    let mut inside: Vec<_> = (0..3).map(|_| socket(&guests, a).unwrap()).collect();
    assert_eq!(socket(&guests, a).unwrap_err(), Reason::SocketsOfAddress);
    inside.push(socket(&guests, b).unwrap());
    assert_eq!(socket(&guests, address("192.0.2.3")).unwrap_err(), Reason::Sockets);
    for place in &mut inside[..2] {
        guests.authenticated(place, &user("one")).unwrap();
    }
    assert_eq!(guests.authenticated(&mut inside[2], &user("one")), Err(Reason::SocketsOfUser));
    assert_eq!(
        guests.authenticated(&mut inside[3], &user("another")),
        Ok(()),
        "somebody else of the same name"
    );
    inside.remove(0);
    assert_eq!(guests.authenticated(&mut inside[1], &user("one")), Ok(()));
    drop(inside);
    assert_eq!((guests.users.count(), guests.users.holders(), guests.sockets.holders()), (0, 0, 0));
}

#[test]
fn whoever_a_proxy_names_counts_from_then_on() {
    let guests = Guests::new(TIGHT);
    let client = address("2001:db8::1");
    let mut named = Vec::new();
    for _ in 0..4 {
        let mut place = guests.enter(None).unwrap();
        place.name(client).unwrap();
        named.push(place);
    }
    let mut place = guests.enter(None).unwrap();
    assert_eq!(place.name(client), Err(Reason::UnauthenticatedOfAddress));
    drop(place);
    drop(named);
    assert_eq!((guests.connections.count(), guests.connections.holders()), (0, 0));
}

/// Once, a refused socket over a proxy's connection left the connection as if somebody had signed in.
#[test]
fn a_socket_that_is_refused_leaves_its_connection_unauthenticated() {
    let guests = Guests::new(GuestLimits { unauthenticated_per_address_max: 1, ..TIGHT });
    let client = address("192.0.2.7");
    let through_a_proxy = guests.enter(Some(address("192.0.2.1"))).unwrap();
    let other = guests.enter(Some(address("192.0.2.2"))).unwrap();
    let _first = guests.enter_socket(client, &other).unwrap();
    let refused = guests.enter_socket(client, &through_a_proxy).unwrap_err();
    assert_eq!(refused, Reason::UnauthenticatedOfAddress);
    assert!(!through_a_proxy.is_known());
    assert_eq!(guests.unauthenticated.count(), 2);
}

#[test]
fn a_second_holds_as_many_handshakes_as_are_allowed() {
    let guests = Guests::new(TIGHT);
    let at = Duration::from_secs(100);
    let (a, b) = (address("192.0.2.1"), address("192.0.2.2"));
    let taken = |address, at| (0..20).filter(|_| guests.count_handshake(address, at).is_ok()).count();
    assert_eq!(taken(a, at), 4);
    let (reason, wait) = guests.count_handshake(a, at).unwrap_err();
    assert!(reason == Reason::HandshakesOfAddress && wait <= Duration::from_millis(250));
    assert_eq!(taken(b, at), 4, "what one address was refused cost the others nothing");
    assert_eq!(taken(address("192.0.2.3"), at), 2);
    assert_eq!(guests.count_handshake(address("192.0.2.4"), at).unwrap_err().0, Reason::Handshakes);
    assert_eq!(
        taken(a, at + Duration::from_millis(990)),
        3,
        "over the turn of a second nothing is given twice"
    );
    assert_eq!(taken(a, at + Duration::from_millis(1_010)), 1);
    assert_eq!(taken(a, at + Duration::from_secs(9)), 4);

    let tls = |at| guests.count_tls_handshake(Some(a), at);
    assert!(tls(at).is_ok() && tls(at).is_ok());
    assert_eq!(tls(at), Err(Reason::TlsHandshakesOfAddress));
    assert!(guests.count_tls_handshake(None, at).is_ok(), "a proxy is not counted");
}

#[test]
fn a_flood_of_addresses_takes_bounded_memory_and_is_bounded_all_together() {
    let mut rates = Rates::new(Some(1_000_000), 1);
    let at = Duration::from_secs(1);
    let host = |number: u32| Some(Neighbour::from(IpAddr::from(std::net::Ipv4Addr::from(number))));
    for number in 0..100_000 {
        rates.take(host(number), at).unwrap();
    }
    assert_eq!(rates.known(), NEIGHBOURS_MAX);
    assert!(rates.take(host(0), at).is_err(), "those that are known are told apart still");
    rates.take(host(7), at + Duration::from_secs(1)).unwrap();
    assert!(rates.known() <= NEIGHBOURS_MAX);
    rates.take(host(7), at + Duration::from_secs(3)).unwrap();
    assert_eq!(rates.known(), 1);
}
