//! `certs.d`: directories of certificates, one for each registry (docker's and containers' way).
//!
//! `*.crt` are authorities; `NAME.cert` with `NAME.key` is who we are. With several pairs the first by name is used.

use std::io;
use std::path::{Path, PathBuf};

use super::file::{ConfigError, files_with};
use crate::host::HostTls;

/// What a directory of certificates says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Certificates {
    authorities: Vec<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
}

impl Certificates {
    /// Reads a directory; nothing if it is not there, or not ours to look into.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, ConfigError> {
        match std::fs::metadata(directory) {
            Ok(metadata) if metadata.is_dir() => {}
            _ => return Ok(None),
        }
        let files = match files_with(directory, &["crt", "cert", "key"]) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
            Err(source) => {
                return Err(ConfigError::Read {
                    path: directory.to_owned(),
                    source,
                });
            }
        };
        let is = |path: &PathBuf, extension: &str| path.extension().is_some_and(|e| e == extension);
        let mut identity = None;
        for path in files.iter().filter(|path| !is(path, "crt")) {
            let other = path.with_extension(if is(path, "key") { "cert" } else { "key" });
            if !files.contains(&other) {
                let missing = other.file_name().unwrap_or_default().to_string_lossy();
                return Err(ConfigError::Pair {
                    path: path.clone(),
                    missing: missing.into_owned(),
                });
            }
            if is(path, "cert") && identity.is_none() {
                identity = Some((path.clone(), other));
            }
        }
        Ok(Some(Self {
            authorities: files.into_iter().filter(|path| is(path, "crt")).collect(),
            identity,
        }))
    }

    /// Adds them to what is known about a host; a pair that it has stays.
    pub(crate) fn add_to(self, tls: &mut HostTls, identity: Identity) {
        tls.authorities.extend(self.authorities);
        if identity == Identity::Shown && tls.identity.is_none() {
            tls.identity = self.identity;
        }
    }
}

/// Whether a host learns who we are by a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// It does.
    Shown,
    /// It is not one that the certificate was meant for.
    Kept,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_and_a_pair_are_found_by_their_names() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let names = [
            "b.crt",
            "a.crt",
            "z.cert",
            "z.key",
            "client.cert",
            "client.key",
            "README",
        ];
        for name in names {
            std::fs::write(at(name), "").unwrap();
        }
        let read = Certificates::read(directory.path()).unwrap().unwrap();
        let expected = Certificates {
            authorities: vec![at("a.crt"), at("b.crt")],
            identity: Some((at("client.cert"), at("client.key"))),
        };
        assert_eq!(read, expected);
        assert_eq!(Certificates::read(&at("none")).unwrap(), None);
        std::fs::remove_file(at("z.key")).unwrap();
        assert_eq!(
            Certificates::read(directory.path())
                .unwrap_err()
                .to_string(),
            format!("`{}` has no `z.key` beside it", at("z.cert").display())
        );
    }
}
