//! What the arguments about images on their way mean: places, platforms, names.

use oci::platform::PlatformError;
use oci::reference::ReferenceError;
use oci::{Platform, Reference};
use registry::LookupError;
use transport::{Location, LocationError, Selection};

use super::{RegistryOptions, RegistryUsageError, host_platform};
use crate::args::{
    CopyArguments, FormatArgument, ImageTransfer, PlaceCommand, PullArguments, PushArguments,
    RegistryArguments,
};
use crate::env::Environment;

/// Why arguments about images on their way cannot be understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferUsageError {
    /// A place is none.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// `--platform` names none.
    #[error("`--platform {text}` is no platform")]
    Platform {
        /// The text.
        text: String,
        /// Why.
        source: PlatformError,
    },
    /// What has to be a name is none.
    #[error("`{text}` is no name of an image")]
    Name {
        /// The text.
        text: String,
        /// Why.
        source: ReferenceError,
    },
    /// A name does not say which image of which registry is meant.
    #[error("cannot tell which image `{text}` is")]
    ShortName {
        /// The name.
        text: String,
        /// Why.
        source: LookupError,
    },
    /// The arguments about registries cannot be understood.
    #[error(transparent)]
    Registry(#[from] RegistryUsageError),
    /// `pull` is asked for what is in no registry.
    #[error("`{location}` is in no registry; `careen copy {location} store:NAME` copies it")]
    NotInRegistry {
        /// The place.
        location: Box<Location>,
    },
    /// A place in which nothing can be removed or listed.
    #[error("`{location}` is a place where nothing can be {what}")]
    Unsupported {
        /// The place.
        location: Box<Location>,
        /// What was asked for.
        what: &'static str,
    },
    /// A tag or a digest where a repository is meant.
    #[error("`{text}` names an image; a repository has neither tag nor digest")]
    NotARepository {
        /// The text.
        text: String,
    },
}

/// Understands a place; relative paths are below the working directory.
pub(crate) fn location(text: &str, env: &Environment) -> Result<Location, TransferUsageError> {
    Ok(Location::parse(text)?.below(&env.current_directory))
}

/// Understands a place that is read. A name without a registry is of the one that the user configured, as in `FROM`;
/// with `docker://` it is docker's, as everything that is written.
pub(crate) fn source(
    text: &str,
    arguments: &RegistryArguments,
    env: &Environment,
) -> Result<Location, TransferUsageError> {
    let location = location(text, env)?;
    if !location.is_registry() || text.starts_with("docker://") {
        return Ok(location);
    }
    let options = RegistryOptions::new(arguments, env, Vec::new())?;
    let name = options.config.reference(text);
    let name = name.map_err(|source| TransferUsageError::ShortName {
        text: text.to_owned(),
        source,
    })?;
    Ok(Location::Registry(name.into_docker_ref()))
}

/// Understands a platform.
pub(crate) fn platform(text: &str) -> Result<Platform, TransferUsageError> {
    Platform::parse(text, &host_platform()).map_err(|source| TransferUsageError::Platform {
        text: text.to_owned(),
        source,
    })
}

/// Understands the platforms of a selection: one is an image, several are an index.
pub(crate) fn selection(platforms: &[String]) -> Result<Option<Selection>, TransferUsageError> {
    let mut platforms = platforms
        .iter()
        .map(|text| platform(text))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(match platforms.len() {
        0 => None,
        1 => platforms.pop().map(Selection::One),
        _ => Some(Selection::Platforms(platforms)),
    })
}

/// Understands the name of one image.
pub(crate) fn name(text: &str) -> Result<Reference, TransferUsageError> {
    Reference::parse_docker_ref(text).map_err(|source| TransferUsageError::Name {
        text: text.to_owned(),
        source,
    })
}

/// Works out how the registries of these places are reached.
pub(crate) fn registries(
    arguments: &RegistryArguments,
    env: &Environment,
    locations: &[&Location],
) -> Result<RegistryOptions, TransferUsageError> {
    let named = locations.iter().filter_map(|location| match location {
        Location::Registry(name) => Some(name.domain().to_owned()),
        _ => None,
    });
    Ok(RegistryOptions::new(arguments, env, named.collect())?)
}

/// What `copy` is asked for.
#[derive(Debug)]
pub(crate) struct CopyRequest {
    pub(crate) source: Location,
    pub(crate) target: Location,
    pub(crate) selection: Selection,
    pub(crate) convert: transport::Convert,
    pub(crate) registries: RegistryOptions,
}

impl CopyRequest {
    pub(crate) fn new(
        arguments: &CopyArguments,
        env: &Environment,
    ) -> Result<Self, TransferUsageError> {
        let source = source(&arguments.source, &arguments.registry, env)?;
        let target = location(&arguments.destination, env)?;
        let selection = if arguments.all {
            Selection::All
        } else if arguments.index_only {
            Selection::IndexOnly
        } else {
            let asked = selection(&arguments.platforms)?;
            asked.unwrap_or_else(|| Selection::System(host_platform()))
        };
        Ok(Self {
            registries: registries(&arguments.registry, env, &[&source, &target])?,
            source,
            target,
            selection,
            convert: arguments.format.map_or_else(Default::default, convert),
        })
    }
}

fn convert(format: FormatArgument) -> transport::Convert {
    transport::Convert::To(match format {
        FormatArgument::Oci => oci::media_type::Flavour::Oci,
        FormatArgument::Docker => oci::media_type::Flavour::Docker,
    })
}

/// What `pull` is asked for.
#[derive(Debug)]
pub(crate) struct PullRequest {
    pub(crate) name: Reference,
    /// Whether the user named neither a tag nor a digest.
    pub(crate) is_default_tag: bool,
    pub(crate) selection: Selection,
    pub(crate) registries: RegistryOptions,
}

impl PullRequest {
    pub(crate) fn new(
        arguments: &PullArguments,
        env: &Environment,
    ) -> Result<Self, TransferUsageError> {
        let location = source(&arguments.image, &arguments.registry, env)?;
        let registries = registries(&arguments.registry, env, &[&location])?;
        let Location::Registry(name) = location else {
            let location = Box::new(location);
            return Err(TransferUsageError::NotInRegistry { location });
        };
        let plain = plain_name(&arguments.image);
        let is_default_tag =
            plain.is_some_and(|name| name.tag().is_none() && name.digest().is_none());
        if arguments.all_tags && !is_default_tag {
            let text = arguments.image.clone();
            return Err(TransferUsageError::NotARepository { text });
        }
        let selection = if arguments.all_platforms {
            Selection::All
        } else {
            let default: Vec<String> = env.default_platform.iter().cloned().collect();
            let asked = selection(match arguments.platforms.as_slice() {
                [] => &default,
                given => given,
            })?;
            asked.unwrap_or_else(|| Selection::System(host_platform()))
        };
        Ok(Self {
            name,
            is_default_tag,
            selection,
            registries,
        })
    }
}

/// Returns a reference as it was written, without the tag that is meant where there is none.
fn plain_name(text: &str) -> Option<Reference> {
    let text = text.strip_prefix("docker://").unwrap_or(text);
    Reference::parse(text).ok()
}

/// What `push` is asked for.
#[derive(Debug)]
pub(crate) struct PushRequest {
    /// The place, if one was named.
    pub(crate) target: Option<Location>,
    pub(crate) selection: Selection,
    /// The repository of `--all-tags`.
    pub(crate) repository: Option<Reference>,
    pub(crate) registries: RegistryOptions,
}

impl PushRequest {
    pub(crate) fn new(
        arguments: &PushArguments,
        env: &Environment,
    ) -> Result<Self, TransferUsageError> {
        let target = arguments.destination.as_deref();
        let target = target.map(|text| location(text, env)).transpose()?;
        let of_name = Reference::parse_docker_ref(&arguments.image).ok();
        let named = of_name.map(Location::Registry);
        let places: Vec<_> = target.iter().chain(&named).collect();
        let platforms: Vec<String> = arguments.platform.iter().cloned().collect();
        let repository = if arguments.all_tags {
            Some(repository(&arguments.image)?)
        } else {
            None
        };
        Ok(Self {
            registries: registries(&arguments.registry, env, &places)?,
            target,
            selection: selection(&platforms)?.unwrap_or(Selection::All),
            repository,
        })
    }
}

/// Understands the name of a repository.
pub(crate) fn repository(text: &str) -> Result<Reference, TransferUsageError> {
    let plain = text.strip_prefix("docker://").unwrap_or(text);
    let name = Reference::parse(plain).map_err(|source| TransferUsageError::Name {
        text: text.to_owned(),
        source,
    })?;
    if name.tag().is_some() || name.digest().is_some() {
        let text = text.to_owned();
        return Err(TransferUsageError::NotARepository { text });
    }
    Ok(name)
}

/// Checks what can be checked before a process is started.
pub(crate) fn check_images(
    command: &ImageTransfer,
    env: &Environment,
) -> Result<(), TransferUsageError> {
    match command {
        ImageTransfer::Pull(pull) => PullRequest::new(pull, env).map(drop),
        ImageTransfer::Push(push) => PushRequest::new(push, env).map(drop),
        ImageTransfer::Save(save) => selection(&save.platforms).map(drop),
        ImageTransfer::Load(load) => selection(&load.platforms).map(drop),
        ImageTransfer::Import(import) => {
            import.platform.as_deref().map(platform).transpose()?;
            import.name.as_deref().map(name).transpose().map(drop)
        }
    }
}

/// Checks what can be checked before a process is started.
pub(crate) fn check_places(
    command: &PlaceCommand,
    env: &Environment,
) -> Result<(), TransferUsageError> {
    match command {
        PlaceCommand::Copy(copy) => CopyRequest::new(copy, env).map(drop),
        PlaceCommand::Digest(digest) => {
            digest.platform.as_deref().map(platform).transpose()?;
            let location = source(&digest.image, &digest.registry, env)?;
            registries(&digest.registry, env, &[&location]).map(drop)
        }
        PlaceCommand::Tags(tags) => {
            let location = tags_location(&tags.repository, &tags.registry, env)?;
            registries(&tags.registry, env, &[&location]).map(drop)
        }
        PlaceCommand::Delete(delete) => {
            let location = deletable(&delete.image, env)?;
            registries(&delete.registry, env, &[&location]).map(drop)
        }
    }
}

/// Understands a place whose tags can be listed.
pub(crate) fn tags_location(
    text: &str,
    arguments: &RegistryArguments,
    env: &Environment,
) -> Result<Location, TransferUsageError> {
    let location = source(text, arguments, env)?;
    match &location {
        Location::Registry(_) => repository(text)?,
        Location::Store(_) => repository(text.trim_start_matches("store:"))?,
        Location::Layout { .. } => return Ok(location),
        Location::OciArchive { .. } | Location::DockerArchive { .. } | Location::Directory(_) => {
            return Err(TransferUsageError::Unsupported {
                location: Box::new(location),
                what: "listed",
            });
        }
    };
    Ok(location)
}

/// Understands a place from which something can be removed.
pub(crate) fn deletable(text: &str, env: &Environment) -> Result<Location, TransferUsageError> {
    let location = location(text, env)?;
    match location {
        Location::Registry(_) | Location::Store(_) | Location::Layout { .. } => Ok(location),
        Location::OciArchive { .. } | Location::DockerArchive { .. } | Location::Directory(_) => {
            Err(TransferUsageError::Unsupported {
                location: Box::new(location),
                what: "removed",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Arguments, Command};

    fn check(line: &str) -> Result<(), String> {
        let words = ["careen"].into_iter().chain(line.split(' '));
        let parsed = Arguments::try_parse_from(words).map_err(|error| error.kind().to_string())?;
        let env = Environment {
            current_directory: "/here".into(),
            ..Environment::default()
        };
        let checked = match &parsed.command {
            Command::Transfer(command) => check_images(command, &env),
            Command::Places(command) => check_places(command, &env),
            _ => Ok(()),
        };
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_meant_is_refused_before_anything_is_done() {
        for (line, expected) in [
            (
                "pull oci:x",
                "`oci:/here/x` is in no registry; `careen copy oci:/here/x store:NAME` copies it",
            ),
            (
                "pull -a app:1",
                "`app:1` names an image; a repository has neither tag nor digest",
            ),
            (
                "pull --platform a/b/c/d app",
                "`--platform a/b/c/d` is no platform",
            ),
            (
                "push --creds :x app",
                "`--creds` is not of the form USER[:PASSWORD]",
            ),
            (
                "push -a app:1",
                "`app:1` names an image; a repository has neither tag nor digest",
            ),
            (
                "copy a dir:",
                "`dir:` names no file or directory: `dir:DIR`",
            ),
            (
                "copy --all --platform linux/arm64 a b",
                "an argument cannot be used with one or more of the other specified arguments",
            ),
            (
                "tags app:1",
                "`app:1` names an image; a repository has neither tag nor digest",
            ),
            (
                "tags dir:x",
                "`dir:/here/x` is a place where nothing can be listed",
            ),
            (
                "delete oci-archive:x",
                "`oci-archive:/here/x` is a place where nothing can be removed",
            ),
            ("import x App", "`App` is no name of an image"),
            (
                "digest docker-daemon:x",
                "`docker-daemon:x`: `docker-daemon:` is not supported; images of docker are taken from an archive: `docker save`, `docker-archive:FILE`",
            ),
        ] {
            assert_eq!(check(line).unwrap_err(), expected, "{line}");
        }
        for line in [
            "pull -a app",
            "push app oci:x:1",
            "tags store:app",
            "tags oci:x",
            "delete app:1",
            "image pull app",
        ] {
            assert_eq!(check(line), Ok(()), "{line}");
        }
    }

    #[test]
    fn what_is_pulled_is_for_this_machine_unless_something_else_is_said() {
        let arguments = |platforms: &[&str], all_platforms| PullArguments {
            image: "app".to_owned(),
            all_tags: false,
            platforms: platforms.iter().map(|&text| text.to_owned()).collect(),
            all_platforms,
            quiet: false,
            registry: RegistryArguments::default(),
        };
        let env = |platform: Option<&str>| Environment {
            default_platform: platform.map(str::to_owned),
            ..Environment::default()
        };
        let (arm64, amd64) = (
            Platform::new("linux", "arm64"),
            Platform::new("linux", "amd64"),
        );
        let two = Selection::Platforms(vec![amd64.clone(), arm64.clone()]);
        for (arguments, env, expected) in [
            (
                arguments(&[], false),
                env(None),
                Selection::System(host_platform()),
            ),
            (
                arguments(&[], false),
                env(Some("linux/arm64")),
                Selection::One(arm64),
            ),
            (
                arguments(&["linux/amd64"], false),
                env(Some("linux/arm64")),
                Selection::One(amd64),
            ),
            (
                arguments(&["linux/amd64", "linux/arm64"], false),
                env(None),
                two,
            ),
            (arguments(&[], true), env(None), Selection::All),
        ] {
            assert_eq!(
                PullRequest::new(&arguments, &env).unwrap().selection,
                expected
            );
        }
    }
}
