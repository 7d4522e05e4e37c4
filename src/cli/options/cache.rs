//! `--cache-from` and `--cache-to`: caches beside the store.
//!
//! ```text
//! --cache-from  REF | type=registry,ref=REF[,registry.insecure=BOOL] | type=local,src=DIR[,tag=TAG][,digest=DIGEST]
//!               | type=gha[,scope=NAME][,…] [,mounts=all|none|ID…]
//! --cache-to    REF | type=registry,ref=REF[,registry.insecure=BOOL] | type=local,dest=DIR[,tag=TAG][,reset=BOOL]
//!               | type=gha[,scope=NAME][,…] | type=inline
//!               [,mode=min|max][,compression=KIND][,compression-level=N][,force-compression=BOOL][,ignore-error=BOOL]
//!               [,mounts=all|none|ID…]
//! ```
//!
//! The words are buildx'. An attribute that is not known is an error: one that is mistyped would otherwise change
//! nothing, and nobody would see it.

use std::collections::BTreeMap;

use dockerfile::csv::{self, CsvError};
use layer::Compression;
use oci::digest::DigestError;
use oci::reference::ReferenceError;
use oci::{Digest, Reference};
use remotecache::export::{Earlier, Mode};
use remotecache::image_place::Unnamed;
use remotecache::{GhaCache, LocalCache, RegistryCache};
use solver::stash::MountSelection;
use solver::{BaseLayers, Protection};
use store::LayoutSelector;

use super::policy::go_bool;
use crate::args::{CacheArguments, KanikoCacheArguments};
use crate::env::Environment;

mod actions;
mod attribute;

pub use actions::GhaUsageError;
use attribute::Attributes;

/// The tag in a layout of a cache of which none is said.
const LOCAL_TAG: &str = "latest";

/// The build argument by which buildx is asked for a cache in the image.
const INLINE_ARGUMENT: &str = "BUILDKIT_INLINE_CACHE";

/// The kinds of caches, as messages list them.
const KINDS: &str = "`registry`, `local`, `gha` and `inline`";

/// Why the arguments about caches cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum CacheUsageError {
    /// It is no line of comma-separated values.
    #[error("`{flag} {text}` is no list of `key=value`")]
    List {
        /// The flag.
        flag: &'static str,
        /// The text.
        text: String,
        /// Why.
        source: CsvError,
    },
    /// A part of it has no value.
    #[error("`{flag} {text}`: `{field}` is no `key=value`")]
    Field {
        /// The flag.
        flag: &'static str,
        /// The text.
        text: String,
        /// The part.
        field: String,
    },
    /// It does not say its type.
    #[error("`{flag} {text}` does not say its `type`: {KINDS} are known")]
    NoKind {
        /// The flag.
        flag: &'static str,
        /// The text.
        text: String,
    },
    /// There is no such type.
    #[error("`{flag} type={kind}` is not supported: {KINDS} are")]
    Kind {
        /// The flag.
        flag: &'static str,
        /// The type.
        kind: String,
    },
    /// A cache of this type cannot be imported from.
    #[error(
        "`--cache-from type=inline`: an image with a cache in it is `--cache-from type=registry,ref=IMAGE`"
    )]
    FromInline,
    /// There is no such attribute.
    #[error("`{flag} type={kind}` has no attribute `{key}`: {known} are known")]
    Key {
        /// The flag.
        flag: &'static str,
        /// The type.
        kind: String,
        /// The attribute.
        key: String,
        /// Those that it has.
        known: String,
    },
    /// An attribute has a value that it cannot have.
    #[error("`{key}={value}` in `{flag}`: the value must be {expected}")]
    Value {
        /// The flag.
        flag: &'static str,
        /// The attribute.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// An attribute is missing.
    #[error("`{flag} type={kind}` needs `{key}=`")]
    Missing {
        /// The flag.
        flag: &'static str,
        /// The type.
        kind: String,
        /// The attribute.
        key: &'static str,
    },
    /// A reference is none.
    #[error("`{text}` in `{flag}` is no reference")]
    Reference {
        /// The flag.
        flag: &'static str,
        /// The text.
        text: String,
        /// Why.
        source: ReferenceError,
    },
    /// A reference has a digest, which is known only after the build.
    #[error("`ref={text}` in `--cache-to`: a cache is written to a tag, and not to a digest")]
    ToDigest {
        /// The text.
        text: String,
    },
    /// A digest is none.
    #[error("`digest={text}` in `--cache-from` is no digest")]
    Digest {
        /// The text.
        text: String,
        /// Why.
        source: DigestError,
    },
    /// Something that BuildKit writes has no form here.
    #[error("`{key}=false` in `--cache-to` is not supported: {why}")]
    Form {
        /// The attribute.
        key: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// A cache of a workflow is not understood.
    #[error(transparent)]
    Gha(#[from] GhaUsageError),
    /// A flag of kaniko's.
    #[error("`{flag}` is not supported: {instead}")]
    Kaniko {
        /// The flag.
        flag: &'static str,
        /// What there is instead.
        instead: &'static str,
    },
}

/// A place of a cache.
#[derive(Debug, Clone)]
pub enum CachePlace {
    /// In a registry.
    Registry(RegistryCache),
    /// In a layout.
    Local(LocalCache),
    /// In the cache service of GitHub Actions.
    Gha(Box<GhaCache>),
}

/// A cache that is asked.
#[derive(Debug, Clone)]
pub struct CacheFrom {
    /// Where.
    pub place: CachePlace,
    /// Which cache mounts are taken from it.
    pub mounts: MountSelection,
}

/// Where a cache goes.
#[derive(Debug, Clone)]
pub enum CacheDestination {
    /// Into the image that is built.
    Inline,
    /// To a place.
    Place(CacheTo),
}

/// A cache that is written.
#[derive(Debug, Clone)]
pub struct CacheTo {
    /// Where.
    pub place: CachePlace,
    /// Which results.
    pub mode: Mode,
    /// What becomes of what earlier builds left.
    pub earlier: Earlier,
    /// How layers are compressed; as in the output if none.
    pub compression: Option<Compression>,
    /// What becomes of layers that are compressed in another way.
    pub compressed: BaseLayers,
    /// What becomes of the build when it cannot be written.
    pub failure: CacheFailure,
    /// Which cache mounts are written too.
    pub mounts: MountSelection,
}

/// What becomes of the build when a cache cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheFailure {
    /// It fails.
    Fails,
    /// The user is told, and it does not fail (`ignore-error=true`).
    IsIgnored,
}

/// Caches beside the store.
#[derive(Debug, Clone, Default)]
pub struct CacheOptions {
    /// Those that are asked, in this order.
    pub from: Vec<CacheFrom>,
    /// Those that are written.
    pub to: Vec<CacheDestination>,
}

impl CacheOptions {
    /// Works them out.
    ///
    /// # Errors
    ///
    /// Fails on what cannot be understood, and on what is not supported.
    pub fn new(
        arguments: &CacheArguments,
        build_args: &BTreeMap<String, String>,
        env: &Environment,
    ) -> Result<Self, CacheUsageError> {
        refuse_kaniko(&arguments.kaniko)?;
        let from = arguments.cache_from.iter().filter(|text| !text.is_empty());
        let from = from.map(|text| from_cache(&Attributes::parse("--cache-from", text)?, env));
        let to = arguments.cache_to.iter().filter(|text| !text.is_empty());
        let to = to.map(|text| to_text(&Attributes::parse("--cache-to", text)?, env));
        let mut to: Vec<_> = to.collect::<Result<_, _>>()?;
        let inline = build_args.get(INLINE_ARGUMENT).map(String::as_str);
        if to.is_empty() && inline.and_then(go_bool) == Some(true) {
            to.push(CacheDestination::Inline);
        }
        Ok(Self {
            from: from.collect::<Result<_, _>>()?,
            to,
        })
    }

    /// Returns the registries that are named.
    pub fn registries(&self) -> Vec<String> {
        let to = self.to.iter().filter_map(|to| match to {
            CacheDestination::Place(to) => Some(&to.place),
            CacheDestination::Inline => None,
        });
        let places = self.from.iter().map(|from| &from.place).chain(to);
        let registries = places.filter_map(|place| match place {
            CachePlace::Registry(cache) => Some(cache.reference.domain().to_owned()),
            CachePlace::Local(_) | CachePlace::Gha(_) => None,
        });
        registries.collect()
    }
}

fn from_cache(
    attributes: &Attributes<'_>,
    env: &Environment,
) -> Result<CacheFrom, CacheUsageError> {
    Ok(CacheFrom {
        place: from_text(attributes, env)?,
        mounts: attributes.mounts(MountSelection::All),
    })
}

fn from_text(
    attributes: &Attributes<'_>,
    env: &Environment,
) -> Result<CachePlace, CacheUsageError> {
    match attributes.kind() {
        "registry" => {
            attributes.check(&["ref", "registry.insecure", "mounts"])?;
            Ok(CachePlace::Registry(registry(attributes)?))
        }
        "local" => {
            attributes.check(&["src", "tag", "digest", "mounts"])?;
            let path = env.current_directory.join(attributes.required("src")?);
            let selector = match attributes.get("digest") {
                Some(text) => LayoutSelector::Digest(digest(text)?),
                None => tag(attributes),
            };
            Ok(CachePlace::Local(LocalCache {
                path,
                selector,
                unnamed: Unnamed::Kept,
            }))
        }
        "gha" => {
            attributes.check(&[&actions::KEYS[..], &["mounts"]].concat())?;
            actions::place(attributes, env)
        }
        "inline" => Err(CacheUsageError::FromInline),
        _ => Err(attributes.unknown_kind()),
    }
}

/// The attributes that every exported cache has.
const COMMON: [&str; 8] = [
    "mode",
    "compression",
    "compression-level",
    "force-compression",
    "oci-mediatypes",
    "image-manifest",
    "ignore-error",
    "mounts",
];

fn to_text(
    attributes: &Attributes<'_>,
    env: &Environment,
) -> Result<CacheDestination, CacheUsageError> {
    let known = |own: &[&'static str]| [own, &COMMON].concat();
    match attributes.kind() {
        "registry" => {
            attributes.check(&known(&["ref", "registry.insecure"]))?;
            let cache = registry(attributes)?;
            if cache.reference.digest().is_some() {
                return Err(CacheUsageError::ToDigest {
                    text: cache.reference.to_string(),
                });
            }
            written(attributes, CachePlace::Registry(cache), Earlier::Kept)
        }
        "local" => {
            attributes.check(&known(&["dest", "tag", "reset"]))?;
            let path = env.current_directory.join(attributes.required("dest")?);
            let kept = (Earlier::Kept, Unnamed::Kept);
            let dropped = (Earlier::Dropped, Unnamed::Removed);
            let (earlier, unnamed) = attributes.switch("reset", kept, dropped)?;
            let cache = LocalCache {
                path,
                selector: tag(attributes),
                unnamed,
            };
            written(attributes, CachePlace::Local(cache), earlier)
        }
        "gha" => {
            attributes.check(&known(&actions::KEYS))?;
            written(attributes, actions::place(attributes, env)?, Earlier::Kept)
        }
        "inline" => {
            attributes.check(&["mode"])?;
            match attributes.get("mode") {
                None | Some("min") => Ok(CacheDestination::Inline),
                Some(mode) => Err(CacheUsageError::Value {
                    flag: "--cache-to",
                    key: "mode",
                    value: mode.to_owned(),
                    expected: "`min`: an image has its own layers and no others",
                }),
            }
        }
        _ => Err(attributes.unknown_kind()),
    }
}

fn written(
    attributes: &Attributes<'_>,
    place: CachePlace,
    earlier: Earlier,
) -> Result<CacheDestination, CacheUsageError> {
    let forms = [
        ("oci-mediatypes", "caches have OCI's media types"),
        (
            "image-manifest",
            "a cache is an index of manifests, one for each platform",
        ),
    ];
    for (key, why) in forms {
        if !attributes.boolean(key, true)? {
            return Err(CacheUsageError::Form { key, why });
        }
    }
    let (as_they_are, again) = (BaseLayers::AsTheyAre, BaseLayers::Recompressed);
    let compressed = attributes.switch("force-compression", as_they_are, again)?;
    let (fails, is_ignored) = (CacheFailure::Fails, CacheFailure::IsIgnored);
    let failure = attributes.switch("ignore-error", fails, is_ignored)?;
    Ok(CacheDestination::Place(CacheTo {
        place,
        mode: attributes.mode()?,
        earlier,
        compression: attributes.compression()?,
        compressed,
        failure,
        mounts: attributes.mounts(MountSelection::None),
    }))
}

fn registry(attributes: &Attributes<'_>) -> Result<RegistryCache, CacheUsageError> {
    let text = attributes.required("ref")?;
    let reference = Reference::parse_docker_ref(text);
    let reference = reference.map_err(|source| CacheUsageError::Reference {
        flag: attributes.flag,
        text: text.to_owned(),
        source,
    })?;
    let (configured, none) = (Protection::Configured, Protection::None);
    let protection = attributes.switch("registry.insecure", configured, none)?;
    Ok(RegistryCache {
        reference,
        protection,
    })
}

fn tag(attributes: &Attributes<'_>) -> LayoutSelector {
    LayoutSelector::Tag(attributes.get("tag").unwrap_or(LOCAL_TAG).to_owned())
}

fn digest(text: &str) -> Result<Digest, CacheUsageError> {
    Digest::parse(text).map_err(|source| CacheUsageError::Digest {
        text: text.to_owned(),
        source,
    })
}

/// Refuses what kaniko calls its caches, with what there is instead.
fn refuse_kaniko(kaniko: &KanikoCacheArguments) -> Result<(), CacheUsageError> {
    let mode = "`--cache-to …,mode=min` leaves the layers of the image, and `mode=max` all";
    let flags = [
        (
            "--cache-repo",
            &kaniko.cache_repo,
            "`--cache-to REF --cache-from REF` keep a cache in a registry",
        ),
        (
            "--cache-dir",
            &kaniko.cache_dir,
            "`--cache-from type=local,src=DIR` reads a cache, and base images are kept in the store",
        ),
        ("--cache-copy-layers", &kaniko.cache_copy_layers, mode),
        ("--cache-run-layers", &kaniko.cache_run_layers, mode),
        (
            "--no-push-cache",
            &kaniko.no_push_cache,
            "nothing is pushed to a cache that no `--cache-to` names",
        ),
        (
            "--compressed-caching",
            &kaniko.compressed_caching,
            "`--cache-to …,compression=uncompressed` leaves layers uncompressed",
        ),
    ];
    match flags.into_iter().find(|(_, given, _)| given.is_some()) {
        None => Ok(()),
        Some((flag, _, instead)) => Err(CacheUsageError::Kaniko { flag, instead }),
    }
}

#[cfg(test)]
mod tests;
