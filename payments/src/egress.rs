//! Which addresses a request of an agent may reach.
//!
//! Whoever can make an agent fetch a URL can otherwise make it ask what only this machine and its network may ask: a
//! metadata service, a router, a data base without a password. So agents' requests reach the public internet and, where an
//! operator says so, this machine. RPC endpoints are the operator's own words and are not checked here.

use bursar_types::TransportError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Which addresses a request of an agent may reach: the public internet, and this machine only where it is said.
///
/// Private, shared (carrier), link-local, metadata, multicast, reserved and documentation addresses are never reached, in
/// whatever way they are written: IPv4 inside IPv6 (mapped, NAT64) counts as the IPv4 address it is.
///
/// # Example
/// ```
/// use bursar_payments::Egress;
/// let metadata = "169.254.169.254".parse()?;
/// assert!(Egress::internet().check(metadata).is_err());
/// assert!(Egress::internet().check("127.0.0.1".parse()?).is_err());
/// assert!(Egress::internet().and_loopback().check("127.0.0.1".parse()?).is_ok());
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Egress {
    loopback: bool,
}

impl Egress {
    /// The public internet and nothing else: for real use.
    #[must_use]
    pub const fn internet() -> Self {
        Self { loopback: false }
    }

    /// This machine as well: for development, and for a market in a box.
    #[must_use]
    pub const fn and_loopback(self) -> Self {
        let Self { loopback: _ } = self;
        Self { loopback: true }
    }

    /// Whether this machine may be reached.
    #[must_use]
    pub const fn reaches_loopback(self) -> bool {
        self.loopback
    }

    /// Checks one address.
    ///
    /// # Errors
    /// What kind of address it is, in words.
    pub fn check(self, address: IpAddr) -> Result<(), &'static str> {
        let kind = match address {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        };
        match kind {
            Kind::Public => Ok(()),
            Kind::Loopback if self.loopback => Ok(()),
            Kind::Loopback => Err("an address of this machine"),
            Kind::Never(what) => Err(what),
        }
    }

    /// Checks the host of a URL as far as it can be known without asking a name server: addresses in every spelling, and
    /// names that mean this machine. What other names stand for is checked when they are resolved.
    ///
    /// # Errors
    /// [`TransportError::Blocked`].
    pub fn check_url(self, url: &Url) -> Result<(), TransportError> {
        let kind = match url.host() {
            Some(Host::Ipv4(address)) => self.check(address.into()),
            Some(Host::Ipv6(address)) => self.check(address.into()),
            Some(Host::Domain(name)) if means_this_machine(name) && !self.loopback => {
                Err("a name of this machine")
            }
            Some(Host::Domain(_)) => Ok(()),
            None => Err("no host at all"),
        };
        kind.map_err(|what| blocked(url.host_str().unwrap_or_default(), &format!("it is {what}")))
    }
}

pub(crate) fn blocked(host: &str, problem: &str) -> TransportError {
    TransportError::Blocked { host: host.to_owned(), problem: problem.to_owned() }
}

/// `localhost` and the names below it (RFC 6761), whatever a resolver says of them.
pub(crate) fn means_this_machine(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}

enum Kind {
    Public,
    Loopback,
    Never(&'static str),
}

/// # Source
/// IANA IPv4 Special-Purpose Address Registry; and the addresses at which clouds keep their metadata.
fn v4(address: Ipv4Addr) -> Kind {
    Kind::Never(match address.octets() {
        [127, ..] => return Kind::Loopback,
        [0, ..] => "an address of no network",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [100, 64..=127, ..] => "an address of a carrier's own network",
        [169, 254, ..] => "a link-local address, where clouds keep their metadata",
        [168, 63, 129, 16] => "a cloud's own service",
        [192, 0, 0, _] | [192, 88, 99, _] => "an address kept for protocols",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "an address for documentation",
        [198, 18..=19, ..] => "an address for benchmarks",
        [224..=239, ..] => "a multicast address",
        [240..=255, ..] => "a reserved address",
        _ => return Kind::Public,
    })
}

/// # Source
/// IANA IPv6 Special-Purpose Address Registry; RFC 6052 and RFC 8215 (NAT64).
fn v6(address: Ipv6Addr) -> Kind {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        v4(Ipv4Addr::new(a, b, c, d))
    };
    Kind::Never(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => return Kind::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] => "an address of no network",
        // The same address as its last four bytes: what is checked is what is reached.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => {
            return embedded(high, low);
        }
        [0, 0, 0, 0, 0, 0, ..] => "an IPv4 address in an abandoned spelling",
        [0x0064, 0xff9b, 1, ..] => "an address of a local translator",
        [0x2001, 0..=0x01ff, ..] => "an address kept for protocols",
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => "an address for documentation",
        [0x2002, ..] => "an IPv4 address in an abandoned tunnel",
        [0xfc00..=0xfdff, ..] => "a private address",
        [0xfe80..=0xfebf, ..] => "a link-local address",
        [0xff00..=0xffff, ..] => "a multicast address",
        [0x2000..=0x3fff, ..] => return Kind::Public,
        _ => "a reserved address",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(egress: Egress, url: &str) -> bool {
        egress.check_url(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn only_public_addresses_are_reached_however_they_are_written() {
        for host in [
            "10.0.0.1",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.254",
            "192.168.1.1",
            "100.64.0.1",
            "100.100.100.200",
            "169.254.169.254",
            "169.254.170.2",
            "168.63.129.16",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "0.0.0.0",
            "0.1.2.3",
            // 169.254.169.254 and 10.0.0.1 in the spellings that URLs know.
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "0xA9.254.0xa9fe",
            "%31%30.0.0.1",
            "10.1",
            "１０.0.0.1",
            "[::]",
            "[fe80::1]",
            "[febf::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[ff02::1]",
            "[fec0::1]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[2001::1]",
            "[2002:a00:1::1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[::10.0.0.1]",
            "[::8.8.8.8]",
            "[64:ff9b::10.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::808:808]",
            "[4000::1]",
        ] {
            let url = format!("https://{host}/latest/meta-data");
            assert!(!checked(Egress::internet(), &url), "{host}");
            assert!(!checked(Egress::internet().and_loopback(), &url), "{host}");
        }
        for host in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "[2606:4700::1111]", "[64:ff9b::808:808]"] {
            assert!(checked(Egress::internet(), &format!("https://{host}/")), "{host}");
        }
    }

    #[test]
    fn this_machine_is_reached_only_where_it_is_said() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.255.255.255",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "localhost",
            "LOCALHOST.",
            "api.localhost",
        ] {
            let url = format!("http://{host}:8080/");
            assert!(!checked(Egress::internet(), &url), "{host}");
            assert!(checked(Egress::internet().and_loopback(), &url), "{host}");
        }
        assert!(checked(Egress::internet(), "https://localhost.example/"));
        assert!(checked(Egress::internet(), "https://notlocalhost/"));
    }
}
