//! One table `[[registry]]` of `registries.conf`: which names it is about, and where those are.

use std::path::PathBuf;

use oci::Reference;

use super::address::direct;
use crate::host::Host;

/// What is said of the names that begin in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// `host[:port][/path…]`, or `*.host`.
    pub(crate) prefix: String,
    /// What stands in the place of the prefix; nothing where names stay as they are.
    pub(crate) location: Option<String>,
    /// Whether it need not be protected.
    pub(crate) insecure: bool,
    /// Whether it must not be used.
    pub(crate) blocked: bool,
    /// Who is asked before, in this order.
    pub(crate) mirrors: Vec<Mirror>,
    /// The file that says so.
    pub(crate) path: PathBuf,
}

/// One table `[[registry.mirror]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirror {
    /// What stands in the place of the prefix.
    pub(crate) location: String,
    /// Whether it need not be protected.
    pub(crate) insecure: bool,
    /// What it is asked for.
    pub(crate) pull_from: PullFrom,
}

/// What a mirror is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PullFrom {
    /// Everything.
    All,
    /// Names with a digest.
    DigestOnly,
    /// Names without one.
    TagOnly,
}

impl Rule {
    /// Returns what follows the prefix in a name, if it begins with it.
    ///
    /// A prefix ends where a part of the name does: `r.example/a` is one of `r.example/a/b` and `r.example/a:1`, and not
    /// of `r.example/ab`.
    pub(crate) fn matched(&self, reference: &Reference) -> Option<String> {
        let (registry, path) = match self.prefix.find('/') {
            Some(at) => self.prefix.split_at_checked(at)?,
            None => (&*self.prefix, ""),
        };
        let domain = reference.domain();
        let is_here = match registry.strip_prefix('*') {
            Some(suffix) => domain.len() > suffix.len() && domain.ends_with(suffix),
            None => domain == registry,
        };
        let name = reference.to_string();
        let rest = name.strip_prefix(domain)?.strip_prefix(path)?;
        let ends = rest.is_empty() || rest.starts_with(['/', ':', '@']);
        (is_here && ends).then(|| rest.to_owned())
    }

    /// Returns the mirrors and the location itself for a name, in the order in which they are asked for reading;
    /// nothing where the table names no other place.
    pub(crate) fn hosts(&self, reference: &Reference) -> Option<Vec<Host>> {
        let moved = self.location.as_ref().filter(|l| **l != self.prefix);
        if moved.is_none() && self.mirrors.is_empty() {
            return None;
        }
        let rest = self.matched(reference)?;
        let has_digest = reference.digest().is_some();
        let mut hosts = Vec::new();
        for mirror in &self.mirrors {
            if !mirror.pull_from.allows(has_digest) {
                continue;
            }
            // A name that gets too long in this way is nobody's.
            let Some(mut host) = located(&mirror.location, &rest) else {
                continue;
            };
            host.is_mirror = true;
            host.tls.unverified = mirror.insecure;
            host.tls.plain_fallback = mirror.insecure;
            hosts.push(host);
        }
        let own = match &self.location {
            Some(location) => located(location, &rest),
            None => direct(reference.domain(), reference.path()).ok(),
        };
        hosts.extend(own.map(|host| self.relaxed(host)));
        Some(hosts)
    }

    /// Returns a host of the registry itself, with what the table says of its protection.
    pub(crate) fn relaxed(&self, mut host: Host) -> Host {
        host.tls.unverified |= self.insecure;
        host.tls.plain_fallback |= self.insecure;
        host
    }
}

impl PullFrom {
    fn allows(self, has_digest: bool) -> bool {
        match self {
            Self::All => true,
            Self::DigestOnly => has_digest,
            Self::TagOnly => !has_digest,
        }
    }
}

/// Returns the host of a name whose prefix is replaced.
fn located(location: &str, rest: &str) -> Option<Host> {
    let name = Reference::parse_literal(&format!("{location}{rest}")).ok()?;
    direct(name.domain(), name.path()).ok()
}
