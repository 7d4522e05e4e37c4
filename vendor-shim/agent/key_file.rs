//! Files with private keys: OpenSSH's own form, and the older ones of OpenSSL.
//!
//! | First line | What it is |
//! | --- | --- |
//! | `OPENSSH PRIVATE KEY` | any kind (PROTOCOL.key of OpenSSH) |
//! | `PRIVATE KEY` | any kind (PKCS #8, RFC 5958) |
//! | `RSA PRIVATE KEY` | RSA (PKCS #1, RFC 8017) |
//! | `EC PRIVATE KEY` | an elliptic curve (RFC 5915) |
//! | `ENCRYPTED PRIVATE KEY` | PKCS #8 with a passphrase |

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use rsa::BigUint;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use ssh_key::private::{EcdsaKeypair, KeypairData, RsaKeypair};
use thiserror::Error;
use zeroize::Zeroizing;

use super::keys::{Key, PrivateKey};

/// No key file is larger, in bytes; BuildKit's limit.
const SIZE_LIMIT_BYTES: u64 = 100 * 1024;

/// What the beginning of a file in one of the older forms says when it has a passphrase (RFC 1421,
/// section 4.6.1.1).
const ENCRYPTED_MARK: &str = "Proc-Type: 4,ENCRYPTED";

/// Why there is no key in a file.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the SSH key `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file is too large to be a key.
    #[error("`{}` is no SSH key: it is larger than {SIZE_LIMIT_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("`{}` is no private SSH key of a kind that is known", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// The file has a passphrase.
    #[error("the SSH key `{}` has a passphrase, which nobody can be asked for", path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
    },
    /// The file looks like a key and is none.
    #[error("cannot understand the SSH key `{}`: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// What is wrong with the text of a key.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Unknown,
    Passphrase,
    Malformed(String),
}

/// Reads the key of a file.
pub(super) fn read(path: &Path) -> Result<Key, KeyError> {
    let text = read_text(path)?;
    let private = parse(&text).map_err(|fault| {
        let path = path.to_owned();
        match fault {
            Fault::Unknown => KeyError::Unknown { path },
            Fault::Passphrase => KeyError::Passphrase { path },
            Fault::Malformed(reason) => KeyError::Malformed { path, reason },
        }
    })?;
    Ok(Key::new(private))
}

fn read_text(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let unreadable = |source| KeyError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    // Large enough from the start: a buffer that grows leaves copies behind.
    let capacity = usize::try_from(SIZE_LIMIT_BYTES + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(SIZE_LIMIT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > SIZE_LIMIT_BYTES {
        let path = path.to_owned();
        return Err(KeyError::TooLarge { path });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_no_text| KeyError::Unknown {
        path: path.to_owned(),
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn parse(text: &str) -> Result<PrivateKey, Fault> {
    let begins = |label: &str| {
        let start = text.find(&format!("-----BEGIN {label}-----"))?;
        text.get(start..)
    };
    if let Some(text) = begins("OPENSSH PRIVATE KEY") {
        return openssh(text);
    }
    if text.contains(ENCRYPTED_MARK) || begins("ENCRYPTED PRIVATE KEY").is_some() {
        return Err(Fault::Passphrase);
    }
    if let Some(text) = begins("RSA PRIVATE KEY") {
        let key = rsa::RsaPrivateKey::from_pkcs1_pem(text);
        return key.map(rsa).map_err(malformed);
    }
    if let Some(text) = begins("EC PRIVATE KEY") {
        return elliptic(text).ok_or_else(unknown_curve);
    }
    match begins("PRIVATE KEY") {
        Some(text) => pkcs8(text),
        None => Err(Fault::Unknown),
    }
}

fn rsa(key: rsa::RsaPrivateKey) -> PrivateKey {
    PrivateKey::Rsa(Box::new(key))
}

fn malformed<E: std::fmt::Display>(error: E) -> Fault {
    Fault::Malformed(error.to_string())
}

fn unknown_curve() -> Fault {
    let curves = "it is of none of the curves nistp256, nistp384 and nistp521";
    Fault::Malformed(curves.to_owned())
}

fn elliptic(text: &str) -> Option<PrivateKey> {
    if let Ok(key) = p256::SecretKey::from_sec1_pem(text) {
        return Some(PrivateKey::P256(key.into()));
    }
    if let Ok(key) = p384::SecretKey::from_sec1_pem(text) {
        return Some(PrivateKey::P384(key.into()));
    }
    let key = p521::SecretKey::from_sec1_pem(text).ok()?;
    p521_key(&Zeroizing::new(key.to_bytes()))
}

/// What kind of key it is stands in the file, and each reader refuses the others'. What is wrong with
/// a key that none of them takes is what the one for RSA says, the most common kind in this form.
fn pkcs8(text: &str) -> Result<PrivateKey, Fault> {
    if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_pem(text) {
        return Ok(PrivateKey::Ed25519(key));
    }
    if let Ok(key) = p256::SecretKey::from_pkcs8_pem(text) {
        return Ok(PrivateKey::P256(key.into()));
    }
    if let Ok(key) = p384::SecretKey::from_pkcs8_pem(text) {
        return Ok(PrivateKey::P384(key.into()));
    }
    if let Ok(key) = p521::SecretKey::from_pkcs8_pem(text) {
        return p521_key(&Zeroizing::new(key.to_bytes())).ok_or_else(unknown_curve);
    }
    let key = rsa::RsaPrivateKey::from_pkcs8_pem(text);
    key.map(rsa).map_err(malformed)
}

fn openssh(text: &str) -> Result<PrivateKey, Fault> {
    let key = ssh_key::PrivateKey::from_openssh(text).map_err(malformed)?;
    if key.is_encrypted() {
        return Err(Fault::Passphrase);
    }
    match key.key_data() {
        KeypairData::Ed25519(pair) => {
            let key = ed25519_dalek::SigningKey::from_bytes(pair.private.as_ref());
            Ok(PrivateKey::Ed25519(key))
        }
        KeypairData::Ecdsa(pair) => openssh_elliptic(pair),
        KeypairData::Rsa(pair) => openssh_rsa(pair),
        other => {
            let name = other.algorithm().map_err(malformed)?;
            let reason = format!("keys of the kind `{name}` are not supported");
            Err(Fault::Malformed(reason))
        }
    }
}

fn openssh_elliptic(pair: &EcdsaKeypair) -> Result<PrivateKey, Fault> {
    let bytes = pair.private_key_bytes();
    match pair {
        EcdsaKeypair::NistP256 { .. } => p256::ecdsa::SigningKey::from_slice(bytes)
            .map(PrivateKey::P256)
            .map_err(malformed),
        EcdsaKeypair::NistP384 { .. } => p384::ecdsa::SigningKey::from_slice(bytes)
            .map(PrivateKey::P384)
            .map_err(malformed),
        EcdsaKeypair::NistP521 { .. } => p521_key(bytes).ok_or_else(unknown_curve),
    }
}

fn p521_key(bytes: &[u8]) -> Option<PrivateKey> {
    p521::ecdsa::SigningKey::from_slice(bytes)
        .ok()
        .map(PrivateKey::P521)
}

fn openssh_rsa(pair: &RsaKeypair) -> Result<PrivateKey, Fault> {
    let number = |number: &ssh_key::Mpint| {
        let bytes = number.as_positive_bytes();
        let negative = || Fault::Malformed("a number of it is negative".to_owned());
        bytes.map(BigUint::from_bytes_be).ok_or_else(negative)
    };
    let primes = vec![number(&pair.private.p)?, number(&pair.private.q)?];
    let (modulus, exponent) = (number(&pair.public.n)?, number(&pair.public.e)?);
    let secret = number(&pair.private.d)?;
    let key = rsa::RsaPrivateKey::from_components(modulus, exponent, secret, primes);
    key.map(rsa).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        match parse(text) {
            Ok(_) => panic!("it is a key"),
            Err(fault) => fault,
        }
    }

    #[test]
    fn a_key_with_a_passphrase_is_told_from_others() {
        for text in [
            include_str!("keys/locked"),
            include_str!("keys/rsa.pkcs1-locked"),
            include_str!("keys/rsa.pkcs8-locked"),
        ] {
            assert_eq!(fault(text), Fault::Passphrase);
        }
    }

    #[test]
    fn what_is_no_key_is_told() {
        for text in ["", "not a key", include_str!("keys/rsa.pub")] {
            assert_eq!(fault(text), Fault::Unknown);
        }
        let label = "RSA PRIVATE KEY";
        let broken = format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        assert!(matches!(fault(&broken), Fault::Malformed(_)));
        let cut: String = include_str!("keys/ed25519").chars().take(200).collect();
        assert!(matches!(fault(&cut), Fault::Malformed(_)));
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, " ".repeat(200_000)).unwrap();
        let error = read(&path).map(drop).unwrap_err().to_string();
        let expected = format!(
            "`{}` is no SSH key: it is larger than 102400 bytes",
            path.display()
        );
        assert_eq!(error, expected);
    }
}
