//! The source policy, asked about base images, and `--pull`.

mod given;

pub(super) use given::{check_fetched, check_graph, check_named};

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use dockerfile::source::SourceFile;
use dockerfile::stage::{BaseRequest, ResolvedBase};
use graph::policy::{PolicyError, PolicyRefusal};
use graph::{ImageOrigin, PolicySource, SourcePolicy};
use oci::Reference;

use crate::options::{BuildOptions, NamedContext, Pull};
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
    /// The registry is to be asked, and cannot be.
    #[error("cannot ask a registry for `{name}`, as `--pull` demands: careen talks to none yet")]
    Pull { name: String },
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
    (options, policy): (&BuildOptions, &SourcePolicy),
    source: &SourceFile,
) -> Result<BaseRequest, Box<Report>> {
    let context = request.context.as_ref();
    let name = match context.and_then(|name| options.contexts.get(name)) {
        None => &request.name,
        Some(NamedContext::Image(name)) => name,
        // What else was given on the command line under that name is no image of a registry.
        Some(_) => return Ok(request.clone()),
    };
    let allowed = allowed_name(name, policy);
    let allowed = allowed.map_err(|error| refusal(&error, request, source, "not allowed"))?;
    let mut admitted = request.clone();
    if allowed != *name {
        admitted.name = allowed;
        admitted.context = None;
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

/// Refuses an image of the store where `--pull` wants the registry's word on it.
pub(super) fn check_pull(
    request: &BaseRequest,
    resolved: &ResolvedBase,
    pull: Pull,
    source: &SourceFile,
) -> Result<(), Box<Report>> {
    match (&resolved.source.origin, pull) {
        (ImageOrigin::Store, Pull::Always) => {
            let name = request.name.clone();
            let mut report = refusal(&BaseRefusal::Pull { name }, request, source, "in the store");
            report.help = Some("`--pull=newer` uses what the store has".to_owned());
            Err(report)
        }
        (ImageOrigin::Store | ImageOrigin::Layout { .. }, _) => Ok(()),
    }
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
