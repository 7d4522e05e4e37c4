//! `careen digest`: the digest of an image, wherever it is.

use registry::Selector;
use transport::{
    Document, Location, PlaceError, RegistrySource, Selection, Silent, Source, Target, Transferred,
};

use super::{Carrier, Surroundings, misused, say};
use crate::args::DigestArguments;
use crate::exit;
use crate::options::transfer::{platform, registries, source};
use crate::report::Report;
use crate::run::Outcome;

/// Runs `digest` in the builder.
pub(super) fn run(arguments: &DigestArguments, around: Surroundings<'_>) -> Outcome {
    let location = source(&arguments.image, &arguments.registry, around.env)
        .map_err(|error| misused(&error))?;
    let options = registries(&arguments.registry, around.env, &[&location]);
    let options = options.map_err(|error| misused(&error))?;
    let platform = arguments.platform.as_deref().map(platform).transpose();
    let platform = platform.map_err(|error| misused(&error))?;
    let carrier = Carrier::with_registries(around, &options)?;
    let digest = match platform {
        Some(platform) => {
            let source = carrier.source(&location)?;
            carrier.selected(source.as_ref(), Selection::One(platform))?
        }
        None => carrier.digest_of(&location)?,
    };
    say(&if arguments.full_ref {
        full_reference(&location, &digest)
    } else {
        digest
    });
    Ok(exit::DONE)
}

/// Returns the name with the digest.
fn full_reference(location: &Location, digest: &str) -> String {
    match location {
        Location::Registry(name) => format!("{}@{digest}", name.name()),
        Location::Store(name) => format!("store:{}@{digest}", name.name()),
        Location::Layout { path, .. } => format!("oci:{}@{digest}", path.display()),
        Location::OciArchive { path, .. } => format!("oci-archive:{}@{digest}", path.display()),
        Location::DockerArchive { path, .. } => {
            format!("docker-archive:{}@{digest}", path.display())
        }
        Location::Directory(path) => format!("dir:{}@{digest}", path.display()),
    }
}

impl Carrier {
    /// Returns the digest that a place's name leads to. A registry is asked for it alone.
    pub(super) fn digest_of(&self, location: &Location) -> Result<String, Box<Report>> {
        let Location::Registry(name) = location else {
            let root = self.source(location)?.root();
            let root = root.map_err(|error| self.of_asked(("read", location), error))?;
            return Ok(root.descriptor.digest().to_string());
        };
        let source = RegistrySource::new(self.registry()?, name);
        let failed = |error| self.of_asked(("read", &name.familiar()), error);
        let source = source.map_err(|error| failed(error.into()))?;
        let found = source.repository_of().resolve(&Selector::of(name));
        if let Some(found) = found.map_err(|error| failed(error.into()))? {
            return Ok(found.digest().to_string());
        }
        // What a registry does not have it says better when it is asked for the whole.
        let root = source.root().map_err(failed)?;
        Ok(root.descriptor.digest().to_string())
    }

    /// Returns the digest of what is selected, without copying anything.
    fn selected(&self, source: &dyn Source, selection: Selection) -> Result<String, Box<Report>> {
        let options = self.options(selection, &Silent);
        let report = transport::copy(source, &Nowhere, &options);
        let report = report.map_err(|error| self.of_copy(&error))?;
        Ok(report.root.digest().to_string())
    }
}

/// A place that has everything and takes nothing.
#[derive(Debug)]
struct Nowhere;

impl Target for Nowhere {
    fn shown(&self) -> String {
        "nowhere".to_owned()
    }

    fn put_blob(
        &self,
        _descriptor: &oci::Descriptor,
        _source: &dyn Source,
    ) -> Result<Transferred, PlaceError> {
        Ok(Transferred::Present)
    }

    fn put_document(&self, _document: &Document) -> Result<(), PlaceError> {
        Ok(())
    }

    fn finish(&self, _root: &Document) -> Result<(), PlaceError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use oci::Digest;

    use super::*;

    #[test]
    fn a_name_with_a_digest_leads_to_the_same_image() {
        let digest = Digest::of(b"x").to_string();
        for (text, expected) in [
            ("app:1", format!("docker.io/library/app@{digest}")),
            ("store:app", format!("store:docker.io/library/app@{digest}")),
            ("oci:/x:1", format!("oci:/x@{digest}")),
        ] {
            let location = Location::parse(text).unwrap();
            assert_eq!(full_reference(&location, &digest), expected, "{text}");
            Location::parse(&expected).unwrap();
        }
    }
}
