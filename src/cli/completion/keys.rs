//! Values of the form `key=value,…`: the keys of each, and what they take.

use super::candidate::{Candidate, Choices, Offer};
use super::found::Found;

/// What stands behind a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    Words(&'static [&'static str]),
    File,
    Directory,
    Image,
    Text,
}

/// The keys of a value.
pub(super) type Keys = &'static [(&'static str, Behind)];

const BOOL: Behind = Behind::Words(&["true", "false"]);

const COMPRESSION: Behind = Behind::Words(&["gzip", "zstd", "uncompressed"]);

const OUTPUT: Keys = &[
    (
        "type",
        Behind::Words(&[
            "local",
            "tar",
            "oci",
            "docker",
            "image",
            "registry",
            "cacheonly",
        ]),
    ),
    ("dest", Behind::File),
    ("name", Behind::Image),
    ("push", BOOL),
    ("push-by-digest", BOOL),
    ("registry.insecure", BOOL),
    ("store", BOOL),
    ("unpack", BOOL),
    ("name-canonical", BOOL),
    ("dangling-name-prefix", Behind::Image),
    ("danging-name-empty-only", BOOL),
    ("compression", COMPRESSION),
    ("compression-level", Behind::Text),
    ("force-compression", BOOL),
    ("oci-mediatypes", BOOL),
    ("prefer-nondist-layers", BOOL),
    ("rewrite-timestamp", BOOL),
    ("source-date-epoch", Behind::Text),
    ("platform-split", BOOL),
    ("mode", Behind::Words(&["copy", "delete"])),
    ("tar", BOOL),
];

const CACHE_FROM: Keys = &[
    ("type", Behind::Words(&["registry", "local", "gha"])),
    ("ref", Behind::Text),
    ("src", Behind::Directory),
    ("scope", Behind::Text),
];

const CACHE_TO: Keys = &[
    (
        "type",
        Behind::Words(&["registry", "local", "gha", "inline"]),
    ),
    ("ref", Behind::Text),
    ("dest", Behind::Directory),
    ("mode", Behind::Words(&["min", "max"])),
    ("compression", COMPRESSION),
    ("scope", Behind::Text),
];

const SECRET: Keys = &[
    ("id", Behind::Text),
    ("src", Behind::File),
    ("env", Behind::Text),
];

/// Returns the keys of a value, by what the help calls it and by the argument's id.
pub(super) fn of(name: &str, id: &str) -> Option<Keys> {
    Some(match (name, id) {
        ("OUTPUT", _) => OUTPUT,
        ("CACHE", "cache_from") => CACHE_FROM,
        ("CACHE", _) => CACHE_TO,
        ("SECRET", _) => SECRET,
        _ => return None,
    })
}

/// Returns what is offered for the last pair of such a value.
pub(super) fn offer(keys: Keys, before: &str, typed: &str, found: &Found<'_>) -> Offer {
    let (listed, pair) = typed.split_at(typed.rfind(',').map_or(0, |comma| comma + 1));
    let Some((key, value)) = pair.split_once('=') else {
        let is_new = |key: &&str| {
            listed
                .split(',')
                .all(|pair| pair.split('=').next() != Some(*key))
        };
        let names = keys.iter().map(|(key, _)| *key).filter(is_new);
        let candidates = names.map(|key| Candidate::plain(format!("{key}=")));
        return Offer::part(&format!("{before}{listed}"), pair, candidates.collect());
    };
    let before = format!("{before}{listed}{key}=");
    let behind = keys.iter().find(|(known, _)| *known == key);
    let choices = match behind.map_or(Behind::Text, |(_, behind)| *behind) {
        Behind::Words(words) => {
            let candidates = words.iter().map(|word| Candidate::plain(*word)).collect();
            return Offer::part(&before, value, candidates);
        }
        Behind::Image => return Offer::part(&before, value, found.images("")),
        Behind::Text => Choices::Values(Vec::new()),
        Behind::File => Choices::Files,
        Behind::Directory => Choices::Directories,
    };
    Offer { before, choices }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use export::{OutputError, OutputSpec};

    use super::*;

    /// What outputs take and nobody is offered: keys that are the user's, and those that change nothing as there are no
    /// attestations yet.
    const UNOFFERED: [&str; 4] = [
        "annotation.KEY",
        "attestation-inline",
        "attestation-prefix",
        "oci-artifact",
    ];

    fn kinds_of_output() -> &'static [&'static str] {
        match OUTPUT.first() {
            Some((_, Behind::Words(kinds))) => kinds,
            _ => panic!("the kind comes first"),
        }
    }

    /// Returns a kind with what it cannot do without.
    fn kind_of_output(kind: &str) -> String {
        match kind {
            "cacheonly" => format!("type={kind}"),
            "image" | "registry" => format!("type={kind},name=x"),
            _ => format!("type={kind},dest=x"),
        }
    }

    #[test]
    fn every_kind_of_output_is_one() {
        let host = crate::options::host_platform();
        for kind in kinds_of_output() {
            let text = kind_of_output(kind);
            assert!(OutputSpec::parse(&text, &host).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_outputs_take_is_offered() {
        let host = crate::options::host_platform();
        let mut taken = BTreeSet::from(["type"]);
        for kind in kinds_of_output() {
            let text = format!("{},no-attribute=x", kind_of_output(kind));
            match OutputSpec::parse(&text, &host) {
                Err(OutputError::UnknownKey { known, .. }) => taken.extend(known),
                other => panic!("{text}: {other:?}"),
            }
        }
        let offered = OUTPUT.iter().map(|(key, _)| *key);
        let known: BTreeSet<_> = offered.chain(UNOFFERED).collect();
        assert_eq!(known, taken);
    }

    #[test]
    fn every_word_that_is_offered_is_taken() {
        let host = crate::options::host_platform();
        for (key, behind) in OUTPUT {
            let Behind::Words(words) = behind else {
                continue;
            };
            for word in words.iter().filter(|_| *key != "type") {
                let takes = |kind: &&&str| {
                    let text = format!("{},{key}={word}", kind_of_output(kind));
                    OutputSpec::parse(&text, &host).is_ok()
                };
                let taken = kinds_of_output().iter().find(takes);
                assert!(taken.is_some(), "{key}={word}");
            }
        }
    }
}
