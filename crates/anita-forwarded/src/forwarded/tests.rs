use proptest::prelude::*;

use super::*;

fn trusted() -> Networks {
    Networks::parse(&["10.0.0.0/8".to_owned(), "2001:db8:1::/48".to_owned()]).unwrap()
}

/// What is found behind the proxy 10.0.0.2.
fn found(forwarded: Forwarded, lines: &[&str]) -> Option<String> {
    let lines = lines.iter().map(|line| line.as_bytes());
    client_of("10.0.0.2".parse().unwrap(), &trusted(), forwarded, lines).map(|address| address.to_string())
}

#[test]
fn the_last_hop_that_is_no_proxy_is_the_client() {
    let table: [(&[&str], Option<&str>); 17] = [
        (&["203.0.113.7"], Some("203.0.113.7")),
        (&["203.0.113.7:1234"], Some("203.0.113.7")),
        (&["203.0.113.7, 10.1.1.1"], Some("203.0.113.7")),
        (&["1.1.1.1, 203.0.113.7, 10.1.1.1,10.2.2.2"], Some("203.0.113.7")),
        (&["1.1.1.1", "203.0.113.7, 10.1.1.1"], Some("203.0.113.7")),
        (&["10.1.1.1, 203.0.113.7"], Some("203.0.113.7")),
        (&["[2001:db8::7]:99"], Some("2001:db8::7")),
        (&["[2001:db8::7]"], Some("2001:db8::7")),
        (&["2001:db8::7, 2001:db8:1::9"], Some("2001:db8::7")),
        (&["::ffff:203.0.113.7"], Some("203.0.113.7")),
        // Nobody but proxies: the first of them asks by itself.
        (&["10.3.3.3, 10.1.1.1"], Some("10.3.3.3")),
        (&["203.0.113.7, unknown"], None),
        (&["unknown, 203.0.113.7"], Some("203.0.113.7")),
        (&["203.0.113.7,"], None),
        (&[""], None),
        (&["203.0.113.007"], None),
        (&[], None),
    ];
    for (lines, expected) in table {
        assert_eq!(found(Forwarded::XForwardedFor, lines).as_deref(), expected, "{lines:?}");
    }
}

#[test]
fn the_standard_header_is_read_as_its_rfc_says() {
    let table: [(&[&str], Option<&str>); 21] = [
        (&["for=192.0.2.60;proto=http;by=203.0.113.43"], Some("192.0.2.60")),
        (&["For=\"[2001:db8:cafe::17]:4711\""], Some("2001:db8:cafe::17")),
        (&["for=192.0.2.43, for=198.51.100.17"], Some("198.51.100.17")),
        (&["for=192.0.2.43, for=10.1.1.1"], Some("192.0.2.43")),
        (&["for=192.0.2.43", "for=198.51.100.17;by=10.0.0.2"], Some("198.51.100.17")),
        (&["for=192.0.2.43,for=\"198.51.100.17:80\";proto=https"], Some("198.51.100.17")),
        (&["for=\"198.51.100.1\\7\""], Some("198.51.100.17")),
        (&["proto=https;for=192.0.2.43"], Some("192.0.2.43")),
        (&["for=192.0.2.43:80"], Some("192.0.2.43")),
        (&["for=\"a, for=203.0.113.9, \";by=x, for=192.0.2.43"], Some("192.0.2.43")),
        (&["for=\"_hidden\", for=192.0.2.43"], Some("192.0.2.43")),
        (&["for=_hidden"], None),
        (&["for=unknown"], None),
        (&["for=\"unknown:1\""], None),
        (&["proto=https"], None),
        (&["for=192.0.2.43;for=192.0.2.44"], None),
        (&["for=\"192.0.2.43"], None),
        (&["for=192.0.2.43 proto=https"], None),
        (&["=192.0.2.43"], None),
        (&["192.0.2.43"], None),
        (&[], None),
    ];
    for (lines, expected) in table {
        assert_eq!(found(Forwarded::Forwarded, lines).as_deref(), expected, "{lines:?}");
    }
}

#[test]
fn a_stranger_is_not_believed_and_nobody_is_when_no_header_is() {
    let stranger = "203.0.113.7".parse().unwrap();
    let lines = || [b"127.0.0.1".as_slice(), b"for=127.0.0.1".as_slice()];
    for forwarded in [Forwarded::None, Forwarded::XForwardedFor, Forwarded::Forwarded] {
        assert_eq!(client_of(stranger, &trusted(), forwarded, lines()), Some(stranger));
    }
    let proxy = "::ffff:10.0.0.2".parse().unwrap();
    let itself = client_of(proxy, &trusted(), Forwarded::None, lines());
    assert_eq!(itself, Some("10.0.0.2".parse().unwrap()));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4)) {
        for forwarded in [Forwarded::XForwardedFor, Forwarded::Forwarded] {
            let lines = lines.iter().map(Vec::as_slice);
            client_of("10.0.0.2".parse().unwrap(), &trusted(), forwarded, lines);
        }
    }

    #[test]
    fn whatever_a_client_writes_before_the_proxy_changes_nothing(words in "[ -~]{0,60}", client: std::net::Ipv4Addr) {
        let client = IpAddr::from(client);
        prop_assume!(!trusted().contains(client));
        let proxy = "10.0.0.2".parse().unwrap();
        let added = format!("{words}, {client}");
        let found = client_of(proxy, &trusted(), Forwarded::XForwardedFor, [added.as_bytes()]);
        prop_assert_eq!(found, Some(client));
        let line = format!("for=\"{client}\"");
        let lines = [words.as_bytes(), line.as_bytes()];
        prop_assert_eq!(client_of(proxy, &trusted(), Forwarded::Forwarded, lines), Some(client));
    }

    #[test]
    fn every_address_is_read_in_every_way_it_is_written(client: IpAddr, port: u16) {
        let client = client.to_canonical();
        let with_port = SocketAddr::new(client, port);
        for text in [client.to_string(), with_port.to_string()] {
            prop_assert_eq!(Forwarded::XForwardedFor.hops([text.as_bytes()]), vec![Some(client)]);
            let quoted = format!("by=x; for=\"{text}\" ;proto=https");
            prop_assert_eq!(Forwarded::Forwarded.hops([quoted.as_bytes()]), vec![Some(client)]);
        }
    }
}
