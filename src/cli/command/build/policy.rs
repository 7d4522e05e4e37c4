//! The source policy, asked about base images and directories, and `--pull`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use dockerfile::lower::git_identifier;
use dockerfile::source::SourceFile;
use dockerfile::stage::BaseRequest;
use graph::policy::{PolicyError, PolicyRefusal};
use graph::userinfo::without_secret;
use graph::{Definition, ImageOrigin, Op, PolicySource, SourceOp, SourcePolicy};
use oci::Reference;

use crate::options::{BuildOptions, ContextSource, DockerfileSource, NamedContext};
use crate::report::{Kind, Place, Report};

/// No policy is larger, in bytes.
const POLICY_LIMIT_BYTES: u64 = 1024 * 1024;

/// How images are called in policies.
const IMAGE: &str = "docker-image://";

/// Why the source policy cannot be used.
#[derive(Debug, thiserror::Error)]
enum FileError {
    /// It cannot be read.
    #[error("cannot read the source policy `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// It is too large to be one.
    #[error("the source policy `{}` is larger than {POLICY_LIMIT_BYTES} bytes", path.display())]
    TooLarge { path: PathBuf },
    /// It is no policy, or has rules that are not supported.
    #[error("cannot use `{}`", path.display())]
    Policy { path: PathBuf, source: PolicyError },
}

/// Why a base image may not be used.
#[derive(Debug, thiserror::Error)]
enum BaseRefusal {
    /// The policy denies it.
    #[error(transparent)]
    Policy(#[from] PolicyRefusal),
    /// The policy puts something in its place that is no image.
    #[error("the source policy puts `{identifier}` in the place of `{name}`, which is no image")]
    NoImage { name: String, identifier: String },
}

/// Why what was given on the command line may not be used.
#[derive(Debug, thiserror::Error)]
enum GivenRefusal {
    /// The policy denies it.
    #[error(transparent)]
    Policy(#[from] PolicyRefusal),
    /// The policy puts something else in its place.
    #[error(
        "the source policy puts `{to}` in the place of `{from}`, which only the command line can"
    )]
    Converted { from: String, to: String },
}

/// Reads the source policy; without one everything is allowed.
pub(super) fn read(options: &BuildOptions) -> Result<SourcePolicy, Box<Report>> {
    let Some(path) = &options.policy.source_policy else {
        return Ok(SourcePolicy::default());
    };
    read_file(path).map_err(|error| Box::new(Report::new(Kind::User, &error)))
}

fn read_file(path: &Path) -> Result<SourcePolicy, FileError> {
    let mut bytes = Vec::new();
    let limited = File::open(path).map(|file| file.take(POLICY_LIMIT_BYTES + 1));
    limited
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|source| FileError::Read {
            path: path.to_owned(),
            source,
        })?;
    if bytes.len() as u64 > POLICY_LIMIT_BYTES {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
        });
    }
    SourcePolicy::parse(&bytes).map_err(|source| FileError::Policy {
        path: path.to_owned(),
        source,
    })
}

/// Returns the request for what the policy allows in the place of a base: mostly the base itself.
pub(super) fn admit(
    request: &BaseRequest,
    policy: &SourcePolicy,
    source: &SourceFile,
) -> Result<BaseRequest, Box<Report>> {
    let mut admitted = request.clone();
    // What was given on the command line under that name is no image of a registry.
    if request.context.is_none() {
        let name = allowed_name(&request.name, policy);
        admitted.name = name.map_err(|error| refusal(&error, request, source, "not allowed"))?;
    }
    Ok(admitted)
}

fn allowed_name(name: &str, policy: &SourcePolicy) -> Result<String, BaseRefusal> {
    // What is no name is told when it is looked up.
    let Ok(reference) = Reference::parse_docker_ref(name) else {
        return Ok(name.to_owned());
    };
    let asked = PolicySource::new(format!("{IMAGE}{reference}"));
    let allowed = policy.evaluate(asked.clone())?;
    if allowed == asked {
        return Ok(name.to_owned());
    }
    let image = allowed.identifier.strip_prefix(IMAGE).map(str::to_owned);
    image.ok_or(BaseRefusal::NoImage {
        name: name.to_owned(),
        identifier: allowed.identifier,
    })
}

/// Asks the policy about what is fetched before there is a graph: the build context and the Dockerfile, where they are
/// a server's. It may deny them, as all that is given on the command line.
pub(super) fn check_fetched(
    options: &BuildOptions,
    policy: &SourcePolicy,
) -> Result<(), Box<Report>> {
    let context = match &options.context {
        ContextSource::Git(url) => Some(git_identifier(&url.source())),
        ContextSource::Http(url) => Some(url.clone()),
        ContextSource::Directory(_) | ContextSource::Stdin => None,
    };
    let dockerfile = match &options.file {
        DockerfileSource::Http(url) => Some(url.clone()),
        DockerfileSource::Usual | DockerfileSource::Path(_) | DockerfileSource::Stdin => None,
    };
    let mut identifiers = context.into_iter().chain(dockerfile);
    identifiers.try_for_each(|identifier| ask_unchanged(&identifier, policy))
}

/// Asks the policy about what was given on the command line: directories as `local://context` or `local://NAME`, image
/// layouts as `oci-layout://PATH`, and what servers have as an `ADD` of it. It may deny them; nothing can be put in
/// their place.
pub(super) fn check_given(
    definition: &Definition,
    policy: &SourcePolicy,
    options: &BuildOptions,
) -> Result<(), Box<Report>> {
    for id in definition.ids() {
        let Op::Source(source) = &definition.vertex(id).op else {
            continue;
        };
        if let Some(identifier) = given_identifier(source, options) {
            ask_unchanged(&identifier, policy)?;
        }
    }
    Ok(())
}

fn given_identifier(source: &SourceOp, options: &BuildOptions) -> Option<String> {
    match source {
        SourceOp::Local(local) => local_identifier(&local.name, options),
        SourceOp::Image(image) => match &image.origin {
            ImageOrigin::Layout { path } => Some(format!("oci-layout://{}", path.display())),
            ImageOrigin::Store | ImageOrigin::Registry { .. } => None,
        },
        // What a Dockerfile has from servers is asked about where it names it.
        SourceOp::Http(_) | SourceOp::Git(_) => None,
    }
}

/// Returns what policies call a directory of the graph, by its name there.
fn local_identifier(name: &str, options: &BuildOptions) -> Option<String> {
    let is_main = name == "context";
    match (&options.context, options.contexts.get(name)) {
        // Asked about before it was fetched.
        (ContextSource::Git(_) | ContextSource::Http(_), _) if is_main => None,
        (_, Some(NamedContext::Git(url))) if !is_main => Some(git_identifier(&url.source())),
        (_, Some(NamedContext::Http(url))) if !is_main => Some(url.clone()),
        _ => Some(format!("local://{name}")),
    }
}

fn ask_unchanged(identifier: &str, policy: &SourcePolicy) -> Result<(), Box<Report>> {
    let asked = check_unchanged(identifier, policy);
    asked.map_err(|error| Box::new(Report::new(Kind::User, &error)))
}

fn check_unchanged(identifier: &str, policy: &SourcePolicy) -> Result<(), GivenRefusal> {
    let allowed = policy.evaluate(PolicySource::new(identifier))?;
    if allowed.identifier == identifier {
        return Ok(());
    }
    Err(GivenRefusal::Converted {
        from: without_secret(identifier),
        to: without_secret(&allowed.identifier),
    })
}

/// Adds to a report on a base that it is not the one that was written, if so.
pub(super) fn explained(
    mut report: Box<Report>,
    request: &BaseRequest,
    admitted: &BaseRequest,
) -> Box<Report> {
    if request.name != admitted.name {
        let (from, to) = (&request.name, &admitted.name);
        let note = format!("the source policy puts `{to}` in the place of `{from}`");
        report.notes.push(note);
    }
    report
}

fn refusal(
    error: &BaseRefusal,
    request: &BaseRequest,
    source: &SourceFile,
    label: &str,
) -> Box<Report> {
    let mut report = Report::new(Kind::User, error);
    report.place = Some(Place {
        source: source.clone(),
        span: request.span,
        label: label.to_owned(),
    });
    Box::new(report)
}
