//! Addresses of registries as configuration files write them, and what is special about some.

use std::net::IpAddr;

use fetch::{Scheme, Url, UrlError};

use crate::host::{Capabilities, Host, HostTls};

/// What references call Docker Hub.
pub(crate) const HUB: &str = "docker.io";
/// Where Docker Hub answers.
const HUB_HOST: &str = "registry-1.docker.io";
/// What the configuration files call Docker Hub, for reasons of its history.
pub(crate) const HUB_SERVER: &str = "https://index.docker.io/v1/";
/// The names of Docker Hub.
const HUB_NAMES: [&str; 3] = [HUB, HUB_HOST, "index.docker.io"];

/// Returns the name under which credentials for a host are known.
pub(crate) fn credentials_name(authority: &str) -> &str {
    if HUB_NAMES.contains(&authority) {
        HUB
    } else {
        authority
    }
}

/// `[scheme://]host[:port][/path]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    scheme: Option<Scheme>,
    authority: String,
    /// Begins with `/` and does not end with it, or is empty.
    path: String,
}

impl Endpoint {
    /// Reads an address; what is no `http` or `https` URL without a scheme is none.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let scheme = text.contains("://");
        let url = if scheme {
            Url::parse(text)?
        } else {
            Url::parse(&format!("https://{text}"))?
        };
        // A password in it would be sent to whom it is not meant for; credentials have files of their own.
        if url.userinfo().is_some() {
            return Err(UrlError::Host('@'));
        }
        let authority = url.authority();
        let whole = url.without_userinfo();
        let path = whole
            .split_once("://")
            .and_then(|(_, rest)| rest.strip_prefix(&authority));
        let path = path.unwrap_or_default().trim_end_matches('/').to_owned();
        Ok(Self {
            scheme: scheme.then(|| url.scheme()),
            authority,
            path,
        })
    }

    /// Returns the path, which does not end with `/`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the same address with another path.
    pub(crate) fn with_path(mut self, path: String) -> Self {
        self.path = path;
        self
    }

    /// Returns the host of this address, whose path is that of the API, for a repository.
    pub(crate) fn host(&self, repository: &str) -> Result<Host, UrlError> {
        let asked = if HUB_NAMES.contains(&&*self.authority) {
            HUB_HOST
        } else {
            &self.authority
        };
        let scheme = self.scheme.unwrap_or(Scheme::Https).as_str();
        Ok(Host {
            base: Url::parse(&format!("{scheme}://{asked}{}", self.path))?,
            repository: repository.to_owned(),
            credentials_for: credentials_name(&self.authority).to_owned(),
            capabilities: Capabilities::ALL,
            tls: HostTls::default(),
            headers: Vec::new(),
            stands_for: None,
            is_mirror: false,
        })
    }
}

/// Returns the host that a reference names: `https://<domain>/v2`.
pub(crate) fn direct(domain: &str, repository: &str) -> Result<Host, UrlError> {
    let endpoint = Endpoint::parse(domain)?;
    endpoint.with_path("/v2".to_owned()).host(repository)
}

/// Returns the address that a host's name is, if it is one.
fn ip(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// Tells whether a host is this machine itself.
pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost" || ip(host).is_some_and(|address| address.is_loopback())
}

/// Tells whether a host is in a network (`10.0.0.0/8`); none of a name is.
pub(crate) fn is_within(host: &str, network: &str) -> bool {
    let Some((network, bits)) = network.split_once('/') else {
        return false;
    };
    let parsed = (ip(host), network.parse().ok(), bits.parse::<u32>().ok());
    match parsed {
        (Some(IpAddr::V4(host)), Some(IpAddr::V4(network)), Some(bits @ 0..=32)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            host.to_bits() & mask == network.to_bits() & mask
        }
        (Some(IpAddr::V6(host)), Some(IpAddr::V6(network)), Some(bits @ 0..=128)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            host.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split() {
        let cases = [
            ("r.example", None, "r.example", ""),
            ("R.example:5000/", None, "r.example:5000", ""),
            ("r.example/proxy/hub/", None, "r.example", "/proxy/hub"),
            ("http://10.0.0.1:80", Some(Scheme::Http), "10.0.0.1:80", ""),
            (
                "https://[::1]:5000/v2",
                Some(Scheme::Https),
                "[::1]:5000",
                "/v2",
            ),
        ];
        for (text, scheme, authority, path) in cases {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.scheme, scheme, "{text}");
            assert_eq!(endpoint.authority, authority, "{text}");
            assert_eq!(endpoint.path(), path, "{text}");
        }
        assert_eq!(Endpoint::parse("ftp://r.example"), Err(UrlError::Scheme));
        assert_eq!(Endpoint::parse(""), Err(UrlError::NoHost));
        let with_password = Endpoint::parse("https://me:hidden@r.example");
        assert_eq!(with_password, Err(UrlError::Host('@')));
    }

    #[test]
    fn docker_hub_answers_elsewhere_and_has_one_name_for_credentials() {
        for name in ["docker.io", "index.docker.io", "registry-1.docker.io"] {
            let host = direct(name, "library/busybox").unwrap();
            assert_eq!(host.base.to_string(), "https://registry-1.docker.io/v2");
            assert_eq!(host.credentials_for, "docker.io");
        }
        let host = direct("r.example:5000", "app").unwrap();
        assert_eq!(host.base.to_string(), "https://r.example:5000/v2");
        assert_eq!(host.credentials_for, "r.example:5000");
    }

    #[test]
    fn the_machine_itself_and_networks_are_recognised() {
        for host in ["localhost", "127.0.0.1", "127.255.0.9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "128.0.0.1", "[::2]", "127.0.0.1.nip"] {
            assert!(!is_loopback(host), "{host}");
        }
        let cases = [
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("10.1.2.3", "0.0.0.0/0", true),
            ("10.1.2.3", "10.1.2.3/32", true),
            ("10.1.2.3", "10.1.2.3/33", false),
            ("[fd00::5]", "fd00::/8", true),
            ("[fe00::5]", "fd00::/8", false),
            ("10.1.2.3", "::/0", false),
            ("r.example", "0.0.0.0/0", false),
        ];
        for (host, network, expected) in cases {
            assert_eq!(is_within(host, network), expected, "{host} {network}");
        }
    }
}
