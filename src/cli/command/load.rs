//! `careen load`: images of an archive → the store.
//!
//! The archive is read once, as a stream: blobs go into the store as they come, each verified against its
//! name. An image gets its name only when all that it needs is there.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::PathBuf;

use layer::{ArchiveError, ArchiveReader, Limits};
use oci::check::{self, DocumentError};
use oci::descriptor::{self, ANNOTATION_REF_NAME, Descriptor};
use oci::digest::DigestError;
use oci::{Digest, Reference};
use solver::Cancellable;
use store::{
    ANNOTATION_IMAGE_NAME, BlobError, BlobSource as _, IngestError, Lease, LeaseError, ObjectId,
    Presence, Store, TagError,
};

use super::failure;
use crate::args::LoadArguments;
use crate::env::Environment;
use crate::exit;
use crate::options::Places;
use crate::report::{Kind, Report};
use crate::run::Outcome;
use crate::workshop;

/// Indexes in an archive may hold indexes, this deep.
const DEPTH_LIMIT: usize = oci::limits::INDEX_MAX_DEPTH;

/// Why an archive cannot be loaded.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("cannot open `{}`", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    #[error("cannot read the archive")]
    Archive(#[from] ArchiveError),
    #[error("the archive is no OCI image layout: it has no `{missing}`")]
    NoLayout { missing: &'static str },
    #[error(
        "the archive is one of `docker save` without an OCI image layout in it, which is not supported yet"
    )]
    DockerArchive,
    #[error("`{name}` of the archive is malformed")]
    Document { name: String, source: DocumentError },
    #[error("`{name}` of the archive is larger than {limit_bytes} bytes")]
    TooLarge { name: String, limit_bytes: u64 },
    #[error("a digest in the archive is malformed")]
    Digest(#[from] DigestError),
    #[error("cannot keep `{digest}` of the archive")]
    Blob { digest: Digest, source: IngestError },
    #[error("cannot read what was loaded")]
    Loaded(#[from] BlobError),
    #[error("the archive has an image that needs `{digest}`, and not that")]
    Missing { digest: Digest },
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error("the indexes of the archive are more than {DEPTH_LIMIT} deep")]
    TooDeep,
    #[error("cannot name the image")]
    Tag(#[from] TagError),
}

/// Runs `load` in the builder.
pub(crate) fn run(
    arguments: &LoadArguments,
    builder: &runtime::Builder,
    places: &Places,
    env: &Environment,
) -> Outcome {
    let store = workshop::open_store(builder, places)?;
    let lease = store
        .lease()
        .map_err(|error| Report::new(Kind::Host, &error))?;
    let cancel = builder.cancel();
    let target = Target {
        store: &store,
        lease: &lease,
    };
    let load = || -> Result<Vec<(Option<Reference>, Digest)>, LoadError> {
        let input = Box::new(Cancellable::new(open(arguments, env)?, cancel));
        let documents = target.read(input)?;
        target.name_images(&documents)
    };
    let images = load().map_err(|error| match cancel.reason() {
        Some(reason) => failure::interrupted(reason),
        None => Box::new(Report::new(Kind::User, &error)),
    })?;
    for (name, digest) in images {
        let line = match name {
            Some(name) => format!("Loaded image: {}", name.familiar()),
            None => format!("Loaded image without a name: {digest}"),
        };
        // Whoever closes our output has read what they wanted.
        drop(writeln!(io::stdout(), "{line}"));
    }
    Ok(exit::DONE)
}

fn open(arguments: &LoadArguments, env: &Environment) -> Result<Box<dyn Read + Send>, LoadError> {
    let Some(path) = arguments
        .input
        .as_ref()
        .filter(|path| path.as_os_str() != "-")
    else {
        return Ok(Box::new(io::stdin()));
    };
    let path = env.current_directory.join(path);
    let file = File::open(&path).map_err(|source| LoadError::Open { path, source })?;
    Ok(Box::new(file))
}

/// The documents of an archive's layout.
#[derive(Debug, Default)]
struct Documents {
    layout: Option<Vec<u8>>,
    index: Option<Vec<u8>>,
    is_docker: bool,
}

/// Where an archive goes.
struct Target<'a> {
    store: &'a Store,
    /// Keeps what was loaded until a name leads to it.
    lease: &'a Lease,
}

impl Target<'_> {
    /// Reads the archive: its blobs go into the store.
    fn read(&self, input: Box<dyn Read + Send + '_>) -> Result<Documents, LoadError> {
        let tar = layer::decompressor(input).map_err(LoadError::Read)?;
        let mut archive = ArchiveReader::new(tar, Limits::default());
        let mut documents = Documents::default();
        while let Some(mut file) = archive.next_file()? {
            let name = String::from_utf8_lossy(&file.name).into_owned();
            match name.trim_start_matches("./") {
                "oci-layout" => documents.layout = Some(document(&name, &mut file)?),
                "index.json" => documents.index = Some(document(&name, &mut file)?),
                "manifest.json" => documents.is_docker = true,
                path => {
                    // What is not named as a blob is no part of a layout.
                    let Some(digest) = blob_digest(path) else {
                        continue;
                    };
                    let size_bytes = file.size_bytes;
                    self.store
                        .content()
                        .copy_in(self.lease, (&digest, size_bytes), file)
                        .map_err(|source| LoadError::Blob { digest, source })?;
                }
            }
        }
        Ok(documents)
    }

    /// Names the images of which all is there.
    fn name_images(
        &self,
        documents: &Documents,
    ) -> Result<Vec<(Option<Reference>, Digest)>, LoadError> {
        let malformed = |name: &str| {
            let name = name.to_owned();
            move |source| LoadError::Document { name, source }
        };
        let layout = documents.layout.as_ref().ok_or(if documents.is_docker {
            LoadError::DockerArchive
        } else {
            LoadError::NoLayout {
                missing: "oci-layout",
            }
        })?;
        check::parse_layout(layout).map_err(malformed("oci-layout"))?;
        let index = documents.index.as_ref().ok_or(LoadError::NoLayout {
            missing: "index.json",
        })?;
        let index = check::parse_index(index).map_err(malformed("index.json"))?;
        let mut images = Vec::new();
        for entry in index.manifests() {
            self.check_complete(entry, 0)?;
            let name = name_of(entry);
            if let Some(name) = &name {
                self.store.content().tag(name, entry)?;
            }
            images.push((name, descriptor::digest_of(entry)?));
        }
        Ok(images)
    }

    /// Makes sure that the store has all that an image or an index of images needs.
    fn check_complete(&self, entry: &Descriptor, depth: usize) -> Result<(), LoadError> {
        if depth > DEPTH_LIMIT {
            return Err(LoadError::TooDeep);
        }
        let digest = descriptor::digest_of(entry)?;
        self.check_there(&digest)?;
        let bytes = self
            .store
            .content()
            .read_blob(&digest, oci::limits::MANIFEST_MAX_BYTES)?;
        let malformed = |source| LoadError::Document {
            name: digest.to_string(),
            source,
        };
        if check::is_index(&bytes) {
            let index = check::parse_index(&bytes).map_err(malformed)?;
            let mut entries = index.manifests().iter();
            return entries.try_for_each(|entry| self.check_complete(entry, depth + 1));
        }
        let manifest = check::parse_manifest(&bytes).map_err(malformed)?;
        let parts = std::iter::once(manifest.config()).chain(manifest.layers());
        for part in parts {
            self.check_there(&descriptor::digest_of(part)?)?;
        }
        Ok(())
    }

    /// Makes sure that the store has a blob and keeps it: it may be there from before, and no name
    /// may lead to it.
    fn check_there(&self, digest: &Digest) -> Result<(), LoadError> {
        match self.lease.hold(&ObjectId::Blob(digest.clone()))? {
            Presence::Present => Ok(()),
            Presence::Absent => Err(LoadError::Missing {
                digest: digest.clone(),
            }),
        }
    }
}

fn document(name: &str, file: &mut impl Read) -> Result<Vec<u8>, LoadError> {
    let limit_bytes = oci::limits::MANIFEST_MAX_BYTES;
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(LoadError::Read)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(LoadError::TooLarge {
            name: name.to_owned(),
            limit_bytes,
        });
    }
    Ok(bytes)
}

/// Returns the digest that the name of a blob is (image-layout.md, "Blobs").
fn blob_digest(path: &str) -> Option<Digest> {
    let (algorithm, encoded) = path.strip_prefix("blobs/")?.split_once('/')?;
    Digest::parse(&format!("{algorithm}:{encoded}")).ok()
}

/// Returns the name that an archive gives an image: in full, or as a reference with a tag. A bare tag
/// names nothing outside its own layout.
fn name_of(entry: &Descriptor) -> Option<Reference> {
    if let Some(name) = descriptor::annotation_of(entry, ANNOTATION_IMAGE_NAME) {
        return Reference::parse_docker_ref(name).ok();
    }
    let name = descriptor::annotation_of(entry, ANNOTATION_REF_NAME)?;
    let is_reference = name.contains([':', '/']);
    is_reference
        .then(|| Reference::parse_docker_ref(name).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_as_a_blob_is_one() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(blob_digest(&format!("blobs/sha256/{hex}")).is_some());
        for path in [
            "blobs/sha256/../x",
            "blobs/sha256/x",
            "x",
            &format!("blobs/{hex}"),
        ] {
            assert_eq!(blob_digest(path), None, "{path}");
        }
    }
}
