//! Any bytes as the lines of `X-Forwarded-For` and `Forwarded`, and as the networks of proxies.

use std::net::{IpAddr, Ipv4Addr};

use anita_forwarded::{Forwarded, Networks, client_of};

/// Reads the lines, as somebody who is trusted and as somebody who is not.
pub fn run(bytes: &[u8]) {
    let lines = || bytes.split(|&byte| byte == b'\n');
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let Ok(trusted) = Networks::parse(&["127.0.0.0/8".to_owned(), "fd00::/8".to_owned()]) else { return };
    let nobody = Networks::parse(&[]).unwrap_or_default();
    for forwarded in [Forwarded::None, Forwarded::XForwardedFor, Forwarded::Forwarded] {
        assert_eq!(client_of(peer, &nobody, forwarded, lines()), Some(peer), "nobody is believed");
        let hops = forwarded.hops(lines());
        if let Some(client) = client_of(peer, &trusted, forwarded, lines()) {
            assert!(client == peer || hops.contains(&Some(client)), "an address that somebody named");
        }
    }
    let texts: Vec<String> = lines().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    if let Ok(networks) = Networks::parse(&texts) {
        assert!(networks.is_empty() == texts.is_empty() || !networks.is_empty());
    }
}
