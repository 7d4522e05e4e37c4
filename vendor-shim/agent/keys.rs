//! An agent of our own: the keys of files, which it signs with.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::Path;

use p256::ecdsa::signature::Signer as _;
use rsa::pkcs1v15;
use rsa::rand_core::OsRng;
use rsa::sha2::{Sha256, Sha512};
use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _};
use rsa::traits::PublicKeyParts as _;
use sha1::Sha1;

use super::key_file::{self, KeyError};
use super::message::{put_mpint, put_string};
use super::{Agent, AgentError, Identity, SignRequest};

/// Asks for an RSA signature with SHA-256 (draft-miller-ssh-agent, section 6.3).
const RSA_SHA2_256: u32 = 2;
/// Asks for one with SHA-512.
const RSA_SHA2_512: u32 = 4;

/// Keys of files. They are wiped from memory when this is dropped.
#[derive(Debug, Default)]
pub struct Keys {
    keys: Vec<Key>,
}

/// A key with its public half.
pub(super) struct Key {
    public: Vec<u8>,
    private: PrivateKey,
}

/// A private key. Each type wipes its memory when it is dropped.
pub(super) enum PrivateKey {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
    Rsa(Box<rsa::RsaPrivateKey>),
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Key")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// Adds the key of a file.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, is no private key of a kind that is known, or has a
    /// passphrase.
    pub fn add_file(&mut self, path: &Path) -> Result<(), KeyError> {
        self.keys.push(key_file::read(path)?);
        Ok(())
    }
}

impl Agent for Keys {
    fn identities(&self, _client: BorrowedFd<'_>) -> Result<Vec<Identity>, AgentError> {
        let keys = self.keys.iter();
        // What the owner calls a key is nobody else's business.
        Ok(keys
            .map(|key| Identity {
                key: key.public.clone(),
                comment: Vec::new(),
            })
            .collect())
    }

    fn sign(&self, request: &SignRequest, _client: BorrowedFd<'_>) -> Result<Vec<u8>, AgentError> {
        let mut keys = self.keys.iter();
        let key = keys
            .find(|key| key.public == request.key)
            .ok_or(AgentError::NoSuchKey)?;
        key.private.sign(&request.data, request.flags)
    }
}

impl Key {
    pub(super) fn new(private: PrivateKey) -> Self {
        let public = private.public();
        Self { public, private }
    }
}

impl PrivateKey {
    /// Returns the public half (RFC 4253, section 6.6; RFC 5656, section 3.1; RFC 8709, section 4).
    fn public(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => strings(&[b"ssh-ed25519", key.verifying_key().as_bytes()]),
            Self::P256(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                curve("nistp256", point.as_bytes())
            }
            Self::P384(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                curve("nistp384", point.as_bytes())
            }
            Self::P521(key) => {
                let point = p521::ecdsa::VerifyingKey::from(key).to_encoded_point(false);
                curve("nistp521", point.as_bytes())
            }
            Self::Rsa(key) => {
                let mut public = strings(&[b"ssh-rsa"]);
                put_mpint(&mut public, &key.e().to_bytes_be());
                put_mpint(&mut public, &key.n().to_bytes_be());
                public
            }
        }
    }

    /// Signs (RFC 5656, section 3.1.2; RFC 8709, section 6; RFC 8332, section 3). Only RSA has a
    /// choice of hashes.
    fn sign(&self, data: &[u8], flags: u32) -> Result<Vec<u8>, AgentError> {
        match self {
            Self::Ed25519(key) => {
                let signature = key.try_sign(data).map_err(AgentError::Sign)?;
                Ok(strings(&[b"ssh-ed25519", &signature.to_bytes()]))
            }
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    key.try_sign(data).map_err(AgentError::Sign)?;
                let (r, s) = signature.split_bytes();
                Ok(two_numbers("nistp256", &r, &s))
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature =
                    key.try_sign(data).map_err(AgentError::Sign)?;
                let (r, s) = signature.split_bytes();
                Ok(two_numbers("nistp384", &r, &s))
            }
            Self::P521(key) => {
                let signature: p521::ecdsa::Signature =
                    key.try_sign(data).map_err(AgentError::Sign)?;
                let (r, s) = signature.split_bytes();
                Ok(two_numbers("nistp521", &r, &s))
            }
            Self::Rsa(key) => sign_rsa(key, data, flags),
        }
    }
}

/// Signs with a random factor in what is calculated: so the time that it takes tells the command
/// that asks for signatures nothing about the key.
fn sign_rsa(key: &rsa::RsaPrivateKey, data: &[u8], flags: u32) -> Result<Vec<u8>, AgentError> {
    let key = key.clone();
    let (name, signature) = if flags & RSA_SHA2_512 != 0 {
        let key = pkcs1v15::SigningKey::<Sha512>::new(key);
        ("rsa-sha2-512", key.try_sign_with_rng(&mut OsRng, data))
    } else if flags & RSA_SHA2_256 != 0 {
        let key = pkcs1v15::SigningKey::<Sha256>::new(key);
        ("rsa-sha2-256", key.try_sign_with_rng(&mut OsRng, data))
    } else {
        // The protocol's default, with SHA-1. Old clients want it, and whoever may have anything
        // signed gains nothing by a collision.
        let key = pkcs1v15::SigningKey::<Sha1>::new(key);
        ("ssh-rsa", key.try_sign_with_rng(&mut OsRng, data))
    };
    let signature = signature.map_err(AgentError::Sign)?;
    Ok(strings(&[name.as_bytes(), &signature.to_bytes()]))
}

fn curve(name: &str, point: &[u8]) -> Vec<u8> {
    let algorithm = ["ecdsa-sha2-", name].concat();
    strings(&[algorithm.as_bytes(), name.as_bytes(), point])
}

fn two_numbers(curve: &str, r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    put_mpint(&mut numbers, r);
    put_mpint(&mut numbers, s);
    let algorithm = ["ecdsa-sha2-", curve].concat();
    strings(&[algorithm.as_bytes(), &numbers])
}

fn strings(strings: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for string in strings {
        put_string(&mut bytes, string);
    }
    bytes
}
