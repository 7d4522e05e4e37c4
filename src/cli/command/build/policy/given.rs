//! The source policy, asked about what the command line gives: contexts and Dockerfiles.
//!
//! | Given | Identifier |
//! | --- | --- |
//! | a directory | `local://context`, `local://NAME` |
//! | an image layout | `oci-layout://PATH` |
//! | a URL | the URL |
//! | a git repository | `git://HOST/PATH#REFERENCE:SUBDIRECTORY` |
//!
//! They may be denied. Nothing can be put in their place: the command line itself can.

use graph::policy::PolicyRefusal;
use graph::{Definition, HttpSource, ImageOrigin, Op, PolicySource, SourceOp, SourcePolicy};

use crate::options::{BuildOptions, ContextSource, DockerfileSource, NamedContext};
use crate::report::{Kind, Report};

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

/// Asks about what is fetched before a graph exists.
///
/// # Errors
///
/// Fails when the policy denies it or converts it.
pub(in crate::command::build) fn check_fetched(
    options: &BuildOptions,
    policy: &SourcePolicy,
) -> Result<(), Box<Report>> {
    let context = match &options.context {
        ContextSource::Git(url) => Some(url.source().policy_source()),
        ContextSource::Http(url) => Some(http(url)),
        ContextSource::Directory(_) | ContextSource::Stdin => None,
    };
    let file = match &options.file {
        DockerfileSource::Http(url) => Some(http(url)),
        _ => None,
    };
    for source in context.into_iter().chain(file) {
        check_unchanged(source, policy)?;
    }
    Ok(())
}

/// Asks about a named context before it is fetched.
///
/// # Errors
///
/// Fails when the policy denies it or converts it.
pub(in crate::command::build) fn check_named(
    context: Option<&NamedContext>,
    policy: &SourcePolicy,
) -> Result<(), Box<Report>> {
    match context {
        Some(NamedContext::Git(url)) => check_unchanged(url.source().policy_source(), policy),
        Some(NamedContext::Http(url)) => check_unchanged(http(url), policy),
        // Images are asked about as such, and directories when the graph is there.
        _ => Ok(()),
    }
}

/// Asks about what a graph has from the command line.
///
/// # Errors
///
/// Fails when the policy denies one of them or converts it.
pub(in crate::command::build) fn check_graph(
    definition: &Definition,
    options: &BuildOptions,
    policy: &SourcePolicy,
) -> Result<(), Box<Report>> {
    for id in definition.ids() {
        let Op::Source(source) = &definition.vertex(id).op else {
            continue;
        };
        if let Some(source) = given(source, options) {
            check_unchanged(source, policy)?;
        }
    }
    Ok(())
}

fn given(source: &SourceOp, options: &BuildOptions) -> Option<PolicySource> {
    match source {
        SourceOp::Local(local) => match (local.name.as_str(), options.contexts.get(&local.name)) {
            ("context", _) if options.context.directory().is_none() => None,
            (_, Some(NamedContext::Git(_) | NamedContext::Http(_))) => None,
            (name, _) => Some(PolicySource::new(format!("local://{name}"))),
        },
        SourceOp::Image(image) => match &image.origin {
            ImageOrigin::Layout { path } => Some(PolicySource::new(format!(
                "oci-layout://{}",
                path.display()
            ))),
            ImageOrigin::Store => None,
        },
        // What a Dockerfile has from servers is asked about where it names it.
        SourceOp::Http(_) | SourceOp::Git(_) => None,
    }
}

fn http(url: &str) -> PolicySource {
    let source = HttpSource {
        url: url.to_owned(),
        checksum: None,
    };
    source.policy_source()
}

fn check_unchanged(asked: PolicySource, policy: &SourcePolicy) -> Result<(), Box<Report>> {
    let allowed = policy.evaluate(asked.clone()).map_err(GivenRefusal::from);
    let refusal = match allowed {
        Ok(allowed) if allowed == asked => return Ok(()),
        Ok(allowed) => GivenRefusal::Converted {
            from: asked.identifier,
            to: allowed.identifier,
        },
        Err(refusal) => refusal,
    };
    Err(Box::new(Report::new(Kind::User, &refusal)))
}
