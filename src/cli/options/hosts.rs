//! `--add-host` and `--dns…`: the names that commands know.

use std::net::{IpAddr, Ipv4Addr};

use graph::ExtraHost;

/// What stands for the machine that builds, as docker's clients have it.
const HOST_GATEWAY: &str = "host-gateway";

/// The machine that builds, seen from a command that has its network: its own loop-back address. Commands that are to
/// know it have that network.
const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Why a name or a name server cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It is no pair of a name and an address.
    #[error("`--add-host {text}` is not `HOST:IP` or `HOST=IP`")]
    Pair {
        /// What was typed.
        text: String,
    },
    /// The name would break the file.
    #[error("`--add-host {text}`: `{name}` is no host name")]
    Name {
        /// What was typed.
        text: String,
        /// The name.
        name: String,
    },
    /// The address is none.
    #[error("`{flag} {text}`: `{address}` is no IP address")]
    Address {
        /// The flag.
        flag: &'static str,
        /// What was typed.
        text: String,
        /// The address.
        address: String,
    },
    /// What a line of the resolver's file cannot hold.
    #[error("`{flag} {text}`: `{text}` is not one word")]
    Word {
        /// The flag.
        flag: &'static str,
        /// What was typed.
        text: String,
    },
}

/// Tells whether an `--add-host` names this machine.
pub(super) fn is_gateway(text: &str) -> bool {
    text.strip_suffix(HOST_GATEWAY)
        .is_some_and(|name| name.ends_with([':', '=']))
}

/// Returns the hosts of `--add-host`, in their order.
pub(super) fn extra_hosts(texts: &[String]) -> Result<Vec<ExtraHost>, HostError> {
    texts.iter().map(|text| extra_host(text)).collect()
}

/// A name ends at `=`; without one at the first `:`, since the address may have more of them.
fn extra_host(text: &str) -> Result<ExtraHost, HostError> {
    let pair = || text.to_owned();
    let (name, address) = text
        .split_once('=')
        .or_else(|| text.split_once(':'))
        .filter(|(name, _)| !name.is_empty() && !name.contains(':'))
        .ok_or_else(|| HostError::Pair { text: pair() })?;
    if !is_word(name) {
        let (text, name) = (pair(), name.to_owned());
        return Err(HostError::Name { text, name });
    }
    let address = match address {
        HOST_GATEWAY => GATEWAY,
        _ => ip(without_brackets(address)).ok_or_else(|| HostError::Address {
            flag: "--add-host",
            text: pair(),
            address: address.to_owned(),
        })?,
    };
    // BuildKit's frontend has it in lower case.
    let name = name.to_ascii_lowercase();
    Ok(ExtraHost { name, address })
}

fn without_brackets(address: &str) -> &str {
    let inner = address.strip_prefix('[');
    inner
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(address)
}

fn ip(text: &str) -> Option<IpAddr> {
    text.parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

/// Tells whether a line of words can hold `text` as one of them.
fn is_word(text: &str) -> bool {
    let breaks = |c: char| c.is_whitespace() || c.is_control() || c == '#';
    !text.is_empty() && !text.contains(breaks)
}

/// What commands are to have in `/etc/resolv.conf` in the place of what the machine has.
///
/// It does not enter keys: name servers are the machine's business, and with another one a build is
/// to find what it built with the first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolver {
    /// The name servers; the machine's if there are none.
    pub servers: Vec<IpAddr>,
    /// The options; the machine's if there are none.
    pub options: Vec<String>,
    /// The domains that names are completed with; the machine's if there are none. A single `.`
    /// stands for no domain.
    pub search: Vec<String>,
}

impl Resolver {
    pub(super) fn new(
        servers: &[String],
        options: &[String],
        search: &[String],
    ) -> Result<Self, HostError> {
        let server = |text: &String| {
            ip(text).ok_or_else(|| HostError::Address {
                flag: "--dns",
                text: text.clone(),
                address: text.clone(),
            })
        };
        Ok(Self {
            servers: servers.iter().map(server).collect::<Result<_, _>>()?,
            options: words("--dns-option", options)?,
            search: words("--dns-search", search)?,
        })
    }

    /// Returns the machine's configuration with what was asked for in it.
    pub fn applied_to(&self, machine: Vec<u8>) -> Vec<u8> {
        if *self == Self::default() {
            return machine;
        }
        let text = String::from_utf8_lossy(&machine);
        let servers: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        let mut lines = Vec::new();
        let search = or_machines(&self.search, &text, "search");
        if !search.is_empty() && search != ["."] {
            lines.push(["search ", &search.join(" ")].concat());
        }
        let servers = or_machines(&servers, &text, "nameserver");
        lines.extend(
            servers
                .iter()
                .map(|server| ["nameserver ", server].concat()),
        );
        let options = or_machines(&self.options, &text, "options");
        if !options.is_empty() {
            lines.push(["options ", &options.join(" ")].concat());
        }
        lines.push(String::new());
        lines.join("\n").into_bytes()
    }
}

fn words(flag: &'static str, texts: &[String]) -> Result<Vec<String>, HostError> {
    let word = |text: &String| {
        let text = text.clone();
        if is_word(&text) {
            Ok(text)
        } else {
            Err(HostError::Word { flag, text })
        }
    };
    texts.iter().map(word).collect()
}

/// Returns what was asked for, or else the words of the machine's lines that begin with `keyword`.
fn or_machines(asked: &[String], machine: &str, keyword: &str) -> Vec<String> {
    if !asked.is_empty() {
        return asked.to_vec();
    }
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let is_meant = words.next() == Some(keyword);
        let rest: Vec<String> = words.map(str::to_owned).collect();
        if is_meant { rest } else { Vec::new() }
    };
    machine.lines().flat_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str) -> Result<String, String> {
        extra_host(text)
            .map(|host| format!("{} {}", host.address, host.name))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_host_is_added_in_all_forms() {
        for (text, expected) in [
            ("db:10.0.0.2", "10.0.0.2 db"),
            ("db=10.0.0.2", "10.0.0.2 db"),
            ("DB.Example:10.0.0.2", "10.0.0.2 db.example"),
            ("v6:fe80::1", "fe80::1 v6"),
            ("v6=fe80:0:0::1", "fe80::1 v6"),
            ("v6:[fe80::1]", "fe80::1 v6"),
            ("v4=[10.0.0.2]", "10.0.0.2 v4"),
            ("mapped=::ffff:10.0.0.2", "10.0.0.2 mapped"),
            (
                "host.docker.internal:host-gateway",
                "127.0.0.1 host.docker.internal",
            ),
        ] {
            assert_eq!(added(text), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for (text, expected) in [
            ("db", "`--add-host db` is not `HOST:IP` or `HOST=IP`"),
            (
                ":10.0.0.2",
                "`--add-host :10.0.0.2` is not `HOST:IP` or `HOST=IP`",
            ),
            (
                "a:b=10.0.0.2",
                "`--add-host a:b=10.0.0.2` is not `HOST:IP` or `HOST=IP`",
            ),
            ("db:", "`--add-host db:`: `` is no IP address"),
            (
                "db:10.0.0",
                "`--add-host db:10.0.0`: `10.0.0` is no IP address",
            ),
            (
                "db:fe80::1%eth0",
                "`--add-host db:fe80::1%eth0`: `fe80::1%eth0` is no IP address",
            ),
            (
                "a b:10.0.0.2",
                "`--add-host a b:10.0.0.2`: `a b` is no host name",
            ),
            (
                "a\nb=10.0.0.2",
                "`--add-host a\nb=10.0.0.2`: `a\nb` is no host name",
            ),
            (
                "#a=10.0.0.2",
                "`--add-host #a=10.0.0.2`: `#a` is no host name",
            ),
        ] {
            assert_eq!(added(text), Err(expected.to_owned()));
        }
    }

    const MACHINE: &str = "# ours\nsearch example.org corp\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n\
                           options ndots:2 rotate\n";

    fn resolved(servers: &[&str], options: &[&str], search: &[&str]) -> String {
        let [servers, options, search] = [servers, options, search]
            .map(|texts| texts.iter().copied().map(str::to_owned).collect::<Vec<_>>());
        let resolver = Resolver::new(&servers, &options, &search).unwrap();
        String::from_utf8(resolver.applied_to(MACHINE.into())).unwrap()
    }

    #[test]
    fn the_machines_resolver_is_left_as_it_is_where_nothing_is_asked_for() {
        assert_eq!(resolved(&[], &[], &[]), MACHINE);
    }

    #[test]
    fn what_is_asked_for_stands_in_the_place_of_what_the_machine_has() {
        assert_eq!(
            resolved(&["10.0.0.1", "fe80::1"], &[], &[]),
            "search example.org corp\nnameserver 10.0.0.1\nnameserver fe80::1\noptions ndots:2 rotate\n"
        );
        assert_eq!(
            resolved(&[], &["use-vc"], &["a.example", "b.example"]),
            "search a.example b.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions use-vc\n"
        );
        assert_eq!(
            resolved(&[], &[], &["."]),
            "nameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:2 rotate\n"
        );
    }

    #[test]
    fn what_a_resolver_cannot_have_is_refused() {
        let refused = |servers: &[&str], options: &[&str]| {
            let [servers, options] = [servers, options]
                .map(|texts| texts.iter().copied().map(str::to_owned).collect::<Vec<_>>());
            Resolver::new(&servers, &options, &[])
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refused(&["none"], &[]),
            "`--dns none`: `none` is no IP address"
        );
        assert_eq!(
            refused(&[], &["a\nnameserver 1.1.1.1"]),
            "`--dns-option a\nnameserver 1.1.1.1`: `a\nnameserver 1.1.1.1` is not one word"
        );
    }
}
