//! Whom commands trust because the user says so: certificates that stand in their bundles and are part of no result.
//!
//! The texts of the certificates are one block, which is put behind what a bundle has and can be found in it again:
//!
//! ```text
//! what the image has
//! # Certificates of `careen --ca`, for one command
//! -----BEGIN CERTIFICATE-----
//! …
//! ```

use std::collections::BTreeSet;

/// The first line of what is put into a bundle. Readers of PEM pass over it (RFC 7468, section 2).
const TITLE: &str = "# Certificates of `careen --ca`, for one command\n";

/// Where programs look for certificates, the most usual first. Several may be one file.
pub(crate) const BUNDLES: [&str; 9] = [
    // Debian, Ubuntu, Alpine, Arch Linux, Gentoo
    "/etc/ssl/certs/ca-certificates.crt",
    // Fedora, RHEL and what comes of them
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    // SUSE
    "/etc/ssl/ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
    // OpenSSL by itself, Alpine
    "/etc/ssl/cert.pem",
    // Arch Linux
    "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
    // Nix, Amazon Linux
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/pki/tls/cert.pem",
];

/// The variables that name a bundle to programs which look elsewhere, or have one of their own: OpenSSL, Go and Rust;
/// curl; git; Python's requests; pip; Node.js, for which it is one more.
pub(crate) const VARIABLES: [&str; 6] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
];

/// Where the bundle is that the variables name: in a directory that is part of no image.
pub(crate) const PLACE: &str = "/dev/careen/ca.crt";

/// The certificates of authorities that commands are to trust beside those of the image, each a text as of
/// [`fetch::certificate_texts`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authorities {
    /// They.
    pub added: Vec<String>,
    /// Those that this machine trusts: for the commands of images that have none.
    pub machine: Vec<String>,
}

impl Authorities {
    /// Tells whether commands trust what their image says, and nobody else.
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty()
    }

    /// Returns what is put behind a bundle with this content; none if that has everything.
    pub(crate) fn block(&self, own: &[u8]) -> Option<Vec<u8>> {
        let mut known: BTreeSet<String> = fetch::texts_in(own).into_iter().collect();
        let added = self
            .added
            .iter()
            .filter(|text| known.insert((*text).clone()));
        let texts: String = added.map(String::as_str).collect();
        if texts.is_empty() {
            return None;
        }
        let is_open_line = own.last().is_some_and(|last| *last != b'\n');
        let line_break = if is_open_line { "\n" } else { "" };
        Some([line_break, TITLE, &texts].concat().into_bytes())
    }

    /// Returns the whole bundle for an image without one.
    pub(crate) fn bundle(&self) -> Vec<u8> {
        let mut bundle = self.machine.concat().into_bytes();
        let block = self.block(&bundle).unwrap_or_default();
        bundle.extend(block);
        bundle
    }
}

/// Returns a content without what was put behind it or into it; none if nothing of it is there.
pub(crate) fn without(content: &[u8], blocks: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut rest = content.to_vec();
    for block in blocks {
        while let Some(at) = find(&rest, block) {
            rest.drain(at..at + block.len());
        }
    }
    (rest.len() != content.len()).then_some(rest)
}

fn find(content: &[u8], block: &[u8]) -> Option<usize> {
    if block.is_empty() {
        return None;
    }
    content.windows(block.len()).position(|part| part == block)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nMAAwAA==\n-----END CERTIFICATE-----\n";
    const OTHER: &str = "-----BEGIN CERTIFICATE-----\nMAEwAA==\n-----END CERTIFICATE-----\n";

    fn authorities(added: &[&str]) -> Authorities {
        Authorities {
            added: added.iter().map(|&text| text.to_owned()).collect(),
            machine: Vec::new(),
        }
    }

    #[test]
    fn what_was_put_into_a_bundle_is_taken_out_again_wherever_it_is() {
        for own in ["", "# none\n", OTHER, OTHER.trim_end()] {
            let block = authorities(&[ONE]).block(own.as_bytes()).unwrap();
            let merged = [own.as_bytes(), &block].concat();
            assert_eq!(
                fetch::texts_in(&merged).last().map(String::as_str),
                Some(ONE)
            );
            let blocks = [block.clone()];
            assert_eq!(without(&merged, &blocks).unwrap(), own.as_bytes());
            let appended = [&merged, b"more\n".as_slice(), &block].concat();
            let expected = [own, "more\n"].concat();
            assert_eq!(without(&appended, &blocks).unwrap(), expected.as_bytes());
            // The image has it for good.
            assert_eq!(without(ONE.as_bytes(), &blocks), None);
        }
    }

    #[test]
    fn a_bundle_gets_what_it_does_not_have_once() {
        let both = authorities(&[ONE, OTHER, ONE]);
        let block = both.block(OTHER.as_bytes()).unwrap();
        assert_eq!(block, [TITLE, ONE].concat().as_bytes());
        assert_eq!(both.block([ONE, OTHER].concat().as_bytes()), None);
    }

    #[test]
    fn an_image_without_a_bundle_trusts_whom_the_machine_trusts() {
        let authorities = Authorities {
            machine: vec![OTHER.to_owned()],
            ..authorities(&[ONE, OTHER])
        };
        let expected = [OTHER, TITLE, ONE].concat();
        assert_eq!(authorities.bundle(), expected.as_bytes());
    }
}
