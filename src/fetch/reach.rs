//! Where servers may lead: those of the Internet to nothing inside.
//!
//! A server that redirects, or names another one in a header, makes us ask it. If we are in a network where others can
//! be asked than from outside (the services that clouds have for each machine, a router, a server on the loopback), a
//! stranger could have them asked in this way. So a server of the Internet leads nowhere there; one that is itself
//! inside, and was named by the user, leads where it likes.
//!
//! The address counts, and not the name: it is looked at after the name was resolved, and it is the very address that
//! the connection is then made to. One thing is let through: by a *name*, over *TLS*, into a private network. What
//! answers there has shown by its certificate that the name is its own, so that it is no stranger's; this is how stores
//! of registries look in networks that have an entrance of their own to them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::url::{Scheme, Url};

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Zone {
    /// Anybody's.
    Internet,
    /// One of a private network.
    Private,
    /// This machine's, or one that only its neighbours can reach.
    Machine,
}

/// Which addresses connections may be made to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// All.
    Everywhere,
    /// Those of the Internet, and of private networks.
    NotThisMachine,
    /// Those of the Internet.
    Internet,
}

/// How addresses are told apart; tests have no Internet.
pub(crate) type Zones = fn(IpAddr) -> Zone;

/// All addresses of a host are where a server of the Internet may not lead.
#[derive(Debug, thiserror::Error)]
#[error("it has the address {0}, which is not one of the Internet")]
pub(crate) struct Inner(IpAddr);

/// What is known of the hosts that were reached.
#[derive(Clone)]
pub(crate) struct Map {
    zones: Zones,
    /// The outermost zone of each host's addresses, of all that it ever had: by an address that it adds, a host does
    /// not get inside. Any thread may be the first to resolve a name.
    hosts: Arc<Mutex<BTreeMap<String, Zone>>>,
}

impl Reach {
    fn allows(self, zone: Zone) -> bool {
        match self {
            Self::Everywhere => true,
            Self::NotThisMachine => zone != Zone::Machine,
            Self::Internet => zone == Zone::Internet,
        }
    }
}

impl Map {
    pub(crate) fn new(zones: Zones) -> Self {
        let hosts = Arc::default();
        Self { zones, hosts }
    }

    /// Returns which addresses a URL may lead to that a server named.
    pub(crate) fn reach(&self, named_by: &Url, url: &Url) -> Reach {
        if self.zone_of(named_by) != Zone::Internet {
            return Reach::Everywhere;
        }
        if url.scheme() == Scheme::Https && !is_numeric(url.host()) {
            return Reach::NotThisMachine;
        }
        Reach::Internet
    }

    /// Refuses a URL whose host is an address out of reach. Where a proxy resolves the names there is nothing else that
    /// could be looked at.
    pub(crate) fn check_literal(&self, reach: Reach, url: &Url) -> Result<(), Inner> {
        let address = match address_of(url.host()) {
            None if url.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            None => return Ok(()),
            Some(address) => address,
        };
        if reach.allows((self.zones)(address)) {
            return Ok(());
        }
        Err(Inner(address))
    }

    /// Returns where a host is, as far as it was reached; what a proxy reaches is the Internet.
    fn zone_of(&self, url: &Url) -> Zone {
        match address_of(url.host()) {
            Some(address) => (self.zones)(address),
            None if url.is_loopback() => Zone::Machine,
            None => {
                let known = self.hosts().get(url.host()).copied();
                known.unwrap_or(Zone::Internet)
            }
        }
    }

    fn learn(&self, host: &str, zone: Zone) {
        let mut hosts = self.hosts();
        let known = hosts.entry(host.to_owned()).or_insert(zone);
        *known = zone.min(*known);
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<String, Zone>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").finish_non_exhaustive()
    }
}

/// Resolves names, keeps in mind where they lead, and leaves out what is out of reach.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) map: Map,
    pub(crate) reach: Reach,
}

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        let zone = |address: IpAddr| (self.map.zones)(address);
        let outermost = found.iter().map(|found| zone(found.ip())).min();
        if let Some((host, outermost)) = uri.host().zip(outermost) {
            self.map.learn(host, outermost);
        }
        let mut allowed = self.empty();
        for address in &found {
            if self.reach.allows(zone(address.ip())) {
                allowed.push(*address);
            }
        }
        match found.first() {
            Some(first) if allowed.is_empty() => {
                Err(ureq::Error::Other(Box::new(Inner(first.ip()))))
            }
            _ => Ok(allowed),
        }
    }
}

fn address_of(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// Tells whether a host is an address, in one of the forms that resolvers take for one: `10.1`, `0x7f000001`.
fn is_numeric(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next();
    host.starts_with('[') || last.is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()))
}

/// Tells whose an address is.
pub(crate) fn zone(address: IpAddr) -> Zone {
    match address.to_canonical() {
        IpAddr::V4(address) => zone_v4(address),
        IpAddr::V6(address) => zone_v6(address),
    }
}

fn zone_v4(address: Ipv4Addr) -> Zone {
    // 100.64.0.0/10 is what providers have between them and their customers (RFC 6598).
    let is_shared = matches!(address.octets(), [100, 64..=127, _, _]);
    if address.is_loopback()
        || address.is_link_local()
        || address.octets()[0] == 0
        || address.is_broadcast()
        || address.is_multicast()
    {
        Zone::Machine
    } else if address.is_private() || is_shared {
        Zone::Private
    } else {
        Zone::Internet
    }
}

fn zone_v6(address: Ipv6Addr) -> Zone {
    if address.is_loopback()
        || address.is_unspecified()
        || address.is_unicast_link_local()
        || address.is_multicast()
    {
        Zone::Machine
    } else if address.is_unique_local() {
        Zone::Private
    } else {
        Zone::Internet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        for (address, expected) in [
            ("127.0.0.1", Zone::Machine),
            ("127.9.9.9", Zone::Machine),
            ("0.0.0.0", Zone::Machine),
            ("169.254.169.254", Zone::Machine),
            ("255.255.255.255", Zone::Machine),
            ("224.0.0.1", Zone::Machine),
            ("::1", Zone::Machine),
            ("::", Zone::Machine),
            ("fe80::1", Zone::Machine),
            ("::ffff:127.0.0.1", Zone::Machine),
            ("::ffff:169.254.169.254", Zone::Machine),
            ("10.1.2.3", Zone::Private),
            ("172.16.0.1", Zone::Private),
            ("192.168.1.1", Zone::Private),
            ("100.100.100.200", Zone::Private),
            ("fd00:ec2::254", Zone::Private),
            ("::ffff:10.1.2.3", Zone::Private),
            ("172.32.0.1", Zone::Internet),
            ("100.128.0.1", Zone::Internet),
            ("192.0.2.1", Zone::Internet),
            ("2001:db8::1", Zone::Internet),
        ] {
            assert_eq!(zone(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn what_a_server_of_the_internet_names_is_not_inside() {
        let map = Map::new(zone);
        map.learn("registry.corp", Zone::Private);
        map.learn("two.com", Zone::Internet);
        map.learn("two.com", Zone::Machine);
        let url = |text| Url::parse(text).unwrap();
        for (named_by, leads_to, expected) in [
            ("https://r.com/", "https://cdn.com/", Reach::NotThisMachine),
            ("https://r.com/", "https://10.1.2.3/", Reach::Internet),
            ("https://r.com/", "https://10.1/", Reach::Internet),
            ("https://r.com/", "https://167772161/", Reach::Internet),
            ("https://r.com/", "https://0x7f.1/", Reach::Internet),
            ("https://r.com/", "https://[::1]/", Reach::Internet),
            ("http://r.com/", "http://cdn.com/", Reach::Internet),
            ("http://two.com/", "http://10.1.2.3/", Reach::Internet),
            (
                "http://localhost:5000/",
                "http://10.1.2.3/",
                Reach::Everywhere,
            ),
            ("http://10.0.0.1/", "http://10.1.2.3/", Reach::Everywhere),
            (
                "https://registry.corp/",
                "http://10.1.2.3/",
                Reach::Everywhere,
            ),
        ] {
            let found = map.reach(&url(named_by), &url(leads_to));
            assert_eq!(found, expected, "{named_by} {leads_to}");
        }
    }

    #[test]
    fn an_address_in_a_url_is_looked_at_without_a_resolver() {
        let map = Map::new(zone);
        let is_allowed = |reach, text| {
            let url = Url::parse(text).unwrap();
            map.check_literal(reach, &url).is_ok()
        };
        for inner in [
            "https://127.0.0.1/",
            "https://[::ffff:169.254.169.254]/",
            "https://10.1.2.3/",
            "https://localhost:8/",
        ] {
            assert!(!is_allowed(Reach::Internet, inner), "{inner}");
            assert!(is_allowed(Reach::Everywhere, inner), "{inner}");
        }
        assert!(!is_allowed(Reach::NotThisMachine, "https://localhost/"));
        for outer in ["https://192.0.2.1/", "https://cdn.com/"] {
            assert!(is_allowed(Reach::Internet, outer), "{outer}");
        }
    }
}
