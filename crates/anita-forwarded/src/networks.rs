//! A set of addresses and networks.

use std::net::IpAddr;

use ipnet::IpNet;

/// Addresses and networks, as `10.0.0.2`, `10.0.0.0/8` or `2001:db8::/32`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// A text that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is neither an address nor a network; write 10.0.0.2, or 10.0.0.0/8 (its host bits zero), or 2001:db8::/32"
)]
pub struct InvalidNetwork {
    /// What was written.
    pub text: String,
}

impl Networks {
    /// Reads each text as an address or a network.
    ///
    /// # Errors
    /// [`InvalidNetwork`] for the first that is neither, or is a network with host bits: `10.0.0.2/8` may be meant as
    /// either.
    pub fn parse(texts: &[String]) -> Result<Self, InvalidNetwork> {
        texts.iter().map(|text| network_of(text)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an address is one of them. An IPv4 address is the same when it is written as an IPv6 one.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<IpAddr> for Networks {
    fn from_iter<T: IntoIterator<Item = IpAddr>>(addresses: T) -> Self {
        Self(addresses.into_iter().map(|address| IpNet::from(address.to_canonical())).collect())
    }
}

fn network_of(text: &str) -> Result<IpNet, InvalidNetwork> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network = text.parse::<IpNet>().ok().filter(|network| network.trunc() == *network);
    network.ok_or_else(|| InvalidNetwork { text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(texts: &[&str]) -> Result<Networks, InvalidNetwork> {
        Networks::parse(&texts.iter().map(|&it| it.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn addresses_and_networks_of_both_kinds_are_understood() {
        let networks = parsed(&["192.0.2.7", "10.0.0.0/8", "2001:db8::/32", "::ffff:198.51.100.1"]).unwrap();
        let table = [
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("::ffff:10.1.2.3", true),
            ("198.51.100.1", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
        ];
        for (address, is_in) in table {
            assert_eq!(networks.contains(address.parse().unwrap()), is_in, "{address}");
        }
        assert!(!Networks::default().contains("127.0.0.1".parse().unwrap()), "nobody is in no network");
    }

    #[test]
    fn what_is_neither_is_refused_with_the_remedy() {
        for text in ["", "proxy.example", "10.0.0.0/33", "10.0.0.2/8", "10.0.0.0/", "10.0.0.1:80", "*"] {
            let refused = parsed(&[text]).unwrap_err().to_string();
            assert!(refused.contains("10.0.0.0/8"), "{text}: {refused}");
        }
    }
}
