//! An image that a user named, wherever it is, for one platform.
//!
//! What is not in the store or a layout already is copied to the store, without a name: it is there as long as
//! the command runs.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;

use graph::{ImageOrigin, ImageSource};
use oci::check::{self, DocumentError};
use oci::config::ConfigError;
use oci::descriptor;
use oci::digest::DigestError;
use oci::limits::{CONFIG_MAX_BYTES, MANIFEST_MAX_BYTES};
use oci::{Descriptor, Digest, ImageConfig, Platform, Reference};
use registry::Registry;
use solver::Workshop;
use solver::base::{self, BaseError, ResolvedImage};
use store::{BlobError, BlobSource as _, FindError, LayoutLocation};
use transport::{
    Context, CopyError, CopyOptions, Location, OpenError, Selection, Silent, Source, Stop,
    StoreSource, StoreTarget, Target, copy, open_source, open_target,
};

use super::failure;
use crate::args::PullArgument;
use crate::report::{Kind, Report};

/// An image that was copied to the store cannot be read there.
#[derive(Debug, thiserror::Error)]
enum StoredError {
    #[error("cannot read the image from the store")]
    Blob(#[from] BlobError),
    #[error("the manifest of the image is malformed")]
    Document(#[from] DocumentError),
    #[error("the configuration of the image is malformed")]
    Config(#[from] ConfigError),
    #[error("a digest of the image is malformed")]
    Digest(#[from] DigestError),
}

/// Finds images for a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finder<'a> {
    /// Where they are put.
    pub(crate) workshop: &'a Workshop,
    /// What reaches registries.
    pub(crate) registry: &'a Registry,
    /// This machine's platform.
    pub(crate) host: &'a Platform,
    /// What relative paths count from.
    pub(crate) directory: &'a Path,
}

impl Finder<'_> {
    /// Opens a place to read from.
    pub(crate) fn source(&self, text: &str) -> Result<Box<dyn Source>, Box<Report>> {
        let location = self.location(text)?;
        open_source(&location, &self.context()).map_err(|error| of_open(&error))
    }

    /// Opens a place to write to.
    pub(crate) fn target(&self, text: &str) -> Result<Box<dyn Target>, Box<Report>> {
        let location = self.location(text)?;
        open_target(&location, &self.context()).map_err(|error| of_open(&error))
    }

    /// Understands what a user wrote for a place.
    pub(crate) fn location(&self, text: &str) -> Result<Location, Box<Report>> {
        let location = Location::parse(text);
        let location = location.map_err(|error| Box::new(Report::new(Kind::Usage, &error)))?;
        Ok(location.below(self.directory))
    }

    fn context(&self) -> Context<'_> {
        Context {
            store: &self.workshop.store,
            lease: &self.workshop.lease,
            registry: Some(self.registry),
            platform: self.host,
            stop: self.stop(),
        }
    }

    fn stop(&self) -> Stop {
        let cancel = self.workshop.cancel.clone();
        Stop::new(move || cancel.is_cancelled())
    }

    /// Finds the image of a place. Where nobody asked for a platform it is the one for this machine; or else the
    /// first that there is.
    pub(crate) fn image(
        &self,
        text: &str,
        platform: Option<&Platform>,
    ) -> Result<ResolvedImage, Box<Report>> {
        let location = self.location(text)?;
        if let Location::Layout { path, selector } = location {
            let location = LayoutLocation { path, selector };
            let found = any_platform((platform, self.host), |platform| {
                base::resolve_layout(&self.workshop.store, &location, platform)
            });
            return found.map_err(|error| of_base(&error));
        }
        let opened = open_source(&location, &self.context());
        self.brought(opened.map_err(|error| of_open(&error))?.as_ref(), platform)
    }

    /// Finds an image to run: a name without a word for a place is first one of the store's, and is pulled where
    /// that does not have it for the platform.
    pub(crate) fn image_to_run(
        &self,
        text: &str,
        platform: Option<&Platform>,
        pull: PullArgument,
    ) -> Result<ResolvedImage, Box<Report>> {
        let location = self.location(text);
        let name = match location {
            // A digest alone is an id.
            Ok(Location::Registry(_)) if Digest::parse(text).is_ok() => None,
            Ok(Location::Registry(name)) if !text.starts_with("docker://") => Some(name),
            Ok(_) => return self.image(text, platform),
            // The beginning of an id is no name.
            Err(_) => None,
        };
        let found = match (pull, &name) {
            (PullArgument::Always, Some(name)) => return self.pulled(name, platform),
            _ => self.workshop.store.content().find(text),
        };
        match (found, name) {
            (Ok(found), name) => {
                let (store, lease) = (&self.workshop.store, &self.workshop.lease);
                let top = &found.image.descriptor;
                let source = StoreSource::of(store, lease, top, text.to_owned());
                match (self.bring_any(&source, platform), name) {
                    (Err(CopyError::NoPlatform { .. }), Some(name))
                        if pull == PullArgument::Missing =>
                    {
                        self.pulled(&name, platform)
                    }
                    (Ok(root), _) => self.stored(&root, text.to_owned()),
                    (Err(error), _) => Err(of_copy(&error)),
                }
            }
            (Err(FindError::None { .. }), Some(name)) if pull == PullArgument::Missing => {
                self.pulled(&name, platform)
            }
            (Err(error), _) => Err(Box::new(Report::new(Kind::User, &error))),
        }
    }

    /// Pulls the image of one platform, which has its name in the store afterwards.
    fn pulled(
        &self,
        name: &Reference,
        platform: Option<&Platform>,
    ) -> Result<ResolvedImage, Box<Report>> {
        // At once, since it may take long. Who closed it does not want to know.
        let line = format!("Pulling `{}`\n", name.familiar());
        drop(io::stderr().write_all(line.as_bytes()));
        let source = open_source(&Location::Registry(name.clone()), &self.context());
        let source = source.map_err(|error| of_open(&error))?;
        let names = vec![name.clone()];
        let target = StoreTarget::new(&self.workshop.store, &self.workshop.lease, names);
        let wanted = platform.unwrap_or(self.host).clone();
        let copied = copy(
            source.as_ref(),
            &target,
            &self.options(Selection::System(wanted)),
        );
        let root = copied.map_err(|error| of_copy(&error))?.root;
        self.stored(&root, name.familiar())
    }

    /// Brings one image of a source to the store; returns its manifest.
    pub(crate) fn bring(
        &self,
        source: &dyn Source,
        platform: Option<&Platform>,
    ) -> Result<Descriptor, Box<Report>> {
        let brought = self.bring_any(source, platform);
        brought.map_err(|error| of_copy(&error))
    }

    fn bring_any(
        &self,
        source: &dyn Source,
        platform: Option<&Platform>,
    ) -> Result<Descriptor, CopyError> {
        let bring = |selection| {
            let target = StoreTarget::lent(&self.workshop.store, &self.workshop.lease);
            copy(source, &target, &self.options(selection))
        };
        let host = self.host;
        let brought = match platform {
            Some(platform) => bring(Selection::One(platform.clone())),
            None => match bring(Selection::System(host.clone())) {
                Err(CopyError::NoPlatform { available, .. }) if !available.is_empty() => {
                    bring(Selection::One(available.first().unwrap_or(host).clone()))
                }
                brought => brought,
            },
        };
        Ok(brought?.root)
    }

    /// Brings one image of a source to the store, and reads its configuration.
    pub(crate) fn brought(
        &self,
        source: &dyn Source,
        platform: Option<&Platform>,
    ) -> Result<ResolvedImage, Box<Report>> {
        let root = self.bring(source, platform)?;
        self.stored(&root, source.shown())
    }

    /// Copies between places, as the commands that have no flags for it do.
    pub(crate) fn options(&self, selection: Selection) -> CopyOptions<'static> {
        CopyOptions::new(selection, &Silent, self.stop())
    }

    /// Reads an image of the store by its manifest.
    pub(crate) fn stored(
        &self,
        root: &Descriptor,
        name: String,
    ) -> Result<ResolvedImage, Box<Report>> {
        let read = || -> Result<ResolvedImage, StoredError> {
            let (manifest, config) = self.documents(root)?;
            let source = ImageSource {
                name,
                manifest,
                platform: config.platform().normalized(),
                origin: ImageOrigin::Store,
                pinned: None,
            };
            Ok(ResolvedImage { source, config })
        };
        read().map_err(|error| Box::new(Report::new(Kind::User, &error)))
    }

    fn documents(&self, root: &Descriptor) -> Result<(Digest, ImageConfig), StoredError> {
        let content = self.workshop.store.content();
        let digest = descriptor::digest_of(root)?;
        let manifest = check::parse_manifest(&content.read_blob(&digest, MANIFEST_MAX_BYTES)?)?;
        let config = descriptor::digest_of(manifest.config())?;
        let config = ImageConfig::parse(&content.read_blob(&config, CONFIG_MAX_BYTES)?)?;
        Ok((digest, config))
    }
}

/// Resolves for a platform; without one for this machine's, or else for the first that there is.
fn any_platform<T>(
    (platform, host): (Option<&Platform>, &Platform),
    resolve: impl Fn(&Platform) -> Result<T, BaseError>,
) -> Result<T, BaseError> {
    match resolve(platform.unwrap_or(host)) {
        Err(BaseError::NoPlatform { available, .. })
            if platform.is_none() && !available.is_empty() =>
        {
            resolve(available.first().unwrap_or(host))
        }
        resolved => resolved,
    }
}

fn of_base(error: &BaseError) -> Box<Report> {
    let mut report = Report::new(Kind::User, error);
    if let BaseError::NoPlatform { available, .. } = error {
        report.notes.push(failure::it_has(available));
    }
    Box::new(report)
}

/// Reports a place that cannot be opened.
pub(crate) fn of_open(error: &OpenError) -> Box<Report> {
    explained(Report::new(Kind::User, error), error)
}

/// Reports an image that cannot be copied.
pub(crate) fn of_copy(error: &CopyError) -> Box<Report> {
    let mut report = Report::new(Kind::User, error);
    if let CopyError::NoPlatform { available, .. } = error {
        report.notes.push(failure::it_has(available));
    }
    explained(report, error)
}

/// Makes a report one about a registry, where one is behind the error.
fn explained(mut report: Report, error: &(dyn Error + 'static)) -> Box<Report> {
    failure::registry::explain(&mut report, error);
    Box::new(report)
}
