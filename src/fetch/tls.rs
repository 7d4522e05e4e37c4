//! Which certificates are trusted, and which one we show.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::authority;
use crate::certificates::Certificates;
use crate::handshake::Handshake;
use crate::request::Tls;

/// Certificates cannot be used, or a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file or directory of certificates cannot be read.
    #[error("read the certificates in `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file of certificates has none.
    #[error("`{}` has no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file with a private key has none.
    #[error("`{}` has no private key", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// What a file has is a certificate by its form alone.
    #[error("use a certificate in `{}`", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The certificates cannot be used.
    #[error("use the certificates")]
    Certificates(#[from] rustls::Error),
    /// No thread can be had that notices the end of the job.
    #[error("start a thread that notices the end of the job")]
    Thread(#[source] io::Error),
}

/// A server shows the certificate of an authority as its own, which is how `openssl req -x509` makes one that is signed
/// by itself. It may be trusted to sign others, and is not itself a server's.
#[derive(Debug, thiserror::Error)]
#[error("the server's certificate is an authority's (`CA:TRUE`), and not a server's")]
struct AuthorityShown;

/// Certificates of authorities.
pub(crate) type Trusted = Vec<Certificate<'static>>;

/// Returns the error of TLS behind that of a stream.
pub(crate) fn error_in(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Tells whether a server is not trusted only because it shows an authority's certificate.
pub(crate) fn is_authority_shown(error: &rustls::Error) -> bool {
    // The error inside is of a crate that is the library's own affair; what it is called has to do.
    matches!(error, rustls::Error::InvalidCertificate(rustls::CertificateError::Other(inner))
        if inner.to_string() == "CaUsedAsEndEntity")
}

/// Says in our words why a server is not trusted, where those of the library are not everybody's.
pub(crate) fn distrust(error: rustls::Error) -> Box<dyn std::error::Error + Send + Sync> {
    if is_authority_shown(&error) {
        Box::new(AuthorityShown)
    } else {
        Box::new(error)
    }
}

/// Returns how connections are protected.
pub(crate) fn tls_config(certificates: &Certificates, tls: &Tls) -> Result<TlsConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let identity = match &tls.identity {
        Some((certificate, key)) => Some(identity(certificate, key)?),
        None => None,
    };
    Ok(TlsConfig::builder()
        .root_certs(roots(certificates, &tls.authorities)?)
        .client_cert(identity)
        .disable_verification(tls.unverified)
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

/// Returns what makes the connections in the place of the library, where servers have to show who they are.
pub(crate) fn handshake(config: &TlsConfig) -> Result<Option<Handshake>, ClientError> {
    let named = match config.root_certs() {
        _ if config.disable_verification() => return Ok(None),
        RootCerts::Specific(named) => Some(named.as_slice()),
        RootCerts::PlatformVerifier => None,
        _ => return Ok(None),
    };
    Ok(Some(Handshake::new(named, config.client_cert())?))
}

fn roots(certificates: &Certificates, files: &[PathBuf]) -> Result<RootCerts, ClientError> {
    if *certificates == Certificates::System && files.is_empty() {
        return Ok(RootCerts::PlatformVerifier);
    }
    let mut trusted = trusted(certificates)?;
    for path in files {
        trusted.extend(of_file(path)?);
    }
    Ok(RootCerts::new_with_certs(&trusted))
}

/// Returns the certificates that are trusted.
pub(crate) fn trusted(certificates: &Certificates) -> Result<Trusted, ClientError> {
    match certificates {
        Certificates::System => Ok(of_system()),
        Certificates::File(path) => of_file(path),
        Certificates::Directories { directories, file } => {
            of_directories(directories, file.as_deref())
        }
        Certificates::Also { base, authorities } => {
            let mut all = trusted(base)?;
            for authority in authorities {
                all.extend(authority::certificates(authority)?);
            }
            Ok(all)
        }
    }
}

/// Returns what the machine trusts. A file among many that cannot be read is passed over, as by everybody else.
pub(crate) fn of_system() -> Trusted {
    let found = rustls_native_certs::load_native_certs();
    let certificates = found.certs.iter();
    certificates
        .map(|der| Certificate::from_der(der).to_owned())
        .collect()
}

fn of_file(path: &Path) -> Result<Trusted, ClientError> {
    let certificates = certificates_in(path)?;
    if certificates.is_empty() {
        let path = path.to_owned();
        return Err(ClientError::NoCertificate { path });
    }
    Ok(certificates)
}

/// Returns the certificates in every file of the directories; files with none are passed over, since there are links
/// and lists of other kinds in such directories.
fn of_directories(directories: &[PathBuf], file: Option<&Path>) -> Result<Trusted, ClientError> {
    let mut certificates = match file {
        Some(path) => of_file(path)?,
        None => Vec::new(),
    };
    for directory in directories {
        for path in files_of(directory).map_err(|source| ClientError::Read {
            path: directory.clone(),
            source,
        })? {
            certificates.extend(certificates_in(&path).unwrap_or_default());
        }
    }
    match directories.first() {
        Some(path) if certificates.is_empty() => {
            let path = path.clone();
            Err(ClientError::NoCertificate { path })
        }
        _ => Ok(certificates),
    }
}

fn files_of(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory)?;
    let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths?;
    paths.sort();
    Ok(paths)
}

fn certificates_in(path: &Path) -> Result<Trusted, ClientError> {
    Ok(in_pem(&read(path)?))
}

/// Returns the certificates among PEM texts.
pub(crate) fn in_pem(pem: &[u8]) -> Trusted {
    let items = parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        Ok(_) | Err(_) => None,
    });
    items.collect()
}

fn identity(certificate: &Path, key_file: &Path) -> Result<ClientCert, ClientError> {
    let chain = of_file(certificate)?;
    let pem = read(key_file)?;
    let key: Option<PrivateKey<'static>> = parse_pem(&pem).find_map(|item| match item {
        Ok(PemItem::PrivateKey(key)) => Some(key),
        Ok(_) | Err(_) => None,
    });
    match key {
        Some(key) => Ok(ClientCert::new_with_certs(&chain, key)),
        None => Err(ClientError::NoKey {
            path: key_file.to_owned(),
        }),
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|source| ClientError::Read {
        path: path.to_owned(),
        source,
    })
}
