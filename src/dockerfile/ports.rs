//! The words of `EXPOSE` after expansion: `80`, `8000-8010/udp`, and the tolerated `ip:host:container` form.

use std::net::IpAddr;

use crate::limits::MAX_EXPOSED_PORTS;

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `tcp`, the default.
    Tcp,
    /// `udp`
    Udp,
    /// `sctp`
    Sctp,
}

/// One port, printed as the image configuration writes it: `80/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The number.
    pub number: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        };
        write!(f, "{}/{protocol}", self.number)
    }
}

/// What one word of `EXPOSE` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortSpec {
    /// The first port.
    pub first: u16,
    /// The last port, which belongs to the range.
    pub last: u16,
    /// The protocol.
    pub protocol: Protocol,
    /// Whether the protocol was written with capitals.
    pub capitals: bool,
    /// Whether a port or an address of the host was given too, which means nothing here.
    pub names_host: bool,
}

/// Says why a word of `EXPOSE` is no port. The text is the word or the part that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// There is no port.
    #[error("`{0}` names no port")]
    NoPort(String),
    /// The protocol is none of those known.
    #[error("unknown protocol `{0}`: use tcp, udp or sctp")]
    Protocol(String),
    /// The port is no number up to 65535, or no range of such.
    #[error("`{0}` is no port between 0 and 65535 and no range of ports")]
    Port(String),
    /// The part before the ports is no IP address.
    #[error("`{0}` is no IP address")]
    Address(String),
    /// The ranges of host and container differ in length.
    #[error("the port ranges `{host}` and `{container}` differ in length")]
    Ranges {
        /// The host's range.
        host: String,
        /// The container's range.
        container: String,
    },
    /// There are too many ports.
    #[error("more than {MAX_EXPOSED_PORTS} ports in one instruction")]
    TooMany,
}

/// Reads the words of one instruction and returns every port, in order.
///
/// # Errors
///
/// Fails as [`parse_port_spec`] does, and when there are too many ports.
pub fn parse_ports<'a, W>(words: W) -> Result<Vec<Port>, PortError>
where
    W: IntoIterator<Item = &'a str>,
{
    let mut ports = Vec::new();
    for word in words {
        let spec = parse_port_spec(word)?;
        let count = usize::from(spec.last - spec.first) + 1;
        if ports.len() + count > MAX_EXPOSED_PORTS {
            return Err(PortError::TooMany);
        }
        let protocol = spec.protocol;
        ports.extend((spec.first..=spec.last).map(|number| Port { number, protocol }));
    }
    Ok(ports)
}

/// Reads one word: `[[ip:]host:]port[-last][/protocol]`.
///
/// # Errors
///
/// Fails when a part of it is missing or is not what stands at that place.
pub fn parse_port_spec(word: &str) -> Result<PortSpec, PortError> {
    let (before, container) = word
        .rsplit_once(':')
        .map_or((None, word), |(b, c)| (Some(b), c));
    let (range, protocol_text) = container.split_once('/').unwrap_or((container, ""));
    if range.is_empty() {
        return Err(PortError::NoPort(word.to_owned()));
    }
    let protocol = protocol(protocol_text)?;
    let (first, last) = port_range(range)?;
    if let Some(before) = before {
        check_host(before, range, last - first)?;
    }
    let capitals = protocol_text.contains(|c: char| c.is_ascii_uppercase());
    Ok(PortSpec {
        first,
        last,
        protocol,
        capitals,
        names_host: before.is_some_and(|before| before.contains(|c| c != ':')),
    })
}

/// Checks `host` or `ip:host`, where `host` may be empty.
fn check_host(before: &str, container: &str, span: u16) -> Result<(), PortError> {
    let (address, host) = before.rsplit_once(':').unwrap_or(("", before));
    check_address(address)?;
    if host.is_empty() {
        return Ok(());
    }
    let (first, last) = port_range(host)?;
    if last - first != span && span != 0 {
        let (host, container) = (host.to_owned(), container.to_owned());
        return Err(PortError::Ranges { host, container });
    }
    Ok(())
}

fn check_address(text: &str) -> Result<(), PortError> {
    let bare = text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(text);
    if text.is_empty() || bare.parse::<IpAddr>().is_ok() {
        Ok(())
    } else {
        Err(PortError::Address(text.to_owned()))
    }
}

fn protocol(text: &str) -> Result<Protocol, PortError> {
    match text.to_lowercase().as_str() {
        "" | "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "sctp" => Ok(Protocol::Sctp),
        _ => Err(PortError::Protocol(text.to_owned())),
    }
}

fn port_range(text: &str) -> Result<(u16, u16), PortError> {
    let bad = || PortError::Port(text.to_owned());
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first).ok_or_else(bad)?, port(last).ok_or_else(bad)?);
    if last < first {
        Err(bad())
    } else {
        Ok((first, last))
    }
}

fn port(text: &str) -> Option<u16> {
    // `parse` takes a plus sign, Go does not.
    if text.starts_with('+') {
        None
    } else {
        text.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_part_that_is_wrong() {
        for (word, message) in [
            ("", "`` names no port"),
            ("80/", ""),
            ("80/xyz", "unknown protocol `xyz`: use tcp, udp or sctp"),
            (
                "80-70",
                "`80-70` is no port between 0 and 65535 and no range of ports",
            ),
            (
                "65536",
                "`65536` is no port between 0 and 65535 and no range of ports",
            ),
            (
                "+80",
                "`+80` is no port between 0 and 65535 and no range of ports",
            ),
            ("localhost:80:80", "`localhost` is no IP address"),
            (
                "1-3:1-2",
                "the port ranges `1-3` and `1-2` differ in length",
            ),
        ] {
            let error = parse_port_spec(word).err().map(|error| error.to_string());
            assert_eq!(error.unwrap_or_default(), message, "{word}");
        }
    }

    #[test]
    fn an_instruction_cannot_name_ports_without_end() {
        let words = vec!["0-65535"; 4];
        assert_eq!(parse_ports(words), Err(PortError::TooMany));
    }
}
