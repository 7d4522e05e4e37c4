//! The `--output` grammar: `PATH`, `-`, or comma-separated `key=value` with `type=`.
//!
//! | Kind | What it writes | Attributes |
//! | --- | --- | --- |
//! | `oci` | an OCI image layout | `dest`, `tar`, those of images |
//! | `docker` | an archive that Docker and Podman load; an image of careen's store without `dest` | `dest`, those of images |
//! | `image` | an image of careen's store, of a registry, or of both | those of [`Publication`], those of images |
//! | `registry` | `image` with `push=true` | the same |
//! | `local` | the files of the result | `dest`, `mode`, those of trees |
//! | `tar` | the files of the result, as an archive | `dest`, those of trees |
//! | `cacheonly` | nothing | none |
//!
//! The attributes of images are in [`ImageOptions`], those of trees in [`TreeOptions`]. What is not known is
//! an error: an attribute that is mistyped would otherwise change nothing, and nobody would see it.

use std::path::{Path, PathBuf};

use layer::Times;
use oci::reference::ReferenceError;
use oci::time::TimestampError;
use oci::{Platform, Timestamp};
use solver::PackPlan;

mod attribute;
mod image;
mod kinds;
mod publication;
mod tree;

use crate::annotation::{self, AnnotationError};
pub use image::{ImageOptions, IndexForm, Naming, RestrictedLayers, Rewrite, Squash};
pub use publication::{Dangling, DanglingWhen, Publication, Push};
pub use tree::{LocalMode, PlatformSplit, TreeOptions};

/// What an `--output` asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputSpec {
    /// An OCI image layout.
    Oci {
        /// Where it goes.
        destination: Destination,
        /// Whether it is an archive.
        form: LayoutForm,
        /// What the image is.
        image: ImageOptions,
    },
    /// An archive that Docker and Podman load.
    Docker {
        /// Where it goes.
        destination: Destination,
        /// What the image is.
        image: ImageOptions,
    },
    /// An image that becomes no file: it goes into the store, to a registry, or both.
    Image {
        /// Where it goes.
        publication: Publication,
        /// What the image is.
        image: ImageOptions,
    },
    /// The files of the result in a directory.
    Local {
        /// The directory.
        directory: PathBuf,
        /// What happens to what is there already.
        mode: LocalMode,
        /// What the tree is.
        tree: TreeOptions,
    },
    /// The files of the result in an archive.
    Tar {
        /// Where it goes.
        destination: Destination,
        /// What the tree is.
        tree: TreeOptions,
    },
    /// Nothing: the results stay in the cache.
    CacheOnly,
}

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A file or directory.
    Path(PathBuf),
    /// Standard output.
    Stdout,
}

/// Whether an image layout is an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayoutForm {
    /// It is a tar.
    Archive,
    /// It is a directory, which may have other images in it.
    Directory,
}

/// Why an `--output` cannot be understood, or does not fit the platforms of the build.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// A field is no `key=value`.
    #[error("`{field}` in `--output {text}` is no `key=value`")]
    Field {
        /// The field.
        field: String,
        /// The whole text.
        text: String,
    },
    /// A quotation mark has no second one.
    #[error("`--output {text}` has a quotation mark that is not closed")]
    Quote {
        /// The whole text.
        text: String,
    },
    /// No kind is named.
    #[error("`--output {text}` does not say its `type`")]
    NoKind {
        /// The whole text.
        text: String,
    },
    /// The kind is known to others, and not carried out.
    #[error("`--output type={kind}` is not supported: {KINDS_TEXT} are")]
    Unsupported {
        /// The kind.
        kind: String,
    },
    /// The kind is not known.
    #[error("`--output type={kind}` is not known: {KINDS_TEXT} are")]
    UnknownKind {
        /// The kind.
        kind: String,
    },
    /// The attribute is not known to this kind.
    #[error("`--output type={kind}` has no attribute `{key}`")]
    UnknownKey {
        /// The attribute.
        key: String,
        /// The kind.
        kind: &'static str,
        /// The attributes that it has.
        known: Vec<&'static str>,
    },
    /// The attribute has a value that it cannot have.
    #[error("`{key}={value}` in `--output`: the value must be {expected}")]
    Value {
        /// The attribute.
        key: String,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The value is known to others, and not carried out yet.
    #[error("`{key}={value}` in `--output` is not supported yet")]
    UnsupportedValue {
        /// The attribute.
        key: String,
        /// Its value.
        value: String,
    },
    /// A name is no name of an image.
    #[error("`name={name}` in `--output` is no name of an image")]
    Name {
        /// The name.
        name: String,
        /// Why.
        source: ReferenceError,
    },
    /// A name has a digest.
    #[error(
        "`name={name}` in `--output`: a name cannot have a digest, which is known only after the build"
    )]
    NameWithDigest {
        /// The name.
        name: String,
    },
    /// A time is none.
    #[error("`source-date-epoch={value}` in `--output` is no time")]
    Epoch {
        /// The value.
        value: String,
        /// Why.
        source: TimestampError,
    },
    /// An annotation is not understood, or has no place in the result.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// There is no destination.
    #[error("`--output type=local` needs a directory: `dest=PATH`")]
    NoDirectory,
    /// A push without a name.
    #[error("a push needs the name of a repository: `-t NAME`, or `name=NAME` in `--output`")]
    PushWithoutName,
    /// A push by digest, and a name with a tag.
    #[error(
        "`push-by-digest=true` pushes without a tag, and `{name}` has one: `name=REPOSITORY` in `--output` names a repository"
    )]
    TagByDigest {
        /// The name.
        name: String,
    },
    /// A prefix for names without a tag is no name.
    #[error("`dangling-name-prefix={prefix}` in `--output` is no name of an image")]
    Prefix {
        /// The prefix.
        prefix: String,
        /// Why.
        source: ReferenceError,
    },
    /// A directory cannot go to standard output.
    #[error("`--output type={kind}` needs a directory as its destination")]
    DirectoryToStdout {
        /// The kind, with what makes it a directory.
        kind: &'static str,
    },
    /// An archive for one platform, and several of them.
    #[error(
        "`--output type=docker` is an archive of one image, and the build has {count} platforms: `type=oci` takes several"
    )]
    OnePlatform {
        /// How many there are.
        count: usize,
    },
    /// An index that is added to, and an output that is written anew.
    #[error(
        "`--append` adds to an index, and `--output type={kind}` writes an archive anew: `type=image`, \
         `type=registry` and `type=oci,tar=false` can be added to"
    )]
    AppendToArchive {
        /// The kind.
        kind: &'static str,
    },
    /// An index that is added to, and no name of one.
    #[error("`--append` needs the tag of an index: `-t NAME`, or `name=NAME` in `--output`")]
    AppendWithoutName,
    /// An index that is added to, and a name for one image alone.
    #[error(
        "`{attribute}` names an image by its digest, and `--append` adds to the index of a tag"
    )]
    AppendByDigest {
        /// The attribute.
        attribute: &'static str,
    },
    /// An index that is added to, and something that is said beside it.
    #[error(
        "the annotation `{key}` is for the descriptor of the index, and `--append` adds to an index that has one already"
    )]
    AppendDescriptor {
        /// The key of the annotation.
        key: String,
    },
    /// An archive without an index, and an index is asked for.
    #[error("`--output type=docker` is an archive of one image, and cannot have an index")]
    NoIndex,
}

/// The kinds that are carried out, as messages list them.
const KINDS_TEXT: &str = "`local`, `tar`, `oci`, `docker`, `image`, `registry` and `cacheonly`";

impl OutputSpec {
    /// Reads the value of an `--output`. What platforms leave out is `host`'s.
    ///
    /// # Errors
    ///
    /// Fails on what is not known and on what is not supported yet, by name.
    pub fn parse(text: &str, host: &Platform) -> Result<Self, OutputError> {
        let fields = attribute::split(text)?;
        let is_path =
            matches!(fields.as_slice(), [only] if only == text && !text.starts_with("type="));
        if is_path {
            return Ok(Self::of_path(text));
        }
        let attributes = attribute::parse(&fields, text, host)?;
        let kind = attributes.iter().find(|attribute| attribute.is("type"));
        match kind.map(|kind| kind.value.as_str()) {
            Some("oci") => kinds::oci(&attributes),
            Some("docker") => kinds::docker(&attributes),
            Some("image") => publication::parse(attributes.iter(), "image", Push::No),
            Some("registry") => publication::parse(attributes.iter(), "registry", Push::Named),
            Some("local") => kinds::local(&attributes),
            Some("tar") => kinds::tar(&attributes),
            Some("cacheonly") => kinds::cache_only(&attributes),
            Some(kind @ "moby") => Err(OutputError::Unsupported {
                kind: kind.to_owned(),
            }),
            Some(kind) if !kind.is_empty() => Err(OutputError::UnknownKind {
                kind: kind.to_owned(),
            }),
            Some(_) | None => Err(OutputError::NoKind {
                text: text.to_owned(),
            }),
        }
    }

    /// `PATH` is a directory, and `-` an archive on standard output.
    fn of_path(text: &str) -> Self {
        let tree = TreeOptions::default();
        if text == "-" {
            return Self::Tar {
                destination: Destination::Stdout,
                tree,
            };
        }
        Self::Local {
            directory: PathBuf::from(text),
            mode: LocalMode::Copy,
            tree,
        }
    }

    /// Returns the kind, as `type=` names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Oci { .. } => "oci",
            Self::Docker { .. } => "docker",
            Self::Image { .. } => "image",
            Self::Local { .. } => "local",
            Self::Tar { .. } => "tar",
            Self::CacheOnly => "cacheonly",
        }
    }

    /// Returns the file or directory that is written; none for standard output.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Oci { destination, .. }
            | Self::Docker { destination, .. }
            | Self::Tar { destination, .. } => match destination {
                Destination::Path(path) => Some(path),
                Destination::Stdout => None,
            },
            Self::Local { directory, .. } => Some(directory),
            Self::Image { .. } | Self::CacheOnly => None,
        }
    }

    /// Takes relative paths as relative to a directory.
    pub fn set_base(&mut self, directory: &Path) {
        match self {
            Self::Oci { destination, .. }
            | Self::Docker { destination, .. }
            | Self::Tar { destination, .. } => {
                if let Destination::Path(path) = destination {
                    *path = directory.join(&path);
                }
            }
            Self::Local {
                directory: path, ..
            } => *path = directory.join(&path),
            Self::Image { .. } | Self::CacheOnly => {}
        }
    }

    /// Tells whether it goes to standard output.
    pub fn is_stdout(&self) -> bool {
        match self {
            Self::Oci { destination, .. }
            | Self::Docker { destination, .. }
            | Self::Tar { destination, .. } => *destination == Destination::Stdout,
            Self::Image { .. } | Self::Local { .. } | Self::CacheOnly => false,
        }
    }

    /// Returns what the image is; none if no image is written.
    pub fn image(&self) -> Option<&ImageOptions> {
        match self {
            Self::Oci { image, .. } | Self::Docker { image, .. } | Self::Image { image, .. } => {
                Some(image)
            }
            Self::Local { .. } | Self::Tar { .. } | Self::CacheOnly => None,
        }
    }

    /// Returns what the image is, to be changed.
    pub fn image_mut(&mut self) -> Option<&mut ImageOptions> {
        match self {
            Self::Oci { image, .. } | Self::Docker { image, .. } | Self::Image { image, .. } => {
                Some(image)
            }
            Self::Local { .. } | Self::Tar { .. } | Self::CacheOnly => None,
        }
    }

    /// Returns an image that is published, of which nothing else is said.
    pub fn image_of(publication: Publication) -> Self {
        Self::Image {
            publication,
            image: ImageOptions::of(oci::media_type::Flavour::Oci),
        }
    }

    /// Returns where an image goes that becomes no file.
    pub fn publication_mut(&mut self) -> Option<&mut Publication> {
        match self {
            Self::Image { publication, .. } => Some(publication),
            Self::Oci { .. }
            | Self::Docker { .. }
            | Self::Local { .. }
            | Self::Tar { .. }
            | Self::CacheOnly => None,
        }
    }

    /// Returns what the tree is, to be changed; none if no tree is written.
    pub fn tree_mut(&mut self) -> Option<&mut TreeOptions> {
        match self {
            Self::Local { tree, .. } | Self::Tar { tree, .. } => Some(tree),
            Self::Oci { .. } | Self::Docker { .. } | Self::Image { .. } | Self::CacheOnly => None,
        }
    }

    /// Returns how layers are packed for it; none if they are not.
    pub fn pack_plan(&self) -> Option<PackPlan> {
        self.image().map(ImageOptions::pack_plan)
    }

    /// Tells whether times are to be rewritten, and nobody has said to what.
    pub fn lacks_time(&self) -> bool {
        self.image().is_some_and(ImageOptions::lacks_time)
    }

    /// Gives it the time of the build, unless it has one of its own.
    pub fn set_time(&mut self, time: Timestamp) {
        if let Some(image) = self.image_mut() {
            image.time.get_or_insert(time);
        }
        if let Some(tree) = self.tree_mut() {
            tree.times = match tree.times {
                Times::Kept => Times::All(time),
                own => own,
            };
        }
    }

    /// Checks that it can hold the result for these platforms.
    ///
    /// # Errors
    ///
    /// Fails on several platforms where one has room, on annotations for what there is not, and on a push
    /// that has no name, or one that it cannot have.
    pub fn check(&self, platforms: &[Platform]) -> Result<(), OutputError> {
        let Some(image) = self.image() else {
            return Ok(());
        };
        annotation::check(&image.annotations, platforms, image.index)?;
        if image.naming == Naming::Append {
            self.check_append(image)?;
        }
        if let Self::Image { publication, .. } = self {
            publication.check(&image.names)?;
        }
        match (self, platforms, image.index) {
            (Self::Docker { .. }, [_], IndexForm::Always) => Err(OutputError::NoIndex),
            (Self::Docker { .. }, [_, _, ..], _) => Err(OutputError::OnePlatform {
                count: platforms.len(),
            }),
            _ => Ok(()),
        }
    }

    /// Checks that what is written can be added to an index.
    fn check_append(&self, image: &ImageOptions) -> Result<(), OutputError> {
        match self {
            Self::Image { publication, .. } => publication.check_append()?,
            Self::Docker { .. }
            | Self::Oci {
                form: LayoutForm::Archive,
                ..
            } => {
                let kind = self.kind();
                return Err(OutputError::AppendToArchive { kind });
            }
            Self::Oci { .. } | Self::Local { .. } | Self::Tar { .. } | Self::CacheOnly => {}
        }
        image.check_append()
    }
}

#[cfg(test)]
mod tests;
