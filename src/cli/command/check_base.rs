//! `careen check-base`: is a newer base of an image there?
//!
//! An image that names its base, with the digest that it had, by the annotations of image-spec annotations.md
//! (`org.opencontainers.image.base.name`, `….digest`) is outdated when the name leads to something else now. Where no
//! digest is known, it is outdated when its lowest layers are not those of the base.

use std::collections::BTreeMap;
use std::io;

use oci::check::{self, DocumentError};
use oci::config::ConfigError;
use oci::descriptor;
use oci::digest::DigestError;
use oci::limits::CONFIG_MAX_BYTES;
use oci::{Descriptor, DiffId, Digest, ImageConfig, ImageManifest, Platform};
use transport::{Document, PlaceError, Source};

use super::transfer::Surroundings;
use super::workspace;
use crate::args::CheckBaseArguments;
use crate::exit;
use crate::format;
use crate::options::{host_platform, image_platform};
use crate::report::{Kind, Report};
use crate::run::Outcome;

const BASE_NAME: &str = "org.opencontainers.image.base.name";
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// Why nothing can be said of a base.
#[derive(Debug, thiserror::Error)]
enum BaseCheckError {
    #[error("`{image}` does not say what it was built on: it has no annotation `{BASE_NAME}`")]
    NoBase { image: String },
    #[error("`{text}` is no digest")]
    NoDigest { text: String, source: DigestError },
    #[error("`{image}` has no image for {platform}")]
    NoPlatform { image: String, platform: Platform },
    #[error("cannot read `{image}`")]
    Read { image: String, source: PlaceError },
    #[error("cannot read the configuration of `{image}`")]
    ReadConfig { image: String, source: io::Error },
    #[error("a document of `{image}` is malformed")]
    Document {
        image: String,
        source: DocumentError,
    },
    #[error("the configuration of `{image}` is malformed")]
    Config { image: String, source: ConfigError },
    #[error("a digest of `{image}` is malformed")]
    Digest { image: String, source: DigestError },
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The name of the base leads to what it led to.
    SameDigest { digest: String },
    /// It leads to something else.
    OtherDigest { then: String, now: String },
    /// The image begins with the base's layers.
    SameLayers { count: usize },
    /// It does not.
    OtherLayers { index: usize },
}

/// Runs `check-base` in the builder.
pub(crate) fn run(arguments: &CheckBaseArguments, around: Surroundings<'_>) -> Outcome {
    let env = around.env;
    let platform = image_platform(arguments.platform.as_deref(), env)
        .map_err(|error| Report::new(Kind::Usage, &error))?
        .unwrap_or_else(host_platform);
    let texts: Vec<&str> = std::iter::once(arguments.image.as_str())
        .chain(arguments.base.as_deref())
        .collect();
    workspace::with_answer((around, &arguments.registry), &texts, |finder| {
        let source = finder.source(&arguments.image)?;
        let image = Image {
            source: source.as_ref(),
            platform: &platform,
        };
        let named = named(arguments, &image).map_err(|error| report(&error))?;
        let base = finder.source(&named.name)?;
        let base = Image {
            source: base.as_ref(),
            platform: &platform,
        };
        let verdict = verdict(&image, &base, named.digest.as_ref());
        let verdict = verdict.map_err(|error| report(&error))?;
        if !arguments.quiet {
            format::print(&format!("{}\n", verdict.told(&named.name)))?;
        }
        Ok(verdict.code())
    })
}

fn report(error: &BaseCheckError) -> Box<Report> {
    let mut report = Report::new(Kind::User, error);
    if let BaseCheckError::NoBase { .. } = error {
        report.help = Some("`--base LOCATION` names one".to_owned());
    }
    Box::new(report)
}

/// The base that an image names, or the user.
struct Named {
    name: String,
    digest: Option<Digest>,
}

fn named(arguments: &CheckBaseArguments, image: &Image<'_>) -> Result<Named, BaseCheckError> {
    let (name, digest) = if let Some(base) = &arguments.base {
        (base.clone(), arguments.digest.clone())
    } else {
        let mut annotations = image.annotations()?;
        let name = annotations.remove(BASE_NAME);
        let name = name.ok_or_else(|| BaseCheckError::NoBase {
            image: arguments.image.clone(),
        })?;
        (name, annotations.remove(BASE_DIGEST))
    };
    let parse = |text: String| {
        let parsed = Digest::parse(&text);
        parsed.map_err(|source| BaseCheckError::NoDigest { text, source })
    };
    Ok(Named {
        name,
        digest: digest.map(parse).transpose()?,
    })
}

fn verdict(
    image: &Image<'_>,
    base: &Image<'_>,
    then: Option<&Digest>,
) -> Result<Verdict, BaseCheckError> {
    let Some(then) = then else {
        return Ok(of_layers(&image.diff_ids()?, &base.diff_ids()?));
    };
    let root = base.root()?;
    let now = root.descriptor.digest().to_string();
    let digest = then.to_string();
    // Who wrote the annotation may have meant the index, or the manifest for the platform.
    if now == digest || base.manifest()?.0 == *then {
        return Ok(Verdict::SameDigest { digest });
    }
    Ok(Verdict::OtherDigest { then: digest, now })
}

fn of_layers(image: &[DiffId], base: &[DiffId]) -> Verdict {
    let differs = |index: &usize| image.get(*index) != base.get(*index);
    match (0..base.len()).find(differs) {
        None => Verdict::SameLayers { count: base.len() },
        Some(index) => Verdict::OtherLayers { index },
    }
}

impl Verdict {
    fn code(&self) -> u8 {
        match self {
            Self::SameDigest { .. } | Self::SameLayers { .. } => exit::DONE,
            Self::OtherDigest { .. } | Self::OtherLayers { .. } => exit::FAILED,
        }
    }

    fn told(&self, base: &str) -> String {
        match self {
            Self::SameDigest { digest } => format!("up to date: {base} is still {digest}"),
            Self::OtherDigest { then, now } => {
                format!("outdated: {base} was {then} and is {now}")
            }
            Self::SameLayers { count } => {
                format!("up to date: the image begins with the layers of {base}, {count} in number")
            }
            Self::OtherLayers { index } => {
                format!(
                    "outdated: layer {} of the image is not that of {base}",
                    index + 1
                )
            }
        }
    }
}

/// An image somewhere, for one platform of perhaps several.
struct Image<'a> {
    source: &'a dyn Source,
    platform: &'a Platform,
}

impl Image<'_> {
    fn name(&self) -> String {
        self.source.shown()
    }

    fn read(&self, result: Result<Document, PlaceError>) -> Result<Document, BaseCheckError> {
        result.map_err(|source| BaseCheckError::Read {
            image: self.name(),
            source,
        })
    }

    fn malformed(&self, source: DocumentError) -> BaseCheckError {
        let image = self.name();
        BaseCheckError::Document { image, source }
    }

    fn root(&self) -> Result<Document, BaseCheckError> {
        self.read(self.source.root())
    }

    /// Returns the manifest for the platform; an image that is for one alone is taken as it is.
    fn manifest(&self) -> Result<(Digest, ImageManifest), BaseCheckError> {
        let mut document = self.root()?;
        for _ in 0..oci::limits::INDEX_MAX_DEPTH {
            if !check::is_index(&document.bytes) {
                break;
            }
            let index = check::parse_index(&document.bytes).map_err(|e| self.malformed(e))?;
            let entry = check::select_platform(&index, self.platform);
            let entry = entry.ok_or_else(|| BaseCheckError::NoPlatform {
                image: self.name(),
                platform: self.platform.clone(),
            })?;
            document = self.read(self.source.document(entry))?;
        }
        let manifest = check::parse_manifest(&document.bytes).map_err(|e| self.malformed(e))?;
        Ok((self.digest(&document.descriptor)?, manifest))
    }

    fn digest(&self, descriptor: &Descriptor) -> Result<Digest, BaseCheckError> {
        descriptor::digest_of(descriptor).map_err(|source| BaseCheckError::Digest {
            image: self.name(),
            source,
        })
    }

    /// Returns the annotations of the index and of the manifest; those of the manifest count more.
    fn annotations(&self) -> Result<BTreeMap<String, String>, BaseCheckError> {
        let root = self.root()?;
        let mut all = BTreeMap::new();
        if check::is_index(&root.bytes) {
            let index = check::parse_index(&root.bytes).map_err(|e| self.malformed(e))?;
            all.extend(index.annotations().clone().unwrap_or_default());
        }
        all.extend(self.manifest()?.1.annotations().clone().unwrap_or_default());
        Ok(all)
    }

    fn diff_ids(&self) -> Result<Vec<DiffId>, BaseCheckError> {
        let (_, manifest) = self.manifest()?;
        let image = || self.name();
        let opened = self.source.blob(manifest.config(), 0);
        let mut reader = opened.map_err(|source| BaseCheckError::Read {
            image: image(),
            source,
        })?;
        let mut bytes = Vec::new();
        io::Read::read_to_end(
            &mut io::Read::take(&mut reader, CONFIG_MAX_BYTES),
            &mut bytes,
        )
        .map_err(|source| BaseCheckError::ReadConfig {
            image: image(),
            source,
        })?;
        let config = ImageConfig::parse(&bytes).map_err(|source| BaseCheckError::Config {
            image: image(),
            source,
        })?;
        Ok(config.rootfs.diff_ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_begins_with_the_bases_layers_is_up_to_date() {
        let ids = |texts: &[&str]| -> Vec<DiffId> {
            let id = |text: &&str| DiffId::new(Digest::of(text.as_bytes()));
            texts.iter().map(id).collect()
        };
        let image = ids(&["a", "b", "c"]);
        let cases = [
            (ids(&["a", "b"]), Verdict::SameLayers { count: 2 }),
            (ids(&[]), Verdict::SameLayers { count: 0 }),
            (ids(&["a", "x"]), Verdict::OtherLayers { index: 1 }),
            (
                ids(&["a", "b", "c", "d"]),
                Verdict::OtherLayers { index: 3 },
            ),
        ];
        for (base, expected) in cases {
            assert_eq!(of_layers(&image, &base), expected);
        }
    }
}
