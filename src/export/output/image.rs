//! What images are like: names, compression, media types, times, annotations.

use layer::{Compression, Times};
use oci::assemble::HistoryDetail;
use oci::media_type::Flavour;
use oci::{Reference, Timestamp};
use solver::{BaseLayers, PackPlan};

use super::OutputError;
use super::attribute::Attribute;
use crate::annotation::{Annotation, AnnotationLevel};

/// The attributes of images. The keys of annotations are the user's.
pub(super) const KEYS: &[&str] = &[
    "annotation.KEY",
    "attestation-inline",
    "attestation-prefix",
    "compression",
    "compression-level",
    "force-compression",
    "name",
    "oci-artifact",
    "oci-mediatypes",
    "prefer-nondist-layers",
    "rewrite-timestamp",
    "source-date-epoch",
];

/// What an image is like.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageOptions {
    /// Its names.
    pub names: Vec<Reference>,
    /// How new layers are compressed.
    pub compression: Compression,
    /// What happens to the layers of bases.
    pub base: BaseLayers,
    /// Whose media types it has.
    pub flavour: Flavour,
    /// What layers are called that registries do not hand out.
    pub restricted: RestrictedLayers,
    /// Which times of files change.
    pub rewrite: Rewrite,
    /// The time of the image, and the one for [`ImageOptions::rewrite`].
    pub time: Option<Timestamp>,
    /// Its annotations.
    pub annotations: Vec<Annotation>,
    /// When there is an index.
    pub index: IndexForm,
    /// Which layers become one.
    pub squash: Squash,
    /// Whether it tells how it was made.
    pub history: HistoryDetail,
    /// What becomes of what has its names.
    pub naming: Naming,
}

/// What becomes of what has the names of an image already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// The names are the image's alone from then on.
    Replace,
    /// It is an index, or becomes one, and the image for each platform takes its place there (`--append`).
    Append,
}

/// What layers are called that registries do not hand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestrictedLayers {
    /// Layers like any other.
    Freed,
    /// What their bases call them (`prefer-nondist-layers`).
    Kept,
}

/// Which times of files change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    /// None.
    None,
    /// Those that are later than the time of the image (`rewrite-timestamp`).
    Later,
    /// All (`--timestamp`).
    All,
}

/// When there is an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexForm {
    /// With several platforms.
    ForSeveral,
    /// Always (`BUILDKIT_MULTI_PLATFORM`).
    Always,
}

/// Which layers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Squash {
    /// None.
    None,
    /// Those that the build adds to its base.
    New,
    /// All, those of the base too.
    All,
}

impl ImageOptions {
    /// Returns those of an image of which nothing is said but whose media types it has.
    pub fn of(flavour: Flavour) -> Self {
        Self {
            names: Vec::new(),
            compression: Compression::default(),
            base: BaseLayers::AsTheyAre,
            flavour,
            restricted: RestrictedLayers::Freed,
            rewrite: Rewrite::None,
            time: None,
            annotations: Vec::new(),
            index: IndexForm::ForSeveral,
            squash: Squash::None,
            history: HistoryDetail::Full,
            naming: Naming::Replace,
        }
    }

    /// Makes it an image that is added to the index that its names have: so it is an index of its own, with one
    /// platform too.
    pub fn append(&mut self) {
        self.naming = Naming::Append;
        self.index = IndexForm::Always;
    }

    /// Checks that it can be added to an index.
    pub(super) fn check_append(&self) -> Result<(), OutputError> {
        if self.names.is_empty() {
            return Err(OutputError::AppendWithoutName);
        }
        let is_beside =
            |annotation: &&Annotation| annotation.level == AnnotationLevel::IndexDescriptor;
        match self.annotations.iter().find(is_beside) {
            None => Ok(()),
            Some(annotation) => Err(OutputError::AppendDescriptor {
                key: annotation.key.clone(),
            }),
        }
    }

    /// Returns how layers are packed. Times stay as they are where nobody has said what to change them to.
    pub fn pack_plan(&self) -> PackPlan {
        let times = match (self.rewrite, self.time) {
            (Rewrite::None, _) | (_, None) => Times::Kept,
            (Rewrite::Later, Some(time)) => Times::NotAfter(time),
            (Rewrite::All, Some(time)) => Times::All(time),
        };
        PackPlan {
            compression: self.compression,
            times,
            base: self.base,
        }
    }

    /// Gives names without a tag the usual one.
    pub(super) fn tag_names(&mut self) {
        let names = std::mem::take(&mut self.names).into_iter();
        self.names = names.map(Reference::into_docker_ref).collect();
    }

    /// Tells whether times are to be rewritten, and nobody has said to what.
    pub fn lacks_time(&self) -> bool {
        self.rewrite != Rewrite::None && self.time.is_none()
    }
}

/// Image options that are being read.
#[derive(Debug)]
pub(super) struct Draft {
    options: ImageOptions,
    level: Option<u8>,
}

impl Draft {
    pub(super) fn new(flavour: Flavour) -> Self {
        Self {
            options: ImageOptions::of(flavour),
            level: None,
        }
    }

    /// Reads an attribute; tells whether images have it.
    pub(super) fn set(&mut self, attribute: &Attribute<'_>) -> Result<bool, OutputError> {
        let options = &mut self.options;
        match attribute.key.as_str() {
            "name" => options.names.extend(names(&attribute.value)?),
            "compression" => options.compression = compression(attribute)?,
            "compression-level" => self.level = Some(attribute.number()?),
            "force-compression" => {
                options.base = if attribute.boolean()? {
                    BaseLayers::Recompressed
                } else {
                    BaseLayers::AsTheyAre
                };
            }
            "oci-mediatypes" => {
                options.flavour = if attribute.boolean()? {
                    Flavour::Oci
                } else {
                    Flavour::Docker
                };
            }
            "prefer-nondist-layers" => {
                options.restricted = if attribute.boolean()? {
                    RestrictedLayers::Kept
                } else {
                    RestrictedLayers::Freed
                };
            }
            "rewrite-timestamp" => {
                options.rewrite = if attribute.boolean()? {
                    Rewrite::Later
                } else {
                    Rewrite::None
                };
            }
            "source-date-epoch" => options.time = Some(attribute.time()?),
            // They say how attestations are written, of which there are none yet.
            "attestation-inline" | "oci-artifact" => drop(attribute.boolean()?),
            "attestation-prefix" => {}
            _ => return self.set_annotation(attribute),
        }
        Ok(true)
    }

    fn set_annotation(&mut self, attribute: &Attribute<'_>) -> Result<bool, OutputError> {
        let Attribute { key, value, host } = attribute;
        let Some(annotation) = Annotation::parse_attribute(key, value, host)? else {
            return Ok(false);
        };
        self.options.annotations.push(annotation);
        Ok(true)
    }

    pub(super) fn finish(mut self) -> Result<ImageOptions, OutputError> {
        if let Some(level) = self.level {
            self.options.compression = with_level(self.options.compression, level)?;
        }
        Ok(self.options)
    }
}

fn names(text: &str) -> Result<Vec<Reference>, OutputError> {
    let read = |name: &str| {
        let name = name.trim();
        let reference = Reference::parse(name).map_err(|source| OutputError::Name {
            name: name.to_owned(),
            source,
        })?;
        if reference.digest().is_some() {
            return Err(OutputError::NameWithDigest {
                name: name.to_owned(),
            });
        }
        Ok(reference)
    };
    text.split(',').map(read).collect()
}

fn compression(attribute: &Attribute<'_>) -> Result<Compression, OutputError> {
    match attribute.value.as_str() {
        "gzip" => Ok(Compression::default()),
        "zstd" => Ok(Compression::ZSTD),
        "uncompressed" => Ok(Compression::Uncompressed),
        "estargz" => Err(attribute.unsupported()),
        _ => Err(attribute.wrong("`gzip`, `zstd` or `uncompressed`")),
    }
}

fn with_level(compression: Compression, level: u8) -> Result<Compression, OutputError> {
    match compression {
        Compression::Gzip { .. } if (1..=9).contains(&level) => Ok(Compression::Gzip { level }),
        Compression::Zstd { .. } if (1..=22).contains(&level) => Ok(Compression::Zstd { level }),
        _ => Err(OutputError::Value {
            key: "compression-level".to_owned(),
            value: level.to_string(),
            expected: "1 to 9 for gzip, 1 to 22 for zstd",
        }),
    }
}
