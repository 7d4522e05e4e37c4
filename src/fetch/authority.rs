//! Authorities that the user names, and certificates as texts that other programs read.
//!
//! A text is a certificate in PEM (RFC 7468) and nothing else: what a file has beside it, a private key for one, is never
//! handed on.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use ureq::tls::Certificate;

use crate::certificates::{Authority, Certificates};
use crate::request::base64;
use crate::tls::{self, ClientError, Trusted};

/// How many characters of base64 a line has (RFC 7468, section 2).
const LINE: usize = 64;

/// The first byte of a certificate in DER: a sequence (X.690, 8.9.1).
const SEQUENCE: u8 = 0x30;

/// Returns the certificates that are trusted as PEM texts, each ending with a line break.
///
/// # Errors
///
/// Fails when a file cannot be read, has no certificate, or one of an authority that the user names cannot be used.
pub fn certificate_texts(certificates: &Certificates) -> Result<Vec<String>, ClientError> {
    let trusted = tls::trusted(certificates)?;
    Ok(trusted.iter().map(text_of).collect())
}

/// Returns the certificates of authorities in the form of [`certificate_texts`].
///
/// # Errors
///
/// As [`certificate_texts`].
pub fn authority_texts(authorities: &[Authority]) -> Result<Vec<String>, ClientError> {
    let mut texts = Vec::new();
    for authority in authorities {
        texts.extend(certificates(authority)?.iter().map(text_of));
    }
    Ok(texts)
}

/// Returns the certificates among PEM texts in the form of [`certificate_texts`].
pub fn texts_in(pem: &[u8]) -> Vec<String> {
    tls::in_pem(pem).iter().map(text_of).collect()
}

/// Returns the certificates of an authority.
pub(crate) fn certificates(authority: &Authority) -> Result<Trusted, ClientError> {
    match authority {
        Authority::System => Ok(tls::of_system()),
        Authority::File(path) => of_file(path, &tls::read(path)?),
    }
}

fn of_file(path: &Path, bytes: &[u8]) -> Result<Trusted, ClientError> {
    let certificates = if bytes.first() == Some(&SEQUENCE) {
        vec![Certificate::from_der(bytes).to_owned()]
    } else {
        tls::in_pem(bytes)
    };
    if certificates.is_empty() {
        let path = path.to_owned();
        return Err(ClientError::NoCertificate { path });
    }
    for certificate in &certificates {
        // Other programs refuse a whole file for one that is none.
        let der = CertificateDer::from(certificate.der());
        let added = RootCertStore::empty().add(der);
        added.map_err(|source| ClientError::Unusable {
            path: path.to_owned(),
            source,
        })?;
    }
    Ok(certificates)
}

fn text_of(certificate: &Certificate<'static>) -> String {
    let body = base64(certificate.der());
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for (at, character) in body.chars().enumerate() {
        if at > 0 && at % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &[u8] = include_bytes!("tests/own.crt");

    fn in_file(bytes: &[u8]) -> Result<Vec<String>, ClientError> {
        let certificates = of_file(Path::new("/ca.crt"), bytes)?;
        Ok(certificates.iter().map(text_of).collect())
    }

    #[test]
    fn a_certificate_is_the_same_text_whatever_form_it_came_in() {
        let texts = in_file(PEM).unwrap();
        let [text] = texts.as_slice() else {
            panic!("{texts:?}");
        };
        assert_eq!(text.as_bytes(), PEM);
        let der = Certificate::from_pem(PEM).unwrap();
        assert_eq!(in_file(der.der()).unwrap(), texts);
    }

    #[test]
    fn a_key_beside_a_certificate_is_not_handed_on() {
        let key = b"-----BEGIN PRIVATE KEY-----\nMAAwADAA\n-----END PRIVATE KEY-----\n";
        let texts = in_file(&[key, PEM, key].concat()).unwrap();
        assert_eq!(texts.concat().as_bytes(), PEM);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let broken = "-----BEGIN CERTIFICATE-----\nMAAwADAA\n-----END CERTIFICATE-----\n";
        for (bytes, expected) in [
            (&b"none here\n"[..], "`/ca.crt` has no certificate"),
            (broken.as_bytes(), "use a certificate in `/ca.crt`"),
            (b"\x30\x82", "use a certificate in `/ca.crt`"),
        ] {
            let error = in_file(bytes).unwrap_err().to_string();
            assert_eq!(error, expected);
        }
    }
}
