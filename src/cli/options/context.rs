//! Where the build context, the named contexts and the Dockerfile come from.
//!
//! | Written | Context | Named context | `-f` |
//! | --- | --- | --- | --- |
//! | a directory | ✓ | ✓ | a file |
//! | `-` | a Dockerfile or a tar | | ✓ |
//! | `http://…`, `https://…` | an archive or a Dockerfile | an archive or a file | ✓ |
//! | a git URL, `github.com/owner/repository` | ✓ | ✓ | |
//! | `oci-layout://PATH[:TAG\|@DIGEST]` | | ✓ | |
//! | `docker-image://NAME` | | ✓ | |
//!
//! Nothing is opened here: what is written is only told apart. A directory goes before a URL of its name.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use dockerfile::giturl::{GitUrl, GitUrlError, parse_git_url};
use dockerfile::stage::{ContextNameError, context_name};
use graph::userinfo;
use oci::Reference;
use oci::digest::DigestError;
use oci::reference::ReferenceError;
use store::LayoutLocation;

use crate::args::BuildArguments;
use crate::env::Environment;

/// The word for standard input.
const STDIN: &str = "-";

/// What image references are called in `--build-context`; the others are buildah's words for it.
const IMAGE_SCHEMES: [&str; 3] = ["docker-image://", "container-image://", "docker://"];

/// What stands beside a token that is given as a user: nothing, or GitHub's word.
const NO_PASSWORDS: [&str; 2] = ["", "x-oauth-basic"];

/// The image that is no image.
const SCRATCH: &str = "scratch";

/// Why a context or a Dockerfile cannot be understood. Texts are without passwords.
#[derive(Debug, thiserror::Error)]
pub enum ContextUsageError {
    /// There is no context.
    #[error("no build context is given: `careen build .` takes the current directory")]
    NoContext,
    /// Standard input has two uses.
    #[error("standard input cannot be both the build context and the Dockerfile")]
    StdinTwice,
    /// A git URL is malformed.
    #[error("`{text}` is no URL of a git repository")]
    Git {
        /// The text.
        text: String,
        /// Why.
        source: GitUrlError,
    },
    /// A `--build-context` without `=`, or with nothing beside it.
    #[error("`--build-context {text}`: `{text}` is no `NAME=VALUE`")]
    NameValue {
        /// The text.
        text: String,
    },
    /// The name of a context is none.
    #[error("`--build-context {text}`: `{name}` cannot be the name of a context")]
    Name {
        /// The text.
        text: String,
        /// The name.
        name: String,
        /// Why.
        source: ContextNameError,
    },
    /// A kind of context that there is not.
    #[error(
        "`--build-context {text}`: there are no contexts `{scheme}`, but directories, URLs, git \
         repositories, `oci-layout://` and `docker-image://`"
    )]
    Kind {
        /// The text.
        text: String,
        /// The scheme.
        scheme: String,
    },
    /// The digest of an image in a layout is malformed.
    #[error("`--build-context {text}` names no image of a layout")]
    Layout {
        /// The text.
        text: String,
        /// Why.
        source: DigestError,
    },
    /// What follows `docker-image://` is no name of an image.
    #[error("`--build-context {text}`: `{name}` is no name of an image")]
    Image {
        /// The text.
        text: String,
        /// The name.
        name: String,
        /// Why.
        source: ReferenceError,
    },
}

/// Where the build context comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextSource {
    /// A directory, absolute.
    Directory(PathBuf),
    /// Standard input: a Dockerfile or a tar.
    Stdin,
    /// A git repository.
    Git(GitUrl),
    /// The file at a URL: an archive or a Dockerfile.
    Http(String),
}

impl ContextSource {
    /// Tells whether paths of the context are paths of this machine.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(path) => Some(path),
            Self::Stdin | Self::Git(_) | Self::Http(_) => None,
        }
    }
}

impl fmt::Display for ContextSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("standard input"),
            Self::Git(url) => f.write_str(&without_password(&shown_git(url))),
            Self::Http(url) => f.write_str(&without_password(url)),
        }
    }
}

/// Where the Dockerfile comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerfileSource {
    /// The context, under one of its usual names.
    Usual,
    /// A path as it was written: of this machine, or in a context that is not of this machine.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// A URL.
    Http(String),
}

/// A context that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// A directory, absolute.
    Directory(PathBuf),
    /// An image in an OCI image layout.
    Layout(LayoutLocation),
    /// An image by its name.
    Image(String),
    /// The empty file system.
    Empty,
    /// A git repository.
    Git(GitUrl),
    /// The file at a URL: an archive, or a file that is a directory's only one.
    Http(String),
}

impl NamedContext {
    /// Tells whether it has files and no configuration.
    pub fn is_directory(&self) -> bool {
        match self {
            Self::Directory(_) | Self::Git(_) | Self::Http(_) => true,
            Self::Layout(_) | Self::Image(_) | Self::Empty => false,
        }
    }
}

/// Reads the context's argument.
///
/// # Errors
///
/// Fails when there is none, and for a git URL that is malformed.
pub fn context(
    arguments: &BuildArguments,
    env: &Environment,
) -> Result<ContextSource, ContextUsageError> {
    let path = arguments
        .context
        .as_ref()
        .ok_or(ContextUsageError::NoContext)?;
    let text = path.to_string_lossy();
    if text == STDIN {
        return Ok(ContextSource::Stdin);
    }
    let directory = env.current_directory.join(path);
    // `github.com/owner/repository` and `git@host:repository` may be paths.
    let is_directory = std::fs::metadata(&directory).is_ok_and(|metadata| metadata.is_dir());
    if !is_directory {
        if let Some(url) = git_url(&text)? {
            return Ok(ContextSource::Git(url));
        }
        if is_http(&text) {
            return Ok(ContextSource::Http(text.into_owned()));
        }
    }
    Ok(ContextSource::Directory(directory))
}

/// Reads `-f`.
///
/// # Errors
///
/// Fails when standard input is the context already.
pub fn dockerfile(arguments: &BuildArguments) -> Result<DockerfileSource, ContextUsageError> {
    let Some(file) = &arguments.file else {
        return Ok(DockerfileSource::Usual);
    };
    let text = file.to_string_lossy();
    if text == STDIN {
        let is_twice = arguments.context.as_deref() == Some(Path::new(STDIN));
        return if is_twice {
            Err(ContextUsageError::StdinTwice)
        } else {
            Ok(DockerfileSource::Stdin)
        };
    }
    if is_http(&text) {
        return Ok(DockerfileSource::Http(text.into_owned()));
    }
    Ok(DockerfileSource::Path(file.clone()))
}

/// Reads `--build-context`; of two with one name the later counts.
///
/// # Errors
///
/// Fails for what is no `NAME=VALUE`, for names that no image and no stage can have, and for values that mean
/// nothing.
pub fn named_contexts(
    arguments: &BuildArguments,
    env: &Environment,
) -> Result<BTreeMap<String, NamedContext>, ContextUsageError> {
    let mut contexts = BTreeMap::new();
    for text in &arguments.build_contexts {
        let shown = without_password(text);
        let refuse = || ContextUsageError::NameValue {
            text: shown.clone(),
        };
        let (name, value) = text.split_once('=').ok_or_else(refuse)?;
        if name.is_empty() || value.is_empty() {
            return Err(refuse());
        }
        // A URL is no name, with or without its password: what says so shows it.
        let name = without_password(name);
        let entry = context_name(&name).map_err(|source| ContextUsageError::Name {
            text: shown.clone(),
            name,
            source,
        })?;
        contexts.insert(entry, named_context(&shown, value, env)?);
    }
    Ok(contexts)
}

/// Reads a value; the whole text is for messages.
fn named_context(
    text: &str,
    value: &str,
    env: &Environment,
) -> Result<NamedContext, ContextUsageError> {
    if let Some(place) = value.strip_prefix("oci-layout://") {
        return layout(text, place, env);
    }
    let image = IMAGE_SCHEMES
        .iter()
        .find_map(|scheme| value.strip_prefix(scheme));
    if let Some(name) = image {
        return named_image(text, name);
    }
    if let Some(url) = git_url(value)? {
        return Ok(NamedContext::Git(url));
    }
    if is_http(value) {
        return Ok(NamedContext::Http(value.to_owned()));
    }
    // `target:` is bake's, and no directory either.
    let scheme = match value.split_once("://") {
        Some((scheme, _)) => Some(format!("{scheme}://")),
        None if value.starts_with("target:") => Some("target:".to_owned()),
        None => None,
    };
    match scheme {
        Some(scheme) => Err(ContextUsageError::Kind {
            text: text.to_owned(),
            scheme,
        }),
        None => Ok(NamedContext::Directory(env.current_directory.join(value))),
    }
}

fn layout(text: &str, place: &str, env: &Environment) -> Result<NamedContext, ContextUsageError> {
    let mut location =
        LayoutLocation::parse(place).map_err(|source| ContextUsageError::Layout {
            text: text.to_owned(),
            source,
        })?;
    location.path = env.current_directory.join(location.path);
    Ok(NamedContext::Layout(location))
}

fn named_image(text: &str, name: &str) -> Result<NamedContext, ContextUsageError> {
    if name == SCRATCH {
        return Ok(NamedContext::Empty);
    }
    Reference::parse(name).map_err(|source| ContextUsageError::Image {
        text: text.to_owned(),
        name: name.to_owned(),
        source,
    })?;
    Ok(NamedContext::Image(name.to_owned()))
}

fn git_url(text: &str) -> Result<Option<GitUrl>, ContextUsageError> {
    let url = parse_git_url(text).map_err(|source| ContextUsageError::Git {
        text: without_password(text),
        source,
    })?;
    Ok(url.map(|mut url| {
        if url.looks_local {
            url.remote = format!("https://{}", url.remote);
        }
        url
    }))
}

fn is_http(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn shown_git(url: &GitUrl) -> String {
    url.with_fragment(dockerfile::giturl::Fragment::ReferenceAndSubdirectory)
}

/// Returns a URL without what is [secret](userinfo::secret()) in it. The user of HTTP stays where a password is beside it, and
/// says whose that is; a token is not shown, which stands alone or beside nothing that is one.
pub fn without_password(url: &str) -> String {
    let secret = userinfo::secret(url);
    if secret.is_empty() {
        return url.to_owned();
    }
    let (before, rest) = url.split_at(secret.start);
    let (hidden, host) = rest.split_at(secret.len());
    let user = match hidden.split_once(':') {
        // Behind a colon there is the password alone.
        Some((user, password)) if before.ends_with('/') && !NO_PASSWORDS.contains(&password) => {
            format!("{user}:")
        }
        _ => String::new(),
    };
    format!("{before}{user}xxxxx{host}")
}

#[cfg(test)]
mod tests;
