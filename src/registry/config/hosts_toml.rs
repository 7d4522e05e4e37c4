//! containerd's `hosts.toml`: who stands in for a registry, for reading and for writing.
//!
//! ```text
//! certs.d/<host>_<port>_/hosts.toml     what is said of registry <host>:<port>
//! certs.d/<host>[:<port>]/hosts.toml    the same; the first that is there counts
//! certs.d/_default/hosts.toml           what is said of all others
//! ```
//!
//! The tables `[host."URL"]` are asked in the order in which they stand in the file, then `server`, which is the
//! registry itself where the file does not name one. Paths of files count from the directory of the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fetch::UrlError;
use serde::Deserialize;
use toml::Spanned;

use super::address::{Endpoint, direct};
use super::file::{ConfigError, Owner, read_toml};
use crate::host::{Capabilities, Host};

/// The file in the directory of a registry.
const FILE: &str = "hosts.toml";
/// The directory of all registries that have none.
const DEFAULT: &str = "_default";

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HostsFile {
    server: Option<String>,
    host: BTreeMap<Spanned<String>, HostTable>,
    #[serde(flatten)]
    server_table: HostTable,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct HostTable {
    capabilities: Option<Vec<String>>,
    ca: OneOrMany<PathBuf>,
    client: Option<Client>,
    skip_verify: bool,
    override_path: bool,
    header: BTreeMap<String, OneOrMany<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T: Clone> OneOrMany<T> {
    fn to_vec(&self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one.clone()],
            Self::Many(many) => many.clone(),
        }
    }
}

/// A certificate with its key in the same file, or with the key in another.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Client {
    Same(PathBuf),
    List(Vec<ClientPair>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum ClientPair {
    Same(PathBuf),
    Pair(PathBuf, PathBuf),
}

impl Client {
    /// Returns the first certificate, and the file of its key.
    fn first(&self) -> Option<(PathBuf, PathBuf)> {
        match self {
            Self::Same(path) => Some((path.clone(), path.clone())),
            Self::List(pairs) => pairs.first().map(|pair| match pair {
                ClientPair::Same(path) => (path.clone(), path.clone()),
                ClientPair::Pair(certificate, key) => (certificate.clone(), key.clone()),
            }),
        }
    }
}

/// Returns the directory of a registry in the first of these `certs.d` that has one, and whose it is.
fn directory_of(roots: &[(PathBuf, Owner)], domain: &str) -> Option<(PathBuf, Owner)> {
    let plain = domain.to_owned();
    let names = match domain.rsplit_once(':') {
        Some((host, port)) => vec![format!("{host}_{port}_"), plain],
        None => vec![plain],
    };
    let own = roots
        .iter()
        .flat_map(|root| names.iter().map(move |name| (root, name.as_str())));
    let default = roots.iter().map(|root| (root, DEFAULT));
    own.chain(default)
        .map(|((root, owner), name)| (root.join(name), *owner))
        .find(|(path, _)| std::fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()))
}

/// Returns who answers for a registry, in this order; nothing if no file says anything of it.
pub(crate) fn hosts(
    roots: &[(PathBuf, Owner)],
    domain: &str,
    repository: &str,
) -> Result<Option<Vec<Host>>, ConfigError> {
    let Some((directory, owner)) = directory_of(roots, domain) else {
        return Ok(None);
    };
    let path = directory.join(FILE);
    let Some(file) = read_toml::<HostsFile>(&path, owner)? else {
        return Ok(None);
    };
    let mut tables: Vec<_> = file.host.into_iter().collect();
    // The parser sorts them by name; the order of the file is the order of asking.
    tables.sort_by_key(|(url, _)| url.span().start);
    let mut hosts = Vec::new();
    for (url, table) in tables {
        let mut host = table.host(&path, url.get_ref(), repository)?;
        host.is_mirror = true;
        host.stands_for = table.takes_pushes().then(|| domain.to_owned());
        hosts.push(host);
    }
    let server = if let Some(server) = &file.server {
        file.server_table.host(&path, server, repository)?
    } else {
        let host = direct(domain, repository).map_err(address(&path, domain))?;
        file.server_table.applied_to(host, &path)?
    };
    hosts.push(server);
    Ok(Some(hosts))
}

/// Returns the directories of certificates for a registry: those that have no `hosts.toml` are like docker's.
pub(crate) fn certificate_directory(root: &(PathBuf, Owner), domain: &str) -> Option<PathBuf> {
    let (directory, _) = directory_of(std::slice::from_ref(root), domain)?;
    let has_file = std::fs::metadata(directory.join(FILE)).is_ok();
    (!has_file && !directory.ends_with(DEFAULT)).then_some(directory)
}

fn address(path: &Path, text: &str) -> impl FnOnce(UrlError) -> ConfigError {
    let (path, text) = (path.to_owned(), text.to_owned());
    move |source| ConfigError::Address { path, text, source }
}

impl HostTable {
    /// Tells whether the file says so, and not only nothing else.
    fn takes_pushes(&self) -> bool {
        let words = self.capabilities.iter().flatten();
        words.into_iter().any(|word| word == "push")
    }

    fn host(&self, path: &Path, url: &str, repository: &str) -> Result<Host, ConfigError> {
        let endpoint = Endpoint::parse(url).map_err(address(path, url))?;
        let suffix = if self.override_path || endpoint.path().ends_with("/v2") {
            ""
        } else {
            "/v2"
        };
        let api = format!("{}{suffix}", endpoint.path());
        let host = endpoint.with_path(api).host(repository);
        self.applied_to(host.map_err(address(path, url))?, path)
    }

    fn applied_to(&self, mut host: Host, path: &Path) -> Result<Host, ConfigError> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        if let Some(words) = &self.capabilities {
            host.capabilities = capabilities(words).ok_or_else(|| ConfigError::Value {
                path: path.to_owned(),
                key: "capabilities".to_owned(),
                expected: "a list of `pull`, `resolve` and `push`",
            })?;
        }
        let authorities = self.ca.to_vec().into_iter();
        host.tls.authorities = authorities.map(|file| directory.join(file)).collect();
        let pair = self.client.as_ref().and_then(Client::first);
        host.tls.identity =
            pair.map(|(certificate, key)| (directory.join(certificate), directory.join(key)));
        host.tls.unverified = self.skip_verify;
        for (name, values) in &self.header {
            let values = values.to_vec().into_iter();
            host.headers
                .extend(values.map(|value| (name.clone(), value)));
        }
        Ok(host)
    }
}

/// Returns what a host may be asked for; an empty list says nothing and means everything.
fn capabilities(words: &[String]) -> Option<Capabilities> {
    if words.is_empty() {
        return Some(Capabilities::ALL);
    }
    let mut allowed = Capabilities {
        resolve: false,
        pull: false,
        push: false,
    };
    for word in words {
        match word.as_str() {
            "resolve" => allowed.resolve = true,
            "pull" => allowed.pull = true,
            "push" => allowed.push = true,
            _ => return None,
        }
    }
    Some(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        directory: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self {
                directory: tempfile::tempdir().unwrap(),
            }
        }

        fn root(&self, name: &str) -> (PathBuf, Owner) {
            (self.directory.path().join(name), Owner::User)
        }

        fn put(&self, path: &str, text: &str) -> PathBuf {
            let path = self.directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    fn bases(hosts: &[Host]) -> Vec<String> {
        hosts.iter().map(|host| host.base.to_string()).collect()
    }

    #[test]
    fn hosts_are_asked_in_the_order_of_the_file_and_the_server_at_last() {
        let place = Place::new();
        let text = include_str!("examples/hosts.toml");
        let path = place.put("u/docker.io/hosts.toml", text);
        let near = |name: &str| path.parent().unwrap().join(name);
        let hosts = hosts(&[place.root("u")], "docker.io", "library/busybox")
            .unwrap()
            .unwrap();
        assert_eq!(
            bases(&hosts),
            [
                "https://z-mirror.example/v2",
                "http://10.0.0.1:5000/hub/v2",
                "https://a.example/custom/api",
                "https://registry-1.docker.io/v2",
            ]
        );
        let [first, second, third, server] = &hosts[..] else {
            panic!("{hosts:?}");
        };
        assert!(first.is_mirror && second.is_mirror && third.is_mirror && !server.is_mirror);
        assert_eq!(server.credentials_for, "docker.io");
        assert_eq!(second.credentials_for, "10.0.0.1:5000");
        assert_eq!(
            first.capabilities,
            Capabilities {
                resolve: true,
                pull: true,
                push: false
            }
        );
        assert_eq!(third.capabilities, Capabilities::ALL);
        assert_eq!(
            first.tls.authorities,
            [near("ca.crt"), PathBuf::from("/etc/ca2.pem")]
        );
        assert_eq!(
            first.tls.identity,
            Some((near("client.cert"), near("client.key")))
        );
        assert!(!first.tls.unverified && third.tls.unverified);
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            third.headers,
            [
                header("x-one", "1"),
                header("x-two", "a"),
                header("x-two", "b")
            ]
        );
        assert_eq!(server.tls.authorities, [near("hub.crt")]);
    }

    #[test]
    fn the_directory_of_a_registry_is_found_before_that_of_all() {
        let place = Place::new();
        let roots = [place.root("u"), place.root("s")];
        let server = |domain: &str| {
            let hosts = hosts(&roots, domain, "a").unwrap();
            hosts.map(|hosts| bases(&hosts).remove(0))
        };
        let text = |name: &str| format!("[host.\"http://{name}\"]\n");
        place.put("u/_default/hosts.toml", &text("default"));
        place.put("s/r.example/hosts.toml", &text("system"));
        place.put("s/r.example:5000/hosts.toml", &text("colon"));
        assert_eq!(server("r.example").unwrap(), "http://system/v2");
        assert_eq!(server("r.example:5000").unwrap(), "http://colon/v2");
        place.put("s/r.example_5000_/hosts.toml", &text("underscores"));
        assert_eq!(server("r.example:5000").unwrap(), "http://underscores/v2");
        place.put("u/r.example:5000/hosts.toml", &text("user"));
        assert_eq!(server("r.example:5000").unwrap(), "http://user/v2");
        assert_eq!(server("other.example").unwrap(), "http://default/v2");
        assert_eq!(hosts(&[], "other.example", "a").unwrap(), None);
    }

    #[test]
    fn a_directory_without_the_file_has_certificates_like_dockers() {
        let place = Place::new();
        let root = place.root("u");
        place.put("u/r.example/ca.crt", "");
        place.put("u/o.example/hosts.toml", "");
        place.put("u/_default/ca.crt", "");
        let directory = certificate_directory(&root, "r.example").unwrap();
        assert_eq!(directory, root.0.join("r.example"));
        assert_eq!(certificate_directory(&root, "o.example"), None);
        assert_eq!(certificate_directory(&root, "n.example"), None);
        let bases = bases(&hosts(&[root], "o.example", "a").unwrap().unwrap());
        assert_eq!(bases, ["https://o.example/v2"]);
    }

    #[test]
    fn all_ways_to_name_a_client_certificate_are_read() {
        let cases = [
            ("client = \"/a.pem\"", Some(("/a.pem", "/a.pem"))),
            (
                "client = [\"/a.pem\", \"/b.pem\"]",
                Some(("/a.pem", "/a.pem")),
            ),
            (
                "client = [[\"/a.cert\", \"/a.key\"], [\"/b\", \"/c\"]]",
                Some(("/a.cert", "/a.key")),
            ),
            ("client = []", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let table: HostTable = toml::from_str(text).unwrap();
            let expected = expected.map(|(a, b)| (PathBuf::from(a), PathBuf::from(b)));
            assert_eq!(table.client.and_then(|c| c.first()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let cases = [
            (
                "[host.\"https://a\"]\ncapabilities = [\"pul\"]",
                "`capabilities` is not a list of `pull`, `resolve` and `push`",
            ),
            (
                "server = \"ftp://a\"",
                "`ftp://a` is no address of a registry",
            ),
            (
                "server = \"https://a\"\n[host",
                "line 2: unclosed table, expected `]`",
            ),
        ];
        for (text, expected) in cases {
            let place = Place::new();
            place.put("u/r.example/hosts.toml", text);
            let error = hosts(&[place.root("u")], "r.example", "a").unwrap_err();
            assert!(
                error.to_string().ends_with(expected),
                "{error} has not {expected}"
            );
        }
    }
}
