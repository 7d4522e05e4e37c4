//! `type=image` and `type=registry`: an image that becomes no file, and where it goes.

use oci::Reference;
use oci::media_type::Flavour;
use solver::Protection;

use super::attribute::Attribute;
use super::image::{self, ImageOptions};
use super::{OutputError, OutputSpec};

/// The attributes beside those of images.
const KEYS: &[&str] = &[
    "danging-name-empty-only",
    "dangling-name-prefix",
    "name-canonical",
    "push",
    "push-by-digest",
    "registry.insecure",
    "store",
    "unpack",
];

/// Where an image goes that becomes no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Whether it goes to registries, and how.
    pub push: Push,
    /// How the connections to those registries are protected.
    pub protection: Protection,
    /// Whether the store keeps it under its names.
    pub store: bool,
    /// Whether the files of its layers are made in the store.
    pub unpack: bool,
    /// Which name without a tag it gets in the store.
    pub dangling: Option<Dangling>,
    /// Whether it gets its names with its digest too, in the store.
    pub canonical: bool,
}

/// Whether an image goes to registries, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// It does not.
    No,
    /// Under its names.
    Named,
    /// Into the repositories that its names say, without a tag.
    ByDigest,
}

/// A name in the store that is a prefix and the digest of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dangling {
    /// The prefix: a name without a tag.
    pub prefix: Reference,
    /// When the image gets it.
    pub when: DanglingWhen,
}

/// When an image gets the name of its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DanglingWhen {
    /// Always.
    Always,
    /// If it has no other one (`danging-name-empty-only`).
    Nameless,
}

impl Publication {
    /// Returns what pushes under the names of the image, and keeps nothing in the store.
    pub fn pushed() -> Self {
        Self {
            push: Push::Named,
            store: false,
            ..Self::stored()
        }
    }

    /// Returns what keeps the image in the store.
    pub fn stored() -> Self {
        Self {
            push: Push::No,
            protection: Protection::Configured,
            store: true,
            unpack: false,
            dangling: None,
            canonical: false,
        }
    }

    /// Makes it push, if it does not.
    pub fn push_named(&mut self) {
        if self.push == Push::No {
            self.push = Push::Named;
        }
    }

    /// Checks that a push knows where to, and that a push by digest has no tags.
    pub(super) fn check(&self, names: &[Reference]) -> Result<(), OutputError> {
        if self.push != Push::No && names.is_empty() {
            return Err(OutputError::PushWithoutName);
        }
        let tagged = names.iter().find(|name| name.tag().is_some());
        match (self.push, tagged) {
            (Push::ByDigest, Some(name)) => Err(OutputError::TagByDigest {
                name: name.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Checks that it names no image by its digest: what is added to an index has the index's name alone.
    pub(super) fn check_append(&self) -> Result<(), OutputError> {
        let attributes = [
            (self.push == Push::ByDigest, "push-by-digest"),
            (self.canonical, "name-canonical"),
            (self.dangling.is_some(), "dangling-name-prefix"),
        ];
        match attributes.into_iter().find(|(is_set, _)| *is_set) {
            None => Ok(()),
            Some((_, attribute)) => Err(OutputError::AppendByDigest { attribute }),
        }
    }

    /// Returns the names that the store gives an image with a digest, beside its own.
    pub fn names_by_digest(&self, names: &[Reference], digest: &oci::Digest) -> Vec<Reference> {
        let canonical = names.iter().filter(|_| self.canonical);
        let dangling = self
            .dangling
            .as_ref()
            .filter(|dangling| dangling.when == DanglingWhen::Always || names.is_empty());
        let prefixes = canonical.chain(dangling.map(|dangling| &dangling.prefix));
        let mut by_digest = Vec::new();
        for prefix in prefixes {
            let name = prefix.repository().with_digest(digest);
            if !by_digest.contains(&name) {
                by_digest.push(name);
            }
        }
        by_digest
    }
}

/// Reads the attributes of a kind of image.
pub(super) fn parse<'a>(
    attributes: impl Iterator<Item = &'a Attribute<'a>>,
    kind: &'static str,
    push: Push,
) -> Result<OutputSpec, OutputError> {
    let mut draft = Draft::new(push);
    let mut image = image::Draft::new(Flavour::Oci);
    for attribute in attributes {
        if !(draft.set(attribute)? || image.set(attribute)?) {
            return Err(attribute.unknown(kind, &[KEYS, image::KEYS]));
        }
    }
    let publication = draft.finish();
    let mut image: ImageOptions = image.finish()?;
    if publication.push != Push::ByDigest {
        image.tag_names();
    }
    Ok(OutputSpec::Image { publication, image })
}

/// What is being read.
#[derive(Debug)]
struct Draft {
    publication: Publication,
    by_digest: bool,
    store: Option<bool>,
    dangling: Option<Reference>,
    dangling_when: DanglingWhen,
}

impl Draft {
    fn new(push: Push) -> Self {
        Self {
            publication: Publication {
                push,
                ..Publication::stored()
            },
            by_digest: false,
            store: None,
            dangling: None,
            dangling_when: DanglingWhen::Always,
        }
    }

    /// Reads an attribute; tells whether it is one of these.
    fn set(&mut self, attribute: &Attribute<'_>) -> Result<bool, OutputError> {
        let publication = &mut self.publication;
        match attribute.key.as_str() {
            "type" => {}
            "push" if attribute.boolean()? => publication.push = Push::Named,
            "push" => publication.push = Push::No,
            "push-by-digest" => self.by_digest = attribute.boolean()?,
            "registry.insecure" if attribute.boolean()? => {
                publication.protection = Protection::None;
            }
            "registry.insecure" => publication.protection = Protection::Configured,
            "store" => self.store = Some(attribute.boolean()?),
            "unpack" => publication.unpack = attribute.boolean()?,
            "name-canonical" => publication.canonical = attribute.boolean()?,
            "dangling-name-prefix" => self.dangling = Some(prefix(&attribute.value)?),
            // BuildKit's spelling.
            "danging-name-empty-only" if attribute.boolean()? => {
                self.dangling_when = DanglingWhen::Nameless;
            }
            "danging-name-empty-only" => self.dangling_when = DanglingWhen::Always,
            // It is for artifacts that an attestation would be, and an image is none.
            "oci-artifact" if attribute.boolean()? => return Err(attribute.unsupported()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self) -> Publication {
        let mut publication = self.publication;
        if self.by_digest && publication.push == Push::Named {
            publication.push = Push::ByDigest;
        }
        // An image of the store has all its layers, and a push need not have those of the base.
        publication.store = self.store.unwrap_or(publication.push == Push::No);
        let when = self.dangling_when;
        let with_prefix = |prefix| Dangling { prefix, when };
        publication.dangling = self.dangling.map(with_prefix);
        publication
    }
}

fn prefix(text: &str) -> Result<Reference, OutputError> {
    let prefix = Reference::parse(text).map_err(|source| OutputError::Prefix {
        prefix: text.to_owned(),
        source,
    })?;
    Ok(prefix.repository())
}

#[cfg(test)]
mod tests {
    use oci::{Digest, Platform};

    use super::*;

    fn parse(text: &str) -> (Publication, ImageOptions) {
        let host = Platform::new("linux", "amd64");
        match OutputSpec::parse(text, &host).unwrap() {
            OutputSpec::Image { publication, image } => (publication, image),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_image_goes_into_the_store_or_to_a_registry_or_both() {
        for (text, push, store) in [
            ("type=docker", Push::No, true),
            ("type=docker,tar=true", Push::No, true),
            ("type=image", Push::No, true),
            ("type=image,push=true", Push::Named, false),
            ("type=image,push=true,store=true", Push::Named, true),
            ("type=image,store=false", Push::No, false),
            ("type=registry", Push::Named, false),
            ("type=registry,push=false", Push::No, true),
            ("type=registry,push-by-digest=true", Push::ByDigest, false),
            // Without a push there is nothing to be pushed by digest.
            ("type=image,push-by-digest=true", Push::No, true),
        ] {
            let (publication, _) = parse(text);
            assert_eq!(
                (publication.push, publication.store),
                (push, store),
                "{text}"
            );
        }
    }

    #[test]
    fn attributes_say_how_it_goes_there() {
        let (plain, _) = parse("type=registry");
        assert_eq!(plain, Publication::pushed());
        let (publication, _) = parse("type=image,registry.insecure=true,unpack=1,name-canonical=");
        let expected = Publication {
            protection: Protection::None,
            unpack: true,
            canonical: true,
            ..Publication::stored()
        };
        assert_eq!(publication, expected);
    }

    #[test]
    fn a_push_by_digest_names_repositories_and_no_tags() {
        let (publication, image) = parse("type=registry,push-by-digest=true,name=e.com/a");
        assert_eq!(image.names[0].to_string(), "e.com/a");
        publication.check(&image.names).unwrap();
        let (publication, image) = parse("type=registry,push-by-digest=true,name=e.com/a:1");
        let error = publication.check(&image.names).unwrap_err().to_string();
        let expected = "`push-by-digest=true` pushes without a tag, and `e.com/a:1` has one: \
                        `name=REPOSITORY` in `--output` names a repository";
        assert_eq!(error, expected);
        let error = publication.check(&[]).unwrap_err().to_string();
        let expected =
            "a push needs the name of a repository: `-t NAME`, or `name=NAME` in `--output`";
        assert_eq!(error, expected);
        Publication::stored().check(&[]).unwrap();
    }

    #[test]
    fn names_with_the_digest_are_those_that_were_asked_for() {
        let digest = Digest::of(b"x");
        let names_of = |text: &str| {
            let (publication, image) = parse(text);
            let names = publication.names_by_digest(&image.names, &digest);
            let names = names
                .iter()
                .map(|name| name.to_string().replace(digest.as_str(), "D"));
            names.collect::<Vec<_>>()
        };
        for (text, expected) in [
            ("type=image,name=e.com/a:1", &[][..]),
            (
                "type=image,name=e.com/a:1,name-canonical=true",
                &["e.com/a@D"],
            ),
            (
                "type=image,name=e.com/a,dangling-name-prefix=e.com/none",
                &["e.com/none@D"],
            ),
            (
                "type=image,name=e.com/a,dangling-name-prefix=e.com/none,danging-name-empty-only=true",
                &[],
            ),
            (
                "type=image,dangling-name-prefix=e.com/none,danging-name-empty-only=true",
                &["e.com/none@D"],
            ),
        ] {
            assert_eq!(names_of(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let host = Platform::new("linux", "amd64");
        for (text, message) in [
            (
                "type=image,oci-artifact=true",
                "`oci-artifact=true` in `--output` is not supported yet",
            ),
            (
                "type=image,dangling-name-prefix=A",
                "`dangling-name-prefix=A` in `--output` is no name of an image",
            ),
            (
                "type=registry,dest=x",
                "`--output type=registry` has no attribute `dest`",
            ),
            (
                "type=docker,context=x",
                "`context=x` in `--output` is not supported yet",
            ),
        ] {
            let error = OutputSpec::parse(text, &host).unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
        }
    }
}
