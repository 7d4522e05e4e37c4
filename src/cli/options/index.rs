//! What the arguments about indexes mean: places, descriptors, annotations.

use std::path::{Path, PathBuf};

use export::annotation::AnnotationLevel;
use export::{Annotation, AnnotationError};
use oci::check::{DocumentError, parse_descriptor};
use oci::digest::DigestError;
use oci::reference::ReferenceError;
use oci::{Descriptor, Digest, Platform, Reference};
use store::LayoutSelector;
use transport::Location;

use super::transfer::{self, TransferUsageError};
use super::{RegistryOptions, host_platform};
use crate::args::{ImagetoolsCreateArguments, MergeArguments};
use crate::env::Environment;

/// No descriptor is larger.
const DESCRIPTOR_LIMIT_BYTES: u64 = 1024 * 1024;

/// Why arguments about indexes cannot be understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexUsageError {
    /// A place, a platform, or how registries are reached.
    #[error(transparent)]
    Transfer(#[from] TransferUsageError),
    /// An annotation is none.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// An annotation that would change what an image is.
    #[error(
        "the annotation `{text}` is for manifests, which stay as they are: `index:` and `manifest-descriptor:` can be annotated"
    )]
    OfManifest {
        /// The annotation.
        text: String,
    },
    /// An annotation of the descriptor of the index, which nothing has.
    #[error(
        "the annotation `{text}` is for the descriptor of the index, which is in no document here"
    )]
    OfIndexDescriptor {
        /// The annotation.
        text: String,
    },
    /// A file of a descriptor cannot be read.
    #[error("cannot read the descriptor `{}`", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is too large for a descriptor.
    #[error("the descriptor `{}` is larger than {DESCRIPTOR_LIMIT_BYTES} bytes", path.display())]
    LargeFile {
        /// The file.
        path: PathBuf,
    },
    /// A descriptor is malformed.
    #[error("`{text}` is no descriptor")]
    Descriptor {
        /// The text, or the file's name.
        text: String,
        /// Why.
        source: DocumentError,
    },
    /// A digest of a descriptor cannot be verified.
    #[error("`{text}` has a digest that cannot be verified")]
    Digest {
        /// The text, or the file's name.
        text: String,
        /// Why.
        source: DigestError,
    },
    /// A descriptor, and nothing says where what it describes is.
    #[error(
        "`{text}` does not say where it is, and there is no `--tag` in whose repository it could be"
    )]
    NoRepository {
        /// The text, or the file's name.
        text: String,
    },
    /// A descriptor of something in an archive.
    #[error("`{text}` does not say where it is, and `{location}` is no place to look for it")]
    NoPlace {
        /// The text, or the file's name.
        text: String,
        /// The first target.
        location: Box<Location>,
    },
    /// An index is added to where that cannot be done.
    #[error("`{location}` cannot be added to: a registry, the store and an image layout can")]
    NotAppendable {
        /// The place.
        location: Box<Location>,
    },
    /// A tag that is none.
    #[error("`{text}` is no name of an image")]
    Name {
        /// The text.
        text: String,
        /// Why.
        source: ReferenceError,
    },
    /// A tag with a digest.
    #[error("`{text}`: an index cannot be given a digest, which is that of its bytes")]
    NameWithDigest {
        /// The text.
        text: String,
    },
}

/// A source of an index.
#[derive(Debug, Clone)]
pub(crate) struct IndexSource {
    /// Where it is.
    pub(crate) location: Location,
    /// What is said of it: platform and annotations of the entry.
    pub(crate) descriptor: Option<Descriptor>,
}

/// What `imagetools create` is asked for.
#[derive(Debug)]
pub(crate) struct CreateRequest {
    pub(crate) sources: Vec<IndexSource>,
    pub(crate) targets: Vec<Location>,
    pub(crate) annotations: Vec<Annotation>,
    pub(crate) platforms: Vec<Platform>,
    pub(crate) registries: RegistryOptions,
}

impl CreateRequest {
    /// Understands the arguments; files of descriptors are read.
    pub(crate) fn new(
        arguments: &ImagetoolsCreateArguments,
        env: &Environment,
    ) -> Result<Self, IndexUsageError> {
        let targets = arguments.tags.iter().map(|text| target(text, env));
        let targets = targets.collect::<Result<Vec<_>, _>>()?;
        if arguments.append {
            check_appendable(&targets)?;
        }
        let sources = sources(arguments, &targets, env)?;
        let places: Vec<_> = targets
            .iter()
            .chain(sources.iter().map(|source| &source.location))
            .collect();
        let platforms = arguments
            .platforms
            .iter()
            .map(|text| transfer::platform(text));
        Ok(Self {
            annotations: annotations(&arguments.annotations)?,
            platforms: platforms.collect::<Result<_, _>>()?,
            registries: transfer::registries(&arguments.registry, env, &places)?,
            sources,
            targets,
        })
    }
}

fn check_appendable(targets: &[Location]) -> Result<(), IndexUsageError> {
    let is_appendable = |location: &&Location| {
        matches!(
            location,
            Location::Registry(_) | Location::Store(_) | Location::Layout { .. }
        )
    };
    match targets.iter().find(|location| !is_appendable(location)) {
        None => Ok(()),
        Some(location) => Err(IndexUsageError::NotAppendable {
            location: Box::new(location.clone()),
        }),
    }
}

/// Understands where an index goes.
fn target(text: &str, env: &Environment) -> Result<Location, IndexUsageError> {
    let location = transfer::location(text, env)?;
    let has_digest = match &location {
        Location::Registry(name) | Location::Store(name) => name.digest().is_some(),
        Location::Layout { selector, .. } | Location::OciArchive { selector, .. } => {
            matches!(selector, LayoutSelector::Digest(_))
        }
        Location::DockerArchive { .. } | Location::Directory(_) => false,
    };
    if has_digest {
        return Err(IndexUsageError::NameWithDigest {
            text: text.to_owned(),
        });
    }
    Ok(location)
}

fn sources(
    arguments: &ImagetoolsCreateArguments,
    targets: &[Location],
    env: &Environment,
) -> Result<Vec<IndexSource>, IndexUsageError> {
    let mut sources = Vec::new();
    for path in &arguments.files {
        let path = env.current_directory.join(path);
        let shown = path.display().to_string();
        sources.push(described(&read_file(&path)?, &shown, targets)?);
    }
    for text in &arguments.sources {
        sources.push(if text.trim_start().starts_with('{') {
            described(text.as_bytes(), text, targets)?
        } else if let Ok(digest) = Digest::parse(text) {
            let location = at_first_target(&digest, text, targets)?;
            IndexSource {
                location,
                descriptor: None,
            }
        } else {
            IndexSource {
                location: transfer::location(text, env)?,
                descriptor: None,
            }
        });
    }
    Ok(sources)
}

fn read_file(path: &Path) -> Result<Vec<u8>, IndexUsageError> {
    use std::io::Read as _;

    let failed = |source| IndexUsageError::ReadFile {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(DESCRIPTOR_LIMIT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > DESCRIPTOR_LIMIT_BYTES {
        return Err(IndexUsageError::LargeFile {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

/// Returns the source that a descriptor describes, in the repository of the first target.
fn described(
    json: &[u8],
    shown: &str,
    targets: &[Location],
) -> Result<IndexSource, IndexUsageError> {
    let descriptor = parse_descriptor(json).map_err(|source| IndexUsageError::Descriptor {
        text: shown.to_owned(),
        source,
    })?;
    let digest =
        oci::descriptor::digest_of(&descriptor).map_err(|source| IndexUsageError::Digest {
            text: shown.to_owned(),
            source,
        })?;
    Ok(IndexSource {
        location: at_first_target(&digest, shown, targets)?,
        descriptor: Some(descriptor),
    })
}

fn at_first_target(
    digest: &Digest,
    shown: &str,
    targets: &[Location],
) -> Result<Location, IndexUsageError> {
    let first = targets
        .first()
        .ok_or_else(|| IndexUsageError::NoRepository {
            text: shown.to_owned(),
        })?;
    Ok(match first {
        Location::Registry(name) => Location::Registry(name.with_digest(digest).into_docker_ref()),
        Location::Store(name) => Location::Store(name.with_digest(digest).into_docker_ref()),
        Location::Layout { path, .. } => Location::Layout {
            path: path.clone(),
            selector: LayoutSelector::Digest(digest.clone()),
        },
        other => {
            return Err(IndexUsageError::NoPlace {
                text: shown.to_owned(),
                location: Box::new(other.clone()),
            });
        }
    })
}

/// Understands annotations that an index can have.
fn annotations(texts: &[String]) -> Result<Vec<Annotation>, IndexUsageError> {
    let mut annotations = Vec::new();
    for text in texts {
        for annotation in Annotation::parse_flag(text, &host_platform())? {
            match annotation.level {
                AnnotationLevel::Index | AnnotationLevel::ManifestDescriptor => {
                    annotations.push(annotation);
                }
                AnnotationLevel::Manifest => {
                    return Err(IndexUsageError::OfManifest { text: text.clone() });
                }
                AnnotationLevel::IndexDescriptor => {
                    return Err(IndexUsageError::OfIndexDescriptor { text: text.clone() });
                }
            }
        }
    }
    Ok(annotations)
}

/// What `merge` is asked for.
#[derive(Debug)]
pub(crate) struct MergeRequest {
    pub(crate) sources: Vec<MergeSource>,
    pub(crate) names: Vec<Reference>,
    pub(crate) registries: RegistryOptions,
}

/// A source of `merge`.
#[derive(Debug)]
pub(crate) enum MergeSource {
    /// A file or a directory, whose only image it is.
    Path(PathBuf),
    /// A place in words.
    Location(Location),
}

/// The words that begin a place; whatever else is a path.
const WORDS: [&str; 7] = [
    "docker://",
    "store:",
    "oci:",
    "oci-layout://",
    "oci-archive:",
    "docker-archive:",
    "dir:",
];

impl MergeRequest {
    /// Understands the arguments.
    pub(crate) fn new(
        arguments: &MergeArguments,
        env: &Environment,
    ) -> Result<Self, IndexUsageError> {
        let sources = arguments.sources.iter().map(|text| {
            Ok(if WORDS.iter().any(|word| text.starts_with(word)) {
                MergeSource::Location(transfer::location(text, env)?)
            } else {
                MergeSource::Path(env.current_directory.join(text))
            })
        });
        let sources = sources.collect::<Result<Vec<_>, IndexUsageError>>()?;
        let names = arguments
            .tags
            .iter()
            .map(|text| list_name(text))
            .collect::<Result<Vec<_>, _>>()?;
        let named: Vec<_> = names.iter().cloned().map(Location::Registry).collect();
        let of_sources = sources.iter().filter_map(|source| match source {
            MergeSource::Location(location) => Some(location),
            MergeSource::Path(_) => None,
        });
        let places: Vec<_> = named.iter().chain(of_sources).collect();
        Ok(Self {
            registries: transfer::registries(&arguments.registry, env, &places)?,
            sources,
            names,
        })
    }
}

/// Understands the name that an index gets.
pub(crate) fn list_name(text: &str) -> Result<Reference, IndexUsageError> {
    let name = Reference::parse(text).map_err(|source| IndexUsageError::Name {
        text: text.to_owned(),
        source,
    })?;
    if name.digest().is_some() {
        return Err(IndexUsageError::NameWithDigest {
            text: text.to_owned(),
        });
    }
    Ok(name.into_docker_ref())
}
