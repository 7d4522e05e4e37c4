//! Where an image is, as users write it: a registry's reference, `store:REF`, `oci:DIR:TAG`, ….
//!
//! The words before the first colon are those of skopeo and buildah. A text without one of them is a
//! registry's reference, as docker has it. A word wins over an image of the same name: `oci:1` is a
//! directory, and the image `oci` is `docker://oci:1`.

use std::fmt;
use std::path::{Path, PathBuf};

use oci::digest::{Algorithm, DigestError};
use oci::reference::ReferenceError;
use oci::{Digest, Reference};
use store::LayoutSelector;

/// Where an image is, or may be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `REF`, `docker://REF`: a registry.
    Registry(Reference),
    /// `store:REF`: careen's store.
    Store(Reference),
    /// `oci:DIR[:NAME|@DIGEST]`: an OCI image layout (image-spec, image-layout.md).
    Layout {
        /// The directory.
        path: PathBuf,
        /// The image in it.
        selector: LayoutSelector,
    },
    /// `oci-archive:FILE[:NAME|@DIGEST]`: an OCI image layout in a tar.
    OciArchive {
        /// The archive.
        path: PathBuf,
        /// The image in it.
        selector: LayoutSelector,
    },
    /// `docker-archive:FILE[:REF]`: an archive of `docker save`.
    DockerArchive {
        /// The archive.
        path: PathBuf,
        /// The image in it; the only one, if none is named.
        name: Option<Reference>,
    },
    /// `dir:DIR`: a directory of one image, with its blobs as files (skopeo's).
    Directory(PathBuf),
}

/// The places that others have and careen has not, with what there is instead.
const REFUSED: [(&str, &str); 5] = [
    (
        "containers-storage",
        "images of podman and buildah are taken from an archive: `podman save --format oci-archive`, `oci-archive:FILE`",
    ),
    (
        "docker-daemon",
        "images of docker are taken from an archive: `docker save`, `docker-archive:FILE`",
    ),
    ("ostree", "there is nothing in its place"),
    ("sif", "there is nothing in its place"),
    (
        "tarball",
        "`careen import` makes an image of a root file system",
    ),
];

/// A text names no place of an image.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// It begins with a word for a place that careen does not have.
    #[error("`{text}`: `{word}:` is not supported; {instead}")]
    Unsupported {
        /// The text.
        text: String,
        /// The word.
        word: &'static str,
        /// What there is instead.
        instead: &'static str,
    },
    /// It has no path where one belongs.
    #[error("`{text}` names no file or directory: `{form}`")]
    NoPath {
        /// The text.
        text: String,
        /// How it is written.
        form: &'static str,
    },
    /// What is said to be a reference is none.
    #[error("`{text}` does not name an image")]
    Reference {
        /// The text.
        text: String,
        /// Why.
        source: ReferenceError,
    },
    /// What is said to be a digest is none.
    #[error("`{text}` does not name an image by its digest")]
    Digest {
        /// The text.
        text: String,
        /// Why.
        source: DigestError,
    },
    /// The name of an image in a layout has characters that it cannot have.
    #[error("`{text}`: `{name}` is no name of an image in a layout")]
    Name {
        /// The text.
        text: String,
        /// The name.
        name: String,
    },
    /// An archive of docker knows no images by their digests.
    #[error("`{text}`: an image of a docker archive is named by its tag, not by a digest")]
    DigestInDockerArchive {
        /// The text.
        text: String,
    },
}

impl Location {
    /// Understands what a user wrote.
    ///
    /// # Errors
    ///
    /// Fails on the places that are not supported, without a path where one belongs, and on what is no
    /// reference or digest where there has to be one.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let Some((word, rest)) = text.split_once(':') else {
            return reference(text, text).map(Self::Registry);
        };
        if let Some((word, instead)) = REFUSED.iter().find(|(refused, _)| *refused == word) {
            return Err(LocationError::Unsupported {
                text: text.to_owned(),
                word,
                instead,
            });
        }
        match word {
            "docker" if rest.starts_with("//") => {
                reference(rest.trim_start_matches('/'), text).map(Self::Registry)
            }
            "store" => reference(rest, text).map(Self::Store),
            "oci" => Self::layout(rest, text),
            "oci-layout" if rest.starts_with("//") => Self::layout(after_slashes(rest), text),
            "oci-archive" => Self::oci_archive(rest, text),
            "docker-archive" => Self::docker_archive(rest, text),
            "dir" => path(rest, text, "dir:DIR").map(Self::Directory),
            _ => reference(text, text).map(Self::Registry),
        }
    }

    fn layout(rest: &str, text: &str) -> Result<Self, LocationError> {
        let (rest, selector) = selector(rest, text)?;
        let path = path(rest, text, "oci:DIR[:TAG|@DIGEST]")?;
        Ok(Self::Layout { path, selector })
    }

    fn oci_archive(rest: &str, text: &str) -> Result<Self, LocationError> {
        let (rest, selector) = selector(rest, text)?;
        let path = path(rest, text, "oci-archive:FILE[:TAG]")?;
        Ok(Self::OciArchive { path, selector })
    }

    fn docker_archive(rest: &str, text: &str) -> Result<Self, LocationError> {
        let (file, name) = match rest.split_once(':') {
            Some((file, name)) => (file, Some(reference(name, text)?)),
            None => (rest, None),
        };
        if name.as_ref().is_some_and(|name| name.digest().is_some()) {
            let text = text.to_owned();
            return Err(LocationError::DigestInDockerArchive { text });
        }
        let path = path(file, text, "docker-archive:FILE[:REF]")?;
        Ok(Self::DockerArchive { path, name })
    }

    /// Returns the same place with its path, if it has one, below a directory unless it is absolute.
    #[must_use]
    pub fn below(mut self, directory: &Path) -> Self {
        match &mut self {
            Self::Registry(_) | Self::Store(_) => {}
            Self::Layout { path, .. }
            | Self::OciArchive { path, .. }
            | Self::DockerArchive { path, .. }
            | Self::Directory(path) => *path = directory.join(&*path),
        }
        self
    }

    /// Tells whether it is a registry's.
    pub fn is_registry(&self) -> bool {
        matches!(self, Self::Registry(_))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let selected = |selector: &LayoutSelector| match selector {
            LayoutSelector::Default => String::new(),
            LayoutSelector::Tag(tag) => format!(":{tag}"),
            LayoutSelector::Digest(digest) => format!("@{digest}"),
        };
        match self {
            Self::Registry(reference) => f.write_str(&reference.familiar()),
            Self::Store(reference) => write!(f, "store:{}", reference.familiar()),
            Self::Layout { path, selector } => {
                write!(f, "oci:{}{}", path.display(), selected(selector))
            }
            Self::OciArchive { path, selector } => {
                write!(f, "oci-archive:{}{}", path.display(), selected(selector))
            }
            Self::DockerArchive { path, name } => {
                write!(f, "docker-archive:{}", path.display())?;
                name.as_ref()
                    .map_or(Ok(()), |name| write!(f, ":{}", name.familiar()))
            }
            Self::Directory(path) => write!(f, "dir:{}", path.display()),
        }
    }
}

/// Removes the two slashes of a URL, and not the one of an absolute path.
fn after_slashes(rest: &str) -> &str {
    rest.strip_prefix("//").unwrap_or(rest)
}

fn reference(name: &str, text: &str) -> Result<Reference, LocationError> {
    Reference::parse_docker_ref(name).map_err(|source| LocationError::Reference {
        text: text.to_owned(),
        source,
    })
}

fn path(path: &str, text: &str, form: &'static str) -> Result<PathBuf, LocationError> {
    if path.is_empty() {
        let text = text.to_owned();
        return Err(LocationError::NoPath { text, form });
    }
    Ok(path.into())
}

/// Takes the image off what names it in a layout: the path ends at the first colon, as for skopeo, whose
/// names of images may have colons.
fn selector<'t>(rest: &'t str, text: &str) -> Result<(&'t str, LayoutSelector), LocationError> {
    if let Some((path, digest)) = rest.rsplit_once('@')
        && let Some((algorithm, _)) = digest.split_once(':')
        && [Algorithm::Sha256, Algorithm::Sha512]
            .iter()
            .any(|known| known.as_str() == algorithm)
    {
        let digest = Digest::parse(digest).map_err(|source| LocationError::Digest {
            text: text.to_owned(),
            source,
        })?;
        return Ok((path, LayoutSelector::Digest(digest)));
    }
    match rest.split_once(':') {
        None | Some((_, "")) => Ok((rest.trim_end_matches(':'), LayoutSelector::Default)),
        Some((path, name)) if is_layout_name(name) => {
            Ok((path, LayoutSelector::Tag(name.to_owned())))
        }
        Some((_, name)) => Err(LocationError::Name {
            text: text.to_owned(),
            name: name.to_owned(),
        }),
    }
}

/// Tells whether a text can be the value of `org.opencontainers.image.ref.name` (image-spec,
/// annotations.md): words of letters and digits, with one separator between two.
fn is_layout_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric();
    let is_separator = |byte: u8| b"-._:@/+".contains(&byte);
    let is_allowed = |byte: u8| is_word(byte) || is_separator(byte);
    let (first, last) = (name.bytes().next(), name.bytes().next_back());
    name.bytes().all(is_allowed) && first.is_some_and(is_word) && last.is_some_and(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn name(text: &str) -> Reference {
        Reference::parse_docker_ref(text).unwrap()
    }

    fn layout(path: &str, selector: LayoutSelector) -> Location {
        let path = path.into();
        Location::Layout { path, selector }
    }

    #[test]
    fn every_place_has_its_word() {
        let tag = |tag: &str| LayoutSelector::Tag(tag.to_owned());
        let digest = Digest::parse(&format!("sha256:{HEX}")).unwrap();
        let archive = |path: &str, selector| Location::OciArchive {
            path: path.into(),
            selector,
        };
        let docker = |path: &str, name| Location::DockerArchive {
            path: path.into(),
            name,
        };
        for (text, expected) in [
            ("app", Location::Registry(name("app:latest"))),
            ("reg:5000/app:1", Location::Registry(name("reg:5000/app:1"))),
            (
                "localhost:5000/app",
                Location::Registry(name("localhost:5000/app")),
            ),
            ("docker://app:2", Location::Registry(name("app:2"))),
            ("docker:dind", Location::Registry(name("docker:dind"))),
            ("store:app:1", Location::Store(name("app:1"))),
            ("oci:a/b", layout("a/b", LayoutSelector::Default)),
            ("oci:a/b:", layout("a/b", LayoutSelector::Default)),
            ("oci:/a:1.2", layout("/a", tag("1.2"))),
            (
                "oci:/a:example.org/x:1",
                layout("/a", tag("example.org/x:1")),
            ),
            (
                &format!("oci:a@sha256:{HEX}"),
                layout("a", LayoutSelector::Digest(digest)),
            ),
            ("oci-layout:///a:1", layout("/a", tag("1"))),
            (
                "oci-archive:x.tar",
                archive("x.tar", LayoutSelector::Default),
            ),
            ("oci-archive:x.tar:1", archive("x.tar", tag("1"))),
            ("docker-archive:x.tar", docker("x.tar", None)),
            (
                "docker-archive:x.tar:app",
                docker("x.tar", Some(name("app"))),
            ),
            (
                "docker-archive:x.tar:reg:5000/app:1",
                docker("x.tar", Some(name("reg:5000/app:1"))),
            ),
            ("dir:a:b", Location::Directory("a:b".into())),
        ] {
            assert_eq!(Location::parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_names_no_place_is_refused_by_what_is_wrong_with_it() {
        for (text, expected) in [
            (
                "docker-daemon:app:1",
                "`docker-daemon:app:1`: `docker-daemon:` is not supported; images of docker are taken from an \
                 archive: `docker save`, `docker-archive:FILE`",
            ),
            (
                "containers-storage:app",
                "`containers-storage:app`: `containers-storage:` is not supported; images of podman and buildah \
                 are taken from an archive: `podman save --format oci-archive`, `oci-archive:FILE`",
            ),
            ("dir:", "`dir:` names no file or directory: `dir:DIR`"),
            (
                "oci::1",
                "`oci::1` names no file or directory: `oci:DIR[:TAG|@DIGEST]`",
            ),
            (
                "oci:a:b c",
                "`oci:a:b c`: `b c` is no name of an image in a layout",
            ),
            (
                "oci:a@sha256:12",
                "`oci:a@sha256:12` does not name an image by its digest",
            ),
            ("store:", "`store:` does not name an image"),
            ("App", "`App` does not name an image"),
            ("docker://", "`docker://` does not name an image"),
            (
                &format!("docker-archive:x:app@sha256:{HEX}"),
                &format!(
                    "`docker-archive:x:app@sha256:{HEX}`: an image of a docker archive is named by its tag, not by \
                     a digest"
                ),
            ),
        ] {
            assert_eq!(Location::parse(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_place_is_shown_as_it_is_written() {
        for text in [
            "app:latest",
            "reg.example/app:1",
            "store:app:1",
            "oci:/a:1",
            &format!("oci:/a@sha256:{HEX}"),
            "oci-archive:/x.tar:example.org/app:1",
            "docker-archive:/x.tar:app:1",
            "dir:/a",
        ] {
            assert_eq!(Location::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn relative_paths_are_below_the_directory_that_is_worked_in() {
        for (text, expected) in [
            ("oci:a:1", "oci:/home/ana/a:1"),
            ("oci-archive:/b", "oci-archive:/b"),
            ("docker-archive:b", "docker-archive:/home/ana/b"),
            ("dir:.", "dir:/home/ana/."),
            ("app", "app:latest"),
        ] {
            let location = Location::parse(text).unwrap().below(Path::new("/home/ana"));
            assert_eq!(location.to_string(), expected);
        }
    }
}
