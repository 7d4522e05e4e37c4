//! `careen copy`: an image from any place to any other.

use oci::Reference;
use transport::{CopyOptions, CopyReport, LeftOut, Referrers, Source};

use super::progress::note;
use super::{Carrier, Lines, Surroundings, Words, below, misused, say};
use crate::args::CopyArguments;
use crate::exit;
use crate::options::transfer::CopyRequest;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// The digest cannot be written to a file.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the digest to `{path}`")]
struct DigestFile {
    path: String,
    source: std::io::Error,
}

/// Runs `copy` in the builder.
pub(super) fn run(arguments: &CopyArguments, around: Surroundings<'_>) -> Outcome {
    let request = CopyRequest::new(arguments, around.env).map_err(|error| misused(&error))?;
    let carrier = Carrier::with_registries(around, &request.registries)?;
    let source = carrier.source(&request.source)?;
    let target = carrier.target(&request.target)?;
    let words = if arguments.quiet {
        Words::None
    } else {
        Words::Copy
    };
    let lines = Lines::new(words).mounted_from(repository_of(source.as_ref()));
    let options = CopyOptions {
        referrers: if arguments.referrers {
            Referrers::Copied
        } else {
            Referrers::Left
        },
        jobs: usize::from(arguments.jobs),
        convert: request.convert,
        ..carrier.options(request.selection.clone(), &lines)
    };
    let report = transport::copy(source.as_ref(), target.as_ref(), &options)
        .map_err(|error| carrier.of_copy(&error))?;
    let digest = report.root.digest().to_string();
    if let Some(path) = &arguments.digestfile {
        let path = below(around.env, path);
        export::write_file(&path, digest.as_bytes()).map_err(|source| {
            let path = path.display().to_string();
            Report::new(Kind::User, &DigestFile { path, source })
        })?;
    }
    if !arguments.quiet {
        tell(&report);
        say(&digest);
    }
    Ok(exit::DONE)
}

/// Returns the repository that a source is, as people write it.
pub(super) fn repository_of(source: &dyn Source) -> Option<String> {
    source.repository().map(Reference::familiar_name)
}

/// Says what the copy is without.
fn tell(report: &CopyReport) {
    let LeftOut {
        attestations,
        annotations,
    } = report.left_out;
    for (count, what) in [
        (attestations, "attestations"),
        (annotations, "documents' annotations"),
    ] {
        if count > 0 {
            note(&format!(
                "Left out {count} {what}: Docker's media types have no place for them."
            ));
        }
    }
}
