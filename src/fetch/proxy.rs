//! Which proxy a request goes through.
//!
//! The rules are those of Go's `golang.org/x/net/http/httpproxy`, which is what users of other builders have: the
//! machine itself is always reached directly, and `NO_PROXY` lists hosts, domains, addresses and networks.

use std::net::IpAddr;

use crate::url::{Scheme, Url, UrlError};

/// The proxies that the user has, as the variables of the environment say it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http` URLs: `HTTP_PROXY`.
    pub http: Option<String>,
    /// For `https` URLs: `HTTPS_PROXY`.
    pub https: Option<String>,
    /// What is reached without a proxy, separated by commas: `NO_PROXY`.
    pub no_proxy: Option<String>,
}

/// The setting of a proxy cannot be understood. It may hold a password and is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use the proxy for {} URLs", scheme.as_str())]
pub struct ProxyError {
    /// The URLs that it is for.
    pub scheme: Scheme,
    /// What is wrong.
    pub source: UrlError,
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

impl Proxies {
    /// Returns the proxy that a URL is reached through; none if it is reached directly.
    pub(crate) fn of(&self, url: &Url) -> Result<Option<Url>, ProxyError> {
        let scheme = url.scheme();
        let setting = match scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        let Some(setting) = setting.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        if self.is_direct(url) {
            return Ok(None);
        }
        let text = if setting.contains("://") {
            setting.to_owned()
        } else {
            format!("http://{setting}")
        };
        Url::parse(&text)
            .map(Some)
            .map_err(|source| ProxyError { scheme, source })
    }

    fn is_direct(&self, url: &Url) -> bool {
        let host = url.host().trim_matches(['[', ']']);
        let address: Option<IpAddr> = host.parse().ok();
        if url.is_loopback() {
            return true;
        }
        let rules = self.no_proxy.as_deref().unwrap_or_default().split(',');
        rules
            .map(|rule| rule.trim().to_ascii_lowercase())
            .filter(|rule| !rule.is_empty())
            .any(|rule| matches_rule(&rule, host, address, url.port()))
    }
}

fn matches_rule(rule: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if rule == "*" {
        return true;
    }
    if let Some((network, bits)) = rule.split_once('/') {
        let network = network.parse().ok().zip(bits.parse().ok());
        return address
            .zip(network)
            .is_some_and(|(address, (network, bits))| is_within(address, network, bits));
    }
    if let Ok(rule) = rule.trim_matches(['[', ']']).parse::<IpAddr>() {
        return address == Some(rule);
    }
    let name = match rule.rsplit_once(':') {
        Some((name, of_rule)) => {
            if of_rule.parse() != Ok(port) {
                return false;
            }
            name.trim_matches(['[', ']'])
        }
        None => rule,
    };
    if address.is_some() {
        return name == host;
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    match name.strip_prefix('.') {
        // A leading dot leaves the domain itself out.
        Some(domain) => is_below(host, domain),
        None => host == name || is_below(host, name),
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.ends_with('.'))
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        bits <= width && (bits == 0 || (a ^ b) >> (width - bits) == 0)
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxied(no_proxy: &str, url: &str) -> bool {
        let proxies = Proxies {
            http: Some("proxy:3128".to_owned()),
            https: Some("http://u:p@proxy:3129".to_owned()),
            no_proxy: Some(no_proxy.to_owned()),
        };
        let url = Url::parse(url).unwrap();
        proxies.of(&url).unwrap().is_some()
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let proxies = Proxies {
            https: Some("http://u:p@proxy:3129".to_owned()),
            ..Proxies::default()
        };
        let of = |url| proxies.of(&Url::parse(url).unwrap()).unwrap();
        assert_eq!(of("http://e.com/"), None);
        assert_eq!(
            of("https://e.com/").unwrap().with_userinfo(),
            "http://u:p@proxy:3129/"
        );
        assert!(!format!("{proxies:?}").contains("u:p"));
    }

    #[test]
    fn the_machine_itself_needs_no_proxy() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(!proxied("", &format!("http://{host}:8/")), "{host}");
        }
        assert!(proxied("", "http://e.com/"));
    }

    #[test]
    fn no_proxy_names_hosts_domains_addresses_and_networks() {
        for (rules, url, expected) in [
            ("*", "http://e.com/", false),
            ("e.com", "http://e.com/", false),
            ("e.com", "http://sub.e.com/", false),
            ("e.com", "http://the.com/", true),
            (".e.com", "http://e.com/", true),
            (".e.com", "https://sub.e.com/", false),
            ("*.e.com", "http://sub.e.com/", false),
            ("a.b, e.com:8", "http://e.com:8/", false),
            ("e.com:8", "http://e.com/", true),
            ("10.0.0.0/8", "http://10.1.2.3/", false),
            ("10.0.0.0/8", "http://11.1.2.3/", true),
            ("fd00::/8", "http://[fd12::1]/", false),
            ("192.0.2.1", "http://192.0.2.1/", false),
            ("192.0.2.1", "http://192.0.2.10/", true),
        ] {
            assert_eq!(proxied(rules, url), expected, "{rules}: {url}");
        }
    }
}
